"""The power law, as the background of electron energy-loss spectra."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import fit_line, tidy, total
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL"]


def guess(x: Array, y: Array) -> Array:
    """Return height and exponent, shape (..., 2), of the line through the logarithms.

    Samples are weighted by y squared, since noise of y is noise / y of its logarithm. Samples at x <= 0, and those
    of the sign that most do not have, tell nothing.
    """
    x, y, valid = tidy(x, y)
    sign = np.where(total(y) < 0, -1.0, 1.0)
    with np.errstate(all="ignore"):
        usable = valid & (y * sign > 0) & (x > 0)
        size = np.where(usable, np.abs(y), 0.0).max(axis=-1, keepdims=True, initial=0.0)
        relative = np.where(usable, np.abs(y) / np.where(size > 0, size, 1.0), 1.0)
        weights = np.where(usable, relative**2, 0.0)
        slope, middle, value = fit_line(np.log(np.where(x > 0, x, 1.0)), np.log(relative), weights)
        height = sign * size * np.exp(value - slope * middle)
    # Nothing but zeros is a power law of height 0.
    zero = valid.any(axis=-1, keepdims=True) & ~usable.any(axis=-1, keepdims=True) & (x > 0).any()
    exponent = np.where(np.isfinite(height), -slope, np.nan)
    return np.concatenate([np.where(zero, 0.0, height), np.where(zero, 0.0, exponent)], axis=-1)


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (sets, 2)."""
    exponents = np.linspace(-3, 6, 37)
    return np.stack([np.ones_like(exponents), exponents], axis=-1)


MODEL = FitModel.of(
    "power_law",
    "height * exp(-exponent * log(x))",
    guess,
    # The true units of the height, y * x**exponent, differ from curve to curve: x counts as a number of its units.
    (Param("height", units="y"), Param("exponent", units="1")),
    reference="R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011), ch. 4.4",
    formula="h x^{-e}",
    spread=spread,
)
