"""A page that was saved works from disk, without Python and without a network."""

from __future__ import annotations

import numpy as np
import pytest
from tests.browser.test_explore import cube, four_d


@pytest.mark.parametrize("flip", [False, True])
def test_a_spectral_image_answers_to_taps_and_windows(screen, tmp_path, flip):
    da = cube() if not flip else cube().isel(y=slice(None, None, -1), energy=slice(None, None, -1))
    page = tmp_path / "page.html"
    da.sid.explore().save(page)
    screen.page.route("http*://**", lambda route: route.abort())
    screen.open(page.as_uri())
    screen.page.wait_for_timeout(500)
    for j, i in ((3, 25), (17, 2)):
        y = screen.changed(
            lambda: screen.curve("sid-signal"),
            lambda j=j, i=i: screen.tap("sid-map", float(da.x[i]) * 1e9, float(da.y[j]) * 1e9),
        )
        np.testing.assert_allclose(y, da.isel(y=j, x=i).sortby("energy").values, rtol=1e-6)
        screen.page.wait_for_timeout(400)
    frame = screen.frame("sid-signal")
    middle = float(np.mean(frame["y"]))
    image = screen.changed(screen.image, lambda: screen.drag("sid-signal", (120.4, middle), (140.4, middle)))
    energy = da.energy.values
    low, high = 120.4, 140.4
    want = da.isel(energy=(energy >= low) & (energy <= high)).mean("energy").values
    np.testing.assert_allclose(image, want, rtol=3e-3)  # an end of the drag is a pixel of the screen
    assert np.corrcoef(image.ravel(), want.ravel())[0, 1] > 0.999 > np.corrcoef(image[::-1].ravel(), want.ravel())[0, 1]
    y = screen.changed(
        lambda: screen.curve("sid-signal"),
        lambda: screen.drag("sid-map", (4.8, float(da.y[5]) * 1e9), (7.2, float(da.y[8]) * 1e9)),
    )
    screen.shot("export")
    assert not [e for e in screen.errors if "ERR_FAILED" not in e], screen.errors


def test_a_pattern_has_its_aperture(screen, tmp_path):
    da = four_d()
    page = tmp_path / "page.html"
    da.sid.explore().save(page)
    screen.open(page.as_uri())
    screen.page.wait_for_timeout(500)
    image = screen.changed(lambda: screen.image("sid-signal"), lambda: screen.tap("sid-map", 7.0, 2.0))
    np.testing.assert_array_equal(image, da.values[2, 7])
    image = screen.changed(screen.image, lambda: screen.drag("sid-signal", (-0.52, -0.32), (0.52, 0.22)))
    want = da.sel(kx=slice(-0.5001, 0.5001), ky=slice(-0.3001, 0.2001)).mean(("ky", "kx"))
    np.testing.assert_allclose(image, want.values, rtol=1e-5)
    screen.well()
