"""PiFM of Molecular Vista, and Anfatec (``.txt`` with a file of numbers for every channel)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers import _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

_MARK = b";ANFATEC Parameterfile"
_DTYPES = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<f8"}


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a text file is the list of parameters that belongs to files of numbers."""
    return _MARK in head[:256]


def read(source: Source) -> Iterator[Signal]:
    """Read the images over (y, x), maps of spectra over (y, x, wavenumber), and point spectra.

    Channels whose file is missing are passed over; backward lines lie in the files as they do on the sample.

    Parameters
    ----------
    source : Source
        The text file; the others are looked for beside it.

    Yields
    ------
    Signal
        Lazy.

    Raises
    ------
    FormatError
        If the list is damaged, no file of it is there, or one is cut off.
    """
    header, channels, spectra = _parameters(source)
    try:
        nx, ny = int(header["xPixel"]), int(header["yPixel"])
    except (KeyError, ValueError):
        raise source.error("needs xPixel and yPixel, whole numbers") from None
    if not (0 < nx < 2**20 and 0 < ny < 2**20):
        raise source.error(f"says that the scan has {nx} × {ny} pixels")
    axes = _axes(header, nx, ny)
    metadata = _metadata(header)
    count = 0
    for channel in channels:
        beside = source.beside(channel.get("FileName", ""))
        if beside is None:
            continue
        count += 1
        if "FileNameWavelengths" in channel or "BytesPerPixel" in channel:
            yield _map(source, beside, channel, axes, metadata, header)
            continue
        name = channel.get("Caption") or beside.name
        word = {"Fwd": "forward", "Bwd": "backward"}.get(name[-3:], "")
        data = beside.array("<i4", (ny, nx), start=0, scale=_float(channel, "Scale", 1.0), where=name,
                            offset=_float(channel, "Offset", 0.0))  # fmt: skip
        yield Signal(
            f"{name[:-3]}_{word}" if word else name,
            data,
            axes,
            _unit(channel.get("PhysUnit", "")),
            quantity=name[:-3] if word else name,
            modality="SPM",
            metadata={**metadata, "acquisition/line_direction": word},
            original=header,
        )
    for channel in spectra:
        beside = source.beside(channel.get("FileName", ""))
        if beside is not None:
            count += 1
            yield _spectrum(beside, metadata, header)
    if not count:
        raise source.error(f"names {len(channels) + len(spectra)} files of numbers, none of them is beside it")


def _parameters(source: Source) -> tuple[dict[str, str], list[dict[str, str]], list[dict[str, str]]]:
    text = source.read().decode("latin-1")
    header: dict[str, str] = {}
    channels: list[dict[str, str]] = []
    spectra: list[dict[str, str]] = []
    here = header
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith(";"):
            continue
        if re.fullmatch(r"FileDesc2?Begin", line):
            channels.append(here := {})
        elif line == "AFMSpectrumDescBegin":
            spectra.append(here := {})
        elif line.endswith("End") and ":" not in line:
            here = header
        elif ":" in line:
            key, _, value = line.partition(":")
            here.setdefault(key.strip(), value.strip())
    if not channels and not spectra:
        raise source.error("lists no channels. It is cut off, or holds none")
    return header, channels, spectra


def _float(fields: dict[str, str], key: str, otherwise: float) -> float:
    try:
        value = float(fields[key].partition(";")[0])
    except (KeyError, ValueError):
        return otherwise
    return value if np.isfinite(value) else otherwise


def _unit(text: str) -> str:
    return _units.normalise(text.strip() or "1").canonical


def _axes(header: dict[str, str], nx: int, ny: int) -> list[Any]:
    """Return y and x about the centre; the first line is the top, as the positions of the scanner say."""
    width, height = abs(_float(header, "XScanRange", nx)), abs(_float(header, "YScanRange", ny))
    cx, cy = _float(header, "xCenter", width / 2), _float(header, "yCenter", height / 2)
    units = [_unit(header.get(key, "")) for key in ("YPhysUnit", "XPhysUnit")]
    return [
        axis("y", ny, -height / ny, cy + height / 2 - height / ny / 2, units=units[0], kind="spatial"),
        axis("x", nx, width / nx, cx - width / 2 + width / nx / 2, units=units[1], kind="spatial"),
    ]


