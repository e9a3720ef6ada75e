"""``xarray.DataArray.sid``."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._common import SidArrays
from sid_xarray.accessors._method import Accessor, method, view
from sid_xarray.ops import TABLE

__all__ = ["SidDataArray"]


@xr.register_dataarray_accessor("sid")
class SidDataArray(SidArrays):
    """Spectroscopy and imaging on a DataArray."""

    __slots__ = ()

    kind = view("sid_xarray.core.dims:data_kind")

    calibrate = method(TABLE["calibrate"].place)
    decompose = method(TABLE["decompose"].place)
    fft = method(TABLE["fft"].place)
    find_peaks = method(TABLE["find_peaks"].place)
    fit = method(TABLE["fit"].place)
    ifft = method(TABLE["ifft"].place)
    rebin = method(TABLE["rebin"].place)
    register = method(TABLE["register"].place)
    remove_background = method(TABLE["remove_background"].place)
    sel = method(TABLE["sel"].place)
    to_units = method(TABLE["to_units"].place)
    within = method(TABLE["within"].place)


xr.DataArray.sid = Accessor(SidDataArray)  # type: ignore[attr-defined]
