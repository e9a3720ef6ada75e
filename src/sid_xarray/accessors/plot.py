"""``obj.sid.plot()`` and ``obj.sid.plot.<view>()``."""

from __future__ import annotations

from typing import Any

from sid_xarray.accessors._method import Holder

__all__ = ["SidPlot"]


class SidPlot(Holder):
    """Draw an array: called, it chooses the view by the kind of data; as attributes, the views by name.

    Parameters
    ----------
    obj : DataArray or Dataset
    """

    __slots__ = ()

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
