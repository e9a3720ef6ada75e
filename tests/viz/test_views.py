"""Every view on every kind of data: it draws, or says in plain words why not."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.core.dims import data_kind
from sid_xarray.errors import DimensionError, RegistryError
from sid_xarray.viz.draw import VIEWS, bound_view, choose_view, plot
from sid_xarray.viz.views import TABLE, Shape

CHOSEN = {
    "spectrum": "curve",
    "line_profile": "curve",
    "line_profiles": "curve",
    "image": "image",
    "image_stack": "stack",
    "volume": "stack",
    "spectral_image": "spectral_image",
    "image_4d": "four_d",
    "point_cloud": "curve",
    "multidimensional": "curve",
}


def quietly(draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw()


def rendered(hv, element, backend):
    """Render and close; numbers that are not numbers must not leave as warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", UserWarning)
        out = hv.render(element, backend=backend)
    if backend == "matplotlib":
        import matplotlib.pyplot as plt

        out.canvas.draw()
        plt.close(out)
    return out


def test_the_view_follows_the_kind(arrays, kind):
    da = arrays(kind)
    assert data_kind(da) == kind
    assert choose_view(da) == CHOSEN[kind]


def test_plot_draws_every_kind_and_dtype(hv, arrays, kind, dtype):
    element = quietly(lambda: plot(arrays(kind, dtype)))
    assert isinstance(element, hv.core.Dimensioned | hv.Layout)
    for backend in ("bokeh", "matplotlib"):
        rendered(hv, element, backend)


@pytest.mark.parametrize("view", TABLE)
def test_every_view_draws_or_explains(hv, arrays, kind, view):
    try:
        element = quietly(lambda: bound_view(arrays(kind), view)())
    except DimensionError:
        assert view not in ("curve", "fit")
    else:
        rendered(hv, element, "matplotlib")


@pytest.mark.parametrize("view", TABLE)
def test_names_and_functions_agree(view):
    found = VIEWS[view]
    assert found is TABLE[view]
    function = found.load()
    parameters = list(inspect.signature(function).parameters.values())
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters[1:])
    assert "Returns\n" in inspect.getdoc(function)


def test_lazy_draws_the_same(hv, arrays, kind):
    da = arrays(kind)
    lazy = da.chunk()
    a, b = plot(da), plot(lazy)
    for one, other in zip(a.traverse(None, [hv.Image, hv.Curve]), b.traverse(None, [hv.Image, hv.Curve]), strict=True):
        for dim in one.dimensions():
            np.testing.assert_array_equal(one.dimension_values(dim), other.dimension_values(dim))
    assert lazy.chunks is not None


def test_values_of_a_file_are_read_for_the_slice_alone(arrays, counted):
    da, backend = counted(arrays("image_stack"))
    bound_view(da, "image")()
    assert backend.reads == [12 * 16]
    assert not da.variable._in_memory
    da, backend = counted(arrays("image"))
    plot(da)
    assert not da.variable._in_memory  # the picture has read it, the array of the user stays lazy
    da, backend = counted(arrays("image_4d"))
    bound_view(da, "image")()
    assert backend.reads == [8 * 9]
    da, backend = counted(arrays("spectral_image"))
    bound_view(da, "curve")()
    assert backend.reads == [9]


def test_only_the_chunks_of_the_slice_are_computed(arrays):
    da = arrays("image_stack")

    def guard(block, block_info=None):
        if block_info[0]["chunk-location"][0] != 2:
            raise AssertionError("another chunk was computed")
        return block

    data = da.chunk(time=1).data.map_blocks(guard, dtype=da.dtype, meta=np.zeros((0, 0, 0)))
    bound_view(da.copy(data=data), "image")()
    plot(da.copy(data=data), max_bytes=1)[2.0]


