"""Write one Dataset into one group: tables of both sides, mains, what can be no main, and the model."""

from __future__ import annotations

import re
import secrets
from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import h5py
import numpy as np

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.history import read as read_history
from sid_xarray.errors import MetadataError
from sid_xarray.io import _checksums, _digest, _h5
from sid_xarray.io._filters import filters, whole
from sid_xarray.io._groups import ordered_group
from sid_xarray.io._layout import chunk_shape
from sid_xarray.io._sink import Job
from sid_xarray.io._store import store
from sid_xarray.io.nsid import attributes
from sid_xarray.io.nsid.history import HISTORY, write_cf
from sid_xarray.io.nsid.tags import PlannedAttrs, encode_attrs, tagged
from sid_xarray.io.usid.layout import BOOKKEEPING, LINKS, MODEL, NATURAL_MAIN, POSITION, RESULT_ATTRS, SIDES
from sid_xarray.io.usid.model import VERSION, load
from sid_xarray.io.usid.plan import Column, GroupPlan, SidePlan
from sid_xarray.io.usid.target import Raster
from sid_xarray.schema import attrs as names
from sid_xarray.schema import records
from sid_xarray.version import __version__

__all__ = ["Pair", "write_attrs", "write_group"]

Pair = tuple[h5py.Dataset, h5py.Dataset]
_ROWS = 2**20
_INCOMPLETE = 1
_MAX_NATURAL = 60_000


def write_group(
    file: h5py.File, place: str, plan: GroupPlan, *, stamp: Mapping[str, str], reuse: Sequence[Pair] = ()
) -> None:
    """Write a group that is not there yet.

    Parameters
    ----------
    file : h5py.File
    place : str
        A Measurement gets one Channel for every main; any other group holds them itself.
    plan : GroupPlan
    stamp : mapping
        Book-keeping attributes.
    reuse : sequence of pair of h5py.Dataset
        Tables that are there already; they are linked where they say the same.
    """
    group = ordered_group(file, place)
    group.attrs.update(stamp)
    pairs = [_write_side(group, side, i, plan.sides, reuse) for i, side in enumerate(plan.sides)]
    rows: list[dict[str, Any]] = []
    jobs: list[Job] = []
    channels = re.search(r"(^|/)Measurement_\d+$", place) is not None
    inner = ordered_group(group, _h5.PIN)
    one = None if plan.compound is None else _write_compound(group, plan, pairs, stamp, channels=channels)
    jobs += [] if one is None else [one[1]]
    for key in plan.ds.variables:
        if key in plan.mains and one is not None:
            row, job = _field_row(plan, key, one[0]), None
        elif key in plan.mains:
            row, job = _write_main(group, plan, key, pairs, stamp, channels=channels)
        elif key in plan.natural:
            row, job = _column_row(plan, key), None
        else:
            row, job = _write_beside(inner, plan, key)
        rows.append(row)
        jobs += [] if job is None else [job]
    own = _GROUP | _natural_names(plan.base.own_attrs)
    told = HISTORY in plan.base.own_attrs.values
    marked = None if told else write_cf(group, (plan.ds.variables[key].attrs for key in plan.mains))
    entries = encode_attrs(group, plan.base.own_attrs, _GROUP - {HISTORY} if told else _GROUP)
    natural = _write_metadata(file, place, plan, own)
    sides = [_side_row(side, pair, place) for side, pair in zip(plan.sides, pairs, strict=True)]
    content = {"array": plan.base.array, "name": tagged(plan.base.name), "attrs": entries, "natural": natural}
    content |= {} if marked is None else {HISTORY: marked}
    _write_model(inner, {**content, "sides": sides, "variables": rows})
    tags = {key: attrs.tags.values() for key, attrs in plan.base.attrs.items()}
    sums = store(jobs)

    def other(key: Hashable) -> _digest.Sum:
        # Fields share the checksum of the main that holds them all.
        return sums[_COMPOUND] if key in plan.mains else _digest.of_values(plan.ds.variables[key].values)

    _checksums.record(inner, tags, sums, other)


_COMPOUND: Hashable = object()
"""Name of the job that writes all variables in one main; no variable is called that."""
_GROUP = BOOKKEEPING | RESULT_ATTRS | {HISTORY}


def _natural_names(attrs: PlannedAttrs) -> set[Any]:
    return {k for k in attrs.values if isinstance(k, str)}


