"""Resonances started: as `sid_xarray.models.sho.guess`, curve by curve."""

from __future__ import annotations

import math

import numpy as np
from numba import boolean, njit, types

from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import borrowed
from sid_xarray.kernels.compiled.signatures import COMPILED, MATRIX, VECTOR

__all__ = ["resonance_rows"]

_PASSES = 2
_LEAST = 1e-6


@njit(fastmath=FAST, error_model="numpy")
def _sums(t, re, im, weight):
    """Return sums of the weight times 1, t**2-th of |y|**2, y, y t, y t**2; real and imaginary."""
    s, h0, h2, r0, r1, r2, i0, i1, i2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(t.size):
        w, a, b, tk = weight[k], re[k], im[k], t[k]
        square = w * (a * a + b * b)
        wa, wb, tt = w * a, w * b, tk * tk
        s += w
        h0 += square
        h2 += square * tt
        r0 += wa
        r1 += wa * tk
        r2 += wa * tt
        i0 += wb
        i1 += wb * tk
        i2 += wb * tt
    return s, h0, h2, r0, r1, r2, i0, i1, i2


@njit(fastmath=FAST, error_model="numpy")
def _solve(t, re, im, weight):
    """Return numerator, real and imaginary, damping and stiffness."""
    s, h0, h2, r0, r1, r2, i0, i1, i2 = _sums(t, re, im, weight)
    one = 1.0 / s
    cc = h2 - (i1 * i1 + r1 * r1) * one
    dd = h0 - (r0 * r0 + i0 * i0) * one
    cd = (i1 * r0 - r1 * i0) * one
    on_c = (i1 * r2 - r1 * i2) * one
    on_d = h2 - (r0 * r2 + i0 * i2) * one
    determinant = cc * dd - cd * cd
    determinant = determinant if determinant != 0.0 else 1.0
    c, d = (on_c * dd - on_d * cd) / determinant, (cc * on_d - cd * on_c) / determinant
    return (r2 - d * r0 + c * i1) * one, (i2 - d * i0 - c * r1) * one, c, d


@njit(fastmath=FAST, error_model="numpy")
def _first_weight(y, n, re, im, weight):
    """Set the curve, and its squared size as weight, both relative to the largest; return that, and the samples."""
    most, count = 0.0, 0.0
    for k in range(n):
        square = y[k] * y[k] + y[n + k] * y[n + k]
        good = square < math.inf
        weight[k] = square if good else 0.0
        count += 1.0 if good else 0.0
        most = max(most, weight[k])
    size = math.sqrt(most)
    scale = 1.0 / size if size > 0.0 else 1.0
    for k in range(n):
        good = abs(y[k]) + abs(y[n + k]) < math.inf
        re[k] = y[k] * scale if good else 0.0
        im[k] = y[n + k] * scale if good else 0.0
        weight[k] *= scale * scale
    return size, count


@njit(fastmath=FAST, error_model="numpy")
def _next_weight(t, y, n, c, d, weight):
    for k in range(n):
        real, imag = t[k] * t[k] - d, c * t[k]
        w = 1.0 / (real * real + imag * imag)
        weight[k] = w if abs(y[k]) + abs(y[n + k]) < math.inf else 0.0


@njit([types.void(VECTOR, MATRIX, boolean[::1], MATRIX)], fastmath=FAST, **COMPILED)
def resonance_rows(x, y, todo, p):
    """Start some curves.

    Parameters
    ----------
    x : (n,)
    y : (b, 2 n)
        Real parts, then imaginary parts. What is not finite is a gap.
    todo : (b,)
    p : (b, 4)
        Goes to: amplitude, frequency, q, phase. NaN without samples.
    """
    n = x.size
    memory = np.empty((4, n))
    own = borrowed(memory)
    y, p, t, re, im, weight = borrowed(y), borrowed(p), own[0], own[1], own[2], own[3]
    largest, low, high, mean = 0.0, math.inf, 0.0, 0.0
    for k in range(n):
        largest = max(largest, abs(x[k]))
        mean += x[k]
    largest = largest if largest > 0.0 else 1.0
    for k in range(n):
        t[k] = x[k] / largest
        low, high = min(low, t[k] * t[k]), max(high, t[k] * t[k])
    for i in range(y.shape[0]):
        if not todo[i]:
            continue
        size, count = _first_weight(y[i], n, re, im, weight)
        if size == 0.0:
            nothing = 0.0 if count > 0.0 else math.nan
            p[i, 0], p[i, 1], p[i, 2], p[i, 3] = nothing, mean / n, 10.0, 0.0
            continue
        a, b, c, d = _solve(t, re, im, weight)
        for _ in range(_PASSES - 1):
            _next_weight(t, y[i], n, c, d, weight)
            a, b, c, d = _solve(t, re, im, weight)
        d = min(max(d, low), high)
        frequency = math.sqrt(d)
        p[i, 0] = math.sqrt(a * a + b * b) / d * size
        p[i, 1] = frequency * largest
        p[i, 2] = frequency / max(abs(c), _LEAST)
        p[i, 3] = math.atan2(b, a)
    memory[0, 0] = 0.0  # keeps it alive until here
