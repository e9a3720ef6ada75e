"""Starting points from data: for curves with gaps, noise and any axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.models._model import Array

__all__ = ["Box", "find_box", "fit_line", "peak_start", "tidy", "total"]

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
# Ratio of neighbouring widths that are tried; a peak tolerates a start that is off by its square root.
_RATIO = 2.0


class Box(NamedTuple):
    """A box on a constant; every field has shape (...)."""

    height: FloatArray
    center: FloatArray
    width: FloatArray


def tidy(x: Array, y: Array) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return x ascending (n,), y in that order (..., n) with gaps filled by 0, and where y is finite (..., n).

    Of complex data, the real part: these models are real.
    """
    x, y = np.asarray(x, dtype=np.float64), np.real(np.asarray(y)).astype(np.float64, copy=False)
    if not np.isfinite(x).all():
        x, y = x[np.isfinite(x)], y[..., np.isfinite(x)]
    if (np.diff(x) < 0).any():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[..., order]
    valid = np.isfinite(y)
    return x, np.where(valid, y, 0.0), valid


def total(values: Array) -> FloatArray:
    """Return the sum over the last axis, kept."""
    out: FloatArray = values.sum(axis=-1, keepdims=True)
    return out


def find_box(x: FloatArray, y: FloatArray, valid: BoolArray, background: FloatArray | None, widest: float) -> Box:
    """Find the box, up or down, that explains the data best next to a constant.

    Least squares over all positions and a series of widths: the matched filter of a peak
    whose sign, width and background are unknown. Running sums make it linear in the number of samples.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Ascending.
    y : ndarray, shape (..., n)
        0 in the gaps.
    valid : ndarray of bool, shape (..., n)
    background : ndarray, shape (..., q, n), or None
        Shapes of which, next to the constant, any amount may lie below the box.
    widest : float
        The greatest width, as part of the axis; 0.5 at most.

    Returns
    -------
    Box
        NaN for a curve without samples. Height 0 for one that is constant to rounding.
    """
    with np.errstate(all="ignore"):
        count = total(valid)
        flat, shapes = _without(y, valid, background)
        sums = _running(flat)
        counts = None if valid.all() else _running(valid.astype(np.float64))
        areas = None if shapes is None else [_running(shape) for shape in shapes]
        best = np.full(y.shape[:-1], -1.0)
        height, start = np.zeros(best.shape), np.zeros(best.shape, dtype=np.intp)
        length = np.ones(best.shape, dtype=np.intp)
        for k in _widths(x.size, widest):
            score, rise, at = _best_window(sums, counts, count, areas, k)
            wins = score > best
            best, start, length = np.where(wins, score, best), np.where(wins, at, start), np.where(wins, k, length)
            height = np.where(wins, rise, height)
        center = 0.5 * (x[start] + x[start + length - 1])
        width = x[start + length - 1] - x[start] + _spacing(x)
    empty = count[..., 0] == 0
    return Box(*(np.where(empty, np.nan, value) for value in (height, center, width)))


def _without(
    y: FloatArray, valid: BoolArray, background: FloatArray | None
) -> tuple[FloatArray, list[FloatArray] | None]:
    """Return the data less the background that fits them best, and orthonormal shapes of that background.

    None instead of the shapes says that there is only the constant.
    """
    mean = total(y) / total(valid)
    flat = np.where(valid, y - mean, 0.0)
    # What rounding leaves of data without a peak is not one.
    rounding = _ROUNDING * (np.abs(mean) + np.abs(flat).max(axis=-1, keepdims=True, initial=0.0))
    if background is None or not background.shape[-2]:
        return _unless_rounding(flat, rounding), None
    ones = np.where(valid, 1 / np.sqrt(total(valid)), 0.0)
    shapes = [ones if not valid.all() else ones[..., :1, :] if ones.ndim > 1 else ones]
    for k in range(background.shape[-2]):
        shape = np.where(np.isfinite(background[..., k, :]), background[..., k, :], 0.0)
        shape = shape if valid.all() else np.where(valid, shape, 0.0)
        before = total(shape * shape)
        for _ in range(2):  # the second time makes it orthogonal to rounding
            for other in shapes:
                shape = shape - other * total(other * shape)
        after = total(shape * shape)
        # A shape that those before it make up brings nothing but rounding.
        new = after > 1e-10 * before
        shape = np.where(new, shape / np.sqrt(np.where(new, after, 1.0)), 0.0)
        shapes.append(shape)
        flat = flat - shape * total(shape * flat)
    return _unless_rounding(flat, rounding), shapes


