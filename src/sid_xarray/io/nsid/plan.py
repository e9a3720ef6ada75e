"""What one Dataset will be in a file: planned before a file is touched."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import DimensionType, describe
from sid_xarray.errors import FormatError
from sid_xarray.io import _filters
from sid_xarray.io._layout import chunk_shape
from sid_xarray.io._names import link_name, safe_name
from sid_xarray.io.nsid.encode import Encoded, encode_variable
from sid_xarray.io.nsid.layout import MODEL_GROUP, label_for
from sid_xarray.io.nsid.tags import PlannedAttrs, plan_attrs, tagged
from sid_xarray.schema import attrs as names

__all__ = ["GroupPlan", "plan_group"]


@dataclass
class GroupPlan:
    """Everything that will be written for one Dataset.

    Attributes
    ----------
    ds : Dataset
    title : str
        What to call the group, if nobody says.
    array : bool
        Whether it was a DataArray, of the name ``name``.
    types : dict
        From dimension to its type.
    labels : dict
        From dimension to its name on disk.
    disk : dict
        From variable to its name on disk.
    encoded : dict
        From variable to its encoded values.
    attrs : dict
        From variable to its attributes; those of the Dataset itself are in ``own_attrs``.
    options : dict
        Keywords of ``create_dataset``, by variable.
    """

    ds: xr.Dataset
    title: str
    array: bool
    name: Hashable
    types: dict[Hashable, DimensionType] = field(default_factory=dict)
    labels: dict[Hashable, str] = field(default_factory=dict)
    disk: dict[Hashable, str] = field(default_factory=dict)
    encoded: dict[Hashable, Encoded] = field(default_factory=dict)
    attrs: dict[Hashable, PlannedAttrs] = field(default_factory=dict)
    own_attrs: PlannedAttrs = field(default_factory=PlannedAttrs)
    options: dict[Hashable, dict[str, Any]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of values and text, before compression."""
        texts = [v for a in (*self.attrs.values(), self.own_attrs) for v in a.values.values() if isinstance(v, str)]
        return sum(e.nbytes for e in self.encoded.values()) + 4 * sum(map(len, texts)) + 2**16

    @property
    def mains(self) -> list[Hashable]:
        """Variables that the older readers take as mains."""
        return [k for k in self.ds.data_vars if self.encoded[k].main]

    def is_scale(self, key: Hashable) -> bool:
        """Tell whether a coordinate is that of the dimension of its name, and the older readers can take its values.

        A scale of complex numbers makes a whole file unreadable for them.
        """
        if key not in self.ds.dims or key not in self.ds.coords:
            return False
        var = self.ds.variables[key]
        return var.dims == (key,) and var.dtype.kind != "c"


def plan_group(
    obj: xr.DataArray | xr.Dataset, path: str, compression: Any, encoding: Mapping[Hashable, Mapping[str, Any]]
) -> GroupPlan:
    """Plan a group.

    Raises
    ------
    FormatError
        If something cannot be stored, such as a MultiIndex or Python objects.
    ValueError
        If there is no such compression.
    """
    _filters.filters(np.dtype("f8"), compression)
    array = isinstance(obj, xr.DataArray)
    title = _title(obj)
    name = obj.name if isinstance(obj, xr.DataArray) else None
    ds = _as_dataset(obj, name, title) if isinstance(obj, xr.DataArray) else obj
    plan = GroupPlan(ds, title, array, name)
    _check_indexes(ds, path)
    _check_encoding(plan, encoding, path)
    for key in (*ds.variables, *ds.dims, name):
        _check_name(key, path)
    plan.types = describe(ds)
    _name_all(plan)
    for key, var in ds.variables.items():
        plan.encoded[key] = encode_variable(key, var, path)
        if names.CONTENT in ds.attrs:  # columns of a table, sites of atoms: no signals for the older readers
            plan.encoded[key].main = False
        plan.attrs[key] = plan_attrs(var.attrs, path, str(key))
        own = dict(encoding.get(key, {}))
        if array and key in ds.data_vars and not own:
            own = dict(encoding.get(name, {}))
        plan.options[key] = _options(plan, key, compression, own, path)
    if not array:
        plan.own_attrs = plan_attrs(ds.attrs, path, "dataset")
    return plan


