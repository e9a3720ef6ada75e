"""A decay with many rates, as of glasses."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_RATES, _BETAS = 24, (0.3, 0.5, 0.7, 0.9, 1.2, 1.7)


def guess(x: Array, y: Array) -> Array:
    """Return height, rate and beta, shape (..., 3): those of a grid that explain most, next to any constant."""
    x, y, valid = tidy(x, y)
    positive = x[x > 0]
    if positive.size < 2:
        return np.full((*y.shape[:-1], 3), np.nan)
    rate, beta = spread(x).T[1:, :, np.newaxis]
    decay = np.exp(-((rate * np.maximum(x, 0.0)) ** beta))
    best, amounts = best_of_grid(y, valid, np.stack([decay, np.ones_like(decay)], axis=1))
    nothing = amounts[..., 0] - amounts[..., 0]
    return np.stack([amounts[..., 0], rate[best, 0] + nothing, beta[best, 0] + nothing], axis=-1)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (sets, 3)."""
    positive = np.sort(x[x > 0]) if (x > 0).any() else np.ones(1)
    rates, betas = np.meshgrid(np.geomspace(0.1 / positive[-1], 10 / positive[0], _RATES), _BETAS)
    return np.stack([np.ones(rates.size), rates.ravel(), betas.ravel()], axis=-1)


MODEL = FitModel.of(
    "stretched_exponential",
    "height * exp(-where(x > 0, (rate * x)**beta, 0))",
    guess,
    (Param("height", units="y"), Param("rate", units="1/x", lower=0.0), Param("beta", lower=0.0)),
    reference="G. Williams, D. C. Watts, Trans. Faraday Soc. 66, 80 (1970), https://doi.org/10.1039/TF9706600080",
    spread=spread,
    formula=r"h \exp\left(-(r x)^\beta\right)",
)
