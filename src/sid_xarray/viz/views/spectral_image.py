"""A spectrum at every pixel: a map over the spectral window, and the spectrum of a pixel beside it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import dims_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, check_dim, map_dims
from sid_xarray.viz._image import Frame, Look, component_of, image_element
from sid_xarray.viz._labels import plain, quantity, range_text
from sid_xarray.viz._reduce import mean_of
from sid_xarray.viz._select import Choice, choose, indices, read, say, window_of
from sid_xarray.viz._siblings import main_variable, quantities
from sid_xarray.viz.views.curve import Line, lines_element
from sid_xarray.viz.views.image import title_of

__all__ = ["draw"]


def draw(
    obj: xr.DataArray | xr.Dataset,
    *,
    dim: Hashable | None = None,
    x: Hashable | None = None,
    y: Hashable | None = None,
    window: tuple[Any, Any] | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    cmap: Any = "gray",
    robust: tuple[float, float] = (0.1, 99.9),
    title: str | None = None,
    size: int = 320,
    prefix: bool = True,
    max_bytes: int = 64 * 2**20,
) -> Any:
    """Draw the map of a spectral window beside the spectrum of a pixel and the mean spectrum.

    Parameters
    ----------
    obj : DataArray or Dataset
        Of a Dataset, the other quantities on the same grid are drawn into the spectrum.
    dim : hashable, optional
        The spectral dimension.
    x, y : hashable, optional
        Horizontal and vertical dimension of the map, if not by name.
    window : (float or str, float or str), optional
        Part of the spectral axis that the map is the mean of, in its units. Everything by default.
    isel, sel : mapping, optional
        The pixel, and the plane of further dimensions: index, or position in units. The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    cmap, robust, title, size, prefix
        As for images.
    max_bytes : int
        How much of lazy data is read: of more, the map is of a narrower window and the mean of fewer pixels.
        Titles say so.

    Returns
    -------
    holoviews.Layout
        Map and spectrum.

    Raises
    ------
    DimensionError
        If there are no two dimensions of a map and a spectral one.
    """
    main = obj[main_variable(obj)] if isinstance(obj, xr.Dataset) else obj
    dims, along = _roles(main, dim, x, y)
    rest = [{d: v for d, v in (given or {}).items() if d not in dims} for given in (isel, sel)]
    cube = choose(main, [*dims, along], isel=rest[0], sel=rest[1])
    pixel = _pixel(cube.da, dims, isel, sel)
    budget = max_bytes if is_lazy(cube.da) else cube.da.nbytes
    if cube.da.nbytes <= budget:  # read once, for both panes
        cube = Choice(cube.da.copy(data=read(cube.da, cube.da.dims)), cube.notes)
    frame, note = _map(cube.da, dims, along, window, component, budget)
    heading = title_of(main, (*cube.notes, note)) if title is None else title
    tint = "twilight" if component == "phase" and main.dtype.kind == "c" else cmap
    phase = tint == "twilight"
    look = Look(cmap=tint, robust=robust, title=heading, size=size, prefix=prefix, phase=phase, mark=pixel)
    left = image_element(frame, look)
    lines, said, units = _spectra(obj, main, cube.da, dims, along, pixel, component, budget, rest)
    where = " · ".join(say(cube.da, d, i) for d, i in zip(dims, pixel, strict=True))
    axis = axis_of(cube.da, along)
    right = lines_element(axis, lines, said, units, title=where, size=round(size * 1.25), height=size, prefix=prefix)
    layout = _style.ready().Layout([left, right]).cols(2)
    mpl = {"sublabel_format": "", "fig_inches": (11, 4.2), "hspace": 0.45}
    return _style.apply(layout, {"shared_axes": False}, matplotlib=mpl, fonts=False)


def _roles(
    da: xr.DataArray, dim: Hashable | None, x: Hashable | None, y: Hashable | None
) -> tuple[tuple[Hashable, Hashable], Hashable]:
    along = check_dim(da, dim) if dim is not None else next(reversed(dims_of(da, "spectral")), None)
    if along is None or da.ndim < 3:
        raise DimensionError(
            f"a spectral image needs a spectral dimension and two of a map, {da.name!r} has {da.dims}. "
            "Name the spectral one with dim=..., or draw da.sid.plot.curve()."
        )
    return map_dims(da, x=x, y=y, prefer=("spatial",), exclude=(along,)), along


def _pixel(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
) -> tuple[int, int]:
    chosen = [{d: v for d, v in (given or {}).items() if d in dims} for given in (isel, sel)]
    where = indices(da, *chosen)
    x, y = (int(where.get(d, da.sizes[d] // 2)) % da.sizes[d] for d in dims)
    return x, y


def _map(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    along: Hashable,
    window: tuple[Any, Any] | None,
    component: str | None,
    budget: int,
) -> tuple[Frame, str]:
    n = da.sizes[along]
    part = slice(0, n) if window is None else window_of(da, along, slice(*window))
    count = part.stop - part.start
    plane = da.nbytes // max(1, n)
    allowed = max(1, budget // max(1, plane))
    if count > allowed:
        start = part.start + (count - allowed) // 2
        part = slice(start, start + allowed)
    axis = axis_of(da, along)
    note = f"mean over {axis.label}"
    if part.stop - part.start < n:
        span = range_text(axis.values[part.start], axis.values[part.stop - 1], axis.units)
        note = f"mean of {part.stop - part.start} of {n} points, {span}"
    values, units, word = component_of(read(da.isel({along: part}), (dims[1], dims[0], along)), component, units_of(da))
    frame = Frame(mean_of(values, (2,)), axis_of(da, dims[0]), axis_of(da, dims[1]), quantity(da) + word, units)
    return frame, note


def _spectra(
    obj: xr.DataArray | xr.Dataset,
    main: xr.DataArray,
    cube: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    along: Hashable,
    pixel: tuple[int, int],
    component: str | None,
    budget: int,
    rest: list[dict[Hashable, Any]],
) -> tuple[list[Line], str, str]:
    at = dict(zip(dims, pixel, strict=True))
    values, units, word = component_of(read(cube.isel(at), (along,)), component, units_of(cube))
    others = {} if isinstance(obj, xr.DataArray) else quantities(obj, main)
    others.pop(main.name, None)
    lines = [Line(values, plain(main.name) if others else "this pixel")]
    for name, da in others.items():
        if units_of(da) != units_of(main):
            continue
        one = choose(da, [along], isel={**rest[0], **at}, sel=rest[1]).da
        lines.append(Line(component_of(read(one, (along,)), component, units)[0], plain(name)))
    if component != "phase":  # a mean of phases means nothing
        block, note = _block(cube, dims, along, pixel, budget)
        every = component_of(read(block, (*dims, along)), component, units)[0]
        lines.append(Line(mean_of(every, (0, 1)), note))
    return lines[: len(_style.COLOURS)], quantity(main) + word, units


def _block(
    da: xr.DataArray, dims: tuple[Hashable, Hashable], along: Hashable, pixel: tuple[int, int], budget: int
) -> tuple[xr.DataArray, str]:
    """Return the pixels that the mean spectrum is of: all, or as many around the pixel as may be read."""
    if da.nbytes <= budget:
        return da, "mean"
    side = max(1, int(np.sqrt(budget / (da.sizes[along] * da.dtype.itemsize))))
    where = {}
    for dim, i in zip(dims, pixel, strict=True):
        start = min(max(0, i - side // 2), max(0, da.sizes[dim] - side))
        where[dim] = slice(start, start + side)
    block = da.isel(where)
    return block, f"mean of {block.sizes[dims[0]]} × {block.sizes[dims[1]]} px"
