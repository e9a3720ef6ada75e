"""``xarray.DataTree.sid``."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._common import SidAny
from sid_xarray.accessors._method import Accessor, view

__all__ = ["SidDataTree"]


@xr.register_datatree_accessor("sid")
class SidDataTree(SidAny):
    """A file, or a session: many signals and what was made of them."""

    __slots__ = ()

    signals = view("sid_xarray.core.trees:signals")


xr.DataTree.sid = Accessor(SidDataTree)  # type: ignore[attr-defined]
