"""Calibrate axes and values."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from numbers import Number
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.adopt import apply_units, with_units
from sid_xarray.core.dims import describe, units_of, values_of
from sid_xarray.core.lift import bare, float_dtype
from sid_xarray.errors import DimensionError
from sid_xarray.ops._windows import keywords
from sid_xarray.schema import units

__all__ = ["calibrate"]

_FORMS = (
    "{'scale': 1.02, 'offset': -0.3}, {'step': 0.5, 'origin': 0, 'units': 'nm'}, {'points': {measured: true, ...}} "
    "or {'positions': array}, each with 'units' if they change"
)


def calibrate(
    da: xr.DataArray,
    axes: Mapping[Any, Any] | None = None,
    /,
    *,
    data: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> xr.DataArray:
    """Give axes, and values, their true scale.

    Parameters
    ----------
    da : DataArray
    axes : mapping, optional
        From dimension to calibration, for names that are no Python identifiers.
    data : mapping, optional
        ``{"scale": 2.5, "offset": 0.1, "units": "nN"}``: new value = scale × value + offset.
    **kwargs
        By dimension, one of: ``{"scale": a, "offset": b}``, new position = a × position + b;
        ``{"step": d, "origin": x0}``, x0 + d × index, and step may be text with units, ``"0.5 nm"``;
        ``{"points": {measured: true}}``, the straight line through these points (a shift, for one);
        ``{"positions": array}``. Each with ``"units"`` if they change: the units of the new positions.

    Returns
    -------
    DataArray
        New coordinates; attributes and types of the dimensions are kept.

    Raises
    ------
    DimensionError
        If a calibration cannot be understood.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.peak_map()
    >>> float(cube.sid.calibrate(energy={"points": {2.0: 2.5}}).energy[0] - cube.energy[0])
    0.5
    """
    out = da
    chosen = keywords(da, axes, kwargs)
    if not chosen and data is None:
        dim = da.dims[-1] if da.ndim else "x"
        raise DimensionError(f"say what to calibrate: calibrate({dim}=...), where ... is {_FORMS}")
    for dim, how in chosen.items():
        positions, unit = _positions(da, dim, how)
        old = da[dim].attrs if dim in da.coords else {}
        kind = str(describe(da)[dim])
        attrs = apply_units(with_units(old, unit), axis=kind)
        out = out.assign_coords({dim: (dim, positions, attrs)})
    if data is not None:
        out = _values(out, data)
    plain = {str(k): v for k, v in chosen.items()}
    return provenance.stamp(out, "calibrate", da, axes=plain, data=None if data is None else dict(data))


def _positions(da: xr.DataArray, dim: Hashable, how: Any) -> tuple[np.ndarray, str]:
    if not isinstance(how, Mapping):
        raise DimensionError(f"the calibration of {dim!r} is {_FORMS}; got {how!r}")
    n, unit = da.sizes[dim], str(how.get("units", units_of(da, dim)))
    kind = str(describe(da)[dim])
    keys = set(how) - {"units"}
    if keys <= {"scale", "offset"} and (keys or "units" in how):
        scale, offset = _number(how.get("scale", 1.0), unit, kind), _number(how.get("offset", 0.0), unit, kind)
        if scale == 0 or not np.isfinite([scale, offset]).all():
            raise DimensionError(f"scale and offset of {dim!r} should be finite, and scale not 0; got {dict(how)!r}")
        return values_of(da, dim) * scale + offset, unit
    if keys <= {"step", "origin"} and "step" in keys:
        if isinstance(how["step"], str) and "units" not in how:
            unit = units.parse_quantity(how["step"])[1] or unit
        step = _number(how["step"], unit, kind)
        if step == 0:
            raise DimensionError(f"the step along {dim!r} should not be 0")
        return np.arange(n) * step + _number(how.get("origin", 0.0), unit, kind), unit
    if keys == {"positions"}:
        positions = np.asarray(how["positions"])
        if positions.shape != (n,):
            raise DimensionError(f"positions of {dim!r} have shape {positions.shape}, it has {n} points")
        return positions.copy(), unit
    if keys == {"points"} and isinstance(how["points"], Mapping) and how["points"]:
        return _through(values_of(da, dim), how["points"], dim), unit
    raise DimensionError(f"the calibration of {dim!r} is {_FORMS}; got {dict(how)!r}")


def _number(value: Any, unit: str, kind: str) -> float:
    """Return a number in ``unit``; text such as ``"0.5 nm"`` is converted."""
    if not isinstance(value, str):
        return float(value)
    number, found = units.parse_quantity(value)
    if not found:
        return number
    here, there = (units.normalise(text, axis=kind).canonical for text in (unit, found))
    return number * units.convert_factor(there, here)


def _through(x: np.ndarray, points: Mapping[Any, Any], dim: Hashable) -> np.ndarray:
    measured, true = (np.array(list(side), dtype=float) for side in (points.keys(), points.values()))
    if measured.size == 1:
        return x + (true - measured)[0]  # type: ignore[no-any-return]
    middle = measured.mean()
    slope = ((measured - middle) * (true - true.mean())).sum() / ((measured - middle) ** 2).sum()
    if not np.isfinite(slope) or slope == 0:
        raise DimensionError(f"the points of {dim!r} lie on no line that could be an axis: {dict(points)!r}")
    return slope * (x - middle) + true.mean()  # type: ignore[no-any-return]


def _values(da: xr.DataArray, how: Mapping[str, Any]) -> xr.DataArray:
    form = "data is {'scale': a, 'offset': b, 'units': u}"
    if not isinstance(how, Mapping):
        raise DimensionError(f"{form}, got {how!r}")
    spare = set(how) - {"scale", "offset", "units"}
    if spare:
        raise DimensionError(f"{form}, got {sorted(spare)[0]!r}")
    for key in ("scale", "offset"):
        if not isinstance(how.get(key, 0.0), Number):
            raise DimensionError(f"{form} with numbers a and b, got {how[key]!r}")
    attrs = apply_units(with_units(da.attrs, how.get("units", units_of(da))))
    dtype = float_dtype(da)
    if not {"scale", "offset"} & set(how):
        return bare(da).assign_attrs(attrs)
    # In the floating type of the data: float32 stays float32.
    scale, offset = dtype.type(how.get("scale", 1.0)), dtype.type(how.get("offset", 0.0))
    out: xr.DataArray = da.astype(dtype) * scale + offset
    return bare(out).assign_attrs(attrs).rename(da.name)
