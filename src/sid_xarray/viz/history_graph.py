"""A history as a graph: boxes from left to right, lines from every input, all that is known of a step on hovering."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from sid_xarray.core.calls import Call, arguments, joined, short
from sid_xarray.core.provenance import Provenance
from sid_xarray.errors import ProvenanceError
from sid_xarray.viz import _style
from sid_xarray.viz._history_layout import Edge, Node, in_columns
from sid_xarray.viz._labels import number, plain

__all__ = ["graph"]

# In columns and lanes, and pixels of each; print has 100 of them to the inch.
_WIDE, _HIGH = 0.8, 0.62
_COLUMN, _LANE = 170, 62
_MOST = 400
_FILL = {"root": "#DCEBF7", "verb": "#F3F3F3", "gap": "#FBE0CC"}
_FIELDS = ("step", "operation", "parameters", "results", "shape", "units", "time", "made with")

Point = tuple[float, float]


def graph(history: Provenance, *, columns: int = 7, backend: str | None = None) -> Any:
    """Draw the history as a graph, from what it starts from on the left to the array on the right.

    Parameters
    ----------
    history : Provenance
    columns : int, default: 7
        Boxes in a row; a longer history goes on in the next one.
    backend : {"bokeh", "matplotlib"}, optional
        As for ``da.sid.plot``. With bokeh, parameters show when the mouse is over a box.

    Returns
    -------
    holoviews.Overlay
        Blue boxes are data that were given, orange ones left no record or hold a function; the last one has a
        thick border. Save it with ``sid.save(graph, "history.html")``.

    Raises
    ------
    ProvenanceError
        If there is no history.
    MissingDependencyError
        If holoviews is not installed.
    """
    if not history.steps:
        raise ProvenanceError(f"there is no history to draw{f': {history.reason}' if history else ''}")
    if columns < 1:
        raise ValueError(f"columns is the number of boxes in a row, 1 or more; got {columns}")
    hv = _style.ready(backend)
    calls = history.calls[-_MOST:]
    nodes, edges = in_columns(calls)
    sheet = _Sheet(nodes, edges, columns)
    left = len(history.calls) - len(calls)
    title = f"{history.status}: {history.reason}" + (f" ({left} earlier steps are not shown)" if left else "")
    wide, high = sheet.pixels
    shown = {"xaxis": None, "yaxis": None, "show_frame": False, "xlim": sheet.xlim, "ylim": sheet.ylim}
    bounds = (0, 0, 1, high / (high + 40))
    both = {**shown, "title": _style.wrapped(title, wide)}
    parts = [_lines(hv, sheet), _boxes(hv, sheet, history), *_words(hv, sheet)]
    return _style.apply(
        hv.Overlay(parts),
        both,
        bokeh={"frame_width": wide, "frame_height": high, "toolbar": "above", "shared_axes": False},
        matplotlib={"fig_inches": (wide / 100, high / 100 + 0.4), "fig_bounds": bounds, "aspect": "auto"},
    )


class _Sheet:
    """Columns broken into rows, so that a long history fits a page."""

    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge], columns: int) -> None:
        self.nodes, self.edges = nodes, edges
        layers = max(node.layer for node in nodes) + 1
        rows = math.ceil(layers / columns)
        self.columns = math.ceil(layers / rows)
        self._through: list[list[int]] = [[] for _ in range(rows)]  # by row: lanes of lines that go on in the next
        used: list[set[int]] = [{node.lane for node in nodes if self._row(node.layer) == row} for row in range(rows)]
        for edge in edges:
            lane = nodes[edge.source].lane
            for row in range(self._row(nodes[edge.source].layer), self._row(nodes[edge.target].layer)):
                self._through[row] = sorted({*self._through[row], lane})
                used[row].add(lane)
                used[row + 1].add(lane)
        self._used = [sorted(lanes) for lanes in used]  # lanes that are empty in a row take no room there
        self._top = [0.0]
        for row in range(rows - 1):
            gutter = 0.3 + 0.14 * len(self._through[row])
            self._top.append(self._top[-1] - len(self._used[row]) - gutter)
        margin = 0.12 + 0.08 * max((len(t) for t in self._through), default=0)
        self.xlim = (-0.5 - margin, self.columns - 0.5 + margin)
        self.ylim = (self._top[-1] - len(self._used[-1]) + 0.4, 0.6)

    @property
    def pixels(self) -> tuple[int, int]:
        """Size of the whole: the same scale for every history, so that words fit into boxes."""
        wide, high = self.xlim[1] - self.xlim[0], self.ylim[1] - self.ylim[0]
        return round(wide * _COLUMN), round(high * _LANE)

    def place(self, node: Node) -> Point:
        """Return the middle of a box."""
        return self._column(node.layer), self._y(self._row(node.layer), node.lane)

    def paths(self) -> Iterator[list[Point]]:
        """Yield the lines between boxes, and the heads of their arrows."""
        for edge in self.edges:
            a, b = self.nodes[edge.source], self.nodes[edge.target]
            yield from self._path(a, b)
            x, y = self.place(b)
            x -= _WIDE / 2
            yield [(x - 0.035, y + 0.09), (x, y), (x - 0.035, y - 0.09)]

    def _path(self, a: Node, b: Node) -> Iterator[list[Point]]:
        x, y = self.place(a)
        line: list[Point] = [(x + _WIDE / 2, y)]
        for row in range(self._row(a.layer), self._row(b.layer)):
            through = self._through[row]
            rank = len(through) - through.index(a.lane)
            gutter = self._top[row + 1] + 0.42 + 0.14 * (len(through) - rank)
            right, left = self.columns - 0.56 + 0.08 * rank, -0.44 - 0.08 * (len(through) - rank + 1)
            y = self._y(row + 1, a.lane)
            line += [(right, line[-1][1]), (right, gutter), (left, gutter), (left, y)]
        end, target = self.place(b)
        if y != target:  # along its own lane, and down or up to the other just before the box
            line += [(end - 0.5 - 0.06, y), (end - 0.5 + 0.04, target)]
        line.append((end - _WIDE / 2, target))
        yield line

    def _row(self, layer: int) -> int:
        return layer // self.columns

    def _column(self, layer: int) -> float:
        return float(layer % self.columns)

    def _y(self, row: int, lane: int) -> float:
        return self._top[row] - self._used[row].index(lane)


def _lines(hv: Any, sheet: _Sheet) -> Any:
    return _style.apply(
        hv.Path(list(sheet.paths()) or [[(_WIDE / 2, 0.0)] * 2]),
        bokeh={"color": "#888888", "line_width": 1.4},
        matplotlib={"color": "#888888", "linewidth": 1.0},
        fonts=False,
    )


def _boxes(hv: Any, sheet: _Sheet, history: Provenance) -> Any:
    heads = set(history.heads)
    rows = []
    for node in sheet.nodes:
        x, y = sheet.place(node)
        call = node.call
        last = any(step.id in heads for step in call.steps)
        kind = "root" if call.step.is_root else "verb" if call.is_repeatable else "gap"
        box = (x - _WIDE / 2, y - _HIGH / 2, x + _WIDE / 2, y + _HIGH / 2)
        rows.append((*box, *_facts(call), _FILL[kind], "#222222" if last else "#999999", 2.0 if last else 1.0))
    boxes = hv.Rectangles(rows, vdims=[*_FIELDS, "fill", "edge", "border"])
    tips = [(name, f"@{{{name}}}") for name in _FIELDS]
    return _style.apply(
        boxes,
        bokeh={
            "fill_color": "fill",
            "line_color": "edge",
            "line_width": "border",
            "tools": ["hover"],
            "hover_tooltips": tips,
        },
        matplotlib={"facecolor": "fill", "edgecolor": "edge", "linewidth": "border"},
        fonts=False,
    )


def _words(hv: Any, sheet: _Sheet) -> Iterator[Any]:
    names, more = [], []
    for node in sheet.nodes:
        x, y = sheet.place(node)
        said = _brief(node.call)
        names.append((x, y + (0.12 if said else 0), plain(node.call.name, limit=18)))
        more.append((x, y - 0.15, said))
    for rows, size, colour in ((names, 9, "#111111"), (more, 8, "#555555")):
        yield _style.apply(
            hv.Labels(rows, vdims="text"),
            bokeh={"text_font_size": f"{size}pt", "text_color": colour},
            matplotlib={"size": size, "color": colour},
            fonts=False,
        )


def _brief(call: Call) -> str:
    """Return the line below the name: the file, or what tells this call from another of the same verb."""
    params = arguments(call.step)
    if call.step.is_root:
        return plain(params.get("name") or "", limit=20)
    if not call.is_recorded:
        return plain(params.get("what", ""), limit=20)
    return plain(", ".join(_bare(v) for k, v in params.items() if k != "dim" and not _is_empty(v)), limit=20)


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | str) and not value


def _bare(value: Any) -> str:
    """Return a value without quotes and braces, which a box has no room for."""
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_bare(v)}" for k, v in value.items())
    if isinstance(value, list | tuple) and len(value) == 2:
        return " … ".join(_bare(v) for v in value)
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else short(value, 40)


def _facts(call: Call) -> tuple[str, ...]:
    step, out = call.step, call.step.out
    params = "; ".join(f"{k} = {short(v, 120)}" for k, v in arguments(step).items())
    shape = out.get("shape")
    units = out.get("units")
    known = [f"{k or 'values'}: {u}" for k, u in units.items()] if isinstance(units, dict) else []
    agents = ", ".join(f"{k} {v}" for k, v in step.agents.items())
    texts = (
        call.number,
        step.op,
        params,
        joined(call.parts, 8),
        " × ".join(map(str, shape)) if isinstance(shape, list) else "",
        ", ".join(known),
        step.time,
        agents,
    )
    return tuple(plain(text, limit=400) for text in texts)
