"""Bins against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, SidWarning, UnitsError


@pytest.fixture
def cube():
    values = np.random.default_rng(0).poisson(9, size=(4, 6, 12))
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm"), "energy": (100 + 0.25 * np.arange(12), "eV")}
    return sid.dataarray(values, dims, units="count", quantity="intensity")


@pytest.mark.parametrize("dtype", ["i2", "u2", "i8", "f4", "f8"])
def test_counts_are_conserved(cube, dtype):
    out = cube.astype(dtype).sid.rebin(energy=3, x=2)
    assert out.shape == (4, 3, 4)
    assert out.sum() == cube.sum()
    assert out.dtype == {"i2": "i8", "u2": "u8", "i8": "i8"}.get(dtype, dtype)
    np.testing.assert_array_equal(out[:, 0, 0], cube[:, :2, :3].sum(("x", "energy")))


def test_coordinates_are_centres_with_their_attributes(cube):
    out = cube.sid.rebin(energy=4, x=2)
    np.testing.assert_array_equal(out.energy, 100 + 0.25 * np.array([1.5, 5.5, 9.5]))
    np.testing.assert_array_equal(out.x, [0.25, 1.25, 2.25])
    assert out.energy.attrs == cube.energy.attrs
    assert out.units == "count"


def test_the_mean_keeps_intensity(cube):
    out = cube.sid.rebin(energy=12, reduce="mean")
    np.testing.assert_allclose(out[..., 0], cube.mean("energy"))


@pytest.mark.parametrize("width", ["1 eV", "0.001 keV", "1000 meV", "1eV"])
def test_widths_are_converted(cube, width):
    out = cube.sid.rebin(energy=width)
    assert out.sizes["energy"] == 3
    assert out.sid.provenance.parameters()["bins"] == {"energy": width}


def test_samples_that_fill_no_bin_are_dropped_with_a_warning(cube):
    with pytest.warns(
        SidWarning, match=r"2 sample\(s\) at the end of 'energy' fill no bin of 5 and are dropped"
    ) as seen:
        out = cube.sid.rebin(energy=5)
    assert seen[0].filename == __file__
    np.testing.assert_array_equal(out, cube.isel(energy=slice(0, 10)).sid.rebin(energy=5))


def test_a_width_that_is_no_number_of_samples_is_rounded_with_a_warning(cube):
    with pytest.warns(SidWarning, match="0.7 eV is 2.8 samples of 'energy': bins have 3, which is 0.75 eV") as seen:
        assert cube.sid.rebin(energy="0.7 eV").sizes["energy"] == 4
    assert seen[0].filename == __file__


def test_names_that_are_no_identifiers(cube):
    name = r"$\sqrt E$"
    out = cube.rename(energy=name).sid.rebin({name: 2}, x=3)
    assert dict(out.sizes) == {"y": 4, "x": 2, name: 6}


def test_descending_axes_and_other_coordinates(cube):
    cube = cube.isel(energy=slice(None, None, -1)).assign_coords(
        line=("y", list("abcd")),
        start=("y", np.array("2024-05-31T12:00", "M8[ns]") + np.arange(4) * np.timedelta64(60, "s")),
        good=("y", [True, False, True, True]),
        drift=(("y", "x"), np.arange(24.0).reshape(4, 6)),
    )
    out = cube.sid.rebin(energy=2, y=2)
    np.testing.assert_array_equal(out.energy, cube.energy.values.reshape(6, 2).mean(1))
    assert out.line.values.tolist() == ["a", "c"]
    assert out.start.values[0] == np.datetime64("2024-05-31T12:00:30")
    np.testing.assert_array_equal(out.good, [0.5, 1.0])
    np.testing.assert_array_equal(out.drift[0], [3, 4, 5, 6, 7, 8])


def test_nan_makes_one_bin_nan(cube):
    cube = cube.astype("f4")
    cube[1, 2, 3] = np.nan
    out = cube.sid.rebin(energy=2)
    assert np.argwhere(np.isnan(out.values)).tolist() == [[1, 2, 1]]


def test_lazy_with_chunks_that_are_no_multiples(cube):
    lazy = cube.astype("f4").chunk(energy=5, x=4)
    out = lazy.sid.rebin(energy=3, x=2)
    sid.testing.assert_lazy(out)
    np.testing.assert_array_equal(out.compute(), cube.sid.rebin(energy=3, x=2))


@pytest.mark.parametrize(
    ("bins", "error", "text"),
    [
        ({}, DimensionError, r"say what to rebin: rebin\(energy=2\)"),
        ({"energy": 13}, DimensionError, "a bin of 13 is 13 samples; 'energy' has 12"),
        ({"energy": 0}, DimensionError, "a bin of 0 is 0 samples"),
        ({"energy": 2.5}, DimensionError, "a number is samples and whole. For a width type '2.5 eV'"),
        ({"energy": None}, DimensionError, "a number is samples and whole"),
        ({"energy": "0.01 eV"}, DimensionError, "smaller than the step of 'energy', 0.25 eV"),
        ({"energy": "1 nm"}, UnitsError, "cannot convert 'nm'"),
        ({"enrgy": 2}, DimensionError, "no dimension 'enrgy'. Did you mean 'energy'?"),
    ],
)
def test_errors_say_what_to_type(cube, bins, error, text):
    with pytest.raises(error, match=text):
        cube.sid.rebin(**bins)


def test_an_uneven_axis_has_no_width(cube):
    uneven = cube.assign_coords(energy=cube.energy**2)
    with pytest.raises(DimensionError, match=r"'energy' is not evenly spaced.*da.interp"):
        uneven.sid.rebin(energy="1 eV")
    assert uneven.sid.rebin(energy=2).sizes["energy"] == 6


def test_an_unknown_reduction_is_refused(cube):
    with pytest.raises(ValueError, match="reduce is 'sum' or 'mean', got 'median'"):
        cube.sid.rebin(energy=2, reduce="median")


def test_the_verb_equals_coarsen_of_xarray(cube):
    expected = cube.coarsen(x=2, boundary="trim").sum()
    xr.testing.assert_equal(cube.sid.rebin(x=2).drop_attrs(), expected.drop_attrs())


@pytest.mark.parametrize("size", [np.nan, np.inf])
def test_a_bin_is_finite(size):
    with pytest.raises(DimensionError, match="a number is samples and whole"):
        sid.datasets.peak_map().sid.rebin(energy=size)
