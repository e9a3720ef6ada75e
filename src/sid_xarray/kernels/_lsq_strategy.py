"""Which way a block of curves is fitted: directly, by iteration, or by the slow and stable iteration."""

from __future__ import annotations

import numpy as np

from sid_xarray._arrays import NUMPY
from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.kernels._lsq_block import GUESS_NOT_FINITE, NO_FINITE_DATA, TOO_FEW_POINTS, Block, Found
from sid_xarray.kernels._lsq_lm import CONVERGED, MODEL_NOT_FINITE, NOT_CONVERGED, Outcome, minimise, pinned
from sid_xarray.kernels._lsq_problem import Problem
from sid_xarray.kernels._lsq_solve import gram, invert_normal, invert_stable

__all__ = ["ILL_CONDITIONED", "SINGULAR", "fit_with_numpy", "iterate_with_care"]

SINGULAR = 3
# Below this, the normal equations have lost more than half of the digits.
ILL_CONDITIONED = 1e-8


def fit_with_numpy(block: Block, todo: BoolArray) -> Found:
    """Fit some curves of a block: a linear model at once, what bounds or rounding disturb by iteration."""
    out = Found.empty(block)
    for rows in block.pieces(_ready(block, todo, out)):
        _fit_some(block, rows, out)
    return out


def _fit_some(block: Block, rows: IntArray, out: Found) -> None:
    problem = block.problem(rows)
    here = np.arange(rows.size)
    out.squares[rows], out.about[rows] = _totals(problem)
    p = problem.values[:, problem.free]
    _check_kind(problem, p)
    open_ = np.ones(rows.size, dtype=bool)
    if not problem.free.size:
        out.chi2[rows] = problem.linearised(p, here)[2]
        out.status[rows] = np.where(np.isfinite(out.chi2[rows]), CONVERGED, MODEL_NOT_FINITE)
        return
    if block.is_linear:
        open_ = ~_solve_directly(problem, p, rows, out)
    if open_.any():
        at = here[open_]
        there = problem if block.xp is NUMPY else block.problem(rows, block.xp)
        ended = minimise(there, p[at], at, tol=block.tolerances)
        held = pinned(ended.p, ended.slope, problem.lower[at], problem.upper[at])
        inverse, out.pivot[rows[at]] = invert_normal(ended.normal, held)
        _store(out, block, rows[at], ended, held, inverse)


def _ready(block: Block, todo: BoolArray, out: Found) -> IntArray:
    """Set the status of the curves that cannot be fitted; return those that can."""
    out.points[:] = block.parts * block.valid().sum(axis=1)
    status = np.where(np.isfinite(block.start).all(axis=1), CONVERGED, GUESS_NOT_FINITE)
    status = np.where(out.points < block.free.size, TOO_FEW_POINTS, status)
    out.status[:] = np.where(out.points == 0, NO_FINITE_DATA, status)
    lower, upper = block.lower, block.upper
    block.start[:, block.free] = np.clip(block.start[:, block.free], lower, upper)
    out.p[:] = block.start
    return np.flatnonzero((out.status == CONVERGED) & todo)


def _check_kind(problem: Problem, p: FloatArray) -> None:
    if problem.parts == 1 and np.iscomplexobj(problem.evaluate(p[:1], np.arange(1))):
        raise ValueError("the model is complex and the data are real. Fit complex data, or the modulus of the model.")


