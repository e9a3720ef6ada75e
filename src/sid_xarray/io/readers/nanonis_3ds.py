"""Nanonis grid spectroscopy (``.3ds``): a curve of every channel at every point of a grid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers import _nanonis, _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read"]

_END = b":HEADER_END:"
_MAX_HEADER = 4 * 2**20


def read(source: Source, *, incomplete: bool = False) -> Iterator[Signal]:
    """Read the curves over (y, x, sweep) and the numbers that were kept for every point over (y, x).

    Row 0 is the top of the grid, although the program measures from the bottom.

    Parameters
    ----------
    source : Source
    incomplete : bool, default: False
        Take the lines that are complete in a file that is too short.

    Yields
    ------
    Signal
        Lazy.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    header, start = _header(source)
    nx, ny = _grid(source, header)
    points, count = _whole(source, header, "Points"), _whole(source, header, "# Parameters (4 byte)")
    channels = _list(header, "Channels")
    fixed, per_point = _list(header, "Fixed parameters"), _list(header, "Experiment parameters")
    if not channels or min(nx, ny, points) < 1 or not 0 <= count <= 10_000:
        raise source.error(f"has {len(channels)} channels of {points} points, {count} parameters on {nx} × {ny} points")
    parameters = (fixed + per_point)[:count]
    record = 4 * (count + points * len(channels))
    if source.size < start + record * nx * ny:
        done = (source.size - start) // (record * nx)
        if not (incomplete and done > 0):
            hint = f". incomplete=True reads the {done} lines that are complete" if done > 0 and not incomplete else ""
            needed = start + record * nx * ny
            raise source.error(f"should have {needed} bytes, has {source.size}: the grid is not complete{hint}")
        full, ny = ny, int(done)
    else:
        full = ny
    settings = _settings(source, header)
    y, x = _axes(settings, nx, ny, full)
    first = dict(zip(parameters, source.numbers(">f4", count, start=start), strict=False))
    sweep = _sweep(header, first, points)
    metadata, original = _metadata(header, settings, first), _nanonis.nested(header)
    top = start + record * nx * (ny - 1)
    kept: dict[str, Any] = {"metadata": metadata, "original": original, "group": "grid", "modality": "SPM"}
    for i, channel in enumerate(channels):
        name, units = _text.split_unit(channel.replace("[bwd]", ""))
        word = "_backward" if "[bwd]" in channel else ""
        values = source.array(
            ">f4",
            (ny, nx, points),
            start=top + 4 * (count + i * points),
            strides=(-record * nx, record, 4),
            where=channel,
        )
        yield Signal(f"{' '.join(name.split())}{word}", values, [y, x, sweep], units, quantity=name, **kept)
    for i, parameter in enumerate(parameters):
        if parameter in ("Sweep Start", "Sweep End"):
            continue
        name, units = _text.split_unit(parameter)
        values = source.array(">f4", (ny, nx), start=top + 4 * i, strides=(-record * nx, record), where=parameter)
        yield Signal(name, values, [y, x], units, **kept)


def _header(source: Source) -> tuple[dict[str, str], int]:
    head = source.read(0, min(source.size, _MAX_HEADER))
    end = head.find(_END)
    if end < 0:
        raise source.error("has no end of the header (:HEADER_END:). It is cut off, or no Nanonis grid")
    out: dict[str, str] = {}
    for line in head[:end].decode("latin-1").splitlines():
        key, mark, value = line.partition("=")
        if mark:
            out[key.strip()] = value.strip().strip('"')
    start = end + len(_END)
    return out, start + (2 if head[start : start + 2] == b"\r\n" else 1)


def _list(header: dict[str, str], key: str) -> list[str]:
    return [part.strip() for part in header.get(key, "").split(";") if part.strip()]


def _whole(source: Source, header: dict[str, str], key: str) -> int:
    try:
        return int(header[key])
    except (KeyError, ValueError):
        raise source.error(f"should be a whole number, found {header.get(key)!r}", key) from None


def _grid(source: Source, header: dict[str, str]) -> tuple[int, int]:
    found = re.match(r"\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$", header.get("Grid dim", ""))
    if found is None:
        raise source.error(f"should look like '30 x 30', found {header.get('Grid dim')!r}", "Grid dim")
    return int(found[1]), int(found[2])


def _settings(source: Source, header: dict[str, str]) -> list[float]:
    try:
        found = [float(part) for part in header["Grid settings"].split(";")]
    except (KeyError, ValueError):
        found = []
    if len(found) < 4 or not all(np.isfinite(found)):
        raise source.error(f"should be five numbers, found {header.get('Grid settings')!r}", "Grid settings")
    return [*found[:5], 0.0][:5]


def _axes(settings: list[float], nx: int, ny: int, full: int) -> tuple[xr.Variable, xr.Variable]:
    """Return y and x in the frame of the grid, which is turned about its centre.

    The first point lies in the corner and the step is size / count: so say the positions that real files keep.
    """
    cx, cy, width, height, _ = settings
    step_y = height / full
    y = axis("y", ny, -step_y, cy - height / 2 + step_y * (ny - 1), units="m", kind="spatial")
    return y, axis("x", nx, width / nx, cx - width / 2, units="m", kind="spatial")


def _sweep(header: dict[str, str], first: dict[str, Any], points: int) -> xr.Variable:
    name, units = _text.split_unit(header.get("Sweep Signal", "") or "sweep")
    dim = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "sweep"
    if dim in ("x", "y"):
        dim = f"{dim}_sweep"
    begin, end = (float(first.get(key, np.nan)) for key in ("Sweep Start", "Sweep End"))
    if not (np.isfinite(begin) and np.isfinite(end)):
        return axis(dim, points, label=name, kind="spectral")
    return axis(dim, points, np.linspace(begin, end, points), units=units, label=name, kind="spectral")


def _metadata(header: dict[str, str], settings: list[float], first: dict[str, Any]) -> dict[str, Any]:
    cx, cy, width, height, angle = settings
    date, _, time = header.get("Start time", header.get("Date", "")).partition(" ")
    held = first.get("Z-Ctrl hold")
    return {
        **_nanonis.common(header),
        "instrument/technique": "STS",
        "acquisition/start_time": _nanonis.start_time(date, time),
        "acquisition/operator": header.get("User"),
        "acquisition/comment": header.get("Comment"),
        "acquisition/scan_angle": -angle + 0.0,  # the program counts clockwise
        "acquisition/scan_size_x": width,
        "acquisition/scan_size_y": height,
        "acquisition/scan_center_x": cx,
        "acquisition/scan_center_y": cy,
        "acquisition/settling_time": first.get("Settling time (s)"),
        "acquisition/dwell_time": first.get("Integration time (s)"),
        "acquisition/feedback": None if held is None else "off" if held else "on",
    }
