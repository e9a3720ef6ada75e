"""Levenberg-Marquardt for a block of curves; a curve that is done leaves the block."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import numpy.typing as npt

from sid_xarray._arrays import Arrays, host
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
    """Where every curve ended, in NumPy: parameters (b, q), chi2 (b,), normal matrix (b, q, q), slope J r (b, q)."""

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
        Its library does the work.
    p : ndarray, shape (r, q)
        Start, within the bounds.
    rows : ndarray of int, shape (r,)
        The curves of the block to fit.
    tol : Tolerances
    near : bool, optional
        If given, take steps through singular values of the Jacobian: slow, for columns that nearly depend on each
        other. True if the minimum is believed to be near. Of NumPy's arrays only.

    References
    ----------
    .. [1] D. W. Marquardt, J. SIAM 11, 431 (1963). :doi:`10.1137/0111030`
    .. [2] J. J. Moré, Lecture Notes in Mathematics 630, 105 (1978). :doi:`10.1007/BFb0067700`
    .. [3] H. B. Nielsen, IMM-REP-1999-05, Technical University of Denmark (1999).
    """
    out, xp = _unfitted(p), problem.xp
    active = _start(problem, xp.asarray(p), xp.asarray(rows), near)
    flat = (active.chi2 <= active.floor) | (_angle(problem, active) <= tol.gtol)
    _leave(active, _status(xp, flat), out, xp, iteration=0)
    for iteration in range(1, tol.max_iter + 1):
        if not active.at.shape[0]:
            break
        _leave(active, _iterate(problem, active, tol), out, xp, iteration=iteration)
    _leave(active, xp.full(active.at.shape, NOT_CONVERGED, int), out, xp, iteration=tol.max_iter)
    return out


def _status(xp: Arrays, done: BoolArray) -> IntArray:
    status: IntArray = xp.full(done.shape, _GOING_ON, int)
    status[done] = CONVERGED
    return status


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


def _start(problem: Problem, p: FloatArray, rows: IntArray, near: bool | None) -> _Active:
    xp, many = problem.xp, rows.shape
    residual, jac, chi2 = problem.linearised(p, rows)
    normal, slope = gram(jac, residual, xp)
    data = problem.data(rows)
    floor = (4 * EPS) ** 2 * xp.dot(data, data)
    if near is None and problem.solvable.any():
        step = solve_columns(xp.take(jac, np.flatnonzero(problem.solvable), axis=1), residual, xp)
        p, chi2, normal, slope = _solve_linear(problem, p, rows, step, (chi2, normal, slope), floor)
    active = _Active(
        at=xp.asarray(np.arange(many[0])),
        rows=rows,
        p=p,
        chi2=chi2,
        normal=normal,
        slope=slope,
        norm2=xp.copy(xp.diagonal(normal)),
        # Near the minimum, any damping would stop the directions that the data hardly determine.
        damping=xp.full(many, _LEAST_DAMPING if near else _FIRST_DAMPING),
        growth=xp.full(many, 2.0),
        floor=floor,
        leapt=xp.full(many, False, bool),
        before=xp.full(many, np.inf),
        jac=None if near is None else jac.copy(),
        residual=None if near is None else residual.copy(),
    )
    active.keep(_is_finite(xp, normal, slope, chi2))
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
    (chi2, normal, slope), xp = here, problem.xp
    lower, upper = xp.take(problem.lower, rows), xp.take(problem.upper, rows)
    trial = xp.copy(p)
    step = xp.where(xp.isfinite(step), step, 0.0)
    for k, i in enumerate(np.flatnonzero(problem.solvable).tolist()):
        trial[:, i] += step[:, k]
    trial = xp.clip(trial, lower, upper)
    # What rounding leaves of a term that is not there is nothing.
    faint = xp.diagonal(normal) * trial * trial <= _NOTHING * floor[:, np.newaxis]
    trial = xp.clip(xp.where(faint & xp.asarray(problem.solvable), 0.0, trial), lower, upper)
    residual, jac, found = problem.linearised(trial, rows)
    normal_there, slope_there = gram(jac, residual, xp)
    # Data that are explained to rounding are left alone: solving would turn exact zeros into noise.
    better = (found <= chi2) & (chi2 > floor) & _is_finite(xp, normal_there, slope_there, found)
    one, two = better[:, np.newaxis], better[:, np.newaxis, np.newaxis]
    return (
        xp.where(one, trial, p),
        xp.where(better, found, chi2),
        xp.where(two, normal_there, normal),
        xp.where(one, slope_there, slope),
    )


