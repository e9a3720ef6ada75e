"""Loops of a complex response, turned onto the real axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sid_xarray._types import AnyArray, FloatArray

__all__ = ["project"]


def project(z: AnyArray, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Turn every curve so that what changes along it is real.

    A real curve times ``exp(i phi)``, on any constant, lies on a line in the complex plane. Its angle is half of that
    of the sum of the squared deviations from the mean, which is exact for any ``phi``; noise that is the same in both
    parts does not turn it on average.

    Parameters
    ----------
    z : ndarray of complex, shape (..., n)
        Samples that are not finite take no part.
    x : array_like, shape (n,)
        Of the two directions that are left, that in which the curve grows with x is taken.

    Returns
    -------
    real : ndarray, shape (..., n)
        NaN where z is not finite.
    angle : ndarray, shape (...)
        What it was turned back by, from -pi to pi. NaN for a curve without a finite sample.
    """
    z, x = np.asarray(z, dtype=np.complex128), np.asarray(x, dtype=np.float64)
    valid = np.isfinite(z)
    with np.errstate(all="ignore"):
        count = valid.sum(axis=-1, keepdims=True)
        away = np.where(valid, z - np.where(valid, z, 0.0).sum(axis=-1, keepdims=True) / count, 0.0)
        # Squares of small numbers vanish: the size does not matter to the angle.
        size = np.abs(away).max(axis=-1, keepdims=True, initial=0.0)
        away = away / np.where(size > 0, size, 1.0)
        angle = 0.5 * np.angle(np.square(away).sum(axis=-1, keepdims=True))
        along = (away * np.exp(-1j * angle)).real
        middle = np.where(valid, x, 0.0).sum(axis=-1, keepdims=True) / count
        falls = (along * (x - middle)).sum(axis=-1, keepdims=True) < 0
        angle = np.where(falls, np.where(angle > 0, angle - np.pi, angle + np.pi), angle)
        real = np.where(valid, (z * np.exp(-1j * angle)).real, np.nan)
    return real, np.where(count > 0, angle, np.nan)[..., 0]
