"""``sid view``: what is tapped and drawn is what is shown, exactly."""

from __future__ import annotations

import numpy as np
import xarray as xr

import sid_xarray as sid


def cube() -> xr.DataArray:
    """Return a spectral image without symmetry, y descending, in metres."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:20, :30]
    energy = np.linspace(100, 200, 80)
    values = (
        (y + 2 * x)[..., None] + 50 * np.exp(-0.5 * ((energy - 130 - x[..., None]) / 8) ** 2) + rng.random((20, 30, 80))
    )
    dims = {"y": (-0.5e-9 * np.arange(20), "m"), "x": (0.5e-9, "m"), "energy": (energy, "eV")}
    return sid.dataarray(values.astype("f4"), dims=dims, units="count", quantity="intensity")


def four_d() -> xr.DataArray:
    rng = np.random.default_rng(1)
    dims = {
        "y": (1.0, "nm"),
        "x": (1.0, "nm"),
        "ky": (np.arange(-16, 16) * 0.1, "1/nm"),
        "kx": (np.arange(-20, 20) * 0.1, "1/nm"),
    }
    return sid.dataarray(rng.integers(0, 1000, (10, 12, 32, 40)).astype("u2"), dims=dims, units="count")


def test_tap_window_box_and_keys(view):
    da = cube()
    screen = view(da)
    # A tap is the spectrum of exactly that pixel.
    for j, i in ((3, 25), (17, 2), (0, 0)):
        y = screen.changed(screen.curve, lambda j=j, i=i: screen.tap("sid-map", i * 0.5, -j * 0.5))
        np.testing.assert_array_equal(y, da.values[j, i])
        screen.page.wait_for_timeout(350)  # two taps would be a double one
    # Row 0, which here has the largest y, is on top.
    frame = screen.frame("sid-map")
    assert frame["y"][0] < frame["y"][1]
    np.testing.assert_allclose(screen.image(), da.mean("energy").values, rtol=1e-5)
    screen.shot("spectral-image-tap")
    # A window on the spectrum makes the map of that window.
    low, high = screen.frame("sid-curve")["y"]
    middle = (low + high) / 2
    image = screen.changed(screen.image, lambda: screen.drag("sid-curve", (120, middle), (140, middle)))
    np.testing.assert_allclose(image, da.sel(energy=slice(120, 140)).mean("energy").values, rtol=1e-5)
    screen.shot("spectral-image-window")
    # A box on the map is a mean.
    y = screen.changed(screen.curve, lambda: screen.drag("sid-map", (4.8, -2.2), (7.2, -4.2)))
    np.testing.assert_allclose(y, da.values[5:9, 10:15].mean((0, 1)), rtol=1e-5)
    screen.shot("spectral-image-box")
    # The slider of x takes the arrow keys.
    screen.tap("sid-map", 5.0, -5.0)
    screen.page.wait_for_timeout(400)
    screen.page.locator(".noUi-handle").first.focus()
    y = screen.changed(screen.curve, lambda: screen.page.keyboard.press("ArrowRight"))
    np.testing.assert_array_equal(y, da.values[10, 11])
    screen.well()


def test_zoom_stays_at_a_tap_and_the_height_follows(view):
    da = cube()
    screen = view(da)
    screen.page.mouse.move(*screen.at("sid-curve", 150, np.mean(screen.frame("sid-curve")["y"])))
    for _ in range(4):
        screen.page.mouse.wheel(0, -300)
    screen.page.wait_for_timeout(600)
    zoomed = screen.frame("sid-curve")["x"]
    assert zoomed[1] - zoomed[0] < 90
    y = screen.changed(screen.curve, lambda: screen.tap("sid-map", 3.0, -8.0))
    screen.page.wait_for_timeout(300)
    frame = screen.frame("sid-curve")
    assert frame["x"] == zoomed
    energy = da.energy.values
    seen = y[(energy >= zoomed[0]) & (energy <= zoomed[1])]
    assert frame["y"][0] <= seen.min() and seen.max() <= frame["y"][1] < seen.max() + 0.2 * np.ptp(seen)
    screen.well()


def test_two_regions_are_compared(view):
    da = cube()
    screen = view(da)
    screen.page.locator("input[type=checkbox]").first.check()
    screen.page.wait_for_timeout(400)
    screen.tap("sid-map", 1.0, -1.0)
    screen.page.wait_for_timeout(600)
    screen.shot("two-regions")
    np.testing.assert_array_equal(screen.curve(k=1), da.values[2, 2])
    np.testing.assert_array_equal(screen.curve(k=0), da.values[10, 15])
    screen.shot("two-regions")
    screen.well()


def test_an_aperture_of_four_dimensions(view):
    da = four_d()
    screen = view(da)
    image = screen.changed(lambda: screen.image("sid-pattern"), lambda: screen.tap("sid-map", 7.0, 2.0))
    np.testing.assert_array_equal(image, da.values[2, 7])
    want = da.sid.within(sid.Region.aperture(ky=0.5, kx=-1.0, radius=0.12 * 3.1), reduce="mean")
    screen.page.wait_for_timeout(400)
    image = screen.changed(screen.image, lambda: screen.tap("sid-pattern", -1.0, 0.5))
    np.testing.assert_allclose(image, want.values, rtol=2e-2)  # a pixel of the screen is not one of the pattern
    screen.shot("aperture")
    # A box drawn on the pattern is an aperture, too.
    image = screen.changed(screen.image, lambda: screen.drag("sid-pattern", (-0.52, -0.32), (0.52, 0.22)))
    want = da.sel(kx=slice(-0.5001, 0.5001), ky=slice(-0.3001, 0.2001)).mean(("ky", "kx"))
    np.testing.assert_allclose(image, want.values, rtol=1e-5)
    screen.well()


def test_five_dimensions_have_sliders(view):
    rng = np.random.default_rng(2)
    dims = {"cycle": (3, "1"), "bias": (4, "V"), "y": (6, "nm"), "x": (7, "nm"), "frequency": (9, "kHz")}
    values = rng.random([n for n, _ in dims.values()]).astype("f4")
    spec = {d: (1.0, unit) for d, (_, unit) in dims.items()}
    da = sid.dataarray(values, dims=spec, units="nm", quantity="displacement")
    screen = view(da)
    np.testing.assert_array_equal(screen.curve(), values[0, 0, 3, 3])
    y = screen.changed(screen.curve, lambda: screen.tap("sid-map", 5.0, 1.0))
    np.testing.assert_array_equal(y, values[0, 0, 1, 5])
    screen.page.locator(".noUi-handle").last.focus()
    screen.shot("five-dimensions")
    slider = screen.page.locator(".bk-panel-models-widget-DiscreteSlider, .noUi-handle")
    assert slider.count() >= 4
    screen.well()
