"""Bruker, Veeco and Digital Instruments Nanoscope (``.spm``, ``.000``, ``.di`` …): images and force curves."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.errors import UnitsError
from sid_xarray.io.readers import _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

_MAX_HEADER = 2 * 2**20
_END = b"\\*File list end"
_VALUE = re.compile(r"^(?P<kind>[VCS])\s*(?:\[(?P<soft>[^\]]*)\])?\s*(?:\((?P<lsb>.*?)/LSB\))?\s*(?P<hard>.*)$")
_32_BITS = 0x09200000
Section = dict[str, str]


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file starts with the list that opens the headers of images and force curves."""
    return head[:40].lower().startswith((b"\\*file list", b"\\*force file list", b"\\*edit file list"))


def read(source: Source) -> Iterator[Signal]:
    """Read every image over (y, x), or every force curve over (z).

    Values are in physical units: the scale of the converter times the sensitivity of the sensor. Row 0 is the top,
    though files start at the bottom. Lines of the way back (retrace) lie in a file as they do on the sample.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy; ``Height Sensor_forward``, ``Phase_backward``, or ``Deflection Error_approach``, ``…_retract``.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    sections = _header(source)
    common: Section = {}
    for name, section in sections:
        if "image list" not in name:
            common |= section
    original = _original(sections)
    images = [section for name, section in sections if name.endswith("image list")]
    if not images:
        raise source.error("lists no images and no curves")
    is_force = sections[0][0].startswith("force") or common.get("Operating mode") == "Force"
    for section in images:
        give = _curves if is_force else _image
        yield from give(source, section, common, original)


def _header(source: Source) -> list[tuple[str, Section]]:
    head = source.read(0, min(source.size, _MAX_HEADER))
    end = head.find(_END)
    if end < 0:
        raise source.error("has no end of the header (\\*File list end). It is cut off, or no Nanoscope file")
    out: list[tuple[str, Section]] = []
    for line in head[:end].decode("latin-1").splitlines():
        if line.startswith("\\*"):
            out.append((line[2:].strip().lower(), {}))
        elif line.startswith("\\") and out:
            key, _, value = line[1:].partition(": ")
            out[-1][1].setdefault(key.strip(), value.strip())
    if not out:
        raise source.error("has an empty header")
    return out


def _original(sections: list[tuple[str, Section]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, section in sections:
        key, number = name, 1
        while key in out:
            number += 1
            key = f"{name} {number}"
        out[key] = section
    return out


def _whole(source: Source, section: Section, key: str, where: str, item: int = 0) -> int:
    try:
        return int(section[key].split()[item])
    except (KeyError, ValueError, IndexError):
        raise source.error(f"{key!r} should be a whole number, found {section.get(key)!r}", where) from None


def _channel(section: Section, word: str) -> tuple[str, str]:
    """Return the name of the channel and the prefix (``@2:``) of the entries that describe it."""
    for key, value in section.items():
        found = re.match(r"(@\d+:)Image Data$", key)
        if found is not None:
            named = re.search(r'"([^"]*)"', value)
            return (named[1] if named else value), found[1]
    return section.get("Image data", word), ""


def _scale(section: Section, common: Section, prefix: str, bytes_per_value: int, *, force: bool) -> tuple[float, str]:
    """Return what one step of the converter means, and its units."""
    value = _VALUE.match(section.get(f"{prefix}Z scale", ""))
    hard = _text.quantity(value["hard"]) if value else None
    if value is None or hard is None:
        return 1.0, "1"
    factor, units = hard[0] / 2.0 ** (8 * bytes_per_value), hard[1] or "1"
    lsb = _text.quantity(value["lsb"])
    # In curves the scale is that of the display; what one step means stands in brackets.
    if force and lsb is not None:
        factor, units = lsb[0], lsb[1] or "1"
    soft = _VALUE.match(common.get(f"@{value['soft']}", "")) if value["soft"] else None
    sensitivity = _text.quantity(soft["hard"]) if soft else None
    if sensitivity is None:
        return factor, _canonical(units)
    physical, _, per = sensitivity[1].partition("/")
    factor *= sensitivity[0]
    if not physical:
        return factor, _canonical(units)
    per = per.strip() or "V"
    with contextlib.suppress(UnitsError):  # log(Arb) and its like: nobody can convert them
        factor *= _units.convert_factor(_canonical(units), _canonical(per))
    return factor, _canonical(physical.strip())


def _canonical(text: str) -> str:
    return _units.normalise({"º": "degree", "Arb": "1", "~m": "um", "": "1"}.get(text, text)).canonical


def _width(source: Source, section: Section, common: Section, count: int, where: str) -> tuple[int, int]:
    """Return bytes of a stored value, and those by which the scale counts."""
    length, said = _whole(source, section, "Data length", where), int(section.get("Bytes/pixel", "2").split()[0])
    try:
        version = int(common.get("Version", "0"), 16)
    except ValueError:
        version = 0
    # Since version 9.2 values have 32 bits, whatever the header says.
    stored = 4 if version >= _32_BITS and length >= 4 * count else said
    if stored not in (1, 2, 4) or said not in (1, 2, 4):
        raise source.error(f"has {said} bytes a value; 1, 2 and 4 are known", where)
    if count * stored > length:
        raise source.error(f"has {length} bytes of values, its sizes need {count * stored}", where)
    return stored, said


def _image(source: Source, section: Section, common: Section, original: dict[str, Any]) -> Iterator[Signal]:
    name, prefix = _channel(section, "image")
    nx = _whole(source, section, "Samps/line", name)
    ny = _whole(source, section, "Number of lines", name)
    if min(nx, ny) < 1:
        raise source.error(f"says that it has {nx} × {ny} pixels", name)
    length = _whole(source, section, "Data length", name)
    try:
        shape = (int(common["Lines"].split()[0]), int(common["Samps/line"].split()[0]))
    except (KeyError, ValueError, IndexError):
        shape = (ny, nx)
    if nx * ny * 2 > length >= shape[0] * shape[1] * 2:  # some files have the right sizes at the scan only
        ny, nx = shape
    stored, said = _width(source, section, common, nx * ny, name)
    factor, units = _scale(section, common, prefix, said, force=False)
    start = _whole(source, section, "Data offset", name)
    data = source.array(
        f"<i{stored}",
        (ny, nx),
        start=start + stored * nx * (ny - 1),
        strides=(-stored * nx, stored),
        scale=factor,
        where=name,
    )
    width, height, length_units = _size(section, nx, ny)
    axes = [
        axis("y", ny, -height / ny, height - height / ny / 2, units=length_units, kind="spatial"),
        axis("x", nx, width / nx, width / nx / 2, units=length_units, kind="spatial"),
    ]
    word = {"trace": "forward", "retrace": "backward"}.get(section.get("Line Direction", "").strip().lower(), "")
    direction = section.get("Frame direction", "").strip().lower()
    metadata = _metadata(common, section) | {
        "acquisition/line_direction": word,
        "acquisition/scan_direction": direction if direction in ("up", "down") else None,
        "acquisition/scan_size_x": (width, length_units),
        "acquisition/scan_size_y": (height, length_units),
    }
    called = f"{name}_{word}" if word else name
    yield Signal(called, data, axes, units, quantity=name, modality="SPM", metadata=metadata, original=original)


def _size(section: Section, nx: int, ny: int) -> tuple[float, float, str]:
    words = section.get("Scan Size", section.get("Scan size", "")).split()
    numbers = []
    for word in words:
        try:
            numbers.append(abs(float(word)))
        except ValueError:
            break
    if not numbers or not all(0 < n < np.inf for n in numbers):
        return float(nx), float(ny), "1"
    return numbers[0], (numbers[1] if len(numbers) > 1 else numbers[0] * ny / nx), _canonical(words[-1])


def _curves(source: Source, section: Section, common: Section, original: dict[str, Any]) -> Iterator[Signal]:
    name, prefix = _channel(section, "curve")
    counts = [_whole(source, section, "Samps/line", name, item) for item in (0, -1)]
    if min(counts) < 1:
        raise source.error(f"says that it has {counts} points", name)
    length = _whole(source, section, "Data length", name)
    stored, said = _width(source, section, common, sum(counts) if length >= 2 * sum(counts) else counts[0], name)
    factor, units = _scale(section, common, prefix, said, force=True)
    start = _whole(source, section, "Data offset", name)
    ramp, ramp_units = _ramp(section, common, prefix)
    # Both ways start where the tip is closest to the sample: the way there lies backwards in the file.
    for word, count in zip(("approach", "retract"), counts, strict=True):
        if start + stored * count > source.size or length < stored * count:
            raise source.error(f"has no room for {count} points", f"{name} {word}")
        dim = "z" if counts[0] == counts[1] else f"z_{word}"
        z = axis(dim, count, ramp / count, units=ramp_units, kind="spectral", label="Z from the turning point")
        data = source.array(f"<i{stored}", (count,), start=start, scale=factor, where=f"{name} {word}")
        yield Signal(
            f"{name}_{word}",
            data,
            [z],
            units,
            quantity=name,
            modality="SPM",
            group="" if counts[0] == counts[1] else "curves",
            metadata=_metadata(common, section) | {"acquisition/line_direction": word},
            original=original,
        )
        start, length = start + stored * count, length - stored * count


def _ramp(section: Section, common: Section, prefix: str) -> tuple[float, str]:
    value = _VALUE.match(section.get(f"{prefix}Ramp size", ""))
    hard = _text.quantity(value["hard"]) if value else None
    soft = _VALUE.match(common.get(f"@{value['soft']}", "")) if value and value["soft"] else None
    sensitivity = _text.quantity(soft["hard"]) if soft else None
    if hard is None or not hard[0] > 0:
        return 1.0, "1"
    if sensitivity is None:
        return hard[0], _canonical(hard[1])
    return hard[0] * sensitivity[0], _canonical(sensitivity[1].partition("/")[0].strip())


def _metadata(common: Section, section: Section) -> dict[str, Any]:
    def first(key: str, where: Section = common) -> Any:
        found = _text.quantity(where.get(key))
        return None if found is None else found[0]

    def sized(key: str) -> Any:
        found = _text.quantity(common.get(key))
        return None if found is None else (found[0], _canonical(found[1] or "1"))

    deflection = _VALUE.match(common.get("@Sens. DeflSens", ""))
    sensitivity = _text.quantity(deflection["hard"]) if deflection else None
    return {
        "instrument/vendor": "Bruker",
        "instrument/model": common.get("Description") or common.get("Microscope") or common.get("Scanner type"),
        "instrument/software": f"Nanoscope {common.get('Version', '')}",
        "instrument/technique": "AFM",
        "acquisition/start_time": _text.moment(common.get("Date", ""), "%I:%M:%S %p %a %b %d %Y"),
        "acquisition/comment": section.get("Note"),
        "acquisition/line_rate": first("Scan Rate"),
        "acquisition/scan_angle": first("Rotate Ang."),
        "acquisition/scan_center_x": sized("X Offset"),
        "acquisition/scan_center_y": sized("Y Offset"),
        "probe/name": common.get("Tip Serial Number"),
        "probe/spring_constant": first("Spring Constant", section),
        "probe/sensitivity": None if sensitivity is None or "/" not in sensitivity[1] else sensitivity,
        "stage/x": (first("Stage X"), "um"),
        "stage/y": (first("Stage Y"), "um"),
        "stage/z": (first("Stage Z"), "um"),
    }
