"""Positions over an image or a curve: peaks that were found, and the lattice that they lie on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import position_of
from sid_xarray.core.evaluate import FIT_MODEL
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._image import Look, check_look, image_element, overlaid
from sid_xarray.viz._labels import comfortable
from sid_xarray.viz._place import Frame, factors
from sid_xarray.viz._select import choose, fixed, indices
from sid_xarray.viz._siblings import fitted_at
from sid_xarray.viz.views import curve as _curve
from sid_xarray.viz.views.image import frame_of, title_of

__all__ = ["draw", "lattice"]

_MOST = 20_000


def draw(
    obj: xr.DataArray,
    *,
    positions: Any = None,
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    color: str = "#D55E00",
    marker_size: float = 9,
    **look: Any,
) -> Any:
    """Draw positions over an image, or on a curve.

    Parameters
    ----------
    obj : DataArray
    positions : Dataset, DataFrame, mapping or array
        Where peaks are, in the units of the coordinates: columns called like the dimensions of the picture, or an
        array of shape (n, 2) with x and y; of a curve, shape (n,). A fit has its centres for
        columns. Of a table that `find_peaks` made of a stack, those of the plane that is drawn.
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Which plane: index, or position in units. The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    color : str
    marker_size : float
        In pixels.
    **look
        As for images, or for curves.

    Returns
    -------
    holoviews.Overlay

    Raises
    ------
    DimensionError
        If the positions do not name the dimensions of the picture, or do not fit them.
    """
    if positions is None:
        raise DimensionError("where are the peaks? Type da.sid.plot.peaks(positions=...): a table, or an array (n, 2).")
    if obj.ndim == 1:
        return _on_curve(obj, positions, component, color, marker_size, look)
    frame, dims, chosen = _frame(obj, x, y, isel, sel, component, look)
    where = _columns(obj, _of_plane(obj, positions, dims, isel, sel), dims)
    where, lost = where[np.isfinite(where).all(axis=1)], int((~np.isfinite(where).all(axis=1)).sum())
    if lost:
        chosen["title"] = " · ".join(t for t in (chosen["title"], f"{lost} without a place") if t)
    return overlaid(
        image_element(frame, Look(**chosen)), [_rings(frame, where, chosen, color, marker_size)], within=True
    )


def lattice(
    obj: xr.DataArray,
    *,
    a: tuple[Any, Any] | None = None,
    b: tuple[Any, Any] | None = None,
    origin: tuple[Any, Any] | None = None,
    points: bool = True,
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    color: str = "#D55E00",
    marker_size: float = 7,
    **look: Any,
) -> Any:
    """Draw two lattice vectors over an image, and the points that they reach.

    Parameters
    ----------
    obj : DataArray
    a, b : (float or str, float or str)
        The vectors along x and y, in the units of the coordinates or with units (``("0.39 nm", 0)``).
    origin : (float or str, float or str), optional
        Where they begin; the middle of the image by default.
    points : bool, default: True
        Draw the points of the lattice within the image.
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Which plane: index, or position in units. The middle by default.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    color : str
    marker_size : float
        In pixels.
    **look
        As for images.

    Returns
    -------
    holoviews.Overlay

    Raises
    ------
    DimensionError
        If the vectors are parallel.
    """
    if a is None or b is None:
        raise DimensionError("a lattice has two vectors. Type da.sid.plot.lattice(a=(x, y), b=(x, y)).")
    frame, dims, chosen = _frame(obj, x, y, isel, sel, component, look)
    vectors = np.array([[position_of(obj, d, v) for d, v in zip(dims, vector, strict=True)] for vector in (a, b)])
    size = np.abs(np.linalg.det(vectors))
    if not size > 1e-9 * np.prod(np.linalg.norm(vectors, axis=1)):
        raise DimensionError(f"the vectors a={a} and b={b} span no lattice.")
    ends = np.array([[axis.values.min(), axis.values.max()] for axis in (frame.x, frame.y)])
    start = ends.mean(axis=1)
    if origin is not None:
        start = np.array([position_of(obj, d, v) for d, v in zip(dims, origin, strict=True)])
    over = [_rings(frame, _lattice(vectors, start, ends), chosen, color, marker_size)] if points else []
    over += _arrows(frame, vectors, start, chosen)
    return overlaid(image_element(frame, Look(**chosen)), over, within=True)


def _frame(
    obj: xr.DataArray,
    x: Hashable | None,
    y: Hashable | None,
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
    component: str | None,
    look: Mapping[str, Any],
) -> tuple[Frame, tuple[Hashable, Hashable], dict[str, Any]]:
    chosen = check_look(look)
    dims = map_dims(obj, x=x, y=y, prefer=("reciprocal", "spatial"), exclude=fixed(isel, sel))
    choice = choose(obj, dims, isel=isel, sel=sel)
    frame = frame_of(choice.da, dims, component)
    for axis in (frame.x, frame.y):
        if not axis.monotonic or axis.counted:
            raise DimensionError(
                f"positions along {axis.dim!r} turn back or are no numbers: nothing can be placed there."
            )
    if component == "phase" and obj.dtype.kind == "c":
        chosen = {"cmap": "twilight", "phase": True, **chosen}
    return frame, dims, {"title": title_of(obj, choice.notes), **chosen}


def _of_plane(
    obj: xr.DataArray,
    positions: Any,
    dims: tuple[Hashable, ...],
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
) -> Any:
    """Return the part of a table that belongs to the plane, without the entries behind its last peak."""
    if not isinstance(positions, xr.Dataset):
        return positions
    chosen = indices(obj, isel, sel)
    rest = [d for d in positions.dims if d in obj.dims and d not in dims]
    own = positions.isel({d: chosen.get(d, obj.sizes[d] // 2) for d in rest})
    if own.sizes.get("peak") and "n_peaks" in own and not own["n_peaks"].ndim:
        own = own.isel(peak=slice(int(own["n_peaks"])))
    elif "status" in own and own["status"].dims == ("peak",):
        own = own.isel(peak=fitted_at(own["status"]))
    return own


def _columns(obj: xr.DataArray, positions: Any, dims: tuple[Hashable, ...]) -> np.ndarray:
    """Return positions as columns along the dimensions, in their units."""
    if isinstance(positions, xr.Dataset | Mapping) or hasattr(positions, "columns"):
        there = [*positions.variables] if isinstance(positions, xr.Dataset) else [*positions]
        centers = {d: "center" if len(dims) == 1 else f"center_{d}" for d in dims}
        if FIT_MODEL in getattr(positions, "attrs", {}) and set(centers.values()) <= set(there):
            positions = {d: positions[name] for d, name in centers.items()}
            there = [*positions]
        missing = [d for d in dims if d not in there]
        if missing:
            raise DimensionError(f"no positions along {missing[0]!r}: the table has {', '.join(map(repr, there))}.")
        columns = [_in_units(obj, d, positions[d]) for d in dims]
        if len({c.shape for c in columns}) > 1 or columns[0].ndim != 1:
            raise DimensionError(f"positions are columns of one length, got {[c.shape for c in columns]}.")
        return np.stack(columns, axis=1)
    values = np.asarray(positions, dtype=float)
    if len(dims) == 1 and values.ndim == 1:
        return values[:, None]
    if values.size == 0:
        return np.zeros((0, len(dims)))
    if values.ndim != 2 or values.shape[1] != len(dims):
        raise DimensionError(f"positions should have the shape (n, {len(dims)}), got {values.shape}.")
    return values


def _in_units(obj: xr.DataArray, dim: Hashable, column: Any) -> np.ndarray:
    values = np.asarray(column, dtype=float)
    units = column.attrs.get("units") if isinstance(column, xr.DataArray) else None
    if units is None or dim not in obj.coords:
        return values
    one = position_of(obj, dim, f"1 {units}")  # columns of other units are converted
    return values * one


def _rings(frame: Frame, where: np.ndarray, chosen: Mapping[str, Any], color: str, size: float) -> Any:
    hv = _style.ready()
    where = where[:: max(1, -(-len(where) // _MOST))]
    points = hv.Points(where * factors(frame, chosen.get("prefix", True)), kdims=["x", "y"])
    return _style.apply(
        points,
        bokeh={"marker": "circle", "size": size, "fill_alpha": 0, "line_color": color, "line_width": 1.6, "tools": []},
        matplotlib={
            "marker": "o",
            "s": (0.72 * size) ** 2,
            "facecolors": "none",
            "edgecolors": color,
            "linewidth": 1.2,
        },
        fonts=False,
    )


def _lattice(vectors: np.ndarray, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the points of a lattice that lie in a box, up to a number that can be seen."""
    corners = np.array([(u, v) for u in ends[0] for v in ends[1]])
    steps = (corners - start) @ np.linalg.inv(vectors)
    low, high = np.floor(steps.min(axis=0)).astype(int), np.ceil(steps.max(axis=0)).astype(int)
    if np.prod((high - low + 1).astype(float)) > 50 * _MOST:
        raise DimensionError("the lattice has too many points to be seen: points=False draws the vectors alone.")
    i, j = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
    every = start + np.stack([i.ravel(), j.ravel()], axis=1) @ vectors
    inside = ((every >= ends[:, 0]) & (every <= ends[:, 1])).all(axis=1)
    return np.asarray(every[inside])


