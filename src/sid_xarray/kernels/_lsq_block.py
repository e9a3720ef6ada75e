"""A block of curves to fit, and what is found for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sid_xarray._arrays import NUMPY, Arrays
from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_lm import Tolerances
from sid_xarray.kernels._lsq_loss import Loss
from sid_xarray.kernels._lsq_problem import Problem

__all__ = ["NO_FINITE_DATA", "Block", "Found"]

TOO_FEW_POINTS, NO_FINITE_DATA, GUESS_NOT_FINITE, GUESS_OUT_OF_BOUNDS = 2, 4, 5, 7
_SEGMENTS, _FEW = 8, 24
# Derivatives that NumPy works on at once: about four megabytes. Fewer curves spend their time in calls, more with
# getting memory.
_AT_ONCE, _LEAST, _MOST = 2**19, 64, 512
# A device other than the processor takes about as long for one curve as for thousands: 128 megabytes of derivatives.
_LARGE = 2**24, 64, 2**15


@dataclass(slots=True)
class Block:
    """Curves as an engine gets them.

    Parameters
    ----------
    model : Model
    x : ndarray, shape (n,) or (axes, n)
        Finite.
    y : ndarray, shape (b, m)
        Real parts, then imaginary parts. What is not finite takes no part.
    parts : int
        2 if the data are complex.
    weights : ndarray, shape (b, n) or (1, n), or None
        What is not finite and positive takes no part.
    start : ndarray, shape (b, p)
        Starting values, and those of the parameters that are not free.
    lower, upper : ndarray, shape (b, q) or (1, q)
    free : ndarray of int, shape (q,)
    solvable : ndarray of bool, shape (q,)
    loss : Loss
    tolerances : Tolerances
    excluded : ndarray of bool, shape (b,), or None
        Curves whose given start lies outside the bounds. It was set to NaN.
    xp : Arrays
        The library that iterates. All arrays here are NumPy's.
    """

    model: Any
    x: FloatArray
    y: FloatArray
    parts: int
    weights: FloatArray | None
    start: FloatArray
    lower: FloatArray
    upper: FloatArray
    free: IntArray
    solvable: BoolArray
    loss: Loss
    tolerances: Tolerances
    excluded: BoolArray | None = None
    xp: Arrays = NUMPY

    @property
    def size(self) -> int:
        """Number of curves."""
        return len(self.y)

    @property
    def is_linear(self) -> bool:
        """Whether the model is linear in all that is free."""
        names = {self.model.params[i].name for i in self.free}
        return self.loss.name == "linear" and names <= set(self.model.linear)

    def valid(self) -> BoolArray:
        """Return which samples take part, shape (b, n)."""
        n = self.x.shape[-1]
        valid: BoolArray = np.isfinite(self.y[:, :n])
        if self.parts == 2:
            valid &= np.isfinite(self.y[:, n:])
        if self.weights is not None:
            valid = valid & np.isfinite(self.weights) & (self.weights > 0)
        return valid

    def some(self, rows: slice | IntArray) -> Block:
        """Return some of the curves."""

        def cut(values: FloatArray) -> FloatArray:
            return values[rows] if len(values) > 1 or self.size == 1 else values

        scale = self.loss.scale
        return replace(
            self,
            y=self.y[rows],
            start=self.start[rows],
            weights=None if self.weights is None else cut(self.weights),
            lower=cut(self.lower),
            upper=cut(self.upper),
            loss=Loss(self.loss.name, scale[rows] if scale.size > 1 else scale),
            excluded=None if self.excluded is None else self.excluded[rows],
        )

    def problem(self, rows: slice | IntArray, xp: Arrays = NUMPY) -> Problem:
        """Return the problem of some curves, in a library of arrays."""
        part = self.some(rows)
        valid, y = part.valid(), part.y
        weights = None if part.weights is None else np.where(valid, part.weights, 0.0)
        put = xp.asarray
        shape = (len(y), self.free.size)
        return Problem(
            function=self.model.function,
            derivative=self.model.jacobian,
            expression=getattr(self.model, "expression", None),
            x=self.x,
            y=put(y if valid.all() else np.where(np.tile(valid, self.parts), y, 0.0)),
            parts=self.parts,
            weights=None if weights is None else put(np.tile(weights, self.parts)),
            holes=None if valid.all() else put(np.tile(~valid, self.parts)),
            values=put(part.start),
            free=self.free,
            solvable=self.solvable,
            lower=put(np.broadcast_to(part.lower, shape)),
            upper=put(np.broadcast_to(part.upper, shape)),
            loss=replace(part.loss, scale=put(part.loss.scale)),
            xp=xp,
        )

    def pieces(self, rows: IntArray) -> Iterator[IntArray]:
        """Cut curves into as many as the library takes at once."""
        at_once, least, most = _LARGE if self.xp.is_large else (_AT_ONCE, _LEAST, _MOST)
        step = min(most, max(least, at_once // max(1, self.x.shape[-1] * self.start.shape[1])))
        for begin in range(0, len(rows), step):
            yield rows[begin : begin + step]

    def noise(self) -> FloatArray:
        """Return the variance of the weighted noise (b,), from second differences: the median of eight parts.

        A smooth curve leaves nothing in them, and the few parts where it is steep do not move a median.
        """
        valid = self.valid()
        n = self.x.shape[-1]
        out = np.zeros(self.size)
        for row in range(self.size) if not valid.all() else (slice(None),):
            if isinstance(row, slice):
                out[row] = self._noise(self.y, self.weights, n)
            else:
                keep = valid[row]
                w = None if self.weights is None else self.weights[min(row, len(self.weights) - 1)][keep]
                y = self.y[row][np.tile(keep, self.parts)]
                out[row] = self._noise(y[np.newaxis], None if w is None else w[np.newaxis], int(keep.sum()))[0]
        return out

    def _noise(self, y: FloatArray, weights: FloatArray | None, n: int) -> FloatArray:
        if n < 3:
            return np.zeros(len(y))
        segments = _SEGMENTS if n >= _FEW else 1
        length = (n - 2) // segments
        total = np.zeros(len(y))
        for part in range(self.parts):
            bent = np.diff(y[:, part * n : (part + 1) * n], 2, axis=-1) ** 2
            bent = bent if weights is None else bent * weights[:, 1:-1] ** 2
            total += np.median(bent[:, : segments * length].reshape(len(y), segments, length).sum(axis=-1), axis=-1)
        return total / (6 * length * self.parts)


@dataclass(slots=True)
class Found:
    """Results of the curves of a block, along the first axis of every field.

    Attributes
    ----------
    p : ndarray, shape (b, p)
    chi2 : ndarray, shape (b,)
    points, squares, about : ndarray, shape (b,)
        Samples that take part, the sum of squares of the weighted data, and that about the weighted mean.
    inverse : ndarray, shape (b, q, q)
        Of the normal matrix.
    held : ndarray of bool, shape (b, q)
        What a bound pins.
    noise : ndarray, shape (b,)
        Variance of the weighted noise; NaN if it was not asked for.
    pivot : ndarray, shape (b,)
        Smallest pivot of the scaled normal matrix.
    status, steps : ndarray of int, shape (b,)
    """

    p: FloatArray
    chi2: FloatArray
    points: FloatArray
    squares: FloatArray
    about: FloatArray
    noise: FloatArray
    inverse: FloatArray
    held: BoolArray
    pivot: FloatArray
    status: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, block: Block) -> Found:
        """Return results of which nothing is known yet."""
        b, q = block.size, block.free.size

        def nan(*shape: int) -> FloatArray:
            return np.full((b, *shape), np.nan)

        status = np.full(b, NO_FINITE_DATA, dtype=np.int64)
        held = np.zeros((b, q), dtype=bool)
        return cls(
            block.start.copy(), nan(), nan(), nan(), nan(), nan(), nan(q, q), held, nan(), status, np.zeros_like(status)
        )

    def take(self, other: Found, rows: BoolArray) -> None:
        """Replace the results of some curves."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)[rows]

    def some(self, rows: IntArray) -> Found:
        """Return the results of some curves."""
        return Found(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def put(self, some: Found, rows: IntArray) -> None:
        """Replace the results of some curves, given theirs."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(some, f.name)
