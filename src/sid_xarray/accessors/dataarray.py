"""``xarray.DataArray.sid``."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._method import Accessor, method, view
from sid_xarray.ops import TABLE

__all__ = ["SidDataArray"]


@xr.register_dataarray_accessor("sid")
class SidDataArray:
    """Spectroscopy and imaging on a DataArray."""

    __slots__ = ("_obj",)

    def __init__(self, obj: xr.DataArray) -> None:
        self._obj = obj

    def __repr__(self) -> str:
        from sid_xarray.viz.card import text

        return text(self._obj)

    def _repr_html_(self) -> str:
        from sid_xarray.viz.card import html

        return html(self._obj)

    # What it is
    kind = view("sid_xarray.core.dims:data_kind")
    dimension_types = view("sid_xarray.core.dims:describe")
    dims_of = method("sid_xarray.core.dims:dims_of")
    metadata = view("sid_xarray.core.metadata:metadata")
    original_metadata = view("sid_xarray.core.metadata:original_metadata")
    provenance = view("sid_xarray.core.provenance:provenance")
    check = method("sid_xarray.core.check:check")

    # Say what it is
    adopt = method("sid_xarray.core.adopt:adopt")
    set_dims = method("sid_xarray.core.adopt:set_dims")
    set_units = method("sid_xarray.core.adopt:set_units")
    with_metadata = method("sid_xarray.core.metadata:with_metadata")

    # Verbs
    calibrate = method(TABLE["calibrate"].place)
    fft = method(TABLE["fft"].place)
    fit = method(TABLE["fit"].place)
    ifft = method(TABLE["ifft"].place)
    rebin = method(TABLE["rebin"].place)
    remove_background = method(TABLE["remove_background"].place)
    sel = method(TABLE["sel"].place)

    # Files and pictures
    to_nsid = method("sid_xarray.io.nsid:to_nsid")
    plot = view("sid_xarray.accessors.plot:SidPlot")


xr.DataArray.sid = Accessor(SidDataArray)  # type: ignore[attr-defined]
