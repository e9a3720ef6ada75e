"""Write NSID that is netCDF-4 and NeXus at the same time; one Dataset is one group."""

from __future__ import annotations

import datetime as dt
import functools
import os
import platform
import socket
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._target import replacing
from sid_xarray.io.nsid import sources
from sid_xarray.io.nsid.group import write_attrs, write_group
from sid_xarray.io.nsid.layout import FORMAT_LEVEL, MODEL_GROUP, link_name, next_index, safe_name
from sid_xarray.io.nsid.model import load
from sid_xarray.io.nsid.plan import GroupPlan, plan_group
from sid_xarray.io.nsid.tags import PlannedAttrs, plan_attrs
from sid_xarray.options import OPTIONS

__all__ = ["to_nsid"]


def to_nsid(
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
    compute: bool = True,
) -> Any:
    """Write to an NSID file that pyNSID, sidpy, HyperSpy and any netCDF-4 program open, too.

    The file is written whole or not at all: a new file appears when it is complete, an existing one is
    replaced by its complete successor. Lazy data are written block by block.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree
        A Dataset is one group: its variables share their dimensions. A tree keeps its paths.
    path : str
        The file; ``.h5`` by custom.
    group : str, optional
        HDF5 path to write to. By default the next free ``Measurement_NNN/Channel_000/<name>``, or, with
        `source`, a result group beside the source.
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
        From variable to ``chunks``, ``compression``, ``compression_opts``, ``shuffle`` or ``fletcher32`` of h5py,
        such as ``{"signal": {"chunks": (8, 8, 256)}}``.
    compute : bool, default: True
        If False, return a ``dask.delayed`` that writes when it is computed.

    Returns
    -------
    str
        HDF5 path of what was written (of the first node of a tree).

    Raises
    ------
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
    >>> da = sid.dataarray(np.zeros((4, 5)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")}, units="nA", quantity="current")
    >>> da.sid.to_nsid("scan.h5", mode="w")
    '/Measurement_000/Channel_000/current'
    """
    where = os.path.expanduser(os.fsdecode(path))
    work = functools.partial(
        _write, obj, where, group, mode, source, tool, overwrite, compression, dict(encoding or {})
    )
    if compute:
        return work()
    import dask

    return dask.delayed(lambda: work(), pure=False)()


@dataclass
class _Content:
    """What will be written, by path (``""`` for a free one): groups, and attributes of nodes without variables."""

    groups: dict[str, GroupPlan] = field(default_factory=dict)
    attrs: dict[str, PlannedAttrs] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(plan.nbytes for plan in self.groups.values())


def _write(
    obj: xr.DataArray | xr.Dataset | xr.DataTree,
    path: str,
    group: str | None,
    mode: str,
    source: xr.DataArray | xr.Dataset | str | None,
    tool: str | None,
    overwrite: bool,
    compression: Any,
    encoding: dict[Hashable, Mapping[str, Any]],
) -> str:
    base = _base(group, path)
    if isinstance(obj, xr.DataTree):
        if source is not None:
            raise FormatError(path, base, "a tree cannot be the result of one source. Write its nodes, one by one")
        content = _plan_tree(obj, base, path, compression, encoding)
    else:
        content = _plan_one(obj, base, path, compression, encoding)
    if mode == "w" and source is not None and sources.lies_in(source, path):
        raise FormatError(path, "", "mode='w' would replace the file that holds the source. Type: mode='a'")
    with (
        replacing(path, mode=mode, expected=content.nbytes) as temporary,
        _editable(temporary, path) as file,
    ):
        main = None if source is None else sources.find_source(file, source, path)
        if "" in content.groups:
            plan = content.groups.pop("")
            content.groups[_free_place(file, plan, source, main, tool, obj)] = plan
        for place, plan in content.groups.items():
            _make_way(file, place, path, overwrite)
            write_group(file, place, plan, stamp=_stamp())
            _decorate_parents(file, place)
        for place, attrs in content.attrs.items():
            write_attrs(file, place, attrs)
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
        raise FormatError(path, "/", "a group needs a name: group='Measurement_000/Channel_000/scan'")
    for part in parts:
        if part == MODEL_GROUP or part != safe_name(part, ""):
            raise FormatError(path, group, f"{part!r} cannot be the name of a group")
    return "/" + "/".join(parts)


def _plan_one(obj: Any, base: str, path: str, compression: Any, encoding: dict[Hashable, Any]) -> _Content:
    if not isinstance(obj, xr.DataArray | xr.Dataset):
        raise TypeError(f"expected a DataArray, Dataset or DataTree, got {type(obj).__name__}")
    if isinstance(obj, xr.Dataset) and not obj.variables and not obj.attrs:
        raise FormatError(path, base, "there is nothing to write: no variables")
    return _Content({base: plan_group(obj, path, compression, encoding)})


