"""What stands around a main: parameters of measurement, channel and processing, and the source of a result."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import h5py
import numpy as np

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.adopt import apply_units
from sid_xarray.errors import MetadataError, SidWarning
from sid_xarray.io import _h5
from sid_xarray.io.nsid import attributes
from sid_xarray.io.usid.layout import BOOKKEEPING, RESULT_ATTRS

__all__ = [
    "DECODED",
    "group_attrs",
    "is_result",
    "levels",
    "packable",
    "plain_attrs",
    "quiet_units",
    "result_attrs",
    "source_of",
]

_RESULT = re.compile(r"^(?P<source>[^-]+)-[^-]+_\d+$")
# xarray would act on an attribute of such a name when the array is saved and read again.
DECODED = frozenset(
    ("scale_factor", "add_offset", "missing_value", "_FillValue", "_Unsigned", "calendar", "dtype", "coordinates")
)


def quiet_units(attrs: dict[Hashable, Any], *, axis: str | None = None) -> dict[Hashable, Any]:
    """Return attributes with canonical units; nobody is warned of unknown ones, `sid.check` tells of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        return apply_units(attrs, axis=axis)


def plain_attrs(file: h5py.File, obj: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return all attributes; references to objects are their paths, those to regions are left out."""
    out: dict[str, Any] = {}
    for name in _h5.attribute_names(obj):
        value = _h5.raw_attribute(obj, name)
        if value is None or isinstance(value, h5py.RegionReference):
            continue
        if isinstance(value, np.ndarray) and h5py.check_ref_dtype(value.dtype) is h5py.RegionReference:
            continue
        if isinstance(value, h5py.Reference):
            try:
                value = str(file[value].name)
            except Exception:  # noqa: BLE001 - what it pointed to is gone; HDF5 raises anything
                continue
        found = attributes.plain(_h5.decoded(value))
        if found is not None:
            out[_h5.text(name) or name] = found
    return out


def packable(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what metadata can hold; values of odd types become text."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        try:
            _metadata.to_plain(value)
        except MetadataError:
            value = repr(value)
        out[key] = value
    return out


def is_result(group: h5py.Group, name: str) -> bool:
    """Tell whether a group holds what was made of something else."""
    if any(key in group.attrs for key in ("source_000", "source_000_path")):
        return True
    match = _RESULT.match(name)
    return match is not None and ("tool" in group.attrs or match["source"] in group.parent)


def group_attrs(file: h5py.File, path: str, cache: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes of a group, which many mains share."""
    if path not in cache:
        group = _h5.find(file, path)
        cache[path] = plain_attrs(file, group) if isinstance(group, h5py.Group) else {}
    return cache[path]


def levels(file: h5py.File, path: str, cache: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return parameters by level, going by the groups above a main: measurement, channel, result.

    Their names are a custom only: whatever lies above the group of the main is the measurement.
    """
    out: dict[str, dict[str, Any]] = {}
    parts = path.strip("/").split("/")[:-1]
    raw = [i for i, part in enumerate(parts) if not _is_result_at(file, parts, i)]
    for i in range(len(parts)):
        if i not in raw:
            level = "result"
        elif parts[i].lower().startswith("channel") or (i == raw[-1] and len(raw) > 1):
            level = "channel"
        else:
            level = "measurement"
        skipped = BOOKKEEPING | (RESULT_ATTRS - {"tool"})
        attrs = group_attrs(file, "/" + "/".join(parts[: i + 1]), cache)
        found = {k: v for k, v in attrs.items() if k not in skipped}
        if found:
            out.setdefault(level, {}).update(packable(found))
    return out


def _is_result_at(file: h5py.File, parts: list[str], i: int) -> bool:
    group = _h5.find(file, "/" + "/".join(parts[: i + 1]))
    return isinstance(group, h5py.Group) and is_result(group, parts[i])


def result_attrs(file: h5py.File, group: h5py.Group, name: str) -> dict[Hashable, Any]:
    """Return the attributes of a node: parameters of what made a result; others are in the metadata."""
    if not is_result(group, name):
        return {}
    found = plain_attrs(file, group)
    return {k: v for k, v in found.items() if k not in DECODED and not re.match(r"source_\d+$", k)}


def source_of(file: h5py.File, path: str) -> str | None:
    """Return the path of what a result was made of: empty if it is gone, None if the group holds no result.

    Parameters
    ----------
    file : h5py.File
    path : str
        Of the group.
    """
    while path not in ("", "/"):
        above, _, name = path.rpartition("/")
        group = _h5.find(file, path)
        if isinstance(group, h5py.Group) and is_result(group, name):
            return _named(file, group, above, name)
        path = above
    return None


def _named(file: h5py.File, group: h5py.Group, above: str, name: str) -> str:
    reference = _h5.raw_attribute(group, "source_000")
    try:
        if isinstance(reference, h5py.Reference) and reference and file[reference].name:
            return str(file[reference].name)
    except Exception:  # noqa: BLE001 - the source was deleted; its name may still tell
        pass
    said = _h5.attribute(group, "source_000_path")
    if isinstance(said, str):
        return said
    match = _RESULT.match(name)
    beside = f"{above}/{match['source']}" if match else ""
    return beside if match and isinstance(_h5.find(file, beside), h5py.Dataset) else ""
