"""Write USID: an N-D array becomes rows and columns in raster order, as every reader of the format expects them."""

from __future__ import annotations

import datetime as dt
import functools
import os
import platform
import re
import socket
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._target import replacing
from sid_xarray.io.nsid.layout import next_index, safe_name
from sid_xarray.io.nsid.tags import PlannedAttrs, plan_attrs
from sid_xarray.io.usid import sources
from sid_xarray.io.usid.find import linked, mains_below
from sid_xarray.io.usid.group import write_attrs, write_group
from sid_xarray.io.usid.layout import FORMAT_LEVEL, LINKS, MODEL, SIDES
from sid_xarray.io.usid.plan import GroupPlan, plan_group
from sid_xarray.options import OPTIONS

__all__ = ["to_usid"]


def to_usid(
    obj: xr.DataArray | xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str],
    *,
    group: str | None = None,
    mode: str = "a",
    source: xr.DataArray | xr.Dataset | str | None = None,
    tool: str | None = None,
    overwrite: bool = False,
    compression: str | int | Mapping[str, Any] | None = "auto",
    encoding: Mapping[Hashable, Mapping[str, Any]] | None = None,
    position_dims: Iterable[Hashable] | None = None,
    compute: bool = True,
) -> Any:
    """Write to a USID file that pyUSID, SciFiReaders and HyperSpy open with the right N-D array.

    The file is written whole or not at all: a new file appears when it is complete, an existing one is
    replaced by its complete successor. Lazy data are written block by block.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree
        The variables of a Dataset share the tables of their positions, and get one Channel each. A tree keeps
        its paths.
    path : str
        The file; ``.h5`` by custom.
    group : str, optional
        HDF5 path to write to. By default the next free ``Measurement_NNN/Channel_000``, for a Dataset
        ``Measurement_NNN``, or, with `source`, a result group in the group of the source.
    mode : {"a", "w", "x"}, default: "a"
        Add to the file, replace it, or fail if it exists.
    source : DataArray, Dataset or str, optional
        What `obj` was computed from, or its HDF5 path in this file: the result is written beside it and linked to it.
    tool : str, optional
        Name of the result group, with `source`; the last step of the history by default.
    overwrite : bool, default: False
        Replace `group` if it exists.
    compression : {"auto", "gzip", "lzf", None}, int or mapping, default: "auto"
        Gzip 1 with shuffle for integers, nothing for floats; a gzip level; or keywords of h5py.
    encoding : mapping, optional
        From variable to ``chunks`` (rows, columns), ``compression``, ``compression_opts``, ``shuffle`` or
        ``fletcher32`` of h5py, such as ``{"signal": {"chunks": (64, 256)}}``.
    position_dims : iterable, optional
        Dimensions that make up the rows; all others make up the columns. By default the spatial ones, and points.
    compute : bool, default: True
        If False, return a ``dask.delayed`` that writes when it is computed.

    Returns
    -------
    str
        HDF5 path of what was written (of the first node of a tree).

    Raises
    ------
    DimensionError
        If `position_dims` names a dimension that is not there.
    FormatError
        If something in `obj` cannot be stored, or the source is not found or ambiguous; nothing is written.
    FileExistsError
        If `group` exists and `overwrite` is False, or the file exists in mode ``"x"``.
    BlockingIOError
        If another process is writing the file.
    OSError
        If there is no room or no permission.

    Examples
    --------
    >>> import numpy as np, sid_xarray as sid
    >>> from sid_xarray.io.usid import to_usid
    >>> da = sid.dataarray(np.zeros((4, 5)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")}, units="nA", quantity="current")
    >>> to_usid(da, "usid.h5", mode="w")
    '/Measurement_000/Channel_000'
    """
    where = os.path.expanduser(os.fsdecode(path))
    rows = None if position_dims is None else [position_dims] if isinstance(position_dims, str) else list(position_dims)
    plan = functools.partial(
        plan_group, path=where, compression=compression, encoding=dict(encoding or {}), position_dims=rows
    )
    work = functools.partial(_write, obj, where, group, mode, source, tool, overwrite, plan)
    if compute:
        return work()
    import dask

    return dask.delayed(lambda: work(), pure=False)()