def write_attrs(file: h5py.File, place: str, attrs: PlannedAttrs) -> None:
    """Write the attributes of a node without variables; those that are there already stay or are replaced."""
    group = file.require_group(place)
    old: list[Any] = []
    inner = group.require_group(_h5.PIN)
    if MODEL in inner:
        found = load(group, file.filename, place)
        if found["variables"]:
            return
        old = [entry for entry in found["attrs"] if entry[0] not in [t[0] for t in attrs.tags.values()]]
        del inner[MODEL]
    entries = encode_attrs(group, attrs, _GROUP)
    _write_model(inner, {"array": False, "name": None, "attrs": old + entries, "sides": [], "variables": []})


def _write_model(inner: h5py.Group, content: dict[str, Any]) -> None:
    inner.attrs["sid_xarray_version"] = __version__
    if "id" not in inner.attrs:
        # An array that was opened before knows by this that another one came to its place.
        inner.attrs["id"] = secrets.token_hex(8)
    inner.create_dataset(MODEL, data=records.dumps({"v": VERSION, **content}), dtype=h5py.string_dtype())


def _write_side(group: h5py.Group, side: SidePlan, i: int, sides: Sequence[SidePlan], reuse: Sequence[Pair]) -> Pair:
    for pair in reuse:
        if _says_the_same(side, pair):
            return pair
    number = sum(s.kind == side.kind for s in sides[:i])
    suffix = f"_{number}" if number else ""
    out: list[h5py.Dataset] = []
    for name, dtype in zip(LINKS[side.kind], ("u4", "f8"), strict=True):
        shape = _table_shape(side)
        chunks = chunk_shape(shape, np.dtype(dtype).itemsize, ("spatial", "spectral"))
        packed = {} if chunks is None else {"chunks": chunks, **filters(np.dtype(dtype), 1)}
        out.append(group.create_dataset(name + suffix, shape, dtype, **packed))
    for start in range(0, side.count, _ROWS):
        stop = min(start + _ROWS, side.count)
        where = slice(start, stop) if side.kind == POSITION else (slice(None), slice(start, stop))
        for dataset, table in zip(out, _tables(side, start, stop), strict=True):
            dataset[where] = table if side.kind == POSITION else table.T
    for dataset in out:
        for name, value in _table_attrs(side).items():
            dataset.attrs[name] = value
    return out[0], out[1]


def _table_shape(side: SidePlan) -> tuple[int, int]:
    count = len(side.columns)
    return (side.count, count) if side.kind == POSITION else (count, side.count)


def _tables(side: SidePlan, start: int, stop: int) -> tuple[Any, Any]:
    """Return indices and values of some points, one column a dimension."""
    points = np.arange(start, stop)
    where = np.unravel_index(points, side.sizes) if side.sizes else ()
    indices, values = [], []
    for k, column in enumerate(side.columns):
        if column.indices is not None:
            indices.append(column.indices[start:stop])
        else:
            indices.append(where[k] if side.sizes else np.zeros(len(points)))
        values.append(np.broadcast_to(column.values[tuple(where[a] for a in column.axes)], points.shape))
    return np.stack(indices, axis=1).astype("u4"), np.stack(values, axis=1)


def _table_attrs(side: SidePlan) -> dict[str, Any]:
    columns = side.columns
    attrs = {
        "labels": _fixed([c.label for c in columns]),
        "units": _fixed([c.units for c in columns]),
        "type": np.full(len(columns), _INCOMPLETE if side.sparse else 0, dtype="i8"),
    }
    if side.sparse:
        attrs["incomplete_dimensions"] = attrs["labels"]
    text = h5py.string_dtype()
    attrs["quantity"] = np.array([c.quantity for c in columns], dtype=text)
    attrs["dimension_type"] = np.array([c.type.upper() for c in columns], dtype=text)
    return attrs


def _fixed(texts: Sequence[str]) -> Any:
    """Return text as the older readers write it: UTF-8 in bytes of one length."""
    encoded = [t.encode() for t in texts]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}")


def _says_the_same(side: SidePlan, pair: Pair) -> bool:
    """Tell whether tables that are there say what we would write."""
    wanted = _table_attrs(side)
    for dataset in pair:
        if dataset.shape != _table_shape(side) or side.count > _ROWS or dataset.dtype.kind not in "iuf":
            return False
        for name in ("labels", "units"):
            if not np.array_equal(np.asarray(_h5.raw_attribute(dataset, name)), wanted[name]):
                return False
        if ("incomplete_dimensions" in dataset.attrs) != side.sparse or "dependent_dimensions" in dataset.attrs:
            return False
        for name in ("quantity", "dimension_type"):
            if _h5.attribute(dataset, name) != list(wanted[name]):
                return False
    tables = _tables(side, 0, side.count)
    return all(
        np.array_equal(whole(d), t if side.kind == POSITION else t.T, equal_nan=True)
        for d, t in zip(pair, tables, strict=True)
    )


