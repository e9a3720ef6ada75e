"""Arrays of another library than NumPy: on a device of their own, with nothing but what the standard promises."""

from __future__ import annotations

import sys
import types
from dataclasses import fields

import numpy as np
import pytest

from sid_xarray._arrays import NUMPY, arrays_of, host, is_foreign, numpy_dtype
from sid_xarray.kernels.lsq import STATUS, fit_batch
from sid_xarray.models._tie import tie
from sid_xarray.models.compose import parse

strict = pytest.importorskip("array_api_strict")

# Its arrays cannot be taken for NumPy's by accident: they refuse to be.
DEVICE = strict.Device("device1")
CASES = ["gaussian", "two", "sho", "loop", "voigt", "decay"]


def away(values, device=DEVICE):
    return strict.asarray(np.array(values), device=device)


def size(values, name):
    """What a difference is measured by: the largest of all curves, for a covariance the errors that belong to it."""
    known = np.nan_to_num(np.abs(values))
    if name == "covariance":
        errors = np.sqrt(np.einsum("...ii->...i", known))
        return errors[..., :, np.newaxis] * errors[..., np.newaxis, :]
    return known if name == "chi2" else known.max(axis=tuple(range(values.ndim - (values.ndim > 1))), initial=0.0)


def check(y, x, model, **options):
    """Fit in both libraries; both must find the same."""
    here = fit_batch(y, x, model, engine="numpy", **options)
    there = fit_batch(away(y), x, model, **options)
    for field in fields(there):
        one, two = getattr(here, field.name), getattr(there, field.name)
        if one is None:
            assert two is None
            continue
        assert two.__array_namespace__() is strict
        assert two.device == DEVICE
        assert two.shape == one.shape
        assert numpy_dtype(two.dtype) == one.dtype
        two = host(two)
        np.testing.assert_array_equal(np.isnan(two), np.isnan(one), err_msg=field.name)
        apart = np.nan_to_num(np.abs(two - one))
        assert (apart <= 1e-9 * size(one, field.name)).all(), (field.name, one, two)
    return here


def spoilt(y):
    """The same with gaps, and curves that cannot be fitted."""
    y = y.copy()
    holes = np.random.default_rng(1).random(y.shape) < 0.2
    y[1::3] = np.where(holes[1::3], np.nan, y[1::3])
    y[5], y[9] = np.nan, np.inf
    y[11, 1:] = np.nan
    return y


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "options",
    [{}, {"weights": 1 / np.linspace(0.5, 2, 96)}, {"loss": "soft_l1"}, {"loss": "huber", "loss_scale": 0.1}],
    ids=["plain", "weights", "soft_l1", "huber"],
)
def test_the_same_as_in_numpy(name, options, case):
    model, x, y, _ = case(name, (16,))
    found = check(spoilt(y), x, model, **options)
    assert {STATUS[s] for s in found.status[[5, 9, 11]]} == {"no_finite_data", "too_few_points"}
    assert (found.status == 0).mean() > 0.5


def test_bounds_that_are_met_and_a_parameter_that_is_held(case):
    model, x, y, truth = case("gaussian", (4, 5))
    found = check(y, x, model, lower=[-np.inf, -1, 0.1, -np.inf], upper=[1.5, 1, 0.2, 2])
    assert np.isnan(found.stderr[..., 2]).any()
    found = check(y, x, model, known={2: truth[..., 2]}, fixed=[False, False, True, False])
    assert (found.parameters[..., 2] == truth[..., 2]).all()


def test_what_is_given_may_be_of_either_library(case):
    model, x, y, truth = case("gaussian", (6,))
    variance = np.full(y.shape, 0.05**2)
    plain = fit_batch(y, x, model, truth, variance=variance)
    mixed = fit_batch(away(y), away(x), model, away(truth), variance=away(variance))
    assert mixed.stderr.device == DEVICE
    np.testing.assert_allclose(host(mixed.stderr), plain.stderr, rtol=1e-9)
    other = fit_batch(y, x, model, known={1: away(truth[:, 1])}, variance=away(variance))
    assert type(other.stderr) is np.ndarray


def test_a_tie_brings_what_follows(case):
    model, x, y, _ = case("two", (8,))
    tied, ways = tie(model, {"gaussian2_sigma": "gaussian1_sigma"})
    found = check(y, x, tied, derive=ways)
    assert found.derived.shape == (8, 1)


def test_a_polynomial_is_solved_at_once_and_iterated_at_a_bound():
    rng = np.random.default_rng(2)
    x = np.linspace(-1, 1, 50)
    y = rng.normal(size=(20, 4)) @ np.stack([np.ones_like(x), x, x**2, x**3]) + 0.1 * rng.normal(size=(20, 50))
    assert (check(y, x, parse("polynomial")).n_iter == 1).all()
    assert (check(y, x, parse("polynomial"), lower=[-np.inf, 0, -np.inf, -np.inf]).n_iter > 1).any()


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("a * exp(-((x - c) / w)**2 / 2) + b", {"a": 1, "c": 0.1, "w": 0.2, "b": 2}),
        ("a * (x > -2) * exp(-abs(x - c) / w) + where(x > 0, b, d)", {"a": 1, "c": 0.123, "w": 0.2, "b": 0, "d": 1}),
        ("a * tanh((x - c) / w) + b * arctan(x) + minimum(x, d)", {"a": 1, "c": 0.1, "w": 0.3, "b": 2, "d": 0.513}),
        ("a * langevin(x / w) + b * heaviside(x, 0.5) + sign(x + 2)", {"a": 1, "w": 0.3, "b": 1}),
    ],
)
def test_formulas(text, truth):
    x, model = np.linspace(-1, 1, 64), parse(text)
    columns = [truth[name] * (1 + 0.01 * np.arange(6)[:, np.newaxis]) for name in model.names]
    y = model(x, *columns) + 0.01 * np.random.default_rng(3).normal(size=(6, 64))
    found = check(y, x, model, known={model.names.index(k): 1.05 * truth[k] for k in model.needs})
    assert (found.status == 0).all()


