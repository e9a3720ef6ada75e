"""Least-squares fits of one model to many curves at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from sid_xarray._types import FloatArray
from sid_xarray.kernels._lsq_lm import CONVERGED, MODEL_NOT_FINITE, NOT_CONVERGED, Tolerances
from sid_xarray.kernels._lsq_problem import Problem
from sid_xarray.kernels._lsq_solve import EPS
from sid_xarray.kernels._lsq_strategy import SINGULAR, Estimate, estimate

__all__ = ["STATUS", "LsqResult", "Model", "fit_batch"]

_BLOCK_SIZE = 2**18  # samples times parameters
_UNBOUNDED = (("lower", -np.inf), ("upper", np.inf))
TOO_FEW_POINTS, NO_FINITE_DATA, GUESS_NOT_FINITE = 2, 4, 5

STATUS: dict[int, str] = {
    CONVERGED: "converged",
    NOT_CONVERGED: "not_converged",
    TOO_FEW_POINTS: "too_few_points",
    SINGULAR: "singular",
    NO_FINITE_DATA: "no_finite_data",
    GUESS_NOT_FINITE: "guess_not_finite",
    MODEL_NOT_FINITE: "model_not_finite",
}
"""What the status of a curve means; the words serve as CF ``flag_meanings``.

``converged``
    At a minimum.
``not_converged``
    The iterations ran out, or no step made it better. The parameters are the best found; no uncertainty is given.
``too_few_points``
    Fewer finite samples than free parameters.
``singular``
    The data do not determine all free parameters, for instance the centre of a peak of height 0.
``no_finite_data``
    No sample took part: all are NaN, infinite, or have no weight.
``guess_not_finite``
    There is no starting point.
``model_not_finite``
    The model or its derivative is NaN or infinite at the starting point, for instance a power law at negative x.
