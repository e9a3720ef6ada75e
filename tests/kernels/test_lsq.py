"""Batched fits against SciPy, against statistics, against closed forms, and on data that cannot be fitted."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from sid_xarray.kernels import lsq
from sid_xarray.kernels.lsq import STATUS
from sid_xarray.models import load
from sid_xarray.models.compose import parse

CODE = {word: code for code, word in STATUS.items()}
X = np.linspace(-1, 1, 128)
PEAK = parse("gaussian + constant")
TRUTH = np.array([1.5, 0.2, 0.1, 0.3])


ENGINE = {"engine": "numpy"}


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def _engine(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    ENGINE["engine"] = request.param
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def fit_batch(*args, **options):
    return lsq.fit_batch(*args, **{**ENGINE, **options})


def peak(x, height, center, sigma, offset):
    return height * np.exp(-0.5 * ((x - center) / sigma) ** 2) + offset


def peaks(shape=(6,), *, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.stack(
        [
            rng.uniform(0.5, 2, shape),
            rng.uniform(-0.5, 0.5, shape),
            rng.uniform(0.05, 0.25, shape),
            rng.normal(size=shape),
        ],
        axis=-1,
    )
    return peak(X, *np.moveaxis(truth, -1, 0)[..., np.newaxis]) + rng.normal(0, noise, (*shape, X.size)), truth


def words(result):
    return [STATUS[code] for code in np.ravel(result.status)]


def scipy_fit(y, **options):
    tight = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14} if "bounds" not in options else {"ftol": 1e-12, "xtol": 1e-12}
    values, covariance = curve_fit(peak, X, y, p0=PEAK.guess(X, y), **tight, **options)
    return values, covariance


# --------------------------------------------------------------------------------------------- as SciPy does


@pytest.mark.parametrize("absolute", [None, False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("model", [PEAK, peak], ids=["derivatives", "differences"])
def test_parameters_and_covariance_are_those_of_scipy(model, weighted, absolute):
    y, _ = peaks()
    sigma = 0.05 * (1 + X**2) if weighted else None
    given = {} if sigma is None else {"variance": sigma**2}
    ours = fit_batch(y, X, model, PEAK.guess(X, y), absolute_sigma=absolute, **given)
    same = fit_batch(
        y, X, model, PEAK.guess(X, y), absolute_sigma=absolute, **({} if sigma is None else {"weights": 1 / sigma})
    )
    np.testing.assert_allclose(same.stderr, ours.stderr, rtol=1e-9)
    for i, curve in enumerate(y):
        values, covariance = scipy_fit(curve, sigma=sigma, absolute_sigma=weighted if absolute is None else absolute)
        np.testing.assert_allclose(ours.parameters[i], values, rtol=1e-5)
        np.testing.assert_allclose(ours.stderr[i], np.sqrt(np.diag(covariance)), rtol=1e-5)
        np.testing.assert_allclose(ours.covariance[i], covariance, rtol=3e-5, atol=1e-6 * np.abs(covariance).max())


def test_statistics_are_what_their_names_say():
    y, _ = peaks(noise=0.1)
    weights = np.random.default_rng(1).uniform(0.5, 2, y.shape)
    fit = fit_batch(y, X, PEAK, weights=weights)
    residual = y - PEAK(X, *fit.parameters.T[:, :, np.newaxis])
    mean = (weights**2 * y).sum(1, keepdims=True) / (weights**2).sum(1, keepdims=True)
    np.testing.assert_allclose(fit.chi2, ((weights * residual) ** 2).sum(1))
    np.testing.assert_allclose(fit.redchi, fit.chi2 / (X.size - 4))
    np.testing.assert_allclose(fit.rsquared, 1 - fit.chi2 / ((weights * (y - mean)) ** 2).sum(1))


def test_bounds_that_matter_give_the_optimum_of_scipy():
    y, _ = peaks()
    lower, upper = [0, -1, 0.15, -np.inf], [1.0, 1, 2, np.inf]
    ours = fit_batch(y, X, PEAK, lower=lower, upper=upper)
    assert set(words(ours)) == {"converged"}
    for i, curve in enumerate(y):
        start = np.clip(PEAK.guess(X, curve), [0.01, -1, 0.16, -9], [0.99, 1, 2, 9])
        values, _ = curve_fit(peak, X, curve, p0=start, bounds=(lower, upper), ftol=1e-14, xtol=1e-14, gtol=1e-14)
        best = ((curve - peak(X, *values)) ** 2).sum()
        assert ours.chi2[i] <= best * (1 + 1e-9)
        np.testing.assert_allclose(ours.parameters[i], values, rtol=1e-3, atol=1e-4)
    at_bound = (ours.parameters == lower) | (ours.parameters == upper)
    assert at_bound.any()
    np.testing.assert_array_equal(np.isnan(ours.stderr), at_bound)


def test_bounds_that_do_not_matter_change_nothing():
    y, _ = peaks()
    free = fit_batch(y, X, PEAK)
    wide = fit_batch(y, X, PEAK, lower=[-9, -9, 1e-9, -9], upper=[9, 9, 9, 9])
    np.testing.assert_allclose(wide.parameters, free.parameters, rtol=1e-6)
    np.testing.assert_allclose(wide.stderr, free.stderr, rtol=1e-6)


def test_free_parameters_next_to_a_pinned_one_are_those_of_a_fit_that_holds_it():
    y, _ = peaks()
    pinned = fit_batch(y, X, PEAK, upper=[1, 1, 0.04, 9])
    held = fit_batch(y, X, PEAK, pinned.parameters, fixed=pinned.stderr[0] != pinned.stderr[0])
    np.testing.assert_allclose(held.parameters[0], pinned.parameters[0], rtol=1e-4)
    np.testing.assert_allclose(
        held.covariance[0] / held.redchi[0], pinned.covariance[0] / pinned.redchi[0], rtol=1e-3, atol=1e-9
    )


# --------------------------------------------------------------------------------------------- the truth


def test_stderr_is_the_scatter_of_the_estimates():
    rng = np.random.default_rng(3)
    sigma = 0.03 * (1 + X**2)
    y = peak(X, *TRUTH) + sigma * rng.normal(size=(8000, X.size))
    for options in ({}, {"variance": sigma**2}):
        fit = fit_batch(y, X, PEAK, **options)
        assert set(words(fit)) == {"converged"}
        if options:  # without, the errors are assumed to be equal, and they are not
            np.testing.assert_allclose(fit.stderr.mean(0), fit.parameters.std(0), rtol=0.03)
            np.testing.assert_allclose(fit.redchi.mean(), 1, rtol=0.01)
        np.testing.assert_array_less(
            np.abs(fit.parameters.mean(0) - TRUTH), 5 * fit.parameters.std(0) / 8000**0.5 + 1e-4
        )


def test_data_without_noise_give_the_truth():
    _, truth = peaks((3, 4))
    y = peak(X, *np.moveaxis(truth, -1, 0)[..., np.newaxis])
    fit = fit_batch(y, X, PEAK)
    assert fit.parameters.shape == (3, 4, 4)
    assert fit.covariance.shape == (3, 4, 4, 4)
    np.testing.assert_allclose(fit.parameters, truth, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.rsquared, 1)


def test_linear_models_take_one_step_and_match_polyfit():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5, X.size)) + 3 * X - 1
    fit = fit_batch(y, X, load("linear"), np.full(2, 7.0))
    assert (fit.n_iter == 1).all()
    for i, curve in enumerate(y):
        values, covariance = np.polyfit(X, curve, 1, cov=True)
        np.testing.assert_allclose(fit.parameters[i], values, rtol=1e-10)
        np.testing.assert_allclose(fit.covariance[i], covariance, rtol=1e-9, atol=1e-12)


def test_a_model_is_linear_in_what_is_left_free():
    y, truth = peaks()
    fit = fit_batch(y, X, PEAK, truth, fixed=[False, True, True, False])
    assert (fit.n_iter == 1).all()
    np.testing.assert_array_equal(fit.parameters[:, 1:3], truth[:, 1:3])
    np.testing.assert_array_equal(np.isnan(fit.stderr), [[False, True, True, False]] * len(y))
    slow = fit_batch(y, X, peak, truth, fixed=[False, True, True, False])
    np.testing.assert_allclose(fit.parameters, slow.parameters, rtol=1e-7)
    np.testing.assert_allclose(fit.stderr[:, [0, 3]], slow.stderr[:, [0, 3]], rtol=1e-6)


def test_a_linear_model_keeps_its_bounds():
    y = 3 * X - 1 + np.random.default_rng(0).normal(0, 0.1, (4, X.size))
    fit = fit_batch(y, X, load("linear"), lower=[-np.inf, -0.5])
    np.testing.assert_array_equal(fit.parameters[:, 1], -0.5)
    np.testing.assert_allclose(fit.parameters[:, 0], ((y + 0.5) * X).sum(1) / (X * X).sum(), rtol=1e-9)


def test_complex_data_are_fitted_in_both_parts():
    def resonance(f, amplitude, f0, q, phase):
        return amplitude * np.exp(1j * phase) * f0**2 / (f0**2 - f**2 + 1j * f * f0 / q)

    rng = np.random.default_rng(0)
    f, truth = np.linspace(300e3, 400e3, 200), np.array([1e-5, 350e3, 100, 0.7])
    y = resonance(f, *truth) + 2e-5 * (rng.normal(size=(4, 200)) + 1j * rng.normal(size=(4, 200)))
    fit = fit_batch(y, f, resonance, truth * 1.003)
    assert set(words(fit)) == {"converged"}

    def parts(f, *p):
        value = resonance(f, *p)
        return np.concatenate([value.real, value.imag])

    for i, curve in enumerate(y):
        both = np.concatenate([curve.real, curve.imag])
        values, covariance = curve_fit(parts, f, both, p0=truth, x_scale=truth, method="trf", xtol=1e-14, ftol=1e-14)
        np.testing.assert_allclose(fit.parameters[i], values, rtol=1e-5)
        np.testing.assert_allclose(fit.stderr[i], np.sqrt(np.diag(covariance)), rtol=1e-4)
    np.testing.assert_allclose(fit.redchi, 4e-10, rtol=0.3)


def test_complex_data_with_a_real_model_see_the_real_part():
    y, _ = peaks()
    np.testing.assert_allclose(fit_batch(y + 0j, X, PEAK).parameters, fit_batch(y, X, PEAK).parameters, rtol=1e-6)


# --------------------------------------------------------------------------------------------- any scale, any gap


@pytest.mark.parametrize("model", [PEAK, peak], ids=["derivatives", "differences"])
@pytest.mark.parametrize("sx", [1e-9, 1, -1, 1e9])
@pytest.mark.parametrize("sy", [1e-30, 1, -1, 1e12])
def test_units_do_not_matter(model, sx, sy):
    y, _ = peaks()
    scale = np.array([sy, sx, abs(sx), sy])
    start = PEAK.guess(X, y) * scale
    expected = fit_batch(y, X, PEAK)
    fit = fit_batch(y * sy, X * sx, model, start)
    fit.parameters[:, 2] = np.abs(fit.parameters[:, 2])
    np.testing.assert_allclose(fit.parameters / scale, expected.parameters, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(fit.stderr / np.abs(scale), expected.stderr, rtol=1e-5)


@pytest.mark.parametrize("weight", [1e-20, 1e20])
def test_the_scale_of_weights_does_not_matter(weight):
    y, _ = peaks()
    expected = fit_batch(y, X, PEAK)
    fit = fit_batch(y, X, PEAK, weights=np.full(X.size, weight), absolute_sigma=False)
    np.testing.assert_allclose(fit.parameters, expected.parameters, rtol=1e-6)
    np.testing.assert_allclose(fit.stderr, expected.stderr, rtol=1e-6)


@pytest.mark.parametrize("order", [slice(None, None, -1), np.random.default_rng(0).permutation(X.size)])
def test_the_order_of_samples_does_not_matter(order):
    y, _ = peaks()
    fit = fit_batch(y[:, order], X[order], PEAK)
    np.testing.assert_allclose(fit.parameters, fit_batch(y, X, PEAK).parameters, rtol=1e-6)


@pytest.mark.parametrize("away", [1e6, 1e8])
def test_a_line_far_from_its_origin_keeps_its_digits(away):
    rng = np.random.default_rng(0)
    y = 3 * X + 2 + rng.normal(0, 0.1, (3, X.size))
    near, far = fit_batch(y, X, load("linear")), fit_batch(y, X + away, load("linear"))
    np.testing.assert_allclose(far.parameters[:, 0], near.parameters[:, 0], rtol=1e-6)
    np.testing.assert_allclose(far.stderr[:, 0], near.stderr[:, 0], rtol=1e-6)
    peaky = peak(X, *TRUTH) + y
    near, far = (fit_batch(peaky, x, parse("gaussian + linear")) for x in (X, X + away))
    np.testing.assert_allclose(far.parameters[:, 0], near.parameters[:, 0], rtol=1e-4)
    np.testing.assert_allclose(far.parameters[:, 1] - away, near.parameters[:, 1], atol=1e-5)


def test_gaps_are_left_out_per_curve():
    y, _ = peaks()
    holes = np.random.default_rng(0).random(y.shape) < 0.3
    gappy = np.where(holes, np.nan, y)
    gappy[0, 5] = np.inf
    fit = fit_batch(gappy, X, PEAK)
    weighted = fit_batch(y, X, PEAK, weights=np.isfinite(gappy).astype(float), absolute_sigma=False)
    for i, curve in enumerate(gappy):
        there = np.isfinite(curve)
        alone = fit_batch(curve[there], X[there], PEAK)
        for result in (fit, weighted):
            np.testing.assert_allclose(result.parameters[i], alone.parameters, rtol=1e-6)
            np.testing.assert_allclose(result.stderr[i], alone.stderr, rtol=1e-5)
            np.testing.assert_allclose(result.redchi[i], alone.redchi, rtol=1e-8)
            np.testing.assert_allclose(result.rsquared[i], alone.rsquared, rtol=1e-8)


def test_samples_at_nan_on_the_axis_are_left_out():
    y, _ = peaks()
    x = np.where(np.arange(X.size) % 9 == 4, np.nan, X)
    there = np.isfinite(x)
    np.testing.assert_array_equal(fit_batch(y, x, PEAK).parameters, fit_batch(y[:, there], X[there], PEAK).parameters)


def test_where_the_model_is_not_finite_a_gap_helps():
    x = np.linspace(-1, 5, 60)
    y = np.where(x > 0, 3 * np.abs(x) ** -1.5, np.nan)
    fit = fit_batch(y, x, load("power_law"))
    np.testing.assert_allclose(fit.parameters, [3, 1.5], rtol=1e-9)
    assert words(fit_batch(np.ones(60), x, load("power_law"))) == ["model_not_finite"]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, np.complex64])
def test_results_are_double(dtype):
    y, _ = peaks()
    fit = fit_batch((y * 1000).astype(dtype), X, PEAK)
    assert fit.parameters.dtype == fit.chi2.dtype == np.float64
    assert fit.status.dtype == np.int8
    expected = fit_batch((y * 1000).astype(dtype).real.astype(float), X, PEAK)
    np.testing.assert_allclose(fit.parameters, expected.parameters, rtol=1e-6)


@given(block=st.integers(1, 40), first=st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_a_curve_does_not_see_its_neighbours(block, first):
    y, _ = peaks((30,))
    y[7], y[8, :50] = np.nan, np.nan
    for model in (PEAK, peak):
        whole = fit_batch(y, X, model, PEAK.guess(X, y))
        part = fit_batch(y[first:], X, model, PEAK.guess(X, y[first:]), block=block)
        np.testing.assert_array_equal(whole.status[first:], part.status)
        np.testing.assert_allclose(whole.parameters[first:], part.parameters, rtol=1e-7)


# --------------------------------------------------------------------------------------------- what cannot be fitted


@pytest.mark.parametrize("value", [0, 5, 0.1, -3e12, 1e-30])
def test_a_peak_in_constant_data_is_undetermined(value):
    fit = fit_batch(np.full((3, X.size), value), X, PEAK)
    assert set(words(fit)) == {"singular"}
    assert np.isnan(fit.parameters).all()
    assert np.isnan(fit.stderr).all()
    assert np.isnan(fit.chi2).all()


@pytest.mark.parametrize("value", [0, 5, 0.1, -3e12, 1e-30])
def test_a_line_through_constant_data_is_determined(value):
    fit = fit_batch(np.full((3, X.size), value), X, load("linear"))
    assert set(words(fit)) == {"converged"}
    np.testing.assert_allclose(fit.parameters, [[0, value]] * 3, rtol=1e-12, atol=1e-14 * abs(value))
    assert np.isnan(fit.rsquared).all()


@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "exponential", "power_law", "linear", "constant"])
@pytest.mark.parametrize("value", [0, 0.1])
def test_constant_data_never_fail_the_batch(name, value):
    y = np.full((2, X.size), float(value))
    y[1] = load(name)(X + 2, *[1.0, 2.0, 0.3][: len(load(name).params)])
    fit = fit_batch(y, X + 2, load(name))
    assert words(fit)[1] == "converged"


def test_one_bad_curve_of_each_kind():
    y, _ = peaks((6,))
    start = PEAK.guess(X, y)
    y[0], y[1, 3:], start[2, 1], y[3] = np.nan, np.nan, np.nan, -np.inf
    fit = fit_batch(y, X, PEAK, start)
    assert words(fit) == [
        "no_finite_data",
        "too_few_points",
        "guess_not_finite",
        "no_finite_data",
        "converged",
        "converged",
    ]
    failed = fit.status != CODE["converged"]
    for name in ("parameters", "stderr", "covariance", "chi2", "redchi", "rsquared"):
        values = getattr(fit, name)
        assert np.isnan(values[failed]).all()
        assert np.isfinite(values[~failed]).all()


def test_iterations_that_run_out_give_no_uncertainty():
    y, _ = peaks()
    fit = fit_batch(y, X, PEAK, max_iter=1)
    assert set(words(fit)) == {"not_converged"}
    assert np.isfinite(fit.parameters).all()
    assert np.isnan(fit.stderr).all()


def test_as_many_points_as_parameters_fit_without_uncertainty():
    fit = fit_batch([[1.0, 3.0]], [0.0, 1.0], load("linear"))
    np.testing.assert_allclose(fit.parameters, [[2, 1]], atol=1e-14)
    assert np.isnan(fit.stderr).all()
    assert np.isfinite(fit_batch([[1.0, 3.0]], [0.0, 1.0], load("linear"), variance=np.ones(2)).stderr).all()


def test_terms_that_cannot_be_told_apart_are_singular():
    y, _ = peaks()
    assert set(words(fit_batch(y, X, parse("constant + constant")))) == {"singular"}
    assert set(words(fit_batch(y, X, parse("gaussian * constant")))) == {"singular"}


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_no_curves(shape):
    fit = fit_batch(np.empty((*shape, X.size)), X, PEAK)
    assert fit.parameters.shape == (*shape, 4)
    assert fit.covariance.shape == (*shape, 4, 4)
    assert fit.status.shape == shape


def test_no_samples_and_a_single_curve():
    assert words(fit_batch(np.empty((2, 0)), np.empty(0), PEAK)) == ["no_finite_data"] * 2
    y, _ = peaks((1,))
    assert fit_batch(y[0], X, PEAK).parameters.shape == (4,)
    assert fit_batch(y[0], X, PEAK).status.shape == ()


def test_weights_that_are_no_weights_mask():
    y, _ = peaks((1,))
    weights = np.ones(X.size)
    weights[[3, 50, 60, 70]] = 0, np.nan, -1, np.inf
    there = np.isfinite(weights) & (weights > 0)
    np.testing.assert_allclose(
        fit_batch(y, X, PEAK, weights=weights).stderr,
        fit_batch(y[:, there], X[there], PEAK, weights=np.ones(there.sum())).stderr,
        rtol=1e-5,  # the two begin, and end, at slightly different places
    )
    assert words(fit_batch(y, X, PEAK, variance=np.zeros(X.size))) == ["no_finite_data"]


def test_nothing_to_fit_gives_chi2():
    y, truth = peaks()
    fit = fit_batch(y, X, PEAK, truth, fixed=True)
    np.testing.assert_array_equal(fit.parameters, truth)
    np.testing.assert_allclose(fit.redchi, 0.05**2, rtol=0.5)
    assert np.isnan(fit.stderr).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": 1, "variance": 1}, "two ways"),
        ({"lower": [0, 1]}, r"lower of shape \(2,\) does not broadcast to \(6, 4\)"),
        ({"lower": 1, "upper": 0}, "above its upper"),
        ({"guess": [1, 2]}, "guess of shape"),
        ({"x": np.zeros(3)}, "x must be one axis"),
        ({"model": peak}, "needs a guess"),
        ({"model": lambda x, a: a * 1j * x, "guess": [1.0]}, "the model is complex"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    y, _ = peaks()
    with pytest.raises(ValueError, match=message):
        fit_batch(**{"y": y, "x": X, "model": PEAK} | options)


def test_status_words_are_cf_flag_meanings():
    assert list(STATUS) == list(range(len(STATUS)))
    assert all(word.isidentifier() and word.islower() for word in STATUS.values())


@pytest.mark.parametrize("name", ["polynomial2", "polynomial9", "double_exponential", "gaussian", "loop"])
@pytest.mark.parametrize("scale", [1e-200, 1e200, 1.7e308])
def test_an_axis_of_any_length_ends_no_fit(name, scale):
    x = np.linspace(-1, 1, 64) * scale
    found = lsq.fit_batch(np.random.default_rng(0).normal(size=(5, 64)), x, load(name), **ENGINE)
    fitted = np.isin(found.status, [CODE["converged"], CODE["not_converged"]])
    assert np.isnan(found.parameters[~fitted]).all()
    assert np.isfinite(found.parameters[fitted]).all()
