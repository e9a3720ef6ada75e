"""Write NSID that is netCDF-4 and NeXus at the same time; one Dataset is one group."""

from __future__ import annotations

import datetime as dt
import functools
import os
import platform
import socket
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._target import replacing
from sid_xarray.io.nsid import sources
from sid_xarray.io.nsid.group import GroupPlan, plan_group, write_group
from sid_xarray.io.nsid.layout import FORMAT_LEVEL, link_name, next_index
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
        From variable to keywords of ``h5py.Group.create_dataset``, such as ``{"signal": {"chunks": (8, 8, 256)}}``.
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
    work = functools.partial(
        _write, obj, os.fspath(path), group, mode, source, tool, overwrite, compression, dict(encoding or {})
    )
    if compute:
        return work()
    import dask

    return dask.delayed(lambda: work(), pure=False)()


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
    plans = dict(_plans(obj, path, group, compression, encoding))
    if not plans:
        raise FormatError(path, group or "", "there is nothing to write: no variables")
    expected = sum(plan.nbytes for plan in plans.values())
    with replacing(path, mode=mode, expected=expected) as temporary:
        with h5py.File(temporary, "a" if os.path.exists(temporary) else "w-") as file:
            main = None if source is None else sources.find_source(file, source, path)
            placed = _placed(file, plans, obj, group, source, main, tool, path)
            for place, plan in placed.items():
                if place in file:
                    if not overwrite:
                        raise FileExistsError(
                            f"{path} has a group {place} already; nothing was written. "
                            "Take another group=..., or overwrite=True to replace it."
                        )
                    del file[place]
                write_group(file, place, plan, stamp=_stamp())
                _channel(file, place)
            first = next(iter(placed))
            if source is not None:
                sources.link(file, first, main, source, tool=tool, obj=obj, path=path)
            _tree_attrs(file, obj, group)
    return first


def _plans(
    obj: Any, path: str, group: str | None, compression: Any, encoding: dict[Hashable, Any]
) -> Iterator[tuple[str, GroupPlan]]:
    """Yield what will be written, before a file is touched: what cannot be stored is an error now."""
    if isinstance(obj, xr.DataTree):
        base = (group or "").strip("/")
        for node in obj.subtree:
            if node.data_vars or node.coords:
                place = "/" + "/".join(p for p in (base, node.path.strip("/")) if p)
                # Coordinates of parents are inherited, and a group must stand alone.
                yield place, plan_group(node.to_dataset(), path, compression, encoding)
        return
    if isinstance(obj, xr.DataArray):
        yield "", plan_group(obj, path, compression, encoding)
    elif isinstance(obj, xr.Dataset):
        if obj.variables:
            yield "", plan_group(obj, path, compression, encoding)
    else:
        raise TypeError(f"expected a DataArray, Dataset or DataTree, got {type(obj).__name__}")


def _placed(
    file: h5py.File,
    plans: dict[str, GroupPlan],
    obj: Any,
    group: str | None,
    source: Any,
    main: str | None,
    tool: str | None,
    path: str,
) -> dict[str, GroupPlan]:
    if isinstance(obj, xr.DataTree):
        if "/" in plans and (obj.data_vars or obj.coords):
            raise FormatError(path, "/", "variables of the root node have no group. Move them into a child node.")
        return plans
    plan = plans[""]
    if group is not None:
        place = "/" + group.strip("/")
        if place == "/":
            raise FormatError(path, "/", "a group needs a name: group='Measurement_000/Channel_000/scan'")
    elif source is not None:
        place = sources.result_group(file, main, source, tool=tool, obj=obj)
    else:
        measurement = next_index("Measurement", list(file))
        place = f"/{measurement}/Channel_000/{link_name(plan.title)}"
    _check_place(file, place, path)
    return {place: plan}


def _check_place(file: h5py.File, place: str, path: str) -> None:
    """A group inside the group of a main would make that main unreadable for the older readers."""
    parent = place.rpartition("/")[0]
    while parent:
        if parent in file and any(_h5.attribute(o, "pyNSID_version") and isinstance(o, h5py.Dataset) for _, o in _h5.members(file[parent])):
            raise FormatError(path, place, f"lies inside the group {parent}, which holds arrays. Write beside it.")
        parent = parent.rpartition("/")[0]


def _stamp() -> dict[str, str]:
    out = {
        "platform": platform.platform(),
        "timestamp": dt.datetime.now().strftime("%Y_%m_%d-%H_%M_%S"),
        "pyNSID_version": FORMAT_LEVEL,
        "sidpy_version": FORMAT_LEVEL,
    }
    return {**out, "machine_id": socket.getfqdn()} if OPTIONS["machine_id"] else out


def _channel(file: h5py.File, place: str) -> None:
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
    if "default" not in file.attrs:
        file.attrs["default"] = parts[0]


def _tree_attrs(file: h5py.File, obj: Any, group: str | None) -> None:
    if not isinstance(obj, xr.DataTree):
        return
    from sid_xarray.io.nsid.attributes import write_attribute

    for node in obj.subtree:
        place = "/" + "/".join(p for p in ((group or "").strip("/"), node.path.strip("/")) if p)
        if node.attrs and not node.data_vars and not node.coords:
            target = file.require_group(place)
            for key, value in node.attrs.items():
                if isinstance(key, str) and key:
                    write_attribute(target, key, value)


