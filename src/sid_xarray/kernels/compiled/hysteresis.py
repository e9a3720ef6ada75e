"""Loops started: as `sid_xarray.models.loop.guess`, curve by curve."""

from __future__ import annotations

import math

from numba import boolean, float64, int64, njit, types

from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import borrowed
from sid_xarray.kernels.compiled.signatures import COMPILED, INDEX, MATRIX, VECTOR

__all__ = ["loop_rows"]

_ROOT_PI = math.sqrt(math.pi)
_NARROWEST, _WIDEST, _LEAST, _MOST_APART = 0.02, 0.25, 1e-9, 5.0


@njit(fastmath=FAST, error_model="numpy")
def _level(y, order, begin, step, end):
    """Return the mean of some samples without gaps, or else of as many behind them; NaN if there is none."""
    total, count = 0.0, 0.0
    for i in range(order.size):
        if i >= end and ((i == end and count > 0.0) or count >= end):
            break
        value = y[order[begin + step * i]]
        good = abs(value) < math.inf
        total += value if good else 0.0
        count += 1.0 if good else 0.0
    return total / count


@njit(fastmath=FAST, error_model="numpy")
def _branch(y, samples, x, cells, low, high):
    """Return where a branch switches, and its widths before and after."""
    n = samples.size
    inverse = 1.0 / (high - low) if high != low else 1.0
    below, count = 0.0, 0.0
    for i in range(n):
        value = y[samples[i]]
        good = abs(value) < math.inf
        count += 1.0 if good else 0.0
        below += 1.0 if good and (value - low) * inverse < 0.5 else 0.0
    at = min(max(below / max(count, 1.0) * n - 0.5, 0.0), n - 1.0)
    i = min(int(at), n - 2)
    place = x[i] + (at - i) * (x[i + 1] - x[i])
    low_area, high_area = 0.0, 0.0
    for i in range(n):
        value = y[samples[i]]
        if abs(value) < math.inf:
            level = (value - low) * inverse
            if x[i] < place:
                low_area += level * cells[i]
            else:
                high_area += (1.0 - level) * cells[i]
    low_area, high_area = max(low_area, _LEAST), max(high_area, _LEAST)
    ratio = min(max(math.sqrt(high_area / low_area), 1.0 / _MOST_APART), _MOST_APART)
    width = _ROOT_PI * (1.0 + ratio) * low_area
    return place, width, width * ratio


@njit(
    [types.void(MATRIX, INDEX, INDEX, int64, VECTOR, VECTOR, VECTOR, float64, float64, boolean[::1], MATRIX)],
    fastmath=FAST,
    **COMPILED,
)
def loop_rows(y, samples, counts, end, places, cells, widths, span, middle, todo, p):
    """Start some curves.

    Parameters
    ----------
    y : (b, n)
        What is not finite is a gap.
    samples : (s,)
        Of the whole axis, of the falling branch and of the rising one, each ascending.
    counts : (3,)
        Where in ``samples`` each of them ends.
    end : int
        How many samples are an end of the axis.
    places : (s,)
        Of the samples on the axis.
    cells : (n,)
        Lengths of axis that belong to the samples of both branches.
    widths : (4,) or (0,)
        To start with; without, the curve tells.
    span, middle : float
        Length and middle of the axis.
    todo : (b,)
    p : (b, 9)
        Goes to: the parameters. NaN without samples.
    """
    y, p = borrowed(y), borrowed(p)
    first = counts[0]
    order = samples[:first]
    for i in range(y.shape[0]):
        if not todo[i]:
            continue
        own, out = y[i], p[i]
        low, high = _level(own, order, 0, 1, end), _level(own, order, first - 1, -1, end)
        if not abs(low) + abs(high) < math.inf:
            out[:] = math.nan
            continue
        out[0], out[1], out[4] = low, high - low, 0.0
        for k in range(2):
            begin, behind = counts[k], counts[k + 1]
            place, before, after = middle, 1.0, 1.0
            if behind - begin > 1:
                place, before, after = _branch(
                    own, samples[begin:behind], places[begin:behind], cells[begin - first : behind - first], low, high
                )
            if widths.size:
                before, after = widths[2 * k], widths[2 * k + 1]
                place -= (after - before) / _ROOT_PI
            else:
                before = min(max(before, _NARROWEST * span), _WIDEST * span)
                after = min(max(after, _NARROWEST * span), _WIDEST * span)
            out[2 + k] = place
            out[5 + 2 * k], out[6 + 2 * k] = before, after
