"""Nodes of a tree, as the readers of both formats put them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.fingerprint import file_fingerprint

__all__ = ["note_problems", "parents", "rooted"]


def parents(nodes: Iterable[str]) -> set[str]:
    """Return the paths of everything above some nodes; the root always is."""
    out = {"/"}
    for node in nodes:
        while node != "/":
            node = node.rpartition("/")[0] or "/"
            out.add(node)
    return out


def rooted(var: xr.DataArray, path: str, stamp: dict[str, Any]) -> xr.DataArray:
    """Return an array of another program with a history that starts with its file.

    Parameters
    ----------
    var : DataArray
    path : str
        The file.
    stamp : dict
        The fingerprint of the file; it is filled on first use.
    """
    if not stamp:
        stamp |= file_fingerprint(path)
    place = {"h5path": var.encoding["sid_h5path"], "size": stamp["size"], "sha256": stamp["sha256"]}
    if "sid_field" in var.encoding:
        place["field"] = var.encoding["sid_field"]
    if "sid_fill" in var.encoding:
        place["fill"] = var.encoding["sid_fill"]
    return provenance.root(var, "sid:open@1", lazy=True, identity=place, name=stamp["name"])


def note_problems(root: xr.Dataset, problems: Sequence[str], path: str) -> str:
    """Write what could not be read of a file into the root of its nodes, and return a warning about it."""
    root.attrs["sid_problems"] = "\n".join(problems)
    shown = "" if len(problems) == 1 else f" (and {len(problems) - 1} more, see attrs['sid_problems'])"
    return f"{path} could not be read whole: {problems[0]}{shown}"
