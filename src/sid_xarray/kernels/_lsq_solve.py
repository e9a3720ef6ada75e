"""Small linear algebra of the batched fits: many systems of few unknowns at once."""

from __future__ import annotations

import numpy as np

from sid_xarray._arrays import NUMPY, Arrays
from sid_xarray._types import BoolArray, FloatArray

__all__ = ["EPS", "gram", "invert_normal", "invert_stable", "solve_columns", "solve_spd", "stable_step"]


EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
DEPENDENT = 1e-20


def solve_spd(matrix: FloatArray, rhs: FloatArray, xp: Arrays = NUMPY) -> tuple[FloatArray, FloatArray]:
    """Solve many symmetric positive definite systems by elimination without pivoting.

    Parameters
    ----------
    matrix : ndarray, shape (q, q, b)
        The systems, the batch axis last, so that every operation runs over contiguous memory. Overwritten.
    rhs : ndarray, shape (q, k, b)
        Right-hand sides. Overwritten.
    xp : Arrays
        The library of both.

    Returns
    -------
    solution : ndarray, shape (q, k, b)
    pivot : ndarray, shape (b,)
        The smallest pivot. For a matrix with a unit diagonal it is the part of the worst column that the columns
        before it do not explain: near zero means singular.
    """
    q = matrix.shape[0]
    pivot = xp.full(matrix.shape[-1:], np.inf)
    for k in range(q):
        pivot = xp.minimum(pivot, matrix[k, k, :])
        # A lost pivot is replaced, not divided by: the caller sees it in ``pivot`` or rejects the step.
        xp.at_least(matrix[k, k, :], _TINY)
        factor = matrix[k + 1 :, k, :] / matrix[k, k, :]
        matrix[k + 1 :, k + 1 :, :] -= factor[:, np.newaxis, :] * matrix[k, np.newaxis, k + 1 :, :]
        rhs[k + 1 :, :, :] -= factor[:, np.newaxis, :] * rhs[np.newaxis, k, :, :]
    for k in range(q - 1, -1, -1):
        rhs[k, :, :] -= xp.sum(matrix[k, k + 1 :, np.newaxis, :] * rhs[k + 1 :, :, :], axis=0)
        rhs[k, :, :] /= matrix[k, k, :]
    return rhs, pivot


def gram(jac: FloatArray, residual: FloatArray, xp: Arrays = NUMPY) -> tuple[FloatArray, FloatArray]:
    """Return ``J J^T`` (b, q, q) and ``J r`` (b, q) for Jacobians (b, q, m) and residuals (b, m)."""
    return xp.matmul(jac, jac.mT), xp.matmul(jac, residual[..., np.newaxis])[..., 0]


def solve_columns(jac: FloatArray, residual: FloatArray, xp: Arrays = NUMPY) -> FloatArray:
    """Solve least squares (b, q) for columns (b, q, m) by orthogonalisation; a column that others make up gets 0.

    References
    ----------
    .. [1] Å. Björck, *Numerical Methods for Least Squares Problems*, SIAM (1996), ch. 2.4.
    """
    b, q, _ = jac.shape
    columns, residual = [xp.copy(jac[:, j, :]) for j in range(q)], xp.copy(residual)
    upper, right = xp.full((q, q, b), 0.0), xp.full((q, b), 0.0)
    for j, column in enumerate(columns):
        before = xp.dot(column, column)
        for i, other in enumerate(columns[:j]):
            along = xp.dot(other, column)
            upper[i, j, :] = along
            column -= along[:, np.newaxis] * other
        after = xp.dot(column, column)
        new = after > DEPENDENT * before
        norm = xp.sqrt(xp.where(new, after, 1.0))
        column *= xp.where(new, 1 / norm, 0.0)[:, np.newaxis]
        upper[j, j, :] = norm
        along = xp.dot(column, residual)
        right[j, :] = along
        residual -= along[:, np.newaxis] * column
    for j in range(q - 1, -1, -1):
        right[j, :] /= upper[j, j, :]
        right[:j, :] -= upper[:j, j, :] * right[j, :]
    solution: FloatArray = right.T
    return solution


