"""What lies beside a main and is none: metadata groups, bin frequencies, waveforms, which positions are done."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import h5py
import xarray as xr
from xarray.core import indexing

from sid_xarray.core import metadata as _metadata
from sid_xarray.io import _h5
from sid_xarray.io._filters import whole
from sid_xarray.io.nsid import attributes
from sid_xarray.io.nsid.find import unreadable_dtype
from sid_xarray.io.usid import context
from sid_xarray.io.usid.array import FileArray
from sid_xarray.io.usid.find import Place
from sid_xarray.io.usid.layout import free_name
from sid_xarray.io.usid.sides import Form
from sid_xarray.schema import attrs as names

__all__ = ["DONE", "with_datasets", "with_groups", "with_scalar"]

DONE = "completed_positions"
_LARGEST = 10**6


def with_groups(file: h5py.File, place: Place, ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with what groups of attributes beside its mains say."""
    trees: dict[str, dict[str, Any]] = {}
    for name, obj in place.inside.items():
        if not isinstance(obj, h5py.Group) or name.startswith("_") or context.is_result(obj, name):
            continue
        if attributes.holds_datasets(obj):
            continue
        tree = context.packable(attributes.read_tree(obj))
        if tree:
            trees[name] = tree
    original = trees.pop("original_metadata", {})
    own = trees.pop("metadata", {})
    for var in ds.data_vars.values():
        if original:
            kept = _metadata.unpack(var.attrs.get(names.ORIGINAL_METADATA))
            var.attrs[names.ORIGINAL_METADATA] = _metadata.pack({**kept, **original})
        if own:
            kept = _metadata.unpack(var.attrs.get(names.METADATA))
            var.attrs[names.METADATA] = _metadata.pack({**own, **kept})
        if trees:
            var.attrs[names.OTHER_GROUPS] = _metadata.pack(trees)
    return ds


def with_datasets(
    source: Any, place: Place, ds: xr.Dataset, known: set[int], rows: Sequence[tuple[Form, tuple[Hashable, ...]]]
) -> xr.Dataset:
    """Return the Dataset with other datasets of its group as coordinates; they are not computed, nor aligned.

    Tables, which have fields or labels, are left to whoever shows the rest of a file.

    Parameters
    ----------
    source : CachingFileManager
    place : Place
    ds : Dataset
    known : set of int
        Addresses of mains and of what describes their axes.
    rows : sequence of (Form, dims)
        Of the positions of every main.
    """
    for name, dataset in place.inside.items():
        if not isinstance(dataset, h5py.Dataset) or _h5.address(dataset) in known:
            continue
        if _h5.has_attribute(dataset, "labels"):
            continue
        if dataset.shape is None or 0 in dataset.shape or not _h5.is_stored_here(dataset) or dataset.dtype.names:
            continue
        fitting = [r for r in rows if name == DONE and dataset.shape == (math.prod(r[0].sizes),)]
        if fitting and DONE not in ds.variables:
            ds = _with_done(ds, dataset, *fitting[0])
        elif dataset.ndim == 0:
            ds = with_scalar(ds, name, dataset)
        else:
            ds = _with_array(source, place, ds, name, dataset)
    return ds


def _with_done(ds: xr.Dataset, dataset: h5py.Dataset, rows: Form, dims: tuple[Hashable, ...]) -> xr.Dataset:
    values = whole(dataset) if rows.points is None else whole(dataset)[rows.points]
    return ds.assign_coords({DONE: (dims, values.reshape(rows.sizes))})


def with_scalar(ds: xr.Dataset, name: str, dataset: h5py.Dataset) -> xr.Dataset:
    """Return the Dataset with a dataset of one value in the metadata of its arrays, under ``datasets``."""
    value = attributes.plain(_h5.decoded(whole(dataset)))
    for var in ds.data_vars.values():
        tree = _metadata.unpack(var.attrs.get(names.METADATA))
        level = tree.get("datasets")
        packed = context.packable({name: value})
        tree["datasets"] = {**(level if isinstance(level, dict) else {}), **packed}
        var.attrs[names.METADATA] = _metadata.pack(tree)
    return ds


def _with_array(source: Any, place: Place, ds: xr.Dataset, name: str, dataset: h5py.Dataset) -> xr.Dataset:
    if unreadable_dtype(dataset.dtype):
        return ds
    called = free_name(name, map(str, (*ds.variables, *ds.dims)))
    array = FileArray(source, place.path_of(name), dataset)
    dims = (called,) if dataset.ndim == 1 else tuple(f"{called}_{i}" for i in range(dataset.ndim))
    attrs = {k: v for k, v in _h5.attributes(dataset).items() if k not in context.DECODED}
    plain = {k: v for k, v in attrs.items() if isinstance(v, str | int | float)}
    lazy = xr.Variable(dims, indexing.LazilyIndexedArray(array), plain)
    # An index is read at once.
    small = dataset.ndim == 1 and dataset.size <= _LARGEST and dataset.dtype.kind in "iufO"
    indexes: dict[Any, Any] | None = None if small else {}
    return ds.assign_coords(xr.Coordinates({called: lazy}, indexes=indexes))
