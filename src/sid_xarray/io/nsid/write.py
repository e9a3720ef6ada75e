"""Write NSID that is netCDF-4 and NeXus at the same time; one Dataset is one group."""

from __future__ import annotations

import functools
import os
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._names import link_name
from sid_xarray.io._write import Format, Request, now_or_later, stamp, write
from sid_xarray.io.nsid import sources
from sid_xarray.io.nsid.group import write_attrs, write_group
from sid_xarray.io.nsid.layout import FORMAT_LEVEL
from sid_xarray.io.nsid.model import load
from sid_xarray.io.nsid.plan import GroupPlan, plan_group
from sid_xarray.io.nsid.tags import PlannedAttrs, plan_attrs

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
    resume: bool = False,
    compute: bool = True,
) -> Any:
    """Write to an NSID file that pyNSID, sidpy, HyperSpy and any netCDF-4 program open, too.

    The file is written whole or not at all: a new file appears when it is complete, an existing one holds what it
    held until then. Lazy data are written block by block, in bounded memory; a dask client that is active computes
    and compresses them. Checksums of all variables are stored, see `sid_xarray.io.checksum`.

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
    compression : str, int, mapping or None, default: "auto"
        ``"auto"``: gzip 1 with shuffle for integers, nothing for floats. A gzip level; ``"gzip"``, ``"lzf"``; with
        the package hdf5plugin ``"blosc"``, ``"blosc2"``, ``"zstd"``, ``"lz4"``, ``"bitshuffle"``, ``"bzip2"``, a
        mapping such as ``{"compression": "zstd", "clevel": 9}``, or an object of hdf5plugin.
    encoding : mapping, optional
        From variable to ``chunks`` (by dimension, or a tuple), ``compression`` and parameters of its
        filter, ``shuffle``, ``fletcher32`` or ``scaleoffset``, such as
        ``{"signal": {"chunks": {"y": 8, "x": 8}, "compression": "zstd"}}``. The words of netCDF (``chunksizes``,
        ``zlib``, ``complevel``) mean the same.
    resume : bool, default: False
        Keep computed blocks in the folder ``.<name>.sidjob`` beside the file until it is complete. After an
        interruption, the same call goes on with the blocks that are missing; it needs no other arrays than the same
        ones, opened and computed in the same way. What a function of your own does must not have changed meanwhile.
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
    MissingDependencyError
        If the compression needs hdf5plugin, which is not installed.

    Examples
    --------
    >>> import numpy as np, sid_xarray as sid
    >>> da = sid.dataarray(np.zeros((4, 5)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")}, units="nA", quantity="current")
    >>> da.sid.to_nsid("scan.h5", mode="w")
    '/Measurement_000/Channel_000/current'
    """
    where = os.path.expanduser(os.fsdecode(path))
    ask = Request(obj, where, group, mode, source, tool, overwrite, resume)
    return now_or_later(functools.partial(write, ask, _Nsid(where, compression, dict(encoding or {}))), compute)


@dataclass
class _Nsid(Format[GroupPlan]):
    example = "Measurement_000/Channel_000/scan"

    def plan(
        self, obj: xr.DataArray | xr.Dataset, encoding: Mapping[Hashable, Mapping[str, Any]], *, node: bool = False
    ) -> GroupPlan:
        return plan_group(obj, self.path, self.compression, encoding)

    def plan_attrs(self, attrs: Mapping[Any, Any], where: str) -> PlannedAttrs:
        return plan_attrs(attrs, self.path, where)

    def encodable(self, ds: xr.Dataset) -> Container[Hashable]:
        return ds.variables

    def take(self, node: xr.DataTree, place: str) -> None:
        if node.data_vars and node.children:
            raise FormatError(
                self.path,
                node.path,
                "has variables and children, and the older readers take no group inside a group with arrays. "
                f"Move them into a child: {node.path.rstrip('/')}/data",
            )

    def find_source(self, file: h5py.File, source: Any) -> str | None:
        return sources.find_source(file, source, self.path)

    def free_place(self, measurement: str, plan: GroupPlan) -> str:
        return f"{measurement}/Channel_000/{link_name(plan.title)}"

    def beside(self, main: str) -> tuple[str, str]:
        return sources.beside(main)

    def forbids(self, group: h5py.Group) -> bool:
        return _holds_arrays(group)

    def would_lose(self, file: h5py.File, place: str) -> str:
        found = _h5.find(file, place)
        if isinstance(found, h5py.Group) and not _holds_arrays(found) and _below(found):
            return f"holds other groups with arrays, such as {_below(found)}; they are not overwritten"
        return ""

    def write_group(self, file: h5py.File, place: str, plan: GroupPlan, main: str | None) -> None:
        versions = {"pyNSID_version": FORMAT_LEVEL, "sidpy_version": FORMAT_LEVEL}
        write_group(file, place, plan, stamp=stamp(versions))
        _decorate_parents(file, place)

    def write_attrs(self, file: h5py.File, place: str, attrs: PlannedAttrs) -> None:
        write_attrs(file, place, attrs)

    def refer(self, group: h5py.Group, reference: h5py.Reference) -> None:
        sources.refer(group, reference)


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
