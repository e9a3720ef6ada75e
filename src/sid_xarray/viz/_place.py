"""Where the pixels of an image are: orientation, units, aspect, cells, and how many of them a screen can show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sid_xarray.schema.units import convert_factor
from sid_xarray.viz import _scalebar, _style
from sid_xarray.viz._axes import Axis, share_scale
from sid_xarray.viz._labels import distinct, unit_text

__all__ = ["Frame", "Placed", "factors", "geometry", "place", "shared"]

_CELLS = 200_000
_LONGEST = 6.0  # beyond this ratio of sides equal aspect would leave a line
_NARROW = 4.0  # beyond this height over width a scale bar does not fit


@dataclass(frozen=True)
class Frame:
    """Values with rows along ``y`` and columns along ``x``, in the order of storage.

    With ``settled``, the units of values stay as they are.
    """

    values: np.ndarray
    x: Axis
    y: Axis
    quantity: str
    units: str
    settled: bool = False


@dataclass(frozen=True)
class Placed:
    """Values as they go to the screen: both axes ascend, in units that are easy to read.

    Attributes
    ----------
    values : ndarray
        Row 0 has the smallest y; large images are averaged in blocks.
    x, y : Axis
        Positions of columns and rows.
    bounds : tuple of float
        Left, low, right, high: the edges of the outer pixels.
    kdims, vdim
        Dimensions of holoviews.
    inverted : bool
        Whether y runs downwards, so that the first row of the array is on top.
    same : bool
        Whether one length is the same on both axes.
    uneven : bool
        Whether positions are not evenly spaced.
    """

    values: np.ndarray
    x: Axis
    y: Axis
    bounds: tuple[float, float, float, float]
    kdims: list[Any]
    vdim: Any
    inverted: bool
    same: bool
    uneven: bool

    @property
    def breaks(self) -> tuple[np.ndarray, np.ndarray]:
        """The edges of all pixels, along x and y."""
        widths = _cell(self.x, self.y)
        return _breaks(self.x, widths[0]), _breaks(self.y, widths[1])

    def size(self, longest: int) -> tuple[int, int]:
        """Return width and height in screen pixels, of which the larger is ``longest``."""
        shape = self.shape
        return (longest, round(longest * shape)) if shape <= 1 else (round(longest / shape), longest)

    @property
    def equal(self) -> bool:
        """Whether the picture has equal aspect."""
        return self.same and 1 / _LONGEST <= self._ratio <= _LONGEST

    @property
    def shape(self) -> float:
        """Height over width of the picture."""
        return self._ratio if self.equal else min(max(self._ratio, 0.4), 1.5) if self.same else 0.8

    @property
    def _ratio(self) -> float:
        left, low, right, high = self.bounds
        return (high - low) / (right - left)


def shared(frame: Frame, prefix: bool) -> tuple[Axis, Axis, bool]:
    """Return both axes as they are drawn, and whether they measure the same."""
    x, y = (a if a.monotonic else a.as_index() for a in (frame.x, frame.y))
    return share_scale(x, y, prefix=prefix)


def factors(frame: Frame, prefix: bool) -> tuple[float, float]:
    """Return what takes positions along x and y, in the units of the data, to those of the picture."""
    x, y, _ = shared(frame, prefix)
    pairs = ((frame.x, x), (frame.y, y))
    return tuple(1.0 if a.units == b.units else convert_factor(a.units, b.units) for a, b in pairs)  # type: ignore[return-value]


def place(
    values: np.ndarray,
    frame: Frame,
    units: str,
    *,
    prefix: bool = True,
    max_pixels: int = 2_000_000,
    pick: bool = False,
) -> Placed:
    """Bring the values of a frame, real or complex, to their places.

    Parameters
    ----------
    values : ndarray
        What is drawn, on the axes of ``frame``.
    frame : Frame
    units : str
        Of the values.
    prefix : bool
        Choose readable prefixes for the axes.
    max_pixels : int
        Of more, blocks are averaged.
    pick : bool
        Take one pixel of a block instead: an average of phases would be wrong where they wrap.
    """
    x, y, same = shared(frame, prefix)
    inverted = y.ascends  # then row 0, which has the smallest y, is on top
    if not x.ascends:
        x, values = _flip(x), values[:, ::-1]
    if not y.ascends:
        y, values = _flip(y), values[::-1]
    values, x, y = _coarse(values, x, y, max_pixels, pick)
    named = distinct([(str(x.dim), x.label), (str(y.dim), y.label), ("value", frame.quantity)])
    hv = _style.ready()
    said = (x.units, y.units, units)
    *kdims, vdim = (hv.Dimension(pair, unit=unit_text(u) or None) for pair, u in zip(named, said, strict=True))
    widths = _cell(x, y)
    left, right, low, high = *_edges(x, widths[0]), *_edges(y, widths[1])
    uneven = any(a.step is None and a.values.size > 1 for a in (x, y))
    if uneven and values.size > _CELLS:  # a mesh of that many cells is not drawn in reasonable time
        values, uneven = _resampled(values, x, y), False
    return Placed(values, x, y, (left, low, right, high), kdims, vdim, inverted, same, uneven)


def geometry(
    placed: Placed, *, size: int, title: str = "", scalebar: bool = True
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return options of a picture in both backends, in bokeh, in matplotlib: its size, aspect, title, scale bar."""
    width, height = placed.size(size)
    shape = placed.shape
    wide = 4.0 * min(1.0, 1 / shape)
    both = {"invert_yaxis": placed.inverted, "title": _style.wrapped(title, width)}
    bokeh: dict[str, Any] = {"frame_width": width, "frame_height": height, "toolbar": "above"}
    mpl: dict[str, Any] = {
        "aspect": "equal" if placed.equal else 1 / shape,
        "fig_inches": (wide + 1.4, wide * shape + 0.8),
    }
    if placed.equal:
        bokeh["data_aspect"] = 1
    if width < 160:
        bokeh["xticks"], mpl["xticks"] = 3, 2  # more labels would run into each other
    if shape > 3 and placed.x.values.size:
        mpl["xticks"] = [float(placed.x.values[placed.x.values.size // 2])]
    bokeh["hooks"], mpl["hooks"] = [], []
    # One bar tells lengths along both axes only where their scale is the same, and needs room for its text.
    if scalebar and placed.equal and shape <= _NARROW and unit_text(placed.x.units):
        bokeh["hooks"] = [_scalebar.hook("bokeh", placed.x.units)]
        mpl["hooks"] = [_scalebar.hook("matplotlib", placed.x.units)]
    return both, bokeh, mpl


def _flip(axis: Axis) -> Axis:
    return replace(axis, values=axis.values[::-1], step=None if axis.step is None else -axis.step)


def _cell(x: Axis, y: Axis) -> tuple[float, float]:
    """Return the size of a pixel; a single row or column is as wide as the pixels are long."""
    steps = [abs(a.values[-1] - a.values[0]) / (a.values.size - 1) if a.values.size > 1 else 0.0 for a in (x, y)]
    return steps[0] or steps[1] or 1.0, steps[1] or steps[0] or 1.0


def _edges(axis: Axis, cell: float) -> tuple[float, float]:
    if axis.step is not None or axis.values.size == 1:
        return float(axis.values[0] - cell / 2), float(axis.values[-1] + cell / 2)
    breaks = _breaks(axis, cell)
    return float(breaks[0]), float(breaks[-1])


def _breaks(axis: Axis, cell: float) -> np.ndarray:
    v = axis.values
    if v.size == 1:
        return np.array([v[0] - cell / 2, v[0] + cell / 2])
    middle = (v[1:] + v[:-1]) / 2
    return np.concatenate([[v[0] - (middle[0] - v[0])], middle, [v[-1] + (v[-1] - middle[-1])]])


def _resampled(values: np.ndarray, x: Axis, y: Axis) -> np.ndarray:
    """Return the nearest value at every point of an even grid over the same span."""
    where = []
    for axis, cell in zip((x, y), _cell(x, y), strict=True):
        lo, hi = _edges(axis, cell)
        n = axis.values.size
        grid = lo + (np.arange(n) + 0.5) * (hi - lo) / n
        where.append(np.clip(np.searchsorted(_breaks(axis, cell), grid, side="right") - 1, 0, n - 1))
    return values[np.ix_(where[1], where[0])]


def _coarse(values: np.ndarray, x: Axis, y: Axis, most: int, pick: bool) -> tuple[np.ndarray, Axis, Axis]:
    """Average blocks of pixels of an image that is larger than any screen; the extent stays."""
    if values.size <= most or x.step is None or y.step is None:
        return values, x, y
    n = int(np.ceil(np.sqrt(values.size / most)))
    rows, columns = values.shape[0] // n, values.shape[1] // n
    if rows == 0 or columns == 0:
        return values, x, y
    blocks = values[: rows * n, : columns * n].reshape(rows, n, columns, n)
    if pick:
        small = blocks[:, n // 2, :, n // 2]
    else:
        valid = np.isfinite(blocks)
        count = valid.sum(axis=(1, 3))
        wide = np.result_type(values.dtype, np.float64)
        total = np.where(valid, blocks, 0).sum(axis=(1, 3), dtype=wide)
        small = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
    return small, _blocked(x, columns, n), _blocked(y, rows, n)


def _blocked(axis: Axis, count: int, n: int) -> Axis:
    step = (axis.step or 1.0) * n
    return replace(axis, values=axis.values[0] + (axis.step or 1.0) * (n - 1) / 2 + np.arange(count) * step, step=step)