def _write_main(
    group: h5py.Group,
    plan: GroupPlan,
    key: Hashable,
    pairs: Sequence[Pair],
    stamp: Mapping[str, str],
    *,
    channels: bool,
) -> tuple[dict[str, Any], Job]:
    main, var, enc = plan.mains[key], plan.ds.variables[key], plan.base.encoded[key]
    sides = [plan.sides[i] for i in main.sides]
    disk = main.link
    if channels:
        channel = f"Channel_{list(plan.mains).index(key):03d}"
        group.require_group(channel).attrs.update(stamp)
        disk = f"{channel}/{main.link}"
    dataset = group.create_dataset(disk, tuple(s.count for s in sides), enc.dtype, **main.options)
    for kind, i in zip(SIDES, main.sides, strict=True):
        for name, table in zip(LINKS[kind], pairs[i], strict=True):
            dataset.attrs[name] = table.ref
    usid = {
        "quantity": _plain(var.attrs.get(names.LONG_NAME)) or _plain(str(key)) or "unknown",
        "units": _plain(var.attrs.get(names.UNITS)),
    }
    dataset.attrs.update({**usid, **stamp})
    attrs = plan.base.attrs[key]
    row: dict[str, Any] = {"name": tagged(key), "disk": disk, "dims": [tagged(d) for d in var.dims]}
    row |= {"sides": list(main.sides), "usid": usid, "attrs": encode_attrs(dataset, attrs, NATURAL_MAIN)}
    row["natural"] = _write_flat(dataset, _free_metadata(var.attrs), NATURAL_MAIN | _natural_names(attrs))
    if enc.restore is not None:
        row["restore"] = enc.restore
    heads = read_history(var.attrs).heads
    if heads:
        row["head"] = heads[0]
    there = [d for side in sides for d in side.dims]
    axes = [there.index(d) if d in there else None for d in var.dims]
    raster = Raster((sides[0].sizes, sides[1].sizes), tuple(axes))
    return row, Job(enc.values, dataset, enc.cast, key, raster)


def _write_compound(
    group: h5py.Group, plan: GroupPlan, pairs: Sequence[Pair], stamp: Mapping[str, str], *, channels: bool
) -> tuple[str, Job]:
    """Write one main of all variables, and return where it is."""
    compound, base = plan.compound, plan.base
    assert compound is not None
    sides = [plan.sides[i] for i in compound.sides]
    disk = compound.link
    if channels:
        group.require_group("Channel_000").attrs.update(stamp)
        disk = f"Channel_000/{disk}"
    dtype = compound.dtype(base)
    dataset = group.create_dataset(disk, tuple(s.count for s in sides), dtype, **compound.options)
    for kind, i in zip(SIDES, compound.sides, strict=True):
        for name, table in zip(LINKS[kind], pairs[i], strict=True):
            dataset.attrs[name] = table.ref
    dataset.attrs.update({"quantity": _plain(compound.link), "units": "compound", **stamp})
    values = compound.values(base)
    there = [d for side in sides for d in side.dims]
    axes = [there.index(d) if d in there else None for d in values.dims]
    return disk, Job(values, dataset, name=_COMPOUND, weaver=Raster((sides[0].sizes, sides[1].sizes), tuple(axes)))


def _field_row(plan: GroupPlan, key: Hashable, disk: str) -> dict[str, Any]:
    compound, var = plan.compound, plan.ds.variables[key]
    assert compound is not None
    row: dict[str, Any] = {"name": tagged(key), "disk": disk, "dims": [tagged(d) for d in var.dims]}
    row |= {"field": compound.fields[key], "sides": list(compound.sides), "usid": {}}
    # All fields share the attributes of the main: only the model can tell them apart.
    row["attrs"] = [list(plan.base.attrs[key].tags[k]) for k in plan.base.attrs[key].values]
    if plan.base.encoded[key].restore is not None:
        row["restore"] = plan.base.encoded[key].restore
    heads = read_history(var.attrs).heads
    return {**row, "head": heads[0]} if heads else row


def _plain(value: Any) -> str:
    """Return text that no older reader cuts: the first bracket ends the quantity for one of them."""
    text = value if isinstance(value, str) and "\x00" not in value else ""
    return text.encode(errors="replace").decode().replace("(", "[").replace(")", "]")


