"""Points and windows by position."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, UnitsError

ENERGY = np.linspace(0, 10, 101)
ORDERS = {
    "ascending": np.arange(101),
    "descending": np.arange(101)[::-1],
    "shuffled": np.random.default_rng(0).permutation(101),
}


@pytest.fixture(params=ORDERS)
def ramp(request):
    """Two curves that equal their position, and twice that."""
    order = ORDERS[request.param]
    values = np.stack([ENERGY, 2 * ENERGY])[:, order]
    return sid.dataarray(values, {"x": (1, "nm"), "energy": (ENERGY[order], "eV")}, units="nA", quantity="current")


@pytest.mark.parametrize(
    ("where", "found"), [(3.0, 3.0), (3.04, 3.0), ("0.003 keV", 3.0), ("3 eV", 3.0), ("3", 3.0), (10.04, 10)]
)
def test_the_nearest_point(ramp, where, found):
    out = ramp.sid.sel(energy=where)
    np.testing.assert_allclose(out, [found, 2 * found])
    assert out.energy == pytest.approx(found)
    assert out.energy.units == "eV"


@pytest.mark.parametrize(
    "where", [(2, 3), (3, 2), slice(2, 3), ("2 eV", "3 eV"), ("2000 meV", 3.0), slice("2", "3")], ids=str
)
def test_a_window_has_both_ends(ramp, where):
    out = ramp.sid.sel(energy=where)
    assert sorted(out.energy.values.round(6)) == pytest.approx(np.linspace(2, 3, 11))
    np.testing.assert_allclose(out[0], out.energy)


def test_open_and_several_windows(ramp):
    assert ramp.sid.sel(energy=(9.0, None)).sizes["energy"] == 11
    assert ramp.sid.sel(energy=slice(None, 0.5)).sizes["energy"] == 6
    out = ramp.sid.sel(energy=[(0, 0.5), (9.5, 10)])
    assert sorted(out.energy.values)[5:7] == pytest.approx([0.5, 9.5])


@pytest.mark.parametrize(
    ("reduce", "value"),
    [("mean", 5.0), ("sum", 5.0 * 21), ("max", 6.0), ("min", 4.0), ("median", 5.0), ("integrate", 10.0)],
)
def test_reductions(ramp, reduce, value):
    out = ramp.sid.sel(energy=5, width=2, reduce=reduce)
    np.testing.assert_allclose(out, [value, 2 * value])
    assert out.dims == ("x",)
    assert out.units == ("nA*eV" if reduce == "integrate" else "nA")
    assert out.long_name == "current"
    assert out.x.attrs == ramp.x.attrs


def test_the_standard_deviation(ramp):
    np.testing.assert_allclose(ramp.sid.sel(energy=(4, 6), reduce="std")[0], np.std(np.linspace(4, 6, 21)))


def test_width_means_the_mean_around_a_position(ramp):
    a = ramp.sid.sel(energy=5, width={"energy": "2 eV"})
    b = ramp.sid.sel({"energy": "0.005 keV"}, width=2.0)
    xr.testing.assert_equal(a, b)
    np.testing.assert_allclose(a, [5, 10])


def test_an_integral_over_two_axes_has_the_units_of_all(ramp):
    out = ramp.sid.sel(energy=(0, 10), x=(0, 1), reduce="integrate")
    assert out.units in ("nA*eV*nm", "nA*nm*eV")
    np.testing.assert_allclose(out, (50 + 100) / 2)


def test_the_integral_of_a_curve_is_the_analytic_one():
    x = np.sort(np.random.default_rng(0).uniform(0, np.pi, 4000))
    x[[0, -1]] = 0, np.pi
    da = sid.dataarray(np.sin(x).astype("f4"), {"bias": (x, "mV")}, units="pA", quantity="current")
    out = da.sid.sel(bias=(None, None), reduce="integrate")
    np.testing.assert_allclose(out, 2, rtol=1e-5)
    assert out.dtype == np.float32
    assert out.units == "pA*mV"


def test_integers_and_unknown_units(ramp):
    odd = (10 * ramp).round().astype("i2").assign_attrs(units="bananas", long_name="fruit")
    out = odd.sid.sel(energy=(0, 10), reduce="integrate")
    np.testing.assert_allclose(out, [500, 1000])
    assert "bananas" in out.units
    assert "eV" in out.units


def test_nan_is_left_out_but_of_sums(ramp):
    ramp = ramp.copy()
    ramp[0, :] = np.nan
    ramp[1, int(np.argmin(abs(ramp.energy.values - 5)))] = np.nan
    for reduce in ("mean", "max", "min", "median", "std"):
        out = ramp.sid.sel(energy=(4, 6), reduce=reduce)
        assert np.isnan(out.values).tolist() == [True, False]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            lazy = ramp.chunk(energy=10).sid.sel(energy=(4, 6), reduce=reduce).compute()
        np.testing.assert_allclose(lazy, out)
    for reduce in ("sum", "integrate"):
        assert np.isnan(ramp.sid.sel(energy=(4, 6), reduce=reduce)).all()


@pytest.mark.parametrize("reduce", ["mean", "sum", "max", "min", "median", "std", "integrate"])
def test_reductions_are_lazy_and_equal(ramp, reduce):
    with sid.testing.no_compute():
        out = ramp.chunk(energy=7, x=1).sid.sel(energy=(2, 8), reduce=reduce)
        two = ramp.chunk(energy=7, x=1).sid.sel(energy=(2, 8), x=(0, 1), reduce=reduce)
    sid.testing.assert_lazy(out)
    np.testing.assert_allclose(out.compute(), ramp.sid.sel(energy=(2, 8), reduce=reduce), rtol=1e-12)
    np.testing.assert_allclose(two.compute(), ramp.sid.sel(energy=(2, 8), x=(0, 1), reduce=reduce), rtol=1e-12)


def test_a_window_far_from_zero_has_no_slack():
    da = sid.dataarray(np.arange(11.0), {"energy": (1e9 + 0.5 * np.arange(11), "eV")})
    assert da.sid.sel(energy=(1e9 + 1, 1e9 + 2)).values.tolist() == [2, 3, 4]
    tenths = sid.dataarray(np.arange(4.0), {"energy": (np.array([0, 0.1, 0.2, 0.1 + 0.2]), "eV")})
    assert tenths.sid.sel(energy=(0.1, 0.3)).sizes["energy"] == 3


def test_words_and_dates():
    da = sid.dataarray(np.arange(6.0).reshape(2, 3), {"detector": (["BF", "HAADF"], None), "time": None})
    assert da.sid.sel(detector="HAADF").values.tolist() == [3, 4, 5]
    with pytest.raises(DimensionError, match=r"no points of 'detector' are 'HADF'. Did you mean 'HAADF'\?"):
        da.sid.sel(detector="HADF")
    da = da.assign_coords(time=np.array(["2024-05-31T12:00", "2024-05-31T12:01", "2024-05-31T12:02"], "M8[ns]"))
    assert da.sid.sel(time="2024-05-31T12:00:50").values.tolist() == [1, 4]
    assert da.sid.sel(time=("2024-05-31T12:00:50", None)).sizes["time"] == 2
    with pytest.raises(DimensionError, match="is a date such as"):
        da.sid.sel(time="soon")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, DimensionError, r"say what to select: sel\(energy=\.\.\.\)"),
        ({"energy": 11}, DimensionError, "11 lies outside of 'energy'; it spans 0 … 10 eV"),
        ({"energy": (11, 12)}, DimensionError, r"no point of 'energy' lies in \(11, 12\); it spans 0 … 10 eV"),
        ({"energy": (1, 2, 3)}, DimensionError, r"a window along 'energy' is a pair \(low, high\) in eV"),
        ({"energy": "5 nm"}, UnitsError, "cannot convert 'nm'"),
        ({"energy": float("nan")}, DimensionError, "no point of 'energy' is near nan"),
        ({"energy": None}, DimensionError, "a position along 'energy' is a number in eV, or text such as '0.5 nm'"),
        ({"enrgy": 5}, DimensionError, "no dimension 'enrgy'. Did you mean 'energy'?"),
        ({"energy": 5, "width": {"x": 2}}, DimensionError, r"width names 'x', which has no position"),
        ({"energy": (5, 6), "width": 2}, DimensionError, "width goes with one position"),
        ({"energy": 5, "width": -2}, DimensionError, "should not be negative"),
        ({"energy": (5, 6), "reduce": "avg"}, ValueError, "reduce is one of mean, sum"),
        ({"energy": (5, 5), "reduce": "integrate"}, DimensionError, "an integral needs two points"),
    ],
    ids=str,
)
def test_errors_say_what_to_type(ramp, given, error, text):
    with pytest.raises(error, match=text):
        ramp.sid.sel(**given)


def test_complex_values_have_no_largest(ramp):
    with pytest.raises(DimensionError, match=r"complex values have no max. Take abs\(\)"):
        (ramp * 1j).sid.sel(energy=(0, 1), reduce="max")
    np.testing.assert_allclose((ramp * 1j).sid.sel(energy=(4, 6), reduce="mean"), [5j, 10j])


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_an_integral_over_several_windows_is_the_sum_of_theirs(order):
    line = sid.dataarray(ENERGY[order], dims={"energy": (ENERGY[order], "eV")}, units="nA")
    for windows, true in [
        ([(0, 1), (5, 6)], 0.5 + 5.5),
        ([(0, 1), (1.1, 2)], 0.5 + (4 - 1.21) / 2),  # neighbours, and yet nothing between them
        ([(0, 2), (1, 3)], 4.5),
    ]:
        np.testing.assert_allclose(line.sid.sel(energy=windows, reduce="integrate"), true)
    with pytest.raises(DimensionError, match="an integral needs two points, the window along 'energy' holds 1"):
        line.sid.sel(energy=[(0, 0.05), (5, 5.05)], reduce="integrate")
    assert line.sid.sel(energy=np.array([1, 2])).size == 11
