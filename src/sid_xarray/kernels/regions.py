"""Which points lie near a position, in a window or in an outline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["inside_polygon", "inside_ring", "inside_window", "nearest_point"]


def nearest_point(x: npt.NDArray[np.float64], position: float, *, slack: float) -> int | None:
    """Return the index of the point nearest to a position.

    Parameters
    ----------
    x : ndarray, shape (n,)
        At least one is finite.
    position : float
    slack : float
        Part of half a step that a position may lie farther off, for rounding.

    Returns
    -------
    int or None
        None if the position lies outside by more than half of the largest step.
    """
    index = int(np.nanargmin(np.abs(x - position)))
    finite = np.sort(x[np.isfinite(x)])
    room = np.max(np.diff(finite)) / 2 if finite.size > 1 else np.inf
    return None if abs(x[index] - position) > room * (1 + slack) else index


def inside_window(x: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Tell which points lie in a window; both ends belong to it.

    Parameters
    ----------
    x : ndarray, shape (n,)
    low, high : float
        ``low <= high``; infinite is open.

    Returns
    -------
    ndarray of bool
    """
    # Half of the last digit: 0.1 + 0.2 belongs to a window that ends at 0.3.
    slack = 1e-9 * max(abs(end) if np.isfinite(end) else 0.0 for end in (low, high))
    steps = np.diff(np.unique(x[np.isfinite(x)]))
    slack = min(slack, 1e-3 * float(steps.min()) if steps.size else np.inf)
    return np.asarray((x >= low - slack) & (x <= high + slack))


def inside_polygon(v: npt.ArrayLike, h: npt.ArrayLike, corners: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which points lie in a polygon; where it crosses itself, the even–odd rule holds.

    Parameters
    ----------
    v : array_like, shape (n,)
        First coordinate.
    h : array_like, shape (n,) or (n, m)
        Second coordinate of points that have ``v`` as their first: one each, or a row of them.
    corners : array_like, shape (k, 2)
        Pairs (v, h). The last corner is joined with the first.

    Returns
    -------
    ndarray of bool, shape of ``h``
        Polygons that share an edge share no point, and together leave none out: of points on an edge, those
        belong to the polygon that it bounds from below.
    """
    v, h, corners = (np.asarray(a, dtype=float) for a in (v, h, corners))
    inside = np.zeros(h.shape, dtype=bool)
    for (v0, h0), (v1, h1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        rows = np.flatnonzero((v0 <= v) != (v1 <= v))
        crossing = h0 + (v[rows] - v0) / (v1 - v0) * (h1 - h0) if rows.size else v[rows]
        inside[rows] ^= h[rows] < crossing.reshape(-1, *[1] * (h.ndim - 1))
    return inside


def inside_ring(v: npt.ArrayLike, h: npt.ArrayLike, *, inner: float, outer: float) -> npt.NDArray[np.bool_]:
    """Tell which points lie between two circles around the origin; both belong to it.

    Parameters
    ----------
    v, h : array_like
        Coordinates that broadcast.
    inner, outer : float
        Radii.

    Returns
    -------
    ndarray of bool
    """
    r = np.hypot(np.asarray(v, dtype=float), np.asarray(h, dtype=float))
    slack = 1e-9 * outer
    return np.asarray((r >= inner - slack) & (r <= outer + slack))
