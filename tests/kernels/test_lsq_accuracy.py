"""Fits end at the best minimum, that of scipy, and their errors are the scatter of repeats."""

from __future__ import annotations

import numpy as np
import pytest

from sid_xarray.kernels._lsq_solve import invert_stable, stable_step
from sid_xarray.kernels.lsq import fit_batch
from sid_xarray.models.compose import parse

CASES = ["gaussian", "two", "sho", "loop"]


@pytest.mark.parametrize("name", CASES)
def test_guesses_lead_to_the_best_minimum_in_much_noise(name, case):
    model, x, y, truth = case(name, (4000 if name == "loop" else 1000,), noise=5.0, seed=12)
    found, other = fit_batch(y, x, model), fit_batch(y, x, model, truth)
    best = np.fmin(found.chi2, other.chi2)
    assert np.mean(found.chi2 <= best * (1 + 1e-6)) >= (0.98 if name == "loop" else 0.99)
    assert np.mean(found.chi2 <= best * (1 + 1e-3)) >= 0.99


@pytest.mark.parametrize(("count", "background"), [(3, "constant"), (4, "linear"), (6, "linear"), (8, "linear")])
def test_many_peaks_are_told_apart(count, background):
    rng, x, gap = np.random.default_rng(count), np.linspace(0, 100, 256), 90 / count
    model = parse(" + ".join(["gaussian"] * count + [background]))
    centers = 5 + gap * (np.arange(count) + 0.5) + rng.uniform(-0.2, 0.2, (200, count)) * gap
    centers[0] = 5 + gap * (np.arange(count) + 0.5)
    heights, widths = rng.uniform(0.5, 1.5, (200, count)), rng.uniform(0.1, 0.2, (200, count)) * gap
    heights[0], widths[0] = 1.0, 0.2 * gap
    truth = np.stack([heights, centers, widths], axis=-1).reshape(200, -1)
    line = [0.3] if background == "constant" else [0.002, 0.3]
    truth = np.concatenate([truth, np.tile(line, (200, 1))], axis=-1)
    y = np.stack([model.function(x, *one) for one in truth]) + rng.normal(0, 0.02, (200, x.size))
    found, other = fit_batch(y, x, model), fit_batch(y, x, model, truth)
    assert np.mean(found.chi2 <= other.chi2 * (1 + 1e-6)) >= 0.99
    assert (found.status == 0).mean() >= 0.99


def test_a_derivative_that_is_not_finite_harms_nobody():
    rng = np.random.default_rng(0)
    jac = rng.normal(size=(3, 4, 20))
    jac[1, 2, 5] = np.inf
    jac[1, 3, 5] = np.nan
    with np.errstate(all="ignore"):
        inverse, _, regular = invert_stable(jac, np.zeros((3, 4), dtype=bool))
        step = stable_step(jac, rng.normal(size=(3, 20)), np.ones(3))
    assert regular.tolist() == [True, False, True]
    np.testing.assert_allclose(inverse[2] @ (jac[2] @ jac[2].T), np.eye(4), atol=1e-9)
    assert np.isfinite(step[[0, 2]]).all()


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