def test_a_large_lazy_spectral_image_is_read_in_part(hv, arrays, counted):
    da, backend = counted(arrays("spectral_image"))
    layout = bound_view(da, "spectral_image")(max_bytes=6 * 7 * 8 * 3)
    assert sum(backend.reads) < da.size
    (image,) = layout.traverse(None, [hv.Image])
    assert "mean of 3 of 9 points, 0.3 … 0.5 V" in image.opts.get("plot", backend="bokeh").kwargs["title"].replace(
        "\n", " "
    )
    np.testing.assert_allclose(image.dimension_values(2, flat=False), da.values[..., 3:6].mean(-1), rtol=1e-6)
    labels = [c.label for c in layout.traverse(None, [hv.Curve])]
    assert labels == ["this pixel", "mean of 3 × 3 px"]
    everything = bound_view(da, "spectral_image")()
    assert [c.label for c in everything.traverse(None, [hv.Curve])] == ["this pixel", "mean"]


def test_window_and_pixel(hv, arrays):
    da = arrays("spectral_image")
    layout = bound_view(da, "spectral_image")(window=("200 mV", 0.4), sel={"x": "1 nm"}, isel={"y": 5})
    (image,) = layout.traverse(None, [hv.Image])
    np.testing.assert_allclose(image.dimension_values(2, flat=False), da.values[..., 2:5].mean(-1), rtol=1e-6)
    curve = layout.traverse(None, [hv.Curve])[0]
    np.testing.assert_allclose(curve.dimension_values(1), da.values[5, 1])
    (mark,) = layout.traverse(None, [hv.Points])
    assert mark.array().tolist() == [[1.0, 5.0]]


def test_planes_are_chosen_and_named(hv, arrays):
    da = arrays("image_stack")
    for opts in ({"isel": {"time": 1}}, {"sel": {"time": "1.2 s"}}, {"sel": {"time": 0.9}}):
        image = bound_view(da, "image")(**opts)
        np.testing.assert_allclose(image.dimension_values(2, flat=False), da.values[1], rtol=1e-6)
        assert image.opts.get("plot", backend="bokeh").kwargs["title"] == "time = 1 s"
    across = bound_view(da, "image")(isel={"x": 0})
    assert [d.name for d in across.kdims] == ["time", "y"]
    with pytest.raises(DimensionError, match="Did you mean 'time'"):
        bound_view(da, "image")(isel={"tme": 1})
    with pytest.raises(DimensionError, match="outside 'time', which has 5 points"):
        bound_view(da, "image")(isel={"time": 5})


def test_a_number_has_no_picture():
    with pytest.raises(DimensionError, match="single number"):
        plot(xr.DataArray(1.0, name="a"))


def test_undescribed_planes_are_images(arrays):
    assert choose_view(xr.DataArray(np.zeros((4, 5)))) == "image"
    assert choose_view(xr.DataArray(np.zeros(4))) == "curve"


AWKWARD = {
    "all NaN": np.full((5, 6), np.nan),
    "constant": np.full((5, 6), 3.0),
    "zero": np.zeros((5, 6)),
    "single pixel": np.ones((1, 1)),
    "one row": np.arange(6.0).reshape(1, 6),
    "one column": np.arange(5.0).reshape(5, 1),
    "one NaN": np.where(np.eye(5, 6), np.nan, 1.0),
    "infinite": np.where(np.eye(5, 6), np.inf, 1.0),
    "huge": np.linspace(-1e300, 1e300, 30).reshape(5, 6),
    "tiny": np.linspace(0, 1e-300, 30).reshape(5, 6),
    "empty": np.zeros((0, 6)),
    "empty both": np.zeros((0, 0)),
    "float16": np.ones((5, 6), "f2"),
    "longdouble": np.ones((5, 6), np.longdouble),
    "big endian": np.arange(30.0).reshape(5, 6).astype(">f4"),
    "uint64": np.full((5, 6), 2**64 - 1, "u8"),
    "complex NaN": np.full((5, 6), np.nan + 1j, "c8"),
}


@pytest.mark.parametrize("values", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("dims", [("y", "x"), ("x", "energy")], ids=str)
@pytest.mark.parametrize("view", ["image", "curve"])
def test_awkward_values_do_no_harm(hv, values, dims, view):
    da = dataarray(values, dims=dict.fromkeys(dims, (1e-09, "m")), units="A")
    element = quietly(lambda: bound_view(da, view)())
    rendered(hv, element, "bokeh")
    rendered(hv, element, "matplotlib")


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (1, 1, 1), (2, 3, 1), (1, 3, 4)], ids=str)
def test_awkward_spectral_images(hv, shape):
    da = dataarray(np.ones(shape), dims={"y": (1, "nm"), "x": (1, "nm"), "energy": (1, "eV")})
    rendered(hv, quietly(lambda: plot(da)), "matplotlib")


