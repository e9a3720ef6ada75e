"""The Langevin function: moments that a field aligns."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param
from sid_xarray.models.formula import Formula

__all__ = ["MODEL", "guess"]

_STEPS = 64
_TEXT = "height * langevin(x / scale)"


def guess(x: Array, y: Array) -> Array:
    """Return height and scale, shape (..., 2): those of a grid that explain most."""
    x, y, valid = tidy(x, y)
    largest = float(np.abs(x).max(initial=0.0))
    if not largest > 0:
        return np.full((*y.shape[:-1], 2), np.nan)
    scale = spread(x)[:, 1:]
    shapes = Formula(_TEXT, ("height", "scale"))(x, np.ones_like(scale), scale)
    best, amounts = best_of_grid(y, valid, shapes[:, np.newaxis])
    return np.stack([amounts[..., 0], scale[best, 0] + (amounts[..., 0] - amounts[..., 0])], axis=-1)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (sets, 2)."""
    scale = (float(np.abs(x).max(initial=0.0)) or 1.0) * np.geomspace(0.5 / max(x.size, 1), 2.0, _STEPS)
    return np.stack([np.ones_like(scale), scale], axis=-1)


MODEL = FitModel.of(
    "langevin",
    _TEXT,
    guess,
    (Param("height", units="y"), Param("scale", units="x", lower=0.0)),
    reference="https://doi.org/10.1051/jphystap:019050040067800",
    spread=spread,
    formula=r"h \left(\coth\frac{x}{s} - \frac{s}{x}\right)",
)
