"""Curves: one, a family, several quantities over one axis; with a band for the uncertainty."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import dims_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.schema import units as _units
from sid_xarray.viz import _style
from sid_xarray.viz._axes import Axis, axis_of, check_dim
from sid_xarray.viz._image import COMPONENTS, component_of
from sid_xarray.viz._labels import comfortable, distinct, number, plain, quantity, unit_text
from sid_xarray.viz._select import choose, read
from sid_xarray.viz._siblings import main_variable, quantities, variance_of
from sid_xarray.viz.views.image import title_of

__all__ = ["Line", "curve_dim", "draw", "lines_element", "thinned"]


@dataclass(frozen=True)
class Line:
    """One curve: its values, their standard deviation, what the legend says, and whether it is drawn as dots."""

    values: np.ndarray
    label: str = ""
    sigma: np.ndarray | None = None
    dots: bool = False


def draw(
    obj: xr.DataArray | xr.Dataset,
    *,
    dim: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    max_curves: int = 20,
    max_points: int = 50_000,
    title: str | None = None,
    size: int = 560,
    prefix: bool = True,
) -> Any:
    """Draw values over one dimension; of two dimensions, a family of curves.

    Points are joined in the order of storage, so loops stay loops. Longer curves are thinned to the smallest and
    largest value of every stretch. A Dataset is drawn as its quantities, with a band of one standard deviation
    where it has their variance.

    Parameters
    ----------
    obj : DataArray or Dataset
    dim : hashable, optional
        Horizontal dimension; the spectral one by default.
    isel, sel : mapping, optional
        Which curves: index, or position in units. The middle of what is left by default.
    component : {"amplitude", "phase", "real", "imag", "cartesian", "polar"}, optional
        Of complex values: one part, real and imaginary part in one picture (default for one curve), or
        amplitude above phase.
    max_curves, max_points : int
        How many curves of a family, evenly chosen, and how many points of a curve are drawn.
    title : str, optional
    size : int
        Width in pixels.
    prefix : bool
        Choose readable prefixes; False keeps the units of the data.

    Returns
    -------
    holoviews.Curve, holoviews.Overlay or holoviews.Layout

    Raises
    ------
    DimensionError
        If there is no dimension, or a chosen one is not there.
    """
    if component is not None and component not in (*COMPONENTS, "cartesian", "polar"):
        raise ValueError(f"no component {component!r}. Components: {', '.join(COMPONENTS)}, cartesian, polar.")
    main = obj[main_variable(obj)] if isinstance(obj, xr.Dataset) else obj
    along = curve_dim(main, dim)
    family = None if isinstance(obj, xr.Dataset) else _family(main, along, isel, sel)
    choice = choose(main, [along] if family is None else [along, family], isel=isel, sel=sel)
    heading = title_of(main, choice.notes) if title is None else title
    axis = axis_of(choice.da, along)
    legend = axis_of(choice.da, family).label if family is not None and family in choice.da.dims else ""
    complex_ = main.dtype.kind == "c"
    split = {"polar": ("amplitude", "phase"), "cartesian": ("real", "imag") if family is not None else ()}
    if complex_ and split.get(str(component)):
        parts = [_lines(obj, main, along, family, isel, sel, part, max_curves) for part in split[str(component)]]
        hv = _style.ready()
        shown: dict[str, Any] = {"size": size, "prefix": prefix, "points": max_points}
        panes = [
            lines_element(axis, lines, said, units, title=heading if i == 0 else "", legend=legend, **shown)
            for i, (lines, said, units) in enumerate(parts)
        ]
        return _style.apply(hv.Layout(panes).cols(1), {"shared_axes": False}, matplotlib=_PLAIN_LAYOUT, fonts=False)
    part = component if component in COMPONENTS else "cartesian" if complex_ and family is None else None
    lines, said, units = _lines(obj, main, along, family, isel, sel, part, max_curves)
    return lines_element(
        axis, lines, said, units, title=heading, size=size, prefix=prefix, points=max_points, legend=legend
    )


# Twenty entries fit beside a frame of this height; the space that bokeh leaves by default has room for sixteen.
_COMPACT = {"background_fill_alpha": 0.7, "label_height": 13, "glyph_height": 13, "spacing": 2, "padding": 6}
_PLAIN_LAYOUT = {"sublabel_format": "", "vspace": 0.4, "fig_inches": (6.4, 7)}


def curve_dim(da: xr.DataArray, dim: Hashable | None) -> Hashable:
    """Return the horizontal dimension: the one named, else the spectral one, else the one that looks like an axis."""
    if dim is not None:
        return check_dim(da, dim)
    if da.ndim == 0:
        raise DimensionError(f"{da.name!r} is a single number and has no picture: its value is float(da).")
    for kind in ("spectral", "temporal"):
        found = dims_of(da, kind)
        if found:
            return found[-1]
    return da.dims[-1]


def _family(
    da: xr.DataArray, along: Hashable, isel: Mapping[Hashable, Any] | None, sel: Mapping[Hashable, Any] | None
) -> Hashable | None:
    """Return the dimension whose positions are drawn as several curves: the only one left, or one with a range."""
    chosen = {**(sel or {}), **(isel or {})}
    left = [d for d in da.dims if d != along and (d not in chosen or not np.isscalar(chosen[d]))]
    ranges = [d for d in left if d in chosen]
    if ranges:
        return ranges[0]
    return left[0] if len(left) == 1 and da.ndim == 2 else None


def _lines(
    obj: xr.DataArray | xr.Dataset,
    main: xr.DataArray,
    along: Hashable,
    family: Hashable | None,
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
    part: str | None,
    max_curves: int,
) -> tuple[list[Line], str, str]:
    """Read the curves. Returns them with the name and units of their values."""
    units = units_of(main)
    if family is not None:
        return _family_lines(choose(main, [along, family], isel=isel, sel=sel).da, along, family, part, max_curves)
    together = quantities(obj, main) if isinstance(obj, xr.Dataset) else {main.name: main}
    lines: list[Line] = []
    word = ""
    for name, da in list(together.items())[: len(_style.COLOURS)]:
        values = read(choose(da, [along], isel=isel, sel=sel).da, [along])
        factor = _factor(units_of(da), units)
        if factor is None:
            continue
        label = plain(name, limit=32) if len(together) > 1 else ""
        if part == "cartesian":
            if values.dtype.kind == "c":
                for own in ("real", "imag"):
                    one, _, said = component_of(values, own, units)
                    lines.append(Line(one * factor, (label + said).lstrip(", ")))
                continue
            lines.append(Line(values * factor if factor != 1 else values, label))
            continue
        one, unit, word = component_of(values, part if values.dtype.kind == "c" else None, units)
        sigma = None
        variance = variance_of(obj, name) if isinstance(obj, xr.Dataset) and values.dtype.kind != "c" else None
        if variance is not None:
            spread = _style.displayable(read(choose(variance, [along], isel=isel, sel=sel).da, [along]))
            sigma = np.sqrt(np.where(spread >= 0, spread, np.nan)) * factor
        lines.append(Line(one * factor if factor != 1 else one, label, sigma))
        units = unit
    return lines, quantity(main) + word, units


def _factor(found: str, wanted: str) -> float | None:
    if found == wanted:
        return 1.0
    try:
        return _units.convert_factor(found, wanted)
    except ValueError:
        return None


def _family_lines(
    da: xr.DataArray, along: Hashable, family: Hashable, part: str | None, max_curves: int
) -> tuple[list[Line], str, str]:
    n = da.sizes[family]
    which = np.unique(np.linspace(0, n - 1, min(n, max(1, max_curves))).round().astype(int))
    members = axis_of(da, family)
    values = read(da if which.size == n else da.isel({family: which}), [family, along])
    values, units, word = component_of(values, part if part != "cartesian" else None, units_of(da))
    unit, factor = comfortable(members.units, members.reach)
    words = members.counted and family in da.coords
    labels = [number(v) for v in (da[family].values[which] if words else members.values[which] * factor)]
    tail = f" {unit_text(unit)}".rstrip()
    return [Line(v, label + tail) for v, label in zip(values, labels, strict=True)], quantity(da) + word, units


def thinned(x: np.ndarray, y: np.ndarray, points: int) -> np.ndarray:
    """Return indices of at most ``points`` points that draw the same line: extremes of every stretch."""
    if y.size <= points:
        return np.arange(y.size)
    stretches = max(1, points // 2)
    edges = np.linspace(0, y.size, stretches + 1).astype(int)
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    keep = np.empty(2 * stretches, dtype=int)
    for i, (a, b) in enumerate(itertools.pairwise(edges.tolist())):
        keep[2 * i : 2 * i + 2] = a + np.argmin(low[a:b]), a + np.argmax(high[a:b])
    return np.unique(np.concatenate([[0], keep, [y.size - 1]]))[: max(points, 2)] if points >= 4 else keep[:points]


def lines_element(
    axis: Axis,
    lines: list[Line],
    said: str,
    units: str,
    *,
    title: str = "",
    size: int = 560,
    prefix: bool = True,
    points: int = 50_000,
    legend: str = "",
    height: int | None = None,
) -> Any:
    """Return an hv.Curve, or an hv.Overlay of curves and bands."""
    hv = _style.ready()
    drawn = [(_style.displayable(line.values), line) for line in lines]
    dates = axis.dates
    if dates is not None:
        axis = replace(axis, units="1", label=axis.label.partition(" since ")[0])
    elif prefix:
        axis = axis.scaled(*comfortable(axis.units, axis.reach))
    if prefix:
        units, factor = comfortable(units, max((_reach(v) for v, _ in drawn), default=0.0))
    else:
        factor = 1.0
    across, up = distinct([(str(axis.dim), axis.label), ("value", said)])
    kdim = hv.Dimension(across, unit=unit_text(axis.units) or None)
    vdim = hv.Dimension(up, unit=unit_text(units) or None)
    colours = _style.curve_colours(len(lines))
    elements: list[Any] = []
    for (values, line), colour in zip(drawn, colours, strict=True):
        values = values * values.dtype.type(factor) if factor != 1 else values
        keep = thinned(axis.values, values, max(200, min(points, 400_000 // max(1, len(lines)))))
        # A label that is the name of a dimension would be replaced by its values: a thin space keeps it text.
        label = f"{line.label}\u2009" if line.label in (kdim.name, kdim.label, vdim.name, vdim.label) else line.label
        x, y = (axis.values if dates is None else dates)[keep], values[keep]
        if line.sigma is not None and np.isfinite(line.sigma).any():
            elements.append(_band(hv, x, y, line.sigma[keep] * factor, kdim, vdim, colour))
        if line.dots:
            elements.append(_dots(hv.Scatter((x, y), kdims=[kdim], vdims=[vdim], label=label), colour))
            continue
        elements.append(_dressed(hv.Curve((x, y), kdims=[kdim], vdims=[vdim], label=label), colour))
        alone = _without_neighbours(y)
        if alone.any():  # a line needs two points
            elements.append(_dots(hv.Scatter((x[alone], y[alone]), kdims=[kdim], vdims=[vdim]), colour))
    corner = _style.free_corner(axis.values, [values for values, _ in drawn])
    hooks = [] if dates is None else [_short_dates]
    return _finished(hv, elements, title, (size, height), (legend, corner), len(lines), hooks)


def _reach(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.max(np.abs(finite), initial=0.0))


def _band(hv: Any, x: np.ndarray, y: np.ndarray, sigma: np.ndarray, kdim: Any, vdim: Any, colour: str) -> Any:
    error = hv.Dimension("standard deviation", unit=vdim.unit)
    spread = hv.Spread((x, y, np.nan_to_num(sigma)), kdims=[kdim], vdims=[vdim, error])
    return _style.apply(
        spread,
        bokeh={"fill_color": colour, "fill_alpha": 0.25, "line_alpha": 0},
        matplotlib={"facecolor": colour, "alpha": 0.25, "linewidth": 0},
        fonts=False,
    )


def _dressed(curve: Any, colour: str) -> Any:
    return _style.apply(
        curve,
        {"color": colour},
        bokeh={"line_width": 1.5, "tools": [], "show_grid": True},
        matplotlib={"linewidth": 1.3},
        fonts=False,
    )


def _without_neighbours(y: np.ndarray) -> np.ndarray:
    """Return where a value stands alone among NaN or at the ends, so that no line would show it."""
    there = np.isfinite(y)
    beside = np.zeros_like(there)
    beside[1:] |= there[:-1]
    beside[:-1] |= there[1:]
    return np.asarray(there & ~beside)


def _dots(scatter: Any, colour: str) -> Any:
    return _style.apply(scatter, {"color": colour}, bokeh={"size": 6, "tools": []}, matplotlib={"s": 20}, fonts=False)


def _short_dates(plot: Any, element: Any) -> None:
    """Write what differs at every tick, and what is common once: whole dates would overlap."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axis = plot.handles["axis"].xaxis
    axis.set_major_locator(AutoDateLocator(minticks=3))
    axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))


