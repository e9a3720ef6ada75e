"""One Dataset in one group: planned before a file is touched, then written."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.dims import data_kind, describe
from sid_xarray.errors import FormatError
from sid_xarray.io._layout import chunk_shape, filters
from sid_xarray.io._store import store
from sid_xarray.io.nsid import attributes
from sid_xarray.io.nsid.encode import Encoded, encode_attrs, encode_variable, tagged
from sid_xarray.io.nsid.layout import GENERIC, MODEL_GROUP, NATURAL_MAIN, NATURAL_SCALE, label_for, link_name
from sid_xarray.io.nsid.model import GROUP_ATTRS
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, records
from sid_xarray.version import __version__

__all__ = ["GroupPlan", "plan_group", "write_group"]


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
    labels : dict
        From dimension to its name on disk.
    disk : dict
        From variable to its name on disk.
    encoded : dict
        From variable to its encoded values.
    options : dict
        Keywords of ``create_dataset``, by variable.
    """

    ds: xr.Dataset
    title: str
    array: bool
    name: Hashable
    labels: dict[Hashable, str] = field(default_factory=dict)
    disk: dict[Hashable, str] = field(default_factory=dict)
    encoded: dict[Hashable, Encoded] = field(default_factory=dict)
    options: dict[Hashable, dict[str, Any]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the values, before compression."""
        return int(sum(e.data.size * (e.dtype.itemsize or 16) for e in self.encoded.values()))

    @property
    def mains(self) -> list[Hashable]:
        """Variables that the older readers take as mains."""
        return [k for k in self.ds.data_vars if self.encoded[k].main]


def plan_group(
    obj: xr.DataArray | xr.Dataset, path: str, compression: Any, encoding: Mapping[Hashable, Mapping[str, Any]]
) -> GroupPlan:
    """Plan a group.

    Raises
    ------
    FormatError
        If something cannot be stored, such as a MultiIndex or Python objects.
    """
    array = isinstance(obj, xr.DataArray)
    title = _title(obj)
    name = obj.name if isinstance(obj, xr.DataArray) else None
    ds = _as_dataset(obj, name, title) if isinstance(obj, xr.DataArray) else obj
    for key, index in ds.xindexes.items():
        if isinstance(index.to_pandas_index() if hasattr(index, "to_pandas_index") else None, pd.MultiIndex):
            raise FormatError(path, str(key), f"is a MultiIndex. Type: obj.reset_index({key!r})")
    plan = GroupPlan(ds, title, array, name)
    unknown = [k for k in encoding if k not in ds.variables and k != name]
    if unknown:
        raise FormatError(path, str(unknown[0]), f"encoding names a variable that is not there; there are {list(ds.variables)}")
    _name_all(plan)
    for key, var in ds.variables.items():
        plan.encoded[key] = encode_variable(key, var, path)
        own = dict(encoding.get(key, {}))
        if array and key in ds.data_vars and not own:
            own = dict(encoding.get(name, {}))
        plan.options[key] = _options(plan, key, compression, own)
    return plan


def _as_dataset(da: xr.DataArray, name: Hashable, title: str) -> xr.Dataset:
    key = name if isinstance(name, str) and name and name not in da.coords else link_name(title)
    while key in da.coords or key in da.dims:
        key = f"{key}_data"
    return da._to_temp_dataset().rename({next(iter(da._to_temp_dataset().data_vars)): key})


def _title(obj: xr.DataArray | xr.Dataset) -> str:
    if isinstance(obj, xr.DataArray):
        title = obj.attrs.get(names.TITLE)
        return str(obj.name or title or obj.attrs.get(names.LONG_NAME) or "data")
    return str(obj.attrs.get(names.TITLE) or obj.attrs.get("title") or next(map(str, obj.data_vars), "data"))


def _name_all(plan: GroupPlan) -> None:
    """Give every dimension and variable a name on disk: its own, unless a reader would fall over it."""
    ds = plan.ds
    taken: set[str] = set()
    for key in ds.data_vars:
        name = link_name(key, "data") if plan.array else str(key).replace("/", "_").strip() or "data"
        name = name if name not in (".", MODEL_GROUP) else "data"
        while name in taken:
            name += "_"
        plan.disk[key] = name
        taken.add(name)
    for dim in ds.dims:
        position, ndim = _place(ds, dim)
        label = label_for(dim, position, ndim, taken)
        plan.labels[dim] = label
        taken.add(label)
    for key in ds.coords:
        if key in ds.dims:
            plan.disk[key] = plan.labels[key]
            continue
        # The CF attribute `coordinates` is a list with blanks between the names.
        name = "_".join(str(key).replace("/", "_").split()) or "coordinate"
        while name in taken or name in (".", MODEL_GROUP):
            name += "_"
        plan.disk[key] = name
        taken.add(name)


def _place(ds: xr.Dataset, dim: Hashable) -> tuple[int, int]:
    where = [(var.dims.index(dim), var.ndim) for var in ds.data_vars.values() if dim in var.dims]
    return (min(p for p, _ in where), max(n for _, n in where)) if where else (0, 1)


def _options(plan: GroupPlan, key: Hashable, compression: Any, own: dict[str, Any]) -> dict[str, Any]:
    var, enc = plan.ds.variables[key], plan.encoded[key]
    if var.ndim == 0 or key in plan.ds.dims or 0 in var.shape:
        return own
    types = describe(plan.ds)
    out: dict[str, Any] = {}
    itemsize = enc.dtype.itemsize
    chunks = chunk_shape(var.shape, itemsize, [types[d] for d in var.dims], var.chunks)
    extra = filters(enc.dtype, compression) if enc.dtype.kind in "biufc" else {}
    if chunks is not None:
        out |= {"chunks": chunks, **extra}
    elif compression != "auto" and extra:
        out |= {"chunks": var.shape, **extra}
    return {**out, **own}


def write_group(file: h5py.File, place: str, plan: GroupPlan, *, stamp: dict[str, str]) -> None:
    """Write a group: scales, variables, attributes of every format, and the model."""
    group = file.create_group(place, track_order=True)
    ds = plan.ds
    types = describe(ds)
    rows: list[dict[str, Any]] = []
    scales: dict[Hashable, h5py.Dataset] = {}
    for dim in ds.dims:
        scales[dim], row = _write_scale(group, plan, dim, str(types[dim]))
        rows.append(row)
    targets: list[tuple[Any, h5py.Dataset]] = []
    for key in [*ds.data_vars, *(c for c in ds.coords if c not in ds.dims)]:
        dataset, row = _create(group, plan, key, scales, stamp)
        rows.append(row)
        targets.append((plan.encoded[key].data, dataset))
    order = {key: i for i, key in enumerate([*ds.coords, *ds.data_vars])}
    rows.sort(key=lambda row: order.get(row.pop("key"), -1))
    _decorate(group, plan, stamp)
    entries = encode_attrs(group, ds.attrs if not plan.array else {}, GROUP_ATTRS)
    model = {"v": 1, "array": plan.array, "name": tagged(plan.name), "attrs": entries, "variables": rows}
    inner = group.create_group(MODEL_GROUP)
    inner.attrs["sid_xarray_version"] = __version__
    inner.create_dataset("model", data=records.dumps(model), dtype=h5py.string_dtype())
    _write_metadata(group, plan)
    store(targets)


def _write_scale(group: h5py.Group, plan: GroupPlan, dim: Hashable, kind: str) -> tuple[h5py.Dataset, dict[str, Any]]:
    ds, label = plan.ds, plan.labels[dim]
    present = dim in ds.coords
    row: dict[str, Any] = {"key": dim, "name": tagged(dim), "disk": label, "dims": [tagged(dim)], "coord": True, "scale": True}
    if present:
        enc = plan.encoded[dim]
        values, dtype, attrs = np.asarray(enc.data), enc.dtype, ds[dim].attrs
        if dim not in ds.xindexes:
            row["index"] = False
    else:
        enc = Encoded(None, np.dtype("f8"))
        values, dtype, attrs = np.arange(ds.sizes[dim], dtype=float), np.dtype("f8"), {}
        row["placeholder"] = True
    # An axis without points would hide the whole main from the older readers anyway; HDF5 can hold it.
    dataset = group.create_dataset(label, data=values, dtype=dtype)
    dataset.make_scale(label)
    nsid = {
        "name": label,
        "units": _said(attrs.get(names.UNITS)),
        "quantity": _said(attrs.get(names.LONG_NAME), str(dim)),
        "dimension_type": kind.upper(),
    }
    _finish(dataset, row, enc, attrs, nsid, NATURAL_SCALE)
    return dataset, row


def _create(
    group: h5py.Group, plan: GroupPlan, key: Hashable, scales: dict[Hashable, h5py.Dataset], stamp: dict[str, str]
) -> tuple[h5py.Dataset, dict[str, Any]]:
    var, enc, name = plan.ds.variables[key], plan.encoded[key], plan.disk[key]
    dataset = group.create_dataset(name, shape=var.shape, dtype=enc.dtype, **plan.options[key])
    for i, dim in enumerate(var.dims):
        dataset.dims[i].attach_scale(scales[dim])
        dataset.dims[i].label = plan.labels[dim]
    coord = key in plan.ds.coords
    row: dict[str, Any] = {"key": key, "name": tagged(key), "disk": name, "dims": [tagged(d) for d in var.dims]}
    if coord:
        row["coord"] = True
    nsid: dict[str, str] = {}
    if not coord and enc.main:
        da = plan.ds[key]
        title = str(var.attrs.get(names.TITLE) or key)
        nsid = {
            "quantity": _said(var.attrs.get(names.LONG_NAME), str(key)),
            "units": _said(var.attrs.get(names.UNITS)),
            "main_data_name": title,
            "title": title,
            "data_type": kinds.kind_to_nsid(data_kind(da)),
            "modality": _said(var.attrs.get(names.MODALITY)),
            "source": _said(var.attrs.get(names.SOURCE)),
            **stamp,
        }
    _finish(dataset, row, enc, var.attrs, nsid, NATURAL_MAIN)
    attached = [plan.disk[c] for c in plan.ds.coords if c not in plan.ds.dims and set(plan.ds[c].dims) <= set(var.dims)]
    if not coord and attached:
        dataset.attrs["coordinates"] = " ".join(attached)
    return dataset, row


def _said(value: Any, default: str = GENERIC) -> str:
    text = value if isinstance(value, str) and "\x00" not in value else ""
    text = text if text.strip() else default
    return text if text.strip() and "\x00" not in text else GENERIC


def _finish(
    dataset: h5py.Dataset,
    row: dict[str, Any],
    enc: Encoded,
    attrs: Mapping[Any, Any],
    nsid: dict[str, str],
    natural: frozenset[str],
) -> None:
    # `units` and `source` have the same name and meaning here and there: written once, below.
    shared = {k for k in (names.UNITS, names.SOURCE) if k in nsid and attrs.get(k) == nsid[k] and type(attrs[k]) is str}
    row["attrs"] = encode_attrs(dataset, attrs, (natural | set(enc.attrs)) - shared)
    row["nsid"] = nsid
    if enc.restore is not None:
        row["restore"] = enc.restore
    for name, value in {**nsid, **enc.attrs}.items():
        dataset.attrs[name] = value
    if "units" in enc.attrs:
        row["time"] = True


def _decorate(group: h5py.Group, plan: GroupPlan, stamp: dict[str, str]) -> None:
    for key, value in stamp.items():
        group.attrs[key] = value
    group.attrs["NX_class"] = "NXdata"
    if not plan.mains:
        return
    first = plan.mains[0]
    group.attrs["signal"] = plan.disk[first]
    rest = [plan.disk[k] for k in plan.mains[1:]]
    if rest:
        group.attrs.create("auxiliary_signals", rest, dtype=h5py.string_dtype())
    axes = [plan.labels[d] for d in plan.ds[first].dims]
    if axes:
        group.attrs.create("axes", axes, dtype=h5py.string_dtype())
    for i, label in enumerate(axes):
        group.attrs[f"{label}_indices"] = i


def _write_metadata(group: h5py.Group, plan: GroupPlan) -> None:
    """Write metadata as groups, too: what the older readers show. Ours is the record in the attribute."""
    holders = [plan.ds[k] for k in plan.mains] + [plan.ds]
    for attr, name in ((names.METADATA, "metadata"), (names.ORIGINAL_METADATA, "original_metadata")):
        text = next((h.attrs[attr] for h in holders if isinstance(h.attrs.get(attr), str)), None)
        if text:
            try:
                tree = _metadata.unpack(text)
            except ValueError:
                continue
            taken = name in group
            if tree and not taken:
                attributes.write_tree(group.create_group(name), tree)
