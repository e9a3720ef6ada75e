"""Pictures whose sides differ much, and curves of few points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("holoviews")
from matplotlib.figure import Figure
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from sid_xarray.viz import _style


def image(rows: int, columns: int) -> xr.DataArray:
    values = np.random.default_rng(0).random((rows, columns))
    coords = {"y": ("y", np.arange(rows) * 0.5, {"units": "nm"}), "x": ("x", np.arange(columns) * 0.5, {"units": "nm"})}
    return xr.DataArray(values, dims=("y", "x"), coords=coords, attrs={"units": "nA"}, name="current")


def drawn(da: xr.DataArray) -> Figure:
    import holoviews as hv

    return hv.render(da.sid.plot.image(), backend="matplotlib")


@pytest.mark.parametrize(
    ("shape", "has"), [((6, 8), True), ((3, 12), True), ((6, 1), False), ((2, 40), False), ((40, 2), False)]
)
def test_a_scale_bar_is_drawn_where_it_is_right_and_fits(shape, has):
    axes = drawn(image(*shape)).axes[0]
    bars = [a for a in axes.get_children() if isinstance(a, AnchoredSizeBar)]
    assert bool(bars) is has


def test_labels_of_a_narrow_image_stand_apart():
    figure = drawn(image(6, 1))
    figure.canvas.draw()
    low, high = sorted(figure.axes[0].get_xlim())
    labels = [t for t in figure.axes[0].get_xticklabels() if t.get_text() and low <= t.get_position()[0] <= high]
    boxes = sorted((t.get_window_extent() for t in labels), key=lambda b: b.x0)
    assert labels
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_the_legend_goes_where_no_line_is():
    x = np.array([0.0, 1.0, 2.0])
    assert _style.free_corner(x, [np.array([0.9, 1.0, 0.9]), np.array([0.4, 0.2, 0.0])]) == "bottom_left"
    assert _style.free_corner(x, [np.array([0.0, 0.0, 1.0])]) == "top_left"
    assert _style.free_corner(x, [np.array([0.5, 1.0, 1.0])]) == "bottom_right"
