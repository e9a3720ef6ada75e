"""The rules of NSID for a file and an array, as the older readers (pyNSID, SciFiReaders, sidpy) enforce them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io.nsid.layout import MAIN_REQUIRED
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import NSIDMain, Scan
from sid_xarray.schema.kinds import kind_from_nsid

__all__ = ["FILE", "MAIN"]

FILE, MAIN = Table(), Table()

_REQUIRED = (*MAIN_REQUIRED, "pyNSID_version")
_READERS = "pyNSID and SciFiReaders"
# Kinds of ours that no older reader knows by these names.
_OUR_WORDS = frozenset(("SCALAR", "LINE_PROFILE", "LINE_PROFILES", "VOLUME", "MULTIDIMENSIONAL"))


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


@FILE.rule(
    "N03",
    "error",
    "open-crash",
    means="Every scale that is attached to an axis exists.",
    readers=f"{_READERS} fail when they open the file: nothing in it can be read. sid goes by the names.",
    repair="Detach it while it exists; or save the file again with sid: sid convert FILE NEW.",
)
def _dangling(scene: Scan) -> Iterator[tuple[str, str]]:
    for path, dataset in scene.datasets.items():
        if dataset.shape is None or "DIMENSION_LIST" not in dataset.attrs:
            continue
        try:
            for dim in dataset.dims:
                dim.values()
        except Exception:  # noqa: BLE001 - h5py raises what it likes
            yield path, "an axis refers to a scale that was deleted"


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
    for axis in main.axes:
        scale = axis.last
        for name in ("units", "quantity", "dimension_type") if scale is not None else ():
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
