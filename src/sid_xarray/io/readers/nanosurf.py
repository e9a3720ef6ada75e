"""Nanosurf (``.nid``), by NSFopen: images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers import _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

_MAX_HEADER = 2**20


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file starts with the list of data sets of Nanosurf."""
    return head.startswith(b"[DataSet]") and b"DataSet-Info" in head


def read(source: Source) -> Iterator[Signal]:
    """Read every channel, forward and backward, over (y, x). Row 0 is the top, though files start at the bottom.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        In memory.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    from NSFopen.read import nid_read

    _guard(source)
    with source.on_disk() as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about how the library uses it
        file = nid_read(path, verbose=False)
    dump = {str(k): dict(v) for k, v in file.param["HeaderDump"].items()}
    count = 0
    for key, values in file.data.items():
        kind, direction, name = (str(part) for part in key)
        grid = np.asarray(values, dtype=np.float64) if kind == "Image" else None
        if grid is None or grid.ndim != 2 or not grid.size:
            continue
        said = _section(dump, name, direction, grid.shape)
        count += 1
        yield _image(grid, name, direction.lower(), said, dump)
    if not count:
        raise source.error("holds no images")


def _guard(source: Source) -> None:
    """Make sure that all values are there that the header lists."""
    head = source.read(0, min(source.size, _MAX_HEADER))
    mark = head.find(b"#!")
    if mark < 0:
        raise source.error("has no mark before its values (#!). It is cut off right after the header")
    total = 0
    for part in re.split(rb"\r?\n\[DataSet-(?=\d+:\d+\])", head[:mark])[1:]:
        fields = dict(re.findall(rb"(?m)^(Points|Lines|SaveBits)=(\d{1,7})", part))
        if len(fields) == 3:
            total += int(fields[b"Points"]) * int(fields[b"Lines"]) * int(fields[b"SaveBits"]) // 8
    source.check(mark + 2, total, "values")


def _section(dump: dict[str, dict[str, str]], name: str, direction: str, shape: tuple[int, ...]) -> dict[str, str]:
    for key, section in dump.items():
        is_channel = re.match(r"DataSet-\d+:\d+$", key) and section.get("Dim2Name") == name
        if is_channel and direction.lower() in section.get("Frame", "").lower():
            return section
    return {}


def _float(section: dict[str, str], key: str, otherwise: float) -> float:
    try:
        return float(section[key])
    except (KeyError, ValueError):
        return otherwise


def _unit(text: str) -> str:
    # The header is Latin-1 in UTF-8 clothes now and then.
    return _units.normalise(text.replace("Â", "").strip() or "1").canonical


def _image(
    grid: np.ndarray[Any, Any], name: str, word: str, said: dict[str, str], dump: dict[str, dict[str, str]]
) -> Signal:
    ny, nx = grid.shape
    width, height = _float(said, "Dim0Range", nx), _float(said, "Dim1Range", ny)
    left, bottom = _float(said, "Dim0Min", 0.0), _float(said, "Dim1Min", 0.0)
    units = [_unit(said.get(f"Dim{i}Unit", "")) for i in range(3)]
    axes = [
        axis("y", ny, -height / ny, bottom + height - height / ny / 2, units=units[1], kind="spatial"),
        axis("x", nx, width / nx, left + width / nx / 2, units=units[0], kind="spatial"),
    ]
    info = dump.get("DataSet-Info", {})
    metadata = _metadata(info) | {
        "acquisition/line_direction": word,
        "acquisition/scan_size_x": (width, units[0]),
        "acquisition/scan_size_y": (height, units[1]),
    }
    return Signal(f"{name}_{word}", grid[::-1], axes, units[2], quantity=name, modality="SPM", metadata=metadata,
                  original=dump)  # fmt: skip


def _metadata(info: dict[str, str]) -> dict[str, Any]:
    def sized(key: str) -> Any:
        found = _text.quantity(info.get(key))
        return None if found is None else (found[0], _unit(found[1]))

    setpoint, direction = sized("Setpoint"), info.get("Scan direction", "").lower()
    return {
        "instrument/vendor": "Nanosurf",
        "instrument/technique": info.get("Op. mode"),
        "acquisition/start_time": _text.moment(f"{info.get('Date')} {info.get('Time')}", "%d-%m-%Y %H:%M:%S"),
        "acquisition/scan_direction": direction if direction in ("up", "down") else None,
        "acquisition/line_time": sized("Time/Line"),
        "acquisition/scan_angle": sized("Rotation"),
        "acquisition/scan_center_x": sized("X-Pos"),
        "acquisition/scan_center_y": sized("Y-Pos"),
        "probe/bias": sized("Tip voltage"),
        "probe/setpoint": None if setpoint is None else setpoint[0],
        "probe/setpoint_units": None if setpoint is None else setpoint[1],
    }
