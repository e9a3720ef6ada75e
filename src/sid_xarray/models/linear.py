"""A straight line."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import fit_line, tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL"]


def guess(x: Array, y: Array) -> Array:
    """Return slope and intercept of the line through the finite samples, shape (..., 2)."""
    x, y, valid = tidy(x, y)
    slope, middle, value = fit_line(x, y, valid.astype(np.float64))
    return np.concatenate([slope, value - slope * middle], axis=-1)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (1, 2)."""
    return np.ones((1, 2))


MODEL = FitModel.of(
    "linear",
    "slope * x + intercept",
    guess,
    (Param("slope", units="y/x"), Param("intercept", units="y")),
    formula="s x + i",
    spread=spread,
)
