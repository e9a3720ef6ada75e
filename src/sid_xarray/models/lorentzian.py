"""The resonance peak (Cauchy, Breit-Wigner)."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import peak_start
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "lorentzian"]

# The window that sees a Lorentzian best is 2.78 gamma wide and holds a mean of 0.68 of the height.
_WINDOW, _MEAN = 2.78, 0.68


def lorentzian(x: Array, height: Array, center: Array, gamma: Array) -> Array:
    """Return ``height / (1 + ((x - center) / gamma)**2)``; gamma is the half width at half maximum."""
    u = np.asarray((x - center) / gamma)
    u *= u
    u += 1.0
    return np.divide(height, u, out=u)


def jacobian(x: Array, height: Array, center: Array, gamma: Array) -> Array:
    """Return the derivatives, shape (..., n, 3)."""
    u = (x - center) / gamma
    jac = np.empty((*u.shape[:-1], 3, u.shape[-1]))
    by_height, by_center, by_gamma = jac[..., 0, :], jac[..., 1, :], jac[..., 2, :]
    np.multiply(u, u, out=by_height)
    by_height += 1.0
    np.divide(1.0, by_height, out=by_height)
    np.multiply(by_height, by_height, out=by_center)
    by_center *= 2 * height / gamma
    by_center *= u
    np.multiply(by_center, u, out=by_gamma)
    return jac.swapaxes(-1, -2)


def guess(x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
    """Return height, centre and gamma, shape (..., 3), of the strongest peak, up or down, on any constant."""
    return peak_start(x, y, background, widest, window=_WINDOW, mean=_MEAN)


MODEL = FitModel(
    "lorentzian",
    lorentzian,
    guess,
    (Param("height", units="y"), Param("center", units="x"), Param("gamma", units="x", lower=0.0)),
    jacobian=jacobian,
    linear=("height",),
    reference="https://doi.org/10.1103/PhysRev.49.519",
    formula=r"\frac{h}{1 + (x - c)^2 / \gamma^2}",
    peak=True,
)
