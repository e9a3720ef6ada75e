"""What one Dataset will be in a file: planned before a file is touched."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError, FormatError
from sid_xarray.io import _filters
from sid_xarray.io.nsid import plan as nsid
from sid_xarray.io.nsid.layout import label_for
from sid_xarray.io.usid.compound import Compound, field_names
from sid_xarray.io.usid.layout import LINKS, POSITION, SIDES, SPECTROSCOPIC, main_name
from sid_xarray.io.usid.storage import Storage
from sid_xarray.schema import attrs as names

__all__ = ["Column", "GroupPlan", "MainPlan", "SidePlan", "plan_group"]

Array = np.ndarray[Any, Any]
_POSITION_TYPES = frozenset(("spatial", "point_cloud"))
_PLACEHOLDER = {POSITION: "arb_pos", SPECTROSCOPIC: "arb_spec"}


@dataclass
class Column:
    """One column of the tables of a side.

    Attributes
    ----------
    label : str
    axes : tuple of int
        Axes of the side that the values run over.
    values : ndarray
    key : hashable or None
        The coordinate that the values are; None for numbers that stand for a missing one.
    indices : ndarray or None
        What the table of indices holds, if there is no grid.
    indices_key : hashable or None
        The coordinate that the indices are.
    """

    label: str
    axes: tuple[int, ...]
    values: Array
    key: Hashable = None
    units: str = ""
    quantity: str = ""
    type: str = ""
    indices: Array | None = None
    indices_key: Hashable = None


@dataclass
class SidePlan:
    """Rows, or columns, of mains: the dimensions behind them, and what the tables say."""

    kind: str
    dims: tuple[Hashable, ...]
    sizes: tuple[int, ...]
    columns: list[Column]
    sparse: bool = False

    @property
    def count(self) -> int:
        """Number of rows, or columns."""
        return math.prod(self.sizes)


@dataclass
class MainPlan:
    """A variable that becomes a main.

    Attributes
    ----------
    link : str
    sides : tuple of int
        Its rows and its columns, by their place in the plan.
    options : dict
        Keywords of ``create_dataset``.
    """

    link: str
    sides: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class GroupPlan:
    """Everything that will be written for one Dataset.

    Attributes
    ----------
    base : GroupPlan of NSID
        The Dataset, its names, its encoded values, its attributes.
    sides : list of SidePlan
    mains : dict
        By variable; whatever else there is lies beside them as it is.
    compound : Compound or None
        The one main that they are fields of.
    """

    base: nsid.GroupPlan
    sides: list[SidePlan] = field(default_factory=list)
    mains: dict[Hashable, MainPlan] = field(default_factory=dict)
    compound: Compound | None = None

    @property
    def ds(self) -> xr.Dataset:
        """The Dataset."""
        return self.base.ds

    @property
    def nbytes(self) -> int:
        """Bytes of values, tables and text, before compression."""
        return self.base.nbytes + sum(12 * side.count * len(side.columns) for side in self.sides)

    @property
    def natural(self) -> set[Hashable]:
        """Coordinates that the tables hold."""
        columns = [c for side in self.sides for c in side.columns]
        return ({c.key for c in columns} | {c.indices_key for c in columns}) - {None}


def plan_group(
    obj: xr.DataArray | xr.Dataset,
    path: str,
    compression: Any,
    encoding: Mapping[Hashable, Mapping[str, Any]],
    position_dims: Iterable[Hashable] | None = None,
    compound: bool | str = False,
) -> GroupPlan:
    """Plan a group; with ``compound``, its mains become fields of one.

    Raises
    ------
    DimensionError
        If `position_dims` names a dimension that is not there.
    FormatError
        If something cannot be stored, such as a MultiIndex or Python objects.
    ValueError
        If there is no such compression.
    """
    _filters.filters(np.dtype("f8"), compression)
    plan = GroupPlan(nsid.plan_group(obj, path, None, {}))
    ds = plan.ds
    rows = _position_dims(plan, position_dims)
    keys = [k for k in ds.data_vars if plan.base.encoded[k].main]
    split = {k: _split(ds.variables[k], rows) for k in keys}
    if compound and keys:  # the rows and columns of all are those of the first, whatever the order of their dimensions
        same = {k for k in keys if all(set(a) == set(b) for a, b in zip(split[k], split[keys[0]], strict=True))}
        split = {k: split[keys[0]] if k in same else v for k, v in split.items()}
    on_disk = {k: tuple(_kept(dims, ds.sizes, kind) for kind, dims in zip(SIDES, split[k], strict=True)) for k in keys}
    labels = _labels(ds, on_disk)
    found: dict[tuple[str, tuple[Hashable, ...]], int] = {}
    taken: set[str] = {name for kind in SIDES for name in LINKS[kind]}
    for key in keys:
        sides = []
        for kind, kept in zip(SIDES, on_disk[key], strict=True):
            if (kind, kept) not in found:
                found[kind, kept] = len(plan.sides)
                plan.sides.append(_side(plan, kind, kept, labels))
            sides.append(found[kind, kept])
        link = main_name(plan.base.disk[key], taken, sparse=any(plan.sides[i].sparse for i in sides))
        taken.add(link)
        own = dict(encoding.get(key, {})) or (dict(encoding.get(plan.base.name, {})) if plan.base.array else {})
        plan.mains[key] = MainPlan(link, (sides[0], sides[1]))
        if not compound:
            encoded = plan.base.encoded[key]
            shape = (plan.sides[sides[0]].count, plan.sides[sides[1]].count)
            how = Storage(encoded.dtype, encoded.values, shape, split[key], ds.sizes)
            plan.mains[key].options = _stored(how, compression, own, path, str(key))
    known = [*keys, *([plan.base.name] if plan.base.array else [])]
    if compound:
        plan.compound = _compound(plan, split, compound, compression, encoding, path)
        known = [plan.compound.link]
    unknown = [k for k in encoding if k not in known]
    if unknown:
        there = ", ".join(map(repr, known))
        raise FormatError(path, str(unknown[0]), f"encoding names no main; there are {there or 'none'}")
    return plan


def _position_dims(plan: GroupPlan, given: Iterable[Hashable] | None) -> set[Hashable]:
    types = plan.base.types
    if given is None:
        return {d for d in plan.ds.dims if str(types[d]) in _POSITION_TYPES or d == POSITION}
    wanted: set[Hashable] = {given} if isinstance(given, str) else set(given)
    for dim in wanted:
        if dim not in plan.ds.dims:
            there = ", ".join(map(repr, plan.ds.dims)) or "none"
            raise DimensionError(f"position_dims names {dim!r}; there are {there}")
    return wanted


def _split(var: xr.Variable, rows: set[Hashable]) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...]]:
    return tuple(d for d in var.dims if d in rows), tuple(d for d in var.dims if d not in rows)


def _kept(dims: tuple[Hashable, ...], sizes: Mapping[Hashable, int], kind: str) -> tuple[Hashable, ...]:
    """Leave out dimensions of one point until there are more points than dimensions.

    Otherwise the older readers take the tables for transposed and give a wrong array.
    """
    count = math.prod(sizes[d] for d in dims)
    kept = list(dims)
    while kept and not (len(kept) <= count if kind == POSITION else len(kept) < count or count == len(kept) == 1):
        single = [d for d in kept if sizes[d] == 1]
        if not single:
            break
        kept.remove(single[0])
    return tuple(kept)


def _labels(ds: xr.Dataset, split: Mapping[Hashable, tuple[tuple[Hashable, ...], ...]]) -> dict[Hashable, str]:
    """Give every dimension a label: its name, unless a reader would fall over it."""
    taken = set(_PLACEHOLDER.values())
    out: dict[Hashable, str] = {}
    order = [(rows or (None,)) + (columns or (None,)) for rows, columns in split.values()]
    for dim in ds.dims:
        places = [dims.index(dim) for dims in order if dim in dims]
        deepest = max((len(dims) for dims in order if dim in dims), default=1)
        out[dim] = label_for(_bare(dim), min(places, default=0), deepest, taken)
        taken.add(out[dim])
    return out


def _bare(name: object) -> str:
    # One older reader cuts a label at the first bracket.
    return str(name).replace("(", "_").replace(")", "_")


def _side(plan: GroupPlan, kind: str, dims: tuple[Hashable, ...], labels: Mapping[Hashable, str]) -> SidePlan:
    ds = plan.ds
    sizes = tuple(ds.sizes[d] for d in dims)
    if not dims:
        column = Column(_PLACEHOLDER[kind], (), np.zeros(()), units="a. u.")
        return SidePlan(kind, (), (), [column])
    if len(dims) == 1:
        columns = _scattered(plan, kind, dims[0])
        if columns:
            return SidePlan(kind, dims, sizes, columns, sparse=True)
    return SidePlan(kind, dims, sizes, [_column(plan, dims, i, labels[d]) for i, d in enumerate(dims)])


def _column(plan: GroupPlan, dims: tuple[Hashable, ...], i: int, label: str) -> Column:
    """Return positions along one dimension: its coordinate, if a table can hold that as it is."""
    ds, dim = plan.ds, dims[i]
    column = Column(label, (i,), np.arange(ds.sizes[dim], dtype=float), type=str(plan.base.types[dim]))
    if dim not in ds.coords:
        return column
    var = ds.variables[dim]
    _describe(column, var.attrs)
    if set(var.dims) <= set(dims) and _is_exact(var):
        axes = tuple(sorted(dims.index(d) for d in var.dims))
        values = var.transpose(*(dims[a] for a in axes)).values.astype(float)
        column.axes, column.values = axes, values
        if dim not in plan.natural:
            column.key = dim
    return column


def _describe(column: Column, attrs: Mapping[Any, Any]) -> None:
    units, quantity = attrs.get(names.UNITS), attrs.get(names.LONG_NAME)
    column.units = _said(units).replace("(", "[").replace(")", "]")
    column.quantity = _said(quantity)


def _said(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        return ""
    return value.encode(errors="replace").decode()


def _is_exact(var: xr.Variable) -> bool:
    """Tell whether float64 can hold the values, so that they come back bit for bit."""
    if var.dtype.kind not in "biuf" or var.dtype.itemsize > 8 or not var._in_memory:
        return False
    values = np.ascontiguousarray(var.values)
    with np.errstate(all="ignore"):
        back = values.astype(float).astype(values.dtype)
    return back.tobytes() == values.tobytes()


def _scattered(plan: GroupPlan, kind: str, dim: Hashable) -> list[Column]:
    """Return the columns of points without a grid; none if the dimension is an ordinary one."""
    ds = plan.ds
    cloud = str(plan.base.types[dim]) == "point_cloud"
    raw = {k: f"{k}_index" for k in ds.coords if f"{k}_index" in ds.coords}
    used = set(raw.values())
    keys = [
        k
        for k, c in ds.coords.items()
        if c.dims == (dim,) and k != dim and k not in used and k not in plan.natural and _is_exact(c.variable)
    ]
    indexed = any(k in raw and ds.coords[raw[k]].dims == (dim,) for k in keys)
    enough = len(keys) <= ds.sizes[dim] if kind == POSITION else len(keys) < ds.sizes[dim]
    if not keys or not enough or not (cloud or (dim in SIDES and indexed)):
        return []
    columns: list[Column] = []
    taken = set(_PLACEHOLDER.values())
    for i, key in enumerate(keys):
        var = ds.variables[key]
        label = label_for(_bare(key), i, len(keys) + 1, taken)
        taken.add(label)
        column = Column(label, (0,), var.values.astype(float), key, indices=np.arange(ds.sizes[dim]))
        _describe(column, var.attrs)
        other = raw.get(key)
        if other is not None and ds.coords[other].dims == (dim,) and _is_index(ds.variables[other]):
            column.indices, column.indices_key = ds.variables[other].values, other
        columns.append(column)
    return columns


def _is_index(var: xr.Variable) -> bool:
    if var.dtype.kind not in "iu" or not var._in_memory or var.size == 0:
        return False
    return bool(var.values.min() >= 0 and var.values.max() < 2**32)


def _stored(how: Storage, compression: Any, own: Mapping[str, Any], path: str, key: str) -> dict[str, Any]:
    try:
        return how.keywords(compression, own)
    except ValueError as error:
        raise FormatError(path, key, str(error)) from error


def _compound(
    plan: GroupPlan,
    split: Mapping[Hashable, tuple[tuple[Hashable, ...], ...]],
    name: bool | str,
    compression: Any,
    encoding: Mapping[Hashable, Mapping[str, Any]],
    path: str,
) -> Compound:
    """Make one main of all, which must lie on the same rows and columns."""
    if not plan.mains:
        raise FormatError(path, "", "compound=True needs a Dataset of numbers, and there are none")
    first, *rest = plan.mains
    other = [
        k for k in rest if plan.mains[k].sides != plan.mains[first].sides or set(split[k][0]) != set(split[first][0])
    ]
    if other:
        here, there = (dict(plan.ds[k].sizes) for k in (first, other[0]))
        why = f"lies on {there}, and {first!r} on {here}: they cannot be fields of one main"
        raise FormatError(path, str(other[0]), f"{why}. Type: ds.drop_vars({other[0]!r}), or compound=False")
    sides = plan.mains[first].sides
    taken = {link for kind in SIDES for link in LINKS[kind]}
    title = name if isinstance(name, str) else plan.ds.attrs.get(names.TITLE) or "Parameters"
    link = main_name(title, taken, sparse=any(plan.sides[i].sparse for i in sides))
    out = Compound(link, sides, field_names(plan.base))
    shape = (plan.sides[sides[0]].count, plan.sides[sides[1]].count)
    values = plan.base.encoded[first].values
    how = Storage(out.dtype(plan.base), values, shape, split[first], plan.ds.sizes)
    out.options = _stored(how, compression, encoding.get(link, {}), path, link)
    return out
