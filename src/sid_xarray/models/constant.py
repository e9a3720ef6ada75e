"""A flat background."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import tidy, total
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "constant"]


def constant(x: Array, offset: Array) -> Array:
    """Return ``offset`` at every x."""
    return np.zeros_like(x, dtype=np.float64) + offset


def jacobian(x: Array, offset: Array) -> Array:
    """Return the derivative, shape (..., n, 1)."""
    return np.ones((*np.broadcast_shapes(np.shape(x), np.shape(offset)), 1))


def guess(x: Array, y: Array) -> Array:
    """Return the mean of the finite samples, shape (..., 1)."""
    _, y, valid = tidy(x, y)
    with np.errstate(all="ignore"):
        return total(y) / total(valid)


MODEL = FitModel(
    "constant",
    constant,
    guess,
    (Param("offset", units="y"),),
    jacobian=jacobian,
    linear=("offset",),
    formula="o",
)
