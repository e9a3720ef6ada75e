"""Levenberg-Marquardt for a block of curves; a curve that is done leaves the block."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_problem import Problem
from sid_xarray.kernels._lsq_solve import EPS, gram, solve_columns, solve_spd, stable_step

__all__ = ["CONVERGED", "MODEL_NOT_FINITE", "NOT_CONVERGED", "Outcome", "Tolerances", "minimise", "pinned"]


CONVERGED, NOT_CONVERGED, MODEL_NOT_FINITE = 0, 1, 6
_GOING_ON = -1
_LEAST_DAMPING, _FIRST_DAMPING = 1e-20, 1e-3
_LAST_DAMPING = 1e12
_STALLED_ANGLE = 1e-5
_LONG = 1e4
# A step is the last if that after the next, shrinking as they do, would gain less than this part of the tolerance.
_REST = 1e-5
_NOTHING = 64.0


@dataclass(frozen=True, slots=True)
class Tolerances:
    """When to stop: see `sid_xarray.kernels.lsq.fit_batch`."""

    max_iter: int
    ftol: float
    xtol: float
    gtol: float


@dataclass(slots=True)
class Outcome:
    """Where every curve ended: parameters (b, q), chi2 (b,), normal matrix (b, q, q), slope J r (b, q)."""

    p: FloatArray
    chi2: FloatArray
    normal: FloatArray
    slope: FloatArray
    status: npt.NDArray[np.int8]
    n_iter: npt.NDArray[np.int32]


@dataclass(slots=True)
class _Active:
    """The curves still being fitted; every field has them along its first axis."""

    at: IntArray  # position in the outcome
    rows: IntArray  # position in the problem
    p: FloatArray
    chi2: FloatArray
    normal: FloatArray
    slope: FloatArray
    norm2: FloatArray  # largest squared column norm so far (Moré): keeps the scaling from collapsing
    damping: FloatArray
    growth: FloatArray
    floor: FloatArray  # chi2 that rounding alone makes
    leapt: BoolArray  # a step without damping was tried in vain
    before: FloatArray  # what the last step gained
    jac: FloatArray | None  # kept for steps by singular values only
    residual: FloatArray | None

    def keep(self, mask: BoolArray) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                setattr(self, field.name, value[mask])


def pinned(p: FloatArray, slope: FloatArray, lower: FloatArray, upper: FloatArray) -> BoolArray:
    """Tell which parameters sit at a bound that the descent direction points across."""
    out: BoolArray = ((p <= lower) & (slope < 0)) | ((p >= upper) & (slope > 0)) | (lower == upper)
    return out


def minimise(problem: Problem, p: FloatArray, rows: IntArray, *, tol: Tolerances, near: bool | None = None) -> Outcome:
    """Minimise the squared residuals of some curves of a block.

    Before the first step, parameters that are linear and were not given are put where they fit best. When damped steps
    promise nothing any more, one without damping is tried: strong damping may hide what is left. A step that promises
    less than the tolerance is taken without looking, and is the last one.

    Parameters
    ----------
    problem : Problem
    p : ndarray, shape (r, q)
        Start, within the bounds.
    rows : ndarray of int, shape (r,)
        The curves of the block to fit.
    tol : Tolerances
    near : bool, optional
        If given, take steps through singular values of the Jacobian: slow, for columns that nearly depend on each
        other. True if the minimum is believed to be near.

    References
    ----------
    .. [1] D. W. Marquardt, J. SIAM 11, 431 (1963). :doi:`10.1137/0111030`
    .. [2] J. J. Moré, Lecture Notes in Mathematics 630, 105 (1978). :doi:`10.1007/BFb0067700`
    .. [3] H. B. Nielsen, IMM-REP-1999-05, Technical University of Denmark (1999).
    """
    out = _unfitted(p)
    active = _start(problem, p, rows, out, near)
    flat = (active.chi2 <= active.floor) | (_angle(problem, active) <= tol.gtol)
    _leave(active, np.where(flat, CONVERGED, _GOING_ON), out, iteration=0)
    for iteration in range(1, tol.max_iter + 1):
        if not active.at.size:
            break
        _leave(active, _iterate(problem, active, tol), out, iteration=iteration)
    _leave(active, np.full(active.at.size, NOT_CONVERGED), out, iteration=tol.max_iter)
    return out


def _unfitted(p: FloatArray) -> Outcome:
    r, q = p.shape
    return Outcome(
        p=p.copy(),
        chi2=np.full(r, np.nan),
        normal=np.zeros((r, q, q)),
        slope=np.zeros((r, q)),
        status=np.full(r, MODEL_NOT_FINITE, dtype=np.int8),
        n_iter=np.zeros(r, dtype=np.int32),
    )


def _start(problem: Problem, p: FloatArray, rows: IntArray, out: Outcome, near: bool | None) -> _Active:
    residual, jac, chi2 = problem.linearised(p, rows)
    normal, slope = gram(jac, residual)
    data = problem.data(rows)
    floor = (4 * EPS) ** 2 * np.einsum("bm,bm->b", data, data)
    if near is None and problem.solvable.any():
        step = solve_columns(jac[:, problem.solvable], residual)
        p, chi2, normal, slope = _solve_linear(problem, p, rows, step, (chi2, normal, slope), floor)
    active = _Active(
        at=np.arange(rows.size),
        rows=rows,
        p=p,
        chi2=chi2,
        normal=normal,
        slope=slope,
        norm2=np.einsum("bii->bi", normal).copy(),
        # Near the minimum, any damping would stop the directions that the data hardly determine.
        damping=np.full(rows.size, _LEAST_DAMPING if near else _FIRST_DAMPING),
        growth=np.full(rows.size, 2.0),
        floor=floor,
        leapt=np.zeros(rows.size, dtype=bool),
        before=np.full(rows.size, np.inf),
        jac=None if near is None else jac.copy(),
        residual=None if near is None else residual.copy(),
    )
    active.keep(_is_finite(normal, slope, chi2))
    return active


def _solve_linear(
    problem: Problem,
    p: FloatArray,
    rows: IntArray,
    step: FloatArray,
    here: tuple[FloatArray, FloatArray, FloatArray],
    floor: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Put the linear parameters where they fit best while the others are held; return p, chi2, normal, slope."""
    chi2, normal, slope = here
    trial = p.copy()
    trial[:, problem.solvable] += np.where(np.isfinite(step), step, 0.0)
    np.clip(trial, problem.lower[rows], problem.upper[rows], out=trial)
    # What rounding leaves of a term that is not there is nothing.
    share = np.einsum("bqq->bq", normal) * trial * trial
    trial[(share <= _NOTHING * floor[:, np.newaxis]) & problem.solvable] = 0.0
    np.clip(trial, problem.lower[rows], problem.upper[rows], out=trial)
    residual, jac, found = problem.linearised(trial, rows)
    normal_there, slope_there = gram(jac, residual)
    # Data that are explained to rounding are left alone: solving would turn exact zeros into noise.
    better = (found <= chi2) & (chi2 > floor) & _is_finite(normal_there, slope_there, found)
    one, two = better[:, np.newaxis], better[:, np.newaxis, np.newaxis]
    return (
        np.where(one, trial, p),
        np.where(better, found, chi2),
        np.where(two, normal_there, normal),
        np.where(one, slope_there, slope),
    )


