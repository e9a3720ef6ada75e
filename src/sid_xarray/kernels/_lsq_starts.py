"""Where fits start, and when they start again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_block import GUESS_NOT_FINITE, GUESS_OUT_OF_BOUNDS, Block, Found
from sid_xarray.kernels._lsq_lm import CONVERGED, NOT_CONVERGED
from sid_xarray.kernels._lsq_strategy import ILL_CONDITIONED, iterate_with_care

__all__ = ["fit_from_starts"]

# A fit that leaves more than this many times the noise of the data is looked at again from another start.
_SUSPICIOUS = 1.3
# Or one that explains less than this many times what noise would, a parameter.
_FAINT = 20
# Or one that ends at a bound, or not this many standard errors from it.
_NEAR = 2.0
_BETTER = 1 - 1e-9
_SHORT = 25
# No further start is tried where this many ended at the minimum that the best found.
_AGREED, _SAME = 2, 1e-6
_WINDOW = 5
Fit = Callable[[Block, BoolArray], Found]
Start = Callable[["slice | IntArray", int, BoolArray], FloatArray]
"""``start(curves, attempt, todo)``, where ``todo`` says which of the curves need one."""


def fit_from_starts(
    block: Block,
    fit: Fit,
    guess: Callable[[Block, int, BoolArray], FloatArray],
    given: BoolArray,
) -> Found:
    """Fit a block from the first start of its model, and suspicious curves from the others; take the best.

    Parameters
    ----------
    block : Block
        ``start`` holds what is given.
    fit : callable
        The engine.
    guess : callable
        ``guess(block, attempt, todo)`` of shape (b, p).
    given : ndarray of bool, shape (p,)
        Parameters whose starting values are given.
    """
    everything = np.ones(block.size, dtype=bool)
    if given.all() or not block.x.size:
        found = fit(block, everything)
    elif block.loss.name != "linear":
        found = _robust_attempts(block, fit, guess, given)
    else:
        found = _attempts(block, fit, _starts(block, guess, given))
    iterate_with_care(block, found)
    if block.excluded is not None:
        found.status[block.excluded & (found.status == GUESS_NOT_FINITE)] = GUESS_OUT_OF_BOUNDS
    return found


def _robust_attempts(
    block: Block,
    fit: Fit,
    guess: Callable[[Block, int, BoolArray], FloatArray],
    given: BoolArray,
) -> Found:
    """Fit with a robust loss from a start without outliers, and from the fit of least squares; take the better."""
    start = _starts(replace(block, y=_without_spikes(block.y, block.parts)), guess, given)
    found = _attempts(block, fit, start)
    plain = replace(block, loss=replace(block.loss, name="linear"), start=block.start.copy())
    block.start = _attempts(plain, fit, start).p
    todo = np.asarray(np.isfinite(block.start).all(axis=1))
    other = fit(block, todo)
    found.take(other, todo & _is_better(other, found))
    return found


def _without_spikes(y: FloatArray, parts: int) -> FloatArray:
    """Return running medians of five samples: what is narrower is taken for an outlier."""
    n = y.shape[1] // parts
    if n < _WINDOW:
        return y
    out = np.empty_like(y)
    for part in range(parts):
        own = y[:, part * n : (part + 1) * n]
        ends = np.pad(own, ((0, 0), (_WINDOW // 2, _WINDOW // 2)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(ends, _WINDOW, axis=1)
        out[:, part * n : (part + 1) * n] = np.median(windows, axis=-1)
    return np.where(np.isfinite(y) & np.isfinite(out), out, y)


def _starts(block: Block, guess: Callable[[Block, int, BoolArray], FloatArray], given: BoolArray) -> Start:
    """Return what starts curves of a block, with what is given in its place."""
    known = block.start[:, given]

    def start(curves: slice | IntArray, number: int, todo: BoolArray) -> FloatArray:
        part = block if isinstance(curves, slice) else block.some(curves)
        out = np.array(np.broadcast_to(guess(part, number, todo), part.start.shape), dtype=np.float64)
        out[:, given] = known[curves]
        return out

    return start


@dataclass(slots=True)
class _Tries:
    """Some curves of a block, and how far their fits came.

    Attributes
    ----------
    curves : slice or ndarray of int
        Which of the block they are.
    tried : list of ndarray, shape (b, p)
        Where fits started.
    ahead, further : ndarray, shape (b,) and (b, p)
        Of fits that were interrupted: the smallest chi2, and where that was.
    agreed : ndarray of int, shape (b,)
        How many fits ended at the best minimum.
    """

    block: Block
    curves: slice | IntArray
    found: Found
    tried: list[FloatArray]
    ahead: FloatArray
    further: FloatArray
    agreed: IntArray

    def some(self, rows: IntArray) -> _Tries:
        """Return some of the curves, given which of the whole block."""
        tried = [start[rows] for start in self.tried]
        parts = self.ahead[rows], self.further[rows], self.agreed[rows]
        return _Tries(self.block.some(rows), rows, self.found.some(rows), tried, *parts)

    def put(self, some: _Tries) -> None:
        """Take over how far some of the curves came."""
        assert not isinstance(some.curves, slice)
        self.found.put(some.found, some.curves)
        self.ahead[some.curves], self.further[some.curves] = some.ahead, some.further

    def attempt(self, fit: Fit, start: Start, number: int, todo: BoolArray) -> bool:
        """Fit some curves again from another start; tell whether there was anything to do."""
        block, found = self.block, self.found
        todo = todo & (found.points > block.free.size) & (self.agreed < _AGREED)
        if not todo.any():
            return False
        block.start = start(self.curves, number, todo)
        # Where a search finds what it found before, there is nothing to try.
        for before in self.tried:
            todo &= ~(block.start == before).all(axis=1)
        self.tried.append(block.start)
        other = fit(block, todo)
        # Some are still on their way, and already lower.
        lower = todo & (other.status == NOT_CONVERGED) & (other.chi2 < np.minimum(self.ahead, found.chi2))
        self.ahead[lower], self.further[lower] = other.chi2[lower], other.p[lower]
        better = todo & _is_better(other, found)
        found.take(other, better)
        self.agreed += todo & _is_good(found) & (np.abs(other.chi2 - found.chi2) <= _SAME * found.chi2)
        self.agreed[better] = 0
        return True


def _attempts(block: Block, fit: Fit, start: Start) -> Found:
    attempts = 1 if block.is_linear else getattr(block.model, "attempts", 1)
    patience, everything = block.tolerances, np.ones(block.size, dtype=bool)
    if attempts > 1:
        # A fit that creeps has often begun at the wrong place: before it goes on, other places are tried.
        block.tolerances = replace(patience, max_iter=min(patience.max_iter, _SHORT))
    block.start = start(slice(None), 0, everything)
    found = fit(block, everything)
    tries = _Tries(
        block,
        slice(None),
        found,
        [block.start],
        np.full(block.size, np.inf),
        found.p.copy(),
        np.zeros(block.size, dtype=np.int64),
    )
    if attempts > 1:
        always = block.model.always
        for number in range(1, min(always, attempts)):
            tries.attempt(fit, start, number, everything)
        _try_doubtful(tries, fit, start, range(always, attempts))
    block.tolerances = patience
    if patience.max_iter > _SHORT:
        _go_on(block, fit, found, np.asarray(tries.ahead < _BETTER * found.chi2), tries.further)
    return found


def _try_doubtful(tries: _Tries, fit: Fit, start: Start, numbers: range) -> None:
    """Fit doubtful curves from further starts, apart from the others, as long as they are doubtful."""
    noise = _noise(tries.block, tries.found)
    rows = np.flatnonzero(_is_doubtful(tries.block, tries.found, noise))
    if not rows.size:
        return
    some, noise = tries.some(rows), noise[rows]
    for number in numbers:
        if not some.attempt(fit, start, number, _is_doubtful(some.block, some.found, noise)):
            break
    tries.put(some)


def _go_on(block: Block, fit: Fit, found: Found, ahead: BoolArray, further: FloatArray) -> None:
    """Finish what was interrupted: curves without a minimum, and those that were on their way to a better one."""
    open_ = found.status == NOT_CONVERGED
    todo = open_ | ahead
    if not todo.any():
        return
    block.start = np.where(ahead[:, np.newaxis], further, found.p)
    other = fit(block, todo)
    other.steps += found.steps
    found.take(other, todo & (open_ | _is_better(other, found)))


def _is_better(other: Found, found: Found) -> BoolArray:
    """Tell where to take the other: it converged and this did not, or it fits better."""
    fits = np.isfinite(other.chi2) & ~(other.chi2 >= _BETTER * found.chi2)
    return np.asarray((_is_good(other) & (fits | ~_is_good(found))) | (fits & ~_is_good(found)))


def _is_good(found: Found) -> BoolArray:
    return np.asarray((found.status == CONVERGED) & ~(found.pivot < ILL_CONDITIONED))


def _noise(block: Block, found: Found) -> FloatArray:
    """Return the variance of the noise, from the engine or else from the data."""
    known = np.isfinite(found.noise[found.points > block.free.size]).all()
    return found.noise.copy() if known else block.noise()


def _is_doubtful(block: Block, found: Found, noise: FloatArray) -> BoolArray:
    """Tell which curves, of those with points to spare, may have a better minimum."""
    left = found.chi2 / np.maximum(found.points - block.free.size, 1.0)
    # What hardly stands out of the noise may be noise: then other places may do as well.
    faint = ~(found.about - found.chi2 > _FAINT * block.free.size * left)
    return ~_is_good(found) | (left > _SUSPICIOUS * noise) | faint | _is_stopped(block, found, left)


def _is_stopped(block: Block, found: Found, left: FloatArray) -> BoolArray:
    """Tell where a parameter is so near to a bound that noise may have brought it there: others may be better."""
    spread = np.einsum("bqq->bq", found.inverse) * left[:, np.newaxis]
    p = found.p[:, block.free]
    room = np.minimum(p - block.lower, block.upper - p)
    with np.errstate(all="ignore"):
        near = found.held | (room * room < _NEAR**2 * spread)
    return np.asarray(near.any(axis=1))