def _plan_tree(tree: xr.DataTree, base: str, path: str, compression: Any, encoding: dict[Hashable, Any]) -> _Content:
    content = _Content()
    for node in tree.subtree:
        relative = node.path[len(tree.path.rstrip("/")) :].strip("/")
        place = "/".join((base, relative)).rstrip("/") if relative else base
        place = f"/{place.lstrip('/')}"
        for part in relative.split("/"):
            if relative and (part == MODEL_GROUP or part != safe_name(part, "")):
                raise FormatError(path, node.path, f"{part!r} cannot be the name of a group. Rename the node")
        if node.data_vars and node.children:
            raise FormatError(
                path,
                node.path,
                "has variables and children, and the older readers take no group inside a group with arrays. "
                f"Move them into a child: {node.path.rstrip('/')}/data",
            )
        attrs = {k: v for k, v in node.attrs.items() if k != "sid_problems"}
        if node.data_vars or node.to_dataset(inherit=False).coords:
            # Coordinates of parents are inherited, and a group must stand alone.
            ds = node.to_dataset()
            ds.attrs = attrs
            own = {k: v for k, v in encoding.items() if k in ds.variables}
            content.groups[place] = plan_group(ds, path, compression, own)
        elif attrs or not node.children:
            content.attrs[place] = plan_attrs(attrs, path, node.path)
    unknown = [k for k in encoding if not any(k in p.ds.variables for p in content.groups.values())]
    if unknown:
        raise FormatError(path, str(unknown[0]), "encoding names a variable that no node has")
    if not content.groups and not any(a.values for a in content.attrs.values()):
        raise FormatError(path, base, "there is nothing to write: no variables")
    return content


def _free_place(file: h5py.File, plan: GroupPlan, source: Any, main: str | None, tool: str | None, obj: Any) -> str:
    if source is not None:
        return sources.result_group(file, main, source, tool=tool, obj=obj)
    measurement = next_index("Measurement", list(file))
    return f"/{measurement}/Channel_000/{link_name(plan.title)}"


def _make_way(file: h5py.File, place: str, path: str, overwrite: bool) -> None:
    """Make sure that a group may be made, and is not there."""
    parent = place.rpartition("/")[0]
    while place != "/":
        found = _h5.find(file, parent or "/")
        if isinstance(found, h5py.Dataset):
            raise FormatError(path, place, f"lies inside {parent}, which is an array. Take another group=...")
        if found is not None and _holds_arrays(found):
            raise FormatError(
                path, place, f"lies inside the group {parent or '/'}, which holds arrays. Write beside it"
            )
        if not parent:
            break
        parent = parent.rpartition("/")[0]
    if place == "/":
        if len(file):
            raise FormatError(
                path, "/", "variables of the root need a file of their own. Type: group='Measurement_000', or mode='w'"
            )
        return
    if place not in file:
        return
    if not overwrite:
        raise FileExistsError(
            f"{path} has a group {place} already; nothing was written. "
            "Take another group=..., or overwrite=True to replace it."
        )
    found = _h5.find(file, place)
    if isinstance(found, h5py.Group) and not _holds_arrays(found) and _below(found):
        raise FormatError(
            path, place, f"holds other groups with arrays, such as {_below(found)}; they are not overwritten"
        )
    del file[place]


def _holds_arrays(group: h5py.Group) -> bool:
    """Tell whether a group inside this one would make its arrays unreadable for the older readers."""
    if any(isinstance(o, h5py.Dataset) and "main_data_name" in o.attrs for _, o in _h5.members(group)):
        return True
    try:
        rows = load(group, "", "")["variables"]
    except FormatError:
        return False
    return any(not row.get("coord") for row in rows)


def _below(group: h5py.Group) -> str:
    return next((path for path, inner, _ in _h5.walk(group) if path != "/" and _holds_arrays(inner)), "")


def _stamp() -> dict[str, str]:
    out = {
        "platform": platform.platform(),
        "timestamp": dt.datetime.now().strftime("%Y_%m_%d-%H_%M_%S"),
        "pyNSID_version": FORMAT_LEVEL,
        "sidpy_version": FORMAT_LEVEL,
    }
    return {**out, "machine_id": socket.getfqdn()} if OPTIONS["machine_id"] else out


def _decorate_parents(file: h5py.File, place: str) -> None:
    """Decorate the parents for NeXus: a reader of that format finds its way from the root."""
    parts = place.strip("/").split("/")
    if "NX_class" not in file.attrs:
        file.attrs["NX_class"] = "NXroot"
    for i in range(1, len(parts)):
        parent = file["/" + "/".join(parts[:i])]
        if "NX_class" not in parent.attrs:
            parent.attrs["NX_class"] = "NXentry" if i == len(parts) - 1 or i == 1 else "NXcollection"
        if "default" not in parent.attrs:
            parent.attrs["default"] = parts[i]
    if "default" not in file.attrs and place != "/":
        file.attrs["default"] = parts[0]
