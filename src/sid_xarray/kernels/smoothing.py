"""Gaussian smoothing: in the units of an axis, on any axis, around gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sid_xarray._types import FloatArray

__all__ = ["line_through", "smooth"]

# Where the kernel ends, in standard deviations.
_REACH = 4.0
_ENTRIES = 2**22
_ROUNDING = 8.0


def line_through(x: FloatArray, *, eps: float = float(np.finfo(np.float64).eps)) -> tuple[float, float] | None:
    """Return start and step of an axis that is evenly spaced within the rounding of its own numbers, else None.

    Parameters
    ----------
    x : ndarray, shape (n,)
    eps : float
        Relative precision of the numbers: an axis that was stored as float32 has that of float32.
    """
    if x.size < 2 or not np.isfinite(x).all():
        return None
    step = float(x[-1] - x[0]) / (x.size - 1)
    away = np.abs(x - (x[0] + step * np.arange(x.size))).max()
    allowed = max(_ROUNDING * eps * float(np.abs(x).max()), 1e-9 * abs(step))
    return (float(x[0]), step) if step != 0 and away <= min(allowed, 1e-3 * abs(step)) else None


def smooth(y: FloatArray, axes: Sequence[FloatArray], sigmas: Sequence[float]) -> FloatArray:
    """Smooth along the last axes with a Gaussian.

    Parameters
    ----------
    y : ndarray, shape (..., n) or (..., m, n)
        What is not finite takes no part, and is NaN in the result.
    axes : sequence of ndarray
        Positions along the last axes, ascending or descending.
    sigmas : sequence of float
        Standard deviations, in the units of the axes; 0 leaves an axis alone.

    Returns
    -------
    ndarray of float64
        At the ends and beside gaps, of what there is: a constant stays what it is.
    """
    y = np.asarray(y, dtype=np.float64)
    valid = np.isfinite(y)
    gaps = not valid.all()
    values = np.where(valid, y, 0.0) if gaps else y
    mass = valid.astype(np.float64) if gaps else np.ones((1,) * (y.ndim - len(axes)) + y.shape[y.ndim - len(axes) :])
    for i, (x, sigma) in enumerate(zip(axes, sigmas, strict=True)):
        if sigma > 0 and x.size > 1:
            axis = i - len(axes)
            values, mass = _along(values, x, sigma, axis), _along(mass, x, sigma, axis)
    with np.errstate(all="ignore"):
        out: FloatArray = values / mass
    return np.where(valid, out, np.nan) if gaps else out


def _along(y: FloatArray, x: FloatArray, sigma: float, axis: int) -> FloatArray:
    line = line_through(x)
    if line is not None:
        from scipy.ndimage import gaussian_filter1d

        even: FloatArray = gaussian_filter1d(y, sigma / abs(line[1]), axis=axis, mode="constant", truncate=_REACH)
        return even
    return _uneven(y, x, sigma, axis)


def _uneven(y: FloatArray, x: FloatArray, sigma: float, axis: int) -> FloatArray:
    """Smooth along an axis that is not evenly spaced: every sample stands for the stretch around it."""
    from scipy.sparse import csr_array

    columns = np.ascontiguousarray(np.moveaxis(y, axis, 0).reshape(x.size, -1))
    order = np.argsort(x, kind="stable")
    sorted_x, share = x[order], np.abs(np.gradient(x))[order]
    begin = np.searchsorted(sorted_x, sorted_x - _REACH * sigma, side="left")
    end = np.searchsorted(sorted_x, sorted_x + _REACH * sigma, side="right")
    out = np.empty_like(columns)
    edges = np.cumsum(end - begin)
    first = 0
    while first < x.size:
        last = max(first + 1, int(np.searchsorted(edges, (edges[first - 1] if first else 0) + _ENTRIES, side="right")))
        counts = (end - begin)[first:last]
        starts = np.concatenate([[0], np.cumsum(counts)])
        index = np.arange(starts[-1]) - np.repeat(starts[:-1] - begin[first:last], counts)
        away = (sorted_x[index] - np.repeat(sorted_x[first:last], counts)) / sigma
        weights = np.exp(-0.5 * away * away) * share[index]
        matrix = csr_array((weights, order[index], starts), shape=(last - first, x.size))
        out[order[first:last]] = matrix @ columns
        first = last
    shape = np.moveaxis(y, axis, 0).shape
    return np.moveaxis(out.reshape(shape), 0, axis)
