"""Images: which way is up, how long is a nanometre, what the colours mean."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz._axes import axis_of, horizontal_vertical, map_dims, share_scale
from sid_xarray.viz._scalebar import bar_length
from sid_xarray.viz.draw import bound_view, plot

PICTURE = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]])  # as it should be seen


def array(*, order=("y", "x"), flip_y=False, flip_x=False, units="nm", step=0.5):
    places = {"y": np.arange(3) * step, "x": np.arange(4) * step}
    if flip_y:
        places["y"] = places["y"][::-1]
    values = PICTURE
    if flip_x:
        places["x"], values = places["x"][::-1], values[:, ::-1]
    values = values if order == ("y", "x") else values.T
    return dataarray(values, dims={d: (places[d], units) for d in order}, units="nA", quantity="current")


def seen_in_bokeh(figure):
    """Return the picture as rows from top to bottom."""
    from bokeh.models import GlyphRenderer

    (data,) = [r.data_source.data for r in figure.select({"type": GlyphRenderer}) if "image" in r.data_source.data]
    image = np.asarray(data["image"][0])  # bokeh draws row 0 at the lowest y
    return image if figure.y_range.start > figure.y_range.end else image[::-1]


def seen_in_matplotlib(figure):
    axes = figure.axes[0]
    (image,) = axes.images
    rows = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    assert left < right
    if (image.origin == "upper") != (bottom < top):
        rows = rows[::-1]  # now row 0 has the largest y
    low, high = axes.get_ylim()
    assert axes.get_xlim()[0] < axes.get_xlim()[1]
    return rows if low < high else rows[::-1]


@pytest.mark.parametrize("order", [("y", "x"), ("x", "y")], ids=str)
@pytest.mark.parametrize("flip_y", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("flip_x", [False, True], ids=["rightwards", "leftwards"])
def test_row_0_is_on_top_and_x_runs_to_the_right(hv, order, flip_y, flip_x):
    import matplotlib.pyplot as plt

    image = plot(array(order=order, flip_y=flip_y, flip_x=flip_x))
    np.testing.assert_array_equal(seen_in_bokeh(hv.render(image, backend="bokeh")), PICTURE)
    figure = hv.render(image, backend="matplotlib")
    np.testing.assert_array_equal(seen_in_matplotlib(figure), PICTURE)
    plt.close(figure)
    assert [d.name for d in image.kdims] == ["x", "y"]
    # and every value still stands at its own coordinate
    da = array(order=order, flip_y=flip_y, flip_x=flip_x)
    for y in (0.0, 0.5, 1.0):
        for x in (0.0, 1.5):
            assert image[x, y] == float(da.sel(x=x, y=y))


@pytest.mark.parametrize("flip_y", [False, True], ids=["ascending", "descending"])
def test_uneven_grids_are_meshes_the_same_way_up(hv, flip_y):
    places = np.array([0.0, 1.0, 4.0])
    y = places[::-1] if flip_y else places
    da = dataarray(PICTURE, dims={"y": (y, "nm"), "x": (np.array([0.0, 1.0, 3.0, 9.0]), "nm")})
    mesh = plot(da)
    assert isinstance(mesh, hv.QuadMesh)
    options = mesh.opts.get("plot", backend="bokeh").kwargs
    assert options["invert_yaxis"] is not flip_y
    upward = mesh.dimension_values(2, flat=False)
    np.testing.assert_array_equal(upward if options["invert_yaxis"] else upward[::-1], PICTURE)
    edges = mesh.interface.coords(mesh, "y", edges=True)
    np.testing.assert_allclose(np.unique(edges), [-0.5, 0.5, 2.5, 5.5])


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_equal_aspect_in_space(hv, backend):
    import matplotlib.pyplot as plt

    da = dataarray(np.random.default_rng(0).normal(size=(30, 60)), dims={"y": (1, "nm"), "x": (1, "nm")})
    figure = hv.render(plot(da), backend=backend)
    if backend == "bokeh":
        across = abs(figure.x_range.end - figure.x_range.start) / figure.frame_width
        down = abs(figure.y_range.end - figure.y_range.start) / figure.frame_height
        assert across == pytest.approx(down, rel=0.01)
    else:
        assert figure.axes[0].get_aspect() == 1.0
        plt.close(figure)


def test_no_equal_aspect_between_nm_and_ev(hv, arrays):
    image = bound_view(arrays("line_profiles"), "image")()
    options = image.opts.get("plot", backend="bokeh").kwargs
    assert "data_aspect" not in options
    from bokeh.models import ScaleBar

    assert not hv.render(image, backend="bokeh").select({"type": ScaleBar})


def test_mixed_prefixes_share_one(hv):
    da = dataarray(np.zeros((20, 40)), dims={"y": (1e-9, "m"), "x": (1e-3, "um")})
    image = plot(da)
    assert [str(d.unit) for d in image.kdims] == ["nm", "nm"]
    assert image.bounds.lbrt() == pytest.approx((-0.5, -0.5, 39.5, 19.5))
    kept = bound_view(da, "image")(prefix=False)
    assert [str(d.unit) for d in kept.kdims] == ["µm", "µm"]


@pytest.mark.parametrize(
    ("units", "step", "unit", "text"),
    [
        ("m", 5e-9, "nm", "50 nm"),
        ("nm", 0.01, "pm", "100 pm"),
        ("um", 1.0, "µm", "10 µm"),
        ("angstrom", 1.0, "Å", "10 Å"),
        ("1/nm", 0.1, "nm⁻¹", "1 nm⁻¹"),
    ],
)
def test_scale_bars_have_the_right_prefix(hv, units, step, unit, text):
    import matplotlib.pyplot as plt
    from bokeh.models import MetricLength, ScaleBar
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    names = ("ky", "kx") if units.startswith("1/") else ("y", "x")
    da = dataarray(np.random.default_rng(0).normal(size=(60, 60)), dims=dict.fromkeys(names, (step, units)))
    image = plot(da)
    (bar,) = hv.render(image, backend="bokeh").select({"type": ScaleBar})
    assert bar.unit == str(image.kdims[0].unit)
    assert isinstance(bar.dimensional, MetricLength) == (bar.unit in ("pm", "nm", "µm", "mm", "m"))
    assert bar.unit in (bar.dimensional.include or ())
    figure = hv.render(image, backend="matplotlib")
    (artist,) = [a for a in figure.axes[0].artists if isinstance(a, AnchoredSizeBar)]
    assert artist.txt_label.get_text() == text
    plt.close(figure)


def test_bar_lengths_are_round():
    assert bar_length(5.0, "nm") == (1.0, "1 nm")
    assert bar_length(2.0, "nm") == (0.5, "500 pm")
    assert bar_length(4000.0, "nm") == (1000.0, "1 µm")
    assert bar_length(80, "degree") == (20.0, "20 °")


def test_no_scale_bar_without_a_scale(hv):
    from bokeh.models import ScaleBar

    for opts, dims in (({}, {"y": None, "x": None}), ({"scalebar": False}, {"y": (1, "nm"), "x": (1, "nm")})):
        image = bound_view(dataarray(PICTURE, dims=dims), "image")(**opts)
        assert not hv.render(image, backend="bokeh").select({"type": ScaleBar})


def test_labels_tell_quantity_and_units(hv):
    import matplotlib.pyplot as plt

    da = dataarray(PICTURE * 1e-12, dims={"y": (1e-9, "m"), "x": (1e-9, "m")}, units="A", quantity="tunnelling current")
    image = plot(da)
    assert image.vdims[0].pprint_label == "tunnelling current (pA)"
    np.testing.assert_allclose(image.dimension_values(2, flat=False), PICTURE)
    figure = hv.render(image, backend="matplotlib")
    texts = {t for axes in figure.axes for t in (axes.get_xlabel(), axes.get_ylabel())}
    assert {"x (nm)", "y (nm)", "tunnelling current (pA)"} <= texts
    plt.close(figure)
    drawn = hv.render(image, backend="bokeh")
    assert (drawn.xaxis.axis_label, drawn.yaxis.axis_label) == ("x (nm)", "y (nm)")


def test_limits_are_robust_and_of_the_whole_frame():
    values = np.random.default_rng(0).uniform(0, 1, (200, 200))
    values[3, 4] = 1e6
    image = plot(dataarray(values, dims={"y": (1, "nm"), "x": (1, "nm")}))
    lo, hi = image.opts.get("plot", backend="bokeh").kwargs["clim"]
    assert 0 <= lo < 0.01
    assert 0.99 < hi <= 1
    chosen = bound_view(dataarray(values, dims={"y": 1, "x": 1}), "image")(clim=(0, 2))
    assert chosen.opts.get("plot", backend="matplotlib").kwargs["clim"] == (0, 2)


def test_colour_maps_by_meaning(arrays):
    def cmap(image):
        return image.opts.get("style", backend="bokeh").kwargs["cmap"]

    assert cmap(plot(arrays("image"))) == "gray"
    assert cmap(bound_view(arrays("image_4d"), "image")()) == "inferno"
    phase = bound_view(arrays("image", "complex64"), "image")(component="phase")
    assert cmap(phase) == "twilight"
    assert phase.opts.get("plot", backend="bokeh").kwargs["clim"] == (-np.pi, np.pi)
    assert str(phase.vdims[0].unit) == "rad"
    assert len(cmap(bound_view(arrays("image"), "image")(gamma=0.5))) == 1024


@pytest.mark.parametrize(
    ("component", "function"),
    [("amplitude", np.abs), ("phase", np.angle), ("real", np.real), ("imag", np.imag), (None, np.abs)],
)
def test_parts_of_complex_values(arrays, component, function):
    da = arrays("image", "complex64")
    image = bound_view(da, "image")(component=component)
    np.testing.assert_allclose(image.dimension_values(2, flat=False), function(da.values), rtol=1e-5)


def test_parts_that_do_not_exist(arrays):
    with pytest.raises(ValueError, match="phase of real values"):
        bound_view(arrays("image"), "image")(component="phase")
    with pytest.raises(ValueError, match="no component 'abs'"):
        bound_view(arrays("image"), "image")(component="abs")


def test_large_images_are_averaged_and_keep_their_extent():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(90, 120))
    values[:3, :3] = np.nan
    da = dataarray(values, dims={"y": (1, "nm"), "x": (1, "nm")})
    image = bound_view(da, "image")(max_pixels=1200)
    assert image.dimension_values(2, flat=False).shape == (30, 40)
    assert image.bounds.lbrt() == pytest.approx((-0.5, -0.5, 119.5, 89.5))
    shown = image.dimension_values(2, flat=False)
    assert np.isnan(shown[0, 0])
    np.testing.assert_allclose(shown[1, 1], values[3:6, 3:6].mean())


def test_large_uneven_grids_become_images(hv):
    x = np.geomspace(1, 100, 500)
    da = dataarray(np.tile(x, (500, 1)), dims={"y": (1, "nm"), "x": (x, "nm")})
    image = plot(da)
    assert isinstance(image, hv.Image)
    shown = image.dimension_values(2, flat=False)[0]
    assert np.all(np.diff(shown) >= 0)
    places = image.dimension_values(0, expanded=False)
    assert np.max(np.abs(shown - places)) < 1


NAMES = [
    (("y", "x"), ("x", "y")),
    (("x", "y"), ("x", "y")),
    (("X", "row"), ("X", "row")),
    (("row", "col"), ("col", "row")),
    (("kx", "ky"), ("kx", "ky")),
    (("q_y", "q_x"), ("q_x", "q_y")),
    (("x", "energy"), ("x", "energy")),
    (("energy", "y"), ("energy", "y")),
    (("a", "b"), ("b", "a")),
]


@pytest.mark.parametrize(("dims", "expected"), NAMES, ids=str)
def test_horizontal_and_vertical_by_name(dims, expected):
    da = dataarray(np.zeros((2, 3)), dims=dict.fromkeys(dims))
    assert horizontal_vertical(da, dims) == expected


def test_horizontal_and_vertical_by_hand():
    da = dataarray(np.zeros((2, 3, 4)), dims={"z": 1, "y": 1, "x": 1})
    assert map_dims(da) == ("x", "y")
    assert map_dims(da, x="y") == ("y", "x")
    assert map_dims(da, y="z") == ("x", "z")
    assert map_dims(da, x="z", y="x") == ("z", "x")
    with pytest.raises(DimensionError, match="x and y are both 'x'"):
        map_dims(da, x="x", y="x")
    with pytest.raises(DimensionError, match="no dimension 'w'"):
        map_dims(da, x="w")


def test_axes_of_different_things_keep_their_own_prefix(arrays):
    da = arrays("spectral_image")
    x, bias, same = share_scale(axis_of(da, "x"), axis_of(da, "bias"))
    assert (x.units, bias.units, same) == ("nm", "V", False)


@pytest.mark.parametrize("quantity", ["distance", "height", "x", "y"])
@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_axes_and_values_of_one_name_are_told_apart(quantity: str, backend: str) -> None:
    """Real files call both axes ``distance``; holoviews would mix them up."""
    values = np.arange(12.0).reshape(3, 4)
    da = dataarray(values, {"y": (0.5, "nm"), "x": (1.0, "nm")}, quantity=quantity, name="z")
    for dim in da.dims:
        da[dim].attrs["long_name"] = "distance"
    picture = da.sid.plot(backend=backend)
    (image,) = picture.traverse(lambda e: e, [hv.Image])
    assert (image.bounds.lbrt()) == (-0.5, -0.25, 3.5, 1.25)
    np.testing.assert_array_equal(image.dimension_values(2, flat=False), values)
    curve = da.isel(y=0).sid.plot(backend=backend)
    hv.render(curve, backend=backend)


def test_masked_values_are_left_out_of_picture_and_limits(hv, arrays):
    da = array()
    hidden = PICTURE > 10
    for mask in (hidden, da > 10, (da > 10).T):
        image = bound_view(da, "image")(mask=mask, robust=(0, 100))
        np.testing.assert_array_equal(image.dimension_values(2, flat=False), np.where(hidden, np.nan, PICTURE))
        assert image.opts.get("plot", backend="bokeh").kwargs["clim"] == (1, 10)
    stack = arrays("image_stack")
    image = bound_view(stack, "image")(mask=stack > stack.values[1, 5, 5], isel={"time": 1})
    assert np.isnan(image.dimension_values(2, flat=False)).sum() == (stack.values[1] > stack.values[1, 5, 5]).sum()
    for mask, words in ((np.ones(3, bool), "has shape"), (da[:2] > 1, "do not fit"), (da, "true where values")):
        with pytest.raises(DimensionError, match=words):
            bound_view(da, "image")(mask=mask)


@pytest.mark.parametrize("flip_y", [False, True], ids=["ascending", "descending"])
def test_contours_lie_where_the_values_are(hv, flip_y):
    import matplotlib.pyplot as plt

    y = np.linspace(0, 2, 21)[:: -1 if flip_y else 1]
    values = np.tile(y[:, None], (1, 11)) ** 2  # nA
    da = dataarray(values, dims={"y": (y, "nm"), "x": (0.1, "nm")}, units="nA")
    picture = bound_view(da, "image")(contours=[1.0, 2.25])
    (lines,) = picture.traverse(None, [hv.Contours])
    for level, place in ((1.0, 1.0), (2.25, 1.5)):
        (line,) = [part for part in lines.split() if part.dimension_values(2)[0] == level]
        np.testing.assert_allclose(line.dimension_values(1), place, atol=0.01)
    assert picture.opts.get("plot", backend="bokeh").kwargs["invert_yaxis"] is not flip_y
    three = bound_view(da, "image")(contours=3)
    (lines,) = three.traverse(None, [hv.Contours])
    levels = lines.dimension_values(2)
    assert len(np.unique(levels[np.isfinite(levels)])) == 3
    for backend in ("bokeh", "matplotlib"):
        figure = hv.render(three, backend=backend)
        if backend == "matplotlib":
            plt.close(figure)
    for odd in (da[:1], da * np.nan, da * 0 + 1):
        hv.render(bound_view(odd, "image")(contours=2), backend="bokeh")
    with pytest.raises(ValueError, match="contours should be a number of lines"):
        bound_view(da, "image")(contours=0)
