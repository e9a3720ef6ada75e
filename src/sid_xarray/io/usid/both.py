"""Files that hold NSID, USID, or both: one dict of nodes."""

from __future__ import annotations

import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._places import asked_for
from sid_xarray.io.nsid import read as nsid
from sid_xarray.io.nsid.find import KIND as NSID
from sid_xarray.io.usid import read as usid
from sid_xarray.io.usid.find import KIND as USID
from sid_xarray.io.usid.find import holds_usid

__all__ = ["open_groups"]


def open_groups(path: str, *, group: str | None = None, exact: bool = False) -> dict[str, xr.Dataset]:
    """Open every NSID and every USID group of a file, lazily.

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
        From the path of a node to its Dataset, as each of the two readers gives it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If nothing in it is NSID or USID, or nothing can be read.
    """
    source = _h5.manager(path)
    with _h5.opened(source, str(source._args[0])) as file:
        surveyed = asked_for(file, group, [NSID, USID])
        # NSID first: its places are those that were asked for, also of results.
        readers = list(zip((nsid.read_groups, usid.read_groups), surveyed, strict=True))
        wanted = [(read, part) for read, part in readers if part]
        if len(wanted) < 2:
            # Where nothing was found, one of them says why.
            read, part = wanted[0] if wanted else readers[group is not None and holds_usid(path)]
            return read(source, file, part, group=group, exact=exact)
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
