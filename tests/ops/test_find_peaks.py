"""Peaks of arrays with units: what the arguments mean, what comes back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.testing import assert_lazy, assert_roundtrip, assert_same, no_compute

ENERGY = {"units": "eV", "long_name": "energy loss", "sid_dimension_type": "spectral"}


def lines(*, ny=3, nx=4, n=400, noise=0.0, dtype=float):
    """Spectra with a growing number of lines: 1 at the first point, one more at each next one."""
    x = np.linspace(0, 40, n)
    y = np.zeros((ny, nx, n))
    for i in range(ny * nx):
        for k in range(i % 5):
            y[i // nx, i % nx] += (5 + k) * np.exp(-(((x - 4 - 8 * k - 0.1 * i) / 0.7) ** 2) / 2)
    y += np.random.default_rng(0).normal(scale=noise, size=y.shape) if noise else 0
    coords = {
        "y": ("y", 0.5 * np.arange(ny), {"units": "nm"}),
        "x": ("x", 0.5 * np.arange(nx), {"units": "nm"}),
        "energy": ("energy", x, ENERGY),
    }
    return xr.DataArray(y.astype(dtype), dims=("y", "x", "energy"), coords=coords, name="eels", attrs={"units": "nA"})


def columns(*, frames=None, ny=60, nx=70, step=(0.2, 0.1)):
    """An image with four columns of known centres, in nm; of a movie they move by one step a frame."""
    y, x = step[0] * np.arange(ny), step[1] * np.arange(nx)
    centers = np.array([(3.03, 1.51), (3.0, 4.02), (8.07, 2.0), (8.5, 5.04)])

    def one(shift):
        out = np.zeros((ny, nx))
        for k, (a, b) in enumerate(centers + shift):
            out += (4 - k) * np.exp(-(((y[:, None] - a) / 0.5) ** 2) / 2 - ((x - b) / 0.3) ** 2 / 2)
        return out

    coords = {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})}
    if frames is None:
        return xr.DataArray(one(0), dims=("y", "x"), coords=coords, name="haadf", attrs={"units": "count"}), centers
    stack = np.stack([one(0.1 * i) for i in range(frames)])
    coords["frame"] = ("frame", np.arange(frames, dtype=float), {"units": "1"})
    return xr.DataArray(stack, dims=("frame", "y", "x"), coords=coords, name="movie", attrs={"units": "count"}), centers


def test_a_varying_number_of_lines():
    da = lines()
    peaks = da.sid.find_peaks(prominence=0.1)
    assert peaks.sizes == {"y": 3, "x": 4, "peak": 4}
    np.testing.assert_array_equal(peaks.n_peaks.values.ravel(), np.arange(12) % 5)
    np.testing.assert_array_equal(peaks.energy.notnull().sum("peak"), peaks.n_peaks)
    i = 9  # four lines
    there = peaks.energy.values.reshape(12, 4)[i]
    np.testing.assert_allclose(there, 4 + 8 * np.arange(4) + 0.1 * i, atol=1e-3)
    assert {k: v.attrs["units"] for k, v in peaks.data_vars.items()} == {
        "energy": "eV",
        "height": "nA",
        "prominence": "nA",
        "fwhm": "eV",
        "n_peaks": "1",
    }
    assert peaks.energy.attrs["long_name"] == "energy loss"
    assert peaks.x.attrs == da.x.attrs
    assert peaks.energy.sid.provenance.status == "verified"


def test_a_table_for_others():
    table = lines().sid.find_peaks(prominence=0.1).to_dataframe().dropna()
    assert len(table) == 21
    assert list(table.columns) == ["energy", "height", "prominence", "fwhm", "n_peaks"]
    assert table.index.names == ["y", "x", "peak"]


@pytest.mark.parametrize(("text", "number"), [("0.5 eV", 0.5), ("500 meV", 0.5), (0.5, 0.5)])
def test_lengths_in_other_units(text, number):
    da = lines(noise=0.3)
    wanted = da.sid.find_peaks(smooth=number, distance=number, width=number, prominence=1)
    assert_same(da.sid.find_peaks(smooth=text, distance=text, width=text, prominence="1000 pA"), wanted)
    there = xr.DataArray(1000 * number, attrs={"units": "meV"})
    assert_same(da.sid.find_peaks(smooth=there, distance=there, width=(there, None), prominence=1), wanted)


def test_the_direction_of_an_axis_does_not_matter():
    da = lines(noise=0.1)
    up = da.sid.find_peaks(prominence=0.5, smooth=0.2, distance=1.0)
    down = da.isel(energy=slice(None, None, -1)).sid.find_peaks(prominence=0.5, smooth=0.2, distance=1.0)
    for name in up.data_vars:
        np.testing.assert_allclose(up[name], down[name], rtol=1e-9, atol=1e-9)


def test_dims_in_any_order_and_more_of_them():
    da = lines().expand_dims(a=2, b=3)
    wanted = lines().sid.find_peaks(prominence=0.1)
    found = da.transpose("energy", "b", "x", "a", "y").sid.find_peaks(prominence=0.1)
    assert found.energy.dims == ("b", "x", "a", "y", "peak")
    np.testing.assert_array_equal(found.energy.isel(a=1, b=2).transpose("y", "x", "peak"), wanted.energy)


def test_lazy_data_say_how_many():
    da = lines(noise=0.2).chunk(y=1, x=2, energy=100)
    with pytest.raises(DimensionError, match=r"find_peaks\(max_peaks=10\)"):
        da.sid.find_peaks()
    with no_compute():
        lazy = da.sid.find_peaks(prominence=1, smooth=0.3, max_peaks=3)
    assert_lazy(lazy)
    eager = da.compute().sid.find_peaks(prominence=1, smooth=0.3, max_peaks=3)
    assert lazy.energy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), eager)
    assert eager.sizes["peak"] == 3
    assert int(eager.n_peaks.max()) == 4


def test_max_peaks_pads_too():
    assert lines().sid.find_peaks(max_peaks=9, prominence=0.1).sizes["peak"] == 9


@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "i4"])
def test_dtypes(dtype):
    peaks = (100 * lines()).astype(dtype).sid.find_peaks(prominence=10)
    assert peaks.energy.dtype == peaks.fwhm.dtype == np.float64
    assert peaks.height.dtype == peaks.prominence.dtype == (np.float32 if dtype in ("f4", "u2") else np.float64)
    assert peaks.n_peaks.dtype == np.int32
    assert int(peaks.n_peaks.sum()) == 21


def test_columns_of_an_image():
    da, centers = columns()
    peaks = da.sid.find_peaks(dim=("y", "x"), height=0.5)
    assert list(peaks.data_vars) == ["y", "x", "height", "prominence", "n_peaks"]
    assert peaks.y.dims == ("peak",)
    np.testing.assert_allclose(np.stack([peaks.y, peaks.x], axis=-1), centers, atol=5e-3)
    assert (np.diff(peaks.height) < 0).all()
    assert {v: peaks[v].attrs["units"] for v in ("y", "x", "height")} == {"y": "nm", "x": "nm", "height": "count"}
    xr.testing.assert_equal(da.transpose("x", "y").sid.find_peaks(("y", "x"), height=0.5), peaks)
    swapped = da.sid.find_peaks(("x", "y"), height=0.5)
    np.testing.assert_allclose(swapped.y, peaks.y)


def test_columns_of_a_movie():
    da, centers = columns(frames=3)
    peaks = da.sid.find_peaks(dim=("y", "x"), height=0.5, max_peaks=4)
    assert peaks.y.dims == ("frame", "peak")
    np.testing.assert_allclose(peaks.y - peaks.frame * 0.1, np.tile(centers[:, 0], (3, 1)), atol=5e-3)
    lazy = da.chunk(frame=1, y=20).sid.find_peaks(dim=("y", "x"), height=0.5, max_peaks=4)
    xr.testing.assert_equal(lazy.compute(), peaks)


def test_distances_along_both_dimensions():
    da, _ = columns()
    assert int(da.sid.find_peaks(("y", "x"), height=0.5, distance=4).n_peaks) == 2
    assert int(da.sid.find_peaks(("y", "x"), height=0.5, distance={"y": 1, "x": "20 angstrom"}).n_peaks) == 4
    assert int(da.sid.find_peaks(("y", "x"), height=0.5, distance="40 angstrom", smooth={"x": 0.1}).n_peaks) == 2
    energy = lines().isel(y=0).sid.set_dims(x="spatial")
    with pytest.raises(UnitsError, match=r"distance=3 is one number for x in nm and energy in eV"):
        energy.sid.find_peaks(("x", "energy"), distance=3)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"dim": "nowhere"}, DimensionError, "no dimension 'nowhere'"),
        ({"dim": ("y", "x", "energy")}, DimensionError, "along one dimension, or in a plane"),
        ({"dim": ("y", "y")}, DimensionError, "in a plane"),
        ({"dim": ("y", "x"), "width": 1}, DimensionError, "width is for peaks of curves"),
        ({"max_peaks": 0}, DimensionError, "whole number of 1 or more"),
        ({"max_peaks": 2.5}, DimensionError, "whole number of 1 or more"),
        ({"max_peaks": True}, DimensionError, "whole number of 1 or more"),
        ({"smooth": -1}, DimensionError, "smooth along 'energy' is a length in eV above zero"),
        ({"smooth": 0}, DimensionError, "above zero"),
        ({"distance": np.nan}, DimensionError, "above zero"),
        ({"distance": {"x": 1}}, DimensionError, "distance names 'x'"),
        ({"distance": "1 nm"}, UnitsError, "nm"),
        ({"height": "1 nm"}, UnitsError, "nm"),
        ({"height": (3, 1)}, DimensionError, r"\(least, greatest\)"),
        ({"height": (1, 2, 3)}, DimensionError, r"\(least, greatest\)"),
        ({"height": [[1, 2]]}, DimensionError, "height"),
        ({"prominence": {}}, DimensionError, "prominence is a number in nA"),
        ({"prominence": xr.DataArray([1, 2])}, DimensionError, "one number"),
        ({"dim": ("y", "x"), "distance": {"y": 1}}, DimensionError, "says nothing of 'x'"),
    ],
)
def test_what_is_refused(kwargs, error, match):
    with pytest.raises(error, match=match):
        lines().sid.find_peaks(**kwargs)


def test_data_that_are_refused():
    da = lines()
    with pytest.raises(DimensionError, match=r"abs\(da\)\.sid\.find_peaks"):
        (da * 1j).sid.find_peaks()
    with pytest.raises(DimensionError, match="numbers"):
        da.astype(str).sid.find_peaks()
    with pytest.raises(DimensionError, match=r"find_peaks\(dim=\('y', 'x'\)\)"):
        columns()[0].sid.find_peaks()
    with pytest.raises(DimensionError, match="turn back"):
        da.assign_coords(energy=np.abs(da.energy - 20)).sid.find_peaks(dim="energy")
    with pytest.raises(DimensionError, match="no point"):
        da.isel(energy=slice(0)).sid.find_peaks()
    with pytest.raises(DimensionError, match="'height' is a dimension or coordinate"):
        da.rename(x="height").sid.find_peaks()
    with pytest.raises(DimensionError, match="'peak' is a dimension or coordinate"):
        da.rename(x="peak").sid.find_peaks()
    with pytest.raises(DimensionError, match="two variables"):
        da.rename(energy="height").sid.find_peaks(dim="height")


def test_little_and_nothing():
    da = lines()
    for few in (da.isel(energy=[0]), da.isel(energy=[0, 1]), da * np.nan, da * 0):
        peaks = few.sid.find_peaks()
        assert peaks.sizes["peak"] == 1
        assert not peaks.n_peaks.any()
        assert peaks.energy.isnull().all()
    assert da.isel(y=slice(0)).sid.find_peaks().sizes == {"y": 0, "x": 4, "peak": 1}
    assert int(da.isel(y=1, x=1).sid.find_peaks(height=0.5).n_peaks) == 0
    assert da.isel(y=1, x=0).sid.find_peaks(height=0.5).energy.dims == ("peak",)


def test_a_history_does_it_again():
    da = lines(noise=0.2)
    peaks = da.sid.find_peaks(prominence=(1, 100), smooth="300 meV", distance=1.5, width=(0.5, None), max_peaks=3)
    said = peaks.energy.sid.provenance.parameters()
    assert said == {
        "dim": "energy",
        "prominence": [1, 100],
        "smooth": 0.3,
        "distance": 1.5,
        "width": 0.5,
        "max_peaks": 3,
    }
    xr.testing.assert_identical(peaks.sid.provenance.replay(da), peaks)
    movie, _ = columns(frames=2)
    found = movie.sid.find_peaks(("y", "x"), distance={"y": 1, "x": 2}, smooth={"y": 0.3})
    xr.testing.assert_identical(found.sid.provenance.replay(movie), found)


@pytest.mark.parametrize("which", ["curves", "image", "movie"])
def test_tables_go_through_files_unchanged(which):
    if which == "curves":
        peaks = lines().sid.find_peaks(prominence=0.1)
    else:
        peaks = columns(frames=None if which == "image" else 3)[0].sid.find_peaks(("y", "x"), height=0.5)
    assert_roundtrip(peaks)


def test_the_view_takes_the_table():
    da, _ = columns()
    peaks = da.sid.find_peaks(dim=("y", "x"), height=0.5)
    pytest.importorskip("holoviews")
    picture = da.sid.plot.peaks(positions=peaks)
    assert len(picture.traverse(lambda p: p.data, ["Points"])[0]) == 4
    spectrum = lines().isel(y=0, x=3)
    assert spectrum.sid.plot.peaks(positions=spectrum.sid.find_peaks(prominence=0.1)) is not None


def test_an_axis_cannot_be_called_like_the_peaks():
    with pytest.raises(DimensionError, match="Rename the dimension"):
        lines().rename(energy="peak").sid.find_peaks(prominence=0.1)


def test_lazy_dims_without_text():
    da = xr.DataArray(lines().values, dims=(0, 1, 2))
    wanted = da.sid.find_peaks(dim=2, prominence=0.1, max_peaks=3)
    found = da.chunk({0: 1, 2: 100}).sid.find_peaks(dim=2, prominence=0.1, max_peaks=3)
    assert_lazy(found)
    xr.testing.assert_equal(found.compute(), wanted)
