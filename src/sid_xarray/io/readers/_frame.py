"""From signals to nodes: signals on one grid make one Dataset, with one name for every variable."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sid_xarray.core import metadata as _metadata
from sid_xarray.core import provenance
from sid_xarray.core.adopt import adopt
from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.errors import UnitsError
from sid_xarray.io._layout import read_blocks
from sid_xarray.io._names import safe_name
from sid_xarray.io.readers.signal import Signal
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units as _units
from sid_xarray.schema import vocabulary

__all__ = ["nodes_of"]

Grid = dict[Hashable, xr.Variable]
_MIB = 2**20


def nodes_of(signals: Iterable[Signal], source: Source, reader: str) -> dict[str, xr.Dataset]:
    """Return a Dataset for every grid of a file, by the path of its node; a single one is the root.

    Parameters
    ----------
    signals : iterable of Signal
    source : Source
    reader : str
        Name of the reader, for the record.

    Raises
    ------
    FormatError
        If there is no signal.
    """
    places: list[tuple[str, Grid, dict[str, Signal]]] = []
    for signal in signals:
        _put(places, signal, source)
    if not places:
        raise source.error("holds no data")
    stamp = _fingerprint(source)
    packed: dict[int, str] = {}
    out: dict[str, xr.Dataset] = {}
    alone = len(places) == 1
    for group, _, variables in places:
        first = next(iter(variables.values()))
        path = "/" if alone else f"/{_node(group, first, out)}"
        arrays = {
            name: _array(name, signal, f"{path.rstrip('/')}/{name}", source, reader, stamp, packed)
            for name, signal in variables.items()
        }
        out[path] = _dataset(arrays)
    if not alone:
        out["/"] = xr.Dataset()
    out["/"].attrs["sid_reader"] = reader
    return dict(sorted(out.items(), key=lambda item: item[0] != "/"))


def _node(group: str, first: Signal, taken: Iterable[str]) -> str:
    name = safe_name(group or first.title or first.name, "signal")
    if group and f"/{name}" in taken:  # another grid of the same group
        name = safe_name(f"{group}_{first.name}", "signal")
    return _free(name, taken)


def _put(places: list[tuple[str, Grid, dict[str, Signal]]], signal: Signal, source: Source) -> None:
    shape, expected = tuple(np.shape(signal.data)), tuple(len(one) for one in signal.axes)
    if shape != expected:
        raise source.error(f"has values of shape {shape}, its axes have {expected}", signal.name)
    grid: Grid = {one.dims[0]: one for one in signal.axes}
    if len(grid) != len(signal.axes):
        raise source.error(f"names a dimension twice: {[one.dims[0] for one in signal.axes]}", signal.name)
    for group, known, variables in places:
        if group == signal.group and (group or set(known) == set(grid)) and _fits(known, grid):
            # One axis, one set of positions: those of the first signal.
            signal.axes = [known.setdefault(one.dims[0], one) for one in signal.axes]
            variables[_variable_name(signal, variables, known)] = signal
            return
    variables = {}
    variables[_variable_name(signal, variables, grid)] = signal
    places.append((signal.group, grid, variables))


def _fits(known: Grid, new: Grid) -> bool:
    shared = [dim for dim in new if dim in known]
    return bool(shared or not (known and new)) and all(_same(known[d], new[d]) for d in shared)


def _same(one: xr.Variable, other: xr.Variable) -> bool:
    """Tell whether two axes are the same, be it in other units: some files say nm here and m there."""
    if one is other:
        return True
    if one.shape != other.shape or one.attrs.get(names.DIMENSION_TYPE) != other.attrs.get(names.DIMENSION_TYPE):
        return False
    try:
        factor = _units.convert_factor(str(other.attrs[names.UNITS]), str(one.attrs[names.UNITS]))
    except (KeyError, UnitsError):
        return False
    step = float(np.ptp(one.values)) / max(len(one) - 1, 1) or 1.0
    return bool(np.allclose(other.values * factor, one.values, rtol=0, atol=1e-6 * step))


def _variable_name(signal: Signal, taken: Mapping[str, Any], grid: Grid) -> str:
    name = safe_name(signal.name, "signal")
    busy = {*taken, *map(str, grid), *signal.coords}
    return name if name not in busy else _free(f"{name}_values" if name in grid else name, busy)


def _free(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number if it is taken."""
    busy = {t.strip("/") for t in taken}
    stem, number = name, 0
    while name in busy:
        number += 1
        name = f"{stem}_{number}"
    return name


