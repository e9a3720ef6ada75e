"""An exponential decay."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.models._guess import tidy, total
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL"]


def guess(x: Array, y: Array) -> Array:
    """Return height and rate, shape (..., 2), from the integral equation of the exponential.

    An exponential on a constant obeys ``y = a - rate * S + b * x`` with S its integral, which is a linear problem
    and needs no logarithm of noisy data [1]_. With and without a constant, the rate that explains more is taken.

    References
    ----------
    .. [1] J. Jacquelin, *Régressions et équations intégrales* (2009).
    """
    x, y, valid = tidy(x, y)
    if x.size < 2:
        return np.full((*y.shape[:-1], 2), np.nan)
    with np.errstate(all="ignore"):
        begin, span = x[0], float(np.ptp(x)) or 1.0
        t = (x - begin) / span  # a far origin would overflow exp
        size = np.abs(y).max(axis=-1, keepdims=True)
        v = np.where(valid, y / np.where(size > 0, size, 1.0), np.nan)
        rates = [_rate(t, v, with_constant=True), _rate(t, v, with_constant=False)]
        fits = [_height(t, np.where(valid, v, 0.0), valid, rate) for rate in rates]
        first = fits[0][1] < fits[1][1]
        rate = np.where(first, rates[0], rates[1]) / span
        height = np.where(first, fits[0][0], fits[1][0]) * size * np.exp(rate * begin)
        out = np.concatenate([height, rate], axis=-1)
    return np.where(valid.any(axis=-1, keepdims=True), out, np.nan)


def _rate(t: FloatArray, v: FloatArray, *, with_constant: bool) -> FloatArray:
    """Return the rate from the regression of v on its integral, shape (..., 1)."""
    valid = np.isfinite(v)
    filled = _fill(v)
    area = np.zeros(v.shape)
    np.cumsum(0.5 * (filled[..., 1:] + filled[..., :-1]) * np.diff(t), axis=-1, out=area[..., 1:])
    columns = [np.ones(v.shape), area] + ([np.broadcast_to(t, v.shape)] if with_constant else [])
    basis = np.where(valid[..., np.newaxis, :], np.stack(columns, axis=-2), 0.0)
    normal = np.matmul(basis, basis.swapaxes(-1, -2))
    # A breath of ridge: constant data make the columns equal, and then the rate is to be 0.
    ridge = 1e-12 * np.trace(normal, axis1=-2, axis2=-1)[..., np.newaxis, np.newaxis] * np.eye(len(columns))
    rhs = np.matmul(basis, np.where(valid, v, 0.0)[..., np.newaxis])
    rate = -np.linalg.solve(normal + ridge + np.finfo(float).tiny * np.eye(len(columns)), rhs)[..., 1, :]
    # Faster than the sampling, or exploding over the range, is noise.
    fastest = t.size / max(float(np.ptp(t)), 0.5)
    return np.clip(np.where(np.isfinite(rate), rate, 0.0), -min(fastest, 500.0), fastest)


def _fill(v: FloatArray) -> FloatArray:
    """Fill gaps with the last finite sample before, or the first one after."""
    valid = np.isfinite(v)
    if valid.all():
        return v
    position = np.where(valid, np.arange(v.shape[-1]), -1)
    last = np.maximum.accumulate(position, axis=-1)
    first = valid.argmax(axis=-1, keepdims=True)
    filled = np.take_along_axis(v, np.where(last < 0, first, last), axis=-1)
    return np.where(np.isfinite(filled), filled, 0.0)


def _height(t: FloatArray, v: FloatArray, valid: Array, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the height at t = 0 next to the best constant, and chi2 of that fit; each (..., 1)."""
    decay = np.where(valid, np.exp(-rate * t), 0.0)
    count = total(valid)
    away = np.where(valid, decay - total(decay) / count, 0.0)
    spread = total(away * away)
    height = total(v * decay) / total(decay * decay)
    left = v - np.where(valid, total(v) / count, 0.0)
    gain = total(away * left) ** 2 / np.where(spread > 0, spread, 1.0)
    return height, total(left * left) - gain


def spread(x: Array) -> Array:
    """Return parameters to start from, shape (sets, 2): rates up to that of the sampling, and slow growth."""
    span = float(np.ptp(x)) or 1.0
    decay = np.geomspace(0.1, max(0.3 * x.size, 1.0), 72) / span
    rates = np.concatenate([-decay[:24], [0.0], decay])
    return np.stack([np.ones_like(rates), rates], axis=-1)


MODEL = FitModel.of(
    "exponential",
    "height * exp(-rate * x)",
    guess,
    (Param("height", units="y"), Param("rate", units="1/x")),
    reference="https://dlmf.nist.gov/4.2.iii",
    formula=r"h \exp(-r x)",
    spread=spread,
)
