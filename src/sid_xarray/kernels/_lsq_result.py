"""What a batch of fits gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sid_xarray._arrays import Arrays
from sid_xarray._types import FloatArray
from sid_xarray.kernels._lsq_block import NO_FINITE_DATA, Block, Found
from sid_xarray.kernels._lsq_lm import CONVERGED, MODEL_NOT_FINITE, NOT_CONVERGED
from sid_xarray.kernels._lsq_solve import EPS

__all__ = ["Derive", "LsqResult"]

Derive = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class LsqResult:
    """What a batch of fits gives; ``...`` are the leading dimensions of the data, p the number of parameters.

    Attributes
    ----------
    parameters : ndarray, shape (..., p)
        NaN where there is no fit.
    stderr : ndarray, shape (..., p)
        Square root of the diagonal of the covariance. NaN for parameters that were fixed or ended pinned by a bound.
    covariance : ndarray, shape (..., p, p), or None
        Of the free parameters, those that a bound pins being held at it; NaN rows and columns for the others.
    chi2 : ndarray, shape (...)
        Sum of the squared weighted residuals, or of their loss. Complex residuals count with their squared modulus.
    redchi : ndarray, shape (...)
        ``chi2`` divided by the number of samples less the number of parameters that were not fixed. A complex sample
        counts twice. NaN if nothing is left to divide by.
    rsquared : ndarray, shape (...)
        Coefficient of determination, weighted. NaN for constant data.
    status : ndarray of int8, shape (...)
        See `STATUS`.
    n_iter : ndarray of int32, shape (...)
        Steps tried; 1 for a linear model.
    derived, derived_stderr : ndarray, shape (..., t)
        What was asked for besides.
    """

    parameters: FloatArray
    stderr: FloatArray
    covariance: FloatArray | None
    chi2: FloatArray
    redchi: FloatArray
    rsquared: FloatArray
    status: npt.NDArray[np.int8]
    n_iter: npt.NDArray[np.int32]
    derived: FloatArray
    derived_stderr: FloatArray

    @classmethod
    def empty(cls, lead: tuple[int, ...], p: int, *, covariance: bool, derive: Derive | None) -> LsqResult:
        """Return results of which nothing is known yet."""
        further = 0 if derive is None else derive(np.ones((1, p)))[0].shape[-1]

        def columns(count: int) -> FloatArray:
            # Every parameter is a map of its own in memory.
            return np.moveaxis(np.full((count, *lead), np.nan), 0, -1)

        return cls(
            parameters=columns(p),
            stderr=columns(p),
            covariance=np.full((*lead, p, p), np.nan) if covariance else None,
            chi2=np.full(lead, np.nan),
            redchi=np.full(lead, np.nan),
            rsquared=np.full(lead, np.nan),
            status=np.full(lead, NO_FINITE_DATA, dtype=np.int8),
            n_iter=np.zeros(lead, dtype=np.int32),
            derived=columns(further),
            derived_stderr=columns(further),
        )

    def write(
        self, part: tuple[slice, ...], block: Block, found: Found, *, absolute: bool, derive: Derive | None
    ) -> None:
        """Write what was found for a block, with the statistics that follow from it."""
        lead = self.chi2[part].shape
        fitted = (found.status == CONVERGED) | (found.status == NOT_CONVERGED)
        # Numbers near the largest one may overflow on the last step.
        whole = np.isfinite(found.p).all(axis=1) & np.isfinite(found.chi2)
        found.status[fitted & ~whole] = MODEL_NOT_FINITE
        fitted &= whole
        nothing = np.where(fitted, 0.0, np.nan)
        left = found.points - block.free.size
        chi2 = found.chi2 + nothing
        redchi = np.where(left > 0, chi2 / np.where(left > 0, left, 1), np.nan)
        known = (found.status == CONVERGED)[:, np.newaxis] & ~found.held
        factor = np.ones(block.size) if absolute else redchi

        self.status[part], self.n_iter[part] = found.status.reshape(lead), found.steps.reshape(lead)
        self.chi2[part], self.redchi[part] = chi2.reshape(lead), redchi.reshape(lead)
        rounding = (4 * EPS) ** 2 * found.squares
        real = found.about > rounding
        rsquared = np.where(real, 1 - chi2 / np.where(real, found.about, 1.0), np.nan)
        self.rsquared[part] = rsquared.reshape(lead)
        p = found.p + nothing[:, np.newaxis]
        if derive is None:  # what is tied to an angle need not repeat with it
            _turn_back(p, block)
        self._put(self.parameters, part, p)
        stderr = np.full(p.shape, np.nan)
        variance = np.einsum("bqq->bq", found.inverse) * factor[:, np.newaxis]
        stderr[:, block.free] = np.sqrt(np.where(known, variance, np.nan))
        self._put(self.stderr, part, stderr)
        if self.covariance is None and derive is None:
            return
        covariance = np.full((*p.shape, p.shape[1]), np.nan)
        both = known[:, :, np.newaxis] & known[:, np.newaxis, :]
        inner = np.where(both, found.inverse * factor[:, np.newaxis, np.newaxis], np.nan)
        covariance[:, block.free[:, np.newaxis], block.free] = inner
        if self.covariance is not None:
            self.covariance[part] = covariance.reshape(*lead, *covariance.shape[1:])
        if derive is not None:
            self._derive(part, p, covariance, derive)

    def brought_to(self, xp: Arrays) -> LsqResult:
        """Return the same in arrays of a library."""
        found: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: None if array is None else xp.asarray(array) for name, array in found.items()}
        return LsqResult(**moved)

    def _derive(self, part: tuple[slice, ...], p: FloatArray, covariance: FloatArray, derive: Derive) -> None:
        values, slopes = derive(p)
        # A parameter without uncertainty, being fixed or pinned, adds none.
        known = np.nan_to_num(covariance)
        spread = np.einsum("bti,bij,btj->bt", slopes, known, slopes)
        self._put(self.derived, part, values)
        self._put(self.derived_stderr, part, np.sqrt(np.where(spread > 0, spread, np.nan)))

    def _put(self, to: FloatArray, part: tuple[slice, ...], values: FloatArray) -> None:
        to[part] = values.reshape(*self.chi2[part].shape, values.shape[-1])


def _turn_back(p: FloatArray, block: Block) -> None:
    """Bring angles within half a period of 0, where no bounds say otherwise."""
    for k, i in enumerate(block.free):
        period = getattr(block.model.params[i], "period", 0.0)
        if period and np.isinf(block.lower[:, k]).all() and np.isinf(block.upper[:, k]).all():
            p[:, i] -= period * np.round(p[:, i] / period)
