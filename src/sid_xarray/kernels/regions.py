"""Which points lie in an outline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["inside_polygon", "inside_ring"]


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
