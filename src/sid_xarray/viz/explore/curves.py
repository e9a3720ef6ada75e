"""The figure of the curves: of regions, with bands, and the window that is chosen on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    HoverTool,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    WheelZoomTool,
)

from sid_xarray.viz import _style
from sid_xarray.viz._axes import Axis
from sid_xarray.viz.explore._prefix import label_of, reach_of
from sid_xarray.viz.explore.figures import DRAW, axis_label, blank

__all__ = ["CurveFigure"]

_DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")


class CurveFigure:
    """Curves over one axis, with bands, and the window that is chosen on it.

    Parameters
    ----------
    axis : Axis
        As shown.
    quantity, units : str
        Of the values.
    width, height : int
        Of the frame.
    window : bool
        Whether a window can be drawn.
    """

    def __init__(
        self, axis: Axis, *, quantity: str, units: str, width: int = 460, height: int = 300, window: bool = True
    ) -> None:
        low, high = (float(axis.values.min()), float(axis.values.max())) if axis.values.size else (0.0, 1.0)
        pad = (high - low) * 0.01 or 0.5
        drawn = [DRAW["window"]()] if window else []
        pan, zoom = PanTool(), WheelZoomTool()
        hover = HoverTool(tooltips=[(axis.label, "@x"), (quantity, "@y")], mode="vline")
        self.fig = blank(
            Range1d(low - pad, high + pad),
            Range1d(0, 1),
            [*drawn, pan, zoom, hover, ResetTool(), SaveTool()],
            width,
            height,
        )
        self.fig.toolbar.active_drag = drawn[0] if drawn else pan
        self.fig.toolbar.active_scroll, self.fig.toolbar.active_inspect = zoom, None
        self.fig.grid.grid_line_alpha = 0.4
        self.fig.min_border_left = 80  # so that figures below each other have their axes below each other
        self.fig.xaxis.axis_label = axis_label(axis)
        self.axis, self.quantity, self.units = axis, quantity, units
        self._order = np.argsort(axis.values, kind="stable")
        self._x = axis.values[self._order]
        self.lines: list[Any] = []
        self.bands: list[Any] = []
        self.band = BoxAnnotation(
            left=low,
            right=high,
            fill_color="#009E73",
            fill_alpha=0.15,
            line_alpha=0.5,
            visible=False,
            propagate_hover=False,
        )
        self.fig.add_layout(self.band)
        hover.renderers = []
        self._hover = hover

    def show(self, curves: Sequence[tuple[Any, Any, str, int, str]], *, units: str = "", quantity: str = "") -> None:
        """Draw curves: values, spread or None, label, dash, colour."""
        while len(self.lines) < len(curves):
            self._more()
        ends = []
        for i, (line, band) in enumerate(zip(self.lines, self.bands, strict=True)):
            if i >= len(curves):
                line.visible = band.visible = False
                continue
            values, spread, label, dash, colour = curves[i]
            y = _style.displayable(np.asarray(values))[self._order]
            line.data_source.data = {"x": self._x, "y": y}
            line.glyph.update(line_color=colour, line_dash=_DASHES[dash % 5])
            line.visible, band.visible = True, spread is not None
            ends.append((y, y))
            if spread is not None:
                s = _style.displayable(np.asarray(spread))[self._order]
                band.data_source.data = {"x": self._x, "y1": y - s, "y2": y + s}
                band.glyph.fill_color = colour
                ends[-1] = (y - s, y + s)
            item = self.fig.legend[0].items[i]
            item.label, item.visible = {"value": label}, True
        for item in self.fig.legend[0].items[len(curves) :] if self.lines else ():
            item.visible = False
        if self.lines:
            self.fig.legend[0].visible = any(label for _, _, label, _, _ in curves)
            self.fig.legend[0].location = _style.free_corner(self._x, [line for pair in ends for line in pair])
        reach = reach_of(*(line for pair in ends for line in pair))
        self.fig.yaxis[0].axis_label = label_of(
            self.fig.yaxis[0], quantity or self.quantity, units or self.units, reach
        )
        self._fit(ends)

    def _more(self) -> None:
        i = len(self.lines)
        empty: dict[str, list[float]] = {"x": [], "y1": [], "y2": []}
        self.bands.append(self.fig.varea("x", "y1", "y2", source=ColumnDataSource(empty), fill_alpha=0.2))
        line = self.fig.line(
            "x", "y", source=ColumnDataSource({"x": [], "y": []}), line_width=1.6, legend_label=f"curve {i}"
        )
        line.nonselection_glyph = None
        self.lines.append(line)
        self._hover.renderers = list(self.lines)
        legend = self.fig.legend[0]
        legend.update(
            label_text_font_size="9pt",
            background_fill_alpha=0.6,
            padding=4,
            spacing=1,
            location="top_right",
            border_line_alpha=0.3,
        )

    def _fit(self, ends: Sequence[tuple[Any, Any]]) -> None:
        """Bring what is visible of the curves into the frame; where the user has zoomed to stays."""
        seen = (self._x >= self.fig.x_range.start) & (self._x <= self.fig.x_range.end)
        found = [e[seen] for pair in ends for e in pair]
        values = np.concatenate(found) if found else np.zeros(0)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = float(values.min()), float(values.max())
            pad = 0.05 * (high - low) or abs(low) * 0.05 or 0.5
            self.fig.y_range.update(start=low - pad, end=high + pad, reset_start=low - pad, reset_end=high + pad)

    def show_window(self, span: tuple[float, float] | None) -> None:
        """Mark the window."""
        self.band.visible = span is not None
        if span is not None:
            low, high = sorted(span)
            if low == high and self._x.size > 1:
                half = float(np.diff(self._x).min()) / 2
                low, high = low - half, high + half
            self.band.update(left=low, right=high)
