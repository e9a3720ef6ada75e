"""Gwyddion native files (``.gwy``), of version 2 (``GWYP``) and of version 1 (``GWYO``)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read"]

_ATOMS = {b"b": "?", b"c": "c", b"i": "<i4", b"q": "<i8", b"d": "<f8"}
_LISTS = {b"C": "S1", b"I": "<i4", b"Q": "<i8", b"D": "<f8"}
# Version 1 wrote the number of the GLib type before the name of every item of a container.
_GLIB = {12: b"c", 16: b"c", 20: b"b", 24: b"i", 40: b"q", 60: b"d", 64: b"s", 80: b"o"}
_MAX_DEPTH = 16
_MAX_NAME = 4096
_MAX_ITEMS = 200_000


@dataclass
class _Values:
    """Numbers that stay in the file: where they start, how many."""

    start: int
    count: int
    dtype: str


def read(source: Source) -> Iterator[Signal]:
    """Read the channels (images), volumes and curves of a container.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy. Images over (y, x): row 0 is the top and y runs down, as in Gwyddion.

    Raises
    ------
    FormatError
        If the container is damaged or cut off.
    """
    magic = source.read(0, min(4, source.size))
    if magic not in (b"GWYP", b"GWYO"):
        raise source.error("does not start with GWYP or GWYO")
    old = magic == b"GWYO"
    name, tree = _Parser(source, old=old).container(4)
    if name != "GwyContainer":
        raise source.error(f"holds a {name}, expected a GwyContainer")
    count = 0
    for key, value in sorted(tree.items(), key=lambda item: _order(item[0])):
        for signal in _signals(source, key, value, tree):
            count += 1
            yield signal
    if not count:
        raise source.error("holds no channels, volumes or curves")


def _order(key: str) -> tuple[list[int], str]:
    return [int(n) for n in re.findall(r"\d+", key)], key


def _signals(source: Source, key: str, value: Any, tree: dict[str, Any]) -> Iterator[Signal]:
    if not isinstance(value, tuple):
        return
    kind, fields = value
    found = re.match(r"/(\d+)/(data|mask|show)$", key)
    if kind == "GwyDataField" and found is not None and found[2] != "show":
        yield _field(source, found[1], found[2], fields, tree)
    elif kind == "GwyBrick":
        yield _brick(source, key, fields, tree)
    elif kind == "GwyGraphModel":
        yield from _graph(source, key, fields)


class _Parser:
    """Reads what the container holds, with the numbers left in the file."""

    def __init__(self, source: Source, *, old: bool) -> None:
        self.source, self.old, self.items = source, old, 0

    def container(self, start: int) -> tuple[str, dict[str, Any]]:
        name, size, start = self._object_head(start, self.source.size)
        return name, self._fields(start, start + size, 0, name)

    def _object_head(self, start: int, end: int) -> tuple[str, int, int]:
        name, start = self._name(start, end)
        (size,) = struct.unpack("<I", self.source.read(start, 4, name))
        start += 4
        if start + size > end:
            raise self.source.error(f"{name} should have {size} bytes, there are {end - start}. It is cut off", name)
        return name, size, start

    def _name(self, start: int, end: int) -> tuple[str, int]:
        raw = self.source.read(start, min(_MAX_NAME, end - start)) if end > start else b""
        stop = raw.find(b"\0")
        if stop < 0:
            raise self.source.error("has a name without an end", f"byte {start}")
        return raw[:stop].decode("utf-8", "replace"), start + stop + 1

    def _fields(self, start: int, end: int, depth: int, owner: str) -> dict[str, Any]:
        if depth > _MAX_DEPTH:
            raise self.source.error(f"is nested more than {_MAX_DEPTH} deep")
        out: dict[str, Any] = {}
        while start < end:
            self.items += 1
            if self.items > _MAX_ITEMS:
                raise self.source.error(f"holds more than {_MAX_ITEMS} items")
            if self.old and owner == "GwyContainer":
                self._fits(start, 4, end, owner)
                (number,) = struct.unpack("<I", self.source.read(start, 4, owner))
                name, start = self._name(start + 4, end)
                kind = _GLIB.get(number, b"?")
            else:
                name, start = self._name(start, end)
                kind, start = self.source.read(start, 1, name), start + 1
            out[name], start = self._value(kind, start, end, name, depth)
        return out

    def _value(self, kind: bytes, start: int, end: int, name: str, depth: int) -> tuple[Any, int]:
        if kind in _ATOMS:
            code = "S1" if kind == b"c" else _ATOMS[kind]
            width = {"?": 1, "S1": 1, "<i4": 4}.get(code, 8)
            self._fits(start, width, end, name)
            value = self.source.numbers(code, 1, start=start, where=name)[0].item()
            return value.decode("latin-1") if isinstance(value, bytes) else value, start + width
        if kind == b"s":
            raw = self._text(start, end, name)
            try:
                return raw.decode("utf-8"), start + len(raw) + 1
            except UnicodeDecodeError:  # version 1 wrote as its machine did
                return raw.decode("latin-1"), start + len(raw) + 1
        if kind == b"o":
            called, size, inner = self._object_head(start, end)
            fields = self._fields(inner, inner + size, depth + 1, called)
            if self.old and called == "GwySIUnit":
                # Version 1 names the units that it shows; the numbers are in base units, as Gwyddion takes them.
                fields["unitstr"] = re.sub(r"^[pnuµμmkM](?=(m|A|V|N|Hz|s)$)", "", str(fields.get("unitstr", "")))
            return (called, fields), inner + size
        if kind in (*_LISTS, b"S", b"O"):
            self._fits(start, 4, end, name)
            (count,) = struct.unpack("<I", self.source.read(start, 4, name))
            return self._list(kind, count, start + 4, end, name, depth)
        raise self.source.error(f"has an item of unknown type {kind!r}", name)

    def _fits(self, start: int, count: int, end: int, name: str) -> None:
        if start + count > end:
            raise self.source.error(f"needs {count} bytes, there are {end - start}", name)

    def _text(self, start: int, end: int, name: str) -> bytes:
        step, out = 4096, b""
        while start < end:
            part = self.source.read(start, min(step, end - start), name)
            stop = part.find(b"\0")
            if stop >= 0:
                return out + part[:stop]
            out, start, step = out + part, start + len(part), step * 2
        raise self.source.error("has text without an end", name)

    def _list(self, kind: bytes, count: int, start: int, end: int, name: str, depth: int) -> tuple[Any, int]:
        if kind in _LISTS:
            width = int(_LISTS[kind][-1])
            self._fits(start, count * width, end, name)
            return _Values(start, count, _LISTS[kind]), start + count * width
        out = []
        for _ in range(count):
            self.items += 1
            if self.items > _MAX_ITEMS:
                raise self.source.error(f"holds more than {_MAX_ITEMS} items")
            value, start = self._value(b"s" if kind == b"S" else b"o", start, end, name, depth)
            out.append(value)
        return out, start


def _field(source: Source, number: str, what: str, fields: dict[str, Any], tree: dict[str, Any]) -> Signal:
    where = f"/{number}/{what}"
    nx, ny = (_whole(source, fields, key, where) for key in ("xres", "yres"))
    data = _data(source, fields, (ny, nx), where)
    title = tree.get(f"/{number}/data/title") or tree.get(f"/{number}/data/untitled")
    name = title if isinstance(title, str) and title else f"channel_{number}"
    units = _unit(fields.get("si_unit_xy"))
    meta = tree.get(f"/{number}/meta")
    original = {k: v for k, v in meta[1].items() if isinstance(v, str)} if isinstance(meta, tuple) else {}
    width, height = (_positive(fields.get(key)) for key in ("xreal", "yreal"))
    return Signal(
        name if what == "data" else f"{name}_{what}",
        data,
        [
            axis("y", ny, height / ny, _real(fields, "yoff") + height / ny / 2, units=units, kind="spatial"),
            axis("x", nx, width / nx, _real(fields, "xoff") + width / nx / 2, units=units, kind="spatial"),
        ],
        _unit(fields.get("si_unit_z")) if what == "data" else "1",
        modality="SPM",
        metadata={
            "instrument/software": "Gwyddion",
            "acquisition/start_time": original.get("Date"),
            "acquisition/scan_size_x": (width, units),
            "acquisition/scan_size_y": (height, units),
        },
        original=original,
    )


def _brick(source: Source, key: str, fields: dict[str, Any], tree: dict[str, Any]) -> Signal:
    shape = [_whole(source, fields, f"{d}res", key) for d in "zyx"]
    data = _data(source, fields, shape, key)
    axes = []
    for d, size in zip("zyx", shape, strict=True):
        width = _positive(fields.get(f"{d}real"))
        units = _unit(fields.get(f"si_unit_{d}"))
        start = _real(fields, f"{d}off") + width / size / 2
        axes.append(axis(d, size, width / size, start, units=units, kind=None if d == "z" else "spatial"))
    title = tree.get(f"{key}/title")
    name = title if isinstance(title, str) else key.strip("/").replace("/", "_")
    return Signal(name, data, axes, _unit(fields.get("si_unit_w")), modality="SPM")


def _graph(source: Source, key: str, fields: dict[str, Any]) -> Iterator[Signal]:
    curves = fields.get("curves")
    for number, curve in enumerate(curves if isinstance(curves, list) else []):
        if not (isinstance(curve, tuple) and isinstance(curve[1].get("ydata"), _Values)):
            continue
        y, x = curve[1]["ydata"], curve[1].get("xdata")
        where = f"{key} curve {number}"
        positions: Any = 1.0
        if isinstance(x, _Values) and x.count == y.count:
            positions = source.numbers(x.dtype, x.count, start=x.start, where=where)
        name = str(curve[1].get("description") or f"curve_{number}")
        along = axis("x", y.count, positions, units=_unit(fields.get("x_unit")), kind="unknown")
        title = str(fields.get("title") or key.strip("/").replace("/", "_"))
        data = source.array(y.dtype, (y.count,), start=y.start, where=where)
        yield Signal(name, data, [along], _unit(fields.get("y_unit")), title=title, modality="SPM")


def _data(source: Source, fields: dict[str, Any], shape: Any, where: str) -> Any:
    values = fields.get("data")
    count = 1
    for n in shape:
        count *= n
    if not isinstance(values, _Values) or values.count != count:
        found = values.count if isinstance(values, _Values) else "none"
        raise source.error(f"should have {count} values, found {found}", where)
    return source.array(values.dtype, tuple(shape), start=values.start, where=where)


def _whole(source: Source, fields: dict[str, Any], key: str, where: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or value < 1:
        raise source.error(f"{key} should be a whole number, found {value!r}", where)
    return value


def _positive(value: Any) -> float:
    return float(value) if isinstance(value, float) and 0 < value < 1e300 else 1.0


def _real(fields: dict[str, Any], key: str) -> float:
    value = fields.get(key, 0.0)
    return float(value) if isinstance(value, float) and abs(value) < 1e300 else 0.0


def _unit(value: Any) -> str:
    text = value[1].get("unitstr", "") if isinstance(value, tuple) else ""
    return _units.normalise(text).canonical if isinstance(text, str) and text else "1"
