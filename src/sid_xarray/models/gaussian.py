"""The normal peak."""

from __future__ import annotations

import numpy as np

from sid_xarray.models._guess import peak_start
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "gaussian"]

# The window that sees a Gaussian best is 2.8 sigma wide and holds a mean of 0.75 of the height.
_WINDOW, _MEAN = 2.80, 0.75


def gaussian(x: Array, height: Array, center: Array, sigma: Array) -> Array:
    """Return ``height * exp(-((x - center) / sigma)**2 / 2)``."""
    u = np.asarray((x - center) / sigma)
    u *= u
    u *= -0.5
    np.exp(u, out=u)
    u *= height
    return u


def jacobian(x: Array, height: Array, center: Array, sigma: Array) -> Array:
    """Return the derivatives, shape (..., n, 3)."""
    u = (x - center) / sigma
    # Parameters are slow and samples fast in memory, as the fit multiplies them.
    jac = np.empty((*u.shape[:-1], 3, u.shape[-1]))
    by_height, by_center, by_sigma = jac[..., 0, :], jac[..., 1, :], jac[..., 2, :]
    np.multiply(u, u, out=by_height)
    by_height *= -0.5
    np.exp(by_height, out=by_height)
    np.multiply(by_height, u, out=by_center)
    by_center *= height / sigma
    np.multiply(by_center, u, out=by_sigma)
    return jac.swapaxes(-1, -2)


def guess(x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
    """Return height, centre and sigma, shape (..., 3), of the strongest peak, up or down, on any constant."""
    return peak_start(x, y, background, widest, window=_WINDOW, mean=_MEAN)


MODEL = FitModel(
    "gaussian",
    gaussian,
    guess,
    (Param("height", units="y"), Param("center", units="x"), Param("sigma", units="x", lower=0.0)),
    jacobian=jacobian,
    linear=("height",),
    reference="https://dlmf.nist.gov/7.20.iii",
    formula=r"h \exp\left(-\frac{(x - c)^2}{2 \sigma^2}\right)",
    peak=True,
)
