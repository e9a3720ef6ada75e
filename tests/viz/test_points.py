"""Scattered points: where they are, what they are worth, and a million of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot

N = 30


def spiral(dtype="float64", *, spectra=False, names=("x", "y")):
    t = np.linspace(1, 20, N)
    values = np.arange(N) / 7
    dims = ("point",)
    if spectra:
        values, dims = values[:, None] * np.arange(1.0, 6.0), ("point", "bias")
    if dtype.startswith("complex"):
        values = values * np.exp(1j * values)
    if dtype == "bool":
        values = np.sin(values) > 0
    coords = {
        "point": ("point", np.arange(N), {"sid_dimension_type": "point_cloud"}),
        names[0]: ("point", t * np.cos(t) * 1e-9, {"units": "m"}),
        names[1]: ("point", t * np.sin(t) * 1e-3, {"units": "um"}),
        "y_index": ("point", np.zeros(N)),
    }
    if spectra:
        coords["bias"] = ("bias", np.arange(5) * 0.1, {"units": "V"})
    attrs = {"units": "A", "long_name": "current"}
    return xr.DataArray(values.astype(dtype), dims=dims, coords=coords, name="current", attrs=attrs)


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("x_position", "y_position")], ids=str)
def test_points_stand_at_their_places_in_units(hv, names):
    da = spiral(names=names)
    assert choose_view(da) == "points"
    points = plot(da)
    assert isinstance(points, hv.Points)
    assert [d.pprint_label for d in points.dimensions()] == [f"{names[0]} (nm)", f"{names[1]} (nm)", "current (A)"]
    np.testing.assert_allclose(points.dimension_values(0), da[names[0]].values * 1e9)
    np.testing.assert_allclose(points.dimension_values(1), da[names[1]].values * 1e3)
    np.testing.assert_allclose(points.dimension_values(2), da.values)
    options = points.opts.get("plot", backend="bokeh").kwargs
    assert options["data_aspect"] == 1
    assert options["invert_yaxis"] is True  # as images, so that both can be overlaid


def test_a_million_points_become_an_image_of_their_means(hv):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 100, (2, 1_000_000))
    da = xr.DataArray(
        (x + 2 * y).astype("f4"),
        dims="point",
        coords={"x": ("point", x, {"units": "nm"}), "y": ("point", y, {"units": "nm"})},
    )
    image = plot(da)
    assert isinstance(image, hv.Image)
    for at in ((10.0, 20.0), (90.0, 5.0), (50.0, 77.0)):
        assert image[at] == pytest.approx(at[0] + 2 * at[1], abs=1.0)
    assert max(image.dimension_values(2, flat=False).shape) <= 1440
    fewer = bound_view(da[:50], "points")(max_points=49)
    assert isinstance(fewer, hv.Image)


def test_the_mean_of_a_cell_is_exact(hv):
    x = np.array([0.0, 0.0, 0.0, 1.0])
    da = xr.DataArray([1.0, 2.0, np.nan, 5.0], dims="point", coords={"x": ("point", x), "y": ("point", x)})
    image = bound_view(da, "points")(max_points=1, prefix=False)
    values = image.dimension_values(2)
    assert sorted(values[np.isfinite(values)]) == [1.5, 5.0]


def test_spectra_stand_beside_their_map(hv):
    da = spiral(spectra=True)
    layout = plot(da, window=("100 mV", 0.3), isel={"point": 3})
    (points,) = [p for p in layout.traverse(None, [hv.Points]) if p.vdims]
    np.testing.assert_allclose(points.dimension_values(2), da.values[:, 1:4].mean(1))
    this, mean = layout.traverse(None, [hv.Curve])
    np.testing.assert_allclose(this.dimension_values(1), da.values[3])
    np.testing.assert_allclose(mean.dimension_values(1), da.values.mean(0))
    (mark,) = [p for p in layout.traverse(None, [hv.Points]) if not p.vdims]
    np.testing.assert_allclose(mark.array()[0], [float(da.x[3]) * 1e9, float(da.y[3]) * 1e3])


def test_of_large_lazy_spectra_a_part_is_read(hv, counted):
    plain = spiral(spectra=True)
    da, backend = counted(plain)
    layout = plot(da, max_bytes=N * 8 * 2)
    assert sum(backend.reads) < da.size
    labels = [c.label for c in layout.traverse(None, [hv.Curve])]
    assert labels == ["this point", "mean of 10 points"]
    assert not da.variable._in_memory


def test_points_without_a_place_are_left_out(hv):
    da = spiral()
    da.x[3:5] = np.nan
    points = plot(da)
    assert len(points) == N - 2
    assert points.opts.get("plot", backend="bokeh").kwargs["title"] == "2 without a place"
    da.x[:] = np.nan
    assert choose_view(da) == "curve"
    with pytest.raises(DimensionError, match="no point has a place"):
        bound_view(da, "points")()


def test_several_quantities_of_points_are_curves(hv):
    ds = xr.Dataset({"a": spiral(), "b": spiral() * 2})
    assert choose_view(ds) == "curve"
    hv.render(plot(ds), backend="bokeh")


def test_what_cannot_be_drawn_is_said(arrays):
    bare = arrays("point_cloud")
    assert choose_view(bare) == "curve"
    with pytest.raises(DimensionError, match="nothing says where the points"):
        bound_view(bare, "points")()
    with pytest.raises(DimensionError, match="'u' does not say where points are"):
        bound_view(spiral(), "points")(x="u")
    with pytest.raises(DimensionError, match="has no points"):
        bound_view(spiral()[:0], "points")()
    swapped = bound_view(spiral(), "points")(x="y", y="x")
    assert [d.name for d in swapped.kdims] == ["y", "x"]


@pytest.mark.parametrize("values", ["uint8", "int64", "float32", "complex64", "bool"])
@pytest.mark.parametrize("spectra", [False, True], ids=["values", "spectra"])
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_every_dtype_draws(hv, values, spectra, lazy):
    import matplotlib.pyplot as plt

    da = spiral(values, spectra=spectra)
    da = da.chunk() if lazy else da
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        picture = plot(da)
        hv.render(picture, backend="bokeh")
        plt.close(hv.render(picture, backend="matplotlib"))
        hv.render(plot(da, max_points=3), backend="bokeh")
        if da.dtype.kind == "c":
            phase = plot(da, component="phase")
            hv.render(phase, backend="bokeh")


@pytest.mark.parametrize("count", [1, 2], ids=["one", "line"])
@pytest.mark.parametrize("norm", ["linear", "log"])
def test_awkward_places_do_no_harm(hv, count, norm):
    import matplotlib.pyplot as plt

    values = np.array([np.nan, 0.0])[:count]
    places = {"x": ("point", np.zeros(count), {"units": "nm"}), "y": ("point", np.arange(count), {"units": "s"})}
    da = xr.DataArray(values, dims="point", coords=places)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for most in (0, 10):
            picture = bound_view(da, "points")(norm=norm, max_points=most)
            hv.render(picture, backend="bokeh")
            figure = hv.render(picture, backend="matplotlib")
            figure.canvas.draw()
            plt.close(figure)
