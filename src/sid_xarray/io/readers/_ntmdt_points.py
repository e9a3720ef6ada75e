"""Spectra at points in an NT-MDT file: a frame that is a little archive of curves with an index in XML."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read"]

_MAX_BLOCKS = 1_000_000


def read(source: Source, start: int, end: int, where: str, date: str) -> Iterator[Signal]:
    """Read curves: one signal a quantity and direction, over (point, axis).

    Parameters
    ----------
    source : Source
    start, end : int
        The bytes of the frame after its header.
    where, date : str
        Of the frame.

    Yields
    ------
    Signal
        In memory; points have their positions as coordinates. Curves of different length go into groups of their own.

    Raises
    ------
    FormatError
        If the index does not fit what is there.
    """
    blocks = _blocks(source, start, end, where)
    if "index.xml" not in blocks:
        raise source.error("has no index of its curves", where)
    index = _index(source, blocks["index.xml"], where)
    names = {e.get("index", ""): (e.get("name", ""), e.get("unit", "")) for e in index.iter("Name")}
    axes = {e.get("index", ""): e for e in index.iter("Axis")}
    points = {e.get("index", ""): e for e in index.iter("Point")}
    measured = {e.get("index", ""): e for e in index.iter("Meas")}
    groups: dict[tuple[Any, ...], list[tuple[str, np.ndarray[Any, Any]]]] = {}
    for key in points:
        for curve in _curves_of(source, blocks, key, where):
            meas = measured.get(str(curve))
            block = blocks.get(f"data{curve}.dat")
            if meas is None or block is None:
                raise source.error(f"has no curve {curve}, which point {key} names", where)
            values = source.numbers("<f8", block[1] // 8, start=block[0], where=where)
            kind = (*(meas.get(a, "") for a in ("name", "pass", "inverse0", "axis0")), values.size)
            groups.setdefault(kind, []).append((key, values))
    if not groups:
        raise source.error("has no curves", where)
    for (name, number, inverse, along, size), curves in groups.items():
        quantity, units = names.get(name, ("signal", ""))
        yield _signal(source, where, date, quantity, units, (number, inverse), axes.get(along), names, points, curves,
                      size)  # fmt: skip


def _blocks(source: Source, start: int, end: int, where: str) -> dict[str, tuple[int, int]]:
    """Return where every block starts and how long it is, by name."""

    def inside(here: int, count: int) -> bytes:
        if here + count > end:
            raise source.error("has a damaged list of blocks", where)
        return source.read(here, count, where)

    (count,) = struct.unpack("<I", inside(start, 4))
    if count > _MAX_BLOCKS or start + 4 + 8 * count > end:
        raise source.error(f"says that it has {count} blocks", where)
    sizes = np.frombuffer(inside(start + 4, 8 * count), "<u4").reshape(count, 2).astype(np.int64)
    here = start + 4 + 8 * count
    names = []
    for length in sizes[:, 0].tolist():
        names.append(inside(here, length).decode("latin-1").strip("\0"))
        here += length
    out = {}
    for name, length in zip(names, sizes[:, 1].tolist(), strict=True):
        if here + length > end:
            raise source.error(f"is too short for its block {name!r}", where)
        out[name] = (here, length)
        here += length
    return out


def _index(source: Source, block: tuple[int, int], where: str) -> ET.Element:
    raw = source.read(*block, where)
    if b"<!DOCTYPE" in raw[:4096]:
        raise source.error("declares a document type: refused", where)
    try:
        return ET.fromstring(raw)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise source.error(f"has a damaged index: {error}", where) from None


def _curves_of(source: Source, blocks: dict[str, tuple[int, int]], point: str, where: str) -> list[int]:
    block = blocks.get(f"point{point}.dat")
    if block is None:
        return []
    return [int(n) for n in source.numbers("<u4", block[1] // 4, start=block[0], where=where)]


def _signal(
    source: Source, where: str, date: str, quantity: str, units: str, run: tuple[str, str], along: ET.Element | None,
    names: dict[str, tuple[str, str]], points: dict[str, ET.Element], curves: list[tuple[str, Any]], size: int,
) -> Signal:  # fmt: skip
    number, inverse = run
    word = "backward" if inverse == "1" else "forward"
    positions, called, axis_units = np.arange(size, dtype=float), "point of the curve", "1"
    if along is not None:
        try:
            begin, stop, value = (float(along.get(key, "0")) for key in ("start", "stop", "value"))
        except ValueError:
            raise source.error(f"has a damaged axis {along.attrib}", where) from None
        positions = np.linspace(begin, stop, size) - value
        called, axis_units = names.get(along.get("name", ""), ("axis", ""))
        positions = positions[::-1] if inverse == "1" else positions
    dim = "".join(c if c.isalnum() else "_" for c in called.lower()).strip("_") or "axis"
    dim = {"x": "x_axis", "y": "y_axis", "bvvalue": "bias"}.get(dim, dim)
    xy = [
        (float(points[key].get("x", "nan")), float(points[key].get("y", "nan")), points[key].get("unit", ""))
        for key, _ in curves
    ]
    length = _units.normalise(xy[0][2] or "1").canonical
    coords = {
        f"{d}_position": xr.Variable(("point",), [p[i] for p in xy], {"units": length}) for i, d in enumerate("xy")
    }
    values = np.stack([v for _, v in curves])
    return Signal(
        f"{quantity}_{word}" + (f"_{number}" if number not in ("", "0") else ""),
        values,
        [
            axis("point", len(curves), np.array([_point(key) for key, _ in curves]), kind="point_cloud"),
            axis(dim, size, positions, units=_units.normalise(axis_units or "1").canonical, kind="spectral",
                 label=called),
        ],
        _units.normalise(units or "1").canonical,
        quantity=quantity,
        group=f"{where} {word} {size}".replace(" ", "_"),
        modality="SPM",
        metadata={"instrument/vendor": "NT-MDT", "acquisition/start_time": date,
                  "acquisition/line_direction": word},
        original={"frame": where, "date": date},
        coords=coords,
    )  # fmt: skip


def _point(key: str) -> float:
    return float(key) if key.isdigit() else float("nan")
