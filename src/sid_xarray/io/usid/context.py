"""What stands around a main: parameters of measurement, channel and processing, and the source of a result."""

from __future__ import annotations

import re
import warnings
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass, field
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
    "Around",
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


@dataclass
class Around:
    """The groups of a file: each is opened and read once, since many mains share them.

    Attributes
    ----------
    file : h5py.File
    groups : dict
        Those that are open, by path.
    """

    file: h5py.File
    groups: dict[str, h5py.Group] = field(default_factory=dict)
    _attrs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _results: dict[str, bool] = field(default_factory=dict)

    def group(self, path: str) -> h5py.Group | None:
        """Return a group; None if there is none."""
        if path not in self.groups:
            found = _h5.find(self.file, path)
            if not isinstance(found, h5py.Group):
                return None
            self.groups[path] = found
        return self.groups[path]

    def attrs(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group."""
        if path not in self._attrs:
            group = self.group(path)
            self._attrs[path] = {} if group is None else plain_attrs(self.file, group)
        return self._attrs[path]

    def is_result(self, path: str) -> bool:
        """Tell whether a group holds what was made of something else."""
        if path not in self._results:
            group = self.group(path)
            self._results[path] = group is not None and is_result(group, path.rpartition("/")[2])
        return self._results[path]


def plain_attrs(file: h5py.File, obj: h5py.Group | h5py.Dataset, *, but: Container[str] = ()) -> dict[str, Any]:
    """Return all attributes but some; references to objects are their paths, those to regions are left out."""
    out: dict[str, Any] = {}
    for name in _h5.attribute_names(obj):
        if name in but:
            continue
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
    if any(_h5.has_attribute(group, key) for key in ("source_000", "source_000_path")):
        return True
    match = _RESULT.match(name)
    return match is not None and (_h5.has_attribute(group, "tool") or match["source"] in group.parent)


def levels(around: Around, path: str) -> dict[str, dict[str, Any]]:
    """Return parameters by level, going by the groups above a main: measurement, channel, result.

    Their names are a custom only: whatever lies above the group of the main is the measurement.
    """
    out: dict[str, dict[str, Any]] = {}
    parts = path.strip("/").split("/")[:-1]
    places = ["/" + "/".join(parts[: i + 1]) for i in range(len(parts))]
    raw = [i for i, place in enumerate(places) if not around.is_result(place)]
    for i in range(len(parts)):
        if i not in raw:
            level = "result"
        elif parts[i].lower().startswith("channel") or (i == raw[-1] and len(raw) > 1):
            level = "channel"
        else:
            level = "measurement"
        skipped = BOOKKEEPING | (RESULT_ATTRS - {"tool"})
        found = {k: v for k, v in around.attrs(places[i]).items() if k not in skipped}
        if found:
            out.setdefault(level, {}).update(packable(found))
    return out


def result_attrs(around: Around, path: str) -> dict[Hashable, Any]:
    """Return the attributes of a node: parameters of what made a result; others are in the metadata."""
    if not around.is_result(path):
        return {}
    return {k: v for k, v in around.attrs(path).items() if k not in DECODED and not re.match(r"source_\d+$", k)}


def source_of(around: Around, path: str) -> str | None:
    """Return the path of what a result was made of: empty if it is gone, None if the group holds no result.

    Parameters
    ----------
    around : Around
    path : str
        Of the group.
    """
    while path not in ("", "/"):
        above, _, name = path.rpartition("/")
        group = around.group(path)
        if group is not None and around.is_result(path):
            return _named(around.file, group, above, name)
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
