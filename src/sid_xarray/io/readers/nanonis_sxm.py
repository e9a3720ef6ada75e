"""Nanonis scans (``.sxm``): a header of text, then big-endian floats, channel after channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sid_xarray.io.readers import _nanonis
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read"]

_END = b":SCANIT_END:"
_MAX_HEADER = 4 * 2**20


def read(source: Source) -> Iterator[Signal]:
    """Read every channel, forward and backward, on one grid.

    Row 0 is the top, whichever line was scanned first; backward lines are turned round, so that a feature lies in
    the same place in both.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy; ``Z_forward``, ``Z_backward`` … over (y, x).

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    header, start = _header(source)
    nx, ny = (int(n) for n in _two(source, header, "SCAN_PIXELS"))
    if min(nx, ny) < 1:
        raise source.error(f"says that the scan has {nx} × {ny} pixels", "SCAN_PIXELS")
    size, center = _two(source, header, "SCAN_RANGE"), _two(source, header, "SCAN_OFFSET")
    kind, _, order = header.get("SCANIT_TYPE", "FLOAT MSBFIRST").partition(" ")
    if kind != "FLOAT":
        raise source.error(f"has values of type {kind!r}, this reader knows FLOAT", "SCANIT_TYPE")
    dtype = "<f4" if order.strip() == "LSBFIRST" else ">f4"
    up = header.get("SCAN_DIR", "down").strip().lower() == "up"
    # Pixels are cells of the frame: their centres are half a step inside. y descends: row 0 is the top.
    axes = [
        axis("y", ny, -size[1] / ny, center[1] + size[1] / 2 - size[1] / ny / 2, units="m", kind="spatial"),
        axis("x", nx, size[0] / nx, center[0] - size[0] / 2 + size[0] / nx / 2, units="m", kind="spatial"),
    ]
    original = _nanonis.nested(header)
    metadata = _metadata(header, size, center, up)
    plane, here = 4 * nx * ny, start
    for name, unit, both in _channels(source, header):
        for word in ("forward", "backward") if both else ("forward",):
            last = nx - 1 if word == "backward" else 0
            yield Signal(
                f"{name}_{word}",
                source.array(
                    dtype,
                    (ny, nx),
                    start=here + 4 * ((ny - 1) * nx if up else 0) + 4 * last,
                    strides=(-4 * nx if up else 4 * nx, -4 if last else 4),
                    where=f"{name} {word}",
                ),
                axes,
                unit,
                quantity=name,
                modality="SPM",
                metadata={**metadata, "acquisition/line_direction": word},
                original=original,
            )
            here += plane


def _header(source: Source) -> tuple[dict[str, str], int]:
    head = source.read(0, min(source.size, _MAX_HEADER))
    end = head.find(_END)
    if end < 0:
        raise source.error("has no end of the header (:SCANIT_END:). It is cut off, or no Nanonis scan")
    start = head.find(b"\x1a\x04", end)
    if start < 0 or start > end + 64:
        raise source.error("has no mark before its values. It is cut off right after the header")
    out: dict[str, str] = {}
    key = ""
    for line in head[:end].decode("latin-1").splitlines():
        if line.startswith(":") and line.rstrip().endswith(":") and len(line) > 2:
            key = line.strip()[1:-1]
            out[key] = ""
        elif key:
            out[key] += ("\n" if out[key] else "") + line
    # Single values without the blanks that pad them; tables keep their tabs.
    tables = ("DATA_INFO", "Z-CONTROLLER", "COMMENT")
    return {k: v if k in tables else " ".join(v.split()) for k, v in out.items()}, start + 2


def _two(source: Source, header: dict[str, str], key: str) -> tuple[float, float]:
    try:
        first, second = (float(word) for word in header[key].split()[:2])
    except (KeyError, ValueError):
        raise source.error(f"should be two numbers, found {header.get(key)!r}", key) from None
    if not abs(first) + abs(second) < 1e9:
        raise source.error(f"makes no sense: {header[key]!r}", key)
    return first, second


def _channels(source: Source, header: dict[str, str]) -> list[tuple[str, str, bool]]:
    rows = [line.strip().split("\t") for line in header.get("DATA_INFO", "").splitlines() if line.strip()]
    found = [(row[1], row[2], row[3].strip() == "both") for row in rows[1:] if len(row) >= 4]
    if not found:
        raise source.error("lists no channels", "DATA_INFO")
    return found


def _metadata(
    header: dict[str, str], size: tuple[float, float], center: tuple[float, float], up: bool
) -> dict[str, Any]:
    angle = _nanonis.number(header.get("SCAN_ANGLE"))
    return {
        **_nanonis.common(header),
        "instrument/technique": "SPM",
        "acquisition/start_time": _nanonis.start_time(header.get("REC_DATE", ""), header.get("REC_TIME", "")),
        "acquisition/duration": _nanonis.number(header.get("ACQ_TIME")),
        "acquisition/comment": header.get("COMMENT"),
        "acquisition/scan_direction": "up" if up else "down",
        # The program counts clockwise, as the positions of the points of a turned grid (.3ds) show.
        "acquisition/scan_angle": None if angle is None else -angle + 0.0,
        "acquisition/scan_size_x": size[0],
        "acquisition/scan_size_y": size[1],
        "acquisition/scan_center_x": center[0],
        "acquisition/scan_center_y": center[1],
        "acquisition/line_time": _nanonis.number(header.get("SCAN_TIME")),
        "probe/bias": _nanonis.number(header.get("BIAS")),
        "sample/temperature": _nanonis.number(header.get("REC_TEMP")),
    }
