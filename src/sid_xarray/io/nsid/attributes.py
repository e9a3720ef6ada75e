"""Attribute groups of NSID: nested metadata as HDF5 groups and attributes, both ways."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io.nsid.layout import BOOKKEEPING

__all__ = ["holds_datasets", "read_tree", "write_tree"]

_JUNK = frozenset(("__dict__", "_axes"))
_DEEPEST = 64


def holds_datasets(group: h5py.Group, depth: int = 0) -> bool:
    """Tell whether a group holds a dataset at any depth: then it is not metadata."""
    if depth > _DEEPEST:
        return True
    return any(
        isinstance(obj, h5py.Dataset) or holds_datasets(obj, depth + 1) for _, obj in _h5.members(group)
    )


def read_tree(group: h5py.Group, *, datasets: bool = False, depth: int = 0) -> dict[str, Any]:
    """Return nested metadata.

    Parameters
    ----------
    group : h5py.Group
    datasets : bool
        Also take datasets as leaves, as one newer writer does.

    Returns
    -------
    dict
        int64, float64, complex128, bool and text as plain Python; other numpy types as they are. A list of
        dicts of an older writer is a dict with keys ``"0"``, ``"1"`` …, as it is in the file.
    """
    out: dict[str, Any] = {}
    if depth > _DEEPEST:
        return out
    for key, value in _h5.attributes(group).items():
        # The writer that stores metadata as datasets stamps every group with its book-keeping.
        if not (datasets and key in (*BOOKKEEPING, "sidpy_class")):
            out[key] = plain(value)
    for name in group.attrs:
        if name not in out and isinstance(_raw(group, name), h5py.Empty):
            out[name] = None
    for key, obj in _h5.members(group):
        if key in _JUNK:
            continue
        if isinstance(obj, h5py.Group):
            out[key] = read_tree(obj, datasets=datasets, depth=depth + 1)
        elif datasets and obj.shape is not None and obj.size <= 10**6:
            out[key] = plain(_h5._decoded(obj[()]))
    return out


def _raw(group: h5py.Group, name: str) -> Any:
    with contextlib.suppress(Exception):
        return group.attrs[name]
    return None


def plain(value: Any) -> Any:
    """Return int64, float64, bool and their arrays as plain Python; other types keep their dtype."""
    if isinstance(value, np.ndarray | np.generic):
        native = value.dtype in (np.dtype("i8"), np.dtype("f8"), np.dtype("?"), np.dtype("c16")) and value.dtype.isnative
        if native and value.size:
            return value.tolist()
        if value.dtype.kind in "US" and value.size:
            return value.tolist()
    return value


def write_tree(group: h5py.Group, tree: Mapping[Any, Any], depth: int = 0) -> None:
    """Write nested metadata in the way that the older readers show them.

    What HDF5 attributes cannot hold is left out: the whole record is in ``sid_metadata`` beside it.
    """
    if depth > _DEEPEST:
        return
    for key, value in tree.items():
        name = str(key).strip()
        if not name or "\x00" in name:
            continue
        if isinstance(value, Mapping):
            # A slash would nest deeper than the record does.
            if "/" not in name and name not in (".", ".."):
                write_tree(group.require_group(name), value, depth + 1)
        elif isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
            if "/" not in name:
                listed = group.require_group(name)
                for i, item in enumerate(value):
                    write_tree(listed.require_group(str(i)), item, depth + 1)
        else:
            write_attribute(group, name, value)


def write_attribute(obj: h5py.Group | h5py.Dataset, name: str, value: Any) -> bool:
    """Write one attribute if HDF5 can hold it, and tell whether it could."""
    try:
        if value is None:
            obj.attrs[name] = h5py.Empty("f8")
        elif isinstance(value, str):
            if "\x00" in value:
                return False
            obj.attrs[name] = value
        elif isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
            obj.attrs.create(name, [str(v) for v in value], dtype=h5py.string_dtype())
        elif isinstance(value, bool | int | float | complex | np.generic):
            obj.attrs[name] = value
        elif isinstance(value, list | tuple | np.ndarray):
            array = np.asarray(value)
            if array.dtype.kind not in "biufc" or array.nbytes > 60_000:
                return False
            obj.attrs[name] = array
        else:
            return False
    except (TypeError, ValueError, OSError, OverflowError, RuntimeError):
        return False
    return True
