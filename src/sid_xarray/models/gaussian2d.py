"""The normal peak in two dimensions, turned by any angle."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_PART = 0.5


def guess(x: Array, y: Array) -> Array:
    """Return height, centres, sigmas and theta, shape (..., 6).

    Moments of what is above half of the largest deviation from the median, up or down.

    Parameters
    ----------
    x : ndarray, shape (2, n)
    y : ndarray, shape (..., n)
    """
    x, y = np.asarray(x, dtype=np.float64), np.real(np.asarray(y)).astype(np.float64, copy=False)
    valid = np.isfinite(y)
    with np.errstate(all="ignore"):
        # Where there is no sample the median is not asked for: it would warn.
        known = np.where(valid, y, np.where(valid.any(axis=-1, keepdims=True), np.nan, 0.0))
        level = np.nanmedian(known, axis=-1, keepdims=True) if y.size else y[..., :1]
        away = np.where(valid, y - level, 0.0)
        at = np.abs(away).argmax(axis=-1)[..., np.newaxis] if y.shape[-1] else np.zeros((*y.shape[:-1], 1), int)
        height = np.take_along_axis(away, at, -1)
        share = away / np.where(height != 0, height, 1.0)
        weight = np.where(share > _PART, share, 0.0)
        mass = weight.sum(axis=-1)
        first = [(weight * axis).sum(axis=-1) / mass for axis in x]
        off = [axis - center[..., np.newaxis] for axis, center in zip(x, first, strict=True)]
        pairs = ((off[0], off[0]), (off[1], off[1]), (off[0], off[1]))
        xx, yy, xy = ((weight * a * b).sum(axis=-1) / mass for a, b in pairs)
        theta = 0.5 * np.arctan2(2 * xy, xx - yy)
        mean, split = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        # A cut at half height leaves about a third of the variance.
        cell = (np.ptp(x[0]) * np.ptp(x[1]) / max(x.shape[-1], 1)) ** 0.5 if x.size else 1.0
        sigma = [np.maximum(np.sqrt(3 * np.maximum(v, 0.0)), 0.5 * cell) for v in (mean + split, mean - split)]
    out = np.stack([height[..., 0], *first, *sigma, theta], axis=-1)
    return np.where(valid.any(axis=-1, keepdims=True) & np.isfinite(out), out, np.nan)


_ALONG = "((x - center_x) * cos(theta) + (y - center_y) * sin(theta))"
_ACROSS = "((y - center_y) * cos(theta) - (x - center_x) * sin(theta))"

MODEL = FitModel.of(
    "gaussian2d",
    f"height * exp(-({_ALONG} / sigma_along)**2 / 2 - ({_ACROSS} / sigma_across)**2 / 2)",
    guess,
    (
        Param("height", units="y"),
        Param("center_x", units="x"),
        Param("center_y", units="x"),
        Param("sigma_along", units="x", lower=0.0),
        Param("sigma_across", units="x", lower=0.0),
        Param("theta", units="rad", period=np.pi),
    ),
    axes=("x", "y"),
    reference="https://dlmf.nist.gov/7.20.iii",
    formula=r"h \exp\left(-\frac{u^2}{2 \sigma_\parallel^2} - \frac{v^2}{2 \sigma_\perp^2}\right)",
)
