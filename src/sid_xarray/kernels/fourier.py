"""Discrete Fourier transforms, zero frequency in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft as _fft
from scipy import signal as _signal

__all__ = ["frequencies", "inverse", "transform"]


def transform(
    y: npt.NDArray[Any], *, ndim: int, norm: str | None = None, window: str | None = None
) -> npt.NDArray[np.complexfloating[Any]]:
    """Transform the last ``ndim`` axes.

    Parameters
    ----------
    y : ndarray, shape (..., n1, …)
        float32 gives complex64.
    ndim : int
    norm : {"backward", "ortho", "forward"}
    window : str, optional
        Taper of `scipy.signal.get_window`, such as ``"hann"``, on every axis.

    Returns
    -------
    ndarray of complex, same shape
        Zero frequency at index ``n // 2``.
    """
    axes = tuple(range(-ndim, 0))
    if y.dtype.kind not in "fc" or y.dtype.itemsize < 4:
        y = y.astype(np.result_type(y.dtype, np.float32))
    if window is not None:
        for axis in axes:
            shape = [1] * ndim
            shape[axis] = y.shape[axis]
            y = y * _signal.get_window(window, y.shape[axis], fftbins=True).astype(y.real.dtype).reshape(shape)
    out: npt.NDArray[Any] = _fft.fftshift(_fft.fftn(y, axes=axes, norm=norm), axes=axes)
    return out


def inverse(y: npt.NDArray[Any], *, ndim: int, norm: str | None = None) -> npt.NDArray[np.complexfloating[Any]]:
    """Undo `transform` (without window) on the last ``ndim`` axes.

    Returns
    -------
    ndarray of complex, same shape
    """
    axes = tuple(range(-ndim, 0))
    out: npt.NDArray[Any] = _fft.ifftn(_fft.ifftshift(y, axes=axes), axes=axes, norm=norm)
    return out


def frequencies(n: int, spacing: float) -> npt.NDArray[np.float64]:
    """Return the frequencies of `transform`, in cycles per unit of ``spacing``, ascending for a positive one."""
    out: npt.NDArray[np.float64] = _fft.fftshift(_fft.fftfreq(n, spacing))
    return out
