"""What a file holds beside the arrays of its formats, so that nothing is invisible: tables, arrays, groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr

from sid_xarray.io import _h5, _nodes, _tables
from sid_xarray.io._filters import whole
from sid_xarray.io._links import DAMAGED, broken
from sid_xarray.io._places import Found
from sid_xarray.io.nsid import attributes, foreign
from sid_xarray.io.nsid.layout import MODEL
from sid_xarray.io.usid import context
from sid_xarray.io.usid.extras import DONE, with_scalar
from sid_xarray.io.usid.find import linked
from sid_xarray.io.usid.layout import LINKS, SIDES, free_name
from sid_xarray.io.usid.layout import MODEL as USID_MODEL
from sid_xarray.io.usid.read import put
from sid_xarray.schema import attrs as names

__all__ = ["NOT_SHOWN", "add_rest"]

NOT_SHOWN = "sid_not_shown"
"""Attribute of the root: what lies in the file and cannot be an array, one a line."""

Members = dict[str, h5py.Group | h5py.Dataset]
_TABLES = tuple(name for side in SIDES for name in LINKS[side])
_MODELS = (MODEL, USID_MODEL)
# Of our own groups: what the older readers show, made of the record that we read.
_MIRRORED = ("metadata", "original_metadata", "provenance")
_MOST_POINTS = 2**27
_LARGEST_TEXT = 10**6


def add_rest(source: Any, file: h5py.File, nodes: dict[str, xr.Dataset], surveyed: Sequence[Found]) -> list[str]:
    """Add to the nodes of a file what no format claims; what cannot be shown is listed in `NOT_SHOWN` of the root.

    Parameters
    ----------
    source : CachingFileManager
    file : h5py.File
    nodes : dict
        From the path of a node to its Dataset; they are added to, and replaced.
    surveyed : sequence of Found
        What the readers went by: the file is not walked again.

    Returns
    -------
    list of str
        What is damaged so that it cannot be opened at all.
    """
    plans = {(place.path, place.kind.model): place.plan for found in surveyed for place in found.places}
    rest = _Rest(source, file, nodes, {key: plan for key, plan in plans.items() if plan is not None})
    groups: list[_Group] = []
    for path, group, inside in _again(surveyed[0].walked):
        try:
            groups.append(rest.looked_at(path, group, inside))
        except Exception as error:  # noqa: BLE001 - h5py raises anything for a damaged file
            rest.tell(path, error)
    # The tables of a main may lie anywhere: all mains come first.
    for one in groups:
        try:
            rest.show(one)
        except Exception as error:  # noqa: BLE001 - see above
            rest.tell(one.path, error)
    if rest.left:
        root = nodes.setdefault("/", xr.Dataset())
        root.attrs[NOT_SHOWN] = "\n".join(rest.left)
    return rest.damaged


def _again(walked: Mapping[str, tuple[h5py.Group, Members]]) -> Iterator[tuple[str, h5py.Group, Members]]:
    """Walk where a survey has been, as `_h5.walk` does: what is taken out of the members is not entered."""
    seen = {_h5.address(group) for group, _ in walked.values()}
    todo = ["/"] if "/" in walked else []
    while todo:
        path = todo.pop()
        group, members = walked[path]
        inside = dict(members)
        yield path, group, inside
        for name, obj in reversed(inside.items()):
            below = _below(path, name)
            if below in walked:
                todo.append(below)
            elif not isinstance(obj, h5py.Dataset) and _h5.address(obj) not in seen:
                # Groups of metadata, which the survey did not enter.
                yield from _h5.walk(obj, below)


@dataclass
class _Group:
    """A group, and which of its datasets some format claims."""

    path: str
    group: h5py.Group
    datasets: dict[str, h5py.Dataset]
    groups: bool
    ours: set[str]
    mains: set[str]
    usid: bool

    @property
    def is_place(self) -> bool:
        """Whether there are arrays of a format."""
        return bool(self.ours or self.mains)


@dataclass
class _Rest:
    source: Any
    file: h5py.File
    nodes: dict[str, xr.Dataset]
    plans: Mapping[tuple[str, str], Mapping[str, Any]]
    """Models that were read, by the path of their group and their name."""
    left: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    stamp: dict[str, Any] = field(default_factory=dict)
    described: set[str] = field(default_factory=set)
    """Datasets that a model of ours describes."""
    tables: set[int] = field(default_factory=set)
    """Addresses of what describes rows and columns."""

    def __post_init__(self) -> None:
        self.around = context.Around(self.file)
        # The group that a node was made of, and where its results lie: their nodes may be elsewhere.
        self.owners: dict[str, str] = {}
        for key, ds in self.nodes.items():
            for name in ds.data_vars:
                place = ds.variables[name].encoding.get("sid_h5path")
                if isinstance(place, str):
                    self.owners.setdefault(place.rpartition("/")[0] or "/", key)

    def tell(self, path: str, error: Exception) -> None:
        """Tell of whatever went wrong: what lies beside must not hide the arrays."""
        self.damaged.append(f"{path}: what lies beside the arrays cannot be read: {_h5.first_line(error)}")

    def looked_at(self, path: str, group: h5py.Group, inside: Members) -> _Group:
        """Tell what of a group is known; what is shown elsewhere is not entered."""
        self._look_for_damage(path, group)
        known = self._describe(path)
        inner = inside.get(_h5.PIN)
        read = [model for model in _MODELS if (path, model) in self.plans]
        # The model of USID may have arrays beside it.
        if isinstance(inner, h5py.Group) and (not read or not _h5.lacks(inner, USID_MODEL)):
            self._walk_for_damage(inner, _below(path, _h5.PIN))
        if known and self._is_known(inside, known) and all(m in read or _h5.lacks(inner, m) for m in _MODELS):
            inside.clear()  # as most groups of ours are: nothing lies beside what was read
            return _Group(path, group, {}, False, known, set(), False)
        for name in [n for n in inside if n.startswith("_")]:
            del inside[name]
        datasets = {n: o for n, o in inside.items() if isinstance(o, h5py.Dataset)}
        ours = {n for n in datasets if _below(path, n) in self.described}
        mains = {n for n, o in datasets.items() if n not in ours and _is_main(o)}
        usid = any(_h5.has_attribute(datasets[n], LINKS[SIDES[0]][0]) for n in mains)
        if usid:
            found = (linked(self.file, datasets[n], link) for n in sorted(mains) for link in _TABLES)
            self.tables |= {_h5.address(table) for table in found if table is not None}
        groups = [n for n in inside if n not in datasets]
        out = _Group(path, group, datasets, bool(groups), ours, mains, usid)
        for name in groups:
            if out.is_place and self._is_shown(out, name, inside[name]):
                shown = inside.pop(name)
                if not ours and isinstance(shown, h5py.Group):
                    self._walk_for_damage(shown, _below(path, name))
        return out

    def _is_known(self, inside: Members, known: set[str]) -> bool:
        """Tell whether a group holds what its models describe, at least a part of it, and nothing else."""
        some = False
        for name, obj in inside.items():
            if isinstance(obj, h5py.Dataset):
                if name not in known:
                    return False
                some = True
            elif name not in _MIRRORED and name != _h5.PIN:
                return False
        return some and isinstance(inside.get(_h5.PIN), h5py.Group)

    def _walk_for_damage(self, group: h5py.Group, path: str) -> None:
        for here, inner, _ in _h5.walk(group, path):
            self._look_for_damage(here, inner)

    def _look_for_damage(self, path: str, group: h5py.Group) -> None:
        for name, why in broken(group).items():
            damaged = why.startswith(DAMAGED)
            (self.damaged if damaged else self.left).append(f"{_below(path, name) if name else path}: {why}")

    def show(self, one: _Group) -> None:
        """Add to the nodes what of a group nobody claims."""
        self._show_group(one)
        unknown: dict[str, h5py.Dataset] = {}
        for name in sorted(one.datasets.keys() - one.ours - one.mains):
            obj = one.datasets[name]
            if _is_scale(obj) or _h5.address(obj) in self.tables:
                continue
            why = _tables.unreadable(obj)
            if why:
                self.left.append(f"{_below(one.path, name)}: {why}")
            elif not one.usid or obj.dtype.names or "labels" in obj.attrs or 0 in obj.shape:
                # Others beside an array of USID are coordinates already.
                unknown[name] = obj
        if unknown:
            self._show(one, dict(sorted(unknown.items())))

    def _describe(self, path: str) -> set[str]:
        """Take note of the datasets that models of ours describe, and return what they call them."""
        known: set[str] = set()
        for model in _MODELS:
            # A damaged one is told by the reader, and what it describes is read as that of another program.
            plan = self.plans.get((path, model), {})
            for part in ("variables", "sides") if plan else ():
                for row in plan.get(part) or ():
                    if isinstance(row, dict):
                        known.update(str(row[k]) for k in ("disk", "indices", "values") if row.get(k))
        self.described |= {k if k.startswith("/") else _below(path, k) for k in known}
        return known

    def _is_shown(self, one: _Group, name: str, group: Any) -> bool:
        """Tell whether a group beside arrays is in their metadata."""
        if one.ours:
            return name in _MIRRORED or name.startswith("Structure_")
        return not attributes.holds_datasets(group) and not (one.usid and context.is_result(group, name))

    def _show_group(self, one: _Group) -> None:
        """Make a node of a group that has none, with its attributes."""
        path, name = one.path, one.path.rpartition("/")[2]
        if path in self.nodes or path in self.owners or one.is_place:
            return
        attrs = foreign.group_attrs(one.group)
        if not attrs and (one.datasets or one.groups):
            return
        ds = xr.Dataset(attrs=attrs)
        if context.is_result(one.group, name):
            ds.attrs = context.result_attrs(self.around, path)
            ds.encoding["sid_source"] = context.source_of(self.around, path) or ""
        self._put(path, ds)

    def _show(self, one: _Group, unknown: Mapping[str, h5py.Dataset]) -> None:
        arrays: dict[str, h5py.Dataset] = {}
        for name, dataset in unknown.items():
            where = _below(one.path, name)
            if _tables.is_table(dataset):
                self._put(where, _tables.table(self.source, self.file, where, dataset))
            elif dataset.shape == () and not one.is_place and (value := _value(dataset)) is not None:
                put(self.nodes, one.path, xr.Dataset(attrs={name: value}))
            else:
                arrays[name] = dataset
        owner = self.owners.get(one.path) if one.is_place else None
        if owner is not None:
            self._add_coordinates(owner, one.path, arrays)
            return
        parts = {n: _tables.array(self.source, self.file, _below(one.path, n), d) for n, d in arrays.items()}
        if DONE in parts:  # how far pyUSID came with a result that it never made is no signal
            parts[DONE] = parts[DONE].set_coords(DONE)
        # A node with variables has no children.
        alone = one.path != "/" and not one.groups and not one.is_place and len(arrays) == len(unknown)
        whole = _joined(parts) if alone else None
        if whole is not None:
            self._put(one.path, whole)
        else:
            for name, ds in parts.items():
                self._put(_below(one.path, name), ds)

    def _put(self, path: str, ds: xr.Dataset) -> None:
        _nodes.with_roots(ds, str(self.source._args[0]), self.stamp)
        ds.set_close(self.source.close)
        if path != "/" and not all(path[1:].split("/")):
            self.left.append(f"{path}: has no name")  # only a damaged file has such a link
            return
        put(self.nodes, path, ds)

    def _add_coordinates(self, owner: str, path: str, arrays: Mapping[str, h5py.Dataset]) -> None:
        ds = self.nodes[owner]
        for name, dataset in arrays.items():
            if dataset.shape == () and dataset.dtype.names is None:
                ds = with_scalar(ds, name, dataset)
                continue
            one = _tables.array(self.source, self.file, _below(path, name), dataset)
            var = one.variables[next(iter(one.data_vars))]
            taken = {str(k) for k in (*ds.variables, *ds.dims)}
            fits = all(ds.sizes.get(d, n) == n for d, n in zip(var.dims, var.shape, strict=True))
            if not fits or (taken & set(map(str, var.dims))) - set(map(str, ds.dims)):
                self._put(_below(path, name), one)
                continue
            called = free_name(name.replace("/", "_"), taken | set(map(str, var.dims)))
            new = {called: var, **{k: v.variable for k, v in one.coords.items() if k not in ds.variables}}
            ds = ds.assign_coords(xr.Coordinates(new, indexes={}))
        ds.set_close(self.source.close)
        self.nodes[owner] = ds


def _joined(parts: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """Return the arrays of a group as one Dataset; None if their axes contradict each other."""
    data: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    sizes: dict[Hashable, int] = {}
    for ds in parts.values():
        for key, var in ds.variables.items():
            if any(sizes.setdefault(d, n) != n for d, n in zip(var.dims, var.shape, strict=True)):
                return None
            here = coords if key in ds.coords else data
            if here is coords and key in coords and not coords[key].identical(var):  # type: ignore[no-untyped-call]
                return None
            here[key] = var
    if data.keys() & (coords.keys() | sizes.keys()):
        return None
    return xr.Dataset(data, coords=coords, attrs={names.CONTENT: "arrays"})


def _is_main(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset says that it is an array of one of the formats: it is shown, or told as a problem."""
    try:
        said = set(_h5.attribute_names(dataset))
        if "main_data_name" in said and said & {"pyNSID_version", "nsid_version"}:
            return True
        return all(said & set(LINKS[side]) for side in SIDES)
    except Exception:  # noqa: BLE001 - the attributes of a damaged dataset say nothing
        return False


def _is_scale(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset gives positions along an axis of others."""
    try:
        said = set(_h5.attribute_names(dataset))
        return _h5.has_attribute(dataset, "REFERENCE_LIST") or (
            "dimension_type" in said and bool(said & {"name", "nsid_version"})
        )
    except Exception:  # noqa: BLE001 - see `_is_main`
        return False


def _below(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _value(dataset: h5py.Dataset) -> Any:
    """Return the value of a dataset of one, if an attribute can hold it."""
    value = attributes.plain(_h5.decoded(whole(dataset)))
    plain = isinstance(value, str | bool | int | float) or (
        isinstance(value, np.generic) and value.dtype.kind in "biuf"
    )
    return value if plain and len(str(value)) < _LARGEST_TEXT else None
