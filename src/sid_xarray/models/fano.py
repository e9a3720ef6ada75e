"""A resonance that interferes with its background."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_PLACES, _WIDTHS = 48, 7
_LEAST = 1e-3


def guess(x: Array, y: Array) -> Array:
    """Return height, centre, gamma and q, shape (..., 4).

    For a centre and a width, the curve is a constant, a peak and its derivative, three shapes in linear least squares;
    those of a grid that explain most are taken. Their amounts give height and q.
    """
    x, y, valid = tidy(x, y)
    if x.size < 3:
        return np.full((*y.shape[:-1], 4), np.nan)
    low, span = float(x.min()), float(np.ptp(x)) or 1.0
    places, widths = np.meshgrid(
        low + span * np.linspace(0.02, 0.98, _PLACES), span * np.geomspace(max(1.0 / x.size, 2e-3), 0.25, _WIDTHS)
    )
    center, gamma = places.reshape(-1, 1), widths.reshape(-1, 1)
    u = (x - center) / gamma
    peak = 1 / (1 + u * u)
    best, (flat, even, odd) = _amounts(y, valid, np.stack([np.ones_like(peak), peak, u * peak], axis=1))
    # flat = h, even = h (q**2 - 1), odd = 2 h q. Of the two ways to q, the one that takes both.
    size = np.sqrt((even + flat) ** 2 / 2 + odd**2)
    height = np.where(np.abs(flat) > _LEAST * size, flat, np.where(flat < 0, -1, 1) * _LEAST * size)
    height = np.where(size > 0, height, flat)
    with np.errstate(all="ignore"):
        q = np.where(height != 0, odd / (2 * height), 0.0)
        # Where the background nearly vanishes, the peak tells the size of q.
        strong = np.sqrt(np.maximum(1 + even / height, 0.0)) * np.where(odd * height < 0, -1, 1)
    q = np.where(np.isfinite(strong) & (strong**2 > q**2), strong, q)
    nothing = flat - flat
    return np.stack([height, center[best, 0] + nothing, gamma[best, 0] + nothing, q], axis=-1)


def _amounts(y: Array, valid: Array, shapes: Array) -> tuple[Array, Array]:
    best, amounts = best_of_grid(y, valid, shapes)
    return best, np.moveaxis(amounts, -1, 0)


MODEL = FitModel.of(
    "fano",
    "height * (q + (x - center) / gamma)**2 / (1 + ((x - center) / gamma)**2)",
    guess,
    (
        Param("height", units="y"),
        Param("center", units="x"),
        Param("gamma", units="x", lower=0.0),
        Param("q"),
    ),
    reference="U. Fano, Phys. Rev. 124, 1866 (1961), https://doi.org/10.1103/PhysRev.124.1866",
    formula=r"h \frac{(q + u)^2}{1 + u^2},\; u = \frac{x - c}{\gamma}",
)
