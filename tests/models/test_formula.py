"""Formulas: what is read, what is refused, derivatives, parts, units, and that both kernels say the same."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sid_xarray.errors import ModelError
from sid_xarray.models import TABLE, load
from sid_xarray.models.compose import parse
from sid_xarray.models.formula import Formula, Slopes, infer_units

X = np.linspace(-2, 3, 41)

leaves = st.sampled_from(["x", "a", "b", "c", "0.5", "2", "3.25"])
smooth = st.sampled_from(["exp", "sin", "cos", "tanh", "arctan", "erf"])
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(smooth, inner).map(lambda t: f"{t[0]}(0.1 * {t[1]})"),
        inner.map(lambda t: f"(-{t})"),
        inner.map(lambda t: f"(1 / (1 + ({t})**2))"),
        inner.map(lambda t: f"({t})**2"),
        inner.map(lambda t: f"sqrt(1 + ({t})**2)"),
        inner.map(lambda t: f"where({t} < 0.3, 2 * b, a * x)"),
    ),
    max_leaves=10,
)


def python(text):
    """The value by Python itself: the formulas here are our own."""
    from scipy.special import erf

    names = {n: getattr(np, n) for n in ("exp", "sin", "cos", "tanh", "arctan", "sqrt", "where")} | {"erf": erf}
    return lambda x, a, b, c: eval(text, {"__builtins__": {}}, {**names, "x": x, "a": a, "b": b, "c": c})


@given(formulas)
@settings(max_examples=150, deadline=None)
def test_values_are_those_of_python(text):
    formula = Formula(text, ("a", "b", "c"))
    p = (0.7, -1.3, 0.4)
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(python(text)(X, *p), X.shape)
    np.testing.assert_allclose(formula(X, *p), expected, rtol=1e-10, atol=1e-10 * max(1, np.abs(expected).max()))


@given(formulas.filter(lambda text: "where" not in text))
@settings(max_examples=150, deadline=None)
def test_derivatives_are_those_of_the_values(text):
    formula, p = Formula(text, ("a", "b", "c")), np.array([0.7, -1.3, 0.4])
    exact = np.broadcast_to(Slopes(formula)(X, *p), (X.size, 3))
    scale = max(1, np.abs(formula(X, *p)).max(), np.abs(exact).max())
    for k, step in enumerate(1e-5 * np.eye(3)):
        found = (formula(X, *(p + step)) - formula(X, *(p - step))) / 2e-5
        np.testing.assert_allclose(np.broadcast_to(found, X.shape), exact[:, k], atol=1e-6 * scale, rtol=1e-4)


@given(formulas)
@settings(max_examples=60, deadline=None)
def test_values_and_derivatives_at_once_are_the_same(text):
    formula = Formula(text, ("a", "b", "c"))
    p = np.random.default_rng(0).normal(size=(4, 3))
    value, slopes = np.empty((4, X.size)), np.empty((4, 3, X.size))
    with np.errstate(all="ignore"):
        formula.evaluate(formula.prepare(X), p, value, slopes)
    columns = p.T[:, :, np.newaxis]
    np.testing.assert_allclose(value, formula(X, *columns), rtol=1e-12, atol=1e-14)
    expected = np.broadcast_to(Slopes(formula)(X, *columns), (4, X.size, 3))
    np.testing.assert_allclose(slopes.swapaxes(1, 2), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')", "x.__class__", "a[0] * x", "lambda: x", "x if a else b", "[x]", "'x'", "x @ a",
        "open(x)", "exp(x, a)", "exp(x=1)", "exp(*x)", "x := 1", "x and a", "not x", "a << x", "a // x", "f'{x}'",
        "x +", "(", "\0", "(" * 3000, "x" * 30_000, "a = x", "1e999 * x", "x < a < b", "exp", "getattr(x, a)",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(ModelError):
        Formula.of(text)


def test_messages_say_what_there_is():
    with pytest.raises(ModelError, match=r"no function 'expp'. Did you mean 'exp'"):
        Formula.of("expp(x)")
    with pytest.raises(ModelError, match="where takes 3 arguments, got 2"):
        Formula.of("where(x, a)")
    with pytest.raises(ModelError, match="names that are no parameter: c"):
        Formula("a * x + c", ("a",))
    with pytest.raises(ModelError, match="is a function or number of formulas"):
        Formula("a * x", ("a", "pi"))
    with pytest.raises(ModelError, match="a power of 1000 is more"):
        Formula.of("x**1000 * a")(1.0, 2.0)
    with pytest.raises(ModelError, match="divides by zero"):
        Formula.of("a * x / 0")(1.0, 2.0)
    with pytest.raises(ModelError, match=r"rising\(\) tells where an axis rises"):
        Formula.of("a * rising(b * x)")(1.0, 2.0, 3.0)
    with pytest.raises(ModelError, match="has no parameter"):
        parse("x**2")


def test_long_sums_are_fine_and_deep_ones_are_refused():
    assert Formula.of(" + ".join(f"a{i} * x" for i in range(300)))(1.0, *np.ones(300)) == 300
    with pytest.raises(ModelError, match=r"nested too deeply|cannot read"):
        Formula.of("exp(" * 400 + "a * x" + ")" * 400)(1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "linear"),
    [
        ("a * exp(-x / t) + b", ("a", "b")),
        ("a * b * x + c", ("a", "c")),
        ("(a + b * x) * exp(-c * x)", ("a", "b")),
        ("a * (b + c * x)", ("b", "c")),
        ("a**2 * x + b", ("b",)),
        ("where(x > 0, a, b) * x", ("a", "b")),
        ("A * exp(1j * p) * x", ("A",)),
    ],
)
def test_linear_parameters_are_found(text, linear):
    assert parse(text).linear == linear


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("a * exp(-x / t) + b", {"a": "y", "t": "x", "b": "y"}),
        ("a * exp(-((x - b) / c)**2) + d * x", {"a": "y", "b": "x", "c": "x", "d": "y/x"}),
        ("a * x**2 + b * x + 5", {"a": "y/x**2", "b": "y/x"}),
        ("sqrt(a * x) + c", {"a": "y**2/x", "c": "y"}),
        ("a * x**n", {}),
        ("where(x < c, a, b)", {"a": "y", "b": "y", "c": "x"}),
        ("a * log(x / b)", {"a": "y", "b": "x"}),
        ("a * exp(x)", {}),
        ("a * b * x", {}),
    ],
)
def test_units_follow_from_where_a_parameter_stands(text, units):
    assert infer_units(Formula.of(text)) == units


def test_complex_formulas():
    formula = Formula.of("a * exp(1j * b) / (x - 1j * c)")
    z = 2 * np.exp(0.3j) / (X - 0.5j)
    np.testing.assert_allclose(formula(X, 2, 0.3, 0.5), z)
    for text, expected in (("abs", abs(z)), ("real", z.real), ("imag", z.imag), ("conj", z.conj())):
        whole = Formula.of(f"{text}({formula.text})")
        np.testing.assert_allclose(whole(X, 2, 0.3, 0.5), expected)
        assert whole.is_complex == (text == "conj")
        step = 1e-6
        found = (whole(X, 2, 0.3 + step, 0.5) - whole(X, 2, 0.3 - step, 0.5)) / (2 * step)
        np.testing.assert_allclose(Slopes(whole)(X, 2, 0.3, 0.5)[:, 1], found, atol=1e-8)
    with pytest.raises(ModelError, match="erf takes real numbers"):
        Formula.of("erf(1j * a * x)")(1.0, 1.0)


def test_axes_rise_and_fall():
    formula = Formula.of("rising(x) * a")
    assert formula([0, 1, 2, 1, 0, 0, -1, 3], 1.0).tolist() == [1, 1, 0, 0, 0, 0, 1, 1]
    assert formula([1.0], 1.0).tolist() == [1]


def test_two_axes():
    formula = Formula.of("a * x + b * y", axes=("x", "y"))
    assert formula.parameters == ("a", "b")
    assert formula(np.array([[1.0, 2], [10, 20]]), 3, 4).tolist() == [43, 86]


def test_formulas_travel_and_are_compared_by_what_they_say():
    one, two = Formula.of("a * x"), pickle.loads(pickle.dumps(Formula.of("a * x")))
    assert one == two
    assert hash(one) == hash(two)
    assert one.renamed({"a": "b"}).text == "b * x"
    assert Formula.of("a * x + b").replaced({"a": "b + 1"}).text == "(b + 1) * x + b"


# --------------------------------------------------------------------------------------------- compiled


def compiled(formula, x, y, p):
    loader = pytest.importorskip("numba") and pytest.importorskip("sid_xarray.kernels.compiled.loader")
    r, jac = np.empty(y.size), np.empty((p.size, y.size))
    loader.load_model(formula.source()[0])(formula.rows(x), y, p, r, jac)
    return r, jac


@pytest.mark.parametrize("name", sorted(TABLE))
def test_compiled_functions_say_the_same(name):
    model, rng = load(name), np.random.default_rng(0)
    f, x = model.expression, np.sort(rng.uniform(0.5, 9, 60))
    x = np.stack([x, rng.permutation(x)]) if len(f.axes) == 2 else np.concatenate([x, x[::-1]])
    p = rng.uniform(0.3, 0.9, len(model.params))
    n = x.shape[-1]
    y = rng.normal(size=n * (1 + f.is_complex))
    value, slopes = np.empty((1, y.size)), np.empty((1, p.size, y.size))
    f.evaluate(f.prepare(x), p[np.newaxis], value, slopes)
    r, jac = compiled(f, x, y, p)
    np.testing.assert_allclose(r, y - value[0], rtol=1e-11, atol=1e-11 * np.abs(value).max())
    np.testing.assert_allclose(jac, slopes[0], rtol=1e-10, atol=1e-11 * np.abs(slopes).max())


@pytest.mark.parametrize(
    "text",
    [
        "a * sign(x - b)",
        "a * heaviside(x - b, 0.5)",
        "minimum(a * x, b)",
        "a * log10(x)",
        "a * arcsin(b * x / 20)",
        "hypot(a, b * x)",
        "a * sinh(b * x) / cosh(x)",
        "a * tan(b)",
    ],
)
def test_compiled_functions_of_all_sorts(text):
    f, x, p = Formula(text, ("a", "b")), np.linspace(0.5, 4, 50), np.array([0.7, 0.9])
    r, jac = compiled(f, x, np.zeros(50), p)
    np.testing.assert_allclose(-r, np.broadcast_to(f(x, *p), 50), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(jac, np.broadcast_to(Slopes(f)(x, *p), (50, 2)).T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("a * erf(where(x > b, x, b))", True),
        ("exp(-where(x > b, x, b)**2) + a * erf(where(x > b, x, b))", True),
        ("a * erf(abs(x - b)) * erf(x - b) ", True),
        ("a * erf(x - b) + exp(-(x - a)**2)", True),
        ("a * exp(-(x - b)**2)", False),
        ("a * erf(b) * x", False),
        ("a * erf(x) * b", False),
    ],
)
def test_an_error_function_and_its_slope_are_one_call(text, together):
    f, x, p = Formula(text, ("a", "b")), np.linspace(-4, 4, 50), np.array([0.7, 0.9])
    assert ("erf_and_bell" in f.source()[0]) == together
    r, jac = compiled(f, x, np.zeros(50), p)
    np.testing.assert_allclose(-r, f(x, *p), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(jac, Slopes(f)(x, *p).T, rtol=1e-12, atol=1e-12)


def test_elementary_functions_are_those_of_scipy():
    pytest.importorskip("numba")
    from scipy.special import erf, wofz

    from sid_xarray.kernels.compiled import maths

    x = np.concatenate([np.linspace(-40, 40, 4001), [-800, 800, 0, np.inf, -np.inf, np.nan, 1e-300]])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose([maths.exp(v) for v in x], np.exp(x), rtol=4e-16)
        np.testing.assert_allclose([maths.erf(v) for v in x], erf(x), atol=3e-15)
        both = np.array([maths.erf_and_bell(v) for v in x]).T
        np.testing.assert_allclose(both[0], erf(x), atol=3e-15)
        np.testing.assert_allclose(both[1], np.exp(-x * x), rtol=4e-16 * 1600, atol=3e-308)
        np.testing.assert_allclose([maths.tanh(v) for v in x], np.tanh(x), atol=1e-15)
    z = x[:4001:10] + 1j * np.geomspace(1e-6, 1e3, 401)
    found = np.array([complex(*maths.faddeeva(v.real, v.imag)) for v in z])
    np.testing.assert_allclose(found, wofz(z), rtol=1e-12)
