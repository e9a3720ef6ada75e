"""Variables on one grid as the fields of one main, as pycroscopy keeps the parameters of a fit."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.nsid import plan as nsid
from sid_xarray.io.usid.layout import free_name
from sid_xarray.schema import attrs as names

__all__ = ["Compound", "field_names"]

_LARGE = 64 * 2**20
Array = np.ndarray[Any, Any]


@dataclass
class Compound:
    """The one main.

    Attributes
    ----------
    link : str
    sides : tuple of int
        Its rows and its columns, by their place in the plan.
    fields : dict
        From variable to the name of its field.
    options : dict
        Keywords of ``create_dataset``.
    """

    link: str
    sides: tuple[int, int]
    fields: dict[Hashable, str]
    options: dict[str, Any] = field(default_factory=dict)

    def dtype(self, base: nsid.GroupPlan) -> np.dtype[Any]:
        """Return the dtype on disk."""
        return np.dtype([(name, base.encoded[key].dtype) for key, name in self.fields.items()])

    def values(self, base: nsid.GroupPlan) -> xr.Variable:
        """Return all variables as one; what is lazy, or large, is put together block by block."""
        dims = base.encoded[next(iter(self.fields))].values.dims
        parts = [base.encoded[key].values.transpose(*dims) for key in self.fields]
        dtype = self.dtype(base)
        if all(v._in_memory for v in parts) and sum(v.nbytes for v in parts) < _LARGE:
            return xr.Variable(dims, _together(*(np.asarray(v.data) for v in parts), dtype=dtype))
        import dask.array as da

        chunks = next((dict(zip(v.dims, v.chunks, strict=True)) for v in parts if v.chunks is not None), "auto")
        blocks = [v.chunk(chunks).data for v in parts]
        axes = tuple(range(len(dims)))
        pairs = [x for block in blocks for x in (block, axes)]
        joined = functools.partial(_together, dtype=dtype)
        return xr.Variable(
            dims, da.blockwise(joined, axes, *pairs, dtype=dtype, meta=np.empty((0,) * len(dims), dtype))
        )


def _together(*parts: Array, dtype: np.dtype[Any]) -> Array:
    out = np.empty(parts[0].shape, dtype)
    for name, part in zip(dtype.names or (), parts, strict=True):
        out[name] = part
    return out


def field_names(base: nsid.GroupPlan) -> dict[Hashable, str]:
    """Return a name for every field: that of the variable, and its units in brackets."""
    out: dict[Hashable, str] = {}
    for key in base.mains:
        units = base.ds.variables[key].attrs.get(names.UNITS)
        name = base.disk[key].replace("[", "_").replace("]", "_")
        if isinstance(units, str) and units.strip() not in ("", "1") and "\x00" not in units and units.isprintable():
            name += f" [{units}]"
        out[key] = free_name(name, out.values())
    return out
