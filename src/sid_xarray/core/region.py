"""A part of space, of a spectrum or of a detector, as data: JSON-able, in units, usable as a mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError, nearest

__all__ = ["KINDS", "Region", "as_region"]

KINDS = ("interval", "box", "point", "polygon", "aperture")

Number: TypeAlias = float | str


@dataclass(frozen=True)
class Region:
    """A region: what was selected, and along which dimensions.

    Make one with `interval`, `box`, `point`, `polygon` or `aperture`. Positions are in units of the coordinates, or
    in those that ``units`` says; text such as ``"0.5 nm"`` carries its own.

    Parameters
    ----------
    kind : {"interval", "box", "point", "polygon", "aperture"}
    dims : tuple of str
        Dimensions, or coordinates of a point cloud.
    at : tuple
        (low, high) of an interval; a pair a dimension of a box; a position a dimension of a point; a tuple of corners
        of a polygon; (position, position, inner radius, outer radius) of an aperture.
    units : tuple of str, optional
        Of the positions, one a dimension.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> region = sid.Region.box(y=(0, 1.5), x=(1, 2), units="nm")
    >>> sid.Region.from_dict(region.to_dict()) == region
    True
    >>> int(region.mask(sid.datasets.peak_map()).sum())
    12
    """

    kind: str
    dims: tuple[str, ...]
    at: tuple[Any, ...]
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DimensionError(f"no region is a {self.kind!r}.{nearest(str(self.kind), KINDS)}")
        object.__setattr__(self, "dims", tuple(map(str, self.dims)))
        object.__setattr__(self, "at", _frozen(self.at))
        object.__setattr__(self, "units", tuple(map(str, self.units)))
        n, wants = len(self.dims), {"interval": 1, "polygon": 2, "aperture": 2}.get(self.kind)
        if not n or (wants is not None and n != wants) or len(set(self.dims)) < n:
            raise DimensionError(f"a region of kind {self.kind!r} has {wants or 'some'} dimensions, got {self.dims}")
        if len(self.units) not in (0, n):
            raise DimensionError(f"units of a region are one for each of {self.dims}, got {self.units}")
        if not _well_formed(self.kind, n, self.at):
            raise DimensionError(f"a region of kind {self.kind!r} along {self.dims} {_FORMS[self.kind]}, got {self.at}")

    @classmethod
    def interval(
        cls, bounds: Mapping[str, Any] | None = None, /, *, units: str | None = None, **dims: tuple[Number, Number]
    ) -> Region:
        """Make a stretch of one dimension: ``Region.interval(energy=(450, 470))``; both ends belong to it.

        Parameters
        ----------
        bounds : mapping, optional
            For names that are no Python identifiers.
        units : str, optional
            Of the ends; those of the coordinate by default.
        **dims
            Dimension and (low, high).

        Returns
        -------
        Region
        """
        names, at = _split(bounds, dims)
        if len(names) != 1:
            raise DimensionError(f"an interval has one dimension, got {names}. Several make a box: Region.box(...)")
        return cls("interval", names, at[0], _all(units, names))

    @classmethod
    def box(
        cls, bounds: Mapping[str, Any] | None = None, /, *, units: str | None = None, **dims: tuple[Number, Number]
    ) -> Region:
        """Make a box of any number of dimensions: ``Region.box(y=(0, 5), x=(2, 4))``; the ends belong to it.

        Parameters
        ----------
        bounds : mapping, optional
            For names that are no Python identifiers.
        units : str, optional
            Of all ends; those of the coordinates by default.
        **dims
            Dimensions and (low, high).

        Returns
        -------
        Region
        """
        names, at = _split(bounds, dims)
        return cls("box", names, at, _all(units, names))

    @classmethod
    def point(cls, at: Mapping[str, Any] | None = None, /, *, units: str | None = None, **dims: Number) -> Region:
        """Make a point; it selects the nearest pixel.

        Parameters
        ----------
        at : mapping, optional
            For names that are no Python identifiers.
        units : str, optional
            Of all positions; those of the coordinates by default.
        **dims
            Dimensions and positions.

        Returns
        -------
        Region
        """
        names, where = _split(at, dims)
        return cls("point", names, where, _all(units, names))

    @classmethod
    def polygon(
        cls, corners: Iterable[Sequence[Number]], *, dims: Sequence[str] = ("y", "x"), units: str | None = None
    ) -> Region:
        """Make an outline by hand, or a lasso.

        Parameters
        ----------
        corners : iterable of pairs
            Positions along the two dimensions. The last corner is joined with the first.
        dims : sequence of str, default: ("y", "x")
        units : str, optional
            Of the corners; those of the coordinates by default.

        Returns
        -------
        Region
        """
        return cls("polygon", tuple(dims), tuple(tuple(c) for c in corners), _all(units, tuple(dims)))

    @classmethod
    def aperture(
        cls,
        center: Mapping[str, Any] | None = None,
        /,
        *,
        radius: Number,
        inner: Number = 0.0,
        units: str | None = None,
        **dims: Number,
    ) -> Region:
        """Make a disc or a ring: ``Region.aperture(ky=0, kx=0, radius=2)``; its circles belong to it.

        Parameters
        ----------
        center : mapping, optional
            For names that are no Python identifiers.
        radius : float or str
            In units of the first dimension.
        inner : float or str, default: 0
            What is nearer to the center than this is left out: then it is a ring.
        units : str, optional
            Of center and radii; those of the coordinates by default.
        **dims
            Two dimensions and the center along them.

        Returns
        -------
        Region
        """
        names, at = _split(center, dims)
        return cls("aperture", names, (*at, inner, radius), _all(units, names))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and text, as for JSON.

        Returns
        -------
        dict
        """
        out: dict[str, Any] = {"kind": self.kind, "dims": list(self.dims), "at": _thawed(self.at)}
        return {**out, "units": list(self.units)} if self.units else out

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Region:
        """Undo `to_dict`.

        Parameters
        ----------
        found : mapping

        Returns
        -------
        Region
        """
        lacks = [key for key in ("kind", "dims", "at") if key not in found]
        spare = [str(key) for key in found if key not in ("kind", "dims", "at", "units")]
        if lacks or spare:
            raise DimensionError(f"a region has kind, dims, at and units: {found!r} {'lacks' if lacks else 'also has'} "
                                 f"{', '.join(lacks or spare)}")  # fmt: skip
        return cls(found["kind"], tuple(found["dims"]), tuple(found["at"]), tuple(found.get("units") or ()))

    def mask(self, da: xr.DataArray) -> xr.DataArray:
        """Tell which points of an array lie in the region.

        Parameters
        ----------
        da : DataArray
            Only its coordinates are looked at.

        Returns
        -------
        DataArray of bool
            Over the dimensions of the region.
        """
        from sid_xarray.core.cut import cut

        found = cut(da, self)
        dims = tuple(found.indexers)
        values = np.zeros([da.sizes[d] for d in dims], dtype=bool)
        index = np.ix_(*(np.atleast_1d(np.arange(da.sizes[d])[found.indexers[d]]) for d in dims))
        values[index] = True if found.mask is None else found.mask
        coords = {k: c for k, c in da.coords.items() if set(c.dims) <= set(dims)}
        return xr.DataArray(values, coords=coords, dims=dims, name="region")

    def __repr__(self) -> str:
        unit = self.units[0] if self.units and len(set(self.units)) == 1 else None
        if self.units and unit is None:
            return f"Region({self.kind!r}, {self.dims!r}, {self.at!r}, {self.units!r})"
        rest = [] if unit is None else [f"units={unit!r}"]
        if self.kind == "polygon":
            return f"Region.polygon({', '.join([_text(self.at), f'dims={self.dims!r}', *rest])})"
        at: tuple[Any, ...] = (self.at,) if self.kind == "interval" else self.at[: len(self.dims)]
        if self.kind == "aperture":
            inner = [f"inner={_text(self.at[2])}"] if self.at[2] else []
            rest = [f"radius={_text(self.at[3])}", *inner, *rest]
        if all(d.isidentifier() and not iskeyword(d) and d not in ("units", "radius", "inner") for d in self.dims):
            said = [f"{d}={_text(v)}" for d, v in zip(self.dims, at, strict=True)]
        else:
            said = [f"{{{', '.join(f'{d!r}: {_text(v)}' for d, v in zip(self.dims, at, strict=True))}}}"]
        return f"Region.{self.kind}({', '.join([*said, *rest])})"


