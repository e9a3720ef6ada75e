"""The Langmuir isotherm: places that fill up."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_STEPS = 64


def guess(x: Array, y: Array) -> Array:
    """Return height and affinity, shape (..., 2): those of a grid that explain most."""
    x, y, valid = tidy(x, y)
    positive = x[x > 0]
    if not positive.size:
        return np.full((*y.shape[:-1], 2), np.nan)
    affinity = spread(x)[:, 1:]
    filled = np.where(x > 0, affinity * x / (1 + affinity * np.maximum(x, 0.0)), 0.0)
    best, amounts = best_of_grid(y, valid, filled[:, np.newaxis])
    return np.stack([amounts[..., 0], affinity[best, 0] + (amounts[..., 0] - amounts[..., 0])], axis=-1)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (sets, 2)."""
    positive = np.sort(x[x > 0]) if (x > 0).any() else np.ones(1)
    affinity = np.geomspace(0.02 / positive[-1], 50 / positive[0], _STEPS)
    return np.stack([np.ones_like(affinity), affinity], axis=-1)


MODEL = FitModel.of(
    "langmuir",
    "height * affinity * x / (1 + affinity * x)",
    guess,
    (Param("height", units="y"), Param("affinity", units="1/x", lower=0.0)),
    reference="I. Langmuir, J. Am. Chem. Soc. 40, 1361 (1918), https://doi.org/10.1021/ja02242a004",
    formula=r"h \frac{k x}{1 + k x}",
    spread=spread,
)
