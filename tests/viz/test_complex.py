"""Complex images: both parts, one scale, and colours that mean an angle."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot

GRID = {"y": (0.5e-9, "m"), "x": (0.5e-9, "m")}


def vortex(rows=20, columns=30):
    """Return a whirl around a pixel: the phase is the direction from there, counted against the clock."""
    y, x = np.mgrid[:rows, :columns]
    z = ((x - 14) + 1j * (8 - y)) * 1e-3
    return dataarray(z, dims=GRID, units="V", quantity="response")


def images(hv, picture):
    return picture.traverse(None, [hv.Image])


def option(element, name, backend="bokeh"):
    return {
        **element.opts.get("style", backend=backend).kwargs,
        **element.opts.get("plot", backend=backend).kwargs,
    }[name]


def test_plot_of_complex_images_shows_amplitude_and_phase(hv):
    da = vortex()
    assert choose_view(da) == "complex"
    amplitude, phase = images(hv, plot(da))
    np.testing.assert_allclose(amplitude.dimension_values(2, flat=False), np.abs(da.values) * 1e3)
    np.testing.assert_allclose(phase.dimension_values(2, flat=False), np.angle(da.values))
    assert (str(amplitude.vdims[0].unit), str(phase.vdims[0].unit)) == ("mV", "rad")
    assert option(phase, "cmap") == "twilight"
    assert option(phase, "clim") == (-np.pi, np.pi)
    assert [option(i, "title") for i in (amplitude, phase)] == ["response, amplitude", "response, phase"]


def test_real_and_imaginary_part_share_one_scale_around_zero(hv):
    da = vortex()
    da = da.copy(data=da.values.real + 1e-3j * da.values.imag)
    real, imag = images(hv, plot(da, component="cartesian"))
    assert option(real, "clim") == option(imag, "clim")
    low, high = option(real, "clim")
    assert low == -high
    assert {str(i.vdims[0].unit) for i in (real, imag)} == {"mV"}  # µV alone would be readable, but not comparable
    np.testing.assert_allclose(imag.dimension_values(2, flat=False), da.values.imag * 1e3)


@pytest.mark.parametrize("component", ["amplitude", "phase", "real", "imag"])
def test_one_part_alone(hv, component):
    da = vortex()
    picture = plot(da, component=component)
    (image,) = images(hv, picture)
    np.testing.assert_allclose(
        image.dimension_values(2, flat=False),
        bound_view(da, "image")(component=component).dimension_values(2, flat=False),
    )


@pytest.mark.parametrize("flip", [False, True], ids=["ascending", "descending"])
def test_hues_are_angles_and_stand_where_the_values_stand(hv, flip):
    from holoviews.plotting.util import process_cmap

    da = vortex()
    da = da[::-1] if flip else da
    picture = plot(da, component="hue")
    rgb = picture.traverse(None, [hv.RGB])[0]
    ring = process_cmap("colorwheel", 256)
    bright = max(np.abs(da.values).ravel())
    for row, column in ((2, 3), (15, 20), (8, 25), (19, 0)):
        y, x = float(da.y[row]) * 1e9, float(da.x[column]) * 1e9
        z = da.values[row, column]
        got = np.array([float(np.ravel(rgb[x, y][band])[0]) for band in "RGB"])
        colour = ring[int(np.angle(z) / (2 * np.pi) % 1 * 256) % 256]
        expected = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255 * abs(z) / bright
        np.testing.assert_allclose(got, expected, atol=0.02)
    options = picture.opts.get("plot", backend="bokeh").kwargs
    assert options["invert_yaxis"] is not flip
    assert "brightness 0 … 18.3 mV, hue is the phase" in options["title"].replace("\n", " ")


def test_the_wheel_lies_in_the_frame_and_zero_points_to_the_right(hv):
    picture = plot(vortex(), component="hue")
    field, wheel = picture.traverse(None, [hv.RGB])
    (words,) = picture.traverse(None, [hv.Labels])
    left, low, right, high = field.bounds.lbrt()
    a, b, c, d = wheel.bounds.lbrt()
    assert left < a < c < right
    assert low < b < d < high
    x, y, text = (words.dimension_values(i) for i in range(3))
    places = dict(zip(text, zip(x, y, strict=True), strict=True))
    middle = ((a + c) / 2, (b + d) / 2)
    assert places["0"][0] > middle[0] > places["π"][0]
    assert places["π/2"][1] < middle[1]  # the axis runs downwards: a smaller y is higher up


def test_phases_of_nothing_are_left_out(hv):
    da = vortex()
    _, phase = images(hv, plot(da, floor=0.2))
    shown = phase.dimension_values(2, flat=False)
    size = np.abs(da.values)
    top = np.percentile(size, 99.9)
    np.testing.assert_array_equal(np.isnan(shown), size < 0.2 * top)
    with pytest.raises(ValueError, match="floor is a fraction"):
        plot(da, floor=20)


def test_curves_of_one_dimension(hv):
    da = vortex().isel(y=3)
    layout = bound_view(da, "complex")()
    amplitude, phase = layout.traverse(None, [hv.Curve])
    np.testing.assert_allclose(amplitude.dimension_values(1), np.abs(da.values) * 1e3)
    np.testing.assert_allclose(phase.dimension_values(1), np.angle(da.values))
    with pytest.raises(DimensionError, match="hue needs two dimensions"):
        bound_view(da, "complex")(component="hue")


@pytest.mark.parametrize("component", ["polar", "cartesian", "hue"])
@pytest.mark.parametrize(
    "values",
    [np.full((4, 5), np.nan + 0j), np.zeros((4, 5), "c8"), np.ones((1, 1), "c16"), np.zeros((0, 5), "c8"),
     np.where(np.eye(4, 5), np.inf, 1 + 1j), np.full((4, 5), 1e300 + 1e-300j)],
    ids=["NaN", "zero", "pixel", "empty", "infinite", "huge"],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_awkward_values_do_no_harm(hv, component, values, backend):
    import matplotlib.pyplot as plt

    da = dataarray(values, dims=GRID, units="V")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        figure = hv.render(plot(da, component=component), backend=backend)
    if backend == "matplotlib":
        figure.canvas.draw()
        plt.close(figure)


def test_what_cannot_be_drawn_is_said():
    real = vortex().real
    with pytest.raises(DimensionError, match="is not complex"):
        bound_view(real, "complex")()
    with pytest.raises(ValueError, match="no component 'angle'"):
        plot(vortex(), component="angle")
    uneven = xr.DataArray(np.ones((3, 4), "c8"), dims=("y", "x"), coords={"x": [0, 1, 4, 9]})
    with pytest.raises(DimensionError, match="evenly spaced"):
        bound_view(uneven, "complex")(component="hue")


def test_only_the_plane_is_read(arrays, counted):
    da, backend = counted(arrays("image_stack", "complex64"))
    bound_view(da, "complex")()
    assert backend.reads == [12 * 16]
