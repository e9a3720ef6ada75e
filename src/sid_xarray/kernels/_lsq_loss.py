"""Losses that let outliers count less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._arrays import NUMPY, Arrays
from sid_xarray._types import FloatArray, IntArray
from sid_xarray.kernels._lsq_solve import EPS

__all__ = ["LOSSES", "Loss"]

LOSSES: dict[str, int] = {"linear": 0, "soft_l1": 1, "huber": 2}
"""Names of losses, and their numbers in compiled functions."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The sum of ``scale**2 * rho((r / scale)**2)`` instead of the sum of squares.

    Parameters
    ----------
    name : {"linear", "soft_l1", "huber"}
        ``rho(z)`` is z, ``2 (sqrt(1 + z) - 1)``, or z up to 1 and ``2 sqrt(z) - 1`` beyond.
    scale : ndarray, shape (b,) or (1,)
        Where a residual begins to count less.
    """

    name: str
    scale: FloatArray

    def apply(self, residual: FloatArray, jac: FloatArray, rows: IntArray, xp: Arrays = NUMPY) -> FloatArray:
        """Give residuals (r, m) and derivatives (r, q, m) the weights of the loss, in place; return its sum (r,).

        The products of the weighted derivatives are then half the second derivatives of the sum, but for terms in the
        curvature of the model [1]_.

        References
        ----------
        .. [1] B. Triggs et al., "Bundle adjustment: a modern synthesis", LNCS 1883, 298 (2000), sec. 4.3.
           :doi:`10.1007/3-540-44480-7_21`
        """
        if self.name == "linear":
            out: FloatArray = xp.dot(residual, residual)
            return out
        scale = (xp.take(self.scale, rows) if self.scale.shape[0] > 1 else self.scale)[:, np.newaxis]
        z = (residual / scale) ** 2
        if self.name == "soft_l1":
            root = xp.sqrt(1 + z)
            rho, first, second = 2 * z / (root + 1), 1 / root, -0.5 / root**3
        else:
            far = z > 1
            root = xp.sqrt(xp.where(far, z, 1.0))
            rho = xp.where(far, 2 * root - 1, z)
            first, second = 1 / root, xp.where(far, -0.5 / root**3, 0.0)
        bent = xp.sqrt(xp.maximum(first + 2 * second * z, EPS))
        residual *= first / bent
        jac *= bent[:, np.newaxis, :]
        total: FloatArray = xp.sum(rho, axis=-1) * scale[:, 0] ** 2
        return total
