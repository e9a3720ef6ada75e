"""Polynomials: of degree 3, and, by number, of degrees 2 to 9."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["DEGREES", "MODEL", "polynomial"]

DEGREES = range(2, 10)


@dataclass(frozen=True, slots=True)
class _Guess:
    """The polynomial through the samples, by least squares on an axis from -1 to 1."""

    degree: int

    def __call__(self, x: Array, y: Array) -> FloatArray:
        x, y, valid = tidy(x, y)
        q = self.degree + 1
        if not x.size:
            return np.full((*y.shape[:-1], q), np.nan)
        middle, half = 0.5 * x[0] + 0.5 * x[-1], float(0.5 * x[-1] - 0.5 * x[0]) or 1.0
        basis = np.polynomial.chebyshev.chebvander((x - middle) / half, self.degree)
        # Not as one product of matrices: its rounding would depend on the number of curves, or on gaps of others.
        rhs = np.einsum("...n,nk->...k", y, basis)
        coefficients = np.einsum("...k,kl->...l", rhs, np.linalg.pinv(basis.T @ basis))
        gaps = ~valid.all(axis=-1)
        if gaps.any():
            products = (basis[:, :, np.newaxis] * basis[:, np.newaxis, :]).reshape(x.size, q * q)
            normal = np.einsum("bn,nk->bk", valid[gaps].astype(np.float64), products).reshape(-1, q, q)
            coefficients[gaps] = np.einsum("bkl,bl->bk", np.linalg.pinv(normal), rhs[gaps])
        # From Chebyshev polynomials of t = (x - middle) / half to powers of x.
        out = np.zeros((q, q))
        for k in range(q):
            powers = np.polynomial.Chebyshev.basis(k).convert(kind=np.polynomial.Polynomial)
            moved = powers(np.polynomial.Polynomial([-middle / half, 1 / half]))
            out[k, : moved.coef.size] = moved.coef  # without zeros at the end, which a long axis makes
        return np.where(valid.any(axis=-1, keepdims=True), np.einsum("...k,kl->...l", coefficients, out), np.nan)


@dataclass(frozen=True, slots=True)
class _Spread:
    """One set of parameters: all are linear."""

    count: int

    def __call__(self, x: Array) -> FloatArray:
        return np.ones((1, self.count))


def polynomial(degree: int, name: str = "") -> FitModel:
    """Return the polynomial of a degree, with the parameters ``c0``, ``c1`` …

    Parameters
    ----------
    degree : int
    name : str, optional
        ``"polynomial"`` and the degree by default.
    """
    names = [f"c{k}" for k in range(degree + 1)]
    terms = [c if k == 0 else f"{c} * x" if k == 1 else f"{c} * x**{k}" for k, c in enumerate(names)]
    params = tuple(Param(c, units="y" if k == 0 else f"y/x**{k}") for k, c in enumerate(names))
    return FitModel.of(
        name or f"polynomial{degree}",
        " + ".join(terms),
        _Guess(degree),
        params,
        spread=_Spread(degree + 1),
        formula=" + ".join(f"c_{k} x^{k}" if k else "c_0" for k in range(degree + 1)),
    )


def __getattr__(name: str) -> FitModel:
    """Return ``DEGREE_2`` … for the table of models."""
    stem, _, degree = name.partition("_")
    if stem == "DEGREE" and degree.isdigit() and int(degree) in DEGREES:
        return polynomial(int(degree))
    raise AttributeError(name)


MODEL = polynomial(3, "polynomial")
