"""Where a step starts: the place and the width, of a grid, that explain most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array
from sid_xarray.models.formula import Formula

__all__ = ["StepGuess", "spread"]

_PLACES, _WIDTHS = 40, 6


def spread(x: Array) -> Array:
    """Return heights, centres and widths to start from, shape (sets, 3)."""
    low, span = float(x.min()), float(np.ptp(x)) or 1.0
    places, widths = np.meshgrid(
        low + span * np.linspace(0.02, 0.98, _PLACES), span * np.geomspace(max(0.5 / x.size, 1e-3), 0.2, _WIDTHS)
    )
    return np.stack([np.ones(places.size), places.ravel(), widths.ravel()], axis=-1)


@dataclass(frozen=True, slots=True)
class StepGuess:
    """The start of a step, next to any constant.

    Parameters
    ----------
    formula : Formula
        Of height, centre and width, in this order.
    """

    formula: Formula

    def __call__(self, x: Array, y: Array) -> Array:
        """Return height, centre and width, shape (..., 3)."""
        x, y, valid = tidy(x, y)
        if x.size < 2:
            return np.full((*y.shape[:-1], 3), np.nan)
        center, width = spread(x).T[1:, :, np.newaxis]
        step = self.formula(x, np.ones_like(center), center, width)
        best, amounts = best_of_grid(y, valid, np.stack([step, np.ones_like(step)], axis=1))
        nothing = amounts[..., 0] - amounts[..., 0]
        return np.stack([amounts[..., 0], center[best, 0] + nothing, width[best, 0] + nothing], axis=-1)