@dataclass
class _Content:
    """What will be written, by path: groups with variables, and attributes of nodes without; ``""`` is a free path."""

    groups: dict[str, GroupPlan] = field(default_factory=dict)
    attrs: dict[str, PlannedAttrs] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


def _write(
    obj: xr.DataArray | xr.Dataset | xr.DataTree,
    path: str,
    group: str | None,
    mode: str,
    source: xr.DataArray | xr.Dataset | str | None,
    tool: str | None,
    overwrite: bool,
    plan: Any,
) -> str:
    base = _base(group, path)
    if isinstance(obj, xr.DataTree):
        if source is not None:
            raise FormatError(path, base, "a tree cannot be the result of one source. Write its nodes, one by one")
        content = _plan_tree(obj, base, path, plan)
    else:
        content = _plan_one(obj, base, path, plan)
    if mode == "w" and source is not None and sources.lies_in(source, path):
        raise FormatError(path, "", "mode='w' would replace the file that holds the source. Type: mode='a'")
    expected = sum(p.nbytes for p in content.groups.values())
    with replacing(path, mode=mode, expected=expected) as temporary, _editable(temporary, path) as file:
        main = None if source is None else sources.find_source(file, source, path)
        if "" in content.groups:
            only = content.groups.pop("")
            content.groups[_free_place(file, only, source, main, tool, obj)] = only
        for place, one in content.groups.items():
            _make_way(file, place, path, overwrite)
            write_group(file, place, one, stamp=_stamp(), reuse=sources.tables_of(file, main))
        for place, attrs in content.attrs.items():
            write_attrs(file, place, attrs)
        for place, origin in content.sources.items():
            if isinstance(_h5.find(file, origin), h5py.Dataset):
                file[place].attrs.update({"source_000": file[origin].ref, "source_000_path": origin})
        first = next(iter((*content.groups, *content.attrs)))
        if source is not None:
            sources.link(file, first, main, source, tool=tool, obj=obj, path=path)
    return first


def _editable(temporary: str, path: str) -> h5py.File:
    try:
        return h5py.File(temporary, "r+" if os.path.exists(temporary) else "w-")
    except OSError as error:
        why = f"cannot be added to: {_h5.first_line(error)}. Type: mode='w' to replace it"
        raise FormatError(path, "", why) from error


def _base(group: str | None, path: str) -> str:
    """Return the path of a group, or empty text."""
    if group is None:
        return ""
    parts = [p for p in group.split("/") if p]
    if not parts:
        raise FormatError(path, "/", "a group needs a name: group='Measurement_000/Channel_000'")
    for part in parts:
        if part == _h5.PIN or part != safe_name(part, ""):
            raise FormatError(path, group, f"{part!r} cannot be the name of a group")
    return "/" + "/".join(parts)


def _plan_one(obj: Any, base: str, path: str, plan: Any) -> _Content:
    if not isinstance(obj, xr.DataArray | xr.Dataset):
        raise TypeError(f"expected a DataArray, Dataset or DataTree, got {type(obj).__name__}")
    if isinstance(obj, xr.Dataset) and not obj.variables and not obj.attrs:
        raise FormatError(path, base, "there is nothing to write: no variables")
    return _Content({base: plan(obj)})


