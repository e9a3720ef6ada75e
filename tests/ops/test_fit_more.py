"""Fits along two dimensions, models that users bring, what is left, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import AlignmentError, DimensionError, ModelError, UnitsError

MODEL = "gaussian + constant"


@pytest.fixture
def cube():
    return sid.datasets.peak_map()


@pytest.fixture
def spots():
    """Images of one spot each, at known places."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:24, 0:32] * 0.5
    cx, cy = rng.uniform(5, 9, 5), rng.uniform(4, 7, 5)
    images = [7 * np.exp(-(((x - a) / 2) ** 2) / 2 - ((y - b) ** 2) / 2) + 1 for a, b in zip(cx, cy, strict=True)]
    coords = {"y": ("y", y[:, 0], {"units": "nm"}), "x": ("x", x[0], {"units": "nm"}), "time": np.arange(5.0)}
    values = np.stack(images) + 0.02 * rng.normal(size=(5, 24, 32))
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, attrs={"units": "nA"}), cx, cy


def test_images_are_fitted_along_two_dimensions(spots):
    da, cx, cy = spots
    fit = da.sid.fit("gaussian2d + constant", dim=("y", "x"))
    np.testing.assert_allclose(fit.center_x, cx, atol=0.02)
    np.testing.assert_allclose(fit.center_y, cy, atol=0.02)
    np.testing.assert_allclose(fit.sigma_along, 2, atol=0.02)
    np.testing.assert_allclose(fit.offset, 1, atol=0.01)
    assert fit.center_y.units == "nm" and fit.height.units == "nA" and fit.center_x.dims == ("time",)
    for other in (da.transpose("x", "time", "y"), da.chunk(time=2), da.rename(x="column", y="row")):
        dim = ("row", "column") if "row" in other.dims else ("y", "x")
        again = other.sid.fit("gaussian2d + constant", dim=dim)
        np.testing.assert_allclose(again.center_x, fit.center_x, rtol=1e-9)
    curve, left = fit.sid.evaluate(da), fit.sid.residuals(da)
    assert curve.dims == left.dims == da.dims
    np.testing.assert_allclose(left, da - curve, atol=1e-12)
    assert float(left.std()) == pytest.approx(0.02, rel=0.05)
    for result in (fit, curve, left):
        xr.testing.assert_identical(result.sid.provenance.replay(da), result)
    only = fit.sid.evaluate({"y": [5.0], "x": [1.0, 2.0, 3.0]})
    assert only.sizes == {"time": 5, "y": 1, "x": 3}


def test_axes_that_do_not_fit_the_model_are_answered(spots, cube):
    da, _, _ = spots
    with pytest.raises(DimensionError, match=r"has 2 axes, got dim=None\. Type: dim=\('y', 'x'\)"):
        da.sid.fit("gaussian2d")
    with pytest.raises(DimensionError, match=r"has 1 axes, got dim=\('y', 'x'\)"):
        da.sid.fit("gaussian", dim=("y", "x"))
    with pytest.raises(UnitsError, match="have the same units, here are x in 'nm', energy in 'eV'"):
        cube.sid.fit("gaussian2d", dim=("x", "energy"))
    with pytest.raises(ModelError, match="'linear' has the axes x, beside x, y"):
        da.sid.fit("gaussian2d + linear", dim=("y", "x"))
    fit = da.sid.fit("gaussian2d + constant", dim=("y", "x"))
    with pytest.raises(ModelError, match="this fit has the axes y, x"):
        fit.sid.evaluate([1.0])
    with pytest.raises(ModelError, match="positions along 'x' are missing"):
        fit.sid.evaluate({"y": [1.0]})


def test_what_is_left_and_what_it_is_made_of(cube):
    fit = cube.sid.fit("gaussian + linear")
    left, parts = fit.sid.residuals(cube), fit.sid.components(cube.energy)
    assert list(parts) == ["gaussian", "linear"] and parts.gaussian.units == "count"
    np.testing.assert_allclose(parts.gaussian + parts.linear + left, cube, rtol=1e-6)
    assert left.units == cube.units and left.energy.attrs == cube.energy.attrs and left.name == "residual"
    for result in (left, parts):
        xr.testing.assert_identical(result.sid.provenance.replay(cube), result)
    with sid.testing.no_compute():
        lazy = cube.chunk(x=3).sid.fit("gaussian + linear").sid.residuals(cube.chunk(x=3))
    np.testing.assert_allclose(lazy.compute(), left, rtol=1e-6, atol=1e-6)


def test_what_is_not_left(cube):
    fit = cube.sid.fit(MODEL)
    with pytest.raises(DimensionError, match="the fit is along energy"):
        fit.sid.residuals(cube.mean("energy"))
    with pytest.raises(UnitsError, match=r"'count' was fitted\. Type: da.sid.to_units"):
        fit.sid.residuals(cube.assign_attrs(units="nA"))
    with pytest.raises(AlignmentError, match="do not lie on the same grid"):
        fit.sid.residuals(cube.assign_coords(x=cube.x + 1e-9))
    with pytest.raises(ModelError, match="is no sum of models that have names"):
        cube.sid.fit("gaussian").sid.components(cube.energy)