def _is_finite(xp: Arrays, normal: FloatArray, slope: FloatArray, chi2: FloatArray) -> BoolArray:
    out: BoolArray = xp.isfinite(chi2) & xp.all(xp.isfinite(normal), axis=(1, 2)) & xp.all(xp.isfinite(slope), axis=1)
    return out


def _leave(active: _Active, status: IntArray, out: Outcome, xp: Arrays, *, iteration: int) -> None:
    """Write the curves that are done to the outcome and drop them."""
    done = status != _GOING_ON
    if not xp.any(done):
        return
    at = host(active.at[done])
    out.p[at], out.chi2[at] = host(active.p[done]), host(active.chi2[done])
    out.normal[at], out.slope[at] = host(active.normal[done]), host(active.slope[done])
    out.status[at] = host(status[done])
    out.n_iter[at] = iteration
    active.keep(~done)


def _iterate(problem: Problem, a: _Active, tol: Tolerances) -> IntArray:
    """Make one step; return the status of every curve."""
    xp = problem.xp
    # What rounding of the data does to chi2 is no gain either.
    target = tol.ftol * a.chi2 + a.floor + xp.sqrt(a.floor * a.chi2)
    rest = _REST * tol.ftol * a.chi2 + a.floor
    trial, promised = _propose(problem, a, a.damping)
    leap = (a.damping <= 1) & (promised <= target) & ~a.leapt
    done = xp.full(leap.shape, False, bool)
    if xp.any(leap):
        bold, more = _propose(problem, a, xp.where(leap, _LEAST_DAMPING, a.damping))
        trial, promised = xp.where(leap[:, np.newaxis], bold, trial), xp.where(leap, more, promised)
        # A long step that promises nothing goes where the data do not tell: that is looked at.
        size = xp.dot(a.norm2, (trial - a.p) ** 2)
        done = leap & (promised <= target) & (size <= _LONG * target) & (promised**3 <= rest * a.before**2)
        a.p[done] = trial[done]
        a.chi2[done] -= xp.maximum(promised[done], 0.0)
    status = _status(xp, done)
    if xp.all(done):
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
    xp = problem.xp
    residual, jac, found = problem.linearised(trial[rest], a.rows[rest])
    normal, slope = gram(jac, residual, xp)
    gain = a.chi2[rest] - found
    better = (gain > 0) & _is_finite(xp, normal, slope, found)
    step = trial[rest] - a.p[rest]
    promised, leap, damping, before = promised[rest], leap[rest], a.damping[rest], a.before[rest]
    target, left = (limit[rest] for limit in limits)
    settled = (xp.abs(gain) <= target) & (promised <= target) & (~better | (gain**3 <= left * before**2))
    settled |= xp.all(xp.abs(step) <= tol.xtol * xp.abs(trial[rest]), axis=1)
    # Under strong damping every step is small, which says nothing about the minimum.
    settled &= damping <= 1
    ratio = gain / xp.where(promised > 0, promised, 1.0)
    eased = xp.where(leap, _LEAST_DAMPING, damping * xp.maximum(1 - (2 * ratio - 1) ** 3, 0.1))
    growth = a.growth[rest]
    # A bold step that failed was only a look: the next one is damped as before.
    raised = xp.where(leap, damping, damping * growth)
    a.damping[rest] = xp.clip(xp.where(better, eased, raised), _LEAST_DAMPING, _LAST_DAMPING)
    a.growth[rest] = xp.where(better, 2.0, xp.where(leap, growth, growth * 2))
    a.leapt[rest] = ~better & (leap | a.leapt[rest])

    to = xp.copy(rest)
    to[rest] = better
    a.p[to], a.chi2[to], a.before[to] = trial[to], found[better], gain[better]
    a.normal[to], a.slope[to] = normal[better], slope[better]
    a.norm2[to] = xp.maximum(a.norm2[to], xp.diagonal(a.normal[to]))
    if a.jac is not None and a.residual is not None:
        a.jac[to], a.residual[to] = jac[better], residual[better]

    angle = _angle(problem, a)[rest]
    settled |= (a.chi2[rest] <= a.floor[rest]) | (angle <= tol.gtol)
    # No step helps any more: at a minimum that is rounding, elsewhere a failure.
    stalled = a.damping[rest] >= _LAST_DAMPING
    settled |= stalled & (angle <= _STALLED_ANGLE)
    status = xp.full(settled.shape, _GOING_ON, int)
    status[stalled] = NOT_CONVERGED
    status[settled] = CONVERGED
    return cast("IntArray", status)


