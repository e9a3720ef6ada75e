"""Attribute groups of NSID: nested metadata as HDF5 groups and attributes, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io._filters import whole
from sid_xarray.io.nsid.layout import BOOKKEEPING

__all__ = ["holds_datasets", "read_tree", "write_tree"]

_JUNK = frozenset(("__dict__", "_axes"))
_DEEPEST = 64
_MOST = 100_000
_LARGEST_LEAF = 10**6


def holds_datasets(group: h5py.Group) -> bool:
    """Tell whether a group holds a dataset at any depth: then it is not metadata."""
    return any(isinstance(obj, h5py.Dataset) for _, _, inside in _h5.walk(group) for obj in inside.values())


def read_tree(group: h5py.Group, *, datasets: bool = False) -> dict[str, Any]:
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
    return _read_level(group, datasets, (), [_MOST])


def _read_level(group: h5py.Group, datasets: bool, above: tuple[Any, ...], left: list[int]) -> dict[str, Any]:
    # Links may form loops, which end where they began, and meshes: depth alone would not end these in our lifetime.
    out: dict[str, Any] = {}
    here = _h5.address(group)
    if here in above or len(above) > _DEEPEST or left[0] <= 0:
        return out
    for name in _h5.attribute_names(group):
        # The writer that stores metadata as datasets stamps every group with its book-keeping.
        if not (datasets and name in (*BOOKKEEPING, "sidpy_class")):
            value = _h5.raw_attribute(group, name)
            if value is not None and not isinstance(value, h5py.Reference | h5py.RegionReference):
                out[_h5.text(name) or name] = plain(_h5.decoded(value))
    for key, obj in _h5.members(group):
        left[0] -= 1
        if key in _JUNK:
            continue
        if isinstance(obj, h5py.Group):
            out[key] = _read_level(obj, datasets, (*above, here), left)
        elif datasets and obj.shape is not None and obj.size <= _LARGEST_LEAF and _h5.is_stored_here(obj):
            out[key] = plain(_h5.decoded(whole(obj)))
    return out


def plain(value: Any) -> Any:
    """Return int64, float64, bool and their arrays as plain Python; other types keep their dtype."""
    if isinstance(value, np.ndarray | np.generic):
        native = (
            value.dtype in (np.dtype("i8"), np.dtype("f8"), np.dtype("?"), np.dtype("c16")) and value.dtype.isnative
        )
        if value.size and (native or value.dtype.kind in "USV"):
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
        listed = isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value)
        if not listed and not isinstance(value, Mapping):
            write_attribute(group, name, value)
        elif "/" not in name and name not in (".", "..") and _is_utf8(name):
            # A slash would nest deeper than the record does.
            inner = group.require_group(name)
            for i, item in enumerate(value) if listed else ((None, value),):
                write_tree(inner if i is None else inner.require_group(str(i)), item, depth + 1)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_attribute(obj: h5py.Group | h5py.Dataset, name: str, value: Any) -> bool:
    """Write one attribute if HDF5 can hold it, and tell whether it could."""
    if not name or "\x00" in name:
        return False
    try:
        if value is None:
            obj.attrs[name] = h5py.Empty("f8")
        elif isinstance(value, str):
            if "\x00" in value:
                return False
            obj.attrs[name] = value
        elif isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
            obj.attrs.create(name, [str(v) for v in value], dtype=h5py.string_dtype())
        elif isinstance(value, bool | int | float | complex) or (
            isinstance(value, np.generic) and value.dtype.kind in "biufc"
        ):
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
