"""Backgrounds below a signal: fitted where there is none, subtracted everywhere."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import AnyArray, BoolArray

__all__ = ["STATUS", "polynomial_background", "power_law_background"]

STATUS: dict[int, str] = {0: "converged", 1: "not_converged", 2: "too_few_points", 3: "not_positive"}

_ITERATIONS = 30


def power_law_background(
    y: AnyArray, x: AnyArray, *, inside: BoolArray
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Fit ``height * x**-exponent`` by least squares in the values themselves.

    Parameters
    ----------
    y : ndarray, shape (..., n)
        NaNs take no part.
    x : ndarray, shape (n,)
        The law holds where it is positive.
    inside : ndarray of bool, shape (n,)
        Where to fit.

    Returns
    -------
    background : ndarray, shape (..., n)
        In the units of ``y``; NaN where ``x`` is not positive.
    height, exponent : ndarray, shape (...)
    status : ndarray of int8, shape (...)
        See `STATUS`; anything but 0 leaves NaN.

    Notes
    -----
    A straight line in log-log, weighted by ``y**2``, is the start; Gauss–Newton on the values themselves ends it, so
    that noise does not bias the exponent, as the logarithm of noisy counts would.

    References
    ----------
    .. [1] R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed., Springer 2011,
       chapter 4.4. :doi:`10.1007/978-1-4419-9583-4`
    """
    dtype = np.result_type(y.dtype, np.float32)
    use = inside & (x > 0)
    xs, ys = x[use].astype(float), y[..., use].astype(float)
    valid = np.isfinite(ys)
    status = np.zeros(y.shape[:-1], np.int8)
    status[valid.sum(axis=-1) < 3] = 2
    reference = np.exp(np.mean(np.log(xs))) if xs.size else 1.0
    u = np.log(xs / reference)
    ys = np.where(valid, ys, 0.0)
    # Squares of very large and very small values would leave the range of floats.
    size = np.abs(ys).max(axis=-1, initial=0.0)
    size = np.where(size > 0, size, 1.0)
    ys = ys / size[..., np.newaxis]
    amplitude, exponent, ok = _log_start(ys, u, valid)
    status[~ok & (status == 0)] = 3
    amplitude, exponent, done = _gauss_newton(ys, u, valid, amplitude, exponent)
    status[~done & (status == 0)] = 1
    amplitude = amplitude * size
    bad = status != 0
    amplitude, exponent = np.where(bad, np.nan, amplitude), np.where(bad, np.nan, exponent)
    with np.errstate(all="ignore"):
        ratio = np.where(x > 0, np.log(np.where(x > 0, x, 1.0) / reference), np.nan)
        background = amplitude[..., np.newaxis] * np.exp(-exponent[..., np.newaxis] * ratio)
        height = amplitude * reference**exponent
    return background.astype(dtype), height, exponent, status


def _log_start(y: AnyArray, u: AnyArray, valid: AnyArray) -> tuple[AnyArray, AnyArray, BoolArray]:
    """Start from a weighted straight line through the logarithms of positive values."""
    positive = valid & (y > 0)
    weight = np.where(positive, y * y, 0.0)
    logs = np.log(np.where(positive, y, 1.0))
    with np.errstate(all="ignore"):
        scale = weight.max(axis=-1, keepdims=True, initial=0.0)
        weight = weight / np.where(scale > 0, scale, 1.0)
        total = weight.sum(axis=-1)
        mean_u, mean_l = (weight * u).sum(axis=-1) / total, (weight * logs).sum(axis=-1) / total
        du = u - mean_u[..., np.newaxis]
        slope = (weight * du * logs).sum(axis=-1) / (weight * du * du).sum(axis=-1)
        amplitude = np.exp(mean_l - slope * mean_u)
    ok = np.isfinite(amplitude) & np.isfinite(slope) & (positive.sum(axis=-1) >= 2)
    return np.where(ok, amplitude, 1.0), np.where(ok, -slope, 0.0), ok


