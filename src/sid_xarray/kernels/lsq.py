"""Least-squares fits of one model to many curves at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from sid_xarray._arrays import NUMPY, Arrays, arrays_of, host
from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.kernels._lsq_block import GUESS_NOT_FINITE, GUESS_OUT_OF_BOUNDS, NO_FINITE_DATA, TOO_FEW_POINTS, Block
from sid_xarray.kernels._lsq_compiled import fit_compiled, guess_compiled, is_available, searches, suits
from sid_xarray.kernels._lsq_job import Job
from sid_xarray.kernels._lsq_lm import CONVERGED, MODEL_NOT_FINITE, NOT_CONVERGED, Tolerances
from sid_xarray.kernels._lsq_loss import LOSSES
from sid_xarray.kernels._lsq_result import Derive, LsqResult
from sid_xarray.kernels._lsq_starts import fit_from_starts
from sid_xarray.kernels._lsq_strategy import SINGULAR, fit_with_numpy

__all__ = ["LOSSES", "NO_FINITE_DATA", "STATUS", "LsqResult", "Model", "fit_batch", "processors", "takes_compiled"]

ENGINES = ("auto", "numpy", "numba")
# Fewer curves than this are fitted before a compiled function is read from disk.
_WORTH_COMPILING = 1000

STATUS: dict[int, str] = {
    CONVERGED: "converged",
    NOT_CONVERGED: "not_converged",
    TOO_FEW_POINTS: "too_few_points",
    SINGULAR: "singular",
    NO_FINITE_DATA: "no_finite_data",
    GUESS_NOT_FINITE: "guess_not_finite",
    MODEL_NOT_FINITE: "model_not_finite",
    GUESS_OUT_OF_BOUNDS: "guess_out_of_bounds",
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
``guess_out_of_bounds``
    The bounds exclude the starting value that was given. One that the model estimates is moved to the bound.
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


def fit_batch(
    y: npt.ArrayLike,
    x: npt.ArrayLike,
    model: Model | Callable[..., Any],
    guess: npt.ArrayLike | None = None,
    *,
    known: Mapping[int, npt.ArrayLike] | None = None,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
    fixed: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    variance: npt.ArrayLike | None = None,
    absolute_sigma: bool | None = None,
    loss: str = "linear",
    loss_scale: float | None = None,
    derive: Derive | None = None,
    max_iter: int = 200,
    ftol: float = 1e-10,
    xtol: float = 1e-10,
    gtol: float = 1e-10,
    covariance: bool = True,
    engine: str = "auto",
    threads: int | None = None,
    block: int | None = None,
) -> LsqResult:
    """Fit a model to every curve by least squares.

    Curves are fitted by a Levenberg-Marquardt method [1]_ [2]_, over a block of them at once with NumPy, or one after
    the other in compiled functions; bounds are kept by projection, with parameters frozen that the data push across
    one. A model that is linear in all free parameters is solved directly. The result of a curve does not depend on its
    neighbours, nor on the scale of the data, of the axis or of the weights. A curve that cannot be fitted becomes NaN
    with a ``status``.

    Parameters
    ----------
    y : array_like, shape (..., n)
        Real or complex. Samples that are NaN or infinite take no part. Computed in double precision. Of an array of
        another library that keeps the array API standard (CuPy, PyTorch), a model that has a formula is iterated by
        that library, on the device of the array; starts are found, what can be solved at once is solved, and
        statistics are made in NumPy. The results are arrays like it.
    x : array_like, shape (n,) or (axes, n)
        Any order, any spacing. Samples at NaN or infinity take no part.
    model : Model or callable
        A plain callable ``f(x, *parameters)`` is fitted with derivatives by differences.
    guess : array_like, broadcast to (..., p), optional
        Starting point, and values of the fixed parameters. By default the model guesses.
    known : mapping, optional
        Instead of ``guess``: from the position of a parameter to its starting value, broadcast to (...). The model
        guesses the others.
    lower, upper : array_like, broadcast to (..., p), optional
        Bounds, inclusive; a curve whose given start they exclude is not fitted. By default those that the parameters
        of the model bring (a width is not negative); -inf and inf lift them.
    fixed : array_like of bool, shape (p,), optional
        Parameters to hold at their guess.
    weights : array_like, broadcast to (..., n), optional
        Multiply the residuals: 1/sigma. Samples whose weight is not finite and positive take no part.
    variance : array_like, broadcast to (..., n), optional
        Instead of ``weights``: sigma squared. For complex data, of the real and of the imaginary part each.
    absolute_sigma : bool, optional
        True: weights are 1/sigma in the units of y. False: they are relative, and the covariance is scaled so that
        ``redchi`` is 1. By default True if there are weights or a variance.
    loss : {"linear", "soft_l1", "huber"}
        What is summed: squares, or less for residuals beyond ``loss_scale`` [3]_.
    loss_scale : float, optional
        In units of the weighted residuals. By default 1.345 times sigma, which is 1 where there are weights, and else
        the noise of every curve, from its second differences.
    derive : callable, optional
        From parameters (b, p) to further quantities (b, t) and their derivatives (b, t, p).
    max_iter : int, default: 200
        Steps to try.
    ftol : float, default: 1e-10
        Stop when a step changes chi2, and promises to, by less than this part.
    xtol : float, default: 1e-10
        Stop when a step changes every parameter by less than this part.
    gtol : float, default: 1e-10
        Stop when the cosine between the residual and every derivative is less than this.
    covariance : bool, default: True
        Keep the covariances, p * p numbers a curve.
    engine : {"auto", "numpy", "numba"}
        The compiled one is taken for models that have a formula and arrays of NumPy, where numba is installed and there
        is much to do.
    threads : int, optional
        Blocks that are worked on at once. By default as many as there are processors with compiled functions, else 1.
    block : int, optional
        Curves that are worked on at once: by default 4,096, or fewer where they would take more than some tens of
        megabytes in all threads.

    Returns
    -------
    LsqResult

    Raises
    ------
    ValueError
        If shapes do not fit, bounds cross, both ``weights`` and ``variance`` are given, the model is complex and the
        data are not, or the device of the data has no float64. Never because of the values of the data.
    ImportError
        If the data are of PyTorch or CuPy, and the package array-api-compat is not installed.

    References
    ----------
    .. [1] D. W. Marquardt, J. SIAM 11, 431 (1963). :doi:`10.1137/0111030`
    .. [2] J. J. Moré, Lecture Notes in Mathematics 630, 105 (1978). :doi:`10.1007/BFb0067700`
    .. [3] P. J. Huber, Ann. Math. Statist. 35, 73 (1964). :doi:`10.1214/aoms/1177703732`
    """
    if weights is not None and variance is not None:
        raise ValueError("weights and variance are two ways to say the same. Pass one of them.")
    absolute = weights is not None or variance is not None if absolute_sigma is None else absolute_sigma
    start = None if guess is None else np.atleast_1d(host(guess).astype(np.float64))
    fitted, own = _as_model(model, start), arrays_of(y)
    _check_words(engine, loss, own)
    job = Job.prepare(
        y,
        x,
        fitted,
        start,
        known=known or {},
        lower=lower,
        upper=upper,
        fixed=fixed,
        sigma=(weights, variance),
        loss=(loss, loss_scale),
        tolerances=Tolerances(max_iter, ftol, xtol, gtol),
        xp=own if own.takes_writes() and suits(fitted) else NUMPY,
    )
    out = LsqResult.empty(job.lead, job.p, covariance=covariance, derive=derive)
    compiled = own is NUMPY and _compiles(job, engine)
    workers = threads if threads is not None else processors() if compiled else 1
    parts = job.blocks(block if block is not None else job.block_size(workers))
    guess_of = guess_compiled if compiled and searches(job.model) else _guess

    def work(part: tuple[slice, ...]) -> None:
        with np.errstate(all="ignore"):
            piece = job.block(part)
            found = fit_from_starts(piece, fit_compiled if compiled else fit_with_numpy, guess_of, job.given)
            out.write(part, piece, found, absolute=absolute, derive=derive)

    _for_each(work, parts, workers)
    return out if own is NUMPY else out.brought_to(own)


def _check_words(engine: str, loss: str, xp: Arrays) -> None:
    if loss not in LOSSES:
        raise ValueError(f"loss is one of {', '.join(LOSSES)}; got {loss!r}")
    if engine not in ENGINES:
        raise ValueError(f"engine is one of {', '.join(ENGINES)}; got {engine!r}")
    if engine == "numba" and xp is not NUMPY:
        raise ValueError(
            f"engine='numba' fits arrays of NumPy, got one of {xp.library}. Leave engine out, or pass one of NumPy."
        )


def _for_each(work: Callable[[tuple[slice, ...]], None], parts: Sequence[tuple[slice, ...]], workers: int) -> None:
    """Do all parts, some at once in threads."""
    if min(workers, len(parts)) > 1:
        with ThreadPoolExecutor(min(workers, len(parts))) as pool:
            for _ in pool.map(work, parts):
                pass
    else:
        for part in parts:
            work(part)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def takes_compiled(model: Any, count: int) -> bool:
    """Tell whether ``engine="auto"`` would take compiled functions for so many curves."""
    return suits(model) and count >= _WORTH_COMPILING and is_available()


def _compiles(job: Job, engine: str) -> bool:
    """Tell whether compiled functions fit this job."""
    if engine == "numpy" or not suits(job.model):
        return False
    if engine == "numba" and not is_available():
        raise ValueError("engine='numba' needs numba. Type: pip install 'sid-xarray[fast]'")
    if engine == "auto" and not takes_compiled(job.model, job.count):
        return False
    names = {job.model.params[i].name for i in job.free}
    solved_at_once = job.loss[0] == "linear" and names <= set(job.model.linear)
    # A real model of complex data, and what is solved at once, is left to NumPy.
    return not solved_at_once and job.model.expression.is_complex == np.iscomplexobj(job.y)


def _guess(block: Block, number: int, todo: BoolArray) -> FloatArray:
    """Return the start of a model, shape (b, p); NaN where not ``todo``."""
    n, valid = block.x.shape[-1], block.valid()
    out = np.full(block.start.shape, np.nan)
    for rows in block.pieces(np.flatnonzero(todo)):
        y = block.y[rows]
        y = y if block.parts == 1 else y[:, :n] + 1j * y[:, n:]
        y = y if valid[rows].all() else np.where(valid[rows], y, np.nan)
        out[rows] = block.model.guess(block.x, y) if number == 0 else block.model.restart(block.x, y, number)
    return out