def _entitle(plot: Any, element: Any, title: str) -> None:
    legend = plot.handles["axis"].get_legend()
    if legend is not None and title:
        legend.set_title(title)


def _finished(
    hv: Any,
    elements: list[Any],
    title: str,
    sizes: tuple[int, int | None],
    legend: tuple[str, str],
    n: int,
    hooks: list[Any],
) -> Any:
    size, height = sizes
    one = len(elements) == 1
    out = elements[0] if one else hv.Overlay(elements)
    height = height or round(size * (0.55 if n <= 8 else 0.7))
    both: dict[str, Any] = {"title": _style.wrapped(title, size)}
    if one:
        both["padding"] = (0.02, 0.05)
    bokeh: dict[str, Any] = {"frame_width": size, "frame_height": height, "toolbar": "above", "show_grid": True}
    mpl: dict[str, Any] = {"fig_inches": (6.4, 6.4 * height / size), "aspect": size / height}
    if not one:
        both["show_legend"] = n > 1
        place = "right" if n > 4 else legend[1]
        heading = {"title": legend[0]} if legend[0] else {}
        bokeh |= {"legend_position": place, "legend_opts": {**heading, **_COMPACT}}
        mpl["legend_position"] = place
        hooks = [partial(_entitle, title=legend[0]), *hooks]
    if hooks:
        mpl["hooks"] = hooks
    return _style.apply(out, both, bokeh=bokeh, matplotlib=mpl)
