"""Axes of pictures: positions with units, which dimension is horizontal, and what scale both share."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sid_xarray.core.dims import describe, dims_of, spacing, units_of, values_of
from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units as _units
from sid_xarray.viz._labels import comfortable, plain, quantity

__all__ = ["Axis", "axis_of", "check_dim", "horizontal_vertical", "map_dims", "role_of", "share_scale"]

_HORIZONTAL = re.compile(r"^([kqs]_?)?x|^(u|col|cols|column|columns|lon|longitude|width)(_|\d|$)", re.IGNORECASE)
_VERTICAL = re.compile(r"^([kqs]_?)?y|^(v|row|rows|line|lines|lat|latitude|height)(_|\d|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Axis:
    """One axis of a picture.

    Attributes
    ----------
    dim : hashable
        The dimension.
    label : str
        Its name for people.
    units : str
        Canonical units of `values`.
    values : ndarray
        Positions, finite float64, in the order of storage.
    step : float or None
        Distance of neighbours; None where it varies, or where there is one point.
    kind : str
        Type of the dimension.
    counted : bool
        Whether positions are only indices, because those of the coordinate cannot be drawn.
    dates : ndarray or None
        The same positions as dates, where the coordinate has dates: curves are drawn over them.
    """

    dim: Hashable
    label: str
    units: str
    values: np.ndarray
    step: float | None
    kind: str
    counted: bool = False
    dates: np.ndarray | None = None

    @property
    def monotonic(self) -> bool:
        """Whether positions only ascend or only descend."""
        d = np.diff(self.values)
        return bool((d > 0).all() or (d < 0).all())

    @property
    def ascends(self) -> bool:
        """Whether the first position is the smallest."""
        return self.values.size < 2 or bool(self.values[0] <= self.values[-1])

    @property
    def reach(self) -> float:
        """Largest distance from zero."""
        return float(np.max(np.abs(self.values), initial=0.0))

    def scaled(self, units: str, factor: float) -> Axis:
        """Return the axis in other units."""
        step = None if self.step is None else self.step * factor
        return replace(self, units=units, values=self.values * factor, step=step)

    def as_index(self) -> Axis:
        """Return the axis as counted positions, for grids that cannot be drawn at their places."""
        n = self.values.size
        return replace(
            self, label=f"{self.label}, index", units="1", values=np.arange(n, dtype=float), step=1.0, counted=True
        )


def axis_of(da: xr.DataArray, dim: Hashable) -> Axis:
    """Read the axis of a dimension; text, NaN and complex positions become indices."""
    label = quantity(da[dim], fallback=dim) if dim in da.coords else plain(dim)
    kind = str(describe(da)[dim])
    bare = Axis(dim, label, "1", np.arange(da.sizes[dim], dtype=float), 1.0, kind)
    if dim not in da.coords:
        return bare
    if da[dim].dtype.kind == "M":
        first = da[dim].values[0] if da.sizes[dim] else np.datetime64("NaT")
        seconds = (da[dim].values - first) / np.timedelta64(1, "s")
        since = f"{label} since {first!s:.19}"
        dates = None if np.isnat(da[dim].values).any() else da[dim].values
        return replace(bare, label=since, units="s", values=seconds, step=None, dates=dates)
    try:
        values = values_of(da, dim)
    except DimensionError:
        return bare.as_index()
    if not np.isfinite(values).all():
        return bare.as_index()
    units = "s" if da[dim].dtype.kind == "m" else units_of(da, dim)
    try:
        step: float | None = spacing(da, dim)
    except DimensionError:
        step = None
    return replace(bare, units=units, values=values, step=step)


def check_dim(da: xr.DataArray, dim: Hashable) -> Hashable:
    """Return the dimension, or say which there are."""
    if dim not in da.dims:
        known = ", ".join(map(repr, da.dims)) or "none"
        raise DimensionError(f"no dimension {dim!r} on {da.name!r}: there are {known}.")
    return dim


def role_of(da: xr.DataArray, dim: Hashable) -> str:
    """Return x or y for what is horizontal or vertical by its name or its axis; empty if neither tells."""
    word = str(dim).strip()
    if _HORIZONTAL.search(word):
        return "x"
    if _VERTICAL.search(word):
        return "y"
    said = da[dim].attrs.get(names.AXIS) if dim in da.coords else None
    return {"X": "x", "Y": "y"}.get(str(said), "")


def horizontal_vertical(
    da: xr.DataArray, dims: Sequence[Hashable], *, x: Hashable | None = None, y: Hashable | None = None
) -> tuple[Hashable, Hashable]:
    """Return which of two dimensions is horizontal: by name; where names tell nothing, the later one."""
    if x is not None and y is not None:
        if check_dim(da, x) == check_dim(da, y):
            raise DimensionError(f"x and y are both {x!r}: name two dimensions of {da.dims}.")
        return x, y
    first, last = (d for d in da.dims if d in dims)
    if x is not None or y is not None:
        other = last if (x if x is not None else y) == first else first
        return (x, other) if x is not None else (other, y)
    roles = (role_of(da, first), role_of(da, last))
    if (roles[0] == "x") != (roles[1] == "x"):
        return (first, last) if roles[0] == "x" else (last, first)
    if (roles[0] == "y") != (roles[1] == "y"):
        return (last, first) if roles[0] == "y" else (first, last)
    return last, first


def map_dims(
    da: xr.DataArray,
    *,
    x: Hashable | None = None,
    y: Hashable | None = None,
    prefer: Sequence[str] = (),
    exclude: Sequence[Hashable] = (),
) -> tuple[Hashable, Hashable]:
    """Return the two dimensions of an image, horizontal first.

    Raises
    ------
    DimensionError
        If there are fewer than two dimensions.
    """
    for dim in (x, y):
        if dim is not None:
            check_dim(da, dim)
    if x is not None and y is not None:
        return horizontal_vertical(da, (x, y), x=x, y=y)
    given = [d for d in (x, y) if d is not None]
    ranked: list[Hashable] = [d for kind in (*prefer, "spatial", "reciprocal") for d in _pair(da, kind)]
    ranked += [*dims_of(da, ("spatial", "reciprocal")), *reversed(da.dims)]
    if given:  # the other one is rather a dimension that by its name belongs there
        ranked.sort(key=lambda d: role_of(da, d) != ("y" if x is not None else "x"))
    chosen = [d for d in dict.fromkeys([*given, *ranked]) if d not in exclude][:2]
    if len(chosen) < 2:
        left = tuple(d for d in da.dims if d not in exclude)
        raise DimensionError(f"an image needs two dimensions, {da.name!r} has {left}. Draw da.sid.plot.curve().")
    return horizontal_vertical(da, chosen, x=x, y=y)


def _pair(da: xr.DataArray, kind: str) -> tuple[Hashable, ...]:
    """Return the two dimensions of a kind that make a plane; of x, y, z those are x and y."""
    found = dims_of(da, kind)
    if len(found) > 2:
        named = tuple(d for d in found if role_of(da, d))
        found = named if len(named) == 2 else found[-2:]
    return found if len(found) == 2 else ()


def share_scale(a: Axis, b: Axis, *, prefix: bool = True) -> tuple[Axis, Axis, bool]:
    """Bring two axes to readable units, the same for both where they measure the same.

    Returns
    -------
    a, b : Axis
    same : bool
        Whether one length on ``a`` is the same length on ``b``: then the picture has equal aspect.
    """
    if a.counted or b.counted:
        same = a.counted and b.counted and a.kind == b.kind
    else:
        try:
            factor = _units.convert_factor(b.units, a.units)
        except UnitsError:
            same = a.units == b.units
            factor = 1.0
        else:
            same = True
        if same and factor != 1.0:
            b = b.scaled(a.units, factor)
    if prefix and same and not a.counted:
        units, factor = comfortable(a.units, max(a.reach, b.reach))
        a, b = a.scaled(units, factor), b.scaled(units, factor)
    elif prefix:
        a, b = (c.scaled(*comfortable(c.units, c.reach)) for c in (a, b))
    geometric = a.kind == b.kind and a.kind in ("spatial", "reciprocal", "unknown")
    return a, b, same and geometric
