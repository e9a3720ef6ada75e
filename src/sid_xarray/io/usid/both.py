"""Files that hold NSID, USID, or both: one dict of nodes."""

from __future__ import annotations

import functools
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError, warn
from sid_xarray.io import _h5, _nodes
from sid_xarray.io._assemble import bare
from sid_xarray.io._links import damaged
from sid_xarray.io._pause import paused
from sid_xarray.io._places import Found, asked_for
from sid_xarray.io._rest import add_rest
from sid_xarray.io.nsid import read as nsid
from sid_xarray.io.nsid.find import KIND as NSID
from sid_xarray.io.usid import read as usid
from sid_xarray.io.usid.find import KIND as USID
from sid_xarray.io.usid.find import holds_usid

__all__ = ["open_groups", "open_nodes"]


def open_groups(path: str, *, group: str | None = None, exact: bool = False, fill: Any = None) -> dict[str, xr.Dataset]:
    """Open every NSID and every USID group of a file, lazily.

    Parameters
    ----------
    path : str
    group : str, optional
        Only what lies in this group or is this main.
    exact : bool
        Keep names with a slash, which a tree cannot hold.
    fill : number, optional
        What stands where a USID scan that is not complete has no point. Without, its points are listed.

    Returns
    -------
    dict
        From the path of a node to its Dataset, as each of the two readers gives it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If nothing in it is NSID or USID, or nothing can be read.

    Warns
    -----
    SidWarning
        If a part could not be read.
    """
    source = _h5.manager(path)
    full = str(source._args[0])
    with _h5.opened(source, full) as file, paused(), asked_for(file, group, [NSID, USID]) as surveyed:
        if group is not None:
            return _nodes_of(source, file, surveyed, group=group, exact=exact, fill=fill)
        try:
            found = _nodes_of(source, file, surveyed, group=None, exact=exact, fill=fill)
        except FormatError as error:
            lost = damaged(file)
            if not lost:
                raise
            raise FormatError(full, "", f"{error.why}. Damaged: {'; '.join(lost)}") from error
        lost = add_rest(source, file, found, surveyed)
    for parent in _nodes.parents(found) - set(found):
        found[parent] = bare()
        found[parent].set_close(source.close)
    if lost:
        _tell(found["/"], lost, full)
    return dict(sorted(found.items()))


def _tell(root: xr.Dataset, lost: list[str], path: str) -> None:
    known = str(root.attrs.get("sid_problems", "")).splitlines()
    places = {line.partition(": ")[0] for line in known}
    new = [line for line in lost if line.partition(": ")[0] not in places]
    if new:
        warn(_nodes.note_problems(root, [*new, *known], path))


def open_nodes(path: str, *, group: str | None = None, exact: bool = False, fill: Any = None) -> dict[str, xr.Dataset]:
    """Open what `open_groups` opens, but for what is neither NSID nor USID."""
    source = _h5.manager(path)
    with _h5.opened(source, str(source._args[0])) as file, asked_for(file, group, [NSID, USID]) as surveyed:
        return _nodes_of(source, file, surveyed, group=group, exact=exact, fill=fill)


def _nodes_of(
    source: Any, file: h5py.File, surveyed: list[Found], *, group: str | None, exact: bool, fill: Any
) -> dict[str, xr.Dataset]:
    # NSID first: its places are those that were asked for, also of results.
    readers: list[tuple[Any, Found]] = list(
        zip((nsid.read_groups, functools.partial(usid.read_groups, fill=fill)), surveyed, strict=True)
    )
    wanted = [(read, part) for read, part in readers if part]
    if len(wanted) < 2:
        # Where nothing was found, one of them says why.
        read, part = wanted[0] if wanted else readers[group is not None and holds_usid(file.filename)]
        nodes: dict[str, xr.Dataset] = read(source, file, part, group=group, exact=exact)
        return nodes
    found: dict[str, xr.Dataset] = {}
    problems: list[str] = []
    refused: list[FormatError] = []
    for read, part in wanted:
        try:
            nodes = read(source, file, part, group=group, exact=exact)
        except FormatError as error:
            refused.append(error)
            continue
        problems += filter(None, [nodes["/"].attrs.get("sid_problems")])
        for node, ds in nodes.items():
            usid.put(found, node, ds)
    if not found:
        raise refused[-1]
    if problems:
        found["/"].attrs["sid_problems"] = "\n".join(problems)
    return dict(sorted(found.items()))
