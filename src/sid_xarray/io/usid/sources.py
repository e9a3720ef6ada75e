"""Results beside their source: where to put them, and how to link them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError, SidWarning
from sid_xarray.io import _h5, _sources
from sid_xarray.io.usid.find import linked, mains_below, says_main
from sid_xarray.io.usid.group import Pair
from sid_xarray.io.usid.layout import LINKS, MODEL, SIDES

__all__ = ["beside", "find_source", "node_of", "refer", "tables_of"]


def beside(main: str) -> tuple[str, str]:
    """Return the group that a result of a main goes into, and the name that its own starts with: that of the main."""
    above, _, name = main.rpartition("/")
    return above, name


def tables_of(file: h5py.File, main: str | None) -> list[Pair]:
    """Return the tables that a main links to; a result uses them again where they say the same."""
    if main is None:
        return []
    pairs = [tuple(linked(file, file[main], name) for name in LINKS[side]) for side in SIDES]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def find_source(file: h5py.File, source: Any, path: str) -> str | None:
    """Return the main that ``source`` was read from or written to in this file; None if it is of another.

    Raises
    ------
    FormatError
        If several mains fit, a path was given that is no main, or the source is in no file at all.
    """
    if isinstance(source, str):
        return _named_source(file, source, path)
    found = _sources.matching(mains_below(file), source, path, alike=_same_size)
    # The variables of a Dataset are as many mains, and one source.
    count = len(found) if isinstance(source, xr.DataArray) else min(len(found), 1)
    why = f"the source {_sources.called(source)}is not in this file, and of no other that is known"
    return _sources.one_of(found, count, source, path, missing=f"{why}. Type: source.sid.to_usid(...) first")


def _same_size(da: xr.DataArray, main: h5py.Dataset) -> bool:
    return main.shape is not None and da.size == math.prod(main.shape)


def _named_source(file: h5py.File, source: str, path: str) -> str:
    place = "/" + source.strip("/")
    known = [p for p, _ in mains_below(file)]
    if place in known:
        return place
    inside = [p for p in known if p.startswith(f"{place}/")]
    if inside:
        return inside[0]
    # A result lies in the group of its source, and its node in the tree beside it: that path is meant, too.
    above, _, name = place.rpartition("/")
    moved = {p.rpartition("/")[0] for p in known if p.startswith(f"{above}/") and p.split("/")[-2] == name}
    if len(moved) == 1:
        return next(p for p in known if p.rpartition("/")[0] in moved)
    listed = ", ".join(known) or "none"
    raise FormatError(path, place, f"is no array in this file, so it cannot be the source. There are: {listed}")


def node_of(path: str, place: str) -> str:
    """Return the path under which ``sid.open`` shows a group: beside the one above it, if that holds arrays.

    Parameters
    ----------
    path : str
        The file.
    place : str
        The group.
    """
    parts = place.strip("/").split("/")
    source = _h5.manager(path)
    with _h5.opened(source, path) as file:
        above = [_h5.find(file, "/" + "/".join(parts[:i])) for i in range(1, len(parts))]
        if not any(isinstance(g, h5py.Group) and _holds_arrays(g) for g in above):
            return place
    from sid_xarray.io.usid.both import open_nodes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)  # nobody asked to open the file
        nodes = open_nodes(path)
    for node, ds in nodes.items():
        if any(str(var.encoding.get("sid_h5path", "")).startswith(f"{place}/") for var in ds.variables.values()):
            return node
    return place


def _holds_arrays(group: h5py.Group) -> bool:
    inside = dict(_h5.members(group))
    if any(isinstance(obj, h5py.Dataset) and says_main(obj) for obj in inside.values()):
        return True
    inner = inside.get(_h5.PIN)
    return isinstance(inner, h5py.Group) and MODEL in inner


def refer(group: h5py.Group, reference: h5py.Reference) -> None:
    """Write a reference to its source into the group of a result."""
    group.attrs["source_000"] = reference
