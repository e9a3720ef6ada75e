"""Figures of the app: they draw numbers, and tell what was tapped or drawn. They know nothing of arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.events import RangesUpdate
from bokeh.models import (
    BasicTicker,
    BoxSelectTool,
    ColorBar,
    ColumnDataSource,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    LogColorMapper,
    PanTool,
    PolySelectTool,
    Range1d,
    ResetTool,
    SaveTool,
    Title,
    WheelZoomTool,
)
from bokeh.plotting import figure

from sid_xarray.viz import _scalebar, _style
from sid_xarray.viz._axes import Axis
from sid_xarray.viz._labels import unit_text, with_unit
from sid_xarray.viz.explore._prefix import label_of, reach_of

__all__ = ["DRAW", "Colours", "ImageFigure", "PointsFigure", "axis_label", "blank", "colour_of", "palette_of"]

_LARGE = 2_000_000
_NAN = "#b9cbdc"


def colour_of(i: int) -> str:
    """Return the colour of a region: the same on the map and for its curve."""
    return _style.COLOURS[(1, 0, 2, 3, 4, 5, 6)[i % 7]]


@dataclass(frozen=True)
class Colours:
    """How values become colours."""

    cmap: str = "gray"
    gamma: float = 1.0
    log: bool = False
    robust: tuple[float, float] = (0.1, 99.9)
    clim: tuple[float, float] | None = None

    def mapper(self, values: npt.NDArray[Any], mapper: Any) -> Any:
        """Return a mapper for these values: the same one, moved, where that will do."""
        low, high = self.clim or _style.limits(values, self.robust, positive=self.log)
        cls = LogColorMapper if self.log else LinearColorMapper
        palette = palette_of(self.cmap, self.gamma)
        if isinstance(mapper, cls):
            mapper.update(low=low, high=high)
            if mapper.palette != palette:
                mapper.palette = palette
            return mapper
        return cls(palette=palette, low=low, high=high, nan_color=_NAN)


def palette_of(cmap: str, gamma: float) -> list[str]:
    """Return the colours of a map, bent by gamma."""
    from holoviews.plotting.util import process_cmap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _style.palette(cmap, gamma)
        return list(process_cmap(cmap, 256)) if isinstance(found, str) else list(found)


def axis_label(axis: Axis) -> str:
    """Return name and unit of an axis."""
    return with_unit(axis.label, axis.units)


def blank(x: Range1d, y: Any, tools: list[Any], width: int, height: int, **more: Any) -> Any:
    """Return a figure in our style, without anything in it."""
    fig = figure(
        x_range=x, y_range=y, tools=tools, frame_width=width, frame_height=height, toolbar_location="below", **more
    )
    fig.toolbar.logo, fig.toolbar.active_tap = None, None  # a polygon would take the taps
    for axis in fig.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "11pt", "10pt"
        if hasattr(axis.formatter, "power_limit_high"):
            axis.formatter.power_limit_high = 6
    fig.title.text_font_size, fig.title.text_font_style = "11pt", "normal"
    return fig


def _span(axis: Axis) -> tuple[float, float]:
    """Return the outer borders of the pixels of an axis."""
    v = axis.values
    if v.size < 2:
        return float(v[0]) - 0.5, float(v[0]) + 0.5
    half = abs(float(v[-1] - v[0])) / (v.size - 1) / 2
    return float(v.min()) - half, float(v.max()) + half


class _Grid:
    """Two axes as an image needs them: ascending and even; uneven ones by their nearest points."""

    def __init__(self, y: Axis, x: Axis) -> None:
        self.y, self.x = y, x
        self.inverted = y.ascends
        self.take = tuple(_order(a) for a in (y, x))
        (self.bottom, self.top), (self.left, self.right) = _span(y), _span(x)

    def lay(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        rows, columns = self.take
        values = values if rows is None else values[rows]
        return values if columns is None else values[:, columns]


def _order(axis: Axis) -> npt.NDArray[np.int64] | None:
    v = axis.values
    if axis.step is None and v.size > 2:
        low, high = float(v.min()), float(v.max())
        where = np.linspace(low, high, v.size)
        order = np.argsort(v)
        middle = (v[order][1:] + v[order][:-1]) / 2
        return np.asarray(order[np.searchsorted(middle, where)])
    return None if axis.ascends else np.arange(v.size)[::-1]


class ImageFigure:
    """A map or pattern, with what is selected on it.

    Parameters
    ----------
    y, x : Axis
        As shown.
    quantity, units : str
        Of the values.
    equal : bool
        Whether both axes have one scale.
    size : int
        Pixels of the longer side.
    tools : sequence of str
        What may be drawn on it: box, lasso, polygon.
    """

    def __init__(
        self, y: Axis, x: Axis, *, quantity: str, units: str, equal: bool, size: int = 380, tools: Sequence[str] = ()
    ) -> None:
        self.grid = _Grid(y, x)
        self.values: npt.NDArray[Any] = np.zeros((1, 1), "f4")
        g = self.grid
        width, height = _shape(g, equal, size)
        bottom, top = (g.top, g.bottom) if g.inverted else (g.bottom, g.top)
        x_range, y_range = Range1d(g.left, g.right), Range1d(bottom, top)
        made = [DRAW[t]() for t in tools]
        self.hover = HoverTool(tooltips=[(x.label, "$x{0.[0000]}"), (y.label, "$y{0.[0000]}"), (quantity, "@image")])
        zoom = WheelZoomTool()
        pan = PanTool()
        self.fig = blank(x_range, y_range, [*made, pan, zoom, self.hover, ResetTool(), SaveTool()], width, height)
        self.fig.toolbar.active_drag = made[0] if made else pan
        self.fig.toolbar.active_scroll, self.fig.toolbar.active_inspect = zoom, None
        self.fig.xaxis.axis_label, self.fig.yaxis.axis_label = axis_label(x), axis_label(y)
        self.fig.grid.visible = False
        if width < 200:
            self.fig.xaxis.ticker = BasicTicker(desired_num_ticks=3)
        self.source = ColumnDataSource(_image_data(self.values, g, (g.left, g.bottom, g.right, g.top)))
        self.mapper: Any = LinearColorMapper(palette=["#000000", "#ffffff"], low=0, high=1, nan_color=_NAN)
        self.image = self.fig.image(
            "image", "x", "y", "dw", "dh", source=self.source, color_mapper=self.mapper, level="image"
        )
        self.bar = ColorBar(color_mapper=self.mapper, width=14, padding=4)
        self.fig.add_layout(self.bar, "right")
        self._said = quantity, units
        self.side = Title(text=quantity, align="center", text_font_size="11pt", text_font_style="normal")
        self.fig.add_layout(self.side, "right")
        fits = 1 / 6 <= height / width <= 4  # beyond, the aspect is not equal or the bar has no room
        if equal and fits and unit_text(x.units) and x.kind in ("spatial", "reciprocal"):
            handles = SimpleNamespace(state=self.fig, handles={"x_range": self.fig.x_range})
            _scalebar.hook("bokeh", x.units)(handles, None)
        self.marks = _Marks(self.fig, max(abs(g.right - g.left), abs(g.top - g.bottom)))
        self.fig.on_event(RangesUpdate, self._zoomed)

    def show(self, values: npt.NDArray[Any], colours: Colours, *, title: str = "") -> None:
        """Draw values (vertical, horizontal), in the order of the axes."""
        self.values = self.grid.lay(_style.displayable(np.asarray(values)))
        mapper = colours.mapper(self.values, self.mapper)
        self.source.data = self._visible()
        if mapper is not self.mapper:
            self.mapper = mapper
            self.image.glyph.color_mapper = mapper
            self.bar.color_mapper = mapper
        self.name(*self._said)
        if self.fig.title.text != title:
            self.fig.title.text = title

    def name(self, quantity: str, units: str) -> None:
        """Say what the values are."""
        self._said = quantity, units
        self.side.text = label_of(self.bar, quantity, units, reach_of(self.mapper.low, self.mapper.high))

    def _zoomed(self, event: Any) -> None:
        if self.values.size > _LARGE:
            self.source.data = self._visible((event.x0, event.x1), (event.y0, event.y1))

    def _visible(self, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> dict[str, Any]:
        """Return what is on the screen: all of it, or of a large image blocks of what is visible."""
        g, values = self.grid, self.values
        borders = (g.left, g.bottom, g.right, g.top)
        if values.size <= _LARGE:
            return _image_data(values, g, borders)
        rows, bottom, top = _part(values.shape[0], g.bottom, g.top, y or (self.fig.y_range.start, self.fig.y_range.end))
        columns, left, right = _part(
            values.shape[1], g.left, g.right, x or (self.fig.x_range.start, self.fig.x_range.end)
        )
        part = values[rows, columns]
        n = int(np.ceil(np.sqrt(part.size / _LARGE)))
        if n > 1:
            h, w = part.shape[0] // n, part.shape[1] // n
            right, top = left + (right - left) * w * n / part.shape[1], bottom + (top - bottom) * h * n / part.shape[0]
            part = part[: h * n, : w * n].reshape(h, n, w, n).mean(axis=(1, 3), dtype=np.float32)
        return _image_data(part, g, (left, bottom, right, top))


def _image_data(values: npt.NDArray[Any], grid: _Grid, borders: tuple[float, float, float, float]) -> dict[str, Any]:
    left, bottom, right, top = borders
    values = np.ascontiguousarray(values)
    return {"image": [values], "x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}


def _part(n: int, low: float, high: float, seen: tuple[float, float]) -> tuple[slice, float, float]:
    step = (high - low) / n
    first = int(np.clip(np.floor((min(seen) - low) / step), 0, n - 1))
    last = int(np.clip(np.ceil((max(seen) - low) / step), first + 1, n))
    return slice(first, last), low + first * step, low + last * step


def _shape(grid: _Grid, equal: bool, size: int) -> tuple[int, int]:
    width, height = grid.right - grid.left, grid.top - grid.bottom
    ratio = float(np.clip(height / width, 1 / 6, 6)) if equal else 0.75
    return (size, max(60, round(size * ratio))) if ratio <= 1 else (max(60, round(size / ratio)), size)


DRAW: dict[str, Callable[[], Any]] = {
    "box": lambda: BoxSelectTool(persistent=False),
    "lasso": lambda: LassoSelectTool(persistent=False, continuous=False),
    "polygon": lambda: PolySelectTool(persistent=False),
    "window": lambda: BoxSelectTool(dimensions="width", persistent=False),
}


class _Marks:
    """Points, outlines and apertures that lie on a figure."""

    def __init__(self, fig: Any, reach: float) -> None:
        self.points = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.lines = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        for width, colour, alpha in ((5, "white", 0.7), (2.5, "colour", 1.0)):  # to be seen on any ground
            fig.multi_line("xs", "ys", source=self.lines, line_color=colour, line_width=width, line_alpha=alpha)
            fig.scatter(
                "x",
                "y",
                source=self.points,
                marker="cross",
                size=18,
                line_color=colour,
                line_width=width,
                line_alpha=alpha,
            )
        self.failed = ColumnDataSource({"x": [], "y": []})
        fig.scatter("x", "y", source=self.failed, marker="x", size=7, line_color="#CC79A7", line_width=2)

    def show(self, points: Sequence[tuple[float, float, str]], lines: Sequence[tuple[Any, Any, str]]) -> None:
        """Draw points (x, y, colour) and outlines (xs, ys, colour)."""
        self.points.data = {k: [p[i] for p in points] for i, k in enumerate(("x", "y", "colour"))}
        self.lines.data = {
            k: [list(p[i]) if i < 2 else p[i] for p in lines] for i, k in enumerate(("xs", "ys", "colour"))
        }

    def cross_out(self, places: tuple[Sequence[float], Sequence[float]]) -> None:
        """Mark what is no result."""
        x, y = (list(v) for v in places)
        if x or len(self.failed.data["x"]):
            self.failed.data = {"x": x, "y": y}


class PointsFigure:
    """The points of a cloud at their places, coloured by value.

    Parameters
    ----------
    y, x : Axis
        Places, as shown.
    quantity, units : str
        Of the values.
    size : int
        Pixels of the longer side.
    """

    def __init__(self, y: Axis, x: Axis, *, quantity: str, units: str, size: int = 380) -> None:
        spans = [(float(np.nanmin(a.values)), float(np.nanmax(a.values))) for a in (y, x)]
        (bottom, top), (left, right) = [(a - (b - a or 1) * 0.04, b + (b - a or 1) * 0.04) for a, b in spans]
        ratio = float(np.clip((top - bottom) / (right - left), 1 / 6, 6)) if x.units == y.units else 0.75
        width, height = (size, round(size * ratio)) if ratio <= 1 else (round(size / ratio), size)
        tools = [
            BoxSelectTool(persistent=False),
            LassoSelectTool(persistent=False, continuous=False),
            PanTool(),
            WheelZoomTool(),
            ResetTool(),
            SaveTool(),
        ]
        self.fig = blank(Range1d(left, right), Range1d(top, bottom), tools, width, height)
        self.fig.toolbar.active_drag, self.fig.toolbar.active_scroll = tools[0], tools[3]
        self.fig.xaxis.axis_label, self.fig.yaxis.axis_label = axis_label(x), axis_label(y)
        self.mapper: Any = LinearColorMapper(palette=["#000000", "#ffffff"], low=0, high=1, nan_color=_NAN)
        self.source = ColumnDataSource({"x": x.values, "y": y.values, "value": np.zeros(x.values.size)})
        fill = {"field": "value", "transform": self.mapper}
        self.dots = self.fig.scatter("x", "y", source=self.source, size=8, fill_color=fill, line_color=None)
        self.dots.nonselection_glyph = None
        self.bar = ColorBar(color_mapper=self.mapper, width=14, padding=4)
        self.fig.add_layout(self.bar, "right")
        self._said = quantity, units
        self.side = Title(text=quantity, align="center", text_font_style="normal")
        self.fig.add_layout(self.side, "right")
        self.marks = _Marks(self.fig, right - left)

    def show(self, values: npt.NDArray[Any], colours: Colours, *, title: str = "") -> None:
        """Colour the points."""
        shown = _style.displayable(np.asarray(values))
        mapper = colours.mapper(shown, self.mapper)
        self.source.data = {**self.source.data, "value": shown}
        if mapper is not self.mapper:
            self.mapper, self.bar.color_mapper = mapper, mapper
            self.dots.glyph.fill_color = {"field": "value", "transform": mapper}
        self.side.text = label_of(self.bar, *self._said, reach_of(mapper.low, mapper.high))
        self.fig.title.text = title
