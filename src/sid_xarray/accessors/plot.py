"""``obj.sid.plot()`` and ``obj.sid.plot.<view>()``."""

from __future__ import annotations

from typing import Any

import xarray as xr

__all__ = ["SidPlot"]


class SidPlot:
    """Draw an array: called, it chooses the view by the kind of data; as attributes, the views by name.

    Parameters
    ----------
    obj : DataArray or Dataset
    """

    __slots__ = ("_obj",)

    def __init__(self, obj: xr.DataArray | xr.Dataset) -> None:
        self._obj = obj

    def __call__(self, **opts: Any) -> Any:
        from sid_xarray.viz.draw import plot

        return plot(self._obj, **opts)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        from sid_xarray.viz.draw import bound_view

        return bound_view(self._obj, name)

    def __dir__(self) -> list[str]:
        from sid_xarray.viz.views import TABLE

        return [*TABLE, *super().__dir__()]