def _check_indexes(ds: xr.Dataset, path: str) -> None:
    for key, index in ds.xindexes.items():
        if isinstance(index, xr.indexes.PandasMultiIndex):
            raise FormatError(path, str(key), f"is a MultiIndex. Type: obj.reset_index({key!r})")
        if key not in ds.dims and type(index) is not xr.indexes.PandasIndex:
            kind = type(index).__name__
            raise FormatError(path, str(key), f"has an index of its own kind, {kind}. Type: obj.drop_indexes({key!r})")


def _check_name(key: Hashable, path: str) -> None:
    try:
        tagged(key)
    except ValueError as error:
        raise FormatError(
            path, repr(key), f"a name of type {type(key).__name__} cannot be stored. Type: obj.rename(...)"
        ) from error


def _check_encoding(plan: GroupPlan, encoding: Mapping[Hashable, Mapping[str, Any]], path: str) -> None:
    for key in encoding:
        if key not in plan.ds.variables and not (plan.array and key == plan.name):
            there = ", ".join(map(repr, plan.ds.variables))
            raise FormatError(path, str(key), f"encoding names a variable that is not there; there are {there}")


def _as_dataset(da: xr.DataArray, name: Hashable, title: str) -> xr.Dataset:
    key = name if isinstance(name, str) and name and "/" not in name else link_name(title)
    while key in da.coords or key in da.dims:
        key = f"{key}_data"
    bare = da.copy(deep=False)
    bare.name = key
    return bare.to_dataset()


def _title(obj: xr.DataArray | xr.Dataset) -> str:
    if isinstance(obj, xr.DataArray):
        title = obj.attrs.get(names.TITLE)
        called = obj.name if obj.name is not None and str(obj.name).strip() else None
        return str(called if called is not None else title or obj.attrs.get(names.LONG_NAME) or "data")
    first = next(map(str, obj.data_vars), "data")
    return next(
        (t for t in (obj.attrs.get(names.TITLE), obj.attrs.get("title")) if isinstance(t, str) and t.strip()), first
    )


def _name_all(plan: GroupPlan) -> None:
    """Give every dimension and variable a name on disk: its own, unless a reader would fall over it."""
    ds = plan.ds
    taken: set[str] = {MODEL_GROUP, "metadata", "original_metadata"}

    def take(key: Hashable, name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    wanted = {str(dim) for dim in ds.dims}
    for key in ds.data_vars:
        name = link_name(key) if plan.array else safe_name(key, "data")
        # Dimensions come first: their names are what other programs know them by.
        plan.disk[key] = take(key, name if name not in wanted else f"{name}_data")
    for dim in ds.dims:
        position, ndim = _place(ds, dim)
        plan.labels[dim] = take(dim, label_for(dim, position, ndim, taken))
    for key in ds.coords:
        if plan.is_scale(key):
            plan.disk[key] = plan.labels[key]
        else:
            # The CF attribute `coordinates` is a list with blanks between the names.
            plan.disk[key] = take(key, "_".join(safe_name(key, "coordinate").split()))


def _place(ds: xr.Dataset, dim: Hashable) -> tuple[int, int]:
    where = [(var.dims.index(dim), var.ndim) for var in ds.data_vars.values() if dim in var.dims]
    return (min(p for p, _ in where), max(n for _, n in where)) if where else (0, 1)


def _options(plan: GroupPlan, key: Hashable, compression: Any, own: Mapping[str, Any], path: str) -> dict[str, Any]:
    var, enc = plan.ds.variables[key], plan.encoded[key]
    try:
        found, asked = _filters.options(enc.dtype, compression if enc.dtype.kind in "biufc" else None, own)
        if var.ndim == 0 or plan.is_scale(key) or 0 in var.shape:
            return {}
        if "chunks" in found:
            found["chunks"] = _filters.by_dimension(found["chunks"], dict(zip(var.dims, var.shape, strict=True)))
        else:
            chunks = chunk_shape(var.shape, enc.dtype.itemsize, [plan.types[d] for d in var.dims], var.chunks)
            if chunks is None and not asked:
                return {}
            found["chunks"] = chunks or var.shape
        return _filters.checked(found, var.shape, enc.dtype)
    except ValueError as error:
        raise FormatError(path, str(key), str(error)) from error
