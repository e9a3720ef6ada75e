"""Datasets that are no arrays of a format: tables with a column a field, and plain arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.io import _h5
from sid_xarray.io._layout import read_blocks
from sid_xarray.io.nsid import foreign
from sid_xarray.io.nsid.find import unreadable_dtype
from sid_xarray.io.usid import context
from sid_xarray.io.usid.array import FileArray
from sid_xarray.io.usid.layout import free_name
from sid_xarray.schema import attrs as names

__all__ = ["array", "is_table", "table", "unreadable"]

ROW = "row"
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
_LARGEST_AXIS = 10**6
_DEEPEST = 8


class Column(FileArray):
    """One field of a dataset, which may lie in other fields and be an array itself; or the dataset as it is.

    Parameters
    ----------
    source, place, dataset, pinned
        As of `FileArray`.
    fields : sequence of str
        The way to the field.
    column : int, optional
        Of a matrix, the one column that is meant.
    """

    def __init__(
        self,
        source: Any,
        place: str,
        dataset: h5py.Dataset,
        *,
        fields: Sequence[str] = (),
        column: int | None = None,
        pinned: str | None = None,
    ) -> None:
        super().__init__(source, place, dataset, pinned=pinned)
        self.fields, self.column = tuple(fields), column
        dtype = dataset.dtype
        for name in self.fields:
            dtype = dtype[name]
        self.inner = dtype.shape
        self.letters = dtype.base.kind == "S" or h5py.check_string_dtype(dtype.base) is not None
        self.dtype = np.dtype(object) if self.letters else np.dtype(dtype.base.str)
        if self.fields or column is not None:
            self.dtype = self.dtype.newbyteorder("=")  # pandas takes no other
        self.shape = (dataset.shape[:1] if column is not None else dataset.shape) + self.inner

    def values_of(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Any:
        """Return what a key selects."""
        outer = len(key) - len(self.inner)
        arrays = [isinstance(k, np.ndarray) for k in key[:outer]]
        # HDF5 takes slices at once; lists are sorted out in memory.
        spans = tuple(_hull(k) if listed else k for k, listed in zip(key[:outer], arrays, strict=True))
        if self.column is not None:
            values = dataset[(*spans, self.column)]
        else:
            values = (dataset.fields(self.fields[0]) if self.fields else dataset)[spans]
        for name in self.fields[1:]:
            values = values[name]
        rest = [k - s.start if listed else slice(None) for k, s, listed in zip(key, spans, arrays, strict=False)]
        values = _picked(
            np.asarray(values),
            [*(r for r, k in zip(rest, key, strict=False) if isinstance(k, slice | np.ndarray)), *key[outer:]],
        )
        return _h5.texts(values) if self.letters else values


def _hull(index: Any) -> slice:
    return slice(int(index.min()), int(index.max()) + 1) if index.size else slice(0, 0)


def _picked(values: np.ndarray[Any, Any], key: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Select along one axis after the other."""
    axis = 0
    for k in key:
        values = values[(slice(None),) * axis + (k,)]
        axis += not isinstance(k, int | np.integer)
    return values


def unreadable(dataset: h5py.Dataset) -> str:
    """Say why nothing in a dataset can be shown; empty if something can."""
    if dataset.shape is None:
        return "has no values"
    if not _h5.is_stored_here(dataset):
        return "keeps its values in other files; they are not followed"
    if dataset.dtype.names is None:
        return unreadable_dtype(dataset.dtype)
    return "" if any(True for _ in _fields(dataset.dtype)) else "has no field with plain values"


