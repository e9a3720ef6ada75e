"""NT-MDT (``.mdt``): scans, multi-dimensional frames and point spectra of Nova."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sid_xarray.io.readers import _ntmdt_points
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read"]

_MAGIC = b"\x01\xb0\x93\xff"
_FILE_HEADER, _FRAME_HEADER = 33, 22
_UNITS = {
    -10: "1/cm", -5: "m", -4: "cm", -3: "mm", -2: "um", -1: "nm", 0: "angstrom", 1: "nA", 2: "V", 3: "1", 4: "kHz",
    5: "degree", 6: "percent", 7: "degC", 8: "V", 9: "s", 10: "ms", 11: "us", 12: "ns", 13: "count", 14: "1", 20: "A",
    21: "mA", 22: "uA", 23: "nA", 24: "pA", 25: "V", 26: "mV", 27: "uV", 28: "nV", 29: "pV", 30: "N", 31: "mN",
    32: "uN", 33: "nN", 34: "pN",
}  # fmt: skip
_SIGNALS = (
    "Height DFL Lateral_F Bias_V Current FB-Out MAG MAG*Sin MAG*Cos RMS CalcMag Phase1 Phase2 CalcPhase Ex1 Ex2 HvX HvY"
).split()
_DTYPES = {
    -1: "i1", 1: "u1", -2: "<i2", 2: "<u2", -4: "<i4", 4: "<u4", -8: "<i8", 8: "<u8", -5892: "<f4", -13320: "<f8"
}  # fmt: skip


@dataclass
class _Frame:
    number: int
    start: int
    size: int
    kind: int
    date: str
    variables: int

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def where(self) -> str:
        return f"frame {self.number}"


@dataclass
class _Calibration:
    name: str
    units: str
    bias: float
    scale: float
    count: int
    dtype: int


def read(source: Source) -> Iterator[Signal]:
    """Read every frame that holds numbers: images over (y, x), spectra at points over (point, …).

    Row 0 is the top, though files start at the bottom.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Images are lazy.

    Raises
    ------
    FormatError
        If a frame is damaged or the file is cut off.
    """
    if source.read(0, min(4, source.size)) != _MAGIC:
        raise source.error("does not start as an NT-MDT file")
    frames = list(_frames(source))
    readers: dict[int, Callable[[Source, _Frame], Iterator[Signal]]] = {
        0: _scan,
        106: _mda,
        190: lambda s, f: _ntmdt_points.read(s, f.start + _FRAME_HEADER, f.end, f.where, f.date),
    }
    count = 0
    for frame in frames:
        if frame.kind in readers:
            for signal in readers[frame.kind](source, frame):
                count += 1
                yield signal
    if not count:
        kinds = sorted({frame.kind for frame in frames})
        raise source.error(f"holds {len(frames)} frames of the kinds {kinds}, none with numbers that can be read")


def _frames(source: Source) -> Iterator[_Frame]:
    source.check(0, _FILE_HEADER, "header")
    (last,) = struct.unpack("<H", source.read(12, 2))
    start = _FILE_HEADER
    for number in range(last + 1):
        raw = source.read(start, _FRAME_HEADER, f"frame {number}")
        size, kind = struct.unpack("<IH", raw[:6])
        year, month, day, hour, minute, second, variables = struct.unpack("<7H", raw[8:])
        if size < _FRAME_HEADER or start + size > source.size:
            raise source.error(f"says that it has {size} bytes, there are {source.size - start}", f"frame {number}")
        date = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
        yield _Frame(number, start, size, kind, date, variables)
        start += size


def _inside(source: Source, frame: _Frame, start: int, count: int) -> bytes:
    if start + count > frame.end:
        raise source.error(f"needs {count} bytes, has {frame.end - start}", frame.where)
    return source.read(start, count, frame.where)


def _scan(source: Source, frame: _Frame) -> Iterator[Signal]:
    """Read a frame of the older kind: 16-bit numbers with three axes."""
    start = frame.start + _FRAME_HEADER
    raw = _inside(source, frame, start, 36)
    scales = struct.unpack("<ffhffhffh", raw[:30])
    (_, x_step, x_unit), (_, y_step, y_unit), (z_start, z_step, z_unit) = (scales[i : i + 3] for i in (0, 3, 6))
    start += frame.variables
    _, nx, ny, dots = struct.unpack("<4H", _inside(source, frame, start, 8))
    start += 8 + (14 + 16 * dots if dots else 0)
    if dots or not nx or not ny:
        return
    _inside(source, frame, start, 0)
    if start + 2 * nx * ny > frame.end:
        raise source.error(f"should have {ny} × {nx} values, is too short", frame.where)
    after = start + 2 * nx * ny
    index = raw[30]
    name = _title(source, frame, after) or (_SIGNALS[index] if index < len(_SIGNALS) else "signal")
    data = source.array(
        "<i2",
        (ny, nx),
        start=start + 2 * nx * (ny - 1),
        strides=(-2 * nx, 2),
        scale=_sane(z_step, 1.0),
        offset=_sane(z_start, 0.0, zero=True),
        where=name,
    )
    steps = [abs(_sane(y_step, 1.0)), abs(_sane(x_step, 1.0))]
    yield _image(frame, name, data, (ny, nx), steps, (_UNITS.get(y_unit, "1"), _UNITS.get(x_unit, "1")),
                 _UNITS.get(z_unit, "1"))  # fmt: skip


def _title(source: Source, frame: _Frame, start: int) -> str:
    if start + 4 > frame.end:
        return ""
    (length,) = struct.unpack("<I", _inside(source, frame, start, 4))
    if not 0 < length <= min(1024, frame.end - start - 4):
        return ""
    return _inside(source, frame, start + 4, length).decode("cp1251", "replace").strip("\0 ")


def _sane(value: float, otherwise: float, *, zero: bool = False) -> float:
    return value if abs(value) < 1e30 and (zero or value) else otherwise


def _image(
    frame: _Frame, name: str, data: Any, shape: tuple[int, int], steps: list[float], units: tuple[str, str], of: str
) -> Signal:
    ny, nx = shape
    axes = [
        axis("y", ny, -steps[0], steps[0] * (ny - 1), units=units[0], kind="spatial"),
        axis("x", nx, steps[1], units=units[1], kind="spatial"),
    ]
    metadata = {
        "instrument/vendor": "NT-MDT",
        "instrument/technique": "SPM",
        "acquisition/start_time": frame.date,
        "acquisition/scan_size_y": (steps[0] * ny, units[0]),
        "acquisition/scan_size_x": (steps[1] * nx, units[1]),
    }
    return Signal(name, data, axes, of, quantity=name.rpartition(":")[2] or name, modality="SPM", metadata=metadata,
                  original={"frame": frame.number, "kind": frame.kind, "date": frame.date})  # fmt: skip


def _mda(source: Source, frame: _Frame) -> Iterator[Signal]:
    """Read a frame of the newer kind: any number of dimensions and quantities, each with its calibration."""
    start = frame.start + _FRAME_HEADER
    raw = _inside(source, frame, start, 72)
    head, _ = struct.unpack("<II", raw[:8])
    name_size, comment, view, spec, info, _ = struct.unpack("<6I", raw[44:68])
    title = _inside(source, frame, start + head, min(name_size, 1024)).decode("cp1251", "replace").strip("\0 ")
    here = start + head + name_size + comment + view + spec + info
    _, length = struct.unpack("<II", _inside(source, frame, here, 8))
    here += 8
    _, _, n_dims, n_values = struct.unpack("<QIII", _inside(source, frame, here, 20))
    here += length
    if n_dims > 8 or n_values > 64:
        raise source.error(f"has {n_dims} dimensions and {n_values} quantities", frame.where)
    found = []
    for _ in range(n_dims + n_values):
        calibration, here = _calibration(source, frame, here)
        found.append(calibration)
    dims, values = found[:n_dims], found[n_dims:]
    if n_dims != 2 or not values:
        return
    slow, fast = dims[1], dims[0]  # the range of a quantity is that of its numbers, of a dimension its size
    if not 0 < slow.count < 2**24 or not 0 < fast.count < 2**24:
        raise source.error(f"says that it has {slow.count} × {fast.count} pixels", frame.where)
    widths = [int(_DTYPES[v.dtype][-1]) if v.dtype in _DTYPES else 0 for v in values]
    if 0 in widths:
        raise source.error(f"has values of an unknown type {[v.dtype for v in values]}", frame.where)
    record = sum(widths)
    if here + record * slow.count * fast.count > frame.end:
        raise source.error(f"should have {slow.count} × {fast.count} values of {record} bytes", frame.where)
    for i, value in enumerate(values):
        data = source.array(
            _DTYPES[value.dtype],
            (slow.count, fast.count),
            start=here + sum(widths[:i]) + record * fast.count * (slow.count - 1),
            strides=(-record * fast.count, record),
            scale=_sane(value.scale, 1.0),
            offset=_sane(value.bias, 0.0, zero=True),
            where=title,
        )
        name = title if len(values) == 1 else f"{title} {value.name}".strip()
        steps = [abs(_sane(slow.scale, 1.0)), abs(_sane(fast.scale, 1.0))]
        yield _image(frame, name or "signal", data, (slow.count, fast.count), steps, (slow.units, fast.units),
                     value.units)  # fmt: skip


def _calibration(source: Source, frame: _Frame, start: int) -> tuple[_Calibration, int]:
    raw = _inside(source, frame, start, 84)
    total, length, name, comment, unit = struct.unpack("<5I", raw[:20])
    bias, scale, low, high, dtype = struct.unpack("<ddQQi", raw[44:80])
    if total < 84 or start + total > frame.end:
        raise source.error("has a damaged calibration", frame.where)
    here = start + 8 + length
    texts = []
    for size in (name, comment, unit):
        texts.append(_inside(source, frame, here, min(size, 4096)).decode("cp1251", "replace").strip("\0 "))
        here += size
    units = _units.normalise(texts[2] or "1").canonical
    return _Calibration(texts[0], units, bias, scale, int(high - low + 1), dtype), start + total