def _propose(problem: Problem, a: _Active, damping: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where to go, within the bounds, and the gain that is promised there."""
    xp = problem.xp
    lower, upper = xp.take(problem.lower, a.rows), xp.take(problem.upper, a.rows)
    held = pinned(a.p, a.slope, lower, upper)
    if a.jac is not None and a.residual is not None:
        scale = _inverse_norm(xp, a.norm2, held)
        step = stable_step(a.jac * scale[..., np.newaxis], a.residual, damping) * scale
    else:
        step = _damped(xp, a, _inverse_norm(xp, a.norm2, held), damping)
    trial = xp.clip(a.p + step, lower, upper)
    return trial, _promised(xp, a, trial - a.p)


def _inverse_norm(xp: Arrays, norm2: FloatArray, held: BoolArray) -> FloatArray:
    out: FloatArray = xp.where((norm2 > 0) & ~held, 1 / xp.sqrt(xp.where(norm2 > 0, norm2, 1.0)), 0.0)
    return out


def _damped(xp: Arrays, a: _Active, scale: FloatArray, damping: FloatArray) -> FloatArray:
    """Return the damped step (b, q) with held parameters, whose scale is 0, left out."""
    scaled = a.normal * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]
    matrix = xp.contiguous(xp.permute_dims(scaled, (1, 2, 0)))
    for k in range(scale.shape[1]):
        matrix[k, k, :] += xp.where(scale[:, k] > 0, damping, 1.0)
    rhs = xp.contiguous((a.slope * scale).T)[:, np.newaxis, :]
    return solve_spd(matrix, rhs, xp)[0][:, 0, :].T * scale


def _promised(xp: Arrays, a: _Active, step: FloatArray) -> FloatArray:
    """Return the reduction of chi2 that the linearised model promises."""
    if a.jac is not None:
        along = xp.matmul(step[:, np.newaxis, :], a.jac)[:, 0, :]
        curved = xp.dot(along, along)
    else:
        curved = xp.dot(step, xp.matmul(a.normal, step[..., np.newaxis])[..., 0])
    out: FloatArray = 2 * xp.dot(step, a.slope) - curved
    return out


def _angle(problem: Problem, a: _Active) -> FloatArray:
    """Return the largest cosine between the residual and a derivative, which is 0 at a minimum."""
    xp = problem.xp
    held = pinned(a.p, a.slope, xp.take(problem.lower, a.rows), xp.take(problem.upper, a.rows))
    norm = xp.sqrt(xp.diagonal(a.normal) * a.chi2[:, np.newaxis])
    cosine = xp.where((norm > 0) & ~held, xp.abs(a.slope) / xp.where(norm > 0, norm, 1.0), 0.0)
    out: FloatArray = xp.max(cosine, axis=1)
    return out
