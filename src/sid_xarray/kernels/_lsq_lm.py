"""Levenberg-Marquardt for a block of curves; a curve that is done leaves the block."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_problem import Problem
from sid_xarray.kernels._lsq_solve import EPS, gram, solve_spd, stable_step

__all__ = ["CONVERGED", "MODEL_NOT_FINITE", "NOT_CONVERGED", "Outcome", "Tolerances", "minimise", "pinned"]


CONVERGED, NOT_CONVERGED, MODEL_NOT_FINITE = 0, 1, 6
_GOING_ON = -1
_LEAST_DAMPING, _FIRST_DAMPING = 1e-20, 1e-3
_LAST_DAMPING = 1e12
_STALLED_ANGLE = 1e-5


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
    residual = problem.residual(p, rows)
    jac = problem.jacobian(p, rows)
    normal, slope = gram(jac, residual)
    data = problem.data(rows)
    active = _Active(
        at=np.arange(rows.size),
        rows=rows,
        p=p,
        chi2=np.einsum("bm,bm->b", residual, residual),
        normal=normal,
        slope=slope,
        norm2=np.einsum("bii->bi", normal).copy(),
        # Near the minimum, any damping would stop the directions that the data hardly determine.
        damping=np.full(rows.size, _LEAST_DAMPING if near else _FIRST_DAMPING),
        growth=np.full(rows.size, 2.0),
        floor=(4 * EPS) ** 2 * np.einsum("bm,bm->b", data, data),
        jac=None if near is None else jac,
        residual=None if near is None else residual,
    )
    active.keep(np.isfinite(active.chi2) & np.isfinite(normal).all(axis=(1, 2)))
    return active


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
    lower, upper = problem.lower[a.rows], problem.upper[a.rows]
    held = pinned(a.p, a.slope, lower, upper)
    trial = np.clip(a.p + _step(a, held), lower, upper)
    step = trial - a.p
    residual = problem.residual(trial, a.rows)
    chi2 = np.einsum("bm,bm->b", residual, residual)
    gain, promised = a.chi2 - chi2, _promised(a, step)
    better = np.isfinite(chi2) & (gain > 0)
    # A step to where the derivatives are not finite is a step too far.
    better[better] = _move(problem, a, trial[better], residual[better], chi2[better], better)

    settled = (np.abs(gain) <= tol.ftol * a.chi2 + a.floor) & (promised <= tol.ftol * a.chi2 + a.floor)
    settled |= (np.abs(step) <= tol.xtol * np.abs(trial)).all(axis=1)
    # Under strong damping every step is small, which says nothing about the minimum.
    settled &= a.damping <= 1
    ratio = gain / np.where(promised > 0, promised, 1.0)
    factor = np.maximum(0.1, 1 - (2 * ratio - 1) ** 3)
    a.damping = np.where(better, a.damping * factor, a.damping * a.growth)
    np.clip(a.damping, _LEAST_DAMPING, _LAST_DAMPING, out=a.damping)
    a.growth = np.where(better, 2.0, a.growth * 2)

    angle = _angle(problem, a)
    settled |= (a.chi2 <= a.floor) | (angle <= tol.gtol)
    # No step helps any more: at a minimum that is rounding, elsewhere a failure.
    stalled = a.damping >= _LAST_DAMPING
    settled |= stalled & (angle <= _STALLED_ANGLE)
    return np.where(settled, CONVERGED, np.where(stalled, NOT_CONVERGED, _GOING_ON))


def _step(a: _Active, held: BoolArray) -> FloatArray:
    """Return the damped step (b, q) with held parameters left out."""
    scale = np.where((a.norm2 > 0) & ~held, 1 / np.sqrt(np.where(a.norm2 > 0, a.norm2, 1.0)), 0.0)
    if a.jac is not None and a.residual is not None:
        return stable_step(a.jac * scale[..., np.newaxis], a.residual, a.damping) * scale
    matrix = np.ascontiguousarray((a.normal * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]).transpose(1, 2, 0))
    for k in range(scale.shape[1]):
        matrix[k, k] += np.where(scale[:, k] > 0, a.damping, 1.0)
    rhs = np.ascontiguousarray((a.slope * scale).T)[:, np.newaxis]
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


def _move(
    problem: Problem, a: _Active, trial: FloatArray, residual: FloatArray, chi2: FloatArray, better: BoolArray
) -> BoolArray:
    """Take the step for the better curves, with the derivatives there; return which could take it."""
    if not len(trial):
        return np.zeros(0, dtype=bool)
    jac = problem.jacobian(trial, a.rows[better])
    normal, slope = gram(jac, residual)
    fine = np.asarray(np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1))
    to = np.flatnonzero(better)[fine]
    a.p[to], a.chi2[to], a.normal[to], a.slope[to] = trial[fine], chi2[fine], normal[fine], slope[fine]
    a.norm2[to] = np.maximum(a.norm2[to], np.einsum("bii->bi", normal[fine]))
    if a.jac is not None and a.residual is not None:
        a.jac[to], a.residual[to] = jac[fine], residual[fine]
    return fine


def _angle(problem: Problem, a: _Active) -> FloatArray:
    """Return the largest cosine between the residual and a derivative, which is 0 at a minimum."""
    held = pinned(a.p, a.slope, problem.lower[a.rows], problem.upper[a.rows])
    norm = np.sqrt(np.einsum("bii->bi", a.normal) * a.chi2[:, np.newaxis])
    cosine = np.where((norm > 0) & ~held, np.abs(a.slope) / np.where(norm > 0, norm, 1.0), 0.0)
    out: FloatArray = cosine.max(axis=1, initial=0.0)
    return out
