"""Peaks of curves: where they are, how far they stand out, how wide they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._types import AnyArray, FloatArray
from sid_xarray.kernels.smoothing import smooth

__all__ = ["Limits", "Range", "find_along", "packed", "vertex"]

Range = tuple[float, float]
_OPEN: Range = (-np.inf, np.inf)
_SLACK = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as a peak.

    Parameters
    ----------
    height, prominence, width : (float, float)
        Least and greatest, both included.
    distance : tuple of float
        Least distance between peaks, along every axis; a smaller peak within it is dropped. 0 is none.
    smooth : tuple of float
        Standard deviation of a Gaussian, along every axis.
    """

    height: Range = _OPEN
    prominence: Range = _OPEN
    width: Range = _OPEN
    distance: tuple[float, ...] = (0.0,)
    smooth: tuple[float, ...] = (0.0,)


def find_along(
    y: AnyArray, *, x: FloatArray, limits: Limits, size: int | None, dtype: np.dtype[np.floating]
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray, AnyArray]:
    """Find the local maxima of every curve, as `scipy.signal.find_peaks` does.

    Parameters
    ----------
    y : ndarray, shape (..., n)
        Samples that are not finite are left out.
    x : ndarray, shape (n,)
        Ascending or descending; samples where it is not finite are left out.
    limits : Limits
    size : int or None
        How many to return; the most prominent. None: as many as the curve with most has, at least one.
    dtype : dtype
        Of heights and prominences.

    Returns
    -------
    position, height, prominence, fwhm : ndarray, shape (..., size)
        In the order of positions; NaN behind the last.
    count : ndarray of int32, shape (...)
        How many there are.

    Notes
    -----
    The position is that of the vertex of the parabola through the highest sample and its neighbours, or the middle of a
    plateau. The width is that at half prominence, between samples along straight lines.
    """
    usable = np.flatnonzero(np.isfinite(x))
    usable = usable[np.argsort(x[usable], kind="stable")]
    lead = y.shape[:-1]
    at = x[usable]
    rows = np.asarray(y.reshape(int(np.prod(lead, dtype=int)), y.shape[-1])[:, usable], dtype=np.float64)
    if limits.smooth[0] > 0:
        rows = smooth(rows, [at], limits.smooth)
    valid = np.isfinite(rows)
    whole = np.asarray(valid.all(axis=-1))
    found = []
    for row, keep, complete in zip(rows, valid, whole, strict=True):
        found.append(_of_curve(row, at, limits) if complete else _of_curve(row[keep], at[keep], limits))
    count = np.array([len(one) for one in found], dtype=np.int32).reshape(lead)
    kept = [_strongest(one, size, 2, 0) for one in found]
    table = packed(kept, 4, size)
    columns = table.reshape(*lead, *table.shape[1:])
    position, height, prominence, width = np.moveaxis(columns, -1, 0)
    return position, height.astype(dtype), prominence.astype(dtype), width, count


def packed(tables: list[FloatArray], columns: int, size: int | None) -> FloatArray:
    """Return tables of different lengths as one array (tables, size, columns), NaN behind the last row of each."""
    most = max((len(one) for one in tables), default=0)
    out = np.full((len(tables), max(1, most) if size is None else size, columns), np.nan)
    for row, one in zip(out, tables, strict=True):
        row[: len(one)] = one
    return out


def _strongest(table: FloatArray, size: int | None, by: int, order: int) -> FloatArray:
    """Return the rows with the largest values in one column, in the order of another."""
    if size is None or len(table) <= size:
        return table
    kept = table[np.argsort(-table[:, by], kind="stable")[:size]]
    return np.asarray(kept[np.argsort(kept[:, order], kind="stable")])


def _of_curve(y: FloatArray, x: FloatArray, limits: Limits) -> FloatArray:
    """Return position, height, prominence and width of every peak, shape (peaks, 4)."""
    from scipy.signal import find_peaks, peak_prominences, peak_widths

    nothing = np.empty((0, 4))
    if y.size < 3:
        return nothing
    peaks, edges = find_peaks(y, plateau_size=1)
    if not peaks.size:
        return nothing
    left, right = edges["left_edges"], edges["right_edges"]
    keep = _within(y[peaks], limits.height)
    if limits.distance[0] > 0:
        keep[keep] = _far(x[peaks[keep]], y[peaks[keep]], limits.distance[0])
    peaks, left, right = peaks[keep], left[keep], right[keep]
    standing = peak_prominences(y, peaks)
    keep = _within(standing[0], limits.prominence)
    peaks, left, right = peaks[keep], left[keep], right[keep]
    prominence, *bases = (values[keep] for values in standing)
    _, _, begin, end = peak_widths(y, peaks, rel_height=0.5, prominence_data=(prominence, *bases))
    samples = np.arange(y.size)
    width = np.interp(end, samples, x) - np.interp(begin, samples, x)
    keep = _within(width, limits.width)
    flat = left != right
    top = vertex(x[peaks - 1], x[peaks], x[peaks + 1], y[peaks - 1], y[peaks], y[peaks + 1])
    position = np.where(flat, 0.5 * (x[left] + x[right]), top)
    return np.stack([position, y[peaks], prominence, width], axis=-1)[keep]


def _within(values: FloatArray, ends: Range) -> AnyArray:
    return np.asarray((values >= ends[0]) & (values <= ends[1]))


def _far(x: FloatArray, height: FloatArray, distance: float) -> AnyArray:
    """Return which peaks remain when, from the highest on, each drops those that are nearer to it than a distance."""
    keep = np.ones(x.size, dtype=bool)
    distance *= _SLACK
    for i in np.argsort(height, kind="stable")[::-1]:
        if not keep[i]:
            continue
        first, last = np.searchsorted(x, x[i] - distance, side="right"), np.searchsorted(x, x[i] + distance)
        keep[first:last] = False
        keep[i] = True
    return keep


def vertex(
    x0: FloatArray, x1: FloatArray, x2: FloatArray, y0: FloatArray, y1: FloatArray, y2: FloatArray
) -> FloatArray:
    """Return where the parabola through three points turns; the middle one where it does not."""
    with np.errstate(all="ignore"):
        rise, fall = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
        middle = 0.5 * (x0 + x1)
        out = middle + 0.5 * (x2 - x0) * rise / (rise - fall)
    return np.asarray(np.where(np.isfinite(out), out, x1))
