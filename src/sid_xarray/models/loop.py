"""The loop of a ferroelectric: two branches that switch at their own bias, each with its own width before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "guess"]

_NOTHING = 1e-100
# Widths b0 ... b3 to start again with, in parts of the axis.
_SHARP, _SMOOTH = 0.02, 0.16
_RESTARTS = (
    (0.03, 0.03, 0.03, 0.03),
    (_SMOOTH, _SHARP, _SMOOTH, _SHARP),
    (_SHARP, _SMOOTH, _SHARP, _SMOOTH),
    (0.2, 0.2, 0.2, 0.2),
    (_SHARP, _SMOOTH, _SMOOTH, _SHARP),
    (_SMOOTH, _SHARP, _SHARP, _SMOOTH),
    (0.08, 0.08, 0.08, 0.08),
)


def _formula() -> str:
    up = "rising(x) > 0.5"
    # A width of 0 is a kink, where many noisy loops fit best: it must have a value and derivatives.
    b = [f"(b{i} + {_NOTHING})" for i in range(4)]
    before, after = f"where({up}, {b[2]}, {b[0]})", f"where({up}, 1 / ({b[2]} + {b[3]}), 1 / ({b[0]} + {b[1]}))"
    u = f"(x - where({up}, a3, a2))"
    width = f"where({u} > 0, where({up}, {b[3]}, {b[1]}), {before})"
    inverse = f"where({u} > 0, where({up}, 1 / {b[3]}, 1 / {b[1]}), where({up}, 1 / {b[2]}, 1 / {b[0]}))"
    return f"a0 + a1 * ({width} * erf({u} * {inverse}) + {before}) * {after} + a4 * x"


def guess(x: Array, y: Array) -> Array:
    """Return the nine parameters, shape (..., 9).

    Levels are means at the ends of the axis, or of what is next to an end without samples. A branch switches where as
    many samples lie on either side as would for a step, which noise does not move. Widths follow from the areas
    between a branch and the step.
    """
    return _start(x, y, 0)


def restart(x: Array, y: Array, attempt: int) -> Array:
    """Return the same with other widths: loops that are sharp before they switch, or after, and all sharp or smooth."""
    return _start(x, y, attempt)


@dataclass(frozen=True, slots=True)
class LoopSearch:
    """How `guess` and `restart` look at a loop, in a form that compiled functions know, too."""

    kind: str = "loop"
    solves: bool = False

    def geometry(self, x: FloatArray, attempt: int) -> LoopGeometry:
        """Return what an attempt goes by."""
        rising, order = _rising(x), np.argsort(x, kind="stable")
        end = max(1, x.size // 8)
        branches = [np.flatnonzero(part) for part in (~rising, rising)]
        span = float(np.ptp(x)) or 1.0
        return LoopGeometry(
            order=order,
            end=end,
            branches=[at[np.argsort(x[at], kind="stable")] for at in branches],
            span=span,
            widths=np.array(_RESTARTS[attempt - 1] if attempt else ()) * span,
        )


@dataclass(frozen=True, slots=True)
class LoopGeometry:
    """Samples, by their number.

    Attributes
    ----------
    order : ndarray of int
        All, ascending.
    end : int
        How many of them are an end of the axis.
    branches : list of ndarray of int
        The falling and the rising one, ascending.
    span : float
        Length of the axis.
    widths : ndarray
        The four widths to start with; empty if the curve tells them.
    """

    order: IntArray
    end: int
    branches: list[IntArray]
    span: float
    widths: FloatArray


def _start(x: Array, y: Array, attempt: int) -> Array:
    x, y = np.asarray(x, dtype=np.float64), np.real(np.asarray(y)).astype(np.float64, copy=False)
    valid = np.isfinite(y)
    how = LoopSearch().geometry(x, attempt)
    with np.errstate(all="ignore"):
        low, high = (_level(y, valid, order, how.end) for order in (how.order, how.order[::-1]))
        branches = [_branch(x, y, valid, at, low, high) for at in how.branches]
        sizes = [np.clip(size, 0.02 * how.span, 0.25 * how.span) for branch in branches for size in branch[1:]]
        if how.widths.size:
            sizes = [np.full_like(low, width) for width in how.widths]
        # A step of other widths is balanced at another place.
        places = [
            branches[i][0] - (0 if not how.widths.size else (sizes[2 * i + 1] - sizes[2 * i]) / np.sqrt(np.pi))
            for i in range(2)
        ]
        nothing = low - low
        out = np.stack([low, high - low, *places, nothing, *(nothing + size for size in sizes)], axis=-1)
    return np.where(valid.any(axis=-1, keepdims=True), out, np.nan)


def _rising(x: FloatArray) -> BoolArray:
    from sid_xarray.models.formula.tape import rising

    return np.asarray(rising(x) > 0.5)


def _cut(values: Array, at: IntArray) -> Array:
    """Return some samples, one curve after the other in memory: sums are rounded in the order of memory."""
    return np.ascontiguousarray(values[..., at])


def _mean(values: FloatArray, valid: BoolArray) -> FloatArray:
    out: FloatArray = np.where(valid, values, 0.0).sum(axis=-1) / valid.sum(axis=-1)
    return out


def _level(y: FloatArray, valid: BoolArray, order: IntArray, end: int) -> FloatArray:
    """Return the mean of the first samples, (...); where they are all gaps, of as many behind them."""
    first = order[:end]
    out, missing = _mean(_cut(y, first), _cut(valid, first)), ~valid[..., first].any(axis=-1)
    if missing.any():
        good = _cut(valid, order)
        out = np.where(missing, _mean(_cut(y, order), good & (good.cumsum(axis=-1) <= end)), out)
    return out


def _branch(
    x: FloatArray, y: FloatArray, valid: BoolArray, at: IntArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where a branch switches, and its widths before and after; each (...)."""
    if at.size < 2:
        middle = float(np.mean(x)) if x.size else 0.0
        return np.full_like(low, middle), np.full_like(low, 1.0), np.full_like(low, 1.0)
    x, y, valid = x[at], _cut(y, at), _cut(valid, at)
    height = np.where(high != low, high - low, 1.0)[..., np.newaxis]
    level = np.where(valid, (y - low[..., np.newaxis]) / height, np.nan)
    below = np.where(valid, level < 0.5, 0).sum(axis=-1) / np.maximum(valid.sum(axis=-1), 1)
    place = np.interp(below * x.size - 0.5, np.arange(x.size), x)
    # The areas are those of the error function; what is beyond the step counts by its sign, so noise cancels.
    cell = np.gradient(x)
    before = x < place[..., np.newaxis]
    low_area = np.nansum(np.where(before, level, 0.0) * cell, axis=-1)
    high_area = np.nansum(np.where(before, 0.0, 1 - level) * cell, axis=-1)
    low_area, high_area = np.maximum(low_area, 1e-9), np.maximum(high_area, 1e-9)
    ratio = np.clip(np.sqrt(high_area / low_area), 0.2, 5.0)
    width = np.sqrt(np.pi) * (1 + ratio) * low_area
    return place, width, width * ratio


MODEL = FitModel.of(
    "loop",
    _formula(),
    guess,
    (
        Param("a0", units="y"),
        Param("a1", units="y"),
        Param("a2", units="x"),
        Param("a3", units="x"),
        Param("a4", units="y/x"),
        Param("b0", units="x", lower=0.0),
        Param("b1", units="x", lower=0.0),
        Param("b2", units="x", lower=0.0),
        Param("b3", units="x", lower=0.0),
    ),
    reference="S. Jesse, H. N. Lee, S. V. Kalinin, Rev. Sci. Instrum. 77, 073702 (2006), "
    "https://doi.org/10.1063/1.2214699",
    formula=r"a_0 + a_1 \frac{g \operatorname{erf}((x - a) / g) + b}{b + b'} + a_4 x",
    attempts=1 + len(_RESTARTS),
    restart=restart,
    search=LoopSearch(),
)
