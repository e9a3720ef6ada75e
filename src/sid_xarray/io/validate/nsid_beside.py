"""The rules of NSID for what lies beside an array: metadata, structures, results, links."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io.validate.nsid_axes import CRASHING_NAMES, LOST_NAMES
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import NSIDMain

__all__ = ["MAIN"]

MAIN = Table()

_READERS = "pyNSID and SciFiReaders"
_GROUP_NAMES = (CRASHING_NAMES | LOST_NAMES) - {"metadata", "original_metadata"}
_LARGEST_LEVEL = 64_000
# What the older writers put on a group of structures, and their readers leave out.
_STAMPS = ("machine_id", "platform", "sidpy_version", "timestamp")


@MAIN.rule(
    "N50",
    "error",
    "read-crash",
    means="Groups beside an array hold attributes and groups, no datasets, unless their names start with '_'.",
    readers=f"{_READERS} take them for metadata and fail on the whole file. Results beside an array are such groups.",
    repair="Move the group one level up: file.move(old, new).",
)
def _datasets(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, _ in _groups(main):
        inside = next(main.scene.below(main.node.join(name)), None)
        if inside is not None:
            yield main.node.join(name), f"a group beside the array {main.name!r} holds the dataset {inside!r}"


@MAIN.rule(
    "N51",
    "error",
    "read-crash",
    means="A group beside an array is not called like a property of sidpy.Dataset.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Rename the group: file.move('.../size', '.../size_').",
)
def _group_names(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, _ in _groups(main):
        if name in _GROUP_NAMES:
            yield main.node.join(name), f"a group beside the array {main.name!r} is called {name!r}"


@MAIN.rule(
    "N52",
    "error",
    "read-crash",
    means="Metadata have no more than about a thousand entries on their first level.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Nest them: move entries into groups.",
)
def _large(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, obj in _groups(main):
        if name in ("metadata", "original_metadata"):
            entries = [*_h5.attribute_names(obj), *obj]
            as_theirs: dict[str, None] = {}
            as_theirs.update((key, None) for key in entries)
            if sys.getsizeof(as_theirs) >= _LARGEST_LEVEL:
                yield main.node.join(name), f"has {len(entries)} entries"


@MAIN.rule(
    "N53",
    "error",
    "read-crash",
    means="No link beside an array, or in its metadata, leads nowhere or to a file that is not there.",
    readers=f"{_READERS} follow it, and fail on the whole file if nothing is there.",
    repair="Remove the link: del group[name].",
)
def _links(main: NSIDMain) -> Iterator[tuple[str, str]]:
    starts = [main.node.join(name) for name, _ in _groups(main)]
    for path, node in main.scene.nodes.items():
        if path == main.node.path or any(path == s or path.startswith(f"{s}/") for s in starts):
            for name, why in node.broken.items():
                yield node.join(name), f"the link {why}"


@MAIN.rule(
    "N54",
    "error",
    "read-crash",
    means="A group Structure_NNN holds one group, with unit_cell of three vectors, elements and base.",
    readers=f"{_READERS} make atoms of it, and fail on the whole file.",
    repair="Write what is missing, or rename the group so that it starts with '_'.",
)
def _structures(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, obj in main.node.inside.items():
        if "Structure_" not in name or not isinstance(obj, h5py.Group):
            continue
        for key in _h5.attribute_names(obj):
            if key not in _STAMPS:
                yield main.node.join(name), f"has the attribute {key!r}, which is taken for a structure"
        for key, inner in _h5.members(obj):
            missing = [k for k in ("unit_cell", "elements", "base") if k not in inner.attrs]
            elements = _h5.raw_attribute(inner, "elements")
            if missing:
                yield f"{main.node.join(name)}/{key}", f"lacks {', '.join(missing)}"
            elif isinstance(elements, np.ndarray) and elements.dtype.kind == "S":
                yield f"{main.node.join(name)}/{key}", "elements are an array of texts of fixed length"
            elif not _has_three_vectors(_h5.raw_attribute(inner, "unit_cell")):
                yield f"{main.node.join(name)}/{key}", "unit_cell has not three vectors other than zero"


def _has_three_vectors(cell: object) -> bool:
    return isinstance(cell, np.ndarray) and cell.shape == (3, 3) and bool(cell.any(axis=1).all())


@MAIN.rule(
    "N55",
    "warning",
    "lost",
    means="Metadata are attributes of groups.",
    readers=f"{_READERS} do not read metadata that are datasets in a group _metadata, as of a newer writer; sid does.",
    repair="Save it again with sid: sid convert FILE NEW.",
)
def _newer(main: NSIDMain) -> Iterator[tuple[str, str]]:
    group = main.node.inside.get("_metadata")
    if isinstance(group, h5py.Group):
        yield main.path, "its metadata are datasets in the group _metadata"


def _groups(main: NSIDMain) -> Iterator[tuple[str, h5py.Group]]:
    """Yield the groups that the older readers take for metadata."""
    for name, obj in main.node.inside.items():
        if isinstance(obj, h5py.Group) and not name.startswith("_") and "Structure_" not in name:
            yield name, obj
