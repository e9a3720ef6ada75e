"""Open USID files: every group with arrays becomes a node of a tree."""

from __future__ import annotations

from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError, warn
from sid_xarray.io import _h5, _nodes
from sid_xarray.io._assemble import bare
from sid_xarray.io._pause import paused
from sid_xarray.io._places import Found, asked_for
from sid_xarray.io.nsid.model import slash_free
from sid_xarray.io.usid import context, model
from sid_xarray.io.usid.find import KIND, Place, linked
from sid_xarray.io.usid.foreign import Reader
from sid_xarray.io.usid.layout import H5PATH, LINKS, SIDES

__all__ = ["open_groups", "put", "read_groups"]


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
    with _h5.opened(source, full) as file, paused(), asked_for(file, group, [KIND]) as (found,):
        return read_groups(source, file, found, group=group, exact=exact, fill=fill)


def read_groups(
    source: Any, file: h5py.File, found: Found, *, group: str | None, exact: bool, fill: Any = None
) -> dict[str, xr.Dataset]:
    """Read the USID groups that a survey found; see `open_groups`."""
    full = str(source._args[0])
    if not found.places:
        raise FormatError(full, group or "", _nothing(file, group, found.problems))
    reader = Reader(source, context.Around(file, found.groups), fill=fill)
    out, more = _read_all(reader, found.places, exact)
    problems = found.problems + more
    if not out:
        raise FormatError(full, group or "", "; ".join(problems) or "nothing could be read")
    for parent in _nodes.parents(out) - set(out):
        out[parent] = bare(reader.around.attrs(parent))
    for ds in out.values():
        ds.set_close(source.close)
    if problems:
        warn(_nodes.note_problems(out["/"], problems, full))
    return dict(sorted(out.items()))


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
    stamp: dict[str, Any] = {}
    described, owned, more = _described(reader, places)
    problems += more
    inside: dict[str, set[str]] = {}
    for path in owned:
        above, _, name = path.rpartition("/")
        inside.setdefault(above, set()).add(name)
    for place in places:
        problems += place.complete(but=inside.get(place.path, ()))
        place.mains = [m for m in place.mains if m.path not in owned]
    if any(place.mains for place in places):
        reader.known = _known(reader, places, owned)
    # Parents first, so that a group inside a group with arrays finds its node taken.
    for place in sorted(places, key=_depth):
        if place.path in described:
            ds = described[place.path]
            put(nodes, place.path, ds if exact else slash_free(ds), mark=False)
        if not place.mains:
            continue
        try:
            found, more = reader.datasets(place)
            problems += more
            for path, ds in found.items():
                ds = ds if exact else slash_free(ds)
                put(nodes, path, _nodes.with_roots(ds, str(reader.source._args[0]), stamp))
        except Exception as error:  # noqa: BLE001 - one damaged group must not hide the others; it is reported
            problems.append(f"{place.path}: {_h5.first_line(error)}")
    return nodes, problems


def _depth(place: Place) -> int:
    return place.path.count("/") if place.path != "/" else 0


def _described(reader: Reader, places: list[Place]) -> tuple[dict[str, xr.Dataset], set[str], list[str]]:
    """Read the groups of this library; return their Datasets, the mains that they consist of, and problems."""
    out: dict[str, xr.Dataset] = {}
    owned: set[str] = set()
    problems: list[str] = []
    for place in sorted((p for p in places if p.ours), key=_depth):
        try:
            out[place.path], members = model.read(reader.source, reader.around.file, place)
            owned |= members
        except FormatError as error:
            problems.append(f"{error.where}: {error.why}; read as the file of another program")
    return out, owned, problems


def _known(reader: Reader, places: list[Place], owned: set[str]) -> set[int]:
    """Return the addresses of all mains and of what describes their axes."""
    file = reader.around.file
    out: set[int] = set()
    for place in places:
        for main in place.mains:
            out |= {
                _h5.address(d)
                for d in (main.dataset, *(d for pair in main.pairs.values() for d in pair))
                if d is not None
            }
    for path in owned:
        found = _h5.find(file, path)
        if isinstance(found, h5py.Dataset):
            tables = [linked(file, found, name) for side in SIDES for name in LINKS[side]]
            out |= {_h5.address(d) for d in (found, *tables) if d is not None}
    return out


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
