"""Nodes of a tree, as the readers of both formats put them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.schema import attrs as names

__all__ = ["note_problems", "parents", "with_roots"]

_MOST_POINTS = 2**27


def parents(nodes: Iterable[str]) -> set[str]:
    """Return the paths of everything above some nodes; the root always is."""
    out = {"/"}
    for node in nodes:
        while node != "/":
            node = node.rpartition("/")[0] or "/"
            out.add(node)
    return out


def with_roots(ds: xr.Dataset, path: str, stamp: dict[str, Any]) -> xr.Dataset:
    """Give arrays of another program a history that starts with its file.

    Parameters
    ----------
    ds : Dataset
        Its arrays are changed.
    path : str
        The file.
    stamp : dict
        The fingerprint of the file; it is filled on first use.
    """
    for name in ds.data_vars:
        var = ds.variables[name]
        if any(names.is_provenance(k) for k in var.attrs) or "sid_h5path" not in var.encoding:
            continue
        if any(n > _MOST_POINTS for n in var.shape):
            continue  # nothing has that many: the fingerprint of such axes would not fit into memory
        if not stamp:
            stamp |= file_fingerprint(path)
        place = {"h5path": var.encoding["sid_h5path"], "size": stamp["size"], "sha256": stamp["sha256"]}
        if "sid_field" in var.encoding:
            place["field"] = var.encoding["sid_field"]
        if "sid_fill" in var.encoding:
            place["fill"] = var.encoding["sid_fill"]
        rooted = provenance.root(ds[name], "sid:open@1", lazy=True, identity=place, name=stamp["name"])
        var.attrs, var.encoding = rooted.attrs, rooted.encoding
    return ds


def note_problems(root: xr.Dataset, problems: Sequence[str], path: str) -> str:
    """Write what could not be read of a file into the root of its nodes, and return a warning about it."""
    root.attrs["sid_problems"] = "\n".join(problems)
    shown = "" if len(problems) == 1 else f" (and {len(problems) - 1} more, see attrs['sid_problems'])"
    return f"{path} could not be read whole: {problems[0]}{shown}"
