"""Bare arrays (``.npy``) and tables of numbers (``.csv``): they know no units, so you say them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read_csv", "read_npy"]

Dims = Mapping[str, Any]


def read_npy(
    source: Source, *, dims: Dims | None = None, units: str = "1", quantity: str | None = None, name: str | None = None
) -> Iterator[Signal]:
    """Read an array of numbers.

    Parameters
    ----------
    source : Source
    dims : mapping, optional
        One entry a dimension, slow to fast: ``{"y": (0.5, "nm"), "x": (0.5, "nm")}``, steps or positions, as in
        `sid_xarray.dataarray`. Without, axes count 0 … n-1.
    units : str, default: "1"
        Of the values.
    quantity, name : str, optional

    Yields
    ------
    Signal
        Lazy.

    Raises
    ------
    FormatError
        If the file is damaged, cut off, or holds Python objects.
    """
    shape, fortran, dtype, start = _npy_header(source)
    strides = None
    if fortran:
        steps = [dtype.itemsize * int(np.prod(shape[:i], dtype=object)) for i in range(len(shape))]
        strides = tuple(steps)
    data = source.array(dtype, shape, start=start, strides=strides, where="values")
    called = name or quantity or source.name.rpartition(".")[0] or "values"
    yield Signal(called, data, _axes(dims, shape), units, quantity=quantity)


def _npy_header(source: Source) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    raw = io.BytesIO(source.read(0, min(source.size, 2**20)))
    try:
        version = np.lib.format.read_magic(raw)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"version {version} of the format is not known")
        shape, fortran, dtype = read(raw)
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise source.error(f"has a damaged header: {error}") from None
    if dtype.hasobject or dtype.names:
        raise source.error(f"holds {dtype}: only plain numbers are read")
    return shape, fortran, dtype, raw.tell()


def _axes(dims: Dims | None, shape: tuple[int, ...]) -> list[xr.Variable]:
    if dims is None:
        dims = dict.fromkeys(["y", "x"] if len(shape) == 2 else [f"d{i}" for i in range(len(shape))])
    if len(dims) != len(shape):
        raise DimensionError(f"the file has {len(shape)} dimensions of sizes {shape}, dims names {list(dims)}")
    out = []
    for (name, given), size in zip(dims.items(), shape, strict=True):
        parts = given if isinstance(given, tuple) else (given,)
        where, unit, kind = (*parts, None, None)[:3]
        if np.ndim(where) and len(where) != size:
            raise DimensionError(f"dims[{name!r}] has {len(where)} positions for {size} points")
        step = 1.0 if where is None else where
        out.append(axis(name, size, step, units="1" if unit is None else str(unit), kind=kind))
    return out


def read_csv(
    source: Source,
    *,
    dims: Dims | None = None,
    units: str = "1",
    quantity: str | None = None,
    delimiter: str | None = None,
    columns: bool = True,
) -> Iterator[Signal]:
    """Read a table of numbers: columns over the first one, or a matrix.

    Parameters
    ----------
    source : Source
    dims : mapping, optional
        As in `read_npy`. With two dimensions, the table is a matrix.
    units : str, default: "1"
        Of the values, where a title of a column has none in brackets.
    quantity : str, optional
    delimiter : str, optional
        Comma, semicolon, tab or blanks, whichever the first line of numbers has.
    columns : bool, default: True
        The first column is the axis of the others; False for a matrix.

    Yields
    ------
    Signal
        In memory.

    Raises
    ------
    FormatError
        If lines have different numbers of numbers, or there are none.
    """
    titles, table = _table(source, delimiter)
    if (dims is not None and len(dims) == 2) or not columns:
        yield Signal(quantity or source.name.rpartition(".")[0], table, _axes(dims, table.shape), units,
                     quantity=quantity)  # fmt: skip
        return
    x = table[:, 0] if table.shape[1] > 1 else np.arange(len(table), dtype=float)
    start = 1 if table.shape[1] > 1 else 0
    title, unit = _split(titles[0] if titles else "")
    if dims is not None:
        along = _axes(dims, (len(x),))[0]
        if next(iter(dims.values())) is None:
            along = along.copy(data=x)
    else:
        dim = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "x"
        along = axis(dim, len(x), x, units=unit, label=title or None)
    for i in range(start, table.shape[1]):
        name, of = _split(titles[i]) if titles else ("", "1")
        called = name or quantity or (f"column_{i}" if table.shape[1] > 2 else "values")
        yield Signal(called, table[:, i].copy(), [along], of if of != "1" else units, quantity=quantity)


def _split(title: str) -> tuple[str, str]:
    found = re.match(r"^(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*$", title.strip().strip('"'))
    return (found[1].strip(), found[2].strip() or "1") if found else (title.strip().strip('"'), "1")


def _table(source: Source, delimiter: str | None) -> tuple[list[str], np.ndarray[Any, Any]]:
    lines = [line.strip() for line in source.text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    first = next((i for i, line in enumerate(lines) if re.match(r"^[-+.0-9naiNAI]", line) and _numbers(line)), None)
    if first is None:
        raise source.error("holds no lines of numbers")
    mark = delimiter or next((m for m in ("\t", ";", ",") if m in lines[first]), None)
    try:
        table = np.loadtxt(lines[first:], delimiter=mark, ndmin=2)
    except ValueError as error:
        raise source.error(f"has a damaged table: {error}") from None
    titles = lines[first - 1].split(mark) if first else []
    return (titles if len(titles) == table.shape[1] else []), table


def _numbers(line: str) -> bool:
    words = re.split(r"[\s,;]+", line.strip())
    try:
        [float(word) for word in words if word]
    except ValueError:
        return False
    return True