def _is_finite(normal: FloatArray, slope: FloatArray, chi2: FloatArray) -> BoolArray:
    out: BoolArray = np.isfinite(chi2) & np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
    return out


def _leave(active: _Active, status: IntArray, out: Outcome, *, iteration: int) -> None:
    """Write the curves that are done to the outcome and drop them."""
    done = status != _GOING_ON
    if not done.any():
        return
    at = active.at[done]
    out.p[at], out.chi2[at] = active.p[done], active.chi2[done]
    out.normal[at], out.slope[at] = active.normal[done], active.slope[done]
    out.status[at] = status[done]
    out.n_iter[at] = iteration
    active.keep(~done)


def _iterate(problem: Problem, a: _Active, tol: Tolerances) -> IntArray:
    """Make one step; return the status of every curve."""
    # What rounding of the data does to chi2 is no gain either.
    target = tol.ftol * a.chi2 + a.floor + np.sqrt(a.floor * a.chi2)
    rest = _REST * tol.ftol * a.chi2 + a.floor
    trial, promised = _propose(problem, a, a.damping)
    leap = (a.damping <= 1) & (promised <= target) & ~a.leapt
    done = np.zeros(leap.size, dtype=bool)
    if leap.any():
        bold, more = _propose(problem, a, np.where(leap, _LEAST_DAMPING, a.damping))
        trial, promised = np.where(leap[:, np.newaxis], bold, trial), np.where(leap, more, promised)
        # A long step that promises nothing goes where the data do not tell: that is looked at.
        size = np.einsum("bq,bq->b", a.norm2, (trial - a.p) ** 2)
        done = leap & (promised <= target) & (size <= _LONG * target) & (promised**3 <= rest * a.before**2)
        a.p[done] = trial[done]
        a.chi2[done] -= np.maximum(promised[done], 0.0)
    status = np.where(done, CONVERGED, _GOING_ON)
    if done.all():
        return status
    going = ~done
    status[going] = _try(problem, a, trial, promised, leap, going, (target, rest), tol)
    return status


