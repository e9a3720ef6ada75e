"""Two exponential decays, the slow one first."""

from __future__ import annotations

import itertools

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_RATES = 12


def guess(x: Array, y: Array) -> Array:
    """Return two heights and rates, shape (..., 4): the rates of a grid that explain most, next to any constant."""
    x, y, valid = tidy(x, y)
    span = float(np.ptp(x)) if x.size else 0.0
    if not 0 < span < np.inf:
        return np.full((*y.shape[:-1], 4), np.nan)
    rates = np.geomspace(0.3 / span, 0.5 * x.size / span, _RATES)
    pairs = np.array(list(itertools.combinations(rates, 2)))
    decays = np.exp(-pairs[:, :, np.newaxis] * (x - x[0]))
    best, amounts = best_of_grid(y, valid, np.concatenate([decays, np.ones_like(decays[:, :1])], axis=1))
    slow, fast = pairs[best, 0], pairs[best, 1]
    with np.errstate(all="ignore"):
        heights = [amounts[..., 0] * np.exp(slow * x[0]), amounts[..., 1] * np.exp(fast * x[0])]
    nothing = amounts[..., 0] - amounts[..., 0]
    return np.stack([heights[0], slow + nothing, heights[1], fast + nothing], axis=-1)


MODEL = FitModel.of(
    "double_exponential",
    "height1 * exp(-rate1 * x) + height2 * exp(-rate2 * x)",
    guess,
    (
        Param("height1", units="y"),
        Param("rate1", units="1/x"),
        Param("height2", units="y"),
        Param("rate2", units="1/x"),
    ),
    reference="https://dlmf.nist.gov/4.2.iii",
    formula="h_1 e^{-r_1 x} + h_2 e^{-r_2 x}",
)