def _plan_tree(tree: xr.DataTree, base: str, path: str, plan: Any) -> _Content:
    content = _Content()
    encoding = plan.keywords["encoding"]
    rows = plan.keywords["position_dims"]
    for node in tree.subtree:
        relative = node.path[len(tree.path.rstrip("/")) :].strip("/")
        place = f"/{'/'.join(p for p in (base.strip('/'), relative) if p)}"
        for part in relative.split("/"):
            if relative and (part == _h5.PIN or part != safe_name(part, "")):
                raise FormatError(path, node.path, f"{part!r} cannot be the name of a group. Rename the node")
        attrs = {k: v for k, v in node.attrs.items() if k != "sid_problems"}
        # Coordinates of parents are inherited, and a group must stand alone.
        if node.data_vars or node.to_dataset(inherit=False).coords:
            if node.children or place == "/":
                hint = f"Type: tree['{node.path.rstrip('/')}/data'] = tree[{node.path!r}].to_dataset()"
                why = "has variables and children, or is the root"
                raise FormatError(path, node.path, f"{why}. {hint}, and drop them here")
            ds = node.to_dataset()
            ds.attrs = attrs
            own = {k: v for k, v in encoding.items() if k in ds.data_vars}
            own_rows = None if rows is None else [d for d in rows if d in ds.dims]
            content.groups[place] = plan(ds, encoding=own, position_dims=own_rows)
            origin = node.encoding.get("sid_source")
            if origin:
                content.sources[place] = str(origin)
        elif attrs or not node.children:
            content.attrs[place] = plan_attrs(attrs, path, node.path)
    unknown = [k for k in encoding if not any(k in p.mains for p in content.groups.values())]
    if unknown:
        raise FormatError(path, str(unknown[0]), "encoding names a variable that no node has")
    if not content.groups and not any(a.values for a in content.attrs.values()):
        raise FormatError(path, base, "there is nothing to write: no variables")
    return content


def _free_place(file: h5py.File, plan: GroupPlan, source: Any, main: str | None, tool: str | None, obj: Any) -> str:
    if source is not None:
        return sources.result_group(file, main, source, tool=tool, obj=obj)
    measurement = next_index("Measurement", list(file))
    return f"/{measurement}/Channel_000" if plan.base.array else f"/{measurement}"


def _make_way(file: h5py.File, place: str, path: str, overwrite: bool) -> None:
    """Make sure that a group may be made, and is not there."""
    parent = place.rpartition("/")[0]
    while parent:
        found = _h5.find(file, parent)
        if isinstance(found, h5py.Dataset):
            raise FormatError(path, place, f"lies inside {parent}, which is an array. Take another group=...")
        parent = parent.rpartition("/")[0]
    if place not in file:
        return
    if not overwrite:
        raise FileExistsError(
            f"{path} has a group {place} already; nothing was written. "
            "Take another group=..., or overwrite=True to replace it."
        )
    used = _needed_elsewhere(file, place)
    if used:
        why = f"is what {used} was made of, or lies on; it is not overwritten"
        raise FormatError(path, place, f"{why}. Take another group=...")
    del file[place]


def _needed_elsewhere(file: h5py.File, place: str) -> str:
    """Return a main that would be lost, or would lose its tables, with a group; empty if there is none."""
    own = re.compile(rf"{re.escape(place)}/(Channel_\d+/)?[^/]+$")
    for path, dataset in mains_below(file):
        if own.match(path):
            continue
        if path.startswith(f"{place}/"):
            return path
        tables = [linked(file, dataset, name) for side in SIDES for name in LINKS[side]]
        if any(t is not None and str(t.name).startswith(f"{place}/") for t in tables):
            return path
    inner = [p for p, _, inside in _h5.walk(file[place], place) if p != place and MODEL in inside.get(_h5.PIN, ())]
    return next(iter(inner), "")


def _stamp() -> dict[str, str]:
    out = {
        "platform": platform.platform(),
        "timestamp": dt.datetime.now().strftime("%Y_%m_%d-%H_%M_%S"),
        "pyUSID_version": FORMAT_LEVEL,
    }
    return {**out, "machine_id": socket.getfqdn()} if OPTIONS["machine_id"] else out