def _map(
    source: Source, beside: Source, channel: dict[str, str], axes: list[Any], metadata: Any, header: dict[str, str]
) -> Signal:
    name = channel.get("Caption") or beside.name
    waves = _wavenumbers(source, beside, channel)
    width = int(_float(channel, "BytesPerPixel", 4 * len(waves))) // max(len(waves), 1)
    if width not in _DTYPES or not len(waves):
        raise beside.error(f"has {len(waves)} wavenumbers of {width} bytes", name)
    shape = (len(axes[0]), len(axes[1]), len(waves))
    data = beside.array(_DTYPES[width], shape, start=0, scale=_float(channel, "Scale", 1.0), where=name)
    units = _unit(channel.get("PhysUnitWavelengths", "1/cm"))
    along = axis("wavenumber", len(waves), waves, units=units, kind="spectral")
    return Signal(
        name, data, [*axes, along], _unit(channel.get("PhysUnit", "")), modality="SPM", metadata=metadata,
        original=header,
    )  # fmt: skip


def _wavenumbers(source: Source, beside: Source, channel: dict[str, str]) -> np.ndarray[Any, Any]:
    stem = beside.name.removesuffix(".int")
    for name in (channel.get("FileNameWavelengths", ""), f"{stem}Wavelengths.txt"):
        found = source.beside(name)
        if found is not None:
            return np.loadtxt(found.text().splitlines(), ndmin=2)[:, 0]
    raise beside.error("has no file of wavenumbers beside it", beside.name)


def _spectrum(beside: Source, metadata: Any, header: dict[str, str]) -> Signal:
    lines = beside.text().splitlines()
    rows = [line.split() for line in lines if re.match(r"\s*[-+0-9.]", line)]
    try:
        table = np.array([[float(word) for word in row[:2]] for row in rows])
    except ValueError as error:
        raise beside.error(f"has a damaged table: {error}") from None
    if table.ndim != 2 or table.shape[1] != 2:
        raise beside.error("should have two columns of numbers")
    along = axis("wavenumber", len(table), table[:, 0], units="1/cm", kind="spectral")
    return Signal(beside.name.rpartition(".")[0], table[:, 1].copy(), [along], "1", modality="SPM",
                  metadata=metadata, original=header)  # fmt: skip


def _metadata(header: dict[str, str]) -> dict[str, Any]:
    day, time = (header.get(f"Start{k}", header.get(k, "")) for k in ("Date", "Time"))
    units = _unit(header.get("XPhysUnit", ""))

    def number(key: str) -> float | None:
        value = _float(header, key, np.nan)
        return value if np.isfinite(value) else None

    return {
        "instrument/vendor": "Molecular Vista" if "VistaScanVersion" in header else "Anfatec",
        "instrument/software": f"VistaScan {header.get('VistaScanVersion', header.get('Version', ''))}",
        "instrument/technique": "PiFM" if "pifm" in str(header).lower() else "AFM",
        "acquisition/start_time": _text.moment(f"{day} {time}", "%m/%d/%Y %I:%M:%S %p"),
        "acquisition/operator": header.get("UserName"),
        "acquisition/comment": header.get("UserNotes"),
        "acquisition/scan_angle": number("Angle"),
        "acquisition/line_rate": number("Speed"),
        "acquisition/scan_size_x": (number("XScanRange"), units),
        "acquisition/scan_size_y": (number("YScanRange"), units),
        "acquisition/scan_center_x": (number("xCenter"), units),
        "acquisition/scan_center_y": (number("yCenter"), units),
        "probe/name": " ".join(filter(None, (header.get("CantileverType"), header.get("CantileverID")))),
        "probe/bias": (number("Bias"), _unit(header.get("BiasPhysUnit", "V"))),
        "probe/setpoint": number("SetPoint"),
        "probe/setpoint_units": header.get("SetPointPhysUnit"),
        "probe/drive_frequency": number("LockInFreq"),
        "stage/x": (number("XStage"), units),
        "stage/y": (number("YStage"), units),
        "sample/name": header.get("SampleName"),
    }
