"""The model beside the mains: what two dimensions and tables of positions cannot hold, so that nothing is lost."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterable
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.core.provenance import HEAD
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._assemble import dataset as dataset_of
from sid_xarray.io._layout import read_blocks
from sid_xarray.io._lazy import FileArray
from sid_xarray.io._places import load_model
from sid_xarray.io.nsid.encode import restored_dtype
from sid_xarray.io.nsid.history import HISTORY, edited
from sid_xarray.io.nsid.tags import decode_attrs, untagged
from sid_xarray.io.usid.array import GridArray, grid_chunks
from sid_xarray.io.usid.find import Place
from sid_xarray.io.usid.layout import ABSENT, BOOKKEEPING, MODEL, NATURAL_MAIN, POSITION, RESULT_ATTRS
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["VERSION", "load", "read"]

VERSION = 1
_AT_ONCE = 2**20
_MIRRORS = {"quantity": names.LONG_NAME, "units": names.UNITS}
_GROUP_ATTRS = BOOKKEEPING | RESULT_ATTRS | {HISTORY}


load = functools.partial(load_model, name=MODEL, version=VERSION)
"""Return the model of a group, given the group, the file and its path there."""


def read(source: Any, file: h5py.File, place: Place) -> tuple[xr.Dataset, set[str]]:
    """Read a group that this library wrote: what comes back is what was given.

    Returns
    -------
    ds : Dataset
    members : set of str
        Paths of the mains that it consists of.

    Raises
    ------
    FormatError
        If the model is damaged or contradicts the file.
    """
    path = str(source._args[0])
    place.plan = plan = load(place.group, path, place.path, held=place.own.get(MODEL))
    try:
        return _Model(source, file, place, plan).dataset()
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(path, place.path, f"the model does not fit the file: {_h5.first_line(error)}") from error


class _Model:
    """A model at work."""

    def __init__(self, source: Any, file: h5py.File, place: Place, plan: dict[str, Any]) -> None:
        self.source, self.file, self.place, self.plan = source, file, place, plan
        self.path = str(source._args[0])
        self.tables: dict[int, Any] = {}
        self.said: dict[int, dict[str, Any]] = {}

    def dataset(self) -> tuple[xr.Dataset, set[str]]:
        data: dict[Hashable, xr.Variable] = {}
        coords: dict[Hashable, xr.Variable] = {}
        flags: dict[Hashable, bool | None] = {}
        members: set[str] = set()
        for row in self.plan["variables"]:
            name = untagged(row["name"])
            if "column" in row:
                var: xr.Variable | None = self._column(row)
            else:
                var = self._stored(row, members)
            if var is None:
                continue  # removed by another program
            (coords if row.get("coord") else data)[name] = var
            flags[name] = row.get("index")
        ds = dataset_of(data, coords, (k for k in coords if flags[k]))
        group = self.place.group
        ignored = _GROUP_ATTRS | set(self.plan.get("natural", ()))
        own = {entry[0] for entry in self.plan["attrs"] if len(entry) == 1}
        ds.attrs = decode_attrs(group, self.plan["attrs"], ignored - own)
        if HISTORY not in ds.attrs and (text := edited(group, self.plan.get(HISTORY))) is not None:
            ds.attrs[HISTORY] = text
        origin = _h5.attribute(group, "source_000_path")
        if origin is not None:
            ds.encoding["sid_source"] = str(origin)
        if self.plan.get("array"):
            ds.encoding["sid_array"] = (untagged(self.plan.get("name")),)
        return ds, members

    def _find(self, name: str) -> tuple[str, h5py.Dataset | None]:
        path = name if name.startswith("/") else self.place.path_of(name)
        # Not `or`: to ask whether a dataset is true opens it.
        found = self.place.inside[name] if name in self.place.inside else _h5.find(self.file, path)
        return path, found if isinstance(found, h5py.Dataset) else None

    def _stored(self, row: dict[str, Any], members: set[str]) -> xr.Variable | None:
        """Read a main, or an array that lies beside them since it can be none."""
        path, dataset = self._find(row["disk"])
        if dataset is None:
            return None
        if dataset.shape is None or not _h5.is_stored_here(dataset):
            raise FormatError(self.path, path, "is not the array that the model describes")
        dims = tuple(untagged(d) for d in row["dims"])
        cast = restored_dtype(row.get("restore"))
        pinned = _h5.pin(self.file, path) if "/" in row["disk"] else self.place.pinned
        array: FileArray
        chunks = dataset.chunks
        if "sides" in row:
            members.add(path)
            array, chunks = self._grid(row, path, dataset, dims, cast, pinned)
            attrs = decode_attrs(dataset, row["attrs"], (NATURAL_MAIN | set(row.get("natural", ()))) - _kept(row))
            _mirror(attrs, row["usid"], {k: _h5.attribute(dataset, k) for k in row["usid"]})
        else:
            array = FileArray(self.source, path, dataset, cast=cast, pinned=pinned)
            attrs = _untagged_attrs(row)
        if len(dims) != len(array.shape):
            raise FormatError(self.path, path, "is not the array that the model describes")
        if row.get("coord") and dims == (untagged(row["name"]),):
            values = array.values_of(dataset, (slice(None),)).astype(array.dtype, copy=False)
            return xr.Variable(dims, values, attrs)
        encoding: dict[Hashable, Any] = {"source": self.path, "sid_h5path": path}
        if "field" in row:
            encoding["sid_field"] = str(row["field"])
        blocks = read_blocks(array.shape, max(array.dtype.itemsize, 1), chunks)
        if blocks:
            encoding["preferred_chunks"] = dict(zip(dims, blocks, strict=True))
        if "head" in row:
            encoding[HEAD] = str(row["head"])
        return xr.Variable(dims, indexing.LazilyIndexedArray(array), attrs, encoding, fastpath=True)

    def _grid(
        self, row: dict[str, Any], path: str, dataset: h5py.Dataset, dims: tuple[Any, ...], cast: Any, pinned: Any
    ) -> tuple[GridArray, tuple[int, ...] | None]:
        sides = [self.plan["sides"][i] for i in row["sides"]]
        sizes = tuple(tuple(int(n) for n in side["sizes"]) for side in sides)
        if dataset.shape != tuple(math.prod(part) for part in sizes):
            raise FormatError(self.path, path, f"has the shape {dataset.shape}, not that of the model")
        there = [untagged(d) for side in sides for d in side["dims"]]
        axes = [there.index(d) if d in there else None for d in dims]
        array = GridArray(
            self.source,
            path,
            dataset,
            sizes=(sizes[0], sizes[1]),
            axes=axes,
            field=row.get("field"),
            cast=cast,
            pinned=pinned,
        )
        if len(set(axes) - {None}) != len(there):
            raise FormatError(self.path, path, "has other dimensions than the model")
        chunks = grid_chunks((sizes[0], sizes[1]), dataset.chunks)
        return array, None if chunks is None else tuple(1 if a is None else chunks[a] for a in axes)

    def _part(self, dataset: h5py.Dataset, where: slice, k: int, *, position: bool) -> Any:
        """Return one column of a table; a small table is read at once, and for all its columns."""
        table: Any = dataset
        if dataset.size <= _AT_ONCE:
            if _h5.address(dataset) not in self.tables:
                self.tables[_h5.address(dataset)] = dataset[()]
            table = self.tables[_h5.address(dataset)]
        return table[where, k] if position else table[k, where]

    def _column(self, row: dict[str, Any]) -> xr.Variable | None:
        """Read a coordinate from the table of a side; positions along one axis repeat there."""
        side, k = self.plan["sides"][row["side"]], int(row["column"])
        _, dataset = self._find(side["indices" if row.get("indices") else "values"])
        if dataset is None:
            return None
        sizes, axes = [int(n) for n in side["sizes"]], [int(a) for a in row["axes"]]
        position = side["kind"] == POSITION
        shape = (math.prod(sizes), len(side["labels"]))
        if dataset.shape != (shape if position else shape[::-1]):
            raise FormatError(self.path, str(dataset.name), f"has the shape {dataset.shape}, not that of the model")
        if len(axes) == 1:
            stride = math.prod(sizes[axes[0] + 1 :])
            where = slice(0, stride * sizes[axes[0]], stride)
            values = self._part(dataset, where, k, position=position)
        else:
            values = self._part(dataset, slice(None), k, position=position).reshape(sizes)
            values = values[tuple(slice(None) if a in axes else 0 for a in range(len(sizes)))]
        dims = tuple(untagged(d) for d in row["dims"])
        if "order" in row:
            order = tuple(untagged(d) for d in row["order"])
            values, dims = values.transpose([dims.index(d) for d in order]), order
        dtype = np.dtype(row["dtype"])
        if dtype.kind not in "biuf" or dtype.hasobject or len(dims) != values.ndim:
            raise FormatError(self.path, str(dataset.name), "the model names a dtype that is never written")
        attrs = _untagged_attrs(row)
        written = row.get("usid", {})
        said = self._said(dataset, written)
        found = {name: v[k] for name, v in said.items() if isinstance(v, list) and len(v) > k}
        _mirror(attrs, written, found)
        # xarray takes numbers as they are.
        return xr.Variable(dims, values.astype(dtype), attrs, fastpath=True)

    def _said(self, dataset: h5py.Dataset, names: Iterable[str]) -> dict[str, Any]:
        """Return attributes of a table, which its columns share."""
        known = self.said.setdefault(_h5.address(dataset), {})
        for name in names:
            if name not in known:
                known[name] = _h5.attribute(dataset, name)
        return known


def _kept(row: dict[str, Any]) -> set[Any]:
    return {entry[0] for entry in row["attrs"] if len(entry) == 1}


def _untagged_attrs(row: dict[str, Any]) -> dict[Any, Any]:
    return {untagged(key): untagged(value) for key, value in row["attrs"]}


def _mirror(attrs: dict[Any, Any], written: dict[str, Any], found: dict[str, Any]) -> None:
    """Take over what another program changed in the attributes of the format."""
    for name, old in written.items():
        new = found.get(name)
        if new == old or not isinstance(new, str):
            continue
        if name == "dimension_type":
            kind = kinds.parse_dimension_type(new)
            if kind is not None:
                attrs[names.DIMENSION_TYPE] = kind
        elif new.strip().lower() in ABSENT:
            attrs.pop(_MIRRORS[name], None)
        else:
            attrs[_MIRRORS[name]] = new
