"""Where to fit: positions, and how much around them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import coordinate, position_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.models import FitModel
from sid_xarray.ops._peak_args import PEAK, axis_of, lengths, peak_index
from sid_xarray.schema import attrs as names

__all__ = ["Places", "dims_of_places", "places_of", "recalled"]

# The window that is wide enough for a peak and some of what is below it.
_WIDTHS = 3.0
# Longer lists are inputs, and not written into the history.
_WRITTEN = 256
_INPUT = "input"


@dataclass(frozen=True)
class Places:
    """Where to fit, and how wide.

    Attributes
    ----------
    centers : tuple of DataArray
        Along every dimension that is fitted, over ``peak`` and dimensions of the maps.
    widths : tuple of float or DataArray
        Full widths of the windows.
    said : mapping
        What is recorded of them.
    inputs : tuple of DataArray
        What is an input, in the order of what is said.
    """

    centers: tuple[xr.DataArray, ...]
    widths: tuple[float | xr.DataArray, ...]
    said: dict[str, Any]
    inputs: tuple[xr.DataArray, ...]

    @property
    def index(self) -> Any:
        """The coordinate of the peaks."""
        found = coordinate(self.centers[0], PEAK)
        return peak_index(self.centers[0].sizes[PEAK]) if found is None else found.variable


def dims_of_places(da: xr.DataArray, at: Any, model: FitModel, dim: Any) -> Any:
    """Return the dimensions that positions name, if nothing else says what to fit along."""
    if dim is not None or not (isinstance(at, xr.Dataset | Mapping) or hasattr(at, "columns")):
        return dim
    own = set(at.dims) if isinstance(at, xr.Dataset) else set()
    found = [d for d in da.dims if d in at and d not in own]
    if len(found) != len(model.axes):
        return dim
    return found[0] if len(found) == 1 else found


def places_of(da: xr.DataArray, along: Sequence[Hashable], at: Any, window: Any) -> Places:
    """Return positions and windows as they were given.

    Raises
    ------
    DimensionError
        If positions are missing, or lie over something that the data do not have.
    """
    columns = _columns(along, [d for d in da.dims if d not in along], at)
    centers, inputs = [], []
    said: dict[str, list[float] | str] = {}
    for d, values in columns.items():
        if not isinstance(values, xr.DataArray) and values.size > _WRITTEN:
            values = _positions(da, along, d, values)
        centers.append(_positions(da, along, d, values))
        if isinstance(values, xr.DataArray):
            inputs.append(values)
            said[str(d)] = _INPUT
        else:
            said[str(d)] = np.asarray(values, dtype=float).reshape(-1).tolist()
    count = {c.sizes[PEAK] for c in centers}
    if len(count) > 1:
        raise DimensionError(f"positions along {' and '.join(map(str, along))} are of one number, got {sorted(count)}")
    for d in along:
        axis_of(da, d)
    recorded: dict[str, Any] = {"at": said}
    if window is None:
        widths, own = _from_table(da, along, at)
        recorded["window"] = None
        inputs.append(own)
    elif isinstance(window, xr.DataArray) and window.ndim:
        widths = (_checked(da, along[0], _converted(da, along[0], window), "window"),)
        if len(along) > 1:
            raise DimensionError(f"windows along {len(along)} dimensions are numbers: window={{{along[0]!r}: ...}}")
        recorded["window"] = "map"
        inputs.append(window)
    else:
        sizes = lengths(da, along, window, "window")
        if not all(sizes):
            raise DimensionError(f"window says nothing of {along[sizes.index(0.0)]!r}: give all of {list(along)}")
        widths = sizes
        recorded["window"] = sizes[0] if len(along) == 1 else {str(d): w for d, w in zip(along, sizes, strict=True)}
    return Places(tuple(centers), widths, recorded, tuple(inputs))


def recalled(rest: dict[str, Any], arrays: list[Any]) -> None:
    """Put positions and windows of a recorded step back into the arguments; inputs are taken from the end."""
    said, window = rest["at"], rest.get("window")
    given = sum(v == _INPUT for v in said.values()) + (window is None or window == "map")
    own = arrays[len(arrays) - given :] if given else []
    del arrays[len(arrays) - given :]
    at = {d: own.pop(0) if v == _INPUT else v for d, v in said.items()}
    if window is None:
        at["fwhm"] = own.pop(0)
        rest["window"] = None
    elif window == "map":
        rest["window"] = own.pop(0)
    rest["at"] = at


def _columns(along: Sequence[Hashable], maps: Sequence[Hashable], at: Any) -> dict[Hashable, Any]:
    """Return positions along every dimension: arrays that have names, or lists."""
    if isinstance(at, xr.Dataset | Mapping) or hasattr(at, "columns"):
        _refuse_rows(maps, at)
        missing = [d for d in along if d not in at]
        if missing:
            there = ", ".join(repr(str(n)) for n in at) or "nothing"
            raise DimensionError(f"no positions along {missing[0]!r} in at=: it has {there}")
        found = {d: at[d] for d in along}
    elif len(along) == 1:
        found = {along[0]: at}
    else:
        given = ", ".join(f"{d!r}: ..." for d in along)
        raise DimensionError(f"positions along {len(along)} dimensions are a Dataset or a mapping: at={{{given}}}")
    return {d: v if isinstance(v, xr.DataArray) else np.asarray(v) for d, v in found.items()}


def _refuse_rows(maps: Sequence[Hashable], at: Any) -> None:
    """Refuse a table whose rows say at which point they are: its columns alone would be fitted at every point."""
    if not hasattr(at, "columns"):
        return
    levels = [n for n in at.index.names if n is not None]
    if not (named := [d for d in maps if d in levels or d in at.columns]):
        return
    rows = [d for d in (*maps, PEAK) if d in levels or d in at.columns]
    array = "table.to_xarray()" if set(rows) <= set(levels) else f"table.reset_index().set_index({rows}).to_xarray()"
    raise DimensionError(
        f"every row of at= is of one {named[0]!r}, and would be fitted at all of them. Type: at={array}"
    )


def _positions(da: xr.DataArray, along: Sequence[Hashable], dim: Hashable, values: Any) -> xr.DataArray:
    if not isinstance(values, xr.DataArray):
        if values.ndim > 1 or values.dtype.kind not in "iuf":
            raise DimensionError(
                f"positions along {dim!r} are numbers in a list, or an array with the dimension 'peak'; "
                f"got {values.dtype} of shape {values.shape}"
            )
        return xr.DataArray(values.astype(float).reshape(-1), dims=(PEAK,))
    if values.dtype.kind not in "iuf":
        raise DimensionError(f"positions along {dim!r} are numbers, got {values.dtype}")
    maps = [d for d in da.dims if d not in along]
    own = [d for d in values.dims if d not in maps]
    if len(own) != 1:
        raise DimensionError(
            f"positions along {dim!r} lie over 'peak' and dimensions of the data, {tuple(maps)}; these over "
            f"{values.dims}. "
            f"For one a point type: at={{{dim!r}: positions.expand_dims('peak')}}"
        )
    out = _converted(da, dim, values)
    if own[0] != PEAK:
        out = out.drop_vars([n for n, c in out.coords.items() if own[0] in c.dims]).rename({own[0]: PEAK})
    return out.reset_coords(drop=True)


def _converted(da: xr.DataArray, dim: Hashable, values: xr.DataArray) -> xr.DataArray:
    """Return lengths or positions in the units of a dimension."""
    unit = values.attrs.get(names.UNITS)
    factor = 1.0 if unit is None or units_of(values) == units_of(da, dim) else position_of(da, dim, f"1 {unit}")
    return values.astype(float) * factor if factor != 1.0 else values.astype(float)


def _from_table(
    da: xr.DataArray, along: Sequence[Hashable], at: Any
) -> tuple[tuple[float | xr.DataArray, ...], xr.DataArray]:
    has = isinstance(at, xr.Dataset | Mapping) and "fwhm" in at and isinstance(at["fwhm"], xr.DataArray)
    if len(along) > 1 or not has:
        each = ", ".join(f"{d!r}: ..." for d in along)
        unit = units_of(da, along[0])
        more = f", or {{{each}}}" if len(along) > 1 else ""
        raise DimensionError(
            f"how wide is what is fitted at a position? Pass window=..., its full width in {unit}{more}"
        )
    own: xr.DataArray = at["fwhm"]
    return (_WIDTHS * _checked(da, along[0], _converted(da, along[0], own), "fwhm"),), own


def _checked(da: xr.DataArray, dim: Hashable, values: xr.DataArray, what: str) -> xr.DataArray:
    maps = {d for d in da.dims if d != dim} | {PEAK}
    if values.dtype.kind != "f" or not set(values.dims) <= maps:
        raise DimensionError(
            f"{what} lies over 'peak' and dimensions of the data; got {values.dtype} over {values.dims}"
        )
    return values.reset_coords(drop=True)
