"""Loops: turned onto the real axis, and how they switch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import erf, erfinv

from sid_xarray._types import AnyArray, FloatArray

__all__ = ["project", "switching"]


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


def switching(
    a0: FloatArray,
    a1: FloatArray,
    falling: tuple[FloatArray, FloatArray, FloatArray],
    rising: tuple[FloatArray, FloatArray, FloatArray],
    *,
    begin: float,
) -> tuple[FloatArray, ...]:
    """Return what characterises a loop of two branches, each a step whose halves are error functions.

    Parameters
    ----------
    a0, a1 : ndarray
        Response at low bias, and how much of it switches.
    falling, rising : tuple of ndarray
        Of a branch, where it switches, and its widths below and above.
    begin : float
        The part that has switched where switching begins.

    Returns
    -------
    tuple of ndarray
        Where half has switched with falling and with rising bias, their mean, where ``begin`` has, with falling and
        with rising bias, the responses without bias of both branches, and the area of the loop.
    """
    down, up = _reaches(0.5, *falling), _reaches(0.5, *rising)
    with np.errstate(all="ignore"):
        # A branch encloses as much as a step at its balance does.
        area = a1 * (_balance(*rising) - _balance(*falling))
        zero = [a0 + a1 * _level(0.0, *branch) for branch in (falling, rising)]
    return down, up, 0.5 * (down + up), _reaches(1 - begin, *falling), _reaches(begin, *rising), *zero, area


def _balance(place: FloatArray, below: FloatArray, above: FloatArray) -> FloatArray:
    out: FloatArray = place + (above - below) / np.sqrt(np.pi)
    return out


def _level(x: float, place: FloatArray, below: FloatArray, above: FloatArray) -> FloatArray:
    """Return how much of a step, from 0 to 1, lies before a position."""
    u = x - place
    width = np.where(u > 0, above, below)
    total = below + above
    soft = (width * erf(np.where(width > 0, u / width, np.sign(u))) + below) / total
    out: FloatArray = np.where(total > 0, soft, np.where(u > 0, 1.0, 0.0) + 0 * u)
    return out


def _reaches(part: float, place: FloatArray, below: FloatArray, above: FloatArray) -> FloatArray:
    """Return where a step reaches a part of its height."""
    with np.errstate(all="ignore"):
        wanted = part * (below + above) - below
        width = np.where(wanted < 0, below, above)
        shift = width * erfinv(wanted / width)
    out: FloatArray = place + np.where(width > 0, shift, 0 * place)
    return out
