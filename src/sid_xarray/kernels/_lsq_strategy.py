"""Which way a block of curves is fitted: directly, by iteration, or by the slow and stable iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sid_xarray._types import FloatArray, IntArray
from sid_xarray.kernels._lsq_lm import CONVERGED, MODEL_NOT_FINITE, NOT_CONVERGED, Outcome, Tolerances, minimise, pinned
from sid_xarray.kernels._lsq_problem import Problem
from sid_xarray.kernels._lsq_solve import gram, invert_normal, invert_stable

__all__ = ["SINGULAR", "Estimate", "estimate"]

SINGULAR = 3
# Below this, the normal equations have lost more than half of the digits.
_ILL_CONDITIONED = 1e-8


@dataclass(slots=True)
class Estimate:
    """Free parameters (r, q), chi2 (r,), inverse normal matrix (r, q, q) with NaN for pinned ones, status, steps."""

    p: FloatArray
    chi2: FloatArray
    covariance: FloatArray
    status: npt.NDArray[np.int8]
    n_iter: npt.NDArray[np.int32]

    @classmethod
    def empty(cls, r: int, q: int) -> Estimate:
        return cls(
            p=np.full((r, q), np.nan),
            chi2=np.full(r, np.nan),
            covariance=np.full((r, q, q), np.nan),
            status=np.full(r, NOT_CONVERGED, dtype=np.int8),
            n_iter=np.zeros(r, dtype=np.int32),
        )


def estimate(problem: Problem, rows: IntArray, tol: Tolerances, *, linear: bool) -> Estimate:
    """Fit some rows of a block: a linear model at once, what bounds or rounding disturb by iteration."""
    p = problem.values[rows][:, problem.free]
    out = Estimate.empty(*p.shape)
    open_ = np.ones(rows.size, dtype=bool)
    if not problem.free.size:
        residual = problem.residual(p, rows)
        out.p, out.chi2 = p, np.einsum("bm,bm->b", residual, residual)
        out.status[:] = np.where(np.isfinite(out.chi2), CONVERGED, MODEL_NOT_FINITE)
        return out
    if linear:
        open_ = ~_solve_directly(problem, p, rows, out)
    if open_.any():
        _iterate(problem, p, rows, np.flatnonzero(open_), out, tol)
    return out


def _solve_directly(problem: Problem, p: FloatArray, rows: IntArray, out: Estimate) -> npt.NDArray[np.bool_]:
    """Solve the linear problem of every row; return which are solved, within the bounds and beyond doubt."""
    same = problem.weights is None and problem.holes is None and _same_basis(problem)
    # Without weights and holes all curves share their derivatives, and one inverse serves them all.
    at = slice(0, 1) if same else slice(None)
    jac = problem.jacobian(p[at], rows[at])
    if not np.isfinite(jac).all():
        return np.zeros(rows.size, dtype=bool)
    inverse, solver, regular = _invert(jac)
    # The second round takes back the rounding of the first, which matters on top of a large constant.
    for _ in range(2):
        p = p + np.matmul(solver, problem.residual(p, rows)[..., np.newaxis])[..., 0]
    residual = problem.residual(p, rows)
    chi2 = np.einsum("bm,bm->b", residual, residual)
    inside = (p >= problem.lower[rows]) & (p <= problem.upper[rows])
    solved: npt.NDArray[np.bool_] = regular & inside.all(axis=1) & np.isfinite(chi2)
    out.p[solved], out.chi2[solved] = p[solved], chi2[solved]
    out.covariance[solved] = np.broadcast_to(inverse, out.covariance.shape)[solved]
    out.status[solved], out.n_iter[solved] = CONVERGED, 1
    return solved


def _invert(jac: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Invert by normal equations what they can, and the others by singular values; as `invert_stable`."""
    nothing = np.zeros(jac.shape[:2], dtype=bool)
    inverse, pivot = invert_normal(gram(jac, jac[:, 0])[0], nothing)
    solver, regular = np.matmul(inverse, jac), np.ones(len(jac), dtype=bool)
    bad = pivot < _ILL_CONDITIONED
    if bad.any():
        inverse[bad], solver[bad], regular[bad] = invert_stable(jac[bad], nothing[bad])
    return inverse, solver, regular


def _same_basis(problem: Problem) -> bool:
    held = np.delete(problem.values, problem.free, axis=1)
    return bool((held == held[:1]).all())


def _iterate(problem: Problem, p: FloatArray, rows: IntArray, at: IntArray, out: Estimate, tol: Tolerances) -> None:
    """Iterate with normal equations; where these lost too many digits, go on with singular values."""
    ended = minimise(problem, p[at], rows[at], tol=tol)
    held = pinned(ended.p, ended.slope, problem.lower[rows[at]], problem.upper[rows[at]])
    inverse, pivot = invert_normal(ended.normal, held)
    _store(out, at, ended, held, inverse)
    doubtful = (pivot < _ILL_CONDITIONED) & ((ended.status == CONVERGED) | (ended.status == NOT_CONVERGED))
    if not doubtful.any():
        return
    # First as if the minimum were near, without damping; those that this does not bring there, with it.
    at, start, steps = at[doubtful], ended.p[doubtful], ended.n_iter[doubtful]
    for near in (True, False):
        ended = minimise(problem, start, rows[at], tol=tol, near=near)
        ended.n_iter += steps
        held = pinned(ended.p, ended.slope, problem.lower[rows[at]], problem.upper[rows[at]])
        inverse, _, regular = invert_stable(problem.jacobian(ended.p, rows[at]), held)
        ended.status[~regular] = SINGULAR
        _store(out, at, ended, held, inverse)
        doubtful = ended.status != CONVERGED
        if not doubtful.any():
            return
        at, start, steps = at[doubtful], start[doubtful], ended.n_iter[doubtful]


def _store(out: Estimate, at: IntArray, ended: Outcome, held: npt.NDArray[np.bool_], inverse: FloatArray) -> None:
    out.p[at], out.chi2[at] = ended.p, ended.chi2
    out.status[at], out.n_iter[at] = ended.status, ended.n_iter
    out.covariance[at] = np.where(held[:, :, np.newaxis] | held[:, np.newaxis, :], np.nan, inverse)
