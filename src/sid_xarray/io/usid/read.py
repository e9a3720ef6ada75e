"""Open USID files: every group with arrays becomes a node of a tree."""

from __future__ import annotations

from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError, warn
from sid_xarray.io import _h5, _nodes
from sid_xarray.io._places import asked_for
from sid_xarray.io.nsid.model import slash_free
from sid_xarray.io.usid import context, model
from sid_xarray.io.usid.find import Place, survey
from sid_xarray.io.usid.foreign import Reader
from sid_xarray.io.usid.layout import H5PATH
from sid_xarray.schema import attrs as names

__all__ = ["open_groups", "put"]


def open_groups(path: str, *, group: str | None = None, exact: bool = False, fill: Any = None) -> dict[str, xr.Dataset]:
    """Open every USID group of a file, lazily.

    Parameters
    ----------
    path : str
    group : str, optional
        Only what lies in this group or is this main.
    exact : bool
        Keep names with a slash, which a tree cannot hold.
    fill : number, optional
        What stands where a scan that is not complete has no point. Without, its points are listed.

    Returns
    -------
    dict
        From the path of a node to its Dataset; the attributes of ``"/"`` are those of the file. What could not
        be read stands there in ``sid_problems``. A group inside a group with arrays becomes a node beside it; its
        path in the file is in the attribute ``sid_h5path``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If nothing in it is USID, or nothing can be read.

    Warns
    -----
    SidWarning
        If a part could not be read.
    """
    source = _h5.manager(path)
    full = str(source._args[0])
    with _h5.opened(source, full) as file:
        places, problems = asked_for(file, group, survey=survey, only=_only)
        if not places:
            raise FormatError(full, group or "", _nothing(file, group, problems))
        reader = Reader(source, file, fill=fill)
        out, more = _read_all(reader, places, exact)
        problems += more
        if not out:
            raise FormatError(full, group or "", "; ".join(problems) or "nothing could be read")
        for parent in _nodes.parents(out) - set(out):
            out[parent] = xr.Dataset(attrs=dict(context.group_attrs(file, parent, reader.attrs)))
    for ds in out.values():
        ds.set_close(source.close)
    if problems:
        warn(_nodes.note_problems(out["/"], problems, full))
    return dict(sorted(out.items()))


def _only(places: list[Place], above: str, main: str) -> list[Place]:
    here = []
    for place in places:
        place.mains = [m for m in place.mains if m.path == main]
        if place.path == above and (place.mains or place.ours):
            here.append(place)
    return here


def _nothing(file: h5py.File, group: str | None, problems: list[str]) -> str:
    if problems:
        return "; ".join(problems)
    if group is not None and _h5.find(file, group) is None:
        return "there is no such group"
    count = sum(isinstance(o, h5py.Dataset) for _, _, inside in _h5.walk(file["/"]) for o in inside.values())
    return f"holds {count} dataset(s), none of them USID"


def _read_all(reader: Reader, places: list[Place], exact: bool) -> tuple[dict[str, xr.Dataset], list[str]]:
    nodes: dict[str, xr.Dataset] = {}
    problems: list[str] = []
    mains = [m for place in places for m in place.mains]
    tables = [table for m in mains for pair in m.pairs.values() for table in pair if table is not None]
    reader.known = {int(h5py.h5o.get_info(d.id).addr) for d in (*tables, *(m.dataset for m in mains))}
    stamp: dict[str, Any] = {}
    owned: set[str] = set()
    # Parents first, so that a group inside a group with arrays finds its node taken.
    for place in sorted(places, key=lambda p: p.path.count("/") if p.path != "/" else 0):
        if place.ours:
            try:
                ds, members = model.read(reader.source, reader.file, place)
                owned |= members
                put(nodes, place.path, ds if exact else slash_free(ds), mark=False)
            except FormatError as error:
                problems.append(f"{error.where}: {error.why}; read as the file of another program")
        place.mains = [m for m in place.mains if m.path not in owned]
        if not place.mains:
            continue
        try:
            found, more = reader.datasets(place)
            problems += more
            for path, ds in found.items():
                ds = ds if exact else slash_free(ds)
                put(nodes, path, _with_roots(ds, str(reader.source._args[0]), stamp))
        except Exception as error:  # noqa: BLE001 - one damaged group must not hide the others; it is reported
            problems.append(f"{place.path}: {_h5.first_line(error)}")
    return nodes, problems


def put(nodes: dict[str, xr.Dataset], node: str, ds: xr.Dataset, *, mark: bool = True) -> None:
    """Give a Dataset a node: itself, or beside the node above it, which DataTree would want to align with it.

    Parameters
    ----------
    nodes : dict
        Those that are there; the new one is added.
    node : str
        Where it lies in the file.
    ds : Dataset
    mark : bool
        Write where it lies into its attributes, if it becomes another node.
    """
    parts = node.strip("/").split("/")
    place, taken = node, 1
    above = next((i for i in range(1, len(parts)) if _holds(nodes.get("/" + "/".join(parts[:i])))), None)
    if above is not None:
        base = "/".join(["", *parts[: above - 1]])
        # The name alone, and more of the path only where it is needed to tell two apart.
        tails = ["-".join(parts[i:]) for i in range(len(parts) - 1, above - 2, -1)]
        place = next((p for t in tails if not _taken(p := f"{base}/{t}", nodes)), f"{base}/{tails[-1]}")
    free = place
    while (_taken(free, nodes) and _holds(ds)) or (free != node and _holds(nodes.get(free))):
        free, taken = f"{place}_{taken}", taken + 1
    if free != node and mark:
        ds.attrs[H5PATH] = node
    if _holds(nodes.get(free)):  # attributes alone do not replace arrays
        nodes[free].attrs = {**ds.attrs, **nodes[free].attrs}
        return
    if free in nodes:
        ds.attrs = {**nodes[free].attrs, **ds.attrs}
    nodes[free] = ds


def _holds(ds: xr.Dataset | None) -> bool:
    return ds is not None and bool(ds.variables)


def _taken(node: str, nodes: dict[str, xr.Dataset]) -> bool:
    below = f"{node.rstrip('/')}/"
    return _holds(nodes.get(node)) or any(key.startswith(below) and _holds(ds) for key, ds in nodes.items())


def _with_roots(ds: xr.Dataset, path: str, stamp: dict[str, Any]) -> xr.Dataset:
    """Give arrays of other programs a history that starts with this file."""
    for name in ds.data_vars:
        var = ds[name]
        if any(names.is_provenance(k) for k in var.attrs):
            continue
        ds[name] = _nodes.rooted(var, path, stamp)
    return ds