def _totals(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Return the sum of squares of the weighted data (b,), and that about the weighted mean of every part."""
    squares, about = np.zeros(len(problem.y)), np.zeros(len(problem.y))
    n = problem.y.shape[1] // problem.parts
    for part in (slice(i * n, (i + 1) * n) for i in range(problem.parts)):
        y = problem.y[:, part]
        mass = np.ones_like(y) if problem.weights is None else problem.weights[:, part] ** 2
        mass = mass if problem.holes is None else np.where(problem.holes[:, part], 0.0, mass)
        mean = (mass * y).sum(axis=1, keepdims=True) / mass.sum(axis=1, keepdims=True)
        squares += (mass * y * y).sum(axis=1)
        about += (mass * (y - mean) ** 2).sum(axis=1)
    return squares, about


def _solve_directly(problem: Problem, p: FloatArray, rows: IntArray, out: Found) -> BoolArray:
    """Solve the linear problem of every row; return which are solved, within the bounds and beyond doubt."""
    here = np.arange(rows.size)
    same = problem.weights is None and problem.holes is None and _same_basis(problem)
    # Without weights and holes all curves share their derivatives, and one inverse serves them all.
    at = slice(0, 1) if same else slice(None)
    jac = problem.linearised(p[at], here[at])[1].copy()
    if not np.isfinite(jac).all():
        return np.zeros(rows.size, dtype=bool)
    inverse, solver, regular = _invert(jac)
    # The second round takes back the rounding of the first, which matters on top of a large constant.
    for _ in range(2):
        residual = problem.linearised(p, here)[0]
        p = p + np.matmul(solver, residual[..., np.newaxis])[..., 0]
    chi2 = problem.linearised(p, here)[2]
    inside = (p >= problem.lower) & (p <= problem.upper)
    solved: BoolArray = regular & inside.all(axis=1) & np.isfinite(chi2)
    to = rows[solved]
    out.p[to[:, np.newaxis], problem.free], out.chi2[to] = p[solved], chi2[solved]
    out.inverse[to] = np.broadcast_to(inverse, (rows.size, *inverse.shape[1:]))[solved]
    out.status[to], out.steps[to], out.pivot[to] = CONVERGED, 1, 1.0
    return solved


def _invert(jac: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Invert by normal equations what they can, and the others by singular values; as `invert_stable`."""
    nothing = np.zeros(jac.shape[:2], dtype=bool)
    inverse, pivot = invert_normal(gram(jac, jac[:, 0])[0], nothing)
    solver, regular = np.matmul(inverse, jac), np.ones(len(jac), dtype=bool)
    bad = pivot < ILL_CONDITIONED
    if bad.any():
        inverse[bad], solver[bad], regular[bad] = invert_stable(jac[bad], nothing[bad])
    return inverse, solver, regular


def _same_basis(problem: Problem) -> bool:
    held = np.delete(problem.values, problem.free, axis=1)
    return bool((held == held[:1]).all())


def iterate_with_care(block: Block, found: Found) -> None:
    """Go on with singular values where the normal equations lost too many digits."""
    iterated = (found.status == CONVERGED) | (found.status == NOT_CONVERGED)
    for rows in block.pieces(np.flatnonzero(iterated & (found.pivot < ILL_CONDITIONED))):
        _iterate_some(block, rows, found)


def _iterate_some(block: Block, rows: IntArray, found: Found) -> None:
    problem = block.problem(rows)
    here, start = np.arange(rows.size), found.p[rows][:, block.free]
    # First as if the minimum were near, without damping; those that this does not bring there, with it.
    for near in (True, False):
        ended = minimise(problem, start, here, tol=block.tolerances, near=near)
        ended.n_iter += found.steps[rows[here]].astype(np.int32)
        held = pinned(ended.p, ended.slope, problem.lower[here], problem.upper[here])
        inverse, _, regular = invert_stable(problem.linearised(ended.p, here)[1], held)
        ended.status[~regular] = SINGULAR
        _store(found, block, rows[here], ended, held, inverse)
        doubtful = ended.status != CONVERGED
        if not doubtful.any():
            return
        here, start = here[doubtful], start[doubtful]


def _store(out: Found, block: Block, at: IntArray, ended: Outcome, held: BoolArray, inverse: FloatArray) -> None:
    out.p[at[:, np.newaxis], block.free], out.chi2[at] = ended.p, ended.chi2
    out.status[at], out.steps[at] = ended.status, ended.n_iter
    out.inverse[at], out.held[at] = inverse, held
