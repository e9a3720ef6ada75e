"""The rules of USID, as the older readers (pyUSID, SciFiReaders, HyperSpy) enforce them."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io.validate.grid import Grid, grid_of
from sid_xarray.io.validate.nsid_axes import CRASHING_NAMES
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import ANCILLARY, USIDMain

__all__ = ["MAIN"]

MAIN = Table()

_SIDES = ("Position", "Spectroscopic")


def _grids(main: USIDMain) -> dict[str, Grid]:
    if "grids" not in main.cache:
        tables = {side: main.table(f"{side}_Indices") for side in _SIDES}
        main.cache["grids"] = {side: grid_of(table) for side, table in tables.items() if table is not None}
    return dict(main.cache["grids"])


def _marked(main: USIDMain, side: str) -> bool:
    pair = [obj for name, obj in main.ancillary.items() if name.startswith(side) and obj is not None]
    return any(_h5.attribute(obj, "incomplete_dimensions") is not None for obj in pair)


# Is it seen as an array? ----------------------------------------------------------------------------------------------


@MAIN.rule(
    "U01",
    "error",
    "ignored",
    means="An array is stored as a matrix, positions by spectroscopic points.",
    readers="pyUSID does not see the array.",
    repair="Save it again with sid: .sid.to_usid(NEW).",
    stage=1,
)
def _two(main: USIDMain) -> Iterator[tuple[str, str]]:
    if main.dataset.shape is None or len(main.dataset.shape) != 2:
        yield main.path, f"has shape {main.dataset.shape}, not two axes"


@MAIN.rule(
    "U02",
    "error",
    "ignored",
    means="Four attributes lead to the ancillary datasets.",
    readers="pyUSID does not see the array.",
    repair="Link them: main.attrs['Position_Indices'] = file['.../Position_Indices'].ref.",
    stage=1,
)
def _linked(main: USIDMain) -> Iterator[tuple[str, str]]:
    for name in ANCILLARY:
        found = main.ancillary[name]
        if name not in main.dataset.attrs:
            yield main.path, f"has no link {name}"
        elif found is None or (isinstance(found, h5py.Dataset) and found.shape is None):
            yield main.path, f"the link {name} leads nowhere"


@MAIN.rule(
    "U03",
    "error",
    "ignored",
    means="quantity and units are single texts.",
    readers="pyUSID does not see the array; sid reads it without.",
    repair="Write them: main.attrs['quantity'] = 'Current'; main.attrs['units'] = 'nA'.",
    stage=1,
)
def _said(main: USIDMain) -> Iterator[tuple[str, str]]:
    for name in ("quantity", "units"):
        if not isinstance(_h5.raw_attribute(main.dataset, name), str | bytes):
            there = name in main.dataset.attrs
            yield main.path, f"{name} is {'no single text' if there else 'missing'}"


@MAIN.rule(
    "U04",
    "error",
    "open-crash",
    means="Ancillary datasets are matrices.",
    readers="pyUSID fails when it looks for arrays: nothing in the file can be found.",
    repair="Make it one: one column a dimension for positions, one row for spectroscopic points.",
    stage=1,
)
def _matrices(main: USIDMain) -> Iterator[tuple[str, str]]:
    for name, found in main.ancillary.items():
        if isinstance(found, h5py.Group):
            yield main.path, f"{name} is a group"
        elif isinstance(found, h5py.Dataset) and found.shape is not None and len(found.shape) != 2:
            yield main.path, f"{name} has shape {found.shape}, not two axes"


# Do the ancillary datasets fit? ---------------------------------------------------------------------------------------


@MAIN.rule(
    "U10",
    "error",
    "ignored",
    means="There is one row of positions a row of the array, and one column of spectroscopic points a column.",
    readers="pyUSID does not see the array.",
    repair="Write matrices that fit: positions (rows, dimensions), spectroscopic (dimensions, columns).",
    stage=2,
)
def _fits(main: USIDMain) -> Iterator[tuple[str, str]]:
    for i, side in enumerate(_SIDES):
        shapes = [main.ancillary[f"{side}_{what}"].shape for what in ("Indices", "Values")]  # type: ignore[union-attr]
        for what, shape in zip(("Indices", "Values"), shapes, strict=True):
            if shape[i] != main.dataset.shape[i]:
                yield main.path, f"{side}_{what} has shape {shape} for an array of shape {main.dataset.shape}"
        if shapes[0] != shapes[1]:
            yield main.path, f"{side}_Indices has shape {shapes[0]}, {side}_Values {shapes[1]}"


@MAIN.rule(
    "U11",
    "error",
    "open-crash",
    means="Every ancillary dataset has labels and units, as arrays of texts.",
    readers="pyUSID fails when it looks for arrays: nothing in the file can be found.",
    repair="Write them on all four: anc.attrs['labels'] = ['Y', 'X']; anc.attrs['units'] = ['nm', 'nm'].",
    stage=2,
)
def _labelled(main: USIDMain) -> Iterator[tuple[str, str]]:
    for name, found in main.ancillary.items():
        for attribute in ("labels", "units"):
            value = _h5.raw_attribute(found, attribute)
            if value is None:
                yield main.path, f"{name} has no {attribute}"
            elif not isinstance(value, np.ndarray):
                yield main.path, f"{attribute} of {name} is no array of texts"


@MAIN.rule(
    "U12",
    "error",
    "ignored",
    means="labels and units name every dimension, and are the same for Indices and Values.",
    readers="pyUSID does not see the array.",
    repair="Write the same labels and units, one for every dimension, on Indices and Values.",
    stage=2,
)
def _agree(main: USIDMain) -> Iterator[tuple[str, str]]:
    for i, side in enumerate(_SIDES):
        names = [f"{side}_{what}" for what in ("Indices", "Values")]
        for attribute in ("labels", "units"):
            if any(not isinstance(_h5.raw_attribute(main.ancillary[n], attribute), np.ndarray) for n in names):
                continue
            words = [main.words(n, attribute) for n in names]
            n_dims = main.ancillary[names[0]].shape[1 - i]  # type: ignore[union-attr]
            if words[0] != words[1]:
                yield main.path, f"{attribute} of {names[0]} are {words[0]}, of {names[1]} {words[1]}"
            elif len(words[0]) != n_dims:
                yield main.path, f"{names[0]} has {len(words[0])} {attribute} for {n_dims} dimensions"


# What array does it make? ---------------------------------------------------------------------------------------------


@MAIN.rule(
    "U20",
    "error",
    "no-nd-form",
    means="Labels are unique over both sides.",
    readers="pyUSID gives no N-dimensional array, and SciFiReaders and HyperSpy fail on the whole file.",
    repair="Rename one of them.",
)
def _unique(main: USIDMain) -> Iterator[tuple[str, str]]:
    labels = [w for side in _SIDES for w in main.words(f"{side}_Indices", "labels")]
    for label in dict.fromkeys(labels):
        if labels.count(label) > 1:
            yield main.path, f"the label {label!r} is there {labels.count(label)} times"


@MAIN.rule(
    "U21",
    "error",
    "wrong-array",
    means="There are no more position dimensions than positions, and fewer spectroscopic dimensions than columns.",
    readers="pyUSID takes rows for columns: no N-dimensional array, or values of another dimension. SciFiReaders gives "
    "the bare matrix, HyperSpy fails on the file.",
    repair="Leave out dimensions of one point, as sid does when it writes.",
)
def _many(main: USIDMain) -> Iterator[tuple[str, str]]:
    rows, columns = main.dataset.shape
    n_pos = main.ancillary["Position_Indices"].shape[1]  # type: ignore[union-attr]
    n_spec = main.ancillary["Spectroscopic_Indices"].shape[0]  # type: ignore[union-attr]
    if n_pos > rows:
        yield main.path, f"{n_pos} position dimensions for {rows} positions"
    if n_spec >= columns and (n_spec, columns) != (1, 1):
        yield main.path, f"{n_spec} spectroscopic dimensions for {columns} columns"


@MAIN.rule(
    "U22",
    "error",
    "wrong-array",
    means="Rows and columns are in the order of a raster.",
    readers="pyUSID reshapes without looking at the indices: numbers come at wrong places, without a word. "
    "SciFiReaders and HyperSpy do so, too, or give the bare matrix, or fail. sid goes by the indices.",
    repair="Save it again with sid, which writes raster order: .sid.to_usid(NEW).",
)
def _raster(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side, grid in _grids(main).items():
        if grid.kind == "permuted":
            yield main.path, f"{side}_Indices run in another order than a raster (to and fro, backwards, or shuffled)"
        elif grid.kind == "repeated":
            size = " × ".join(map(str, grid.sizes))
            yield main.path, f"{side}_Indices name some points of the grid of {size} twice, and others never"


@MAIN.rule(
    "U23",
    "error",
    "no-nd-form",
    means="The points fill a grid, or are marked as incomplete.",
    readers="pyUSID gives the bare matrix. SciFiReaders does, too, or fails on the whole file; HyperSpy fails. "
    "sid gives one dimension of points with their positions.",
    repair="Mark it on Indices and Values: anc.attrs['incomplete_dimensions'] = labels.",
)
def _complete(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side, grid in _grids(main).items():
        if grid.kind == "none" and not _marked(main, side):
            yield main.path, f"{side}_Indices do not fill a grid of {' × '.join(map(str, grid.sizes))}"


@MAIN.rule(
    "U24",
    "warning",
    "no-nd-form",
    means="SciFiReaders reads a file with an incomplete grid as one matrix.",
    readers="pyUSID gives the bare matrix; SciFiReaders the first dataset of the file called Raw_Data, whichever "
    "that is, and no other; HyperSpy fails. sid gives one dimension of points with their positions.",
    repair="Nothing to repair; read it with sid.",
)
def _incomplete(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side in _SIDES:
        if _marked(main, side):
            yield main.path, f"the {side.lower()} side is marked as incomplete"


@MAIN.rule(
    "U25",
    "warning",
    "first-tile",
    means="A value depends on its own index alone.",
    readers="pyUSID, SciFiReaders and HyperSpy give the values of the first line for all; sid gives a coordinate over "
    "several dimensions.",
    repair="Nothing to repair; read it with sid.",
)
def _drift(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side, grid in _grids(main).items():
        values = main.table(f"{side}_Values")
        if grid.kind in ("none", "repeated") or values is None or values.shape != grid.ranks.shape:
            continue
        labels = main.words(f"{side}_Indices", "labels")
        for k, (ranks, row) in enumerate(zip(grid.ranks, values, strict=True)):
            _, first = np.unique(ranks, return_index=True)
            there = row[first][ranks]
            if not np.all((row == there) | ((row != row) & (there != there))):
                yield main.path, f"values of {labels[k] if k < len(labels) else k!r} change from line to line"


@MAIN.rule(
    "U26",
    "warning",
    "changed",
    means="Values are float64 where float32 cannot tell neighbours apart.",
    readers="All readers see the rounded numbers.",
    repair="If the true values are known, write them as float64.",
)
def _rounded(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side, grid in _grids(main).items():
        found = main.ancillary[f"{side}_Values"]
        values = main.table(f"{side}_Values")
        if values is None or found is None or found.dtype != np.float32 or values.shape != grid.ranks.shape:
            continue
        labels = main.words(f"{side}_Indices", "labels")
        for k, row in enumerate(values):
            distinct = np.unique(row[np.isfinite(row)]).astype(float)
            size = grid.sizes[k]
            step = np.min(np.diff(distinct)) if distinct.size > 1 else 0.0
            if size > 1 and distinct.size and np.abs(distinct).max() * 2e-7 > step and np.abs(distinct).max() > 1e4:
                yield (
                    main.path,
                    f"values of {labels[k] if k < len(labels) else k!r} are float32, coarser than their steps",
                )


@MAIN.rule(
    "U30",
    "error",
    "read-crash",
    means="A label is no attribute of sidpy.Dataset, and no letter of a later axis; no blanks are around it.",
    readers="SciFiReaders fails on the whole file, and HyperSpy where there are blanks; pyUSID does not mind.",
    repair="Rename the dimension, in the labels of Indices and Values.",
)
def _names(main: USIDMain) -> Iterator[tuple[str, str]]:
    labels = [w for side in _SIDES for w in main.words(f"{side}_Indices", "labels")]
    for i, label in enumerate(labels):
        later = {chr(ord("a") + k) for k in range(i + 1, min(len(labels), 26))}
        if label in CRASHING_NAMES | later or label != label.strip() or not label:
            yield main.path, f"a dimension is called {label!r}"


@MAIN.rule(
    "U31",
    "warning",
    "changed",
    means="quantity, units and labels have no round brackets.",
    readers="SciFiReaders cuts 'quantity (units)' at the first bracket, and takes what follows for the units; "
    "pyUSID does not mind.",
    repair="Write square brackets: 'V/Hz^[1/2]'.",
)
def _brackets(main: USIDMain) -> Iterator[tuple[str, str]]:
    said = [_h5.text(_h5.raw_attribute(main.dataset, name)) or "" for name in ("quantity", "units")]
    said += [w for side in _SIDES for name in ("labels", "units") for w in main.words(f"{side}_Indices", name)]
    for text in said:
        if "(" in text or ")" in text:
            yield main.path, f"{text!r} has brackets"


@MAIN.rule(
    "U32",
    "note",
    "lost",
    means="SciFiReaders reads no metadata from USID.",
    readers="SciFiReaders gives neither attributes of the array nor of its groups; pyUSID and sid do.",
    repair="Nothing to repair; read it with sid.",
)
def _metadata(main: USIDMain) -> Iterator[tuple[str, str]]:
    known = {*ANCILLARY, "quantity", "units", "machine_id", "platform", "timestamp", "sidpy_version", "pyUSID_version"}
    more = [name for name in _h5.attribute_names(main.dataset) if name not in known]
    if more:
        yield main.path, f"has {len(more)} more attributes: {', '.join(more[:3])}{' …' if len(more) > 3 else ''}"


@MAIN.rule(
    "U33",
    "note",
    "changed",
    means="HyperSpy keeps evenly spaced axes only.",
    readers="HyperSpy counts along other axes, from 0 in steps of 1; the positions are lost.",
    repair="Nothing to repair; read it with sid.",
)
def _uneven(main: USIDMain) -> Iterator[tuple[str, str]]:
    for side, grid in _grids(main).items():
        values = main.table(f"{side}_Values")
        if grid.kind != "raster" or values is None or values.shape != grid.ranks.shape:
            continue
        labels = main.words(f"{side}_Indices", "labels")
        for k, (ranks, row) in enumerate(zip(grid.ranks, values, strict=True)):
            _, first = np.unique(ranks, return_index=True)
            steps = np.diff(row[first].astype(float))
            if steps.size > 1 and not np.allclose(steps, steps.mean(), rtol=1e-3, atol=0):
                yield main.path, f"{labels[k] if k < len(labels) else k!r} is not evenly spaced"
