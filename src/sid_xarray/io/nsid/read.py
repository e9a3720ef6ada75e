"""Open NSID files: every group with arrays becomes a node of a tree."""

from __future__ import annotations

from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError, warn
from sid_xarray.io import _h5, _nodes
from sid_xarray.io._assemble import bare
from sid_xarray.io._pause import paused
from sid_xarray.io._places import Found, asked_for
from sid_xarray.io.nsid import foreign, model
from sid_xarray.io.nsid.find import KIND, Main, Place, agree

__all__ = ["open_groups", "read_groups"]


def open_groups(path: str, *, group: str | None = None, exact: bool = False) -> dict[str, xr.Dataset]:
    """Open every NSID group of a file, lazily.

    Parameters
    ----------
    path : str
    group : str, optional
        Only what lies in this group or is this main.
    exact : bool
        Keep names with a slash, which a tree cannot hold.

    Returns
    -------
    dict
        From the path of a node to its Dataset; the attributes of ``"/"`` are those of the file. What could not
        be read stands there in ``sid_problems``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If nothing in it is NSID, or nothing can be read.

    Warns
    -----
    SidWarning
        If a part could not be read.
    """
    source = _h5.manager(path)
    full = str(source._args[0])
    with _h5.opened(source, full) as file, paused(), asked_for(file, group, [KIND]) as (found,):
        return read_groups(source, file, found, group=group, exact=exact)


def read_groups(source: Any, file: h5py.File, found: Found, *, group: str | None, exact: bool) -> dict[str, xr.Dataset]:
    """Read the NSID groups that a survey found; see `open_groups`."""
    full = str(source._args[0])
    if not found.places:
        raise FormatError(full, group or "", _nothing(file, group, found.problems))
    nodes, more = _read_all(source, file, found.places, exact)
    problems = found.problems + more
    if not nodes:
        raise FormatError(full, group or "", "; ".join(problems) or "nothing could be read")
    for parent in _nodes.parents(nodes) - set(nodes):
        above = found.walked[parent][0] if parent in found.walked else _h5.find(file, parent)
        nodes[parent] = bare(foreign.group_attrs(above) if isinstance(above, h5py.Group) else {})
    problems += _settle(nodes)
    for ds in nodes.values():
        ds.set_close(source.close)
    if problems:
        warn(_nodes.note_problems(nodes["/"], problems, full))
    return dict(sorted(nodes.items()))


def _nothing(file: h5py.File, group: str | None, problems: list[str]) -> str:
    if problems:
        return "; ".join(problems)
    if group is not None and _h5.find(file, group) is None:
        return "there is no such group"
    found = [o for _, _, inside in _h5.walk(file["/"]) for o in inside.values() if isinstance(o, h5py.Dataset)]
    if any(_h5.raw_attribute(o, "Position_Indices") is not None for o in found[:1000]):
        return "holds USID data and no NSID. Leave out reader='nsid'"
    return (
        f"holds {len(found)} dataset(s), none of them NSID or USID. For a netCDF file type: "
        "xr.open_dataset(path, engine='h5netcdf').sid.adopt(). A file of HyperSpy: sid.from_hyperspy(hs.load(path))"
    )


def _read_all(
    source: Any, file: h5py.File, places: list[Place], exact: bool
) -> tuple[dict[str, xr.Dataset], list[str]]:
    nodes: dict[str, xr.Dataset] = {}
    problems: list[str] = []
    stamp: dict[str, Any] = {}
    # Parents first, so that a group inside a group with arrays finds its node taken.
    for place in sorted(places, key=lambda p: p.path.count("/")):
        if place.ours:
            try:
                ds, more = model.read(source, place)
                problems += more
                _put(nodes, place.path, ds if exact else model.slash_free(ds))
                continue
            except FormatError as error:
                problems.append(f"{error.where}: {error.why}; read as the file of another program")
                problems += place.complete()
        for name, mains in _by_node(place):
            try:
                ds, more = foreign.read(source, file, place, mains)
                ds = _nodes.with_roots(ds, str(source._args[0]), stamp)
            except Exception as error:  # noqa: BLE001 - one damaged group must not hide the others; it is reported
                problems += [f"{place.path_of(m.name)}: {_h5.first_line(error)}" for m in mains]
                continue
            problems += more
            _put(nodes, name, ds)
    return nodes, problems


def _by_node(place: Place) -> list[tuple[str, list[Main]]]:
    """Give every main a node: those of one group share one, unless their axes contradict each other."""
    if place.path != "/" and agree(place.mains):
        return [(place.path, place.mains)] if place.mains else []
    return [(place.path_of(m.name), [m]) for m in place.mains]


def _put(nodes: dict[str, xr.Dataset], node: str, ds: xr.Dataset) -> None:
    # DataTree wants children that align with their parent; results are no such thing: they become siblings.
    place = node
    while (above := _node_above(place, nodes)) is not None:
        place = f"{above.rpartition('/')[0]}/{place.rpartition('/')[2]}"
    base, n = place, 1
    while place in nodes:
        place, n = f"{base}_{n}", n + 1
    nodes[place] = ds


def _node_above(node: str, nodes: dict[str, xr.Dataset]) -> str | None:
    parent = node.rpartition("/")[0]
    while parent:
        if parent in nodes and nodes[parent].data_vars:
            return parent
        parent = parent.rpartition("/")[0]
    return None


def _settle(nodes: dict[str, xr.Dataset]) -> list[str]:
    """Part parents from children that contradict them: a tree could not hold both."""
    problems: list[str] = []
    for node in _nodes.parents(nodes) & set(nodes):
        ds = nodes[node]
        if not ds.variables:
            continue
        for key in [k for k in nodes if k != node and k.startswith(node.rstrip("/") + "/")]:
            try:
                xr.align(nodes[key], ds, join="exact", copy=False)
            except ValueError:
                nodes[node] = ds.drop_vars(list(ds.variables))
                if ds.data_vars:
                    _put(nodes, f"{node.rstrip('/')}/{next(iter(ds.data_vars))}", ds)
                else:
                    problems.append(f"{node}: its coordinates contradict those of {key}: left out")
                break
    return problems
