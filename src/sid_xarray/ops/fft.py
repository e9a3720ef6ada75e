"""Fourier transforms with true reciprocal coordinates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import describe, dims_of, spacing, units_of, values_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError
from sid_xarray.kernels import fourier
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["fft", "ifft"]

_PARTNER = {"x": "kx", "y": "ky", "z": "kz", "time": "frequency", "t": "frequency"}
_BACK = {"kx": "x", "ky": "y", "kz": "z", "frequency": "time"}
_ORIGIN, _WAS, _KIND = "sid_fft_origin", "sid_fft_dim", "sid_fft_type"


def _chosen(da: xr.DataArray, dim: Hashable | Sequence[Hashable] | None, kinds: tuple[str, ...]) -> list[Hashable]:
    if dim is None:
        for kind in kinds:
            found = dims_of(da, kind)
            if found:
                return list(found)
        if da.ndim == 1:
            return list(da.dims)
        raise DimensionError(f"no {' or '.join(kinds)} dimension among {da.dims}. Pass dim=...")
    wanted = [dim] if isinstance(dim, str) or not isinstance(dim, Sequence) else list(dim)
    for one in wanted:
        if one not in da.dims:
            raise DimensionError(f"no dimension {one!r}: there are {', '.join(map(repr, da.dims))}")
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
        ``x`` becomes ``kx`` in cycles per unit (``1/nm``, no 2π), ``time`` becomes ``frequency``. A sum over samples: values
        keep their units. float32 gives complex64. The phase refers to the first sample. Lazy if the input is.

    Raises
    ------
    DimensionError
        If a dimension is not evenly spaced or has one point.
    """
    along = _chosen(da, dim, ("spatial", "temporal", "spectral"))
    ready = da
    coords: dict[Hashable, xr.Variable] = {}
    renames: dict[Hashable, Hashable] = {}
    types = describe(da)
    for one in along:
        step = spacing(da, one)
        partner = _PARTNER.get(str(one), f"{one}_frequency")
        renames[one] = partner
        kind = "reciprocal" if types[one] == "spatial" else "spectral"
        attrs = {
            names.UNITS: units.power(units_of(da, one), -1),
            names.DIMENSION_TYPE: kind,
            _WAS: str(one),
            _KIND: str(types[one]),
            _ORIGIN: repr(float(values_of(da, one)[0])),
        }
        coords[partner] = xr.Variable((partner,), fourier.frequencies(da.sizes[one], step), attrs)
    complex_dtype = np.result_type(da.dtype, np.complex64)
    (out,) = lift(
        fourier.transform,
        ready,
        core=[along],
        out=[Out(tuple(renames[d] for d in along), {renames[d]: da.sizes[d] for d in along}, complex_dtype)],
        ndim=len(along),
        norm=norm,
        window=window,
    )
    out = out.transpose(*(renames.get(d, d) for d in da.dims)).assign_coords(coords)
    out = out.rename(da.name).assign_attrs(_attrs(da))
    return provenance.stamp(out, "fft", da, dim=[str(d) for d in along], norm=norm, window=window)


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
        ``ifft(fft(a))`` is ``a`` within rounding. Lazy if the input is.

    Raises
    ------
    DimensionError
        If a dimension is not evenly spaced or has one point.
    """
    made = [d for d in da.dims if d in da.coords and _WAS in da[d].attrs]
    along = made if dim is None and made else _chosen(da, dim, ("reciprocal", "spectral"))
    coords: dict[Hashable, xr.Variable] = {}
    renames: dict[Hashable, Hashable] = {}
    for one in along:
        said = da[one].attrs if one in da.coords else {}
        back = said.get(_WAS, _BACK.get(str(one), f"{one}_inverse"))
        renames[one] = back
        n = da.sizes[one]
        positions = float(said.get(_ORIGIN, 0.0)) + np.arange(n) / (n * spacing(da, one))
        attrs = {names.UNITS: units.power(units_of(da, one), -1)}
        kind = said.get(_KIND, "spatial" if describe(da)[one] == "reciprocal" else "unknown")
        attrs[names.DIMENSION_TYPE] = kind
        coords[back] = xr.Variable((back,), positions, attrs)
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
