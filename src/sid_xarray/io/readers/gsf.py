"""Gwyddion Simple Field (``.gsf``): a header of text, then little-endian floats, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read"]

_MAGIC = b"Gwyddion Simple Field 1.0\n"
_MAX_HEADER = 2**20


def read(source: Source) -> Iterator[Signal]:
    """Read the one image of the file over (y, x).

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy. y runs down, as in Gwyddion.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    head = source.read(0, min(source.size, _MAX_HEADER))
    if not head.startswith(_MAGIC):
        raise source.error("does not start as a Gwyddion Simple Field")
    end = head.find(b"\0")
    if end < 0:
        raise source.error("has no end of the header (a zero byte)")
    fields: dict[str, str] = {}
    for line in head[len(_MAGIC) : end].decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        fields[key.strip()] = value.strip()
    try:
        nx, ny = int(fields["XRes"]), int(fields["YRes"])
    except (KeyError, ValueError):
        raise source.error("needs XRes and YRes, whole numbers", "header") from None
    if min(nx, ny) < 1:
        raise source.error(f"says that it has {nx} × {ny} pixels", "header")
    width, height = (_number(fields.get(key), 1.0) for key in ("XReal", "YReal"))
    left, top = (_number(fields.get(key), 0.0) for key in ("XOffset", "YOffset"))
    units = fields.get("XYUnits") or "1"
    data = source.array("<f4", (ny, nx), start=end + 4 - end % 4, where=fields.get("Title", ""))
    axes = [
        axis("y", ny, height / ny, top + height / ny / 2, units=units, kind="spatial"),
        axis("x", nx, width / nx, left + width / nx / 2, units=units, kind="spatial"),
    ]
    title = fields.get("Title") or "height"
    metadata = {
        "instrument/software": "Gwyddion",
        "acquisition/scan_size_x": (width, units),
        "acquisition/scan_size_y": (height, units),
    }
    yield Signal(title, data, axes, fields.get("ZUnits") or "1", modality="SPM", metadata=metadata, original=fields)


def _number(text: str | None, otherwise: float) -> float:
    try:
        value = float(text) if text is not None else otherwise
    except ValueError:
        return otherwise
    return value if math.isfinite(value) else otherwise
