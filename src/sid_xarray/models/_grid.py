"""Starts from a grid: of shapes that many curves share, which explain most."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray

__all__ = ["best_of_grid"]

_RIDGE = 1e-9
_AT_ONCE = 64


def best_of_grid(y: FloatArray, valid: BoolArray, shapes: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return which set of shapes fits every curve best, and how much of each.

    Parameters
    ----------
    y : ndarray, shape (..., n)
        0 in the gaps.
    valid : ndarray of bool, shape (..., n)
    shapes : ndarray, shape (sets, k, n)

    Returns
    -------
    best : ndarray of int, shape (...)
    amounts : ndarray, shape (..., k)
        NaN for a curve without samples.
    """
    lead, n = y.shape[:-1], y.shape[-1]
    sets, k, _ = shapes.shape
    # Shapes of the same size, so that a little ridge means the same for all.
    norm = np.sqrt(np.square(shapes).mean(axis=-1, keepdims=True))
    shapes = np.where(np.isfinite(norm) & (norm > 0), shapes / np.where(norm > 0, norm, 1.0), 0.0)
    y, valid = y.reshape(-1, n), valid.reshape(-1, n)
    best, amounts = np.zeros(len(y), dtype=np.intp), np.full((len(y), k), np.nan)
    for part in [slice(0, len(y))] if valid.all() else [slice(i, i + _AT_ONCE) for i in range(0, len(y), _AT_ONCE)]:
        rhs = np.matmul(y[part], shapes.reshape(sets * k, n).T).reshape(-1, sets, k)
        if valid.all():
            normal = np.matmul(shapes, shapes.swapaxes(-1, -2))[np.newaxis]
        else:
            squares = (shapes[:, :, np.newaxis] * shapes[:, np.newaxis]).reshape(sets * k * k, n)
            normal = np.matmul(valid[part].astype(np.float64), squares.T).reshape(-1, sets, k, k)
        inverse = np.linalg.inv(normal + _RIDGE * max(n, 1) * np.eye(k))
        solved = np.matmul(inverse, rhs[..., np.newaxis])[..., 0]
        best[part] = np.einsum("bsk,bsk->bs", solved, rhs).argmax(axis=-1)
        amounts[part] = _amounts(y[part], valid[part], shapes[best[part]])
    amounts /= np.where(norm > 0, norm, 1.0)[best, :, 0]
    amounts[~valid.any(axis=-1)] = np.nan
    return best.reshape(lead), amounts.reshape(*lead, k)


def _amounts(y: FloatArray, valid: BoolArray, shapes: FloatArray) -> FloatArray:
    """Return how much of its own shapes (b, k, n) is in every curve, curve by curve.

    Products of large matrices are rounded in a way that depends on their size: on how a map is cut into blocks.
    """
    n, k = y.shape[-1], shapes.shape[1]
    if not valid.all():
        shapes = shapes * valid[:, np.newaxis]
    normal = np.einsum("bkn,bln->bkl", shapes, shapes) + _RIDGE * max(n, 1) * np.eye(k)
    rhs = np.einsum("bkn,bn->bk", shapes, y)
    out: FloatArray = np.linalg.solve(normal, rhs[..., np.newaxis])[..., 0]
    return out
