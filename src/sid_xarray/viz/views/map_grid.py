"""Maps on one grid, side by side, each with its units and its own scale."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError, nearest
from sid_xarray.viz import _style
from sid_xarray.viz._axes import map_dims
from sid_xarray.viz._image import Look, titled_element
from sid_xarray.viz._select import choose, fixed
from sid_xarray.viz._siblings import own_variables
from sid_xarray.viz.views.image import frame_of, grid

__all__ = ["draw"]


def draw(
    obj: xr.Dataset,
    *,
    variables: Sequence[Hashable] | None = None,
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    cmap: Any = "viridis",
    robust: tuple[float, float] = (2, 98),
    same_scale: bool = False,
    cols: int = 3,
    title: str | None = None,
    size: int = 240,
    prefix: bool = True,
) -> Any:
    """Draw the variables of a Dataset as maps.

    Parameters
    ----------
    obj : Dataset
    variables : sequence of hashable, optional
        Which, in which order; all maps by default, without variances and errors.
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Which plane of variables with more dimensions. The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    cmap : optional
    robust : tuple of float
        Percentiles of the colour limits: failed fits do not bleach a map.
    same_scale : bool
        The same limits for all, to compare quantities of equal units.
    cols : int
        Maps in a row.
    title : str, optional
        Above all.
    size : int
        Pixels of the longer side of a map.
    prefix : bool
        Choose readable prefixes; False keeps the units of the data.

    Returns
    -------
    holoviews.Layout

    Raises
    ------
    DimensionError
        If no variable has two dimensions, or one that is named is not there.
    """
    names = _chosen(obj, variables)
    dims = map_dims(obj[names[0]], x=x, y=y, exclude=fixed(isel, sel))
    names = [n for n in names if set(dims) <= set(obj[n].dims)]
    maps = {n: choose(obj[n], dims, isel=_own(isel, obj[n]), sel=_own(sel, obj[n])) for n in names}
    frames = {n: frame_of(c.da, dims, component) for n, c in maps.items()}
    clim = None
    if same_scale:
        together = np.concatenate([_style.displayable(f.values).ravel() for f in frames.values()])
        clim, prefix = _style.limits(together, robust), False
    panes = []
    said = [frame.quantity for frame in frames.values()]
    for name, frame in frames.items():
        # Two maps of the same quantity are told apart by name.
        called = [str(name)] if said.count(frame.quantity) > 1 and str(name) != frame.quantity else []
        heading = " · ".join([*called, frame.quantity, *maps[name].notes])
        look = Look(cmap=cmap, robust=robust, clim=clim, title=heading, size=size, prefix=prefix)
        panes.append(titled_element(frame, look))
    return grid(panes, cols, title)


def _own(given: Mapping[Hashable, Any] | None, da: xr.DataArray) -> dict[Hashable, Any]:
    return {d: v for d, v in (given or {}).items() if d in da.dims}


def _chosen(ds: xr.Dataset, variables: Sequence[Hashable] | None) -> list[Hashable]:
    for name in variables or ():
        if name not in ds.data_vars:
            raise DimensionError(f"no variable {name!r}.{nearest(str(name), map(str, ds.data_vars))}")
    names = list(variables) if variables is not None else [n for n in own_variables(ds) if ds[n].ndim >= 2]
    if not names:
        raise DimensionError("no variable with two dimensions to draw as a map. Draw curves: ds.sid.plot.curve().")
    return names