def _unless_rounding(flat: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return zeros for curves of which no sample is above rounding."""
    return np.where(np.abs(flat).max(axis=-1, keepdims=True, initial=0.0) <= rounding, 0.0, flat)


def _best_window(
    sums: FloatArray, counts: FloatArray | None, count: FloatArray, areas: list[FloatArray] | None, k: int
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Return what the best window of k samples takes off chi2, the height of its box, and where it begins."""
    inside = sums[..., k:] - sums[..., :-k]
    samples = np.asarray(k, dtype=np.float64) if counts is None else counts[..., k:] - counts[..., :-k]
    if areas is None:
        spreads = np.asarray(samples * (1 - samples / count))  # chi2 of a box of unit height, next to the best constant
    else:
        spreads = samples - sum(np.square(area[..., k:] - area[..., :-k]) for area in areas)
    if counts is None and areas is None:
        # Without gaps all windows are alike, and the largest sum wins.
        at = np.abs(inside).argmax(axis=-1)[..., np.newaxis]
        spread = spreads
    else:
        spreads = np.broadcast_to(spreads, inside.shape)
        # A box that the background can imitate, or that lies in a gap, is none.
        distinct = spreads > np.maximum(0.1 * samples, 0.25)
        at = np.where(distinct, inside * inside / spreads, 0.0).argmax(axis=-1)[..., np.newaxis]
        spread = np.take_along_axis(np.where(distinct, spreads, 0.0), at, -1)
    found = np.take_along_axis(inside, at, -1)
    regular = spread > 0.25
    rise = np.where(regular, found / np.where(regular, spread, 1.0), 0.0)
    return (rise * found)[..., 0], rise[..., 0], at[..., 0]


def peak_start(x: Array, y: Array, background: Array | None, widest: float, *, window: float, mean: float) -> Array:
    """Return height, centre and width, shape (..., 3), of the strongest peak, up or down.

    Parameters
    ----------
    x, y : ndarray, shapes (n,) and (..., n)
        As they come.
    background, widest
        See `find_box`.
    window, mean : float
        Of a peak of unit width and height: the width of the box that sees it best, and its mean over that.
    """
    usable = np.isfinite(x)
    if background is not None:
        order = np.argsort(x[usable], kind="stable")
        background = background[..., usable][..., order]
    box = find_box(*tidy(x, y), background, widest)
    return np.stack([box.height / mean, box.center, box.width / window], axis=-1)


def _running(values: FloatArray) -> FloatArray:
    out = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=out[..., 1:])
    return out


def _widths(n: int, widest: float) -> list[int]:
    """Return lengths of windows: from 3 samples (fewer on a short axis) to a part of the axis."""
    lengths = [min(3, max(1, n // 3))]
    while (width := round(lengths[-1] * _RATIO)) <= n * min(widest, 0.5):
        lengths.append(width)
    return lengths


def _spacing(x: FloatArray) -> float:
    """Return the typical distance of two samples; 1 where there is none, so that a width is never 0."""
    distance = float(np.ptp(x)) / max(x.size - 1, 1)
    return distance if distance > 0 else 1.0


def fit_line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slope, centre of mass of x, and value there, of the weighted line through the data; each (..., 1).

    A slope that the data do not determine is 0.
    """
    with np.errstate(all="ignore"):
        mass = total(weights)
        middle, value = total(weights * x) / mass, total(weights * y) / mass
        away = x - middle
        spread = total(weights * away * away)
        slope = np.where(spread > 0, total(weights * away * (y - value)) / np.where(spread > 0, spread, 1.0), 0.0)
    return slope, middle, value
