"""Dimensions by meaning: code asks for a spectral dimension, never for the third one."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, units

__all__ = [
    "DimensionType",
    "coordinate",
    "data_kind",
    "describe",
    "dims_of",
    "kind_of",
    "one_dim",
    "position_of",
    "spacing",
    "units_of",
    "values_of",
]

Kinds: TypeAlias = str | tuple[str, ...]


class DimensionType(str):
    """The type of a dimension, as text that knows where it comes from.

    Attributes
    ----------
    evidence : {"declared", "units", "name", "context", "none"}
        What the type was read from. Everything but ``"declared"`` is a guess.
    """

    __slots__ = ("evidence",)
    evidence: str

    def __new__(cls, value: str, evidence: str = "declared") -> DimensionType:
        self = super().__new__(cls, value)
        self.evidence = evidence
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return (str(self), self.evidence)

    def __repr__(self) -> str:
        return str.__repr__(self) if self.evidence == "declared" else f"{str(self)!r} (from {self.evidence})"


def describe(obj: xr.DataArray | xr.Dataset) -> dict[Hashable, DimensionType]:
    """Types of the dimensions, each with its evidence.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    dict
        From dimension to `DimensionType`, which is a str: declared in ``sid_dimension_type``,
        else read from units, else from the name, else from the context.
    """
    found = {dim: _own_evidence(obj, dim) for dim in obj.dims}
    unknown = [dim for dim, kind in found.items() if kind == "unknown" and kind.evidence == "none"]
    space = [dim for dim, kind in found.items() if kind == "spatial"]
    if len(found) == 4 and len(unknown) == 2 and len(space) == 2:
        # Two untyped axes behind a two-dimensional scan are a pixelated detector.
        found |= dict.fromkeys(unknown, DimensionType("reciprocal", "context"))
    return found


def _own_evidence(obj: xr.DataArray | xr.Dataset, dim: Hashable) -> DimensionType:
    attrs = obj[dim].attrs if dim in obj.coords else {}
    declared = kinds.parse_dimension_type(attrs.get(names.DIMENSION_TYPE))
    if declared is not None:
        return DimensionType(declared, "declared")
    by_name = kinds.dimension_type_from_name(dim)
    if names.UNITS in attrs:
        text = units.normalise(attrs[names.UNITS]).canonical
        by_units = units.dimension_type_of(text)
        if by_units == "spatial" and by_name == "spectral":
            return DimensionType(by_name, "name")  # a wavelength is a length, and no place
        if by_units is not None:
            return DimensionType(by_units, "units")
    if by_name is not None:
        return DimensionType(by_name, "name")
    return DimensionType("unknown", "none")


def dims_of(obj: xr.DataArray | xr.Dataset, kind: Kinds) -> tuple[Hashable, ...]:
    """Dimensions of one type, in the order of storage.

    Parameters
    ----------
    obj : DataArray or Dataset
    kind : str
        One of spatial, reciprocal, spectral, temporal, channel, point_cloud, unknown.

    Returns
    -------
    tuple
        Names of dimensions; empty if there is none of that type.

    Raises
    ------
    DimensionError
        If there is no such type.

    Examples
    --------
    >>> import numpy as np, sid_xarray as sid
    >>> da = sid.dataarray(np.zeros((2, 3)), dims={"y": (1, "nm"), "bias": (0.1, "V")})
    >>> da.sid.dims_of("spectral")
    ('bias',)
    """
    wanted = (kind,) if isinstance(kind, str) else tuple(kind)
    for word in wanted:
        if word not in kinds.DIMENSION_TYPES:
            raise DimensionError(f"no dimension type {word!r}. Types: {', '.join(kinds.DIMENSION_TYPES)}.")
    return tuple(dim for dim, found in describe(obj).items() if found in wanted)


def data_kind(obj: xr.DataArray) -> str:
    """Kind of the data, such as ``"spectral_image"``; derived from the types of the dimensions.

    Parameters
    ----------
    obj : DataArray

    Returns
    -------
    str
        spectrum, line_profile, line_profiles, image, image_stack, volume, spectral_image, image_4d,
        point_cloud, scalar or multidimensional. ``sid_data_type`` overrides it while it fits.
    """
    override = obj.attrs.get(names.DATA_TYPE)
    if isinstance(override, str) and _fits(override, obj.ndim):
        return override
    return kinds.data_kind(describe(obj).values())


_NDIM = {"scalar": 0, "spectrum": 1, "line_profile": 1, "line_profiles": 2, "image": 2, "image_stack": 3, "volume": 3}
_NDIM |= {"image_4d": 4}


def _fits(kind: str, ndim: int) -> bool:
    return kind in kinds.DATA_KINDS and _NDIM.get(kind, ndim) == ndim and not (kind == "spectral_image" and ndim < 3)


def one_dim(da: xr.DataArray, dim: Hashable | None, *, kind: Kinds) -> Hashable:
    """Return the dimension that is named, or the only one of the wanted kind.

    Raises
    ------
    DimensionError
        If the name is not there, or the kind occurs never or more than once.
    """
    if dim is not None:
        if dim not in da.dims:
            raise DimensionError(f"no dimension {dim!r} on {_called(da)}: it has {_listed(da)}.")
        return dim
    found = dims_of(da, kind)
    if len(found) == 1:
        return found[0]
    if not found and da.ndim == 1:
        return da.dims[0]
    word = kind if isinstance(kind, str) else " or ".join(kind)
    last = da.dims[-1] if da.ndim else "name"
    first = kind if isinstance(kind, str) else kind[0]
    raise DimensionError(
        f"expected one {word} dimension on {_called(da)}, found {', '.join(map(repr, found)) or 'none'} among "
        f"{_listed(da)}. Pass dim=..., or mark one: da.sid.set_dims({{{last!r}: {first!r}}})."
    )


def _called(da: xr.DataArray) -> str:
    return repr(da.name) if da.name is not None else "the array"


def _listed(da: xr.DataArray) -> str:
    return ", ".join(f"{d} ({k})" for d, k in describe(da).items()) or "no dimensions"


def coordinate(da: xr.DataArray | xr.Dataset, dim: Hashable) -> xr.DataArray | None:
    """Return the 1-D coordinate of a dimension, or None; xarray would invent one."""
    return da[dim] if dim in da.coords else None


def values_of(da: xr.DataArray, dim: Hashable) -> np.ndarray:
    """Return the positions along a dimension as float64; 0 … n-1 without a coordinate.

    Raises
    ------
    DimensionError
        If the coordinate is not numeric.
    """
    coord = coordinate(da, dim)
    if coord is None or coord.ndim != 1:  # positions that drift are a coordinate of several dimensions
        return np.arange(da.sizes[dim], dtype=float)
    if coord.dtype.kind == "m":
        return np.asarray(coord.values / np.timedelta64(1, "s"), dtype=float)
    if coord.dtype.kind not in "biuf":
        raise DimensionError(
            f"the coordinate {dim!r} is not numeric ({coord.dtype}). Give it numbers with da.assign_coords."
        )
    return np.asarray(coord.values, dtype=float)


def plain_numbers(da: xr.DataArray) -> None:
    """Refuse values that carry units themselves: ours are in the attributes, and these would be lost.

    Raises
    ------
    UnitsError
        If pint has quantified the array.
    """
    values = da.variable._data  # not `.data`: that would read a file
    if hasattr(values, "magnitude") and hasattr(values, "units"):
        raise UnitsError(f"the values of {_called(da)} carry units of pint. Type: da.pint.dequantify(format='~D')")


def kind_of(da: xr.DataArray) -> str:
    """Return the letter of NumPy for the kind of the values.

    Raises
    ------
    DimensionError
        If they are an array of a library whose types have none.
    """
    kind: str | None = getattr(da.dtype, "kind", None)
    if kind is None:
        library = type(da.variable._data).__module__.partition(".")[0]
        raise DimensionError(
            f"{_called(da)} must be an array of NumPy here, or lazy; got {library}. Type: da.as_numpy()"
        )
    return kind


def units_of(obj: xr.DataArray | xr.Dataset, dim: Hashable | None = None) -> str:
    """Return the canonical units of the values, or of a dimension; ``"1"`` where none are said."""
    if dim is None:
        if isinstance(obj, xr.DataArray):
            plain_numbers(obj)
        return units.normalise(obj.attrs.get(names.UNITS)).canonical
    coord = coordinate(obj, dim)
    if coord is not None and coord.dtype.kind == "m":
        return "s"  # as `values_of` gives them
    attrs = {} if coord is None else coord.attrs
    return units.normalise(attrs.get(names.UNITS), axis=str(describe(obj)[dim])).canonical


def spacing(da: xr.DataArray, dim: Hashable, *, rtol: float = 1e-3) -> float:
    """Return the signed distance between neighbours along a regular dimension.

    Raises
    ------
    DimensionError
        If there is one point only, or the points are not evenly spaced within ``rtol``.
    """
    x = values_of(da, dim)
    if x.size < 2:
        raise DimensionError(f"dimension {dim!r} has {x.size} point: no spacing")
    step = (x[-1] - x[0]) / (x.size - 1)
    if not np.isfinite(step) or step == 0 or np.max(np.abs(np.diff(x) - step)) > rtol * abs(step):
        raise DimensionError(
            f"dimension {dim!r} is not evenly spaced. Resample it first: da.interp({{{dim!r}: np.linspace(...)}})."
        )
    return float(step)


def position_of(da: xr.DataArray, dim: Hashable, value: Any) -> float:
    """Return a position in the units of the coordinate; text such as ``"0.5 nm"`` is converted.

    Raises
    ------
    DimensionError
        If it is no position.
    UnitsError
        If the units do not fit the coordinate.
    """
    if not isinstance(value, str):
        try:
            return float(value)
        except (TypeError, ValueError):
            raise DimensionError(
                f"a position along {dim!r} is a number in {units_of(da, dim)}, or text such as '0.5 nm'; got {value!r}"
            ) from None
    number, unit = units.parse_quantity(value)
    if not unit:
        return number
    here = units_of(da, dim)
    found = units.normalise(unit, axis=str(describe(da)[dim])).canonical
    return number * units.convert_factor(found, here)