_FORMS = {
    "interval": "is a pair (low, high)",
    "box": "has a pair (low, high) for each",
    "point": "has a position for each",
    "polygon": "has three corners or more, a pair each",
    "aperture": "has a center, an inner and an outer radius",
}


def _well_formed(kind: str, n: int, at: tuple[Any, ...]) -> bool:
    def pair(v: Any) -> bool:
        return isinstance(v, tuple) and len(v) == 2 and all(map(number, v))

    def number(v: Any) -> bool:
        return isinstance(v, str) or (isinstance(v, int | float) and not isinstance(v, bool) and v == v)

    if kind == "interval":
        return pair(at)
    if kind == "polygon":
        return len(at) >= 3 and all(map(pair, at))
    wanted = n + 2 if kind == "aperture" else n
    return len(at) == wanted and all(map(pair if kind == "box" else number, at))


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(_frozen(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def _thawed(value: Any) -> Any:
    return [_thawed(v) for v in value] if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return repr(value)


def _split(given: Mapping[str, Any] | None, dims: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    both = {**(given or {}), **dims}
    return tuple(map(str, both)), tuple(_frozen(v) for v in both.values())


def _all(units: str | None, dims: tuple[str, ...]) -> tuple[str, ...]:
    return () if units is None else (units,) * len(dims)


def as_region(region: Region | Mapping[str, Any]) -> Region:
    """Return a region, also of its JSON form.

    Raises
    ------
    DimensionError
        If it is none.
    """
    if isinstance(region, Region):
        return region
    if not isinstance(region, Mapping):
        raise DimensionError(f"expected a region such as sid.Region.box(y=(0, 5), x=(2, 4)), got {region!r}")
    return Region.from_dict(region)
