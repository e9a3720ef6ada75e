"""What every accessor offers."""

from __future__ import annotations

from typing import Any

import xarray as xr

from sid_xarray.accessors._method import Holder, method, view
from sid_xarray.errors import nearest

__all__ = ["SidAny", "SidArrays"]


class SidAny(Holder):
    """An xarray object, and how it shows itself."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(_lacks(self, name))

    def __repr__(self) -> str:
        from sid_xarray.viz.card import text

        return text(self._obj)

    def _repr_html_(self) -> str:
        from sid_xarray.viz.card import html

        return html(self._obj)

    to_nsid = method("sid_xarray.io.nsid:to_nsid")
    to_usid = method("sid_xarray.io.usid:to_usid")


def _lacks(accessor: SidAny, name: str) -> str:
    """Say which object has the name, or which name was meant."""
    obj, here = accessor._obj, type(accessor._obj).__name__
    if not isinstance(obj, xr.DataArray) and hasattr(xr.DataArray.sid, name):  # type: ignore[attr-defined]
        one = repr(next(iter(obj.data_vars), "..."))
        place = f"tree[path].sid.{name}" if isinstance(obj, xr.DataTree) else f"ds[{one}].sid.{name}"
        return f"a {here} has no .sid.{name}, each of its arrays has: {place}"
    if hasattr(xr.Dataset.sid, name):  # type: ignore[attr-defined]
        return f"a {here} has no .sid.{name}, a Dataset has, such as the result of da.sid.fit(...)"
    return f"there is no .sid.{name}.{nearest(name, [n for n in dir(accessor) if not n.startswith('_')])}"


class SidArrays(SidAny):
    """What holds for one array, and for several on one grid."""

    __slots__ = ()

    # What it is
    dimension_types = view("sid_xarray.core.dims:describe")
    dims_of = method("sid_xarray.core.dims:dims_of")
    metadata = view("sid_xarray.core.metadata:metadata")
    original_metadata = view("sid_xarray.core.metadata:original_metadata")
    provenance = view("sid_xarray.core.provenance:provenance")
    history = method("sid_xarray.core.provenance:history")
    check = method("sid_xarray.core.check:check")

    # Steps of your own
    trace = method("sid_xarray.core.trace.run:trace")
    apply = method("sid_xarray.ops.apply:apply")

    # Say what it is
    adopt = method("sid_xarray.core.adopt:adopt")
    set_dims = method("sid_xarray.core.adopt:set_dims")
    set_units = method("sid_xarray.core.adopt:set_units")
    with_metadata = method("sid_xarray.core.metadata:with_metadata")

    # Atomic structures that belong to it
    structures = view("sid_xarray.core.structures:structures")
    with_structures = method("sid_xarray.core.structures:with_structures")

    # Other programs
    to_hyperspy = method("sid_xarray.io.interop:to_hyperspy")
    to_sidpy = method("sid_xarray.io.interop:to_sidpy")

    # Pictures
    plot = view("sid_xarray.accessors.plot:SidPlot")
    explore = method("sid_xarray.viz.explore:explore")
    be = view("sid_xarray.accessors.be:SidBe")
