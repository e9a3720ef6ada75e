"""The table: every view, on every kind of data, of every dtype, in memory and lazy; and any number of dimensions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, plot
from sid_xarray.viz.views import TABLE

DTYPES = ("uint8", "int64", "float32", "float64", "complex64", "bool")
NEEDS = {  # views that say no, and to which kinds
    "image": {"spectrum", "line_profile", "point_cloud"},
    "stack": {"spectrum", "line_profile", "line_profiles", "image", "point_cloud"},
    "complex": set(),
    "map_grid": {"spectrum", "line_profile", "point_cloud"},
}


def numbers(hv, picture):
    """Return all numbers of a picture."""
    found = []
    for element in picture.traverse(None, [hv.Image, hv.QuadMesh, hv.Curve, hv.Points, hv.RGB, hv.Table]):
        found += [np.asarray(element.dimension_values(d)) for d in element.dimensions()]
    return found


def drawn(da, view):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return bound_view(da, view)()


@pytest.mark.parametrize("view", TABLE)
def test_every_view_draws_every_dtype_or_says_why_not(hv, arrays, kind, view):
    refused = []
    for one in DTYPES:
        da = arrays(kind, one)
        try:
            picture = drawn(da, view)
        except DimensionError as error:
            assert len(str(error)) > 20
            refused.append(one)
            continue
        lazy = drawn(da.chunk(), view)
        if isinstance(picture, hv.DynamicMap):
            picture, lazy = (p[tuple(d.default for d in p.kdims)] for p in (picture, lazy))
        for a, b in zip(numbers(hv, picture), numbers(hv, lazy), strict=True):
            np.testing.assert_array_equal(a, b)
        if one in ("uint8", "complex64"):
            hv.render(picture, backend="bokeh")
    if view == "complex":
        assert refused == [d for d in DTYPES if d != "complex64"]
    else:
        assert refused in ([], list(DTYPES))  # it depends on dimensions, not on the dtype
    if view in NEEDS and view != "complex":
        assert bool(refused) == (kind in NEEDS[view])


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("one", ["float32", "complex64", "bool"])
def test_any_number_of_dimensions(hv, n, one):
    import matplotlib.pyplot as plt

    shape = (2, 3, 2, 3, 2, 3, 4)[-n:]
    values = np.arange(np.prod(shape), dtype=float).reshape(shape).astype(one)
    for names in (["y", "x", "energy", "time", "bias", "z", "ky"], list("abcdefg"), [f"q{i}" for i in range(7)]):
        da = dataarray(values, dims=dict.fromkeys(names[:n], 1))
        picture = plot(da)
        hv.render(picture, backend="bokeh")
        plt.close(hv.render(picture, backend="matplotlib"))


def test_no_dimension_is_no_picture():
    with pytest.raises(DimensionError, match="single number"):
        plot(xr.DataArray(np.float32(3)))


HARD = {
    "descending": np.arange(6.0)[::-1],
    "uneven": np.array([0.0, 1.0, 3.0, 4.0, 9.0, 10.0]),
    "NaN": np.array([0.0, 1.0, np.nan, 3.0, 4.0, 5.0]),
    "infinite": np.array([0.0, 1.0, np.inf, 3.0, 4.0, 5.0]),
    "turns back": np.array([0.0, 1.0, 2.0, 1.0, 0.0, -1.0]),
    "none": None,
}


@pytest.mark.parametrize("places", HARD.values(), ids=HARD)
@pytest.mark.parametrize("view", ["image", "stack", "four_d", "complex", "spectral_image", "curve"])
def test_hard_coordinates_draw_or_are_explained(hv, places, view):
    import matplotlib.pyplot as plt

    shape = {"image": 2, "complex": 2, "stack": 3, "spectral_image": 3, "four_d": 4, "curve": 2}[view]
    names = ["ky", "kx", "y", "x"] if view == "four_d" else ["y", "energy", "x"][:shape]
    values = np.random.default_rng(0).normal(size=(6,) * shape) * 10.0 ** np.arange(-3, 3)  # six decades
    da = xr.DataArray(values + (1j if view == "complex" else 0), dims=names)
    if places is not None:
        da = da.assign_coords({d: (d, places) for d in names})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        picture = bound_view(da, view)(dim="energy") if view == "spectral_image" else bound_view(da, view)()
        hv.render(picture, backend="bokeh")
        figure = hv.render(picture, backend="matplotlib")
    figure.canvas.draw()
    plt.close(figure)
