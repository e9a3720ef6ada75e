"""One curve of a fit beside its data, and what is left."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import units_of
from sid_xarray.core.evaluate import FIT_DIM
from sid_xarray.errors import AlignmentError, DimensionError
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._image import Look, component_of, titled_element
from sid_xarray.viz._labels import quantity
from sid_xarray.viz._select import choose, indices
from sid_xarray.viz.views.curve import Line, lines_element
from sid_xarray.viz.views.image import frame_of

__all__ = ["curve_panes"]


def curve_panes(
    ds: xr.Dataset, data: xr.DataArray, at: Mapping[Hashable, Any] | None, *, size: int, prefix: bool
) -> list[Any]:
    """Return pictures of one curve with its fit, and of the residual; of images, of all three.

    Parameters
    ----------
    ds : Dataset
        Parameters of a fit.
    data : DataArray
        What was fitted.
    at : mapping, optional
        Which curve, by position. That of median reduced chi-square by default.
    size : int
    prefix : bool

    Raises
    ------
    DimensionError
        If the data lack what was fitted, or a position names no dimension of the maps.
    AlignmentError
        If data and maps do not lie on the same grid.
    """
    along = ds.attrs.get(FIT_DIM)
    dims = [along] if isinstance(along, str) else [str(d) for d in np.atleast_1d(along)] if along is not None else []
    if not dims:
        raise DimensionError("this Dataset does not say along which dimension it was fitted, so data have no place.")
    missing = [d for d in dims if d not in data.dims]
    if missing:
        raise DimensionError(f"the fit is along {', '.join(dims)}; the data have {data.dims}")
    where = {d: n // 2 for d, n in data.sizes.items() if d not in dims} | _where(ds, data, dims, at)
    one, own = choose(data, dims, isel=where), ds.isel({d: i for d, i in where.items() if d in ds.dims})
    curve = one.da.compute()
    model = own.sid.evaluate(curve[dims[0]] if len(dims) == 1 else curve).transpose(*curve.dims)
    left = own.sid.residuals(curve)
    if len(dims) > 1:
        return _images(curve, model, left, dims, one.notes, size=size, prefix=prefix)
    axis, title = axis_of(curve, dims[0]), ", ".join(one.notes)
    shown: dict[str, Any] = {"size": size, "prefix": prefix}
    lines = [
        line
        for part, word in _parts(curve)
        for line in (
            Line(_values(curve, part), f"data{word}", dots=True),
            Line(_values(model, part), f"fit{word}"),
        )
    ]
    rest = [Line(_values(left, part), word.lstrip(", "), dots=True) for part, word in _parts(curve)]
    unit = units_of(curve)
    return [
        lines_element(axis, lines, quantity(curve), unit, title=title, **shown),
        lines_element(axis, rest, "residual", unit, title="residual", **shown),
    ]


def _parts(curve: xr.DataArray) -> list[tuple[str | None, str]]:
    return [("real", ", real"), ("imag", ", imaginary")] if curve.dtype.kind == "c" else [(None, "")]


def _values(da: xr.DataArray, part: str | None) -> np.ndarray:
    return component_of(da.values, part, units_of(da))[0]


def _images(
    data: xr.DataArray, model: xr.DataArray, left: xr.DataArray, dims: Sequence[str], notes: Sequence[str], **shown: Any
) -> list[Any]:
    plane = map_dims(data)
    panes = []
    for da, word in ((data, ", ".join(["data", *notes])), (model, "fit"), (left, "residual")):
        panes.append(titled_element(frame_of(da, plane), Look(cmap="viridis", title=word, **shown)))
    return panes


def _where(
    ds: xr.Dataset, data: xr.DataArray, dims: Sequence[str], at: Mapping[Hashable, Any] | None
) -> dict[Hashable, Any]:
    """Return the indices of the curve that is shown."""
    maps = [d for d in data.dims if d not in dims]
    bare = data.isel(dict.fromkeys(dims, 0), drop=True)
    try:
        xr.align(ds.drop_vars([v for v in ds.data_vars if not set(ds[v].dims) <= set(maps)]), bare, join="exact")
    except (xr.AlignmentError, ValueError) as error:
        raise AlignmentError("the data and the maps of the fit do not lie on the same grid.") from error
    lacking = [d for d in ds.dims if d not in maps]
    if lacking:
        raise AlignmentError(
            f"the maps of the fit lie over {lacking[0]!r}, which the data lack: {data.dims}. Take one: "
            f"fit.isel({{{lacking[0]!r}: 0}})"
        )
    if at is not None:
        return indices(bare, None, at)
    left = ds.get("redchi")
    if left is None or is_lazy(left) or not left.ndim or not np.isfinite(left.values).any():
        return {}
    values = np.where(np.isfinite(left.values), left.values, np.inf).ravel()
    chosen = np.argsort(values, kind="stable")[np.count_nonzero(np.isfinite(values)) // 2]
    return dict(zip(left.dims, map(int, np.unravel_index(chosen, left.shape)), strict=True))
