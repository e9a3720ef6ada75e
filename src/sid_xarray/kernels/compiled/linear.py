"""Small linear systems of one curve."""

from __future__ import annotations

import math

from numba import njit

from sid_xarray.kernels.compiled.maths import FAST

__all__ = ["dot", "invert", "promised", "solve_columns", "take_away"]

_DEPENDENT = 1e-20
_TINY = 2.2250738585072014e-308


@njit(fastmath=FAST, error_model="numpy")
def promised(normal, slope, step):
    """Return the reduction of chi2 that the linearised model promises."""
    out = 0.0
    for i in range(step.size):
        curved = 0.0
        for j in range(step.size):
            curved += normal[i, j] * step[j]
        out += step[i] * (2.0 * slope[i] - curved)
    return out


@njit(fastmath=FAST, error_model="numpy")
def invert(normal, held, inverse, work, scale):
    """Invert the normal matrix without the parameters that are held; return the smallest pivot.

    The pivot is that of the matrix scaled to a unit diagonal: 0 if a parameter has no effect.
    """
    q = scale.size
    least = math.inf
    for i in range(q):
        scale[i] = 1.0 / math.sqrt(normal[i, i]) if normal[i, i] > 0.0 and not held[i] else 0.0
        if scale[i] == 0.0 and not held[i]:
            least = 0.0
    for i in range(q):
        for j in range(q):
            work[i, j] = normal[i, j] * scale[i] * scale[j]
            inverse[i, j] = 0.0
        work[i, i] = work[i, i] if scale[i] > 0.0 else 1.0
        inverse[i, i] = 1.0
    for k in range(q):
        least = min(least, work[k, k])
        work[k, k] = max(work[k, k], _TINY)
        for i in range(k + 1, q):
            factor = work[i, k] / work[k, k]
            for j in range(k + 1, q):
                work[i, j] -= factor * work[k, j]
            for j in range(q):
                inverse[i, j] -= factor * inverse[k, j]
    for i in range(q - 1, -1, -1):
        for c in range(q):
            value = inverse[i, c]
            for j in range(i + 1, q):
                value -= work[i, j] * inverse[j, c]
            inverse[i, c] = value / work[i, i]
    for i in range(q):
        for j in range(q):
            inverse[i, j] *= scale[i] * scale[j]
    return least


@njit(fastmath=FAST, error_model="numpy")
def dot(a, b):
    """Return the sum of products."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(fastmath=FAST, error_model="numpy")
def take_away(a, factor, b):
    """Subtract ``factor * b`` from ``a``."""
    for i in range(a.size):
        a[i] -= factor * b[i]


@njit(fastmath=FAST, error_model="numpy")
def solve_columns(jac, r, chosen, upper, out):
    """Solve least squares for the chosen rows of ``jac`` by orthogonalisation; the others get 0.

    Rows and residuals are overwritten. See `sid_xarray.kernels._lsq_solve.solve_columns`.
    """
    q = chosen.size
    for j in range(q):
        out[j] = 0.0
        if not chosen[j]:
            continue
        before = dot(jac[j], jac[j])
        for i in range(j):
            if chosen[i]:
                upper[i, j] = dot(jac[i], jac[j])
                take_away(jac[j], upper[i, j], jac[i])
        after = dot(jac[j], jac[j])
        new = after > _DEPENDENT * before
        upper[j, j] = math.sqrt(after) if new else 1.0
        factor = 1.0 / upper[j, j] if new else 0.0
        for i in range(r.size):
            jac[j, i] *= factor
        out[j] = dot(jac[j], r)
        take_away(r, out[j], jac[j])
    for j in range(q - 1, -1, -1):
        if chosen[j]:
            out[j] /= upper[j, j]
            for i in range(j):
                if chosen[i]:
                    out[i] -= upper[i, j] * out[j]
