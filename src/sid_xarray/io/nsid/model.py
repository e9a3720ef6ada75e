"""The model beside the mains: what the netCDF view of a group cannot hold, so that reading gives back what was written."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.errors import FormatError, MetadataError
from sid_xarray.io import _h5
from sid_xarray.io.nsid.encode import decode_attrs, restored_dtype, untagged
from sid_xarray.io.nsid.layout import ABSENT, MODEL_GROUP, NATURAL_MAIN, NATURAL_SCALE
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, records

__all__ = ["GROUP_ATTRS", "array_name", "load", "read"]

GROUP_ATTRS = frozenset(
    "NX_class default signal axes auxiliary_signals machine_id platform sidpy_version pyNSID_version timestamp "
    "tool num_source_dsets source_000 source_000_path source_000_file source_000_sha256 algorithm sid_xarray_version".split()
)

# Attributes of the format that mirror ours: an edit by another program is an edit of ours.
_MIRRORS = {"quantity": names.LONG_NAME, "title": names.TITLE, "modality": names.MODALITY}


def load(group: h5py.Group) -> dict[str, Any]:
    """Return the model of a group.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    where = f"{group.name}/{MODEL_GROUP}/model"
    try:
        found = records.loads(_h5.text(group[f"{MODEL_GROUP}/model"][()]) or "")
    except (KeyError, MetadataError) as error:
        raise FormatError(group.file.filename, where, f"is damaged: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("variables"), list) or found.get("v") != 1:
        version = found.get("v") if isinstance(found, dict) else "?"
        raise FormatError(group.file.filename, where, f"has version {version}, this library reads 1. Upgrade it.")
    return found


def array_name(group: h5py.Group) -> tuple[bool, Hashable]:
    """Return whether the group was written from a DataArray, and the name of that."""
    found = load(group)
    return bool(found.get("array")), untagged(found.get("name"))


def read(source: Any, file: h5py.File, path: str) -> xr.Dataset:
    """Read a group that this library wrote: what comes back is what was given.

    Raises
    ------
    FormatError
        If model and file contradict each other.
    """
    group = file[path]
    plan = load(group)
    try:
        return _read(source, file, group, plan)
    except (KeyError, TypeError, IndexError, AttributeError, MetadataError) as error:
        raise FormatError(file.filename, path, f"the model does not fit the file: {error!r}") from error


def _read(source: Any, file: h5py.File, group: h5py.Group, plan: dict[str, Any]) -> xr.Dataset:
    data: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    no_index: set[Hashable] = set()
    for row in plan["variables"]:
        name = untagged(row["name"])
        if row.get("placeholder"):
            continue
        if row["disk"] not in group:
            continue  # removed by another program
        var = _variable(source, group[row["disk"]], row)
        if row.get("coord"):
            coords[name] = var
            if row.get("index") is False:
                no_index.add(name)
        else:
            data[name] = var
    indexed = {k: v for k, v in coords.items() if k not in no_index}
    ds = xr.Dataset(data, coords=indexed)
    if no_index:
        bare = {k: v for k, v in coords.items() if k in no_index}
        ds = ds.assign_coords(xr.Coordinates(bare, indexes={}))
        ds = ds[list(data)] if not set(ds.coords) - set(coords) else ds
    for key, value in decode_attrs(group, plan["attrs"], GROUP_ATTRS).items():
        if not str(key).endswith("_indices") or [key] in plan["attrs"]:
            ds.attrs[key] = value
    ds.encoding["source"] = str(source._args[0])
    origin = _h5.attribute(group, "source_000_path")
    if origin is not None:
        ds.encoding["sid_source"] = str(origin)
    return ds


def _variable(source: Any, dataset: h5py.Dataset, row: dict[str, Any]) -> xr.Variable:
    dims = tuple(untagged(d) for d in row["dims"])
    attrs = _attrs(dataset, row)
    if dataset.shape is None or len(dims) != dataset.ndim or not _h5.is_safe(dataset):
        raise FormatError(dataset.file.filename, dataset.name, "is not the array that the model describes")
    cast = restored_dtype(dataset.dtype, row.get("restore"))
    text = _h5.is_text(dataset) and dataset.dtype.kind == "O"
    if row.get("coord") and dataset.ndim <= 1 and dims == (untagged(row["name"]),):
        values = dataset.asstr()[()] if text else dataset[()]
        return xr.Variable(dims, values if cast is None else np.asarray(values).astype(cast), attrs)
    array = _h5.H5Array(source, dataset.name, dataset.shape, dataset.dtype, cast=cast, text=text)
    encoding: dict[Hashable, Any] = {"source": str(source._args[0]), "sid_h5path": str(dataset.name)}
    if dataset.chunks:
        encoding["preferred_chunks"] = dict(zip(dims, dataset.chunks, strict=True))
    from sid_xarray.core.history import read as read_history

    head = read_history(attrs).heads
    if head:
        encoding["sid_head"] = head[0]
    return xr.Variable(dims, indexing.LazilyIndexedArray(array), attrs, encoding)


def _attrs(dataset: h5py.Dataset, row: dict[str, Any]) -> dict[Hashable, Any]:
    written: dict[str, Any] = row.get("nsid", {})
    decoration = (NATURAL_SCALE if row.get("scale") else NATURAL_MAIN) | set(written)
    kept = {entry[0] for entry in row["attrs"] if len(entry) == 1}
    attrs = decode_attrs(dataset, row["attrs"], frozenset(decoration - kept))
    if row.get("time"):
        return attrs
    for name, old in written.items():
        new = _h5.attribute(dataset, name)
        if new == old or not isinstance(new, str) or name in kept:
            continue
        if name in _MIRRORS:
            _edit(attrs, _MIRRORS[name], new)
        elif name in (names.UNITS, names.SOURCE):
            _edit(attrs, name, new)
        elif name == "dimension_type" and (kind := kinds.parse_dimension_type(new)) is not None:
            attrs[names.DIMENSION_TYPE] = kind
    return attrs


def _edit(attrs: dict[Hashable, Any], key: str, value: str) -> None:
    if value.strip().lower() in ABSENT:
        attrs.pop(key, None)
    else:
        attrs[key] = value
