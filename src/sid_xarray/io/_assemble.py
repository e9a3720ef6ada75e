"""Datasets and trees put together from parts that fit: what a reader made needs no merging and no aligning.

``xr.Dataset(...)`` merges and aligns whatever it is given, and ``DataTree.from_dict`` copies every node twice and
aligns it with its parents: 0.4 ms a Dataset and 0.3 ms a node, most of what opening a file of a hundred groups would
take. So both are put together directly where it is plain that nothing has to be merged, and by way of xarray's public
functions anywhere else: the result is the same, which the tests compare.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing
from xarray.indexes import PandasIndex

__all__ = ["bare", "cached", "dataset", "tree"]

_LARGEST_SHARED = 2**14


def bare(attrs: Mapping[Any, Any] | None = None) -> xr.Dataset:
    """Return a Dataset of nothing but attributes."""
    ds = _direct({}, set(), {}, {})
    if ds is None:
        ds = xr.Dataset()
    ds.attrs = dict(attrs or {})
    return ds


def dataset(
    data: Mapping[Hashable, xr.Variable], coords: Mapping[Hashable, xr.Variable], indexed: Iterable[Hashable]
) -> xr.Dataset:
    """Return a Dataset with exactly the indexes that are named.

    Parameters
    ----------
    data, coords : dict
        From name to Variable.
    indexed : iterable of hashable
        Coordinates of one dimension that get an index.

    Raises
    ------
    ValueError
        If lengths of dimensions contradict each other, or a coordinate cannot have an index.
    """
    wanted = set(indexed)
    sizes: dict[Hashable, int] = {}
    plain = True
    for parts in (data, coords):
        for name, var in parts.items():
            for dim, size in zip(var.dims, var.shape, strict=True):
                plain = plain and sizes.setdefault(dim, size) == size
            plain = plain and (name not in wanted or len(var.dims) == 1) and len(set(var.dims)) == len(var.dims)
    # xarray takes a variable of the name of a dimension for a coordinate.
    if plain and not data.keys() & (coords.keys() | sizes.keys()) and all(map(_is_plain, coords.values())):
        variables: dict[Hashable, xr.Variable] = dict(data)
        indexes: dict[Hashable, PandasIndex] = {}
        for name, var in coords.items():
            if name in wanted:
                indexes[name], variables[name] = _index(name, var)
            else:
                variables[name] = var.to_base_variable() if isinstance(var, xr.IndexVariable) else var
        ds = _direct(variables, set(coords), sizes, indexes)
        if ds is not None:
            return ds
    ds = xr.Dataset(data, coords=xr.Coordinates(coords, indexes={}))
    for name in coords:
        if name in wanted:
            ds = ds.set_xindex([name])
    return ds


def _is_plain(var: xr.Variable) -> bool:
    return len(var.dims) != 1 or var.dtype.kind in "biufcOUSmM"


def _index(name: Hashable, var: xr.Variable) -> tuple[PandasIndex, xr.Variable]:
    values = var._data if isinstance(var._data, np.ndarray) else var.values
    dim = var.dims[0]
    if values.dtype.kind not in "iuf" or values.dtype.itemsize not in (4, 8):
        index = PandasIndex.from_variables({name: var}, options={})
        return index, index.create_variables({name: var})[name]
    if not 0 < values.nbytes <= _LARGEST_SHARED or type(name) is not str or type(dim) is not str:
        index = _number_index(name, dim, values)
        return index, index.create_variables({name: var})[name]
    index, data = _shared(name, dim, values.dtype.str, values.tobytes())
    return index, xr.IndexVariable(var.dims, data, var.attrs, var.encoding, fastpath=True)  # type: ignore[no-untyped-call]


def _number_index(name: Hashable, dim: Hashable, values: np.ndarray[Any, Any]) -> PandasIndex:
    # What PandasIndex does with any array; these are as pandas wants them.
    return PandasIndex(pd.Index(values, name=name), dim, coord_dtype=values.dtype, fastpath=True)


@functools.lru_cache(maxsize=64)
def _shared(name: str, dim: str, dtype: str, values: bytes) -> tuple[PandasIndex, Any]:
    """Return an index and what a variable of it holds: the signals of a file tend to have the same axes.

    Nobody can change either of them, and xarray shares both when it makes one Dataset from another.
    """
    index = _number_index(name, dim, np.frombuffer(values, dtype))
    return index, index.create_variables()[name]._data


def _direct(
    variables: dict[Hashable, xr.Variable],
    coords: set[Hashable],
    sizes: dict[Hashable, int],
    indexes: Mapping[Hashable, PandasIndex],
) -> xr.Dataset | None:
    """Return a Dataset of these very parts; None where this version of xarray has no such way."""
    construct: Callable[..., xr.Dataset] | None = getattr(xr.Dataset, "_construct_direct", None)
    if construct is None:
        return None
    try:
        return construct(variables, coords, dims=sizes, indexes=dict(indexes))
    except TypeError:
        return None


def _above(path: str) -> list[str]:
    parts = path.strip("/").split("/")[:-1]
    return ["/", *("/" + "/".join(parts[:i]) for i in range(1, len(parts) + 1))]


def tree(nodes: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Return a tree of Datasets.

    Parameters
    ----------
    nodes : dict
        From ``"/"`` and absolute paths to Datasets; parents that are missing are empty.

    Raises
    ------
    ValueError
        If a node does not align with its parent.
    """
    # Those that are missing come last among their siblings, as xarray has it.
    nodes = {**nodes, **{above: bare({}) for path in nodes for above in _above(path) if above not in nodes}}
    parents = {path.rpartition("/")[0] or "/" for path in nodes if path != "/"}
    # A parent with variables gives coordinates to its children, which have to align with it: left to xarray.
    if any(nodes[path].variables for path in parents) or not _can_be_linked():
        return xr.DataTree.from_dict(dict(nodes))
    made: dict[str, xr.DataTree] = {}
    for path in sorted(nodes, key=lambda p: p.count("/") if p != "/" else 0):
        above, _, name = path.rpartition("/")
        node = xr.DataTree.__new__(xr.DataTree)
        node._set_node_data(nodes[path])
        node.set_close(None)
        node._children, node._parent, node._name = {}, None, name or None
        if path != "/":
            node._parent = made[above or "/"]
            node._parent._children[name] = node
        made[path] = node
    return made["/"]


def _can_be_linked() -> bool:
    """Tell whether nodes of this version of xarray are made of the parts that are known here."""
    parts = {"_children", "_parent", "_name"} <= set(getattr(xr.DataTree, "__slots__", ()))
    return parts and hasattr(xr.DataTree, "_set_node_data")


def cached(ds: xr.Dataset) -> None:
    """Keep values of lazy variables in memory once they were read, as ``xarray.open_dataset`` does."""
    lazy = [(name, var) for name, var in ds.variables.items() if not var._in_memory]
    for name, var in lazy:
        if name not in ds.xindexes:
            kept: Any = indexing.MemoryCachedArray(indexing.CopyOnWriteArray(var._data))  # type: ignore[no-untyped-call]
            var._data = kept
