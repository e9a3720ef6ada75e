"""Write one Dataset into one group: scales, variables, attributes of every format, and the model."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping
from typing import Any

import h5py
import numpy as np

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.dims import data_kind
from sid_xarray.core.history import read as read_history
from sid_xarray.io import _checksums, _digest
from sid_xarray.io._groups import ordered_group
from sid_xarray.io._names import safe_name
from sid_xarray.io._sink import Job
from sid_xarray.io._store import store
from sid_xarray.io.nsid import attributes
from sid_xarray.io.nsid.encode import Encoded
from sid_xarray.io.nsid.history import HISTORY, write_history
from sid_xarray.io.nsid.layout import GENERIC, MODEL_GROUP, NATURAL_MAIN, NATURAL_SCALE
from sid_xarray.io.nsid.model import GROUP_ATTRS, VERSION, load
from sid_xarray.io.nsid.plan import GroupPlan
from sid_xarray.io.nsid.structures import write_structures
from sid_xarray.io.nsid.tags import PlannedAttrs, encode_attrs, tagged
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, records
from sid_xarray.version import __version__

__all__ = ["write_attrs", "write_group"]


def write_group(file: h5py.File, place: str, plan: GroupPlan, *, stamp: Mapping[str, str]) -> None:
    """Write a group that is not there yet; the root is always there."""
    group = file["/"] if place == "/" else ordered_group(file, place)
    ds = plan.ds
    rows: list[dict[str, Any]] = []
    scales: dict[Hashable, h5py.Dataset] = {}
    for dim in ds.dims:
        scales[dim], row = _write_scale(group, plan, dim)
        rows.append(row)
    jobs: list[Job] = []
    for key in [*ds.data_vars, *(c for c in ds.coords if not plan.is_scale(c))]:
        dataset, row = _create(group, plan, key, scales, stamp)
        rows.append(row)
        jobs.append(Job(plan.encoded[key].values, dataset, plan.encoded[key].cast, key))
    order = {key: i for i, key in enumerate([*ds.coords, *ds.data_vars])}
    rows.sort(key=lambda row: order.get(row.pop("key"), -1))
    _decorate(group, plan, stamp)
    reserved = GROUP_ATTRS | {f"{label}_indices" for label in plan.labels.values()}
    own = HISTORY in plan.own_attrs.values
    marked = write_history(group, (plan.ds.variables[key].attrs for key in plan.mains), own=own)
    entries = encode_attrs(group, plan.own_attrs, reserved - {HISTORY} if own else reserved)
    about = {"array": plan.array, "name": tagged(plan.name), "attrs": entries, "variables": rows}
    _write_model(group, about if marked is None else {**about, "history": marked})
    _write_metadata(group, plan, stamp)
    tags = {key: attrs.tags.values() for key, attrs in plan.attrs.items()}
    _checksums.record(group[MODEL_GROUP], tags, store(jobs), lambda key: _digest.of_dataset(scales[key]))


def write_attrs(file: h5py.File, place: str, attrs: PlannedAttrs) -> None:
    """Write the attributes of a node without variables; those that are there already stay or are replaced."""
    group = file.require_group(place)
    old: list[Any] = []
    if MODEL_GROUP in group:
        found = load(group, file.filename, place)
        if found["variables"]:
            return
        old = [entry for entry in found["attrs"] if entry[0] not in [t[0] for t in attrs.tags.values()]]
        del group[MODEL_GROUP]
    entries = encode_attrs(group, attrs, GROUP_ATTRS)
    _write_model(group, {"array": False, "name": None, "attrs": old + entries, "variables": []})


def _write_model(group: h5py.Group, content: dict[str, Any]) -> None:
    inner = ordered_group(group, MODEL_GROUP)
    inner.attrs["sid_xarray_version"] = __version__
    # An array that was opened before knows by this that another one came to its place.
    inner.attrs["id"] = secrets.token_hex(8)
    inner.create_dataset("model", data=records.dumps({"v": VERSION, **content}), dtype=h5py.string_dtype())


def _write_scale(group: h5py.Group, plan: GroupPlan, dim: Hashable) -> tuple[h5py.Dataset, dict[str, Any]]:
    ds, label = plan.ds, plan.labels[dim]
    row: dict[str, Any] = {
        "key": dim,
        "name": tagged(dim),
        "disk": label,
        "dims": [tagged(dim)],
        "coord": True,
        "scale": True,
    }
    enc: Encoded | None = None
    attrs = PlannedAttrs()
    if plan.is_scale(dim):
        enc, attrs = plan.encoded[dim], plan.attrs[dim]
        values = np.asarray(enc.values.values)
        values = values if enc.cast is None else values.astype(enc.cast)
        if dim not in ds.xindexes:
            row["index"] = False
    else:
        values = np.arange(ds.sizes[dim], dtype=float)
        row["placeholder"], row["key"] = True, object()
    # An axis without points would hide the whole main from the older readers anyway; HDF5 can hold it.
    dataset = group.create_dataset(label, data=values, dtype=enc.dtype if enc else None)
    dataset.make_scale(label)
    nsid = {
        "name": label,
        "units": _said(attrs.values.get(names.UNITS)),
        "quantity": _said(attrs.values.get(names.LONG_NAME), str(dim)),
        "dimension_type": str(plan.types[dim]).upper(),
    }
    _finish(dataset, row, enc, attrs, nsid, NATURAL_SCALE)
    return dataset, row


def _create(
    group: h5py.Group, plan: GroupPlan, key: Hashable, scales: dict[Hashable, h5py.Dataset], stamp: Mapping[str, str]
) -> tuple[h5py.Dataset, dict[str, Any]]:
    var, enc, name = plan.ds.variables[key], plan.encoded[key], plan.disk[key]
    dataset = group.create_dataset(name, shape=var.shape, dtype=enc.dtype, **plan.options[key])
    for i, dim in enumerate(var.dims):
        dataset.dims[i].attach_scale(scales[dim])
        dataset.dims[i].label = plan.labels[dim]
    coord = key in plan.ds.coords
    row: dict[str, Any] = {"key": key, "name": tagged(key), "disk": name, "dims": [tagged(d) for d in var.dims]}
    nsid: dict[str, str] = {}
    if coord:
        row["coord"] = True
        if var.dims == (key,):  # has an index, if nobody says otherwise
            row |= {} if key in plan.ds.xindexes else {"index": False}
        elif key in plan.ds.xindexes:
            row["index"] = True
    else:
        heads = read_history(var.attrs).heads
        if heads:
            row["head"] = heads[0]
    if not coord and enc.main:
        title = _said(var.attrs.get(names.TITLE), safe_name(key, "data"))
        nsid = {
            "quantity": _said(var.attrs.get(names.LONG_NAME), safe_name(key, "data")),
            "units": _said(var.attrs.get(names.UNITS)),
            "main_data_name": title,
            "title": title,
            "data_type": kinds.kind_to_nsid(data_kind(plan.ds[key])),
            "modality": _said(var.attrs.get(names.MODALITY)),
            "source": _said(var.attrs.get(names.SOURCE)),
        }
    _finish(dataset, row, enc, plan.attrs[key], nsid, NATURAL_MAIN)
    if nsid:
        dataset.attrs.update(stamp)
    near = [c for c in plan.ds.coords if not plan.is_scale(c) and set(plan.ds.variables[c].dims) <= set(var.dims)]
    if not coord and near:
        dataset.attrs["coordinates"] = " ".join(plan.disk[c] for c in near)
    return dataset, row


def _said(value: Any, default: str = GENERIC) -> str:
    """Return text that every reader can take; what is no such text is left to the model."""
    for text in (value, default):
        if isinstance(text, str) and text.strip() and "\x00" not in text:
            try:
                text.encode()
            except UnicodeEncodeError:
                continue
            return str(text)
    return GENERIC


def _finish(
    dataset: h5py.Dataset,
    row: dict[str, Any],
    enc: Encoded | None,
    attrs: PlannedAttrs,
    nsid: dict[str, str],
    natural: frozenset[str],
) -> None:
    needed = enc.attrs if enc else {}
    # `units` and `source` have the same name and meaning here and there: written once, below.
    mine = attrs.values
    both = [k for k in (names.UNITS, names.SOURCE) if k in nsid and k not in needed]
    shared = {k for k in both if type(mine.get(k)) is str and mine[k] == nsid[k]}
    reserved = natural | set(needed) if nsid else set(needed)
    row["attrs"] = encode_attrs(dataset, attrs, reserved - shared)
    if nsid:
        row["nsid"] = {k: v for k, v in nsid.items() if k not in ("name", "main_data_name", "data_type")}
    if enc and enc.restore is not None:
        row["restore"] = enc.restore
    for name, value in {**nsid, **needed}.items():
        dataset.attrs[name] = value
    if "units" in needed:
        row["time"] = True


def _decorate(group: h5py.Group, plan: GroupPlan, stamp: Mapping[str, str]) -> None:
    if not plan.ds.variables:
        return
    group.attrs.update(stamp)
    if group.name == "/":
        return
    group.attrs["NX_class"] = "NXdata"
    if not plan.mains:
        return
    first = plan.mains[0]
    group.attrs["signal"] = plan.disk[first]
    rest = [plan.disk[k] for k in plan.mains[1:]]
    if rest:
        group.attrs.create("auxiliary_signals", rest, dtype=h5py.string_dtype())
    dims = plan.ds[first].dims
    # NeXus writes a dot for an axis without numbers; a reader computes the steps of the others.
    axes = [plan.labels[d] if _has_numbers(plan, d) else "." for d in dims]
    if axes:
        group.attrs.create("axes", axes, dtype=h5py.string_dtype())
    for i, dim in enumerate(dims):
        if axes[i] != ".":
            group.attrs[f"{plan.labels[dim]}_indices"] = i


def _has_numbers(plan: GroupPlan, dim: Hashable) -> bool:
    return not plan.is_scale(dim) or plan.encoded[dim].dtype.kind in "iuf"


def _write_metadata(group: h5py.Group, plan: GroupPlan, stamp: Mapping[str, str]) -> None:
    """Write metadata and structures as groups, too, for the older readers. Ours is the record in the attribute."""
    holders = [plan.ds.variables[k].attrs for k in plan.mains] + [plan.ds.attrs]
    for attr, name in ((names.METADATA, "metadata"), (names.ORIGINAL_METADATA, "original_metadata")):
        text = next((h[attr] for h in holders if isinstance(h.get(attr), str) and h[attr]), None)
        if text is None:
            continue
        try:
            tree = _metadata.unpack(text)
        except ValueError:
            continue  # not ours to judge: the text itself is stored as it is
        if attr == names.METADATA and plan.mains:
            tree = write_structures(group, tree, stamp)
        if tree:
            attributes.write_tree(group.create_group(name), tree)