"""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class Model(Protocol):
    """What a model must offer: `sid_xarray.models.FitModel` does."""

    @property
    def function(self) -> Callable[..., Any]:
        """``f(x, *parameters)``, elementwise."""

    @property
    def guess(self) -> Callable[..., Any]:
        """``guess(x, y)`` of shape (..., p)."""

    @property
    def jacobian(self) -> Callable[..., Any] | None:
        """``j(x, *parameters)`` of shape (..., n, p)."""

    @property
    def params(self) -> Sequence[_Named]:
        """The parameters, in the order of the arguments."""

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of parameters in which, the others held, the model is linear."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str


@dataclass(frozen=True, slots=True)
class _Function:
    """A plain function, as a model."""

    function: Callable[..., Any]
    guess: Callable[..., Any]
    params: tuple[_Parameter, ...]
    jacobian: Callable[..., Any] | None = None
    linear: tuple[str, ...] = ()


def _as_model(model: Model | Callable[..., Any], start: FloatArray | None) -> Model:
    if hasattr(model, "params"):
        return cast("Model", model)
    if start is None:
        raise ValueError("a plain function needs a guess: one starting value for every parameter.")
    return _Function(model, lambda x, y: start, tuple(_Parameter(f"p{i}") for i in range(start.shape[-1])))


@dataclass(frozen=True, slots=True)
class LsqResult:
    """What a batch of fits gives; ``...`` are the leading dimensions of the data, p the number of parameters.

    Attributes
    ----------
    parameters : ndarray, shape (..., p)
        NaN where there is no fit.
    stderr : ndarray, shape (..., p)
        Square root of the diagonal of the covariance. NaN for parameters that were fixed or ended pinned by a bound.
    covariance : ndarray, shape (..., p, p)
        Of the free parameters, those that a bound pins being held at it; NaN rows and columns for the others.
    chi2 : ndarray, shape (...)
        Sum of the squared weighted residuals. Complex residuals count with their squared modulus.
    redchi : ndarray, shape (...)
        ``chi2`` divided by the number of samples less the number of parameters that were not fixed. A complex sample
        counts twice. NaN if nothing is left to divide by.
    rsquared : ndarray, shape (...)
        Coefficient of determination, weighted. NaN for constant data.
    status : ndarray of int8, shape (...)
        See `STATUS`.
    n_iter : ndarray of int32, shape (...)
        Steps tried; 1 for a linear model.
    """

    parameters: FloatArray
    stderr: FloatArray
    covariance: FloatArray
    chi2: FloatArray
    redchi: FloatArray
    rsquared: FloatArray
    status: npt.NDArray[np.int8]
    n_iter: npt.NDArray[np.int32]


def fit_batch(
    y: npt.ArrayLike,
    x: npt.ArrayLike,
    model: Model | Callable[..., Any],
    guess: npt.ArrayLike | None = None,
    *,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
    fixed: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    variance: npt.ArrayLike | None = None,
    absolute_sigma: bool | None = None,
    max_iter: int = 200,
    ftol: float = 1e-10,
    xtol: float = 1e-10,
    gtol: float = 1e-10,
    block: int | None = None,
) -> LsqResult:
    """Fit a model to every curve by least squares.

    Curves are fitted by a Levenberg-Marquardt method [1]_ [2]_ that runs over a block of them at once; bounds are
    kept by projection, with parameters frozen that the data push across one. A model that is linear in all free
    parameters is solved directly. The result of a curve does not depend on its neighbours, nor on the scale of the
    data, of the axis or of the weights. A curve that cannot be fitted becomes NaN with a ``status``.

    Parameters
    ----------
    y : array_like, shape (..., n)
        Real or complex. Samples that are NaN or infinite take no part. Computed in double precision.
    x : array_like, shape (n,)
        Any order, any spacing. Samples at NaN or infinity take no part.
    model : Model or callable
        A plain callable ``f(x, *parameters)`` is fitted with derivatives by differences.
    guess : array_like, broadcast to (..., p), optional
        Starting point, and values of the fixed parameters. By default the model guesses.
    lower, upper : array_like, broadcast to (..., p), optional
        Bounds, inclusive. By default those that the parameters of the model bring (a width is not negative); -inf
        and inf lift them.
    fixed : array_like of bool, shape (p,), optional
        Parameters to hold at their guess.
    weights : array_like, broadcast to (..., n), optional
        Multiply the residuals: 1/sigma. Samples whose weight is not finite and positive take no part.
    variance : array_like, broadcast to (..., n), optional
        Instead of ``weights``: sigma squared. For complex data, of the real and of the imaginary part each.
    absolute_sigma : bool, optional
        True: weights are 1/sigma in the units of y. False: they are relative, and the covariance is scaled so that
        ``redchi`` is 1. By default True if there are weights or a variance.
    max_iter : int, default: 200
        Steps to try.
    ftol : float, default: 1e-10
        Stop when a step changes chi2, and promises to, by less than this part.
    xtol : float, default: 1e-10
        Stop when a step changes every parameter by less than this part.
    gtol : float, default: 1e-10
        Stop when the cosine between the residual and every derivative is less than this.
    block : int, optional
        Curves that are worked on at once. By default 64 to 512, so that the derivatives take about two megabytes:
        smaller blocks spend their time in calls, larger ones with getting memory.

    Returns
    -------
    LsqResult

    Raises
    ------
    ValueError
        If shapes do not fit, bounds cross, both ``weights`` and ``variance`` are given, or the model is complex and
        the data are not. Never because of the values of the data.

    References
    ----------
    .. [1] D. W. Marquardt, J. SIAM 11, 431 (1963). :doi:`10.1137/0111030`
    .. [2] J. J. Moré, Lecture Notes in Mathematics 630, 105 (1978). :doi:`10.1007/BFb0067700`
    """
    if weights is not None and variance is not None:
        raise ValueError("weights and variance are two ways to say the same. Pass one of them.")
    absolute = weights is not None or variance is not None if absolute_sigma is None else absolute_sigma
    start = None if guess is None else np.atleast_1d(np.asarray(guess, dtype=np.float64))
    job = _Job.prepare(
        y, x, _as_model(model, start), start, lower=lower, upper=upper, fixed=fixed, sigma=(weights, variance)
    )
    out = _empty(job.count, job.p)
    size = max(1, block) if block is not None else min(512, max(64, _BLOCK_SIZE // max(1, job.x.size * job.p)))
    with np.errstate(all="ignore"):
        for begin in range(0, job.count, size):
            part = slice(begin, begin + size)
            _fit_block(job, part, out, Tolerances(max_iter, ftol, xtol, gtol), absolute=absolute)
    shaped = {f.name: (v := getattr(out, f.name)).reshape(job.lead + v.shape[1:]) for f in fields(out)}
    return LsqResult(**shaped)


@dataclass(frozen=True, slots=True)
class _Job:
    """The arguments of a fit, checked, with the leading dimensions flattened to ``count``."""

    model: Model
    lead: tuple[int, ...]
    count: int
    p: int
    x: FloatArray
    y: npt.NDArray[Any]
    guess: FloatArray | None
    lower: FloatArray
    upper: FloatArray
    free: npt.NDArray[np.intp]
    weights: npt.NDArray[Any] | None
    variance: npt.NDArray[Any] | None

    @classmethod
    def prepare(
        cls,
        y: npt.ArrayLike,
        x: npt.ArrayLike,
        model: Model,
        guess: FloatArray | None,
        *,
        lower: npt.ArrayLike | None,
        upper: npt.ArrayLike | None,
        fixed: npt.ArrayLike | None,
        sigma: tuple[npt.ArrayLike | None, npt.ArrayLike | None],
    ) -> _Job:
        y, x = np.asarray(y), np.asarray(x, dtype=np.float64)
        if x.ndim != 1 or y.shape[-1:] != x.shape:
            raise ValueError(f"x must be one axis as long as the last one of y, got shapes {x.shape} and {y.shape}")
        p = len(model.params)
        lead, count = y.shape[:-1], int(np.prod(y.shape[:-1], dtype=int))
        usable = np.isfinite(x)

        def rows(value: npt.ArrayLike | None, core: int, what: str, missing: npt.ArrayLike) -> Any:
            array, shape = np.asarray(missing if value is None else value), (*lead, core)
            try:
                return np.broadcast_to(array, shape).reshape(count, core)
            except ValueError:
                raise ValueError(f"{what} of shape {array.shape} does not broadcast to {shape}") from None

        lowest, highest = (np.array([getattr(param, end, free) for param in model.params]) for end, free in _UNBOUNDED)
        limits = rows(lower, p, "lower", lowest), rows(upper, p, "upper", highest)
        if not (limits[0] <= limits[1]).all():
            raise ValueError("a lower bound is above its upper bound, or is NaN")
        held = np.broadcast_to(np.asarray(False if fixed is None else fixed, dtype=bool), (p,))
        weights, variance = (
            None if s is None else rows(s, x.size, name, 1.0)[:, usable]
            for s, name in zip(sigma, ("weights", "variance"), strict=True)
        )
        start = None if guess is None else rows(guess, p, "guess", np.nan)
        flat = y.reshape(count, x.size)
        flat = flat if usable.all() else flat[:, usable]
        free = np.flatnonzero(~held)
        return cls(model, lead, count, p, x[usable], flat, start, *limits, free, weights, variance)


def _empty(count: int, p: int) -> LsqResult:
    def nan(*shape: int) -> FloatArray:
        return np.full((count, *shape), np.nan)

    status, n_iter = np.full(count, NO_FINITE_DATA, dtype=np.int8), np.zeros(count, dtype=np.int32)
    return LsqResult(nan(p), nan(p), nan(p, p), nan(), nan(), nan(), status, n_iter)


def _fit_block(job: _Job, part: slice, out: LsqResult, tol: Tolerances, *, absolute: bool) -> None:
    """Fit the curves of one block and write them to ``out``."""
    y = job.y[part]
    y = y.astype(np.complex128 if np.iscomplexobj(y) else np.float64)
    weights, valid = _weights(job, part, y)
    values = np.full((len(y), job.p), np.nan)
    if valid.any():
        values[:] = job.model.guess(job.x, np.where(valid, y, np.nan)) if job.guess is None else job.guess[part]
    y = np.where(valid, y, 0)
    lower, upper = job.lower[part][:, job.free], job.upper[part][:, job.free]
    values[:, job.free] = np.clip(values[:, job.free], lower, upper)

    parts = 2 if np.iscomplexobj(y) else 1
    points = parts * valid.sum(axis=1)
    status = np.where(np.isfinite(values).all(axis=1), CONVERGED, GUESS_NOT_FINITE)
    status = np.where(points < job.free.size, TOO_FEW_POINTS, status)
    status = np.where(points == 0, NO_FINITE_DATA, status)
    out.status[part] = status
    rows = np.flatnonzero(status == CONVERGED)
    if not rows.size:
        return
    problem = Problem(
        function=job.model.function,
        derivative=job.model.jacobian,
        x=job.x,
        y=y,
        weights=None if weights is None else np.repeat(weights, parts, axis=-1),
        holes=None if valid.all() else np.repeat(~valid, parts, axis=-1),
        values=values,
        free=job.free,
        lower=lower,
        upper=upper,
    )
    _check_kind(problem, rows)
    linear = {param.name for i, param in enumerate(job.model.params) if i in job.free} <= set(job.model.linear)
    found = estimate(problem, rows, tol, linear=linear)
    _write(out, part.start + rows, problem, rows, found, points[rows], absolute=absolute)


def _weights(job: _Job, part: slice, y: npt.NDArray[Any]) -> tuple[FloatArray | None, npt.NDArray[np.bool_]]:
    """Return the weights (b, n), or None if all are 1, and which samples take part."""
    valid = np.isfinite(y)
    if job.weights is None and job.variance is None:
        return None, valid
    if job.weights is not None:
        weights = job.weights[part].astype(np.float64)
    else:
        assert job.variance is not None
        weights = 1 / np.sqrt(job.variance[part].astype(np.float64))
    valid &= np.isfinite(weights) & (weights > 0)
    return np.where(valid, weights, 0.0), valid


def _check_kind(problem: Problem, rows: npt.NDArray[np.intp]) -> None:
    first = problem.evaluate(problem.values[rows[:1]][:, problem.free], rows[:1])
    if np.iscomplexobj(first) and not np.iscomplexobj(problem.y):
        raise ValueError("the model is complex and the data are real. Fit complex data, or the modulus of the model.")


def _write(
    out: LsqResult,
    to: npt.NDArray[np.intp],
    problem: Problem,
    rows: npt.NDArray[np.intp],
    found: Estimate,
    points: npt.NDArray[np.intp],
    *,
    absolute: bool,
) -> None:
    """Write what was found for some rows of a block, with the statistics that follow from it."""
    fitted = (found.status == CONVERGED) | (found.status == NOT_CONVERGED)
    out.status[to], out.n_iter[to] = found.status, found.n_iter
    to, rows, points, free = to[fitted], rows[fitted], points[fitted], problem.free
    chi2 = found.chi2[fitted]
    left = points - free.size
    redchi = np.where(left > 0, chi2 / np.where(left > 0, left, 1), np.nan)
    out.chi2[to], out.redchi[to] = chi2, redchi
    out.parameters[to] = problem.full(found.p[fitted], rows)
    covariance = found.covariance[fitted]
    if not absolute:
        covariance = covariance * redchi[:, np.newaxis, np.newaxis]
    covariance[found.status[fitted] == NOT_CONVERGED] = np.nan
    out.covariance[to[:, np.newaxis, np.newaxis], free[:, np.newaxis], free] = covariance
    out.stderr[to] = np.sqrt(np.einsum("bii->bi", out.covariance[to]))
    out.rsquared[to] = _rsquared(problem, rows, chi2)


def _rsquared(problem: Problem, rows: npt.NDArray[np.intp], chi2: FloatArray) -> FloatArray:
    """Return 1 - chi2 / (weighted variance of the data), about the weighted mean."""
    y, data = problem.y[rows], problem.data(rows)
    weights = np.ones_like(data) if problem.weights is None else problem.weights[rows]
    weights = weights if problem.holes is None else np.where(problem.holes[rows], 0.0, weights)
    squared = weights[:, :: 2 if np.iscomplexobj(y) else 1] ** 2
    mean = (squared * y).sum(axis=1, keepdims=True) / squared.sum(axis=1, keepdims=True)
    total = (squared * np.abs(y - mean) ** 2).sum(axis=1)
    rounding = (4 * EPS) ** 2 * np.einsum("bm,bm->b", data, data)
    return np.where(total > rounding, 1 - chi2 / np.where(total > 0, total, 1.0), np.nan)