def test_a_function_is_fitted_in_numpy(case):
    _, x, y, truth = case("gaussian", (5,))

    def peak(x, a, c, w, b):
        assert type(a) is np.ndarray
        return a * np.exp(-(((x - c) / w) ** 2) / 2) + b

    check(y, x, peak, guess=truth)


def test_a_complex_model_of_real_data_and_a_real_one_of_complex_data(case):
    model, x, y, _ = case("sho", (4,))
    with pytest.raises(ValueError, match="model is complex and the data are real"):
        fit_batch(away(y.real), x, model)
    _, x, y, _ = case("gaussian", (4,))
    check(y + 0.01j, x, parse("gaussian + constant"))


def test_statuses(case):
    model, x, y, _ = case("gaussian", (3,))
    found = check(y, x, model, known={1: np.array([0.0, 9.0, np.nan])}, upper=[9, 1, 9, 9])
    assert STATUS[found.status[1]] == "guess_out_of_bounds"
    growth = parse("a * x**n + b")
    found = check(y, x, growth, known={1: 0.5})
    assert STATUS[found.status[0]] == "model_not_finite"


def test_nothing_to_fit_and_no_curve(case):
    model, x, y, _ = case("gaussian", (3,))
    held = fit_batch(away(y), x, model, np.array([1, 0, 0.1, 0]), fixed=[True] * 4)
    assert (host(held.status) == 0).all()
    assert fit_batch(away(y[:0]), x, model).parameters.shape == (0, 4)


def test_many_curves_are_cut_into_the_same_blocks_whatever_the_device(case):
    model, x, y, _ = case("gaussian", (700,))
    check(y, x, model)
    there = fit_batch(away(y, strict.Device("CPU_DEVICE")), x, model, covariance=False, block=100)
    np.testing.assert_allclose(host(there.chi2), fit_batch(y, x, model, engine="numpy").chi2, rtol=1e-9)


def test_numba_is_not_for_them(case):
    model, x, y, _ = case("gaussian", (3,))
    with pytest.raises(ValueError, match=r"engine='numba' fits arrays of NumPy, got one of array_api_strict"):
        fit_batch(away(y), x, model, engine="numba")


def test_a_device_without_float64_says_so(case):
    if "no_float64" not in str(strict.__array_namespace_info__().devices()):
        pytest.skip("this version knows no such device")
    model, x, y, _ = case("gaussian", (3,))
    small = strict.asarray(y.astype(np.float32), device=strict.Device("no_float64"))
    with pytest.raises(ValueError, match="computed in float64, which array_api_strict has not got on"):
        fit_batch(small, x, model)


def test_single_precision_is_computed_in_double(case):
    model, x, y, _ = case("gaussian", (3,))
    small = y.astype(np.float32)
    there = fit_batch(away(small), x, model)
    np.testing.assert_allclose(host(there.parameters), fit_batch(small, x, model).parameters, rtol=1e-9)
    assert there.parameters.dtype == strict.float64


class Frozen:
    """An array that cannot be written to, of a library that has nothing but such."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.dtype, self.device = self.values.shape, self.values.dtype, "cpu"

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, key):
        return Frozen(self.values[key])

    def __array_namespace__(self):
        namespace = types.SimpleNamespace(**{name: getattr(np, name) for name in dir(np) if not name.startswith("_")})
        namespace.__name__ = "frozen"
        namespace.full = lambda *args, device, **more: Frozen(np.full(*args, **more))
        namespace.asarray = lambda values, device: Frozen(values)
        return namespace


def test_arrays_that_cannot_be_written_to_are_fitted_in_numpy(case):
    model, x, y, _ = case("gaussian", (3,))
    found = fit_batch(Frozen(y), x, model)
    assert type(found.parameters) is Frozen
    np.testing.assert_array_equal(found.parameters.values, fit_batch(y, x, model).parameters)


def test_a_library_that_needs_an_adapter_which_is_missing(monkeypatch):
    tensor = type("Tensor", (), {"__module__": "torch", "shape": (3,)})
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    with pytest.raises(ImportError, match="pip install array-api-compat"):
        fit_batch(tensor(), [0, 1, 2], parse("linear"))


def test_what_is_foreign():
    assert not is_foreign(np.ones(2))
    assert not is_foreign(np.float64(1))
    assert not is_foreign([1.0])
    assert is_foreign(away([1.0]))
    assert arrays_of([1.0]) is NUMPY
    assert numpy_dtype(strict.complex128) == np.complex128
    assert numpy_dtype("torch.bfloat16") == np.dtype("V")
