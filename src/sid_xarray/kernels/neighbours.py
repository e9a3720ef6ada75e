"""Fits of a map, tried again from the results around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_block import NO_FINITE_DATA, TOO_FEW_POINTS
from sid_xarray.kernels._lsq_lm import CONVERGED

__all__ = ["fit_again"]

# What leaves more than this many times what its neighbours leave, more than this many times what the best of them
# leaves, or lies so many spreads away from them, stands out.
_MORE, _FAR_MORE, _AWAY = 1.3, 2.0, 4.0
_BETTER, _NEWS = 1 - 1e-9, 1 - 1e-3
_AT_ONCE = 4096
_ROBUST = 1.4826

Fit = Callable[[tuple[IntArray, ...], FloatArray], FloatArray]


def fit_again(around: FloatArray, fit: Fit, *, parameters: int, count: int, fixed: BoolArray) -> FloatArray:
    """Fit the curves of a map again that failed, stopped at a bound, or stand out, from the results around them.

    They start from the neighbour that fits best, and from the median of the neighbours. What fits better is kept. A
    curve around which nothing changed since it was tried is left alone.

    Parameters
    ----------
    around : ndarray, shape (..., columns, 3, 3)
        Results of every curve, in the middle, and of those around it, NaN where there is none; as many axes of three as
        the map has. The columns: parameters, their errors, redchi, rsquared, status, steps, and whether they changed.
    fit : callable
        ``fit(at, start)`` fits the curves at an index from ``start`` (b, parameters) and returns (b, columns - 1).
    parameters : int
        How many of the first columns are parameters to start from.
    count : int
        How many columns are parameters; further ones follow from the others.
    fixed : ndarray of bool, shape (parameters,)

    Returns
    -------
    ndarray, shape (..., columns)
    """
    axes = (around.ndim - 1) // 2
    lead = around.shape[:axes]
    middle: Any = (..., *([1] * axes))
    out = np.array(around[middle])
    size = int(np.prod(lead, dtype=int))
    for begin in range(0, size, _AT_ONCE):
        at = np.unravel_index(np.arange(begin, min(size, begin + _AT_ONCE)), lead)
        block = around[at].reshape(at[0].size, around.shape[axes], -1)
        others = np.delete(block, block.shape[-1] // 2, axis=-1)
        own = block[..., block.shape[-1] // 2]
        new = _refined(own, others, at, fit, parameters, count, fixed)
        out[at] = new
    return out


def _refined(
    own: FloatArray,
    others: FloatArray,
    at: tuple[IntArray, ...],
    fit: Fit,
    parameters: int,
    count: int,
    fixed: BoolArray,
) -> FloatArray:
    """Return the results of some curves, those that are poor from better starts where there are any."""
    redchi, status, steps, changed = 2 * count, 2 * count + 2, 2 * count + 3, 2 * count + 4
    new = own.copy()
    new[:, changed] = 0.0
    good = others[:, status] == CONVERGED
    news = (np.nan_to_num(others[:, changed]) > 0).any(axis=1) | (own[:, changed] > 0)
    # What has no samples, or not enough, has no fit from anywhere.
    hopeless = (own[:, status] == NO_FINITE_DATA) | (own[:, status] == TOO_FEW_POINTS)
    rows = np.flatnonzero(good.any(axis=1) & news & ~hopeless)
    if not rows.size:
        return new
    usual = np.where(good[rows, np.newaxis], others[rows], np.nan)
    middle, spread = _middle(usual[:, :parameters])
    poor = _is_poor(own[rows], usual, middle, spread, parameters, count, fixed)
    rows, usual, middle = rows[poor], usual[poor], middle[poor]
    if not rows.size:
        return new
    left = np.where(np.isfinite(usual[:, redchi]), usual[:, redchi], np.inf)
    best = np.where(np.isnan(usual[:, status]), np.inf, left).argmin(axis=1)
    first = usual[np.arange(rows.size), :parameters, best]
    for start in (first, middle):
        ready = np.isfinite(start).all(axis=1)
        if not ready.any():
            continue
        these = rows[ready]
        found = fit(tuple(index[these] for index in at), start[ready].copy())
        before = new[these]
        found[:, steps] += before[:, steps]
        fits = np.isfinite(found[:, redchi]) & ~(found[:, redchi] >= _BETTER * before[:, redchi])
        done, was = found[:, status] == CONVERGED, before[:, status] == CONVERGED
        take = (done & (fits | ~was)) | (fits & ~was)
        new[these[take], :-1] = found[take]
        gained = take & ~(was & (found[:, redchi] >= _NEWS * before[:, redchi]))
        new[these[gained], changed] = 1.0
    return new


def _middle(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return medians and robust standard deviations along the last axis, of what is finite."""
    with np.errstate(invalid="ignore"):
        middle = _median(values)
        return middle, _ROBUST * _median(np.abs(values - middle[..., np.newaxis]))


def _median(values: FloatArray) -> FloatArray:
    ranked = np.sort(values, axis=-1)  # NaNs come last
    n = np.isfinite(values).sum(axis=-1, keepdims=True)
    low, high = (np.take_along_axis(ranked, np.maximum(i, 0), axis=-1)[..., 0] for i in ((n - 1) // 2, n // 2))
    out: FloatArray = np.where(n[..., 0] > 0, 0.5 * (low + high), np.nan)
    return out


def _is_poor(
    own: FloatArray,
    usual: FloatArray,
    middle: FloatArray,
    spread: FloatArray,
    parameters: int,
    count: int,
    fixed: BoolArray,
) -> BoolArray:
    """Tell what failed, stopped at a bound, or stands out from those around it."""
    p, errors = own[:, :parameters], own[:, count : count + parameters]
    failed = own[:, 2 * count + 2] != CONVERGED
    stopped = (np.isnan(errors) & ~fixed).any(axis=1)
    others = usual[:, 2 * count]
    least = np.where(np.isfinite(others), others, np.inf).min(axis=1)
    left = own[:, 2 * count] > np.fmin(_MORE * _median(others), _FAR_MORE * least)
    away = (np.abs(p - middle) > _AWAY * (spread + np.nan_to_num(errors))) & ~fixed
    out: BoolArray = failed | stopped | left | away.any(axis=1)
    return out
