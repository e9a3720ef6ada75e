"""Fourier transforms with true reciprocal coordinates."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import describe, dims_of, kind_of, spacing, units_of, values_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError
from sid_xarray.kernels import fourier
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["fft", "ifft"]

_PARTNER = {"x": "kx", "y": "ky", "z": "kz", "time": "frequency", "t": "frequency"}
_PARTNER |= {"X": "kX", "Y": "kY", "Z": "kZ"}  # as USID files have them
_BACK = {"kx": "x", "ky": "y", "kz": "z", "frequency": "time"}
_FROM = "sid_fft_from"  # JSON: the dimension that this one was transformed from


def _chosen(da: xr.DataArray, dim: Hashable | Sequence[Hashable] | None, kinds: tuple[str, ...]) -> list[Hashable]:
    if dim is None:
        for kind in kinds:
            found = dims_of(da, kind)
            if found:
                return list(found)
        if da.ndim == 1:
            return list(da.dims)
        raise DimensionError(f"no {' or '.join(kinds)} dimension among {da.dims}. Pass dim=...")
    wanted = [dim] if isinstance(dim, str) or not isinstance(dim, Sequence) else list(dict.fromkeys(dim))
    for one in wanted:
        if one not in da.dims:
            raise DimensionError(f"no dimension {one!r}: there are {', '.join(map(repr, da.dims)) or 'none'}")
    if not wanted:
        raise DimensionError("no dimension to transform: dim is empty")
    return wanted


def fft(
    da: xr.DataArray,
    *,
    dim: Hashable | Sequence[Hashable] | None = None,
    norm: str = "backward",
    window: str | None = None,
) -> xr.DataArray:
    """Discrete Fourier transform, zero frequency in the middle.

    Parameters
    ----------
    da : DataArray
        Evenly spaced along `dim`.
    dim : hashable or sequence, optional
        The spatial dimensions by default, else the temporal, else the spectral ones.
    norm : {"backward", "ortho", "forward"}, default: "backward"
        As in `scipy.fft`; ``"ortho"`` keeps the sum of squares.
    window : str, optional
        Taper such as ``"hann"``, against streaks from the borders.

    Returns
    -------
    DataArray of complex
        ``x`` becomes ``kx`` in cycles per unit (``1/nm``, no 2π), ``time`` becomes ``frequency``, ``energy`` becomes
        ``energy_frequency``. A sum over samples: values keep their units. float32 gives complex64. The phase refers to
        the first sample. A NaN makes all of its transform NaN. Lazy if the input is.

    Raises
    ------
    DimensionError
        If a dimension is not evenly spaced or has one point.
    """
    _numbers(da)
    along = _chosen(da, dim, ("spatial", "temporal", "spectral"))
    coords: dict[Hashable, xr.Variable] = {}
    renames: dict[Hashable, Hashable] = {}
    types = describe(da)
    for one in along:
        step = spacing(da, one)
        partner = _free(da, _PARTNER.get(str(one), f"{one}_frequency"), f"{one}_frequency", renames)
        renames[one] = partner
        kind = "reciprocal" if types[one] == "spatial" else "spectral"
        attrs = {
            names.UNITS: units.power(units_of(da, one), -1),
            names.DIMENSION_TYPE: kind,
            _FROM: _origin(da, one, str(types[one])),
        }
        coords[partner] = xr.Variable((partner,), fourier.frequencies(da.sizes[one], step), attrs)
    complex_dtype = np.result_type(da.dtype, np.complex64)
    (out,) = lift(
        fourier.transform,
        da,
        core=[along],
        out=[Out(tuple(renames[d] for d in along), {renames[d]: da.sizes[d] for d in along}, complex_dtype)],
        ndim=len(along),
        norm=norm,
        window=window,
    )
    out = out.transpose(*(renames.get(d, d) for d in da.dims)).assign_coords(coords)
    out = out.rename(da.name).assign_attrs(_attrs(da))
    return provenance.stamp(out, "fft", da, dim=[str(d) for d in along], norm=norm, window=window)


def _numbers(da: xr.DataArray) -> None:
    if kind_of(da) not in "biufc":
        raise DimensionError(f"a Fourier transform needs numbers, {da.name!r} is {da.dtype}")


def _free(da: xr.DataArray, wanted: Hashable, other: Hashable, taken: dict[Hashable, Hashable]) -> Hashable:
    """Return a name that no dimension or coordinate has: 4-D data have ``x`` and ``kx`` already."""
    for name in (wanted, other):
        if name not in da.dims and name not in da.coords and name not in taken.values():
            return name
    raise DimensionError(f"{wanted!r} and {other!r} are taken. Rename one: da.rename({{{wanted!r}: ...}})")


def _origin(da: xr.DataArray, dim: Hashable, kind: str) -> str:
    """Say how the positions along a dimension come back bit for bit: plain arithmetic drops what is off by 1e-16."""
    x = values_of(da, dim)
    first, last, n = float(x[0]), float(x[-1]), x.size
    said: dict[str, Any] = {"dim": str(dim), "type": kind, "first": first}
    if np.array_equal(_ramp(first, float(x[1] - x[0]), n), x):
        said["step"] = float(x[1] - x[0])
    elif np.array_equal(np.linspace(first, last, n), x):
        said["last"] = last
    else:
        said["step"] = (last - first) / (n - 1)
    attrs = da[dim].attrs if dim in da.coords else {}
    said["attrs"] = {str(k): v for k, v in attrs.items() if isinstance(v, str) and k != names.DIMENSION_TYPE}
    return json.dumps(said, sort_keys=True)


def _ramp(first: float, step: float, n: int) -> np.ndarray:
    return np.arange(n) * step + first


def _attrs(da: xr.DataArray) -> dict[Hashable, object]:
    return {k: v for k, v in da.attrs.items() if k != names.DATA_TYPE}


def ifft(da: xr.DataArray, *, dim: Hashable | Sequence[Hashable] | None = None, norm: str = "backward") -> xr.DataArray:
    """Inverse of `fft`: names, units and origin of the coordinates come back.

    Parameters
    ----------
    da : DataArray
        Zero frequency in the middle, as from `fft`.
    dim : hashable or sequence, optional
        Those that `fft` made by default, else the reciprocal ones.
    norm : {"backward", "ortho", "forward"}, default: "backward"
        As given to `fft`.

    Returns
    -------
    DataArray of complex
        ``ifft(fft(a))`` is ``a`` within rounding, with its coordinates. Lazy if the input is.

    Raises
    ------
    DimensionError
        If a dimension is not evenly spaced or has one point.
    """
    _numbers(da)
    made = [d for d in da.dims if d in da.coords and _FROM in da[d].attrs]
    along = made if dim is None and made else _chosen(da, dim, ("reciprocal", "spectral"))
    coords: dict[Hashable, xr.Variable] = {}
    renames: dict[Hashable, Hashable] = {}
    for one in along:
        said = _said(da, one)
        back = _free(da, said.get("dim", _BACK.get(str(one), f"{one}_inverse")), f"{one}_inverse", renames)
        renames[one] = back
        kind = said.get("type", "spatial" if describe(da)[one] == "reciprocal" else "unknown")
        attrs = {**said.get("attrs", {}), names.DIMENSION_TYPE: kind}
        attrs.setdefault(names.UNITS, units.power(units_of(da, one), -1))
        coords[back] = xr.Variable((back,), _positions(said, da.sizes[one], spacing(da, one)), attrs)
    complex_dtype = np.result_type(da.dtype, np.complex64)
    (out,) = lift(
        fourier.inverse,
        da,
        core=[along],
        out=[Out(tuple(renames[d] for d in along), {renames[d]: da.sizes[d] for d in along}, complex_dtype)],
        ndim=len(along),
        norm=norm,
    )
    out = out.transpose(*(renames.get(d, d) for d in da.dims)).assign_coords(coords)
    out = out.rename(da.name).assign_attrs(_attrs(da))
    return provenance.stamp(out, "ifft", da, dim=[str(d) for d in along], norm=norm)


def _said(da: xr.DataArray, dim: Hashable) -> dict[str, Any]:
    """Return what `fft` wrote on a dimension, unless it was changed since: then its units or step no longer fit."""
    try:
        said = json.loads(str(da[dim].attrs[_FROM])) if dim in da.coords else {}
    except (KeyError, ValueError):
        return {}
    if not isinstance(said, dict) or not isinstance(said.get("attrs", {}), dict):
        return {}
    unit = units.power(units_of(da, dim), -1)
    if said.get("attrs", {}).get(names.UNITS, unit) != unit:
        said["attrs"].pop(names.UNITS)
        said.pop("first", None)
    return said


def _positions(said: dict[str, Any], n: int, spacing: float) -> np.ndarray:
    """Return the positions as they were if `n` and the spacing are; else from the spacing of the frequencies."""
    step = 1 / (n * spacing)
    first = float(said.get("first", 0.0))
    if "last" in said and n > 1:
        kept = np.linspace(first, float(said["last"]), n)
    else:
        kept = _ramp(first, float(said.get("step", step)), n)
    there = kept[1] - kept[0] if n > 1 else step
    return kept if "first" in said and abs(there - step) <= 1e-9 * abs(step) else _ramp(first, step, n)