@pytest.mark.parametrize("norm", ["linear", "log"])
def test_log_of_what_is_not_positive(hv, norm):
    for values in (
        np.zeros((4, 5)),
        -np.ones((4, 5)),
        np.full((4, 5), np.nan),
        np.geomspace(1e-3, 1e3, 20).reshape(4, 5),
    ):
        da = dataarray(values, dims={"y": 1, "x": 1})
        for backend in ("bokeh", "matplotlib"):
            rendered(hv, bound_view(da, "image")(norm=norm, gamma=0.5), backend)


COORDS = {
    "text": np.array(["a", "b", "c", "d"]),
    "times": np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "h"),
    "durations": np.arange(4) * np.timedelta64(1, "s"),
    "NaN": np.array([0.0, np.nan, 1.0, 2.0]),
    "loop": np.array([0.0, 1.0, 1.0, 0.0]),
    "same": np.zeros(4),
    "bool": np.array([True, False, True, False]),
}


@pytest.mark.parametrize("positions", COORDS.values(), ids=COORDS)
@pytest.mark.parametrize("view", ["image", "curve"])
def test_awkward_coordinates(hv, positions, view):
    da = xr.DataArray(np.arange(20.0).reshape(4, 5), dims=("a", "b"), coords={"a": positions})
    for opts in ({}, {"dim": "a"}) if view == "curve" else ({},):
        element = quietly(lambda opts=opts: bound_view(da, view)(**opts))
        rendered(hv, element, "bokeh")
        rendered(hv, element, "matplotlib")


def test_unknown_names_suggest(arrays):
    da = arrays("image")
    with pytest.raises(RegistryError, match=r"no view 'imag'. Did you mean 'image'"):
        bound_view(da, "imag")
    with pytest.raises(AttributeError):
        bound_view(da, "imag")
    with pytest.raises(TypeError, match=r"no option 'compnent'. Did you mean 'component'"):
        bound_view(arrays("spectrum"), "curve")(compnent="real")
    with pytest.raises(TypeError, match="no option 'colormap'"):
        plot(da, colormap="gray")
    with pytest.raises(ValueError, match="no backend 'plotly'"):
        plot(da, backend="plotly")


def test_bound_views_carry_signature_and_words(arrays):
    draw = bound_view(arrays("image"), "image")
    names = list(inspect.signature(draw).parameters)
    assert "obj" not in names
    assert {"x", "component", "backend"} <= set(names)
    assert draw.__name__ == "image"
    assert draw.__doc__.startswith("Draw an image")


def test_a_view_for_one_quantity_refuses_a_dataset(fit):
    with pytest.raises(DimensionError, match=r"ds\['center'\].sid.plot.image"):
        bound_view(fit, "image")
    assert bound_view(fit[["height"]], "image")().vdims[0].label == "height"


def test_backend_becomes_current(hv, arrays):
    plot(arrays("image"), backend="matplotlib")
    assert hv.Store.current_backend == "matplotlib"
    plot(arrays("image"))
    assert hv.Store.current_backend == "matplotlib"
    plot(arrays("image"), backend="bokeh")
    assert hv.Store.current_backend == "bokeh"


def test_shapes():
    assert Shape(spatial=2, spectral=1).fits(["spatial", "spectral", "spatial"])
    assert not Shape(spatial=2, spectral=1).fits(["spatial", "spectral"])
    assert Shape(any=2).fits(["unknown", "unknown"])


def test_two_maps_of_one_quantity_are_told_apart():
    dims = {"y": (1, "nm"), "x": (1, "nm")}
    image = dataarray(np.arange(12.0).reshape(3, 4), dims=dims, units="nA", quantity="current")
    picture = plot(xr.Dataset({"trace": image, "retrace": image}))
    titles = [str(pane.opts.get("plot", backend="bokeh").kwargs["title"]) for pane in picture.values()]
    assert titles == ["trace · current", "retrace · current"]