def _array(
    name: str,
    signal: Signal,
    place: str,
    source: Source,
    reader: str,
    stamp: Mapping[str, Any],
    packed: dict[int, str],
) -> xr.DataArray:
    attrs = _attributes(name, signal, packed)
    data = indexing.LazilyIndexedArray(signal.data) if isinstance(signal.data, BackendArray) else signal.data
    dims = [one.dims[0] for one in signal.axes]
    encoding: dict[str, Any] = {"source": source.path, "sid_h5path": place, "sid_reader": reader}
    encoding |= _chunks(signal.data, dims)
    coords = {one.dims[0]: one for one in signal.axes} | dict(signal.coords)
    lazy = not isinstance(signal.data, np.ndarray)
    out = adopt(xr.DataArray(xr.Variable(dims, data, attrs), coords=coords, name=name))
    identity = {"h5path": place, "size": stamp["size"], "sha256": stamp["sha256"]}
    out = provenance.root(out, "sid:open@1", lazy=lazy, identity=identity, name=stamp["name"], reader=reader)
    out.encoding = {**out.encoding, **encoding}
    return out


def _attributes(name: str, signal: Signal, packed: dict[int, str]) -> dict[str, Any]:
    common = vocabulary.describe(signal.metadata)
    said = {
        names.TITLE: signal.title,
        names.MODALITY: signal.modality,
        names.NAME_ORIGINAL: signal.name if name != signal.name else None,
        names.METADATA: _metadata.pack(common) if common else None,
        names.ORIGINAL_METADATA: _packed(signal.original, packed),
    }
    here = {names.LONG_NAME: signal.quantity or signal.name, names.UNITS: signal.units}
    return here | {key: value for key, value in said.items() if value}


def _chunks(data: Any, dims: list[Hashable]) -> dict[str, Any]:
    """Return the blocks to read an array in, for those who want dask."""
    if not isinstance(data, BackendArray):
        return {}
    lazy: Any = data
    chunks = getattr(lazy, "chunks", None) or read_blocks(lazy.shape, lazy.dtype.itemsize, None)
    return {"preferred_chunks": dict(zip(dims, chunks, strict=True))} if chunks else {}


def _packed(original: Any, known: dict[int, str]) -> str:
    """Return the vendor's words as text; several signals of a file share them."""
    if not original:
        return ""
    if id(original) not in known:
        known[id(original)] = _metadata.pack(original() if callable(original) else original)
    return known[id(original)]


def _dataset(arrays: Mapping[str, xr.DataArray]) -> xr.Dataset:
    coords: dict[Hashable, xr.DataArray] = {}
    for da in arrays.values():
        for key, coord in da.coords.items():
            coords.setdefault(key, coord.reset_coords(drop=True) if key not in da.dims else coord)
    out = xr.Dataset(coords={k: c.variable for k, c in coords.items()})
    for name, da in arrays.items():
        out[name] = da.variable
    return out


def _fingerprint(source: Source) -> dict[str, Any]:
    if source.data is None:
        return file_fingerprint(source.path)
    digest = hashlib.sha256(source.data[:_MIB])
    if source.size > _MIB:
        digest.update(source.data[max(_MIB, source.size - _MIB) :])
    return {"name": source.name, "size": source.size, "sha256": digest.hexdigest()}
