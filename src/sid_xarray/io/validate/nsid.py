"""The rules of NSID, as the older readers (pyNSID, SciFiReaders, sidpy) enforce them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io.nsid.layout import BOOKKEEPING, MAIN_REQUIRED
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import NSIDMain, Scan
from sid_xarray.schema.kinds import DIMENSION_TYPES, kind_from_nsid, parse_dimension_type

__all__ = ["CRASHING_NAMES", "FILE", "LOST_NAMES", "MAIN"]

FILE, MAIN = Table(), Table()

_REQUIRED = (*MAIN_REQUIRED, "pyNSID_version")
_SCALE = ("name", "units", "quantity", "dimension_type")
_READERS = "pyNSID and SciFiReaders"

# Attributes of sidpy.Dataset. A dimension of such a name makes the older readers fail, or is lost.
CRASHING_NAMES = frozenset(
    ("A", "T", "blocks", "chunks", "chunksize", "compute", "dask", "data_descriptor", "dtype", "h5_dataset", "imag")
    + (
        "itemsize",
        "labels",
        "name",
        "nbytes",
        "ndim",
        "npartitions",
        "numblocks",
        "partitions",
        "real",
        "set_dimension",
    )
    + ("shape", "size", "structures", "vindex")  # noqa: RUF005 - a list of words reads best in lines
)
LOST_NAMES = frozenset(
    ("data_type", "metadata", "modality", "original_metadata", "quantity", "source", "title", "units", "variance")
)
_GROUP_NAMES = CRASHING_NAMES | frozenset(("data_type", "modality", "quantity", "source", "title", "units", "variance"))
_LARGEST_LEVEL = 64_000


# Of the whole file ----------------------------------------------------------------------------------------------------


@FILE.rule(
    "N01",
    "error",
    "open-crash",
    means="No dataset of an NSID file is without a shape.",
    readers=f"{_READERS} fail when they open the file: nothing in it can be read.",
    repair="Delete it, or replace it by an attribute: del file[...].",
)
def _null(scene: Scan) -> Iterator[tuple[str, str]]:
    for path, dataset in scene.datasets.items():
        if dataset.shape is None:
            yield path, "is a dataset without shape and values (NULL)"


@FILE.rule(
    "N02",
    "note",
    "open-crash",
    means="The older reader opens files for reading and writing.",
    readers="SciFiReaders.NSIDReader needs the permission to write, and fails without; sid does not.",
    repair="Copy the file to where you may write.",
)
def _permission(scene: Scan) -> Iterator[tuple[str, str]]:
    if not os.access(scene.path, os.W_OK):
        yield "/", "the file may not be written"


# Is it seen as an array? ----------------------------------------------------------------------------------------------


@MAIN.rule(
    "N10",
    "error",
    "ignored",
    means="An array has the attributes quantity, units, main_data_name, pyNSID_version, data_type, modality, source.",
    readers=f"{_READERS} do not see the array.",
    repair="Open it with sid and save it again: sid convert FILE NEW.",
    stage=1,
)
def _attributes(main: NSIDMain) -> Iterator[tuple[str, str]]:
    missing = [name for name in _REQUIRED if name not in main.dataset.attrs]
    if missing == ["pyNSID_version"] and "nsid_version" in main.dataset.attrs:
        yield main.path, "is of the first dialect, of 2020: it has nsid_version and no pyNSID_version"
    elif missing:
        yield main.path, f"lacks {', '.join(missing)}"


@MAIN.rule(
    "N11",
    "error",
    "ignored",
    means="These attributes are single texts.",
    readers=f"{_READERS} do not see the array.",
    repair="Write it as one text: dataset.attrs[name] = 'text'.",
    stage=1,
)
def _texts(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name in _REQUIRED:
        value = main.raw(name)
        if name in main.dataset.attrs and not isinstance(value, str | bytes):
            kind = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"{type(value).__name__}"
            yield main.path, f"attribute {name} is {kind}, not one text"


@MAIN.rule(
    "N12",
    "error",
    "ignored",
    means="Every axis has a dimension scale attached.",
    readers=f"{_READERS} do not see the array.",
    repair="Attach one: dataset.dims[i].attach_scale(file['x']); or save it again with sid.",
    stage=1,
)
def _scales(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        if not axis.scales:
            yield main.path, f"axis {axis.position} ({axis.label or 'without label'}) has no scale"


@MAIN.rule(
    "N13",
    "error",
    "ignored",
    means="No axis has length 0.",
    readers=f"{_READERS} do not see the array.",
    repair="There is nothing to read in it; leave it out.",
    stage=1,
)
def _zero(main: NSIDMain) -> Iterator[tuple[str, str]]:
    if main.dataset.shape is not None and 0 in main.dataset.shape:
        yield main.path, f"has shape {main.dataset.shape}"


# Do its labels lead to scales? ----------------------------------------------------------------------------------------


@MAIN.rule(
    "N20",
    "error",
    "open-crash",
    means="The label of every axis is the name of a dataset in the same group.",
    readers=f"{_READERS} fail when they open the file: nothing in it can be read.",
    repair="Set it: dataset.dims[i].label = 'x'; link a scale that lies elsewhere: group['x'] = scale.",
    stage=2,
)
def _labels(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        if not axis.label:
            yield main.path, f"axis {axis.position} has no label"
        elif not isinstance(axis.beside, h5py.Dataset):
            what = "is a group" if isinstance(axis.beside, h5py.Group) else "does not exist there"
            yield main.path, f"axis {axis.position} has the label {axis.label!r}, which {what}"


@MAIN.rule(
    "N21",
    "error",
    "ignored",
    means="The scale that a label names is one-dimensional, as long as the axis, with name, units, quantity, dimension_type.",
    readers=f"{_READERS} do not see the array.",
    repair="Write what is missing: scale.attrs['units'] = 'nm'; or save it again with sid.",
    stage=2,
)
def _scale_shape(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        scale = axis.beside
        if not isinstance(scale, h5py.Dataset) or scale.shape is None:
            continue
        missing = [name for name in _SCALE if name not in scale.attrs]
        if scale.shape != (axis.size,):
            yield main.path, f"scale {axis.label!r} has shape {scale.shape} for an axis of {axis.size}"
        elif missing:
            yield main.path, f"scale {axis.label!r} lacks {', '.join(missing)}"


# Can it be read, and as what? -----------------------------------------------------------------------------------------


@MAIN.rule(
    "N30",
    "error",
    "read-crash",
    means="Texts are stored with variable length.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Write it again with h5py: dataset.attrs[name] = str(text). Files of the netCDF4 library have such texts.",
)
def _fixed(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name in ("quantity", "units", "data_type", "modality", "source"):
        if isinstance(main.raw(name), bytes):
            yield main.path, f"attribute {name} is text of fixed length"
    for axis, scale in _last_scales(main):
        for name in ("units", "quantity", "dimension_type"):
            value = _h5.raw_attribute(scale, name)
            if value is not None and not isinstance(value, str):
                yield main.path, f"attribute {name} of the scale of axis {axis.position} is no text of variable length"


@MAIN.rule(
    "N31",
    "error",
    "read-crash",
    means="data_type is one of the ten words of NSID.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Write a word of the format: dataset.attrs['data_type'] = 'UNKNOWN'.",
)
def _data_type(main: NSIDMain) -> Iterator[tuple[str, str]]:
    word = _h5.text(main.raw("data_type")) or ""
    if word.upper() != "UNKNOWN" and (kind_from_nsid(word) is None or word.upper() in _OUR_WORDS):
        yield main.path, f"data_type {word!r} is none of the words that the older readers know"


_OUR_WORDS = frozenset(("SCALAR", "LINE_PROFILE", "LINE_PROFILES", "VOLUME", "MULTIDIMENSIONAL"))


@MAIN.rule(
    "N32",
    "error",
    "read-crash",
    means="title, if there is one, is a text of variable length.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Write it again: dataset.attrs['title'] = 'text'.",
)
def _title(main: NSIDMain) -> Iterator[tuple[str, str]]:
    if "title" in main.dataset.attrs and not isinstance(main.raw("title"), str):
        yield main.path, "the title is no text of variable length"


@MAIN.rule(
    "N33",
    "note",
    "lost",
    means="The array has a title of its own.",
    readers=f"{_READERS} show its path as title: they do not look at main_data_name, which they write.",
    repair="Write it: dataset.attrs['title'] = dataset.attrs['main_data_name'].",
)
def _no_title(main: NSIDMain) -> Iterator[tuple[str, str]]:
    if "title" not in main.dataset.attrs:
        yield main.path, "has no title"


@MAIN.rule(
    "N34",
    "error",
    "read-crash",
    means="Values are bool, integer, float or complex.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays; sid gives one variable a field.",
    repair="Save it again with sid, which writes one array a field: sid convert FILE NEW.",
)
def _dtype(main: NSIDMain) -> Iterator[tuple[str, str]]:
    if main.dataset.dtype.kind not in "biufc":
        fields = main.dataset.dtype.names
        yield main.path, f"holds {'fields ' + ', '.join(fields) if fields else f'values of dtype {main.dataset.dtype}'}"


@MAIN.rule(
    "N35",
    "note",
    "changed",
    means="Values are float64 or complex64.",
    readers=f"{_READERS} read everything as float64 or complex64; sid keeps the dtype.",
    repair="Nothing to repair in the file.",
)
def _cast(main: NSIDMain) -> Iterator[tuple[str, str]]:
    dtype = main.dataset.dtype
    if dtype.kind in "biufc" and dtype.newbyteorder("=") not in (np.dtype("f8"), np.dtype("c8")):
        yield main.path, f"is of dtype {dtype}"


@MAIN.rule(
    "N40",
    "warning",
    "changed",
    means="Exactly one scale is attached to an axis.",
    readers=f"{_READERS} take values and units from the last one, and the name from the label.",
    repair="Detach the others: dataset.dims[i].detach_scale(scale).",
)
def _several(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        if len(axis.scales) > 1:
            called = ", ".join(str(s.name).rpartition("/")[2] for s in axis.scales)
            yield main.path, f"axis {axis.position} has {len(axis.scales)} scales: {called}"


@MAIN.rule(
    "N41",
    "warning",
    "generic",
    means="units, quantity and dimension_type of a scale say something.",
    readers=f"{_READERS} replace the dimension, with its name and values, by one that counts.",
    repair="Write 'generic' where there is nothing to say: scale.attrs['quantity'] = 'generic'.",
)
def _blank(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis, scale in _last_scales(main):
        for name in ("units", "quantity", "dimension_type"):
            value = _h5.raw_attribute(scale, name)
            if isinstance(value, str) and not value.strip():
                yield main.path, f"{name} of dimension {axis.label!r} is empty"


@MAIN.rule(
    "N42",
    "warning",
    "generic",
    means="The values of a scale are numbers, one for every point.",
    readers=f"{_READERS} replace the dimension, with its name and values, by one that counts.",
    repair="Store numbers, and the texts as a second dataset; or save it again with sid.",
)
def _numbers(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis, scale in _last_scales(main):
        if scale.dtype.kind not in "biuf":
            yield main.path, f"the scale of axis {axis.label!r} holds {scale.dtype}, no numbers"
        elif scale.shape != (axis.size,):
            yield main.path, f"the scale attached to axis {axis.label!r} has shape {scale.shape} for {axis.size} points"


@MAIN.rule(
    "N43",
    "warning",
    "generic",
    means="Labels are unique, and every axis has a scale of its own.",
    readers=f"{_READERS} replace the second of two equal dimensions by one that counts.",
    repair="Give every axis its own scale and label.",
)
def _unique(main: NSIDMain) -> Iterator[tuple[str, str]]:
    labels = [axis.label.strip() for axis in main.axes]
    for label in dict.fromkeys(labels):
        if labels.count(label) > 1:
            yield main.path, f"the label {label!r} is there {labels.count(label)} times"


@MAIN.rule(
    "N44",
    "note",
    "lost",
    means="dimension_type is one of the words of NSID.",
    readers=f"{_READERS} take it for UNKNOWN; sid reads the type from units and name.",
    repair="Write a word of the format: scale.attrs['dimension_type'] = 'SPATIAL'.",
)
def _dimension_type(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis, scale in _last_scales(main):
        value = _h5.text(_h5.raw_attribute(scale, "dimension_type")) or ""
        known = value.strip().lower() in (*DIMENSION_TYPES, "frame", "time", "stack")
        if value.strip() and not known:
            here = parse_dimension_type(value)
            yield (
                main.path,
                f"dimension {axis.label!r} is of type {value!r}{f', read as {here} by sid' if here else ''}",
            )


@MAIN.rule(
    "N45",
    "error",
    "read-crash",
    means="A label is no attribute of sidpy.Dataset.",
    readers=f"{_READERS} fail when they read the file, and give none of its arrays.",
    repair="Rename the dimension, in the label and the link: 'T_' for 'T'. sid does so when it writes.",
)
def _crashing(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        if axis.label in CRASHING_NAMES or re.fullmatch(r"dim_\d+", axis.label):
            yield main.path, f"a dimension is called {axis.label!r}"


@MAIN.rule(
    "N46",
    "warning",
    "lost",
    means="A label is neither a property of sidpy.Dataset nor the letter that sidpy gives to a later axis.",
    readers=f"{_READERS} lose the dimension, or what has its name, without a word.",
    repair="Rename the dimension, in the label and the link: 'b_' for 'b'. sid does so when it writes.",
)
def _lost(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        later = {chr(ord("a") + i) for i in range(axis.position + 1, min(len(main.axes), 26))}
        if axis.label in LOST_NAMES | later:
            yield main.path, f"dimension {axis.position} is called {axis.label!r}"


@MAIN.rule(
    "N47",
    "error",
    "wrong-array",
    means="A label is neither the name of the array nor a path.",
    readers=f"{_READERS} take the array for its own scale, or look for the scale elsewhere.",
    repair="Rename the dimension, in the label and the link.",
)
def _self(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for axis in main.axes:
        if axis.label == main.name or "/" in axis.label:
            yield main.path, f"a dimension is called {axis.label!r}"


# What lies beside it --------------------------------------------------------------------------------------------------


@MAIN.rule(
    "N50",
    "error",
    "read-crash",
    means="Groups beside an array hold attributes and groups, no datasets, unless their names start with '_'.",
    readers=f"{_READERS} take them for metadata and fail on the whole file. Results beside an array are such groups.",
    repair="Move the group one level up: file.move(old, new).",
)
def _datasets(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, obj in _groups(main):
        inside = list(main.scene.below(main.node.join(name)))
        if inside and _h5.members(obj):
            yield main.node.join(name), f"a group beside the array {main.name!r} holds the dataset {inside[0]!r}"


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
            if sys.getsizeof(dict.fromkeys(entries)) >= _LARGEST_LEVEL:
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
    means="A group Structure_NNN holds one group, with unit_cell, elements and base.",
    readers=f"{_READERS} make atoms of it, and fail on the whole file.",
    repair="Write what is missing, or rename the group so that it starts with '_'.",
)
def _structures(main: NSIDMain) -> Iterator[tuple[str, str]]:
    for name, obj in main.node.inside.items():
        if "Structure_" not in name or not isinstance(obj, h5py.Group):
            continue
        for key in _h5.attribute_names(obj):
            if key not in BOOKKEEPING[:2] and key not in ("sidpy_version", "timestamp"):
                yield main.node.join(name), f"has the attribute {key!r}, which is taken for a structure"
        for key, inner in _h5.members(obj):
            missing = [k for k in ("unit_cell", "elements", "base") if k not in inner.attrs]
            elements = _h5.raw_attribute(inner, "elements")
            if missing:
                yield f"{main.node.join(name)}/{key}", f"lacks {', '.join(missing)}"
            elif isinstance(elements, np.ndarray) and elements.dtype.kind == "S":
                yield f"{main.node.join(name)}/{key}", "elements are an array of texts of fixed length"


@MAIN.rule(
    "N55",
    "warning",
    "lost",
    means="Metadata are attributes of groups.",
    readers=f"{_READERS} do not read metadata from datasets in the group _metadata, as a newer writer puts them; sid does.",
    repair="Save it again with sid: sid convert FILE NEW.",
)
def _newer(main: NSIDMain) -> Iterator[tuple[str, str]]:
    group = main.node.inside.get("_metadata")
    if isinstance(group, h5py.Group):
        yield main.path, "its metadata are datasets in the group _metadata"


def _groups(main: NSIDMain) -> Iterator[tuple[str, Any]]:
    """Yield the groups that the older readers take for metadata."""
    for name, obj in main.node.inside.items():
        if isinstance(obj, h5py.Group) and not name.startswith("_") and "Structure_" not in name:
            yield name, obj


def _last_scales(main: NSIDMain) -> Iterator[tuple[Any, h5py.Dataset]]:
    """Yield every axis with the scale that the older readers look at."""
    for axis in main.axes:
        if axis.scales and isinstance(axis.scales[-1], h5py.Dataset) and axis.scales[-1].shape is not None:
            yield axis, axis.scales[-1]
