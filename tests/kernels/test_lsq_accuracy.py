"""Fits end at the best minimum, that of scipy, and their errors are the scatter of repeats."""

from __future__ import annotations

import numpy as np
import pytest

from sid_xarray.kernels.lsq import fit_batch

CASES = ["gaussian", "two", "sho", "loop"]


@pytest.mark.parametrize("name", CASES)
def test_guesses_lead_to_the_best_minimum_in_much_noise(name, case):
    model, x, y, truth = case(name, (4000 if name == "loop" else 1000,), noise=5.0, seed=12)
    found, other = fit_batch(y, x, model), fit_batch(y, x, model, truth)
    best = np.fmin(found.chi2, other.chi2)
    assert np.mean(found.chi2 <= best * (1 + 1e-6)) >= (0.98 if name == "loop" else 0.99)
    assert np.mean(found.chi2 <= best * (1 + 1e-3)) >= 0.99


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_is_that_of_scipy_from_the_same_guess(name, case):
    from scipy.optimize import least_squares

    model, x, y, truth = case(name, (30,), seed=11)

    def flat(values, axis=-1):
        return np.concatenate([values.real, values.imag], axis) if np.iscomplexobj(values) else values

    start = fit_batch(y, x, model, max_iter=1).parameters if name == "two" else np.asarray(model.guess(x, y))
    found = fit_batch(y, x, model)
    for i, curve in enumerate(y):
        scale = np.abs(truth[i]) + 1e-3 * np.abs(truth).max(axis=0)
        theirs = least_squares(
            lambda q, curve=curve, scale=scale: flat(model(x, *(q * scale)) - curve),
            start[i] / scale,
            jac=lambda q, scale=scale: flat(model.jacobian(x, *(q * scale)), 0) * scale,
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
        )
        assert found.chi2[i] <= 2 * theirs.cost * (1 + 1e-6)


@pytest.mark.parametrize("name", ["gaussian", "two", "sho"])
def test_the_stated_errors_are_the_scatter_of_repeats(name, case):
    model, x, y, _ = case(name, (1,), noise=0.0, seed=3)
    sigma = {"gaussian": 0.05, "two": 0.03, "sho": 5e-5}[name]
    rng, n = np.random.default_rng(5), 8000
    noise = sigma * rng.normal(size=(n, x.size))
    noise = noise + 1j * sigma * rng.normal(size=noise.shape) if np.iscomplexobj(y) else noise
    fit = fit_batch(y + noise, x, model, variance=np.full(x.size, sigma**2))
    # The scatter of so many is known to 0.8 percent itself.
    np.testing.assert_allclose(np.median(fit.stderr, axis=0), fit.parameters.std(axis=0), rtol=0.025)
