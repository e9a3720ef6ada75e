"""Values at scattered places: spirals, sparse scans, atoms; a spectrum beside them where there is one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import dims_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.schema import units as _units
from sid_xarray.viz import _style
from sid_xarray.viz._axes import Axis, axis_of, check_dim, role_of, share_scale
from sid_xarray.viz._image import (
    Frame,
    Look,
    check_look,
    colours_of,
    component_of,
    cross,
    image_element,
    overlaid,
    reach,
)
from sid_xarray.viz._labels import comfortable, distinct, quantity, range_text, unit_text
from sid_xarray.viz._place import Placed, geometry
from sid_xarray.viz._reduce import mean_of
from sid_xarray.viz._select import choose, indices, read, say, window_of
from sid_xarray.viz.views.curve import Line, lines_element
from sid_xarray.viz.views.image import title_of

__all__ = ["draw", "places_of"]


def draw(
    obj: xr.DataArray,
    *,
    x: Hashable | None = None,
    y: Hashable | None = None,
    dim: Hashable | None = None,
    window: tuple[Any, Any] | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    max_points: int = 20_000,
    max_bytes: int = 64 * 2**20,
    **look: Any,
) -> Any:
    """Draw values at their places; of spectra, the mean of a window, beside the spectrum of a point and the mean.

    Parameters
    ----------
    obj : DataArray
    x, y : hashable, optional
        Coordinates that tell where the points are; by default those whose names begin with x and y.
    dim : hashable, optional
        The spectral dimension.
    window : (float or str, float or str), optional
        Part of the spectral axis that the map is the mean of, in its units. Everything by default.
    isel, sel : mapping, optional
        The point whose spectrum is shown, and the position of further dimensions. The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    max_points : int
        More points are averaged in the pixels of an image: a million take a second.
    max_bytes : int
        How much of lazy spectra is read; of more, a narrower window, and the mean of fewer points. Titles say so.
    **look
        As for images; ``cmap`` is viridis by default.

    Returns
    -------
    holoviews.Points, holoviews.Image or holoviews.Layout

    Raises
    ------
    DimensionError
        If no coordinates tell where the points are.
    """
    chosen = {"cmap": "viridis", **check_look(look)}
    across, up = places_of(obj, x, y)
    along = obj[across].dims[0]
    spectral = check_dim(obj, dim) if dim is not None else next(reversed(dims_of(obj, "spectral")), None)
    spectral = None if spectral == along else spectral
    keep = [along] if spectral is None else [along, spectral]
    rest = [{d: v for d, v in (given or {}).items() if d not in keep} for given in (isel, sel)]
    choice = choose(obj, keep, isel=rest[0], sel=rest[1])
    if 0 in obj.shape:
        raise DimensionError(f"{obj.name!r} has no points: its shape is {obj.shape}.")
    da, notes = choice.da, list(choice.notes)
    budget = max_bytes if is_lazy(da) else da.nbytes
    if spectral is None:
        raw = read(da, (along,))
    else:
        raw, note = _windowed(da, along, spectral, window, budget)
        notes.append(note)
    values, units, word = component_of(raw, component, units_of(obj))
    phase = word == ", phase"
    if phase:
        chosen = {**chosen, "cmap": "twilight", "phase": True}
    chosen.setdefault("title", title_of(obj, tuple(notes)))
    where = (_axis(da, across), _axis(da, up))
    at = None
    if spectral is not None:
        own = [{d: v for d, v in (given or {}).items() if d == along} for given in (isel, sel)]
        found = indices(da, *own)
        choose(da, (), isel=found)  # says what is out of range
        at = int(found.get(along, da.sizes[along] // 2)) % da.sizes[along]
    left = _cloud(values, where, quantity(obj) + word, units, Look(**chosen), at, max_points)
    if spectral is None or at is None:
        return left
    lines = _spectra(da, along, spectral, at, component, budget)
    right = lines_element(
        axis_of(da, spectral),
        lines,
        quantity(obj) + word,
        units,
        title=say(da, along, at),
        size=round(Look(**chosen).size * 1.1),
        height=Look(**chosen).size,
        prefix=Look(**chosen).prefix,
    )
    layout = _style.ready().Layout([left, right]).cols(2)
    mpl = {"sublabel_format": "", "fig_inches": (11, 4.2), "hspace": 0.45}
    return _style.apply(layout, {"shared_axes": False}, matplotlib=mpl, fonts=False)


def places_of(da: xr.DataArray, x: Hashable | None = None, y: Hashable | None = None) -> tuple[Hashable, Hashable]:
    """Return the coordinates that say where points are, horizontal first.

    Raises
    ------
    DimensionError
        If there are none, or those that are named are not over one dimension.
    """
    flat = {
        name: coord
        for name, coord in da.coords.items()
        if coord.ndim == 1 and name not in da.dims and coord.dims[0] in da.dims and coord.dtype.kind in "iuf"
    }
    for name in (x, y):
        if name is not None and name not in flat:
            raise DimensionError(f"{name!r} does not say where points are: {_known(flat)}.")
    clouds = dims_of(da, "point_cloud")
    found = [x, y]
    for i, role in enumerate("xy"):
        if found[i] is None:
            mine = [n for n in flat if role_of(da, n) == role and not str(n).endswith("_index")]
            mine.sort(key=lambda n: flat[n].dims[0] not in clouds)
            found[i] = mine[0] if mine else None
    if found[0] is None or found[1] is None:
        raise DimensionError(
            f"nothing says where the points of {da.name!r} are: {_known(flat)}. Name the coordinates with x=... and "
            f"y=..., or give some: da.assign_coords(x=({str(clouds[0] if clouds else 'point')!r}, ...))."
        )
    if flat[found[0]].dims != flat[found[1]].dims:
        raise DimensionError(f"{found[0]!r} and {found[1]!r} are not over one dimension.")
    return found[0], found[1]


def _known(flat: Mapping[Hashable, Any]) -> str:
    return f"the coordinates over one dimension are {', '.join(map(repr, flat)) or 'none'}"


def _axis(da: xr.DataArray, name: Hashable) -> Axis:
    coord = da[name]
    units = _units.normalise(coord.attrs.get("units"), axis="spatial").canonical
    values = np.asarray(coord.values, dtype=float)
    return Axis(name, quantity(coord, fallback=name), units, values, None, "spatial")


def _windowed(
    da: xr.DataArray, along: Hashable, spectral: Hashable, window: tuple[Any, Any] | None, budget: int
) -> tuple[np.ndarray, str]:
    n = da.sizes[spectral]
    part = slice(0, n) if window is None else window_of(da, spectral, slice(*window))
    allowed = max(1, budget // max(1, da.nbytes // n))
    if part.stop - part.start > allowed:
        start = part.start + (part.stop - part.start - allowed) // 2
        part = slice(start, start + allowed)
    axis = axis_of(da, spectral)
    note = f"mean over {axis.label}"
    if part.stop - part.start < n:
        span = range_text(axis.values[part.start], axis.values[part.stop - 1], axis.units)
        note = f"mean of {part.stop - part.start} of {n} points, {span}"
    values = read(da.isel({spectral: part}), (along, spectral))
    if values.dtype.kind == "c":
        with np.errstate(all="ignore"):
            return values.mean(axis=1), note
    return mean_of(_style.displayable(values), (1,)), note


def _spectra(
    da: xr.DataArray, along: Hashable, spectral: Hashable, at: int, component: str | None, budget: int
) -> list[Line]:
    one = component_of(read(da.isel({along: at}), (spectral,)), component, "1")[0]
    lines = [Line(one, "this point")]
    if component != "phase":  # a mean of phases means nothing
        n = da.sizes[along]
        step = max(1, -(-da.nbytes // max(1, budget)))
        part = da.isel({along: slice(step // 2 if step < n else 0, None, step)})
        every = _style.displayable(component_of(read(part, (along, spectral)), component, "1")[0])
        lines.append(Line(mean_of(every, (0,)), "mean" if step == 1 else f"mean of {part.sizes[along]} points"))
    return lines


def _cloud(
    values: np.ndarray,
    where: tuple[Axis, Axis],
    said: str,
    units: str,
    look: Look,
    at: int | None,
    max_points: int,
) -> Any:
    """Return hv.Points, or the hv.Image of a crowd."""
    hv = _style.ready()
    x, y, same = share_scale(_finite(where[0]), _finite(where[1]), prefix=look.prefix)
    there = np.isfinite(where[0].values) & np.isfinite(where[1].values)
    if not there.any():
        raise DimensionError(f"no point has a place: {where[0].dim!r} or {where[1].dim!r} is NaN everywhere.")
    marked = (float(x.values[at]), float(y.values[at])) if at is not None and there[at] else None
    lost = int(there.size - there.sum())
    shown = _style.displayable(values)
    u, v, shown = x.values[there], y.values[there], shown[there]
    if lost:
        look = replace(look, title=" · ".join([*([look.title] if look.title else []), f"{lost} without a place"]))
    left, right, low, high = *_margin(u), *_margin(v)
    if same and min(right - left, high - low) == 0:
        side = max(right - left, high - low) or 1.0
        left, right, low, high = *_widened(left, right, side), *_widened(low, high, side)
    left, right, low, high = *_widened(left, right, 1.0), *_widened(low, high, 1.0)
    if u.size > max_points:
        rows, columns, crowd = _binned(u, v, shown, (left, low, right, high), look.size)
        gridded = (
            replace(x, values=columns, step=columns[1] - columns[0]),
            replace(y, values=rows, step=rows[1] - rows[0]),
        )
        frame = Frame(crowd, *gridded, said, units)
        element = image_element(frame, look)
        return element if marked is None else overlaid(element, [cross(marked, element.kdims)])
    if look.prefix:
        units, factor = comfortable(units, reach(shown))
        shown = shown * shown.dtype.type(factor) if factor != 1 else shown
    clim = look.clim or ((-np.pi, np.pi) if look.phase else None)
    clim = clim or _style.limits(shown, look.robust, positive=look.norm == "log")
    names = distinct([(str(x.dim), x.label), (str(y.dim), y.label), ("value", said)])
    dims = [hv.Dimension(n, unit=unit_text(t) or None) for n, t in zip(names, (x.units, y.units, units), strict=True)]
    if look.scalebar and same:
        high += 0.2 * (high - low)  # the scale bar covers no point
    placed = Placed(shown, x, y, (left, low, right, high), dims[:2], dims[2], True, same, False)
    both, bokeh, mpl = geometry(placed, size=look.size, title=look.title, scalebar=look.scalebar)
    dot = float(np.clip(0.6 * look.size / np.sqrt(u.size), 3, 12))
    colours = {**colours_of(look, clim), "color": dims[2].name, "xlim": (left, right), "ylim": (low, high)}
    bare = {"size": dot, "line_color": None, "tools": [], "hooks": [_style.bar_title, *bokeh["hooks"]]}
    if not np.isfinite(shown).any():  # nothing to colour
        colours = {"color": "#999999", "xlim": (left, right), "ylim": (low, high)}
        both["title"] = _style.wrapped(" · ".join(t for t in (look.title, "no finite values") if t), look.size)
        shown = np.zeros(shown.shape)
    element = hv.Points((u, v, shown), kdims=dims[:2], vdims=[dims[2]])
    element = _style.apply(
        element, {**both, **colours}, bokeh={**bokeh, **bare}, matplotlib={**mpl, "s": (0.72 * dot) ** 2}
    )
    return element if marked is None else overlaid(element, [cross(marked, element.kdims)])


def _finite(axis: Axis) -> Axis:
    """Return the axis with its missing positions at zero, so that they choose no prefix."""
    return replace(axis, values=np.where(np.isfinite(axis.values), axis.values, 0.0))


def _margin(values: np.ndarray) -> tuple[float, float]:
    lo, hi = float(values.min()), float(values.max())
    return lo - 0.04 * (hi - lo), hi + 0.04 * (hi - lo)


def _widened(lo: float, hi: float, side: float) -> tuple[float, float]:
    return (lo, hi) if hi > lo else (lo - side / 2, hi + side / 2)


def _binned(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, bounds: tuple[float, float, float, float], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the points in the pixels of a grid that is no finer than the points are dense."""
    left, low, right, high = bounds
    ratio = (high - low) / (right - left)
    ratio = min(max(ratio, 1 / 6), 6.0)
    columns = int(np.clip(min(2 * size, np.sqrt(x.size / ratio / 2)), 8, 2 * size))
    rows = int(np.clip(round(columns * ratio), 8, 4 * size))
    i = np.minimum(((x - left) / (right - left) * columns).astype(np.int64), columns - 1)
    j = np.minimum(((y - low) / (high - low) * rows).astype(np.int64), rows - 1)
    good = np.isfinite(values)
    cell = (j * columns + i)[good]
    count = np.bincount(cell, minlength=rows * columns)
    total = np.bincount(cell, weights=values[good].astype(np.float64), minlength=rows * columns)
    with np.errstate(all="ignore"):
        mean = np.where(count > 0, total / count, np.nan).reshape(rows, columns)
    middle_x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    middle_y = low + (np.arange(rows) + 0.5) * (high - low) / rows
    return middle_y, middle_x, mean
