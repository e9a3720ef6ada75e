"""Expressions of models: what they mean, what they are called, where they start."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sid_xarray.errors import ModelError
from sid_xarray.kernels.lsq import fit_batch
from sid_xarray.models import load
from sid_xarray.models.compose import parse

X = np.linspace(0.5, 10, 200)
NAMES = ("gaussian", "lorentzian", "constant", "linear", "exponential", "power_law")


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.tuples(inner, st.sampled_from("+*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=5,
)


@given(text=expressions, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_expression_has_the_value_and_the_derivatives_of_its_parts(text, seed):
    model, rng = parse(text), np.random.default_rng(seed)
    p = rng.uniform(0.3, 1.5, (3, len(model.params)))
    parameters, begin, parts = p.T[:, :, np.newaxis], 0, []
    for name in text.replace("(", " ").replace(")", " ").replace("+", " ").replace("*", " ").split():
        part = load(name)
        parts.append(part(X, *parameters[begin : begin + len(part.params)]))
        begin += len(part.params)
    todo = iter(parts)
    skeleton = compile(_numbered(text), "<test>", "eval")
    expected = eval(skeleton, {"take": lambda: next(todo)})
    np.testing.assert_allclose(model(X, *parameters), np.broadcast_to(expected, (3, X.size)), rtol=1e-12)

    exact = model.jacobian(X, *parameters)
    assert exact.shape == (3, X.size, p.shape[1])
    for k in range(p.shape[1]):
        step = 1e-6 * np.eye(p.shape[1])[k]
        above, below = (model(X, *(p + sign * step).T[:, :, np.newaxis]) for sign in (1, -1))
        np.testing.assert_allclose(
            exact[..., k], (above - below) / 2e-6, rtol=1e-4, atol=1e-6 * np.abs(exact).max() + 1e-8
        )


def _numbered(text):
    for name in NAMES:
        text = text.replace(name, "take()")
    return text


@given(text=expressions, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_linear_parameters_are_linear_together(text, seed):
    model, rng = parse(text), np.random.default_rng(seed)
    free = np.array([name in model.linear for name in model.names])
    assert free.any()
    p, q = rng.uniform(0.3, 1.5, (2, len(model.params)))
    q = np.where(free, q, p)
    at = [model(X, *(p + t * (q - p))) for t in (0, 1, 3)]
    np.testing.assert_allclose(at[2] - at[0], 3 * (at[1] - at[0]), rtol=1e-7, atol=1e-9 * np.abs(at[2]).max())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gaussian", "height center sigma"),
        ("gaussian + constant", "height center sigma offset"),
        (
            "gaussian + lorentzian + constant",
            "gaussian_height gaussian_center gaussian_sigma "
            "lorentzian_height lorentzian_center lorentzian_gamma offset",
        ),
        (
            "gaussian + linear + gaussian",
            "gaussian1_height gaussian1_center gaussian1_sigma slope intercept "
            "gaussian2_height gaussian2_center gaussian2_sigma",
        ),
        (
            "exponential + gaussian",
            "exponential_height exponential_rate gaussian_height gaussian_center gaussian_sigma",
        ),
        ("(constant + linear) * gaussian", "offset slope intercept height center sigma"),
        ("constant * constant", "constant1_offset constant2_offset"),
    ],
)
def test_names_are_prefixed_where_they_would_clash(text, names):
    assert parse(text).names == tuple(names.split())


@pytest.mark.parametrize(
    ("text", "linear"),
    [
        ("gaussian + constant", {"height", "offset"}),
        ("linear + constant", {"slope", "intercept", "offset"}),
        ("gaussian * linear", {"slope", "intercept"}),
        ("gaussian * constant + linear", {"height", "slope", "intercept"}),
        ("exponential + constant", {"height", "offset"}),
    ],
)
def test_what_counts_as_linear(text, linear):
    assert set(parse(text).linear) == linear


def test_brackets_of_one_kind_do_not_matter():
    flat, nested = parse("gaussian + (linear + constant)"), parse("(gaussian + linear) + constant")
    assert flat.names == nested.names
    assert [term.name for term in flat.terms] == ["gaussian", "linear", "constant"]
    assert flat.name == "gaussian + linear + constant"


def test_times_binds_tighter_than_plus():
    model = parse("gaussian * linear + constant")
    assert [term.name for term in model.terms] == ["gaussian * linear", "constant"]
    assert [term.index for term in model.terms] == [(0, 1, 2, 3, 4), (5,)]
    assert parse("(gaussian + constant) * linear").name == "(gaussian + constant) * linear"


def test_terms_add_up():
    model, p = parse("gaussian + gaussian + linear"), np.arange(1.0, 9.0)
    parts = [term.model(X, *p[list(term.index)]) for term in model.terms]
    np.testing.assert_allclose(sum(parts), model(X, *p))


def test_composites_travel():
    model = parse("gaussian + exponential * linear + constant")
    again = pickle.loads(pickle.dumps(model))
    assert (again.name, again.params, again.linear) == (model.name, model.params, model.linear)
    p = np.linspace(0.5, 1, len(model.params))
    np.testing.assert_array_equal(again(X, *p), model(X, *p))


@pytest.mark.parametrize(
    "text",
    [
        "gaussian - constant", "2 * gaussian", "gaussian ** 2", "gaussian()", "gaussian.guess", "gaussian[0]",
        "-gaussian", "lambda: gaussian", "gaussian if constant else linear", "[gaussian]", "'gaussian'",
        "__import__('os')", "a := gaussian", "f'{gaussian}'", "gaussian and constant", "gaussian @ constant",
        "", "gaussian +", "gaussian constant", "(", "\0",
        "(" * 5000,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ModelError, match=r"cannot read the model|a model is made of names"):
        parse(text)


def test_unknown_names_and_too_many():
    with pytest.raises(ModelError, match="Did you mean 'lorentzian'"):
        parse("gaussian + lorenzian")
    with pytest.raises(ModelError, match="65 components"):
        parse(" + ".join(["constant"] * 65))


def test_models_of_others_come_through_the_loader():
    table = {"mine": load("gaussian"), "constant": load("constant")}
    assert parse("mine + constant", loader=table.__getitem__).names == ("height", "center", "sigma", "offset")
    assert parse("mine + mine", loader=table.__getitem__).names[0] == "mine1_height"


def converging(text, truth, *, noise, x=X):
    """Part of the fits that end as well as those that start at the truth."""
    model, rng = parse(text), np.random.default_rng(5)
    truth = np.stack(np.broadcast_arrays(*truth), axis=-1)
    y = model(x, *truth.T[:, :, np.newaxis]) + noise * rng.normal(size=(len(truth), x.size))
    found, best = fit_batch(y, x, model), fit_batch(y, x, model, truth)
    return np.mean(found.chi2 <= best.chi2 * (1 + 1e-6))


def uniform(*limits, count=400, seed=0):
    return np.random.default_rng([seed, *np.frombuffer(np.float64(limits).tobytes(), np.uint32)]).uniform(
        *limits, count
    )


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize("kind", ["gaussian", "lorentzian"])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_peak_on_a_background(kind, sign, noise):
    peak = sign * uniform(0.5, 3), uniform(1.5, 9), uniform(0.1, 1)
    assert converging(f"{kind} + constant", [*peak, uniform(-5, 5)], noise=noise) >= 0.99
    assert converging(f"{kind} + linear", [*peak, uniform(-1, 1), uniform(-5, 5)], noise=noise) >= 0.99


@pytest.mark.parametrize("kind", ["gaussian", "lorentzian"])
def test_two_peaks_start_apart(kind):
    first = uniform(1, 3), uniform(2, 4), uniform(0.1, 0.5)
    second = uniform(1, 3, seed=1), first[1] + uniform(1.5, 5), uniform(0.1, 0.5, seed=1)
    assert converging(f"{kind} + {kind} + constant", [*first, *second, uniform(-5, 5)], noise=0.05) >= 0.97
    model = parse(f"{kind} + {kind} + constant")
    start = model.guess(X, model(X, 3, 3, 0.2, 2, 6, 0.2, 1))
    np.testing.assert_allclose(start[[1, 4]], [3, 6], atol=0.1)


def test_peaks_on_curved_backgrounds():
    x = np.linspace(300, 700, 200)
    law = [1e9 * uniform(0.5, 2), uniform(2.8, 3.3)]
    edge = [uniform(5, 30), uniform(420, 600), uniform(5, 30)]
    assert converging("power_law + gaussian", law + edge, noise=0.5, x=x) >= 0.98
    decay = [uniform(1, 5), uniform(0.1, 2)]
    assert converging("exponential + constant", [*decay, uniform(-5, 5)], noise=0.1) >= 0.99
    peak = [uniform(1, 3), uniform(3, 8), uniform(0.1, 0.5)]
    assert converging("exponential + gaussian + constant", [*decay, *peak, uniform(-5, 5)], noise=0.05) >= 0.95


def test_gaps_do_not_disturb_the_start():
    model, rng = parse("gaussian + linear"), np.random.default_rng(0)
    y = model(X, 2, 5, 0.5, 0.3, 1) + 0.02 * rng.normal(size=(20, X.size))
    y[rng.random(y.shape) < 0.3] = np.nan
    y[3] = np.nan
    start = model.guess(X, y)
    assert np.isnan(start[3]).any()
    assert np.isfinite(np.delete(start, 3, axis=0)).all()
    fit = fit_batch(y, X, model)
    np.testing.assert_allclose(np.delete(fit.parameters, 3, axis=0), [[2, 5, 0.5, 0.3, 1]] * 19, rtol=0.1)


def test_curves_of_any_shape():
    model = parse("gaussian + lorentzian + power_law")
    assert model.guess(X, np.ones((2, 3, X.size))).shape == (2, 3, 8)
    assert model.guess(X, np.ones(X.size)).shape == (8,)
    assert model.guess(X, np.ones((0, X.size))).shape == (0, 8)
    assert parse("gaussian * linear").guess(X, np.ones((2, 3, X.size))).shape == (2, 3, 5)


def test_the_first_factor_carries_the_units_of_the_data():
    model = parse("gaussian * (linear + constant) + constant")
    exponents = dict(zip(model.names, (param.exponents() for param in model.params), strict=True))
    assert exponents["height"] == (1, 0) and exponents["center"] == (0, 1)
    assert exponents["slope"] == (0, -1) and exponents["constant1_offset"] == (0, 0)
    assert exponents["constant2_offset"] == (1, 0)


@pytest.mark.parametrize(
    ("text", "truth", "held"),
    [
        ("gaussian * linear + constant", [1, 5, 0.6, 0.3, 2, 1], "height"),
        ("lorentzian * linear + exponential", [5, 5, 0.4, 0.3, 1, 1, 0.5], "intercept"),
        ("(gaussian + gaussian) * linear + constant", [2, 3, 0.4, 2, 7, 0.5, 0.3, 1, 1], "intercept"),
    ],
)
def test_a_product_with_a_peak_is_a_term_of_a_sum(text, truth, held):
    model = parse(text)
    y = model(X, *np.array(truth, float)[:, np.newaxis]) + 0.01 * np.random.default_rng(0).normal(size=(1, X.size))
    start = model.guess(X, y)
    fixed = np.array([name == held for name in model.names])
    start[..., fixed] = np.array(truth)[fixed]
    found = fit_batch(y, X, model, start, fixed=fixed)
    assert np.sqrt(found.chi2[0] / X.size) < 0.011


@pytest.mark.parametrize(
    "text", ["loop + gaussian", "power_law + gaussian", "sho + constant", "power_law + gaussian + polynomial2"]
)
def test_starts_do_not_depend_on_how_many_curves_there_are(text):
    """Nor on gaps of others: blocks are cut as threads and memory want them."""
    rng, model = np.random.default_rng(5), parse(text)
    y = rng.normal(size=(40, 64)) + (1j * rng.normal(size=(40, 64)) if "sho" in text else 0.0)
    y[:, 20:30] += 5.0
    y[::3, 7] = np.nan
    x = np.linspace(1.0, 10.0, 64) if "loop" not in text else 5 * np.sin(np.linspace(0, 6.1, 64))
    for attempt in range(model.attempts):

        def start(y, attempt=attempt):
            return model.restart(x, y, attempt) if attempt else model.guess(x, y)

        np.testing.assert_array_equal(np.concatenate([start(y[i : i + 1]) for i in range(40)]), start(y))