def _column_scale(diagonal: FloatArray) -> FloatArray:
    """Return 1/norm of every column; 0 for a column of zeros, which then takes no part."""
    return np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)


def invert_normal(normal: FloatArray, frozen: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Invert normal matrices, leaving frozen parameters out.

    Parameters
    ----------
    normal : ndarray, shape (b, q, q)
    frozen : ndarray of bool, shape (b, q)
        Parameters that are held; their rows and columns of the inverse are zero.

    Returns
    -------
    inverse : ndarray, shape (b, q, q)
    pivot : ndarray, shape (b,)
        Smallest pivot of the matrix scaled to a unit diagonal; 0 if a parameter that is not frozen has no effect.
    """
    b, q = frozen.shape
    scale = np.where(frozen, 0.0, _column_scale(np.einsum("bii->bi", normal)))
    scaled = np.ascontiguousarray((normal * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]).transpose(1, 2, 0))
    rhs = np.zeros((q, q, b))
    for k in range(q):
        scaled[k, k] = np.where(scale[:, k] > 0, scaled[k, k], 1.0)
        rhs[k, k] = 1.0
    inverse, pivot = solve_spd(scaled, rhs)
    pivot = np.where(((scale == 0) & ~frozen).any(axis=1), 0.0, pivot)
    return inverse.transpose(2, 0, 1) * scale[:, :, np.newaxis] * scale[:, np.newaxis, :], pivot


def invert_stable(jac: FloatArray, frozen: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Invert ``J J^T`` through the singular values of J, which keeps twice the digits of `invert_normal`.

    Returns
    -------
    inverse : ndarray, shape (b, q, q)
    solver : ndarray, shape (b, q, m)
        ``inverse @ J``: times residuals it gives the undamped step.
    regular : ndarray of bool, shape (b,)
        False where the columns depend on each other to within rounding.
    """
    scale = np.where(frozen, 0.0, _column_scale(np.einsum("bqm,bqm->bq", jac, jac)))
    u, s, vt = _decomposed(jac * scale[..., np.newaxis])
    # Frozen columns were set to zero and bring as many zero singular values, which sort last.
    rank = (~frozen).sum(axis=1)
    cut = EPS * max(jac.shape[1:]) * s[:, :1]
    alive = s > cut
    inverse_s = np.where(alive, 1 / np.where(alive, s, 1.0), 0.0)
    half = u * inverse_s[:, np.newaxis, :] * scale[..., np.newaxis]
    return np.matmul(half, half.swapaxes(-1, -2)), np.matmul(half, vt), alive.sum(axis=1) >= rank


def stable_step(jac: FloatArray, residual: FloatArray, damping: FloatArray) -> FloatArray:
    """Return the damped step of scaled Jacobians (b, q, m) through their singular values.

    References
    ----------
    .. [1] Å. Björck, *Numerical Methods for Least Squares Problems*, SIAM (1996), ch. 2.7.
    """
    u, s, vt = _decomposed(jac)
    alive = s > EPS * max(jac.shape[1:]) * s[:, :1]
    filtered = np.where(alive, s / np.where(alive, s * s + damping[:, np.newaxis], 1.0), 0.0)
    along = filtered * np.matmul(vt, residual[..., np.newaxis])[..., 0]
    step: FloatArray = np.matmul(u, along[..., np.newaxis])[..., 0]
    return step


def _decomposed(matrices: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the singular value decompositions; one that is not finite counts as zeros, since LAPACK refuses all."""
    good = np.isfinite(matrices).all(axis=(1, 2), keepdims=True)
    u, s, vt = np.linalg.svd(np.where(good, matrices, 0.0), full_matrices=False)
    return u, s, vt
