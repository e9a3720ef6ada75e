"""The model beside the mains: what the netCDF view cannot hold, so that reading gives back what was written."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.core.provenance import HEAD
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._assemble import dataset as dataset_of
from sid_xarray.io._filters import with_filters
from sid_xarray.io._layout import read_blocks
from sid_xarray.io._lazy import H5Array
from sid_xarray.io._places import load_model
from sid_xarray.io.nsid.encode import restored_dtype
from sid_xarray.io.nsid.find import Main, Place
from sid_xarray.io.nsid.foreign import variables_of
from sid_xarray.io.nsid.history import HISTORY, edited
from sid_xarray.io.nsid.layout import ABSENT, MODEL, NATURAL_MAIN, NATURAL_SCALE
from sid_xarray.io.nsid.tags import decode_attrs, untagged
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["GROUP_ATTRS", "VERSION", "load", "read", "slash_free"]

VERSION = 1
GROUP_ATTRS = frozenset(
    "NX_class default signal axes auxiliary_signals machine_id platform sidpy_version pyNSID_version timestamp "
    "history tool num_source_dsets source_000 source_000_path source_000_file source_000_sha256 algorithm".split()
)

# Attributes of the format that mirror ours: an edit by another program is an edit of ours.
_MIRRORS = {"quantity": names.LONG_NAME, "title": names.TITLE, "modality": names.MODALITY}


load = functools.partial(load_model, name=MODEL, version=VERSION)
"""Return the model of a group, given the group, the file and its path there."""


def read(source: Any, place: Place) -> tuple[xr.Dataset, list[str]]:
    """Read a group that this library wrote: what comes back is what was given.

    Returns
    -------
    ds : Dataset
    problems : list of str
        Of what other programs put beside.

    Raises
    ------
    FormatError
        If the model is damaged or contradicts the file.
    """
    path = str(source._args[0])
    place.plan = plan = load(place.group, path, place.path, held=place.own.get(MODEL))
    try:
        return _read(source, place, plan)
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(path, place.path, f"the model does not fit the file: {_h5.first_line(error)}") from error


def _read(source: Any, place: Place, plan: dict[str, Any]) -> tuple[xr.Dataset, list[str]]:
    data: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    indexed: dict[Hashable, bool | None] = {}
    for row in plan["variables"]:
        dataset = place.inside.get(row["disk"])
        # Removed by another program, or only there for those who need a scale.
        if not isinstance(dataset, h5py.Dataset) or row.get("placeholder"):
            continue
        name = untagged(row["name"])
        var = _variable(source, place, dataset, row)
        (coords if row.get("coord") else data)[name] = var
        indexed[name] = row.get("index")
    problems = _added(source, place, plan, data)
    ds = dataset_of(
        data, coords, (k for k, v in coords.items() if indexed[k] or (indexed[k] is None and v.dims == (k,)))
    )
    nexus = {f"{row['disk']}_indices" for row in plan["variables"] if row.get("scale")}
    ds.attrs = decode_attrs(place.group, plan["attrs"], GROUP_ATTRS | nexus)
    if HISTORY not in ds.attrs and (text := edited(place.group, plan.get(HISTORY))) is not None:
        ds.attrs[HISTORY] = text
    origin = _h5.attribute(place.group, "source_000_path")
    if origin is not None:
        ds.encoding["sid_source"] = str(origin)
    if plan.get("array"):
        ds.encoding["sid_array"] = (untagged(plan.get("name")),)
    return ds, problems


def _variable(source: Any, place: Place, dataset: h5py.Dataset, row: dict[str, Any]) -> xr.Variable:
    dims = tuple(untagged(d) for d in row["dims"])
    path = place.path_of(row["disk"])
    attrs = _attrs(dataset, row)
    if dataset.shape is None or len(dims) != len(dataset.shape) or not _h5.is_stored_here(dataset):
        raise FormatError(str(source._args[0]), path, "is not the array that the model describes")
    cast, dtype = restored_dtype(row.get("restore")), dataset.dtype
    inner = row.get("coord") and len(dims) == 1 and (dims == (untagged(row["name"]),) or row.get("index"))
    if inner and cast is None and dtype.kind in "iuf" and dtype.metadata is None:
        # As most axes are: xarray takes numbers as they are.
        return xr.Variable(dims, with_filters(dataset, lambda: np.asarray(dataset[()])), attrs, fastpath=True)
    array = H5Array(source, path, dataset, cast=cast, pinned=place.pinned)
    if inner:
        values = with_filters(dataset, lambda: array.fetch(dataset, ()) if array.text else np.asarray(dataset[()]))
        values = values.astype(array.dtype, copy=False)
        return xr.Variable(dims, values, attrs, fastpath=values.dtype.kind in "iuf")
    encoding: dict[Hashable, Any] = {"source": str(source._args[0]), "sid_h5path": path}
    blocks = read_blocks(dataset.shape, array.dtype.itemsize, dataset.chunks)
    if blocks:
        encoding["preferred_chunks"] = dict(zip(dims, blocks, strict=True))
    if "head" in row:
        encoding[HEAD] = str(row["head"])
    return xr.Variable(dims, indexing.LazilyIndexedArray(array), attrs, encoding, fastpath=True)


def _attrs(dataset: h5py.Dataset, row: dict[str, Any]) -> dict[Hashable, Any]:
    written: dict[str, Any] = row.get("nsid", {})
    if written:
        decoration = (NATURAL_SCALE if row.get("scale") else NATURAL_MAIN) | set(written)
    else:
        decoration = frozenset()
    if row.get("time"):
        decoration |= {names.UNITS}  # of the encoding: "nanoseconds since …"
    kept = {entry[0] for entry in row["attrs"] if len(entry) == 1}
    attrs = decode_attrs(dataset, row["attrs"], decoration - kept)
    if row.get("time"):
        return attrs
    for name, old in written.items():
        if name in kept:
            continue
        new = _h5.attribute(dataset, name)
        if not isinstance(new, str) or new == old:
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


def _added(source: Any, place: Place, plan: dict[str, Any], data: dict[Hashable, xr.Variable]) -> list[str]:
    """Take in the mains that another program put into our group, if they lie on its axes."""
    known = {row["disk"] for row in plan["variables"]}
    dims = {row["disk"]: untagged(row["name"]) for row in plan["variables"] if row.get("scale")}
    problems = place.complete(but=known)
    for main in place.mains:
        if main.name in known:
            continue
        if not _fits(main, place, dims) or main.name in data:
            problems.append(
                f"{place.path_of(main.name)}: was added by another program and lies on axes of its own: left out"
            )
            continue
        found, more = variables_of(source, place, main)
        problems += more
        for key, var in found.items():
            data[key] = var._replace(dims=tuple(dims[label] for label in main.labels))
    return problems


def _fits(main: Main, place: Place, dims: dict[str, Hashable]) -> bool:
    axes = zip(main.labels, main.dataset.shape, strict=True)
    return all(label in dims and place.inside[label].shape == (size,) for label, size in axes)


def slash_free(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with names that a tree can hold; what they were stands in ``sid_name_original``."""
    slashed = [k for k in (*ds.variables, *ds.dims) if isinstance(k, str) and "/" in k]
    if not slashed:
        return ds
    new = dict(_free(slashed, {str(k) for k in (*ds.variables, *ds.dims)}))
    out = ds.rename(new)
    for old, name in new.items():
        if name in out.variables:
            out[name].attrs[names.NAME_ORIGINAL] = old
    return out


def _free(keys: list[str], taken: set[str]) -> Iterator[tuple[str, str]]:
    for key in dict.fromkeys(keys):
        name = key.replace("/", "_")
        while name in taken:
            name += "_"
        taken.add(name)
        yield key, name
