"""``obj.sid.be``: band excitation."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._method import method

__all__ = ["SidBe"]


class SidBe:
    """Band excitation: resonances, and loops along the bias.

    Parameters
    ----------
    obj : DataArray or Dataset
    """

    __slots__ = ("_obj",)

    def __init__(self, obj: xr.DataArray | xr.Dataset) -> None:
        self._obj = obj

    sho_fit = method("sid_xarray.ops.be:sho_fit")
    loop_fit = method("sid_xarray.ops.be:loop_fit")
    project_loops = method("sid_xarray.ops.be:project_loops")