def _arrows(frame: Frame, vectors: np.ndarray, start: np.ndarray, chosen: Mapping[str, Any]) -> list[Any]:
    hv = _style.ready()
    scale = np.array(factors(frame, chosen.get("prefix", True)))
    begin, out = start * scale, []
    for vector, name, colour in zip(vectors * scale, "ab", ("#56B4E9", "#009E73"), strict=True):
        end, back = begin + vector, -0.18 * vector
        turn = np.array([[np.cos(0.45), -np.sin(0.45)], [np.sin(0.45), np.cos(0.45)]])
        line = np.array([begin, end, end + back @ turn, end, end + back @ turn.T])
        path = hv.Path([line], kdims=["x", "y"])
        out.append(
            _style.apply(
                path,
                {"color": colour},
                bokeh={"line_width": 3, "tools": []},
                matplotlib={"linewidth": 2.2},
                fonts=False,
            )
        )
        word = hv.Labels([(*(end + 0.3 * vector), name)], kdims=["x", "y"], vdims=["vector"])
        bold = {"text_color": colour, "text_font_style": "bold", "text_font_size": "13pt", "tools": []}
        out.append(_style.apply(word, bokeh=bold, matplotlib={"color": colour, "size": 13}, fonts=False))
    return out


def _on_curve(
    obj: xr.DataArray, positions: Any, component: str | None, color: str, size: float, look: Mapping[str, Any]
) -> Any:
    hv = _style.ready()
    along = obj.dims[0]
    where = _columns(obj, positions, (along,))[:, 0]
    where = where[np.isfinite(where)]
    picture = _curve.draw(obj, component=component or ("amplitude" if obj.dtype.kind == "c" else None), **look)
    curve = picture.traverse(None, [hv.Curve])[0]
    axis = axis_of(obj, along)
    if axis.counted or axis.dates is not None:
        raise DimensionError(f"positions along {along!r} are no numbers: nothing can be placed there.")
    units, factor = comfortable(axis.units, axis.reach) if look.get("prefix", True) else (axis.units, 1.0)
    axis = replace(axis, units=units, values=axis.values * factor)
    drawn = (curve.dimension_values(0), curve.dimension_values(1))
    nearest = [int(np.argmin(np.abs(drawn[0] - w * factor))) for w in where]
    tops = hv.Points((where * factor, drawn[1][nearest]), kdims=[curve.kdims[0], curve.vdims[0]])
    tops = _style.apply(
        tops,
        bokeh={"marker": "inverted_triangle", "size": size, "color": color, "tools": []},
        matplotlib={"marker": "v", "s": (0.72 * size) ** 2, "color": color},
        fonts=False,
    )
    return overlaid(picture, [tops])
