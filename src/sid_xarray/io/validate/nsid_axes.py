"""The rules of NSID for axes: labels, scales and their names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import h5py

from sid_xarray.io import _h5
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import Axis, NSIDMain
from sid_xarray.schema.kinds import DIMENSION_TYPES, parse_dimension_type

__all__ = ["CRASHING_NAMES", "LOST_NAMES", "MAIN"]

MAIN = Table()

_SCALE = ("name", "units", "quantity", "dimension_type")
_READERS = "pyNSID and SciFiReaders"

# Attributes of sidpy.Dataset. A dimension of such a name makes the older readers fail, or is lost.
CRASHING_NAMES = frozenset(("T", "A", "real", "imag", "name", "size", "shape", "ndim", "dtype", "nbytes", "itemsize"))
CRASHING_NAMES |= {
    "blocks",
    "chunks",
    "chunksize",
    "compute",
    "dask",
    "npartitions",
    "numblocks",
    "partitions",
    "vindex",
}
CRASHING_NAMES |= {"data_descriptor", "h5_dataset", "labels", "set_dimension", "structures"}
LOST_NAMES = frozenset(
    ("data_type", "metadata", "modality", "original_metadata", "quantity", "source", "title", "units")
)
LOST_NAMES |= {"variance"}


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
    means="The scale of a label has one axis, of the right length, and name, units, quantity, dimension_type.",
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


def _last_scales(main: NSIDMain) -> Iterator[tuple[Axis, h5py.Dataset]]:
    """Yield every axis with the scale that the older readers look at."""
    for axis in main.axes:
        if axis.last is not None:
            yield axis, axis.last