def is_table(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset has columns: fields, or a matrix with a label for every column."""
    return dataset.dtype.names is not None or bool(_labels(dataset))


def _fields(dtype: np.dtype[Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to every field with plain values."""
    for name in dtype.names or ():
        inner = dtype[name]
        if inner.names is not None:
            if len(above) < _DEEPEST:
                yield from _fields(inner, (*above, name))
        elif not unreadable_dtype(inner.base) and inner.base.names is None:
            yield (*above, name)


def _labels(dataset: h5py.Dataset) -> list[str]:
    """Return the labels of the columns of a matrix; none if it has none, or not as many."""
    if dataset.ndim != 2 or dataset.dtype.kind not in "biufc" or "labels" not in dataset.attrs:
        return []
    said = _h5.attribute(dataset, "labels")
    labels = said if isinstance(said, list) else [said]
    return labels if len(labels) == dataset.shape[1] and all(isinstance(v, str) for v in labels) else []


def table(source: Any, file: h5py.File, path: str, dataset: h5py.Dataset) -> xr.Dataset:
    """Return a table as a Dataset of columns, which are read when they are used.

    Parameters
    ----------
    source : CachingFileManager
    file : h5py.File
    path : str
        HDF5 path of the dataset.
    dataset : h5py.Dataset

    Returns
    -------
    Dataset
        Over the dimension ``row``, if it has one. Units in brackets, as in ``Amplitude [V]``, become units.
    """
    pinned = _h5.pin(file, path)
    labels = _labels(dataset)
    said = _h5.attribute(dataset, "units")
    units = said if labels and isinstance(said, list) and len(said) == len(labels) else [None] * len(labels)
    columns: list[tuple[str, Any, Column]] = [
        (label, unit, Column(source, path, dataset, column=i, pinned=pinned))
        for i, (label, unit) in enumerate(zip(labels, units, strict=True))
    ]
    fields = _fields(dataset.dtype)
    columns += [(".".join(way), None, Column(source, path, dataset, fields=way, pinned=pinned)) for way in fields]
    outer = [ROW] if labels or dataset.ndim == 1 else [f"{ROW}_{i}" for i in range(dataset.ndim)]
    variables: dict[Hashable, xr.Variable] = {}
    taken = set(outer)
    for label, unit, column in columns:
        short, _, bracket = label.partition("[")
        own: dict[Hashable, Any] = {names.UNITS: unit if isinstance(unit, str) else bracket.rstrip("] ") or None}
        own = context.quiet_units(own) if own[names.UNITS] else {}
        name = free_name(short.strip().replace("/", "_") or "column", taken)
        taken.add(name)
        if name != label:
            own[names.NAME_ORIGINAL] = label
        dims = [*outer, *(f"{name}_{i}" for i in range(len(column.inner)))]
        variables[name] = _variable(source, path, dims, column, own, field=label)
    attrs = {k: v for k, v in foreign.group_attrs(dataset).items() if not labels or k not in ("labels", "units")}
    return xr.Dataset(variables, attrs={**attrs, names.TITLE: path.rpartition("/")[2], names.CONTENT: "table"})


def array(source: Any, file: h5py.File, path: str, dataset: h5py.Dataset) -> xr.Dataset:
    """Return a plain array as a Dataset of one variable, with the positions that are attached to its axes."""
    name = path.rpartition("/")[2]
    dims: list[str] = []
    coords: dict[Hashable, xr.Variable] = {}
    for i, size in enumerate(dataset.shape):
        scale = _scale(dataset, i, size)
        label = str(scale.name).rpartition("/")[2] if scale is not None else f"{name}_{i}"
        dim = free_name(label, dims)
        dims.append(dim)
        if scale is not None and dim == label and dim not in coords and _has_positions(scale):
            coords[dim] = foreign.coordinate(dim, scale)
    said = foreign.group_attrs(dataset)
    attrs: dict[Hashable, Any] = {}
    if isinstance(said.get("quantity"), str):
        attrs[names.LONG_NAME] = said.pop("quantity")
    if isinstance(said.get(names.UNITS), str):
        attrs |= context.quiet_units({names.UNITS: said.pop(names.UNITS)})
    attrs |= {k: v for k, v in said.items() if k not in context.DECODED}
    if name in dims and dims != [name]:
        attrs[names.NAME_ORIGINAL] = name
        name = free_name(name, dims)
    column = Column(source, path, dataset, pinned=_h5.pin(file, path))
    var = _variable(source, path, dims, column, attrs)
    return xr.Dataset({name: var}, coords=coords, attrs={names.CONTENT: "arrays"})


def _variable(
    source: Any, path: str, dims: Sequence[str], column: Column, attrs: dict[Hashable, Any], field: str | None = None
) -> xr.Variable:
    encoding: dict[Hashable, Any] = {"source": str(source._args[0]), "sid_h5path": path}
    if field is not None:
        encoding["sid_field"] = field
    blocks = read_blocks(column.shape, max(column.dtype.itemsize, 1), None)
    if blocks:
        encoding["preferred_chunks"] = dict(zip(dims, blocks, strict=True))
    return xr.Variable(tuple(dims), indexing.LazilyIndexedArray(column), attrs, encoding)


def _scale(dataset: h5py.Dataset, i: int, size: int) -> h5py.Dataset | None:
    try:
        dim = dataset.dims[i]
        found = [dim[k] for k in range(len(dim))]
    except Exception:  # noqa: BLE001 - what was attached is gone; HDF5 raises anything
        return None
    fits = [s for s in found if isinstance(s, h5py.Dataset) and s.shape == (size,) and s.name]
    return fits[0] if fits else None


def _has_positions(scale: h5py.Dataset) -> bool:
    said = _h5.text(scale.attrs.get("NAME")) or ""
    small = scale.size <= _LARGEST_AXIS and _h5.is_stored_here(scale) and scale.dtype.names is None
    return small and not said.startswith(_NO_VARIABLE) and not unreadable_dtype(scale.dtype)