def _try(
    problem: Problem,
    a: _Active,
    trial: FloatArray,
    promised: FloatArray,
    leap: BoolArray,
    rest: BoolArray,
    limits: tuple[FloatArray, FloatArray],
    tol: Tolerances,
) -> IntArray:
    """Look at the trials of the curves of ``rest``, move those that get better, and return their status."""
    residual, jac, found = problem.linearised(trial[rest], a.rows[rest])
    normal, slope = gram(jac, residual)
    gain = a.chi2[rest] - found
    better = (gain > 0) & _is_finite(normal, slope, found)
    step = trial[rest] - a.p[rest]
    promised, leap, damping, before = promised[rest], leap[rest], a.damping[rest], a.before[rest]
    target, left = (limit[rest] for limit in limits)
    settled = (np.abs(gain) <= target) & (promised <= target) & (~better | (gain**3 <= left * before**2))
    settled |= (np.abs(step) <= tol.xtol * np.abs(trial[rest])).all(axis=1)
    # Under strong damping every step is small, which says nothing about the minimum.
    settled &= damping <= 1
    ratio = gain / np.where(promised > 0, promised, 1.0)
    eased = np.where(leap, _LEAST_DAMPING, damping * np.maximum(0.1, 1 - (2 * ratio - 1) ** 3))
    growth = a.growth[rest]
    # A bold step that failed was only a look: the next one is damped as before.
    raised = np.where(leap, damping, damping * growth)
    a.damping[rest] = np.clip(np.where(better, eased, raised), _LEAST_DAMPING, _LAST_DAMPING)
    a.growth[rest] = np.where(better, 2.0, np.where(leap, growth, growth * 2))
    a.leapt[rest] = ~better & (leap | a.leapt[rest])

    to = np.flatnonzero(rest)[better]
    a.p[to], a.chi2[to], a.before[to] = trial[rest][better], found[better], gain[better]
    a.normal[to], a.slope[to] = normal[better], slope[better]
    a.norm2[to] = np.maximum(a.norm2[to], np.einsum("bii->bi", normal[better]))
    if a.jac is not None and a.residual is not None:
        a.jac[to], a.residual[to] = jac[better], residual[better]

    angle = _angle(problem, a)[rest]
    settled |= (a.chi2[rest] <= a.floor[rest]) | (angle <= tol.gtol)
    # No step helps any more: at a minimum that is rounding, elsewhere a failure.
    stalled = a.damping[rest] >= _LAST_DAMPING
    settled |= stalled & (angle <= _STALLED_ANGLE)
    return np.where(settled, CONVERGED, np.where(stalled, NOT_CONVERGED, _GOING_ON))


def _propose(problem: Problem, a: _Active, damping: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where to go, within the bounds, and the gain that is promised there."""
    lower, upper = problem.lower[a.rows], problem.upper[a.rows]
    held = pinned(a.p, a.slope, lower, upper)
    if a.jac is not None and a.residual is not None:
        scale = _inverse_norm(a.norm2, held)
        step = stable_step(a.jac * scale[..., np.newaxis], a.residual, damping) * scale
    else:
        step = _damped(a.normal, a.slope, a.norm2, held, damping)
    trial = np.clip(a.p + step, lower, upper)
    return trial, _promised(a, trial - a.p)


def _inverse_norm(norm2: FloatArray, held: BoolArray) -> FloatArray:
    return np.where((norm2 > 0) & ~held, 1 / np.sqrt(np.where(norm2 > 0, norm2, 1.0)), 0.0)


def _damped(
    normal: FloatArray, slope: FloatArray, norm2: FloatArray, held: BoolArray, damping: FloatArray
) -> FloatArray:
    """Return the damped step (b, q) with held parameters left out."""
    scale = _inverse_norm(norm2, held)
    matrix = np.ascontiguousarray((normal * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]).transpose(1, 2, 0))
    for k in range(scale.shape[1]):
        matrix[k, k] += np.where(scale[:, k] > 0, damping, 1.0)
    rhs = np.ascontiguousarray((slope * scale).T)[:, np.newaxis]
    return solve_spd(matrix, rhs)[0][:, 0].T * scale


def _promised(a: _Active, step: FloatArray) -> FloatArray:
    """Return the reduction of chi2 that the linearised model promises."""
    if a.jac is not None:
        along = np.matmul(step[:, np.newaxis, :], a.jac)[:, 0]
        curved = np.einsum("bm,bm->b", along, along)
    else:
        curved = np.einsum("bi,bi->b", step, np.matmul(a.normal, step[..., np.newaxis])[..., 0])
    out: FloatArray = 2 * np.einsum("bi,bi->b", step, a.slope) - curved
    return out


def _angle(problem: Problem, a: _Active) -> FloatArray:
    """Return the largest cosine between the residual and a derivative, which is 0 at a minimum."""
    held = pinned(a.p, a.slope, problem.lower[a.rows], problem.upper[a.rows])
    norm = np.sqrt(np.einsum("bii->bi", a.normal) * a.chi2[:, np.newaxis])
    cosine = np.where((norm > 0) & ~held, np.abs(a.slope) / np.where(norm > 0, norm, 1.0), 0.0)
    out: FloatArray = cosine.max(axis=1, initial=0.0)
    return out
