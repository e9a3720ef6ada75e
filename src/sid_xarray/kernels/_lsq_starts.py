"""Where fits start, and when they start again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
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


def fit_from_starts(
    block: Block,
    fit: Callable[[Block, BoolArray], Found],
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
    known = block.start[:, given]
    everything = np.ones(block.size, dtype=bool)
    if given.all() or not block.x.size:
        found = fit(block, everything)
    elif block.loss.name != "linear":
        found = _robust_attempts(block, fit, guess, given)
    else:
        found = _attempts(
            block, fit, lambda number, todo: _start(block, guess(block, number, todo), given, known), everything
        )
    iterate_with_care(block, found)
    if block.excluded is not None:
        found.status[block.excluded & (found.status == GUESS_NOT_FINITE)] = GUESS_OUT_OF_BOUNDS
    return found


def _robust_attempts(
    block: Block,
    fit: Callable[[Block, BoolArray], Found],
    guess: Callable[[Block, int, BoolArray], FloatArray],
    given: BoolArray,
) -> Found:
    """Fit with a robust loss from a start without outliers, and from the fit of least squares; take the better."""
    known, everything = block.start[:, given], np.ones(block.size, dtype=bool)
    quiet = replace(block, y=_without_spikes(block.y, block.parts))

    def start(number: int, todo: BoolArray) -> FloatArray:
        return _start(block, guess(quiet, number, todo), given, known)

    found = _attempts(block, fit, start, everything)
    plain = replace(block, loss=replace(block.loss, name="linear"), start=block.start.copy())
    block.start = _attempts(plain, fit, start, everything).p
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


def _start(block: Block, guessed: FloatArray, given: BoolArray, known: FloatArray) -> FloatArray:
    """Return a start with what is given in its place, within the bounds."""
    start = np.array(np.broadcast_to(guessed, block.start.shape), dtype=np.float64)
    start[:, given] = known
    return start


def _attempts(
    block: Block,
    fit: Callable[[Block, BoolArray], Found],
    start: Callable[[int, BoolArray], FloatArray],
    todo: BoolArray,
) -> Found:
    attempts = 1 if block.is_linear else getattr(block.model, "attempts", 1)
    patience = block.tolerances
    if attempts > 1:
        # A fit that creeps has often begun at the wrong place: before it goes on, other places are tried.
        block.tolerances = replace(patience, max_iter=min(patience.max_iter, _SHORT))
    block.start = start(0, todo)
    found = fit(block, todo)
    noise: FloatArray | None = None
    tried, ahead, further = [block.start], np.full(block.size, np.inf), found.p.copy()
    agreed = np.zeros(block.size, dtype=int)
    for number in range(1, attempts):
        todo = np.asarray(found.points > block.free.size)
        if number >= block.model.always:
            noise = _noise(block, found) if noise is None else noise
            todo &= _is_doubtful(block, found, noise)
        todo &= agreed < _AGREED
        if not todo.any():
            break
        block.start = start(number, todo)
        # Where a search finds what it found before, there is nothing to try.
        for before in tried:
            todo &= ~(block.start == before).all(axis=1)
        tried.append(block.start)
        other = fit(block, todo)
        # Some are still on their way, and already lower.
        lower = todo & (other.status == NOT_CONVERGED) & (other.chi2 < np.minimum(ahead, found.chi2))
        ahead[lower], further[lower] = other.chi2[lower], other.p[lower]
        better = todo & _is_better(other, found)
        found.take(other, better)
        agreed += todo & _is_good(found) & (np.abs(other.chi2 - found.chi2) <= _SAME * found.chi2)
        agreed[better] = 0
    block.tolerances = patience
    if patience.max_iter > _SHORT:
        _go_on(block, fit, found, np.asarray(ahead < _BETTER * found.chi2), further)
    return found


def _go_on(
    block: Block, fit: Callable[[Block, BoolArray], Found], found: Found, ahead: BoolArray, further: FloatArray
) -> None:
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
