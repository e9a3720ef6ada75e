"""Peaks found one after the other, next to backgrounds and to the peaks before them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray

__all__ = ["Box", "Scene", "total", "window_lengths"]

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
# Ratio of neighbouring widths that are tried; a peak tolerates a start that is off by its square root.
_RATIO = 2.0
_INDEPENDENT = 1e-20


class Box(NamedTuple):
    """A box; every field has shape (...)."""

    height: FloatArray
    center: FloatArray
    width: FloatArray


def total(values: Any) -> FloatArray:
    """Return the sum over the last axis, kept."""
    out: FloatArray = values.sum(axis=-1, keepdims=True)
    return out


def window_lengths(n: int, widest: float) -> list[int]:
    """Return lengths of windows: from 3 samples (fewer on a short axis) to a part of the axis."""
    lengths = [min(3, max(1, n // 3))]
    while (width := round(lengths[-1] * _RATIO)) <= n * min(widest, 0.5):
        lengths.append(width)
    return lengths


@dataclass(slots=True)
class Scene:
    """Curves, and shapes of which any amount may be in them: a constant, backgrounds, peaks that were found.

    Looks for the box, up or down, that explains best what the shapes leave, by least squares over all positions and a
    series of widths: the matched filter of a peak whose sign, width and background are unknown. Running sums make it
    linear in the number of samples. Shapes are kept orthonormal, so that a box costs one product a shape.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Ascending.
    y : ndarray, shape (..., n)
        0 in the gaps.
    valid : ndarray of bool, shape (..., n)

    References
    ----------
    .. [1] Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad, Proc. 27th Asilomar Conf. 1, 40 (1993).
       :doi:`10.1109/ACSSC.1993.342465`
    """

    x: FloatArray
    y: FloatArray
    valid: BoolArray
    left: FloatArray = field(init=False)
    complete: bool = field(init=False)
    count: FloatArray = field(init=False)
    _shapes: list[FloatArray] = field(init=False, default_factory=list)
    _sums: list[FloatArray] = field(init=False, default_factory=list)
    _counts: FloatArray | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.complete = bool(self.valid.all())
        self.count = total(self.valid)
        mean = total(self.y) / self.count
        self.left = self.y - mean if self.complete else np.where(self.valid, self.y - mean, 0.0)
        # What rounding leaves of data without a peak is not one.
        self._rounding = _ROUNDING * (np.abs(mean) + np.abs(self.left).max(axis=-1, keepdims=True, initial=0.0))
        # Without gaps, shapes that do not depend on the curve are kept once.
        one = np.full((1,) * (self.y.ndim - 1) + (self.x.size,), 1 / np.sqrt(max(self.x.size, 1)))
        self._shapes.append(one if self.complete else np.where(self.valid, 1 / np.sqrt(self.count), 0.0))
        self._counts = None if self.complete else _running(self.valid.astype(np.float64))

    _rounding: FloatArray = field(init=False)

    def add(self, shape: FloatArray) -> None:
        """Take a shape (..., n) out of what is left."""
        if not self.complete or not np.isfinite(shape).all():
            shape = np.where(self.valid & np.isfinite(shape), shape, 0.0)
        before = total(shape * shape)
        for _ in range(2):  # the second time makes it orthogonal to rounding
            for other in self._shapes:
                shape = shape - other * total(other * shape)
        after = total(shape * shape)
        # A shape that those before it make up brings nothing but rounding.
        new = after > _INDEPENDENT * before
        shape = np.where(new, shape / np.sqrt(np.where(new, after, 1.0)), 0.0)
        self._shapes.append(shape)
        self.left = self.left - shape * total(shape * self.left)

    def background(self) -> FloatArray:
        """Return the shapes, (..., q, n)."""
        return np.stack(np.broadcast_arrays(*self._shapes), axis=-2)

    def find(self, widest: float) -> Box:
        """Find the box that explains most of what is left.

        Parameters
        ----------
        widest : float
            The greatest width, as part of the axis; 0.5 at most.

        Returns
        -------
        Box
            NaN for a curve without samples. Height 0 for one that is constant to rounding.
        """
        left = np.where(np.abs(self.left).max(axis=-1, keepdims=True, initial=0.0) <= self._rounding, 0.0, self.left)
        sums = _running(left)
        while len(self._sums) < len(self._shapes):
            self._sums.append(_running(self._shapes[len(self._sums)]))
        lead = self.y.shape[:-1]
        best, height = np.full(lead, -1.0), np.zeros(lead)
        start, length = np.zeros(lead, dtype=np.intp), np.ones(lead, dtype=np.intp)
        for k in window_lengths(self.x.size, widest):
            score, rise, at = self._best_window(sums, k)
            wins = score > best
            best, start, length = np.where(wins, score, best), np.where(wins, at, start), np.where(wins, k, length)
            height = np.where(wins, rise, height)
        end = start + length - 1
        center = 0.5 * (self.x[start] + self.x[end])
        width = self.x[end] - self.x[start] + _spacing(self.x)
        empty = self.count[..., 0] == 0
        return Box(*(np.where(empty, np.nan, value) for value in (height, center, width)))

    def _best_window(self, sums: FloatArray, k: int) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return what the best window of k samples takes off chi2, the height of its box, and where it begins."""
        inside = sums[..., k:] - sums[..., :-k]
        samples: Any = float(k) if self._counts is None else self._counts[..., k:] - self._counts[..., :-k]
        spreads = np.asarray(samples)
        for each in self._sums:
            within = each[..., k:] - each[..., :-k]
            within *= within
            spreads = spreads - within
        # A box that the shapes can imitate, or that lies in a gap, is none.
        distinct = spreads > np.maximum(0.1 * samples, 0.25)
        gain = inside * inside
        gain *= np.where(distinct, 1 / np.where(distinct, spreads, 1.0), 0.0)
        at = gain.argmax(axis=-1)[..., np.newaxis]
        score, found = np.take_along_axis(gain, at, -1), np.take_along_axis(inside, at, -1)
        rise = np.where(found != 0, score / np.where(found != 0, found, 1.0), 0.0)
        return score[..., 0], rise[..., 0], at[..., 0]


def _running(values: FloatArray) -> FloatArray:
    out = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=out[..., 1:])
    return out


def _spacing(x: FloatArray) -> float:
    """Return the typical distance of two samples; 1 where there is none, so that a width is never 0."""
    distance = float(np.ptp(x)) / max(x.size - 1, 1) if x.size else 0.0
    return distance if distance > 0 else 1.0
