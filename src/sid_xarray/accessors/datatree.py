"""``xarray.DataTree.sid``."""

from __future__ import annotations

import xarray as xr

from sid_xarray.accessors._method import Accessor, method, view

__all__ = ["SidDataTree"]


@xr.register_datatree_accessor("sid")
class SidDataTree:
    """A file, or a session: many signals and what was made of them."""

    __slots__ = ("_obj",)

    def __init__(self, obj: xr.DataTree) -> None:
        self._obj = obj

    def __repr__(self) -> str:
        from sid_xarray.viz.card import text

        return text(self._obj)

    def _repr_html_(self) -> str:
        from sid_xarray.viz.card import html

        return html(self._obj)

    signals = view("sid_xarray.core.trees:signals")
    to_nsid = method("sid_xarray.io.nsid:to_nsid")


xr.DataTree.sid = Accessor(SidDataTree)  # type: ignore[attr-defined]