def _write_beside(inner: h5py.Group, plan: GroupPlan, key: Hashable) -> tuple[dict[str, Any], Job]:
    """Write what can be no main: text, times, coordinates over both sides, arrays without points."""
    var, enc = plan.ds.variables[key], plan.base.encoded[key]
    name = f"arrays/{sum(len(g) for n, g in inner.items() if n == 'arrays')}"
    dataset = inner.create_dataset(name, var.shape, enc.dtype)
    row: dict[str, Any] = {"name": tagged(key), "disk": f"{_h5.PIN}/{name}", "dims": [tagged(d) for d in var.dims]}
    row["attrs"] = [list(plan.base.attrs[key].tags[k]) for k in plan.base.attrs[key].values]
    if enc.restore is not None:
        row["restore"] = enc.restore
    if key in plan.ds.coords:
        row |= {"coord": True, "index": key in plan.ds.xindexes}
    else:
        heads = read_history(var.attrs).heads
        row |= {"head": heads[0]} if heads else {}
    return row, Job(enc.values, dataset, enc.cast, key)


def _column_row(plan: GroupPlan, key: Hashable) -> dict[str, Any]:
    var = plan.ds.variables[key]
    i, k, column, indices = next(
        (i, k, c, key == c.indices_key and c.indices_key is not None)
        for i, side in enumerate(plan.sides)
        for k, c in enumerate(side.columns)
        if key in (c.key, c.indices_key)
    )
    side = plan.sides[i]
    row: dict[str, Any] = {"name": tagged(key), "coord": True, "index": key in plan.ds.xindexes, "side": i, "column": k}
    row |= {"axes": list(column.axes), "dims": [tagged(side.dims[a]) for a in column.axes], "dtype": var.dtype.str}
    row["attrs"] = [list(plan.base.attrs[key].tags[k]) for k in plan.base.attrs[key].values]
    if list(var.dims) != [side.dims[a] for a in column.axes]:
        row["order"] = [tagged(d) for d in var.dims]
    if indices:
        return {**row, "indices": True}
    return {**row, "usid": _written(column)}


def _written(column: Column) -> dict[str, str]:
    return {"units": column.units, "quantity": column.quantity, "dimension_type": column.type.upper()}


def _side_row(side: SidePlan, pair: Pair, place: str) -> dict[str, Any]:
    def path(dataset: h5py.Dataset) -> str:
        name = str(dataset.name)
        return name[len(place) + 1 :] if name.startswith(f"{place}/") else name

    return {
        "kind": side.kind,
        "dims": [tagged(d) for d in side.dims],
        "sizes": list(side.sizes),
        "labels": [c.label for c in side.columns],
        "indices": path(pair[0]),
        "values": path(pair[1]),
    }


def _metadata_of(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    try:
        return _metadata.unpack(attrs.get(names.METADATA))
    except MetadataError:
        return {}


def _free_metadata(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    tree = _metadata_of(attrs)
    return {k: v for k, v in tree.items() if k not in ("measurement", "channel", "result") or not isinstance(v, dict)}


def _write_metadata(file: h5py.File, place: str, plan: GroupPlan, taken: AbstractSet[Any]) -> list[str]:
    """Write parameters where the older readers look for them: on the groups. Ours is the record in the attribute."""
    holders = [*(plan.ds.variables[k].attrs for k in plan.mains), plan.ds.attrs]
    tree = next((t for t in map(_metadata_of, holders) if t), {})
    natural: list[str] = []
    parts = place.strip("/").split("/")
    for level, where in (("measurement", "/" + parts[0]), ("channel", place), ("result", place)):
        content = tree.get(level)
        if isinstance(content, dict) and (level != "measurement" or parts[0].startswith("Measurement")):
            own = where == place
            written = _write_flat(file[where], content, taken if own else _GROUP)
            natural += written if own else []
    return natural


def _write_flat(obj: h5py.Group | h5py.Dataset, tree: Mapping[str, Any], taken: AbstractSet[Any]) -> list[str]:
    """Write nested entries as flat attributes, as far as HDF5 can hold them, and return their names."""
    written: list[str] = []
    for key, value in _flat(tree):
        if key in taken or key in obj.attrs or key.startswith("sid_"):
            continue
        if isinstance(value, str) and len(value) > _MAX_NATURAL:
            continue
        if value is not None and attributes.write_attribute(obj, key, value):
            written.append(key)
    return written


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}-{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            out += _flat(value, name)
        elif name and "\x00" not in name:
            out.append((name, value))
    return out