def test_formulas_and_functions_are_models(cube):
    expected = cube.sid.fit(MODEL)
    text = "a * exp(-(x - b)**2 / 2 / c**2) + d"
    formula = cube.sid.fit(text, guess={"b": 5, "c": 1})
    np.testing.assert_allclose(formula.b, expected.center, rtol=1e-6)
    assert (formula.a.units, formula.b.units, formula.d.units) == ("count", "eV", "count")
    assert formula.sid.evaluate(cube.energy).dims == cube.dims
    xr.testing.assert_identical(formula.sid.provenance.replay(cube), formula)

    def peak(x, a, b, c=0.8, d=10.0):
        return a * np.exp(-((x - b) ** 2) / 2 / c**2) + d

    function = cube.sid.fit(peak, guess={"a": 70, "b": 5})
    np.testing.assert_allclose(function.b, expected.center, rtol=1e-5)
    assert "units" not in function.b.attrs
    assert function.sid.evaluate(cube.energy, model=peak).dims == cube.dims
    with pytest.raises(ModelError, match="does not say where a, b start"):
        cube.sid.fit(peak)
    with pytest.raises(ModelError):
        cube.sid.fit("__import__('os').system('true') * x")


def test_tied_parameters_and_losses_are_recorded(cube):
    tied = cube.sid.fit("gaussian + gaussian + constant", tie={"gaussian2_sigma": "gaussian1_sigma"})
    np.testing.assert_array_equal(tied.gaussian2_sigma, tied.gaussian1_sigma)
    assert tied.sid.evaluate(cube.energy).dims == cube.dims
    spoilt = cube.copy()
    spoilt[..., ::13] += 40
    robust, plain = spoilt.sid.fit(MODEL, loss="huber"), spoilt.sid.fit(MODEL)
    assert abs(robust.offset - 10).mean() < 0.5 * abs(plain.offset - 10).mean()
    for result in (tied, cube.sid.fit(MODEL, loss="huber")):
        xr.testing.assert_identical(result.sid.provenance.replay(cube), result)
    with pytest.raises(ModelError, match="loss is one of"):
        cube.sid.fit(MODEL, loss="cauchy")
    with pytest.raises(ModelError, match="tie names 'width'"):
        cube.sid.fit(MODEL, tie={"width": "sigma"})


ENGINES = ["numpy", "numba"]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_failure_is_seen_and_the_rest_is_unharmed(cube, engine):
    if engine == "numba":
        pytest.importorskip("numba")
    bad = cube.copy()
    bad[0, 0], bad[0, 1], bad[0, 2] = np.nan, 3.0, np.inf
    bad[0, 3, 3:] = np.nan
    weights = xr.ones_like(cube)
    weights[0, 4] = 0
    with sid.set_options(fit_engine=engine):
        fit, good = bad.sid.fit(MODEL, weights=weights), cube.sid.fit(MODEL, weights=weights)
        narrow = cube.sid.fit(MODEL, bounds={"center": (20, 30)})
    words = [fit.status.flag_meanings.split()[code] for code in fit.status.values[0, :5]]
    assert words == ["no_finite_data", "singular", "no_finite_data", "too_few_points", "no_finite_data"]
    assert fit.center[0, :5].isnull().all() and fit.center_stderr[0, :5].isnull().all()
    for name in ("height", "center", "sigma", "offset"):
        np.testing.assert_allclose(fit[name].values[1:], good[name].values[1:], rtol=1e-9)
    # A guess outside the bounds starts at the nearest bound, and stays within.
    assert ((narrow.center >= 20) & (narrow.center <= 30) | narrow.center.isnull()).all()


@pytest.mark.parametrize("chunks", [{"y": 2}, {"x": 3, "energy": 7}], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_chunks_do_not_matter(cube, engine, chunks):
    if engine == "numba":
        pytest.importorskip("numba")
    with sid.set_options(fit_engine=engine):
        whole, parts = cube.sid.fit(MODEL), cube.chunk(chunks).sid.fit(MODEL).compute()
    for name in whole:
        if engine == "numba":
            np.testing.assert_array_equal(parts[name], whole[name])
        else:
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-9)


def test_models_of_lmfit(cube):
    lmfit = pytest.importorskip("lmfit")
    expected = cube.sid.fit(MODEL)
    made = lmfit.models.GaussianModel() + lmfit.models.ConstantModel()
    for name, value in {"amplitude": 100.0, "center": 5.0, "sigma": 1.0, "c": 5.0}.items():
        made.set_param_hint(name, value=value)
    fit = cube.sid.fit(made)
    np.testing.assert_allclose(fit.center, expected.center, rtol=1e-5)
    np.testing.assert_allclose(fit.center_stderr, expected.center_stderr, rtol=1e-3)
    text = lmfit.models.ExpressionModel("a * exp(-(x - b)**2 / 2 / w**2) + d")
    text.set_param_hint("w", value=1, min=0, max=5)
    again = cube.sid.fit(text, guess={"b": 5})
    np.testing.assert_allclose(again.w, expected.sigma, rtol=1e-6)
    assert fit.sid.evaluate(cube.energy, model=made).dims == cube.dims
    tied = lmfit.models.ExpressionModel("a * x + b")
    tied.set_param_hint("b", expr="2 * a")
    with pytest.raises(ModelError, match="ties of lmfit are not taken over, of b"):
        cube.sid.fit(tied)
