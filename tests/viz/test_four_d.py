"""Patterns at every pixel: what a virtual detector sees, where it is, and how much is read for that."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot

K = np.arange(16) * 0.5 - 3.0  # mrad; the beam is not in the middle


def cube(order=("y", "x", "ky", "kx"), dtype="float64"):
    """Return patterns with a disc around (1, -0.5) mrad; every pixel has its own brightness."""
    kx, ky = K[None, :], K[:, None]
    disc = (np.hypot(kx - 1, ky + 0.5) < 1.6) * 1.0
    bright = np.arange(1.0, 13.0).reshape(3, 4)
    values = bright[..., None, None] * (disc + 0.01)
    dims = {"y": (0.5e-9, "m"), "x": (0.5e-9, "m"), "ky": (K, "mrad"), "kx": (K, "mrad")}
    da = dataarray(values.astype(dtype), dims=dims, units="count", quantity="intensity")
    return da.transpose(*order)


def panes(hv, layout):
    image, pattern = layout.traverse(None, [hv.Image])
    return image, pattern


def values_of(image):
    return image.dimension_values(2, flat=False)


def title(image):
    return image.opts.get("plot", backend="bokeh").kwargs["title"].replace("\n", " ")


@pytest.mark.parametrize("order", [("y", "x", "ky", "kx"), ("kx", "ky", "x", "y"), ("x", "kx", "y", "ky")], ids=str)
def test_by_default_the_whole_pattern_counts(hv, order):
    da = cube(order)
    assert choose_view(da) == "four_d"
    image, pattern = panes(hv, plot(da))
    plain = cube()
    np.testing.assert_allclose(values_of(image), plain.values.mean((2, 3)))
    np.testing.assert_allclose(values_of(pattern), plain.values.mean((0, 1)))
    assert [d.pprint_label for d in image.dimensions()] == ["x (nm)", "y (nm)", "intensity (counts)"]
    assert [d.pprint_label for d in pattern.kdims] == ["kx (mrad)", "ky (mrad)"]
    assert (title(image), title(pattern)) == ("mean of the whole pattern", "mean pattern")


def test_a_ring_is_centred_on_the_beam(hv):
    da = cube()
    layout = plot(da, inner=2, outer="4 mrad")
    image, _ = panes(hv, layout)
    far = np.hypot(K[None, :] - 1, K[:, None] + 0.5)
    mask = (far >= 2) & (far <= 4)
    np.testing.assert_allclose(values_of(image), da.values[..., mask].mean(-1))
    assert title(image) == f"mean of {mask.sum()} px, 2 … 4 mrad"
    rings = layout.traverse(None, [hv.Ellipse])
    assert [(r.x, r.y, r.width) for r in rings] == [
        (pytest.approx(1), pytest.approx(-0.5), 4),
        (pytest.approx(1), pytest.approx(-0.5), 8),
    ]


def test_rings_follow_the_units_of_the_picture(hv):
    da = cube()
    for dim in ("kx", "ky"):
        da = da.assign_coords({dim: (dim, K * 1e-3, {"units": "rad", "sid_dimension_type": "reciprocal"})})
    layout = plot(da, outer="1 mrad", center=(0.002, "1 mrad"))
    image, pattern = panes(hv, layout)
    assert str(pattern.kdims[0].unit) == "mrad"
    (ring,) = layout.traverse(None, [hv.Ellipse])
    assert (ring.x, ring.y, ring.width) == (pytest.approx(2), pytest.approx(1), pytest.approx(2))
    mask = np.hypot(K[None, :] - 2, K[:, None] - 1) <= 1.0000001
    np.testing.assert_allclose(values_of(image), da.values[..., mask].mean(-1))


def test_a_beam_stop_lets_all_the_rest_through(hv):
    da = cube()
    image, _ = panes(hv, plot(da, inner=2))
    mask = np.hypot(K[None, :] - 1, K[:, None] + 0.5) >= 2
    np.testing.assert_allclose(values_of(image), da.values[..., mask].mean(-1))
    assert title(image).endswith("px, 2 … ∞ mrad")


def test_the_pattern_of_a_pixel(hv):
    da = cube()
    layout = plot(da, isel={"y": -1}, sel={"x": "0.5 nm"})
    _, pattern = panes(hv, layout)
    np.testing.assert_allclose(values_of(pattern), da.values[2, 1])
    assert title(pattern) == "x = 0.5 nm · y = 1 nm"
    (mark,) = layout.traverse(None, [hv.Points])
    assert mark.array().tolist() == [[0.5, 1.0]]


def test_dims_are_chosen_by_hand_and_further_ones_are_fixed(hv):
    names = ("t", "a", "b", "c", "d")
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 6))
    da = dataarray(values, dims=dict.fromkeys(names, (1, "1")))
    image, pattern = panes(hv, bound_view(da, "four_d")(isel={"d": 1}, scan=("a", "b"), pattern=("c", "t")))
    assert [d.name for d in image.kdims] == ["b", "a"]
    assert [d.name for d in pattern.kdims] == ["c", "t"]
    np.testing.assert_allclose(values_of(image), values[..., 1].mean((0, 3)), rtol=1e-6)
    image, _ = panes(hv, bound_view(da, "four_d")())
    np.testing.assert_allclose(values_of(image), values[:, :, 2].mean((2, 3)), rtol=1e-6)


def test_gaps_are_left_out(hv):
    da = cube()
    da[1, 2] = np.nan
    da[0, 0, 3, 3] = np.inf
    image, pattern = panes(hv, plot(da, outer=9))
    expected = np.where(np.isfinite(da.values), da.values, np.nan)
    far = np.hypot(K[None, :] - 1, K[:, None] + 0.5) <= 9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(values_of(image), np.nanmean(expected[..., far], -1))
    assert np.isfinite(values_of(pattern)).all()


def test_of_large_lazy_data_a_part_is_read_and_the_titles_say_so(hv, counted):
    da, backend = counted(cube())
    image, pattern = panes(hv, plot(da, max_bytes=16 * 16 * 8 * 3))
    assert sum(backend.reads) < da.size / 1.5
    assert title(image) == "mean of the middle 8 × 8 px of the pattern"
    np.testing.assert_allclose(values_of(image), cube().values[:, :, 4:12, 4:12].mean((2, 3)))
    assert title(pattern) == "mean of 2 patterns"
    assert not da.variable._in_memory
    da, backend = counted(cube())
    plot(da, outer=1, center=(1, -0.5), max_bytes=16 * 16 * 8, isel={"x": 0})
    assert backend.reads[0] == 16 * 16  # the pattern
    assert sum(backend.reads[1:]) == 12 * 25  # the box of the detector alone


def test_what_makes_no_sense_is_said(arrays):
    with pytest.raises(DimensionError, match="a pattern at every pixel has four dimensions"):
        bound_view(arrays("image_stack"), "four_d")()
    with pytest.raises(ValueError, match="the ring from inner=3 to outer=1 is empty"):
        plot(cube(), inner=3, outer=1)
    with pytest.raises(DimensionError, match="no pixel of the pattern lies"):
        plot(cube(), center=(100, 100), outer=1)
    with pytest.raises(DimensionError, match="a ring needs positions"):
        bound_view(cube(), "four_d")(pattern=("x", "kx"), scan=("y", "ky"), outer=1)
    with pytest.raises(DimensionError, match="'kx' is a dimension of the patterns"):
        plot(cube(), isel={"kx": 3})
    with pytest.raises(DimensionError, match="outside 'x', which has 4 points"):
        plot(cube(), isel={"x": 4})
    with pytest.raises(DimensionError, match="share a dimension"):
        bound_view(cube(), "four_d")(scan=("x", "y"), pattern=("x", "kx"))


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 3, 4, 5)), np.full((2, 3, 4, 5), np.nan), np.ones((1, 1, 1, 1)), np.zeros((0, 3, 4, 5)),
     np.zeros((2, 3, 4, 5), bool), np.ones((2, 3, 4, 5), "u1"), np.ones((2, 3, 4, 5), "c8")],
    ids=["zero", "NaN", "one", "empty", "bool", "uint8", "complex"],
)  # fmt: skip
def test_awkward_values_do_no_harm(hv, values, backend):
    import matplotlib.pyplot as plt

    dims = {"y": (1, "nm"), "x": (1, "nm"), "ky": (1, "1/nm"), "kx": (1, "1/nm")}
    da = dataarray(values, dims=dims)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for norm in ("linear", "log"):
            figure = hv.render(plot(da, outer=2, norm=norm, max_bytes=100), backend=backend)
            if backend == "matplotlib":
                figure.canvas.draw()
                plt.close(figure)


def test_zeros_are_dark_on_a_logarithmic_scale(hv):
    import matplotlib.pyplot as plt

    counts = np.array([[0.0, 1.0, 10.0], [100.0, np.nan, 0.0]])
    picture = bound_view(dataarray(counts, dims={"y": 1, "x": 1}), "image")(norm="log", clim=(1, 100))
    figure = hv.render(picture, backend="matplotlib")
    (image,) = figure.axes[0].images
    shown = image.get_array()
    assert shown.mask.sum() == 1
    np.testing.assert_allclose(np.sort(shown.compressed())[:3], [1, 1, 1])
    assert 0.0 in picture.dimension_values(2)
    plt.close(figure)
