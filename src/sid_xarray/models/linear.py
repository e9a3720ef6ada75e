"""A straight line."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import fit_line, tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "linear"]


def linear(x: Array, slope: Array, intercept: Array) -> Array:
    """Return ``slope * x + intercept``."""
    return np.asarray(slope * x + intercept)


def jacobian(x: Array, slope: Array, intercept: Array) -> Array:
    """Return the derivatives, shape (..., n, 2)."""
    shape = np.broadcast_shapes(np.shape(x), np.shape(slope), np.shape(intercept))
    jac = np.ones((*shape[:-1], 2, shape[-1]))
    jac[..., 0, :] = x
    return jac.swapaxes(-1, -2)


def guess(x: Array, y: Array) -> Array:
    """Return slope and intercept of the line through the finite samples, shape (..., 2)."""
    x, y, valid = tidy(x, y)
    slope, middle, value = fit_line(x, y, valid.astype(np.float64))
    return np.concatenate([slope, value - slope * middle], axis=-1)


MODEL = FitModel(
    "linear",
    linear,
    guess,
    (Param("slope", units="y/x"), Param("intercept", units="y")),
    jacobian=jacobian,
    linear=("slope", "intercept"),
    formula="s x + i",
)
