"""A flat background."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import tidy, total
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL"]


def guess(x: Array, y: Array) -> Array:
    """Return the mean of the finite samples, shape (..., 1)."""
    _, y, valid = tidy(x, y)
    with np.errstate(all="ignore"):
        return total(y) / total(valid)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (1, 1)."""
    return np.ones((1, 1))


MODEL = FitModel.of(
    "constant",
    "offset",
    guess,
    (Param("offset", units="y"),),
    formula="o",
    spread=spread,
)
