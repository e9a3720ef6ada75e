"""An image, or one plane of a stack, volume or 4-D array."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import describe, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.schema import attrs as names
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._image import Frame, Look, check_look, component_of, image_element
from sid_xarray.viz._labels import plain, quantity
from sid_xarray.viz._select import choose, fixed, read

__all__ = ["draw", "frame_of", "grid", "title_of"]


def draw(
    obj: xr.DataArray,
    *,
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    mask: xr.DataArray | np.ndarray | None = None,
    **look: Any,
) -> Any:
    """Draw an image; of more dimensions, one plane.

    Space has equal aspect and a scale bar. x is horizontal and y vertical by name, row 0 is on top.

    Parameters
    ----------
    obj : DataArray
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Which plane: index, or position in units (``sel={"energy": "532 eV"}``). The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    mask : DataArray or array of bool, optional
        Where it is true, values are left out, of the picture and of its colour limits.
    **look
        ``cmap``; ``robust=(0.1, 99.9)``, percentiles of the colour limits; ``clim``, the limits themselves, in the
        units that are shown; ``norm="log"``; ``gamma``; ``contours``, how many lines of equal value, or at which
        values; ``scalebar``; ``colorbar``; ``title``; ``size`` in pixels; ``prefix=False`` keeps the units of the
        data; ``max_pixels`` before blocks are averaged.

    Returns
    -------
    holoviews.Image or holoviews.QuadMesh
        A QuadMesh where positions are not evenly spaced; an Overlay with contours.

    Raises
    ------
    DimensionError
        If there are fewer than two dimensions, or a chosen one is not there.
    """
    chosen = check_look(look)
    dims = map_dims(obj, x=x, y=y, prefer=("reciprocal", "spatial"), exclude=fixed(isel, sel))
    choice = choose(obj, dims, isel=isel, sel=sel)
    frame = frame_of(choice.da, dims, component)
    if mask is not None:
        hidden = _hidden(mask, obj, dims, isel, sel)
        if 0 not in obj.shape:
            frame = replace(frame, values=np.where(hidden, np.nan, _style.displayable(frame.values)))
    chosen.setdefault("title", title_of(obj, choice.notes))
    if component == "phase" and obj.dtype.kind == "c":
        chosen = {"cmap": "twilight", "phase": True, **chosen}
    elif all(describe(obj)[d] == "reciprocal" for d in dims):
        chosen.setdefault("cmap", "inferno")
    return image_element(frame, Look(**chosen))


def _hidden(
    mask: Any,
    obj: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
) -> np.ndarray:
    """Return the plane of a mask, rows along y."""
    if not isinstance(mask, xr.DataArray):
        values = np.asarray(mask)
        over = obj.dims if values.shape == obj.shape else tuple(d for d in obj.dims if d in dims)
        if values.shape != tuple(obj.sizes[d] for d in over):
            there = dict(zip(over, (obj.sizes[d] for d in over), strict=True))
            raise DimensionError(f"the mask has shape {values.shape}, the picture {there}.")
        mask = xr.DataArray(values, dims=over)
    elif any(mask.sizes.get(d) not in (None, obj.sizes[d]) for d in obj.dims) or not set(dims) <= set(mask.dims):
        raise DimensionError(f"the mask has {dict(mask.sizes)}, the picture {dict(obj.sizes)}: they do not fit.")
    if mask.dtype.kind not in "biu":
        raise DimensionError(f"a mask is true where values are left out; this one is {mask.dtype}.")
    mask = mask.drop_vars([d for d in mask.dims if d in mask.coords]).assign_coords(
        {d: obj[d] for d in mask.dims if d in obj.coords}
    )
    own = [{d: v for d, v in (given or {}).items() if d in mask.dims} for given in (isel, sel)]
    return read(choose(mask, dims, isel=own[0], sel=own[1]).da, (dims[1], dims[0])).astype(bool)


def frame_of(da: xr.DataArray, dims: tuple[Hashable, Hashable], component: str | None = None) -> Frame:
    """Read a plane; ``dims`` are horizontal and vertical."""
    horizontal, vertical = dims
    values, units, word = component_of(read(da, (vertical, horizontal)), component, units_of(da))
    return Frame(values, axis_of(da, horizontal), axis_of(da, vertical), quantity(da) + word, units)


def title_of(da: xr.DataArray, notes: tuple[str, ...]) -> str:
    """Return the title of the data and what part of them is shown."""
    said = da.attrs.get(names.TITLE)
    words = [plain(said, limit=48)] if isinstance(said, str) and said.strip() else []
    return " · ".join([*words, *notes])


def grid(panes: list[Any], cols: int, title: str | None) -> Any:
    """Return images side by side, with a title above all."""
    hv = _style.ready()
    cols = max(1, min(cols, len(panes)))
    rows = -(-len(panes) // cols)
    both: dict[str, Any] = {"shared_axes": False}
    if title:
        both["title"] = _style.wrapped(title, 330 * cols)
    mpl = {"sublabel_format": "", "fig_inches": (4.6 * cols, 3.9 * rows), "hspace": 0.75, "vspace": 0.35}
    return _style.apply(hv.Layout(panes).cols(cols), both, matplotlib=mpl, fonts=False)
