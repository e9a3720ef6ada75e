"""Backgrounds against closed forms, numpy and scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from sid_xarray.kernels.background import polynomial_background, power_law_background

X = np.linspace(200, 400, 201)
BELOW = X <= 280


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def law(x, height, exponent):
    return height * x**-exponent


@given(exponent=st.floats(-2, 6), log_height=st.floats(-9, 9), log_scale=st.floats(-6, 6))
@settings(max_examples=60, deadline=None)
def test_a_power_law_is_found_exactly_in_any_units(exponent, log_height, log_scale):
    x = X * 10.0**log_scale
    height = 10.0**log_height * np.exp(exponent * np.log(x.mean()))
    y = law(x, height, exponent)
    background, h, e, status = power_law_background(y, x, inside=BELOW)
    assert status == 0
    np.testing.assert_allclose(e, exponent, atol=1e-8)
    np.testing.assert_allclose(background, y, rtol=1e-8)
    np.testing.assert_allclose(np.log(h), np.log(height), atol=1e-6)


def test_the_exponent_of_counted_electrons_has_no_bias():
    rng = np.random.default_rng(0)
    mean = 40 * (X / 200) ** -3.0  # few counts: the logarithm of such data is 3 % off
    y = rng.poisson(mean, size=(4000, X.size)).astype(float)
    _, _, exponent, status = power_law_background(y, X, inside=BELOW)
    assert (status == 0).all()
    error = exponent.std() / np.sqrt(exponent.size)
    assert abs(exponent.mean() - 3) < 4 * error + 0.004


def test_it_is_the_least_squares_of_scipy():
    rng = np.random.default_rng(1)
    y = 500 * (X / 200) ** -3.0 + rng.normal(0, 10, size=(30, X.size))
    _, height, exponent, status = power_law_background(y, X, inside=BELOW)
    assert (status == 0).all()
    for one, h, e in zip(y, height, exponent, strict=True):
        best, _ = curve_fit(
            lambda x, a, k: a * (x / 200) ** -k, X[BELOW], one[BELOW], p0=(500, 3), ftol=1e-14, xtol=1e-14, gtol=1e-14
        )
        np.testing.assert_allclose(e, best[1], rtol=1e-6)
        np.testing.assert_allclose(h * 200.0**-e, best[0], rtol=1e-6)


def test_a_power_law_may_point_down_only_where_that_is_said():
    y = np.stack([law(X, 1e6, 2), -law(X, 1e6, 2), np.zeros_like(X), np.full_like(X, np.nan), law(X, 1e6, 2)])
    y[4, 5:] = np.nan
    y[4, 3:5] = np.inf
    background, height, exponent, status = power_law_background(y, X, inside=BELOW)
    assert status.tolist() == [0, 3, 3, 2, 0]
    assert np.isnan(background[1:4]).all()
    assert np.isnan(height[1:4]).all()
    np.testing.assert_allclose(background[4], background[0], rtol=1e-9)
    np.testing.assert_allclose(exponent[[0, 4]], 2, rtol=1e-9)


def test_a_power_law_ends_at_zero():
    x = np.linspace(-10, 90, 101)
    y = np.where(x > 0, np.where(x > 0, x, 1) ** -1.5, 7.0)
    background, _, exponent, status = power_law_background(y, x, inside=(x > -5) & (x < 50))
    assert status == 0
    np.testing.assert_allclose(exponent, 1.5)
    assert np.isnan(background[x <= 0]).all()
    np.testing.assert_allclose(background[x > 0], y[x > 0])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1e9, 1), (0, 1e-9), (-3, 1e3)], ids=str)
def test_a_polynomial_is_that_of_numpy_in_two_windows(degree, shift, scale):
    rng = np.random.default_rng(degree)
    u = np.linspace(0, 10, 101)
    x = shift + scale * u
    y = rng.normal(size=(5, 101))
    inside = (u <= 2) | (u >= 8)
    background, *coefficients, status = polynomial_background(y, x, inside=inside, degree=degree)
    assert (status == 0).all()
    for one, found in zip(y, background, strict=True):
        # numpy in a variable near 1: it is ill-conditioned in x itself.
        expected = np.polyval(np.polyfit(u[inside], one[inside], degree), (x - shift) / scale)
        np.testing.assert_allclose(found, expected, atol=1e-6 if shift == 1e9 else 1e-9)
    top = np.array([np.polyfit(u[inside], one[inside], degree)[0] for one in y]) / scale**degree
    np.testing.assert_allclose(coefficients[degree], top, rtol=1e-6)


@pytest.mark.parametrize(("x", "rtol"), [(np.linspace(1e-9, 9e-9, 41), 1e-9), (1e9 + np.linspace(0, 10, 41), 1e-5)])
def test_coefficients_are_in_powers_of_the_axis(x, rtol):
    true = (2.0, -3.0 / np.ptp(x), 5.0 / np.ptp(x) ** 2)
    u = x - x[0]
    y = true[0] + true[1] * u + true[2] * u**2
    _, c0, c1, c2, status = polynomial_background(y, x, inside=np.ones(41, bool), degree=2)
    assert status == 0
    np.testing.assert_allclose(c2, true[2], rtol=rtol)
    np.testing.assert_allclose(c1, true[1] - 2 * true[2] * x[0], rtol=rtol)
    np.testing.assert_allclose(c0, true[0] - true[1] * x[0] + true[2] * x[0] ** 2, rtol=rtol)


def test_an_offset_is_the_mean_of_what_is_there():
    y = np.random.default_rng(0).normal(size=(3, 50)).astype("f4")
    y[1, :10] = np.nan
    inside = np.arange(50) < 20
    background, offset, status = polynomial_background(y, np.arange(50.0), inside=inside, degree=0)
    np.testing.assert_allclose(offset, np.nanmean(y[:, :20], axis=1, dtype=float), rtol=1e-12)
    assert background.dtype == np.float32
    assert (status == 0).all()


def test_fewer_points_than_coefficients_give_nan_and_a_status():
    y = np.full((2, 10), np.nan)
    y[0, :3] = (1.0, 2.0, 3.0)
    y[1, :2] = (1.0, 2.0)
    background, c0, c1, c2, status = polynomial_background(y, np.arange(10.0), inside=np.ones(10, bool), degree=2)
    assert status.tolist() == [0, 2]
    assert np.isfinite(background[0]).all()
    assert np.isnan(background[1]).all()
    np.testing.assert_allclose([c0[0], c1[0], c2[0]], [1, 1, 0], atol=1e-9)


def test_a_position_that_is_nan_takes_no_part():
    x = np.arange(10.0)
    x[4] = np.nan
    background, c0, c1, status = polynomial_background(3 * np.arange(10.0), x, inside=np.ones(10, bool), degree=1)
    assert status == 0
    np.testing.assert_allclose([c0, c1], [0, 3], atol=1e-12)
    assert np.isnan(background[4])
    assert np.isfinite(np.delete(background, 4)).all()


def test_a_negative_degree_is_refused():
    with pytest.raises(ValueError, match="degree should be 0 or more, got -1"):
        polynomial_background(np.zeros(4), np.arange(4.0), inside=np.ones(4, bool), degree=-1)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_a_power_law_is_found_at_any_scale_of_the_values(scale):
    x = np.linspace(200, 400, 100)
    y = scale * (x / 200) ** -3
    background, _, exponent, status = power_law_background(y, x, inside=x < 300)
    assert status == 0
    np.testing.assert_allclose(exponent, 3, rtol=1e-8)
    np.testing.assert_allclose(background, y, rtol=1e-8)
