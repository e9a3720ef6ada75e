"""Anasys nanoIR (``.axz``, ``.axd``): images and infrared spectra in XML, packed or not."""

from __future__ import annotations

import base64
import binascii
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers._text import quantity
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

_MAX_XML = 2**30
_SPECTRA = ("Spectra", "RenderedSpectra", "SNOMSpectra")


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file is an Anasys document, packed or not."""
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, 4096)
        except zlib.error:
            return False
    return b"anasysinstruments" in head[:4096].replace(b"\0", b"").lower()


def read(source: Source) -> Iterator[Signal]:
    """Read the height maps over (y, x), and the channels of every spectrum over (wavenumber).

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        In memory: the numbers are text in a packed file. Row 0 is the top.

    Raises
    ------
    FormatError
        If the XML or the numbers in it are damaged.
    """
    root = _document(source)
    count = 0
    for element in root.iterfind("HeightMaps/HeightMap"):
        yield _map(source, element)
        count += 1
    for group in _SPECTRA:
        for number, element in enumerate(root.iterfind(f"{group}/*")):
            for signal in _spectrum(source, element, number):
                yield signal
                count += 1
    if not count:
        raise source.error("is an empty document: no height maps, no spectra")


def _document(source: Source) -> ET.Element:
    raw = source.read()
    if raw.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(31)
        try:
            raw = unpacker.decompress(raw, _MAX_XML)
        except zlib.error as error:
            raise source.error(f"cannot be unpacked: {error}") from None
        if unpacker.unconsumed_tail:
            raise source.error(f"unpacks to more than {_MAX_XML // 2**20} MiB: refused")
        if not unpacker.eof:
            raise source.error("is cut off: the packed part has no end")
    # Entities are the one thing in XML that can grow without bound; these documents have none.
    if b"<!DOCTYPE" in raw.replace(b"\0", b"")[:4096]:
        raise source.error("declares a document type: refused")
    try:
        root = ET.fromstring(raw)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise source.error(f"is damaged XML: {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _text(element: ET.Element, path: str, otherwise: str = "") -> str:
    return (element.findtext(path) or otherwise).strip()


def _number(element: ET.Element, path: str, otherwise: float = 0.0) -> float:
    try:
        value = float(_text(element, path))
    except ValueError:
        return otherwise
    return value if np.isfinite(value) else otherwise


def _samples(source: Source, element: ET.Element, where: str) -> np.ndarray[Any, Any]:
    try:
        raw = base64.b64decode(_text(element, "SampleBase64"), validate=False)
        return np.frombuffer(raw, "<f4").astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise source.error(f"has damaged numbers: {error}", where) from None


def _map(source: Source, element: ET.Element) -> Signal:
    name = element.get("Label") or "height map"
    nx, ny = (int(_number(element, f"Resolution/{d}")) for d in "XY")
    values = _samples(source, element, name)
    if min(nx, ny) < 1 or values.size != nx * ny:
        raise source.error(f"should have {ny} × {nx} values, has {values.size}", name)
    width, height = (_number(element, f"Size/{d}", 1.0) for d in "XY")
    cx, cy = (_number(element, f"Position/{d}") for d in "XY")
    tags = {tag.get("Name", ""): tag.get("Value", "") for tag in element.iterfind("Tags/Tag")}
    trace = tags.get("TraceRetrace", "").lower()
    word = "backward" if "retrace" in trace else "forward" if "trace" in trace else ""
    metadata = _metadata(element, tags) | {
        "acquisition/line_direction": word,
        "acquisition/scan_size_x": (width, "um"),
        "acquisition/scan_size_y": (height, "um"),
        "acquisition/scan_center_x": (cx, "um"),
        "acquisition/scan_center_y": (cy, "um"),
    }
    units = _text(element, "UnitPrefix") + _text(element, "Units")
    return Signal(
        name,
        values.reshape(ny, nx),
        [
            axis("y", ny, -height / ny, cy + height / 2 - height / ny / 2, units="um", kind="spatial"),
            axis("x", nx, width / nx, cx - width / 2 + width / nx / 2, units="um", kind="spatial"),
        ],
        _units.normalise(units or "1").canonical,
        modality="AFM",
        metadata=metadata,
        original={"label": name, "tags": tags, **_plain(element)},
    )


def _spectrum(source: Source, element: ET.Element, number: int) -> Iterator[Signal]:
    label = _text(element, "Label") or f"spectrum {number + 1}"
    channels = element.findall("DataChannels") or [element]
    original = _plain(element)
    for channel in channels:
        if channel.find("SampleBase64") is None:
            continue
        name = channel.get("Name") or label
        values = _samples(source, channel, f"{label}: {name}")
        start = _number(element, "StartWavenumber", _number(channel, "Start"))
        end = _number(element, "EndWavenumber", start + max(values.size - 1, 0))
        # Spectra are stored from the first wavenumber to the last, in even steps.
        positions = np.linspace(start, end, values.size)
        along = axis("wavenumber", values.size, positions, units="1/cm", kind="spectral")
        # Only of the frequency of the ring-down it is known in what it is; the file says nothing of the others.
        units = "kHz" if channel.get("DataChannel", "") == "ringfreq" else "1"
        metadata = {
            **_metadata(element, {}),
            "stage/x": (_number(element, "Location/X"), "um"),
            "stage/y": (_number(element, "Location/Y"), "um"),
        }
        yield Signal(
            name, values, [along], units, group=label, title=label, modality="AFM-IR", metadata=metadata,
            original=original,
        )  # fmt: skip


def _metadata(element: ET.Element, tags: dict[str, str]) -> dict[str, Any]:
    def tagged(key: str) -> Any:
        found = quantity(tags.get(key))
        return None if found is None else (found[0], _units.normalise(found[1] or "1").canonical)

    setpoint = tagged("Setpoint")
    return {
        "instrument/vendor": "Anasys Instruments",
        "instrument/model": tags.get("System"),
        "instrument/technique": "AFM-IR",
        "acquisition/start_time": _text(element, "TimeStamp"),
        "acquisition/line_rate": tagged("ScanRate"),
        "acquisition/scan_angle": tagged("ScanAngle"),
        "probe/setpoint": None if setpoint is None else setpoint[0],
        "probe/setpoint_units": None if setpoint is None else setpoint[1],
        "probe/drive_frequency": tagged("ACDriveFrequency"),
    }


def _plain(element: ET.Element) -> dict[str, Any]:
    """Return the small texts of an element, nested; arrays of numbers are left out."""
    out: dict[str, Any] = {}
    for child in element:
        if child.tag.endswith("Base64") or child.tag in ("Tags", "DataChannels", "WaveformView"):
            continue
        out[child.tag] = _plain(child) if len(child) else (child.text or "").strip()
    return out
