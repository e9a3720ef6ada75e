"""Convert values and axes to other units of the same kind."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.adopt import with_units
from sid_xarray.core.dims import describe, units_of
from sid_xarray.core.lift import bare, float_dtype
from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.ops._windows import keywords
from sid_xarray.schema import units

__all__ = ["to_units"]


def to_units(
    da: xr.DataArray,
    axes: Mapping[Any, str] | None = None,
    /,
    *,
    data: str | None = None,
    **kwargs: str,
) -> xr.DataArray:
    """Convert values, and positions along dimensions, to other units; the quantity stays the same.

    To say what units a file forgot is `set_units`, to correct a scale is `calibrate`.

    Parameters
    ----------
    da : DataArray
    axes : mapping, optional
        From dimension to units, for names that are no Python identifiers.
    data : str, optional
        Units of the values: ``"pA"``.
    **kwargs
        Units by dimension: ``energy="meV"``.

    Returns
    -------
    DataArray
        Numbers times the factor between the units, in the floating type of the data; types and attributes of
        dimensions are kept. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no such dimension, or nothing to convert.
    UnitsError
        If the units are not known, or measure something else.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.peak_map().sid.to_units(energy="meV")
    >>> float(cube.energy[-1]), cube.energy.units
    (10000.0, 'meV')
    """
    chosen = keywords(da, axes, kwargs)
    if not chosen and data is None:
        dim = da.dims[-1] if da.ndim else "x"
        raise DimensionError(f"say what to convert: to_units({dim}='nm') for an axis, to_units(data='nA') for values")
    out = da
    for dim, text in chosen.items():
        out = out.assign_coords({dim: _axis(da, dim, text)})
    if data is not None:
        target = _known(data, None)
        factor = units.convert_factor(units_of(da), target)
        if da.dtype.kind not in "biufc":
            raise UnitsError(f"only numbers can be converted to {target!r}, {da.name!r} is {da.dtype}")
        attrs = with_units(da.attrs, target)
        if factor != 1.0:
            dtype = float_dtype(da)
            out = out.astype(dtype, copy=False) * dtype.type(factor)
        out = bare(out).assign_attrs(attrs).rename(da.name)
    plain = {str(dim): str(text) for dim, text in chosen.items()}
    return provenance.stamp(out, "to_units", da, axes=plain, data=data)


def _axis(da: xr.DataArray, dim: Hashable, text: str) -> xr.Variable:
    if dim not in da.coords:
        raise UnitsError(f"dimension {dim!r} has no coordinate, so nothing to convert. Type: da.sid.calibrate(...)")
    coord = da[dim]
    if coord.dtype.kind not in "biuf":
        raise UnitsError(f"only numbers can be converted to {text!r}, the coordinate {dim!r} is {coord.dtype}")
    target = _known(text, str(describe(da)[dim]))
    factor = units.convert_factor(units_of(da, dim), target)
    values = coord.values if factor == 1.0 else np.asarray(coord.values, dtype=float) * factor
    return xr.Variable((dim,), values, with_units(coord.attrs, target))


def _known(text: Any, axis: str | None) -> str:
    if not isinstance(text, str):
        raise UnitsError(f"units are text such as 'nm', got {text!r}")
    found = units.normalise(text, axis=axis)
    if not found.known:
        raise UnitsError(f"units {text!r} are not known. Write them as 'nm', '1/nm', 'eV' or 'nA/V'.")
    return found.canonical
