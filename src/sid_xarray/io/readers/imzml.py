"""Imaging mass spectrometry (``.imzML`` with ``.ibd``), by pyimzML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read", "sniff"]

_DTYPES = {"f": "<f4", "d": "<f8", "i": "<i4", "l": "<i8"}


def sniff(head: bytes, path: str) -> bool:
    """Tell whether an XML file is one of imaging mass spectrometry."""
    return b"<mzML" in head[:4096] and path.lower().endswith(".imzml")


def read(source: Source) -> Iterator[Signal]:
    """Read the spectra over (y, x, mz). Row 0 is the top; pixels without a spectrum are NaN.

    Parameters
    ----------
    source : Source
        The ``.imzML``; the ``.ibd`` is looked for beside it.

    Yields
    ------
    Signal
        Lazy, if every pixel has its spectrum and they lie one after the other.

    Raises
    ------
    FormatError
        If the ``.ibd`` is missing or too short, or every pixel has masses of its own.
    """
    from pyimzml.ImzMLParser import ImzMLParser

    beside = source.beside(source.name[: -len(source.suffix)] + ".ibd")
    if beside is None:
        raise source.error("needs its file of values (.ibd) beside it")
    if b"<!DOCTYPE" in source.head:
        raise source.error("declares a document type: refused")
    with source.on_disk(beside.name) as path:
        parser = ImzMLParser(path, ibd_file=None)
    offsets, lengths = np.asarray(parser.intensityOffsets), np.asarray(parser.intensityLengths)
    if not len(offsets):
        raise source.error("lists no spectra")
    if len(set(parser.mzOffsets)) != 1 or len(set(lengths.tolist())) != 1:
        raise source.error("holds 'processed' spectra, each with masses of its own: no common axis. Bin them first")
    count = int(lengths[0])
    kind = _DTYPES[parser.intensityPrecision]
    masses = beside.numbers(_DTYPES[parser.mzPrecision], count, start=int(parser.mzOffsets[0]), where="m/z")
    places = np.asarray([c[:2] for c in parser.coordinates], int)
    low = places.min(axis=0)
    nx, ny = places.max(axis=0) - low + 1
    steps = [_size(parser, d) for d in "yx"]
    axes = [
        axis("y", ny, steps[0] or 1.0, (low[1] - 1) * (steps[0] or 1.0), units="um" if steps[0] else "1",
             kind="spatial"),
        axis("x", nx, steps[1] or 1.0, (low[0] - 1) * (steps[1] or 1.0), units="um" if steps[1] else "1",
             kind="spatial"),
        axis("mz", count, masses, units="u", kind="spectral", label="m/z"),
    ]  # fmt: skip
    data = _values(beside, kind, (int(ny), int(nx), count), offsets, places - low)
    said = {str(k): v for k, v in parser.imzmldict.items()}
    said |= {"polarity": parser.polarity, "spectrum_mode": parser.spectrum_mode}
    metadata = {"instrument/technique": "imaging mass spectrometry"}
    yield Signal("intensity", data, axes, "count", modality="MSI", metadata=metadata, original=said)


def _size(parser: Any, d: str) -> float:
    value = parser.imzmldict.get(f"pixel size {d}") or parser.imzmldict.get("pixel size x")
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _values(beside: Source, kind: str, shape: tuple[int, ...], offsets: Any, places: Any) -> Any:
    ny, nx, count = shape
    width = np.dtype(kind).itemsize
    raster = np.array_equal(places, np.stack(np.meshgrid(np.arange(nx), np.arange(ny)), axis=-1).reshape(-1, 2))
    steps = np.diff(offsets)
    if raster and (not len(steps) or (steps == steps[0]).all()):
        step = int(steps[0]) if len(steps) else width * count
        return beside.array(kind, shape, start=int(offsets[0]), strides=(step * nx, step, width), where="intensities")
    if ny * nx * count > 2**28 or ny * nx > 16 * len(places) + 1024:
        raise beside.error(f"would make {ny} × {nx} × {count} values, most of them empty")
    for start in offsets:
        beside.check(int(start), width * count, "intensities")
    out = np.full(shape, np.nan, dtype=np.result_type(kind, np.float32))
    for start, (x, y) in zip(offsets, places, strict=True):
        out[y, x] = beside.numbers(kind, count, start=int(start), where="intensities")
    return out
