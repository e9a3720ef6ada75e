"""Igor binary waves (``.ibw``) and packed experiments (``.pxp``), by igor2: Asylum, Omicron and plain waves."""

from __future__ import annotations

import datetime as dt
import io
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers._text import moment
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "read_packed", "sniff", "sniff_packed"]

_VERSIONS = {1: 8, 2: 16, 3: 20, 5: 64}
"""Version of the header of a wave and how long it is."""
_WAVE_HEADERS = {1: 110, 2: 110, 3: 110, 5: 320}
_MAX_RECORDS = 100_000
# What the channels of an Asylum image are measured in; the wave itself knows the units of its first layer only.
_CHANNELS = (
    (r"Height|ZSnsr|ZSensor|Raw|LVDT", "m"),
    (r"Amplitude|Defl", "m"),
    (r"Phase", "degree"),
    (r"Frequency", "Hz"),
    (r"Current", "A"),
    (r"Lateral|UserIn|Potential|Bias|BackPack|Input|Drive", "V"),
)


def _head(raw: bytes) -> tuple[int, str]:
    """Return version and byte order of a wave; version 0 if it is none."""
    if len(raw) < 2:
        return 0, "<"
    order = "<" if raw[0] else ">"
    return struct.unpack(f"{order}h", raw[:2])[0], order


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file is one wave: a version that is known, sizes that make sense."""
    version, order = _head(head)
    if version not in _VERSIONS or len(head) < 126 or not path.lower().endswith((".ibw", ".bwav")):
        return False
    return _sizes(head, version, order) is not None


def sniff_packed(head: bytes, path: str) -> bool:
    """Tell whether a file is a packed experiment: a chain of records of kinds that are known."""
    if not path.lower().endswith((".pxp", ".pxt")):
        return False
    return len(head) >= 8 and (head[0] & 0x7F) < 32


def _sizes(raw: bytes, version: int, order: str) -> tuple[int, int, int] | None:
    """Return number of points, bytes of one, and bytes that the wave takes by its own account."""
    start = _VERSIONS[version]
    if len(raw) < start + 110:
        return None
    if version == 5:
        (wave,) = struct.unpack(f"{order}i", raw[4:8])
        points, kind = struct.unpack(f"{order}ih", raw[start + 12 : start + 18])
    else:
        (wave,) = struct.unpack(f"{order}i", raw[2:6])
        (kind,) = struct.unpack(f"{order}h", raw[start : start + 2])
        (points,) = struct.unpack(f"{order}i", raw[start + 42 : start + 46])
    width = {0: 1, 2: 4, 4: 8, 8: 1, 16: 2, 32: 4}.get(kind & ~0x41)
    if width is None or points < 0 or wave < 0:
        return None
    return points, width * (2 if kind & 1 else 1), wave


def _guard(source: Source, start: int, size: int, where: str) -> None:
    """Make sure that a wave lies in what is there, before a library makes room for what it declares."""
    raw = source.read(start, min(512, size), where)
    version, order = _head(raw)
    if version not in _VERSIONS:
        raise source.error(f"is a wave of version {version}; known are {', '.join(map(str, _VERSIONS))}", where)
    found = _sizes(raw, version, order)
    if found is None:
        raise source.error("has a damaged header of a wave", where)
    points, width, wave = found
    needed = _VERSIONS[version] + _WAVE_HEADERS[version] + points * width
    if needed > size or wave > size:
        raise source.error(f"declares {points} points of {width} bytes, there are {size} bytes. It is cut off", where)
    if version == 5:
        dims = struct.unpack(f"{order}4i", raw[_VERSIONS[5] + 68 : _VERSIONS[5] + 84])
        count = 1
        for n in dims:
            if n < 0:
                raise source.error(f"has the sizes {dims}", where)
            count *= n or 1
        if count != points and points:
            raise source.error(f"has the sizes {dims} and {points} points", where)
        extras = struct.unpack(f"{order}12i", raw[8:56])
        if any(not 0 <= n <= size for n in extras[:2]) or any(not -1 <= n <= size for n in extras[2:11]):
            raise source.error("has a damaged header of a wave", where)


def read(source: Source) -> Iterator[Signal]:
    """Read one wave.

    Layers with labels are channels of an image over (y, x), row 0 on top. Columns with labels are channels of a curve.
    Other waves keep their dimensions, which Igor counts from the fastest.

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
        If the wave is damaged or cut off.
    """
    from igor2 import binarywave

    _guard(source, 0, source.size, "wave")
    raw = source.read(0, source.size)
    wave = binarywave.load(io.BytesIO(raw))
    yield from _signals(wave, source, raw, source.name.rpartition(".")[0], "")


def read_packed(source: Source) -> Iterator[Signal]:
    """Read the waves of a packed experiment; every folder is a group.

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
        If a record is damaged or the file is cut off.
    """
    from igor2 import packed

    _guard_records(source)
    _, root = packed.load(io.BytesIO(source.read(0, source.size)))
    yield from _folder(root, source, ())


def _guard_records(source: Source) -> None:
    here, count = 0, 0
    order = "<" if source.size < 2 or source.read(0, 1)[0] & 0x7F or source.read(1, 1)[0] == 0 else ">"
    while here < source.size:
        kind, _, size = struct.unpack(f"{order}Hhi", source.read(here, 8, "record"))
        count += 1
        if size < 0 or here + 8 + size > source.size or count > _MAX_RECORDS:
            said = f"declares {size} bytes, there are {source.size - here - 8}"
            raise source.error(f"{said}. It is cut off, or damaged", f"record {count}")
        if kind & 0x7FFF == 3:
            _guard(source, here + 8, size, f"record {count}")
        here += 8 + size


def _folder(folder: dict[Any, Any], source: Source, path: tuple[str, ...]) -> Iterator[Signal]:
    for key, value in folder.items():
        name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        if isinstance(value, dict):
            yield from _folder(value, source, (*path, name))
        elif hasattr(value, "wave"):
            group = "/".join(p for p in path if p != "root") or "root"
            yield from _signals(value.wave, source, b"", name, group)


def _signals(wave: dict[str, Any], source: Source, raw: bytes, name: str, group: str) -> Iterator[Signal]:
    inner = wave["wave"]
    header, values = inner["wave_header"], inner["wData"]
    if values is None or np.asarray(values).dtype.kind not in "biufc":
        return
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    dims = [_dimension(header, i, n) for i, n in enumerate(values.shape)]
    units = _text(inner.get("data_units")) or _first(header.get("dataUnits"))
    note = _text(inner.get("note"))
    original = _note(note) or ({"note": note} if note else {})
    labels = _labels(inner, raw, values.shape)
    kept: dict[str, Any] = {
        "group": group,
        "metadata": _metadata(original, header),
        "original": original,
        "modality": "SPM" if "ScanSize" in original or "SpringConstant" in original else None,
    }
    is_map = [one.attrs["units"] == "m" for one in dims]
    base = _units.normalise(units or "1").canonical
    if values.ndim == 3 and all(is_map[:2]) and len(labels[2]) == values.shape[2]:
        for i, label in enumerate(labels[2]):
            yield Signal(label, values[:, ::-1, i].T, _plane(dims), _of_channel(label, base, i), **kept)
    elif values.ndim == 2 and len(labels[1]) == values.shape[1]:
        for i, label in enumerate(labels[1]):
            yield Signal(label, values[:, i], [_renamed(dims[0])], _of_channel(label, base, i), **kept)
    elif values.ndim >= 2 and all(is_map[:2]):
        # x is fast in Igor, y comes next, and y points up.
        turned = values[:, ::-1].transpose(1, 0, *range(2, values.ndim))
        yield Signal(name, turned, [*_plane(dims), *(_renamed(d) for d in dims[2:])], base, **kept)
    else:
        yield Signal(name, values.transpose(), [_renamed(d) for d in reversed(dims)], base, **kept)


def _plane(dims: list[xr.Variable]) -> list[xr.Variable]:
    x, y = dims[0], dims[1]
    return [
        axis("y", len(y), y.values[::-1], units="m", kind="spatial"),
        axis("x", len(x), x.values, units="m", kind="spatial"),
    ]


def _dimension(header: dict[str, Any], i: int, size: int) -> xr.Variable:
    if "sfA" in header:
        step, start = float(header["sfA"][i]), float(header["sfB"][i])
        units = b"".join(header["dimUnits"][i]).decode("latin-1")
    else:
        step, start = float(header["hsA"]), float(header["hsB"])
        units = _first(header.get("xUnits"))
    canonical = _units.normalise(units.strip("\0 ") or "1").canonical
    return axis("xyzt"[i] if i < 4 else f"d{i}", size, step or 1.0, start, units=canonical)


def _renamed(one: xr.Variable) -> xr.Variable:
    """Return the axis with the name that its units suggest."""
    units = str(one.attrs["units"])
    known = {"time": "time", "frequency": "frequency", "energy": "energy", "voltage": "bias"}
    name = known.get(_units.dimensionality(units) or "", str(one.dims[0]))
    return xr.Variable((name,), one.values, one.attrs)


def _of_channel(label: str, units: str, number: int) -> str:
    found = next((u for pattern, u in _CHANNELS if re.match(pattern, label)), None)
    return found or (units if number == 0 else "1")


def _labels(inner: dict[str, Any], raw: bytes, shape: tuple[int, ...]) -> list[list[str]]:
    """Return the labels of every dimension; those of the file itself, since igor2 glues on what follows their end."""
    out: list[list[str]] = [[], [], [], []]
    version, order = _head(raw)
    if version == 5 and len(raw) > 384:
        wave, formula, note, data_units = struct.unpack(f"{order}4i", raw[4:20])
        dim_units = struct.unpack(f"{order}4i", raw[20:36])
        sizes = struct.unpack(f"{order}4i", raw[36:52])
        here = 64 + wave + formula + note + data_units + sum(dim_units)
        for i, size in enumerate(sizes):
            cells = [raw[k : k + 32] for k in range(here, here + size, 32)]
            out[i] = [cell.partition(b"\0")[0].decode("latin-1") for cell in cells]
            here += size
    else:
        for i, found in enumerate(inner.get("labels") or []):
            out[i] = [_text(label) for label in found]
    # The first label is that of the dimension itself.
    return [found[1 : 1 + n] if found else [] for found, n in zip(out, (*shape, 0, 0, 0, 0), strict=False)]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.partition(b"\0")[0].decode("latin-1").strip()
    return value.strip() if isinstance(value, str) else ""


def _first(value: Any) -> str:
    return "" if value is None else b"".join(np.atleast_1d(value).tolist()).partition(b"\0")[0].decode("latin-1")


def _note(note: str) -> dict[str, str]:
    """Return the entries of a note as Asylum writes them; empty where a note is free text."""
    lines = [line for line in re.split(r"[\r\n]+", note) if line.strip()]
    pairs = [re.match(r"([A-Za-z][^:]{0,60}):\s*(.*)$", line) for line in lines]
    if len(lines) < 4 or sum(p is not None for p in pairs) < 0.8 * len(lines):
        return {}
    return {p[1].strip(): p[2].strip() for p in pairs if p is not None}


def _metadata(note: dict[str, str], header: dict[str, Any]) -> dict[str, Any]:
    def number(key: str) -> float | None:
        try:
            return float(note[key])
        except (KeyError, ValueError):
            return None

    seconds = int(header.get("modDate") or 0)
    when = (dt.datetime(1904, 1, 1) + dt.timedelta(seconds=seconds)).isoformat() if seconds > 0 else None
    if "Date" in note and "Time" in note:
        said = f"{note['Date']} {note['Time']}"
        when = moment(said, "%Y-%m-%d %I:%M:%S %p", "%a, %b %d, %Y %I:%M:%S %p") or when
    asylum = "ScanSize" in note or "InvOLS" in note
    return {
        "instrument/vendor": "Asylum Research" if asylum else None,
        "instrument/model": note.get("MicroscopeModel"),
        "instrument/software": f"Igor {note['IgorFileVersion']}" if "IgorFileVersion" in note else None,
        "instrument/technique": note.get("ImagingMode"),
        "acquisition/start_time": when,
        "acquisition/comment": note.get("ImageNote"),
        "acquisition/scan_size_x": number("FastScanSize"),
        "acquisition/scan_size_y": number("SlowScanSize"),
        "acquisition/scan_center_x": number("XOffset"),
        "acquisition/scan_center_y": number("YOffset"),
        "acquisition/scan_angle": number("ScanAngle"),
        "acquisition/line_rate": number("ScanRate"),
        "acquisition/scan_speed": number("ScanSpeed"),
        "probe/name": note.get("TipSerialNumber"),
        "probe/spring_constant": number("SpringConstant"),
        "probe/sensitivity": number("InvOLS"),
        "probe/drive_frequency": number("DriveFrequency"),
        "probe/drive_amplitude": number("DriveAmplitude"),
        "probe/resonance_frequency": number("ResFreq1") or number("ThermalFrequency"),
        "probe/q_factor": number("ThermalQ"),
        "probe/bias": number("TipVoltage"),
    }
