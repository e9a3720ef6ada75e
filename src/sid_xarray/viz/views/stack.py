"""Images over further dimensions: a player, a projection, or frames side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import units_of
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, check_dim, map_dims
from sid_xarray.viz._image import Frame, Look, check_look, component_of, image_element, reach, titled_element
from sid_xarray.viz._labels import comfortable, plain, quantity, range_text, unit_text
from sid_xarray.viz._select import choose, fixed, read, say
from sid_xarray.viz.views import image as _image

__all__ = ["draw"]

_SHOWS = ("player", "mean", "max", "min", "montage")
_SAMPLE = 12  # frames from which the limits of colours are taken


@dataclass(frozen=True)
class _Film:
    """An array of frames, and how all of them are drawn alike."""

    da: xr.DataArray
    dims: tuple[Hashable, Hashable]
    component: str | None
    look: Look
    units: str
    factor: float
    heading: tuple[str, ...]
    found: bool = False  # whether the limits of colours are from the frames

    def values(self, where: Mapping[Hashable, int]) -> tuple[np.ndarray, str]:
        """Read one frame. Returns it with the words for its part of complex values."""
        out, _, word = component_of(self._read(where), self.component, "1")
        return _style.displayable(out), word

    def _read(self, where: Mapping[Hashable, int]) -> np.ndarray:
        # Every dimension is indexed, so that values are read for this frame and do not stay in the array.
        chosen = {dim: where.get(dim, slice(None)) for dim in self.da.dims}
        return read(self.da.isel(chosen), (self.dims[1], self.dims[0]))

    def picture(self, values: np.ndarray, word: str, notes: tuple[str, ...], *, titled: bool = False) -> Any:
        """Return the picture of values that were read."""
        values = values * values.dtype.type(self.factor) if self.factor != 1 else values
        axes = (axis_of(self.da, self.dims[0]), axis_of(self.da, self.dims[1]))
        frame = Frame(values, *axes, quantity(self.da) + word, self.units, settled=True)
        look = replace(self.look, title=" · ".join(part for part in (*self.heading, *notes) if part))
        return titled_element(frame, look) if titled else image_element(frame, look)


def draw(
    obj: xr.DataArray,
    *,
    dim: Hashable | None = None,
    show: str = "player",
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    frames: int = 12,
    cols: int = 4,
    max_bytes: int = 64 * 2**20,
    **look: Any,
) -> Any:
    """Draw a stack of images: a player over all further dimensions, their mean, or a montage.

    All frames have the same colour limits, from up to twelve of them, and frames of lazy data are read when shown.

    Parameters
    ----------
    obj : DataArray
    dim : hashable, optional
        The dimension that is projected, or that the montage runs over; the first that is not drawn by default.
    show : {"player", "mean", "max", "min", "montage"}, default: "player"
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Positions of dimensions that get no slider, and ranges of those that do.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    frames, cols : int
        How many frames of a montage, evenly chosen, and how many of them in a row.
    max_bytes : int
        How much of lazy data is read to find colour limits; at least one frame.
    **look
        As for images. ``clim``, in the units that are shown, saves the reading for the limits.

    Returns
    -------
    holoviews.DynamicMap, or an image, or holoviews.Layout
        ``hv.output(player, widgets="scrubber")`` gives it buttons.

    Raises
    ------
    DimensionError
        If there are fewer than three dimensions, or a chosen one is not there.
    """
    if show not in _SHOWS:
        raise ValueError(f"no way to show a stack is called {show!r}. Ways: {', '.join(_SHOWS)}.")
    chosen = check_look(look)
    gone = fixed(isel, sel)
    if dim in gone:
        raise DimensionError(f"{dim!r} is not free to run over: isel or sel fix it.")
    held = () if dim is None else (check_dim(obj, dim),)
    dims = map_dims(obj, x=x, y=y, prefer=("reciprocal", "spatial"), exclude=(*gone, *held))
    free = [d for d in obj.dims if d not in dims and d not in gone]
    if not free or 0 in obj.shape:
        if obj.ndim < 3:
            raise DimensionError(f"a stack needs three dimensions, {obj.name!r} has {obj.dims}: da.sid.plot.image().")
        return _image.draw(obj, x=x, y=y, isel=isel, sel=sel, component=component, **look)
    along = free if show == "player" else [free[0] if dim is None else dim]
    choice = choose(obj, [*dims, *along], isel=isel, sel=sel)
    film = _film(choice.da, dims, along, component, chosen, max_bytes, _image.title_of(obj, choice.notes))
    if show == "player":
        return _player(film, along)
    if show == "montage":
        return _montage(film, along[0], frames, cols)
    return _projection(film, along[0], show)


def _film(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    along: list[Hashable],
    component: str | None,
    chosen: dict[str, Any],
    max_bytes: int,
    heading: str,
) -> _Film:
    phase = component == "phase" and da.dtype.kind == "c"
    if phase:
        chosen = {"cmap": "twilight", "phase": True, "clim": (-np.pi, np.pi), **chosen}
    elif all(axis_of(da, d).kind == "reciprocal" for d in dims):
        chosen = {"cmap": "inferno", **chosen}
    heading = chosen.pop("title", heading)
    look, units = Look(**chosen), "rad" if phase else units_of(da)
    film = _Film(da, dims, component, look, units, 1.0, (heading,) if heading else ())
    if look.clim is not None and (phase or not look.prefix):
        return film
    plane = max(1, da.nbytes // math.prod(da.sizes[d] for d in along))
    count = min(_SAMPLE, max(1, max_bytes // plane)) if is_lazy(da) else _SAMPLE
    sample = np.concatenate([film.values(where)[0].ravel() for where in _spread(da, along, count)])
    units, factor = comfortable(units, reach(sample)) if look.prefix else (units, 1.0)
    clim = look.clim
    if clim is None:
        limits = _style.limits(sample, look.robust, positive=look.norm == "log")
        clim = (limits[0] * factor, limits[1] * factor)
    return replace(film, look=replace(look, clim=clim), units=units, factor=factor, found=look.clim is None)


def _spread(da: xr.DataArray, along: list[Hashable], count: int) -> Iterator[dict[Hashable, int]]:
    """Return evenly chosen frames; one frame is the one in the middle."""
    shape = tuple(da.sizes[d] for d in along)
    n = math.prod(shape)
    flat = np.linspace(0, n - 1, min(n, count)) if count > 1 else [n // 2]
    for i in np.unique(np.asarray(flat).round().astype(int)):
        yield dict(zip(along, map(int, np.unravel_index(i, shape)), strict=True))


def _player(film: _Film, along: list[Hashable]) -> Any:
    hv = _style.ready()
    taken = {word for d in film.dims for word in (str(d), axis_of(film.da, d).label)} | {"value", quantity(film.da)}
    scales = [_slider(film.da, dim, taken) for dim in along]

    def frame(*position: Any) -> Any:
        where = {dim: _nearest(values, at) for dim, (_, values), at in zip(along, scales, position, strict=True)}
        values, word = film.values(where)
        return film.picture(values, word, tuple(say(film.da, dim, i) for dim, i in where.items()))

    return hv.DynamicMap(frame, kdims=[dimension for dimension, _ in scales])


def _slider(da: xr.DataArray, dim: Hashable, taken: set[str]) -> tuple[Any, np.ndarray]:
    """Return the dimension of a slider and its positions; indices where positions repeat or are no numbers."""
    hv = _style.ready()
    axis = axis_of(da, dim)
    units, factor = comfortable(axis.units, axis.reach)
    values = axis.values * factor
    if axis.dates is not None or np.unique(values).size < values.size:
        values, units, axis = np.arange(values.size, dtype=float), "1", axis.as_index()
    label = plain(axis.label)
    while label in taken:
        label += "\u2009"
    taken.add(label)
    spoken = [float(f"{v:.12g}") for v in values]
    pair = (str(dim), label)
    return hv.Dimension(pair, unit=unit_text(units) or None, values=spoken, default=spoken[len(spoken) // 2]), values


def _nearest(values: np.ndarray, at: Any) -> int:
    return int(np.argmin(np.abs(values - float(at))))


def _projection(film: _Film, dim: Hashable, show: str) -> Any:
    """Reduce frame by frame, so that no more than one of a file is in memory."""
    n = film.da.sizes[dim]
    whole = film.da.dtype.kind == "c" and show == "mean"  # of complex values the mean is of the values themselves
    total: Any = 0.0
    count: Any = 0
    best: Any = None
    word = ""
    for i in range(n):
        if whole:
            values = film._read({dim: i})
        else:
            values, word = film.values({dim: i})
        valid = np.isfinite(values)
        if show == "mean":
            total = total + np.where(valid, values, 0).astype(np.result_type(values.dtype, np.float64))
            count = count + valid
        else:
            choose_ = np.fmax if show == "max" else np.fmin
            best = values if best is None else choose_(best, values)
    if show == "mean":
        with np.errstate(all="ignore"):
            best = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        if whole:
            best, _, word = component_of(best, film.component, "1")
    if film.found:  # means vary less than frames
        film = replace(film, look=replace(film.look, clim=None))
    axis = axis_of(film.da, dim)
    span = range_text(axis.values[0], axis.values[-1], axis.units)
    return film.picture(_style.displayable(best), word, (f"{show} of {n} frames, {axis.label} = {span}",))


def _montage(film: _Film, dim: Hashable, frames: int, cols: int) -> Any:
    if frames < 1:
        raise ValueError(f"frames should be at least 1, got {frames}")
    look = replace(film.look, size=min(film.look.size, 240))
    panes = []
    heading = " · ".join(film.heading)
    bare = replace(film, heading=(), look=look)
    for where in _spread(film.da, [dim], frames):
        values, word = film.values(where)
        panes.append(bare.picture(values, word, (say(film.da, dim, where[dim]),), titled=True))
    said = " · ".join(part for part in (heading, quantity(film.da) + word) if part)
    return _image.grid(panes, cols, said)
