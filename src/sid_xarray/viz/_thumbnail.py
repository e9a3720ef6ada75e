"""Pictures the size of a stamp, made with numpy alone, of small data in memory only."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import xarray as xr

from sid_xarray._arrays import is_foreign
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import data_kind, describe
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._style import displayable, limits

__all__ = ["png", "thumbnail"]

_SIDE = 96
_VALUES = 16_000_000


def thumbnail(da: xr.DataArray) -> str:
    """Return an ``<img>`` or ``<svg>`` of an array, or nothing if that would read a file or take long."""
    if (
        is_lazy(da)
        or is_foreign(da.variable._data)
        or da.size == 0
        or da.size > _VALUES
        or da.ndim == 0
        or da.dtype.kind not in "biufc"
    ):
        return ""
    kind = data_kind(da)
    if da.ndim == 1 or kind in ("line_profiles", "point_cloud"):
        return _curve(da)
    if sum(t in ("spatial", "reciprocal", "unknown") for t in describe(da).values()) < 2:
        return ""
    return _image(da, "spatial" if kind == "spectral_image" else "reciprocal")


def _image(da: xr.DataArray, prefer: str) -> str:
    x, y = map_dims(da, prefer=(prefer, "spatial"))
    rest = {dim: da.sizes[dim] // 2 for dim in da.dims if dim not in (x, y)}
    plane = da.isel(rest).transpose(y, x).values
    if not axis_of(da, x).ascends:  # row 0 is on top whichever way y runs; x runs to the right
        plane = plane[:, ::-1]
    n = max(1, -(-max(plane.shape) // _SIDE))
    plane = displayable(np.abs(plane[::n, ::n]) if plane.dtype.kind == "c" else plane[::n, ::n])
    if min(plane.shape) * 12 < max(plane.shape):
        plane = np.repeat(plane, 8, axis=int(plane.shape[0] > plane.shape[1]))
    lo, hi = limits(plane, (0.5, 99.5))
    grey = np.clip((np.nan_to_num(plane, nan=lo).astype(float) - lo) / (hi - lo), 0, 1)
    data = base64.b64encode(png((grey * 255).astype(np.uint8))).decode()
    height, width = plane.shape
    scale = _SIDE / max(height, width)
    return (
        f'<img alt="" width="{max(1, round(width * scale))}" height="{max(1, round(height * scale))}" '
        f'style="image-rendering:pixelated" src="data:image/png;base64,{data}">'
    )


def png(grey: np.ndarray) -> bytes:
    """Return 8-bit grey values as a PNG file."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(grey))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")


def _curve(da: xr.DataArray) -> str:
    along = next((d for d, t in reversed(describe(da).items()) if t == "spectral"), da.dims[-1])
    values = da.transpose(..., along).values.reshape(-1, da.sizes[along])
    values = values[np.unique(np.linspace(0, len(values) - 1, min(5, len(values))).astype(int))]
    values = displayable(np.abs(values) if values.dtype.kind == "c" else values)
    n = max(1, values.shape[1] // 160)
    x, values = axis_of(da, along).values[::n], values[:, ::n]
    lo, hi = limits(values, (0, 100))
    left, width = float(x.min()), float(np.ptp(x)) or 1.0
    lines = []
    for row in values:
        good = np.isfinite(row)
        pairs = zip((x[good] - left) / width * 92 + 2, 46 - (row[good] - lo) / (hi - lo) * 42, strict=True)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in pairs)
        lines.append(f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1"/>')
    return f'<svg width="{_SIDE}" height="48" viewBox="0 0 96 48" role="img">{"".join(lines)}</svg>'
