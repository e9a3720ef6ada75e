"""``xarray.Dataset.sid``."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._common import SidArrays
from sid_xarray.accessors._method import Accessor, method

__all__ = ["SidDataset"]


@xr.register_dataset_accessor("sid")
class SidDataset(SidArrays):
    """Quantities on one grid: a signal with its variance, or the parameters of a fit."""

    __slots__ = ()

    evaluate = method("sid_xarray.core.evaluate:evaluate")
    components = method("sid_xarray.ops.residuals:components")
    report = method("sid_xarray.ops.report:report")
    residuals = method("sid_xarray.ops.residuals:residuals")
    reconstruct = method("sid_xarray.ops.decompose:reconstruct")


xr.Dataset.sid = Accessor(SidDataset)  # type: ignore[attr-defined]
