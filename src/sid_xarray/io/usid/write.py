"""Write USID: an N-D array becomes rows and columns in raster order, as every reader of the format expects them."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._write import Format, Request, now_or_later, stamp, write
from sid_xarray.io.nsid.tags import PlannedAttrs, plan_attrs
from sid_xarray.io.usid import sources
from sid_xarray.io.usid.find import linked, mains_below
from sid_xarray.io.usid.group import write_attrs, write_group
from sid_xarray.io.usid.layout import FORMAT_LEVEL, LINKS, MODEL, SIDES
from sid_xarray.io.usid.plan import GroupPlan, plan_group

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
    compound: bool | str = False,
    resume: bool = False,
    compute: bool = True,
) -> Any:
    """Write to a USID file that pyUSID, SciFiReaders and HyperSpy open with the right N-D array.

    The file is written whole or not at all: a new file appears when it is complete, an existing one holds what it
    held until then. Lazy data are written block by block, in bounded memory; a dask client that is active computes
    and compresses them. Checksums of all variables are stored, see `sid_xarray.io.checksum`.

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
    compression : str, int, mapping or None, default: "auto"
        ``"auto"``: gzip 1 with shuffle for integers, nothing for floats. A gzip level; ``"gzip"``, ``"lzf"``; with
        the package hdf5plugin ``"blosc"``, ``"blosc2"``, ``"zstd"``, ``"lz4"``, ``"bitshuffle"``, ``"bzip2"``, a
        mapping such as ``{"compression": "zstd", "clevel": 9}``, or an object of hdf5plugin.
    encoding : mapping, optional
        From variable to ``chunks`` of rows and columns (by dimension, or a tuple), ``compression`` and parameters of
        its filter, ``shuffle``, ``fletcher32`` or ``scaleoffset``, such as
        ``{"signal": {"chunks": {"y": 8, "x": 8}, "compression": "zstd"}}``. The words of netCDF (``chunksizes``,
        ``zlib``, ``complevel``) mean the same.
    position_dims : iterable, optional
        Dimensions that make up the rows; all others make up the columns. By default the spatial ones, and points.
    compound : bool or str, default: False
        Write the variables of a Dataset as the fields of one main, as pycroscopy keeps the parameters of a fit; text
        names it, else the title of the Dataset, else it is ``Parameters``. They must have the same dimensions.
    resume : bool, default: False
        Keep computed blocks in the folder ``.<name>.sidjob`` beside the file until it is complete. After an
        interruption, the same call goes on with the blocks that are missing; it needs no other arrays than the same
        ones, opened and computed in the same way. What a function of your own does must not have changed meanwhile.
    compute : bool, default: True
        If False, return a ``dask.delayed`` that writes when it is computed.

    Returns
    -------
    str
        Path of the node, in the tree of `open`, that was written (the first one of a tree). It is the HDF5 path, but
        for a result: that lies in the group of its source, and its node beside it.

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
    MissingDependencyError
        If the compression needs hdf5plugin, which is not installed.

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
    ask = Request(obj, where, group, mode, source, tool, overwrite, resume)
    form = _Usid(where, compression, dict(encoding or {}), rows, compound)
    return now_or_later(lambda: sources.node_of(where, write(ask, form)), compute)


@dataclass
class _Usid(Format[GroupPlan]):
    rows: Sequence[Hashable] | None
    compound: bool | str = False
    origins: dict[str, str] = field(default_factory=dict)
    """From the place of a result to that of its source."""
    example = "Measurement_000/Channel_000"

    def plan(
        self, obj: xr.DataArray | xr.Dataset, encoding: Mapping[Hashable, Mapping[str, Any]], *, node: bool = False
    ) -> GroupPlan:
        rows = [d for d in self.rows if d in obj.dims] if node and self.rows is not None else self.rows
        return plan_group(obj, self.path, self.compression, encoding, rows, self.compound)

    def plan_attrs(self, attrs: Mapping[Any, Any], where: str) -> PlannedAttrs:
        return plan_attrs(attrs, self.path, where)

    def encodable(self, ds: xr.Dataset) -> Container[Hashable]:
        return ds.data_vars

    def take(self, node: xr.DataTree, place: str) -> None:
        if node.children or place == "/":
            hint = f"Type: tree['{node.path.rstrip('/')}/data'] = tree[{node.path!r}].to_dataset()"
            why = "has variables and children, or is the root"
            raise FormatError(self.path, node.path, f"{why}. {hint}, and drop them here")
        origin = node.encoding.get("sid_source")
        if origin:
            self.origins[place] = str(origin)

    def find_source(self, file: h5py.File, source: Any) -> str | None:
        return sources.find_source(file, source, self.path)

    def free_place(self, measurement: str, plan: GroupPlan) -> str:
        return f"{measurement}/Channel_000" if plan.base.array else measurement

    def beside(self, main: str) -> tuple[str, str]:
        return sources.beside(main)

    def would_lose(self, file: h5py.File, place: str) -> str:
        used = _needed_elsewhere(file, place)
        if used:
            return f"is what {used} was made of, or lies on; it is not overwritten. Take another group=..."
        return ""

    def write_group(self, file: h5py.File, place: str, plan: GroupPlan, main: str | None) -> None:
        about = stamp({"pyUSID_version": FORMAT_LEVEL})
        write_group(file, place, plan, stamp=about, reuse=sources.tables_of(file, main))

    def write_attrs(self, file: h5py.File, place: str, attrs: PlannedAttrs) -> None:
        write_attrs(file, place, attrs)

    def finish(self, file: h5py.File) -> None:
        for place, origin in self.origins.items():
            if isinstance(_h5.find(file, origin), h5py.Dataset):
                file[place].attrs.update({"source_000": file[origin].ref, "source_000_path": origin})

    def refer(self, group: h5py.Group, reference: h5py.Reference) -> None:
        sources.refer(group, reference)


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
