"""A block of curves as one real least-squares problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sid_xarray._arrays import NUMPY, Arrays
from sid_xarray._types import AnyArray, BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_loss import Loss
from sid_xarray.kernels._lsq_solve import EPS

__all__ = ["Problem", "as_real"]

_STEP = EPS**0.5


@dataclass(slots=True)
class Problem:
    """Residuals and Jacobians of a block of ``b`` curves, weighted, masked, and real.

    ``m`` is the number of real samples of a curve: ``n``, or ``2 n`` if the data are complex, the real parts first.

    Parameters
    ----------
    function : callable
        ``f(x, *parameters)``, parameters of shape (b, 1), values of shape (b, n).
    derivative : callable or None
        ``j(x, *parameters)`` of shape (b, n, p); None takes differences.
    expression : object or None
        If given, it works out values and derivatives at once: see `sid_xarray.models.formula.Formula.evaluate`.
    x : ndarray, shape (n,) or (axes, n)
    y : ndarray, shape (b, m)
        Finite (masked samples hold 0).
    parts : int
        2 if the data are complex.
    weights : ndarray, shape (b, m), or None
        Multiply the residual. 0 where a sample is masked; None: all 1.
    holes : ndarray of bool, shape (b, m), or None
        Masked samples, where the model may be anything, even NaN.
    values : ndarray, shape (b, p)
        Starting values; those of the fixed parameters stay.
    free : ndarray of int, shape (q,)
        Positions of the parameters that are fitted.
    solvable : ndarray of bool, shape (q,)
        Those that are put where they fit best before the first step.
    lower, upper : ndarray, shape (b, q)
    loss : Loss
    xp : Arrays
        The library of all arrays but ``x``, ``free`` and ``solvable``, which are NumPy's. One other than NumPy needs an
        ``expression``.
    """

    function: Callable[..., Any]
    derivative: Callable[..., Any] | None
    expression: Any
    x: FloatArray
    y: FloatArray
    parts: int
    weights: FloatArray | None
    holes: BoolArray | None
    values: FloatArray
    free: IntArray
    solvable: BoolArray
    lower: FloatArray
    upper: FloatArray
    loss: Loss
    xp: Arrays = NUMPY
    _scale: FloatArray | None = None
    _prepared: Any = None
    _memory: tuple[FloatArray, FloatArray] | None = field(default=None, repr=False)

    def full(self, p: FloatArray, rows: IntArray) -> FloatArray:
        """Return all parameters (r, p) from the free ones (r, q) of some rows."""
        if self.free.size == self.values.shape[1]:
            return p
        values: FloatArray = self.xp.take(self.values, rows)
        for k, i in enumerate(self.free.tolist()):
            values[:, i] = p[:, k]
        return values

    def evaluate(self, p: FloatArray, rows: IntArray) -> AnyArray:
        """Return the model (r, n), as the function gives it."""
        return np.asarray(self.function(self.x, *self.full(p, rows).T[:, :, np.newaxis]))

    def data(self, rows: IntArray) -> FloatArray:
        """Return the weighted data (r, m)."""
        y: FloatArray = self.xp.take(self.y, rows)
        return y if self.weights is None else y * self.xp.take(self.weights, rows)

    def linearised(self, p: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return weighted residuals (r, m), derivatives (r, q, m), and chi2 (r,).

        With a robust loss, residuals and derivatives carry its weights, and chi2 is its sum. The arrays are valid until
        the next call.
        """
        residual, jac = self._both(p, rows)
        xp = self.xp
        residual = xp.difference(xp.take(self.y, rows), residual)
        if self.weights is not None:
            weights = xp.take(self.weights, rows)
            residual *= weights
            jac *= weights[:, np.newaxis, :]
        if self.holes is not None:
            holes = xp.take(self.holes, rows)
            residual, jac = xp.blank(residual, holes), xp.blank(jac, holes[:, np.newaxis, :])
        return residual, jac, self.loss.apply(residual, jac, rows, xp)

    def _both(self, p: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return values (r, m) and derivatives (r, q, m)."""
        if self.expression is not None and self.expression.is_complex <= (self.parts == 2):
            return self._by_expression(p, rows)
        value = as_real(self.evaluate(p, rows), self.parts)
        value = np.array(np.broadcast_to(value, (rows.size, self.y.shape[1])))
        return value, self._exact(p, rows) if self.derivative is not None else self._differences(p, rows)

    def _by_expression(self, p: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        xp, (b, m) = self.xp, self.y.shape
        if self._memory is None:
            self._memory = xp.empty((b, m)), xp.empty((b, self.values.shape[1], m))
            self._prepared = self.expression.prepare(self.x, xp)
        value, slopes = self._memory[0][: rows.shape[0], :], self._memory[1][: rows.shape[0], :, :]
        half = m if self.expression.is_complex else self.x.shape[-1]
        self.expression.evaluate(self._prepared, self.full(p, rows), value[:, :half], slopes[:, :, :half], xp)
        if half < m:  # a real model of complex data
            value[:, half:], slopes[:, :, half:] = 0.0, 0.0
        return value, slopes if self.free.size == slopes.shape[1] else xp.take(slopes, self.free, axis=1)

    def _exact(self, p: FloatArray, rows: IntArray) -> FloatArray:
        assert self.derivative is not None
        values = self.full(p, rows)
        jac = np.asarray(self.derivative(self.x, *values.T[:, :, np.newaxis]))
        jac = np.broadcast_to(jac, (*values.shape[:1], self.x.shape[-1], values.shape[1])).swapaxes(-1, -2)
        return np.array(as_real(jac if self.free.size == values.shape[1] else jac[:, self.free], self.parts))

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
        centre = as_real(self.evaluate(p, rows), self.parts)
        step = np.maximum(_STEP * scale, 8 * EPS * np.abs(p))
        step = np.where(p + step > self.upper[rows], -step, step)
        jac = np.empty((*p.shape, self.y.shape[1]))
        for k in range(p.shape[1]):
            moved = p.copy()
            moved[:, k] += step[:, k]
            exact = moved[:, k] - p[:, k]  # what floating point made of the step
            jac[:, k] = (as_real(self.evaluate(moved, rows), self.parts) - centre) / exact[:, np.newaxis]
        if self.holes is not None:
            np.copyto(jac, 0.0, where=self.holes[rows][:, np.newaxis, :])
        return jac

    def _size(self, rows: IntArray) -> FloatArray:
        size = _rms(self.y[rows])[:, np.newaxis]
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


def as_real(values: AnyArray, parts: int) -> FloatArray:
    """Return values as float64; for ``parts == 2`` the real parts and then the imaginary parts along the last axis."""
    if parts == 1:
        return values.astype(np.float64, copy=False)
    return np.concatenate([np.real(values), np.imag(values)], axis=-1, dtype=np.float64)


def _rms(values: FloatArray) -> FloatArray:
    out: FloatArray = np.sqrt(np.mean(np.square(values), axis=-1))
    return out
