"""Walks through trees."""

from __future__ import annotations

import xarray as xr

__all__ = ["signals"]


def signals(tree: xr.DataTree) -> dict[str, xr.DataArray]:
    """All arrays of a tree, by path.

    Parameters
    ----------
    tree : DataTree

    Returns
    -------
    dict
        From ``"/Measurement_000/Channel_000/IV/IV"`` to the DataArray; lazy arrays stay lazy.
    """
    found: dict[str, xr.DataArray] = {}
    for node in tree.subtree:
        for name in node.data_vars:
            found[f"{node.path.rstrip('/')}/{name}"] = node.dataset[name]
    return found
