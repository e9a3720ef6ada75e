"""Bare arrays (``.npy``) and tables of numbers (``.csv``): they know no units, so you say them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError
from sid_xarray.io.readers._text import split_unit
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read_csv", "read_npy"]

Dims = Mapping[str, Any]
_FEW_COLUMNS, _MAX_COLUMNS = 16, 1024


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
    if dtype.kind not in "biufc":
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
    columns: bool | None = None,
) -> Iterator[Signal]:
    """Read a table of numbers: columns over the first one, or a matrix.

    Commas may be decimal ones, if another mark stands between the numbers; empty cells are NaN.

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
    columns : bool, optional
        The first column is the axis of the others; False for a matrix. By default a table is a matrix if it has more
        than 16 columns and no titles.

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
    if columns is None:
        columns = bool(titles) or table.shape[1] <= _FEW_COLUMNS
    if (dims is not None and len(dims) == 2) or not columns:
        yield Signal(quantity or source.name.rpartition(".")[0], table, _axes(dims, table.shape), units,
                     quantity=quantity)  # fmt: skip
        return
    if table.shape[1] > _MAX_COLUMNS:
        raise source.error(f"has {table.shape[1]} columns, too many for one variable each. columns=False for a matrix")
    x = table[:, 0] if table.shape[1] > 1 else np.arange(len(table), dtype=float)
    start = 1 if table.shape[1] > 1 else 0
    title, unit = split_unit(titles[0] if titles else "", square=True)
    if dims is not None:
        along = _axes(dims, (len(x),))[0]
        if next(iter(dims.values())) is None:
            along = along.copy(data=x)
    else:
        dim = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "x"
        along = axis(dim, len(x), x, units=unit, label=title or None)
    for i in range(start, table.shape[1]):
        name, of = split_unit(titles[i], square=True) if titles else ("", "1")
        called = name or quantity or (f"column_{i}" if table.shape[1] > 2 else "values")
        yield Signal(called, table[:, i].copy(), [along], of if of != "1" else units, quantity=quantity)


def _table(source: Source, delimiter: str | None) -> tuple[list[str], np.ndarray[Any, Any]]:
    lines = [line for line in source.text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    first = next((i for i, line in enumerate(lines) if _is_numbers(line)), None)
    if first is None:
        raise source.error("holds no lines of numbers")
    mark = delimiter or next((m for m in ("\t", ";", ",") if m in lines[first].strip()), None)
    try:
        table = np.loadtxt(lines[first:], delimiter=mark, ndmin=2)
    except ValueError:
        table = _loose_table(source, lines[first:], mark)
    return _titles(lines[max(first - 2, 0) : first], mark, table.shape[1]), table


def _loose_table(source: Source, lines: list[str], mark: str | None) -> np.ndarray[Any, Any]:
    """Return the numbers of lines with empty cells, quotes or decimal commas."""
    rows = [_cells(line, mark) for line in lines]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            said = f"line {number} has {len(row)} cells, line 1 has {len(rows[0])}"
            raise source.error(f"{said}. It is damaged, or text follows", "table")
    out = np.full((len(rows), len(rows[0])), np.nan)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            try:
                out[i, j] = float((cell if mark == "," else cell.replace(",", ".")) or "nan")
            except ValueError:
                said = f"{cell!r} in line {i + 1}, column {j + 1} is no number"
                raise source.error(f"{said}. delimiter= says what stands between the numbers", "table") from None
    # A mark at the end of every line makes no column.
    return out[:, :-1] if len(rows[0]) > 1 and not any(row[-1] for row in rows) else out


def _cells(line: str, mark: str | None) -> list[str]:
    if mark is None or len(mark) > 1:
        return [cell.strip('"') for cell in line.split(mark)]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]


def _titles(above: list[str], mark: str | None, width: int) -> list[str]:
    """Return the titles of columns: the line above the numbers, with the units of the line below it, if that has."""
    found = [cells[:width] for cells in (_cells(line, mark) for line in above) if len(cells) in (width, width + 1)]
    if not found or len(_cells(above[-1], mark)) not in (width, width + 1):
        return []
    is_units = all(re.fullmatch(r"[(\[].*[)\]]|", cell) for cell in found[-1])
    if is_units and len(found) == 2:
        return [f"{name} {unit}" for name, unit in zip(*found, strict=True)]
    return found[-1]


def _is_numbers(line: str) -> bool:
    words = [word.strip('"') for word in re.split(r"[\s,;]+", line.strip())]
    try:
        return bool([float(word) for word in words if word])
    except ValueError:
        return False
