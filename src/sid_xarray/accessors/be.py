"""``obj.sid.be``: band excitation."""

from __future__ import annotations

from sid_xarray.accessors._method import Holder, method

__all__ = ["SidBe"]


class SidBe(Holder):
    """Band excitation: resonances, and loops along the bias.

    Parameters
    ----------
    obj : DataArray or Dataset
    """

    __slots__ = ()

    sho_guess = method("sid_xarray.ops.be:sho_guess")
    sho_fit = method("sid_xarray.ops.be:sho_fit")
    loop_guess = method("sid_xarray.ops.be:loop_guess")
    loop_fit = method("sid_xarray.ops.be:loop_fit")
    project_loops = method("sid_xarray.ops.be:project_loops")
    switching = method("sid_xarray.ops.switching:switching")