def _gauss_newton(
    y: AnyArray, u: AnyArray, valid: AnyArray, amplitude: AnyArray, exponent: AnyArray
) -> tuple[AnyArray, AnyArray, BoolArray]:
    """Refine amplitude and exponent; a step that does not improve is halved."""
    best = _chi2(y, u, valid, amplitude, exponent)
    done = np.zeros(best.shape, bool)
    for _ in range(_ITERATIONS):
        with np.errstate(all="ignore"):
            shape = np.exp(-exponent[..., np.newaxis] * u) * valid
            model = amplitude[..., np.newaxis] * shape
            residual = (y - model) * valid
            slope = -u * model
            aa, ab, bb = (shape * shape).sum(-1), (shape * slope).sum(-1), (slope * slope).sum(-1)
            ga, gb = (shape * residual).sum(-1), (slope * residual).sum(-1)
            det = aa * bb - ab * ab
            da, db = (bb * ga - ab * gb) / det, (aa * gb - ab * ga) / det
        good = np.isfinite(da) & np.isfinite(db)
        da, db = np.where(good, da, 0.0), np.where(good, db, 0.0)
        step = np.ones_like(da)
        moved = np.zeros(best.shape, bool)
        for _ in range(8):
            trial = _chi2(y, u, valid, amplitude + step * da, exponent + step * db)
            moved = trial <= best
            if moved.all():
                break
            step = np.where(moved, step, step / 2)
        small = (np.abs(da) <= 1e-10 * np.abs(amplitude)) & (np.abs(db) <= 1e-10 * (1 + np.abs(exponent)))
        amplitude = np.where(moved, amplitude + step * da, amplitude)
        exponent = np.where(moved, exponent + step * db, exponent)
        # No step improves any more: rounding is all that is left.
        done |= good & (small | ~moved)
        best = np.where(moved, np.minimum(trial, best), best)
        if done.all():
            break
    return amplitude, exponent, done


def _chi2(y: AnyArray, u: AnyArray, valid: AnyArray, amplitude: AnyArray, exponent: AnyArray) -> AnyArray:
    with np.errstate(all="ignore"):
        residual = (y - amplitude[..., np.newaxis] * np.exp(-exponent[..., np.newaxis] * u)) * valid
        total = (residual * residual).sum(axis=-1)
    return np.where(np.isfinite(total), total, np.inf)


def polynomial_background(y: AnyArray, x: AnyArray, *, inside: BoolArray, degree: int = 1) -> tuple[AnyArray, ...]:
    """Fit a polynomial by least squares.

    Parameters
    ----------
    y : ndarray, shape (..., n)
        NaNs take no part.
    x : ndarray, shape (n,)
    inside : ndarray of bool, shape (n,)
        Where to fit.
    degree : int, default: 1
        0 is an offset.

    Returns
    -------
    background : ndarray, shape (..., n)
        In the units of ``y``.
    c0, c1, … : ndarray, shape (...)
        Coefficients of the powers of ``x``.
    status : ndarray of int8, shape (...)
        See `STATUS`; anything but 0 leaves NaN.

    Raises
    ------
    ValueError
        If ``degree`` is negative.
    """
    if degree < 0:
        raise ValueError(f"degree should be 0 or more, got {degree}")
    dtype = np.result_type(y.dtype, np.float32)
    x = x.astype(float)
    inside = inside & np.isfinite(x)
    span = x[inside]
    domain = [span.min(), span.max()] if span.size and np.ptp(span) else [x.min() - 1.0, x.max() + 1.0]
    scaled = (2 * x - domain[0] - domain[1]) / (domain[1] - domain[0])
    basis = np.polynomial.legendre.legvander(scaled, degree)
    used = basis[inside]
    ys = y[..., inside].astype(float)
    valid = np.isfinite(ys)
    gram = np.einsum("...n,ni,nj->...ij", valid, used, used, optimize=True)
    right = np.where(valid, ys, 0.0) @ used
    status = np.where(valid.sum(axis=-1) > degree, 0, 2).astype(np.int8)
    coef = (np.linalg.pinv(gram, hermitian=True) @ right[..., np.newaxis])[..., 0]
    coef = np.where((status == 0)[..., np.newaxis], coef, np.nan)
    background = (coef @ basis.T).astype(dtype)
    # Columns: what every Legendre polynomial is in powers of x.
    powers = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        series = np.polynomial.Legendre.basis(k, domain=domain).convert(kind=np.polynomial.Polynomial, domain=[-1, 1])
        plain = np.polynomial.Polynomial(series.coef).convert(domain=[-1, 1]).coef
        powers[: len(plain), k] = plain
    natural = coef @ powers.T
    return (background, *(natural[..., k] for k in range(degree + 1)), status)
