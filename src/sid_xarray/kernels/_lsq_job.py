"""The arguments of a fit, checked, and cut into blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sid_xarray._arrays import NUMPY, Arrays, host, is_foreign
from sid_xarray._types import AnyArray, BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_block import Block
from sid_xarray.kernels._lsq_lm import Tolerances
from sid_xarray.kernels._lsq_loss import Loss
from sid_xarray.kernels._lsq_problem import as_real

__all__ = ["Job"]

# Sixteen megabytes of samples and eight of covariances in all threads. Thousands of curves share further attempts,
# which few of them need.
_SAMPLES, _COVARIANCES, _MOST, _FEWEST = 2**21, 2**20, 4096, 256
# On a device other than the processor: 64 megabytes.
_LARGE = 2**23, 2**15
_UNBOUNDED = (("lower", -np.inf), ("upper", np.inf))
# Huber's constant: 95 % of the efficiency of least squares for normal noise.
_TUNING = 1.345


@dataclass(frozen=True, slots=True)
class Job:
    """The arguments of a fit. What is the same for all curves has one axis, the rest those of the data.

    Parameters
    ----------
    model : Model
    x : ndarray, shape (n,) or (axes, n)
        Where it is finite.
    y : ndarray, shape (..., n)
        As it was given, samples where x is not finite included.
    usable : ndarray of bool, or None
        Samples where x is finite; None if it is everywhere.
    known : mapping
        From the position of a parameter to its starting values, shape (...).
    xp : Arrays
        The library that iterates. Of the arrays, only ``y`` may be its own.
    """

    model: Any
    x: FloatArray
    y: AnyArray
    usable: BoolArray | None
    known: Mapping[int, AnyArray]
    lower: AnyArray
    upper: AnyArray
    free: IntArray
    weights: AnyArray | None
    variance: AnyArray | None
    loss: tuple[str, float | None]
    tolerances: Tolerances
    xp: Arrays = NUMPY

    @classmethod
    def prepare(
        cls,
        y: Any,
        x: npt.ArrayLike,
        model: Any,
        guess: FloatArray | None,
        *,
        known: Mapping[int, npt.ArrayLike],
        lower: npt.ArrayLike | None,
        upper: npt.ArrayLike | None,
        fixed: npt.ArrayLike | None,
        sigma: tuple[npt.ArrayLike | None, npt.ArrayLike | None],
        loss: tuple[str, float | None],
        tolerances: Tolerances,
        xp: Arrays = NUMPY,
    ) -> Job:
        """Check shapes and bounds."""
        y, x = y if is_foreign(y) else np.asarray(y), np.array(host(x), dtype=np.float64)
        axes = len(getattr(getattr(model, "expression", None), "axes", ("x",)))
        if x.ndim != 1 + (axes > 1) or y.shape[-1:] != x.shape[-1:] or (axes > 1 and len(x) != axes):
            wanted = "x must be one axis" if axes == 1 else f"x must be {axes} rows"
            raise ValueError(f"{wanted} as long as the last one of y, got shapes {x.shape} and {y.shape}")
        p, lead = len(model.params), tuple(y.shape[:-1])
        usable = np.isfinite(np.atleast_2d(x)).all(axis=0)

        def rows(value: npt.ArrayLike | None, core: int, what: str, missing: npt.ArrayLike) -> Any:
            array, shape = host(missing if value is None else value), (*lead, core)
            try:
                return np.broadcast_to(array, (core,) if array.ndim <= 1 else shape)
            except ValueError:
                raise ValueError(f"{what} of shape {array.shape} does not broadcast to {shape}") from None

        lowest, highest = (np.array([getattr(param, end, free) for param in model.params]) for end, free in _UNBOUNDED)
        limits = rows(lower, p, "lower", lowest), rows(upper, p, "upper", highest)
        if not (limits[0] <= limits[1]).all():
            raise ValueError("a lower bound is above its upper bound, or is NaN")
        held = np.broadcast_to(host(False if fixed is None else fixed).astype(bool), (p,))
        weights, variance = (
            None if s is None else rows(s, y.shape[-1], name, 1.0)
            for s, name in zip(sigma, ("weights", "variance"), strict=True)
        )
        columns = {} if guess is None else dict(enumerate(np.moveaxis(rows(guess, p, "guess", np.nan), -1, 0)))
        try:
            columns |= {i: np.broadcast_to(host(value).astype(np.float64), lead) for i, value in known.items()}
        except ValueError as error:
            raise ValueError(f"a starting value does not broadcast to {lead}: {error}") from None
        return cls(
            model=model,
            x=x[..., usable],
            y=y,
            usable=None if usable.all() else usable,
            known={i: value if np.ndim(value) else np.broadcast_to(value, lead) for i, value in columns.items()},
            lower=limits[0],
            upper=limits[1],
            free=np.flatnonzero(~held),
            weights=weights,
            variance=variance,
            loss=loss,
            tolerances=tolerances,
            xp=xp,
        )

    @property
    def given(self) -> BoolArray:
        """Which parameters have a starting value, shape (p,)."""
        return np.array([i in self.known for i in range(self.p)], dtype=bool)

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape of the curves."""
        return tuple(self.y.shape[:-1])

    @property
    def count(self) -> int:
        """The number of curves."""
        return int(np.prod(self.lead, dtype=int))

    @property
    def p(self) -> int:
        """The number of parameters."""
        return int(self.lower.shape[-1])

    def block_size(self, workers: int) -> int:
        """Return how many curves to work on at once."""
        n, q, share = max(1, self.x.shape[-1]), max(1, self.free.size), max(2, workers)
        if self.xp.is_large:
            size = min(_LARGE[1], _LARGE[0] // n)
        else:
            size = max(_FEWEST, min(2 * _MOST // share, _COVARIANCES // (share * q * q)))
            size = min(size, _SAMPLES // (2 * n))
        return int(max(1, min(size, -(-self.count // workers))))

    def blocks(self, size: int) -> list[tuple[slice, ...]]:
        """Cut the leading axes into blocks of at most ``size`` curves, the last axis first."""
        steps, room = [], max(1, size)
        for length in self.lead[::-1]:
            steps.append(max(1, min(length, room)))
            room //= max(1, length)
        cuts: list[Iterator[slice]] = []
        for length, step in zip(self.lead, steps[::-1], strict=True):
            cuts.append(iter([slice(begin, begin + step) for begin in range(0, length, step)]))
        return list(itertools.product(*cuts))

    def block(self, part: tuple[slice, ...]) -> Block:
        """Return a block, with what is given of its start; NaN for the rest."""
        y = self._samples(host(self.y[(*part, slice(None))]))
        parts = 2 if np.iscomplexobj(y) else 1
        b = len(y)
        weights = None
        if self.weights is not None:
            weights = self._samples(self._cut(self.weights, part)).astype(np.float64)
        elif self.variance is not None:
            weights = 1 / np.sqrt(self._samples(self._cut(self.variance, part)).astype(np.float64))
        start = np.full((b, self.p), np.nan)
        for i, value in self.known.items():
            start[:, i] = value[part].reshape(-1)
        lower = self._cut(self.lower, part)[:, self.free].astype(np.float64)
        upper = self._cut(self.upper, part)[:, self.free].astype(np.float64)
        excluded: BoolArray = np.asarray(((start[:, self.free] < lower) | (start[:, self.free] > upper)).any(axis=1))
        if excluded.any():
            start[np.ix_(excluded, [i for i in self.free if i in self.known])] = np.nan
        linear = {i for i, param in enumerate(self.model.params) if param.name in self.model.linear}
        # A search for peaks or a resonance puts heights and backgrounds where they belong, if all starts are its own.
        search: Any = getattr(self.model, "search", None)
        placed = not self.known and bool(getattr(search, "kind", "")) and search.solves
        block = Block(
            model=self.model,
            x=self.x,
            y=np.ascontiguousarray(as_real(y, parts)),
            parts=parts,
            weights=weights,
            start=start,
            lower=lower,
            upper=upper,
            free=self.free,
            solvable=np.array([i in linear and i not in self.known and not placed for i in self.free], dtype=bool),
            loss=Loss("linear", np.ones(1)),
            tolerances=self.tolerances,
            excluded=excluded,
            xp=self.xp,
        )
        if self.loss[0] != "linear":
            block.loss = Loss(self.loss[0], self._loss_scale(block))
        return block

    def _samples(self, values: AnyArray) -> AnyArray:
        """Return curves (b, n) at finite x."""
        rows = _rows(values)
        return rows if self.usable is None else rows[:, self.usable]

    def _cut(self, values: AnyArray, part: tuple[slice, ...]) -> AnyArray:
        """Return what belongs to a block: (b, core), or (1, core) if it is the same for all curves."""
        return values[np.newaxis] if values.ndim == 1 else _rows(values[part])

    def _loss_scale(self, block: Block) -> FloatArray:
        if self.loss[1] is not None:
            return np.full(1, float(self.loss[1]))
        if block.weights is not None:
            return np.full(1, _TUNING)
        noise = np.sqrt(block.noise())
        # Data without noise have no outliers but what rounding makes.
        size = np.sqrt(np.mean(np.where(np.isfinite(block.y), block.y, 0.0) ** 2, axis=1))
        return np.maximum(_TUNING * noise, np.where(size > 0, 1e-9 * size, 1.0))


def _rows(values: AnyArray) -> AnyArray:
    """Flatten the leading axes; there may be no value at all."""
    return values.reshape(int(np.prod(values.shape[:-1], dtype=int)), values.shape[-1])
