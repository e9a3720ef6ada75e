"""A block of curves as one real least-squares problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sid_xarray._types import FloatArray, IntArray
from sid_xarray.kernels._lsq_solve import EPS

__all__ = ["Problem"]

_STEP = EPS**0.5


@dataclass(slots=True)
class Problem:
    """Residuals and Jacobians of a block of ``b`` curves, weighted, masked, and real.

    ``m`` is the number of real samples of a curve: ``n``, or ``2 n`` if the data are complex (real and imaginary
    parts interleaved, as they lie in memory).

    Parameters
    ----------
    function : callable
        ``f(x, *parameters)``, parameters of shape (b, 1), values of shape (b, n).
    derivative : callable or None
        ``j(x, *parameters)`` of shape (b, n, p); None takes differences.
    x : ndarray, shape (n,)
    y : ndarray, shape (b, n)
        Real or complex, finite (masked samples hold 0).
    weights : ndarray, shape (b, m), or None
        Multiply the residual. 0 where a sample is masked; None: all 1.
    holes : ndarray of bool, shape (b, m), or None
        Masked samples, where the model may be anything, even NaN.
    values : ndarray, shape (b, p)
        Starting values; those of the fixed parameters stay.
    free : ndarray of int, shape (q,)
        Positions of the parameters that are fitted.
    lower, upper : ndarray, shape (b, q)
    """

    function: Callable[..., Any]
    derivative: Callable[..., Any] | None
    x: FloatArray
    y: npt.NDArray[Any]
    weights: FloatArray | None
    holes: npt.NDArray[np.bool_] | None
    values: FloatArray
    free: IntArray
    lower: FloatArray
    upper: FloatArray
    _scale: FloatArray | None = None

    def full(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return all parameters (r, p) from the free ones (r, q) of some rows."""
        if self.free.size == self.values.shape[1]:
            return p
        values = self.values[rows]
        values[:, self.free] = p
        return values

    def evaluate(self, p: FloatArray, rows: IntArray) -> npt.NDArray[Any]:
        """Return the model (r, n), as the function gives it."""
        return np.asarray(self.function(self.x, *self.full(p, rows).T[:, :, np.newaxis]))

    def residual(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return the weighted residuals (r, m)."""
        return self._weigh(_as_real(np.subtract(self.y[rows], self.evaluate(p, rows))), rows)

    def data(self, rows: IntArray) -> FloatArray:
        """Return the weighted data (r, m)."""
        return self._weigh(_as_real(self.y[rows]), rows)

    def _weigh(self, r: FloatArray, rows: IntArray) -> FloatArray:
        if self.weights is not None:
            r *= self.weights[rows]
        if self.holes is not None:
            r[self.holes[rows]] = 0.0
        return r

    def jacobian(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return the weighted derivatives (r, q, m) with respect to the free parameters."""
        jac = self._exact(p, rows) if self.derivative is not None else self._differences(p, rows)
        if self.weights is not None:
            jac = jac * self.weights[rows][:, np.newaxis, :]
        if self.holes is not None:
            jac = np.where(self.holes[rows][:, np.newaxis, :], 0.0, jac)
        return jac

    def _exact(self, p: FloatArray, rows: IntArray) -> FloatArray:
        assert self.derivative is not None
        values = self.full(p, rows)
        jac = np.asarray(self.derivative(self.x, *values.T[:, :, np.newaxis]))
        jac = np.broadcast_to(jac, (*values.shape[:1], self.x.size, values.shape[1])).swapaxes(-1, -2)
        if self.free.size < values.shape[1]:
            jac = jac[:, self.free]
        return _as_real(np.ascontiguousarray(jac.astype(self.y.dtype, copy=False)))

    def _differences(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return forward differences, with steps that follow the effect of a parameter and not its value."""
        if self._scale is None:
            self._scale = np.full(self.lower.shape, np.nan)
        fresh = np.isnan(self._scale[rows]).any(axis=1)
        if fresh.any():
            self._scale[rows[fresh]] = self._typical(p[fresh], rows[fresh])
        jac = self._forward(p, rows, self._scale[rows])
        effect = _rms(jac)
        size = self._size(rows)
        found = np.isfinite(effect) & (effect > 0)
        new = np.where(found, size / np.where(found, effect, 1.0), self._scale[rows])
        # A parameter that hardly matters must not be moved by many times itself.
        self._scale[rows] = np.clip(new, 1e-3 * self._scale[rows], 1e3 * self._scale[rows])
        return jac

    def _forward(self, p: FloatArray, rows: IntArray, scale: FloatArray) -> FloatArray:
        centre = self.evaluate(p, rows)
        step = np.maximum(_STEP * scale, 8 * EPS * np.abs(p))
        step = np.where(p + step > self.upper[rows], -step, step)
        jac = np.empty((*p.shape, self.x.size), dtype=self.y.dtype)
        for k in range(p.shape[1]):
            moved = p.copy()
            moved[:, k] += step[:, k]
            exact = moved[:, k] - p[:, k]  # what floating point made of the step
            jac[:, k] = (self.evaluate(moved, rows) - centre) / exact[:, np.newaxis]
        real = _as_real(jac)
        if self.holes is not None:
            np.copyto(real, 0.0, where=self.holes[rows][:, np.newaxis, :])
        return real

    def _size(self, rows: IntArray) -> FloatArray:
        size = _rms(_as_real(self.y[rows]))[:, np.newaxis]
        return np.where(size > 0, size, 1.0)

    def _typical(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return the change of every parameter that changes the model by about the size of the data.

        The value itself tells nothing when it is 0, so for such a parameter the natural scales of the data are
        tried until one has an effect that is neither lost in rounding nor out of range.
        """
        span = float(np.ptp(self.x)) or 1.0
        size, known = self._size(rows), np.abs(p)
        scale = np.where(known > 0, known, span)
        hints: tuple[FloatArray | float, ...] = (size, size / span, 1 / span, 1.0)
        for attempt, hint in enumerate(hints):
            effect = _rms(self._forward(p, rows, scale))
            found = np.isfinite(effect) & (effect > 0)
            if attempt > 1 and found.all():
                break
            new = size / np.where(found, effect, 1.0)
            new = np.where(known > 0, np.clip(new, 1e-6 * known, 1e3 * known), new)
            scale = np.where(found, new, np.where(known > 0, scale, hint))
        return scale


def _as_real(values: npt.NDArray[Any]) -> FloatArray:
    """Return complex values as pairs of real ones along the last axis, without a copy; real ones as float64."""
    if np.iscomplexobj(values):
        return np.ascontiguousarray(values, dtype=np.complex128).view(np.float64)
    return values.astype(np.float64, copy=False)


def _rms(values: FloatArray) -> FloatArray:
    out: FloatArray = np.sqrt(np.mean(np.square(values), axis=-1))
    return out
