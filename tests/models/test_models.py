"""Every model: derivatives, starting points, units; and what single models must know."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sid_xarray.errors import ModelError, SidError
from sid_xarray.kernels.lsq import fit_batch
from sid_xarray.models import TABLE, FitModel, Param, load

NAMES = sorted(name for name in TABLE if name != "gaussian2d")
LINE = np.linspace(0.5, 10, 256)
SWEEP = np.concatenate([np.linspace(0, 10, 32), np.linspace(10, -10, 65)[1:], np.linspace(-10, 0, 33)[1:]])


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def axis(name):
    return SWEEP if name == "loop" else LINE


def draw(name, rng, count):
    """Parameters of every shape that a user may have, one row a curve."""

    def u(low, high):
        return rng.uniform(low, high, count)

    height = u(0.5, 3) * rng.choice([-1, 1], count)
    width = np.exp(rng.uniform(np.log(0.08), np.log(1.5), count))
    peak = (height, u(1, 9), width)
    step = (height, u(2, 8), np.exp(u(np.log(0.1), 0)))
    rate = u(0.1, 0.4)
    columns = {
        "gaussian": peak,
        "lorentzian": peak,
        "pseudo_voigt": (*peak, u(0, 1)),
        "voigt": (*peak, width * u(0.3, 1.5)),
        "doniach": (*peak, u(0.05, 0.4)),
        "fano": (u(0.5, 2), u(2, 8), u(0.2, 1), u(-3, 3)),
        "arctan_step": step,
        "erf_step": step,
        "fermi_edge": step,
        "constant": (height,),
        "linear": (height, rng.normal(size=count)),
        "exponential": (height, u(-0.3, 2)),
        "stretched_exponential": (u(1, 3), u(0.15, 1), u(0.5, 1.5)),
        "double_exponential": (u(1, 3), rate, u(3, 9), rate * u(5, 10)),
        "power_law": (height, u(-1, 4)),
        "langmuir": (height, np.exp(u(np.log(0.1), np.log(3)))),
        "langevin": (height, u(0.5, 4)),
        "sho": (u(0.1, 1), u(2, 8), u(5, 40), u(-3, 3)),
        "loop": (u(-2, -1), u(2, 4), u(-4, -2), u(2, 4), u(-0.02, 0.02), *(u(0.6, 2.5) for _ in range(4))),
    }
    if name.startswith("polynomial"):
        degree = int(name.removeprefix("polynomial") or 3)
        return rng.normal(size=(count, degree + 1)) * 0.3 ** np.arange(degree + 1)
    return np.stack(columns[name], axis=-1)


def noisy(name, truth, rng, noise):
    y = load(name)(axis(name), *truth.T[:, :, np.newaxis])
    y = y + noise * rng.normal(size=y.shape)
    return y + 1j * noise * rng.normal(size=y.shape) if np.iscomplexobj(y) else y


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_derivatives_are_those_of_the_function(name, seed):
    model, rng = load(name), np.random.default_rng(seed)
    p = draw(name, rng, 3)
    x = axis(name)
    exact = model.jacobian(x, *p.T[:, :, np.newaxis])
    assert exact.shape == (3, x.size, p.shape[1])
    for k in range(p.shape[1]):
        step = 1e-6 * np.eye(p.shape[1])[k]
        above, below = (model(x, *(p + sign * step).T[:, :, np.newaxis]) for sign in (1, -1))
        np.testing.assert_allclose(exact[..., k], (above - below) / 2e-6, rtol=1e-5, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("name", NAMES)
def test_linear_parameters_are_linear_together(name):
    model, rng = load(name), np.random.default_rng(0)
    p, q = draw(name, rng, 2)
    free = np.array([n in model.linear for n in model.names])
    q = np.where(free, q, p)
    at = [model(axis(name), *(p + t * (q - p))) for t in (0, 1, 3)]
    np.testing.assert_allclose(at[2] - at[0], 3 * (at[1] - at[0]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize(
    ("name", "background"), [(n, 0) for n in NAMES] + [(n, 50) for n in NAMES if load(n).peak], ids=str
)
def test_guesses_lead_to_the_optimum(name, background, noise):
    model, rng = load(name), np.random.default_rng(1)
    truth = draw(name, rng, 300)
    x, y = axis(name), noisy(name, truth, rng, noise)
    if background:
        fit = fit_batch(y, x, model, model.guess(x, y + background))
    else:
        fit = fit_batch(y, x, model)
    best = fit_batch(y, x, model, truth)
    assert np.mean(fit.chi2 <= best.chi2 * (1 + 1e-6)) >= 0.99


@pytest.mark.parametrize("name", ["gaussian", "lorentzian"])
@pytest.mark.parametrize("sign", [1, -1])
def test_peaks_are_found_up_and_down_on_any_axis(name, sign):
    model = load(name)
    for x in (LINE, LINE[::-1], LINE * 1e-9, LINE**2):
        truth = np.array([sign * 2, np.median(x), np.ptp(x) / 20])
        height, center, width = model.guess(x, model(x, *truth) + 100)
        assert 0.5 < height / truth[0] < 1.6
        assert abs(center - truth[1]) < 0.5 * truth[2]
        assert 0.6 < width / truth[2] < 1.7


@pytest.mark.parametrize("name", NAMES)
def test_guesses_survive_gaps_and_nonsense(name):
    model, rng = load(name), np.random.default_rng(0)
    x = axis(name)
    y = model(x, *draw(name, rng, 6).T[:, :, np.newaxis])
    whole = model.guess(x, y)
    y[1, rng.random(x.size) < 0.3], y[2], y[3], y[4] = np.nan, np.nan, 0, np.inf
    start = model.guess(x, y)
    assert start.shape == (6, len(model.params))
    np.testing.assert_allclose(start[[0, 5]], whole[[0, 5]], rtol=0.05, atol=1e-9)
    assert np.isfinite(start[[1, 3]]).all()
    assert np.isnan(start[[2, 4]]).any(axis=1).all()
    assert model.guess(x, y.reshape(2, 3, -1)).shape == (2, 3, len(model.params))
    assert model.guess(x, y[:0]).shape == (0, len(model.params))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_short_axes_give_a_start_or_nan(name, n):
    assert load(name).guess(axis(name)[:n], np.ones((2, n))).shape == (2, len(load(name).params))


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_objects_agree(name):
    model = load(name)
    assert model.name == name
    assert pickle.loads(pickle.dumps(model)) == model
    assert set(model.linear) <= set(model.names)
    assert model.formula
    assert model.lower.shape == model.upper.shape == (len(model.params),)


def test_signs_and_widths_are_as_documented():
    assert load("exponential")(2.0, 3.0, 0.5) == pytest.approx(3 * np.exp(-1))
    assert load("power_law")(2.0, 3.0, 2.0) == pytest.approx(0.75)
    assert load("lorentzian")(1.5, 4.0, 1.0, 0.5) == pytest.approx(2)
    assert load("gaussian")(1.5, 4.0, 1.0, 0.5) == pytest.approx(4 * np.exp(-0.5))
    assert load("linear")(2.0, 3.0, 1.0) == 7
    assert load("constant")(np.arange(3), 2.0).tolist() == [2, 2, 2]


def test_a_power_law_is_nan_below_zero_and_does_not_warn():
    np.testing.assert_array_equal(np.isnan(load("power_law")(np.array([-1.0, 1.0]), 1.0, 2.0)), [True, False])
    assert np.isnan(load("power_law").guess(-LINE, np.ones(LINE.size))).all()


@pytest.mark.parametrize(
    ("units", "exponents"),
    [
        ("y", (1, 0)),
        ("x", (0, 1)),
        ("1/x", (0, -1)),
        ("y/x", (1, -1)),
        ("1", (0, 0)),
        ("y*x**2", (1, 2)),
        ("y / x**2", (1, -2)),
        ("rad", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_units_are_exponents(units, exponents):
    assert Param("a", units=units).exponents() == exponents


@pytest.mark.parametrize("units", ["z", "y+x", "2*y", "y//x", "y**x", "y*"])
def test_units_that_are_none(units):
    with pytest.raises(ModelError, match="units of a must be made of"):
        Param("a", units=units)


def test_definitions_that_contradict_themselves():
    with pytest.raises(ModelError, match="identifier"):
        Param("not a name")
    with pytest.raises(ModelError, match="cross"):
        Param("a", lower=1, upper=0)
    with pytest.raises(ModelError, match="twice"):
        FitModel("m", np.add, np.add, (Param("a"), Param("a")))
    with pytest.raises(ModelError, match="no parameter"):
        FitModel("m", np.add, np.add, (Param("a"),), linear=("b",))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ModelError, match="Did you mean 'gaussian'"):
        load("gausian")
    assert issubclass(ModelError, ValueError)
    assert issubclass(ModelError, SidError)
