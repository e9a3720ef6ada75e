"""Read mains of other programs: dimensions from the indices, metadata from the groups around."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.core import metadata as _metadata
from sid_xarray.io import _h5
from sid_xarray.io._assemble import dataset as dataset_of
from sid_xarray.io._layout import read_blocks
from sid_xarray.io.nsid.find import unreadable_dtype
from sid_xarray.io.usid import context, extras
from sid_xarray.io.usid.array import FileArray, GridArray, grid_chunks
from sid_xarray.io.usid.filled import FilledArray
from sid_xarray.io.usid.find import Main, Place
from sid_xarray.io.usid.layout import (
    ABSENT,
    BOOKKEEPING,
    LINKS,
    NATURAL_MAIN,
    POSITION,
    SIDES,
    SPECTROSCOPIC,
    free_name,
)
from sid_xarray.io.usid.sides import Form, Side, form_of, read_side
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["Reader"]

_LINKS = frozenset((*LINKS[POSITION], *LINKS[SPECTROSCOPIC]))
_TYPE = {POSITION: "spatial", SPECTROSCOPIC: "spectral"}
# A file may declare any number of rows.
_MOST_UNDESCRIBED = 10**7
_GENERIC_NAMES = frozenset(("raw_data", "main", "data"))


@dataclass
class Reader:
    """Reads mains of one file; what they share is read once.

    Attributes
    ----------
    source : CachingFileManager
    around : Around
        The groups of the file.
    known : set of int
        Addresses of all mains and of what describes their axes.
    fill : number, optional
        What stands where a grid has no point; without, points that do not fill a grid are listed.
    """

    source: Any
    around: context.Around
    known: set[int] = field(default_factory=set)
    fill: Any = None
    _sides: dict[Any, tuple[Side, Form, list[str]]] = field(default_factory=dict)
    _forms: dict[str, Form] = field(default_factory=dict)
    _levels: dict[str, dict[str, Any]] = field(default_factory=dict)

    def datasets(self, place: Place) -> tuple[dict[str, xr.Dataset], list[str]]:
        """Read the mains of a group: one Dataset if they lie on axes that agree, else one of each.

        Returns
        -------
        datasets : dict
            From the path of a node.
        problems : list of str
        """
        found: dict[str, xr.Dataset] = {}
        problems: list[str] = []
        for main in place.mains:
            try:
                ds, more = self._dataset(place, main)
            except Exception as error:  # noqa: BLE001 - one damaged main must not hide the others; it is reported
                problems.append(f"{main.path}: {_h5.first_line(error)}")
                continue
            found[main.path] = ds
            problems += [f"{main.path}: {p}" for p in more]
        joined = _joined(list(found.values())) if place.path != "/" else None
        if joined is not None:
            found = {place.path: joined}
        origin = context.source_of(self.around, place.path)
        if found:
            try:
                self._add_extras(place, found)
            except Exception as error:  # noqa: BLE001 - what lies beside must not hide the mains; it is reported
                problems.append(f"{place.path}: what lies beside the arrays cannot be read: {_h5.first_line(error)}")
        for ds in found.values():
            ds.attrs = context.result_attrs(self.around, place.path)
            if origin is not None:
                ds.encoding["sid_source"] = origin
        return found, problems

    def _add_extras(self, place: Place, found: dict[str, xr.Dataset]) -> None:
        first = next(iter(found))
        found |= {path: extras.with_groups(place.file, place, ds) for path, ds in found.items()}
        rows = []
        for var in found[first].data_vars.values():
            form = self._forms[str(var.encoding["sid_h5path"])]
            rows.append((form, var.dims[: len(form.sizes)]))
        found[first] = extras.with_datasets(self.source, place, found[first], self.known, rows)

    def _dataset(self, place: Place, main: Main) -> tuple[xr.Dataset, list[str]]:
        sides, forms, problems = [], [], list(main.problems)
        for kind, size in zip(SIDES, main.dataset.shape, strict=True):
            side, form, more = self._side(kind, size, main.pairs[kind])
            if not side.labels and size > _MOST_UNDESCRIBED:
                raise ValueError("; ".join(more))
            sides.append(side)
            forms.append(form)
            problems += more
        self._forms[main.path] = forms[0]
        dims, coords = _coordinates(sides, forms)
        data, more = self._variables(
            place, main, forms, dims, {str(k) for k in coords} | {d for part in dims for d in part}
        )
        return dataset_of(data, coords, _indexed(coords)), problems + more

    def _side(
        self, kind: str, size: int, pair: tuple[h5py.Dataset | None, h5py.Dataset | None]
    ) -> tuple[Side, Form, list[str]]:
        key = (kind, size, *(None if d is None else _h5.address(d) for d in pair))
        if key not in self._sides:
            side, problems = read_side(kind, size, *pair)
            self._sides[key] = (side, form_of(side, holes=self.fill is not None), problems)
        return self._sides[key]

    def _variables(
        self, place: Place, main: Main, forms: list[Form], dims: list[list[str]], taken: set[str]
    ) -> tuple[dict[Hashable, xr.Variable], list[str]]:
        dataset = main.dataset
        attrs, problems = self._attrs(main)
        sizes = (forms[0].sizes, forms[1].sizes)
        options: dict[str, Any] = {
            "sizes": sizes,
            "points": (forms[0].points, forms[1].points),
            "pinned": place.pinned,
        }
        both = [*dims[0], *dims[1]]
        encoding = {"source": str(self.source._args[0]), "sid_h5path": main.path}
        if any(p is not None and (p < 0).any() for p in options["points"]):
            encoding["sid_fill"] = repr(self.fill)

        def variable(array: FileArray, own: dict[Hashable, Any], **more: Any) -> xr.Variable:
            blocks = read_blocks(array.shape, max(array.dtype.itemsize, 1), grid_chunks(sizes, dataset.chunks))
            more |= {"preferred_chunks": dict(zip(both, blocks, strict=True)) if blocks else {}}
            return xr.Variable(both, indexing.LazilyIndexedArray(array), own, {**encoding, **more})

        if dataset.dtype.names is None:
            name = free_name(main.name, taken)
            if name != main.name:
                attrs[names.NAME_ORIGINAL] = main.name
            return {name: variable(self._array(main.path, dataset, **options), attrs)}, problems
        out: dict[Hashable, xr.Variable] = {}
        for name in dataset.dtype.names:
            why = "is a compound in a compound" if dataset.dtype[name].names else unreadable_dtype(dataset.dtype[name])
            if why:
                problems.append(f"field {name!r} {why}: left out")
                continue
            short, _, unit = name.partition("[")
            own = {**attrs, names.LONG_NAME: short.strip(), names.UNITS: unit.rstrip("] ") or None}
            own.pop(names.UNITS_ORIGINAL, None)
            own = context.quiet_units(own)
            own[names.NAME_ORIGINAL] = name
            array = self._array(main.path, dataset, field=name, **options)
            key = free_name(short.strip() or name, taken | {str(k) for k in out})
            out[key] = variable(array, own, sid_field=name)
        return out, problems

    def _array(self, path: str, dataset: h5py.Dataset, **options: Any) -> FileArray:
        if any(p is not None and (p < 0).any() for p in options["points"]):
            return FilledArray(self.source, path, dataset, fill=self.fill, **options)
        return GridArray(self.source, path, dataset, **options)

    def _attrs(self, main: Main) -> tuple[dict[Hashable, Any], list[str]]:
        said = context.plain_attrs(self.around.file, main.dataset, but=_LINKS)
        problems = [f"has no {name}" for name in ("quantity", "units") if name not in said]
        attrs: dict[Hashable, Any] = {}
        quantity, units = said.get("quantity"), said.get("units")
        if isinstance(quantity, str) and quantity.strip().lower() not in ABSENT:
            attrs[names.LONG_NAME] = quantity
        attrs = context.quiet_units({**attrs, names.UNITS: units if isinstance(units, str) else None})
        if isinstance(units, str) and units.strip().lower() in ABSENT and units:
            attrs |= {names.UNITS: "1", names.UNITS_ORIGINAL: units}
        if isinstance(said.get("modality"), str):
            attrs[names.MODALITY] = said["modality"]
        group = main.path.rpartition("/")[0]
        if group not in self._levels:
            self._levels[group] = context.levels(self.around, main.path)
        attrs[names.TITLE] = _title(main, said, attrs.get(names.LONG_NAME), self._levels[group])
        free = {k: v for k, v in said.items() if k not in NATURAL_MAIN}
        own = context.packable(free)
        tree = {**self._levels[group], **(own if not own.keys() & self._levels[group].keys() else {"main": own})}
        if tree:
            attrs[names.METADATA] = _metadata.pack(tree)
        stamped = {k: v for k, v in said.items() if k in BOOKKEEPING}
        if stamped:
            attrs[names.ORIGINAL_METADATA] = _metadata.pack({"hdf5_attributes": context.packable(stamped)})
        attrs[names.VERSION] = names.VERSION_VALUE
        return attrs, problems


def _title(main: Main, said: dict[str, Any], quantity: Any, levels: dict[str, Any]) -> str:
    """Most mains are called Raw_Data; what was measured tells more."""
    if isinstance(said.get("title"), str) and said["title"].strip():
        return str(said["title"])
    if main.name.lower() not in _GENERIC_NAMES:
        return main.name
    # HyperSpy keeps the title with the parameters of the measurement.
    title = levels.get("measurement", {}).get("General-title")
    return title if isinstance(title, str) and title.strip() else str(quantity or main.name)


def _coordinates(sides: list[Side], forms: list[Form]) -> tuple[list[list[str]], dict[Hashable, xr.Variable]]:
    """Name the dimensions of both sides, and make their coordinates."""
    called = _called(sides)
    taken = {name for part in called for name in part}
    dims: list[list[str]] = []
    coords: dict[Hashable, xr.Variable] = {}
    for side, form, own in zip(sides, forms, called, strict=True):
        flat = ""
        if form.flat:
            flat = side.kind if side.kind in own else free_name(side.kind, taken)
            taken.add(flat)
            if flat not in own:
                kind = "point_cloud" if side.kind == POSITION else _TYPE[side.kind]
                attrs = {names.UNITS: "1", names.DIMENSION_TYPE: kind}
                coords[flat] = xr.Variable((flat,), np.arange(side.size, dtype=float), attrs)
        axes = [flat] if form.flat else [own[k] for k in form.axes]
        dims.append(axes)
        for column in form.columns:
            over = tuple(axes[a] for a in column.axes)
            k = column.label
            if column.what == "indices":
                name = free_name(f"{own[k]}_index", taken)
                taken.add(name)
                coords[name] = xr.Variable(over, column.values, {names.UNITS: "1"})
            else:
                coords[own[k]] = xr.Variable(over, column.values, _axis_attrs(side, k, own[k], typed=own[k] in axes))
    return dims, coords


def _axis_attrs(side: Side, k: int, name: str, *, typed: bool) -> dict[Hashable, Any]:
    attrs: dict[Hashable, Any] = {}
    if side.quantities[k].strip().lower() not in ABSENT:
        attrs[names.LONG_NAME] = side.quantities[k]
    kind = kinds.parse_dimension_type(side.types[k]) or _TYPE[side.kind]
    attrs = context.quiet_units({**attrs, names.UNITS: side.units[k]}, axis=kind)
    if typed:
        attrs[names.DIMENSION_TYPE] = kind
    if name != side.labels[k]:
        attrs[names.NAME_ORIGINAL] = side.labels[k]
    return attrs


def _called(sides: list[Side]) -> list[list[str]]:
    """Give every label of both sides a name of its own."""
    bare = [[label.strip() or f"{s.kind}_{k}" for k, label in enumerate(s.labels)] for s in sides]
    shared = set(bare[0]) & set(bare[1])
    out: list[list[str]] = []
    taken: set[str] = set()
    for labels, suffix in zip(bare, ("_pos", "_spec"), strict=True):
        part = []
        for label in labels:
            base = f"{label}{suffix}" if label in shared else label
            name, n = base, 1
            while name in taken:
                name, n = f"{base}_{n}", n + 1
            taken.add(name)
            part.append(name)
        out.append(part)
    return out


def _indexed(coords: Mapping[Hashable, xr.Variable]) -> list[Hashable]:
    """Return the coordinates that get an index: positions that drift have none."""
    return [k for k, v in coords.items() if v.dims == (k,)]


def _joined(parts: list[xr.Dataset]) -> xr.Dataset | None:
    """Return one Dataset of all, or None if they contradict each other."""
    if not parts:
        return None
    data: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    sizes: dict[Hashable, int] = {}
    for ds in parts:
        if data.keys() & ds.data_vars.keys():
            return None
        for dim, size in ds.sizes.items():
            if sizes.setdefault(dim, size) != size:
                return None
        for key in ds.coords:
            if key in coords and not ds.coords[key].variable.identical(coords[key]):  # type: ignore[no-untyped-call]
                return None
            coords[key] = ds.coords[key].variable
        data |= {k: v.variable for k, v in ds.data_vars.items()}
    if data.keys() & (coords.keys() | sizes.keys()):
        return None
    if len(parts) == 1:
        return parts[0]
    return dataset_of(data, coords, _indexed(coords))
