"""Starting points from data: for curves with gaps, noise and any axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.models._model import Array
from sid_xarray.models._peaks import Scene, total
from sid_xarray.models._profile import Profile

__all__ = ["PeakGuess", "fit_line", "tidy", "total"]


def tidy(x: Array, y: Array) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return x ascending (n,), y in that order (..., n) with gaps filled by 0, and where y is finite (..., n).

    Of complex data, the real part: these models are real.
    """
    x, y = np.asarray(x, dtype=np.float64), np.real(np.asarray(y)).astype(np.float64, copy=False)
    if x.ndim > 1:  # of several axes: in no order
        return x, np.where(np.isfinite(y), y, 0.0), np.isfinite(y)
    if not np.isfinite(x).all():
        x, y = x[np.isfinite(x)], np.ascontiguousarray(y[..., np.isfinite(x)])
    if (np.diff(x) < 0).any():
        order = np.argsort(x, kind="stable")
        x, y = x[order], np.ascontiguousarray(y[..., order])
    valid = np.isfinite(y)
    return x, y if valid.all() else np.where(valid, y, 0.0), valid


@dataclass(frozen=True, slots=True)
class PeakGuess:
    """The start of a peak: the strongest box, up or down, on any constant.

    Parameters
    ----------
    profile : Profile
    names : tuple of str
        Of the parameters.
    """

    profile: Profile
    names: tuple[str, ...]

    def __call__(self, x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
        """Return the parameters, shape (..., p); see `FitModel.peak`."""
        usable = np.isfinite(x)
        order = np.argsort(x[usable], kind="stable")
        with np.errstate(all="ignore"):
            scene = Scene(*tidy(x, y))
            for k in range(0 if background is None else background.shape[-2]):
                assert background is not None
                scene.add(background[..., k, usable][..., order])
            box = scene.find(widest)
        return self.parameters(box.height, box.center, box.width)

    def parameters(self, height: FloatArray, center: FloatArray, width: FloatArray) -> FloatArray:
        """Return the parameters of a peak that fills a box, shape (..., p)."""
        p = self.profile
        known = {p.height: height / p.mean, p.center: center, p.width: width / p.window}
        nothing = height - height  # NaN where there is no box
        known |= {name: nothing + value for name, value in p.others}
        known |= {name: known[p.width] * factor for name, factor in p.scaled}
        return np.stack([known[name] for name in self.names], axis=-1)


def fit_line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slope, centre of mass of x, and value there, of the weighted line through the data; each (..., 1).

    A slope that the data do not determine is 0.
    """
    with np.errstate(all="ignore"):
        mass = total(weights)
        middle, value = total(weights * x) / mass, total(weights * y) / mass
        away = x - middle
        spread = total(weights * away * away)
        slope = np.where(spread > 0, total(weights * away * (y - value)) / np.where(spread > 0, spread, 1.0), 0.0)
    return slope, middle, value
