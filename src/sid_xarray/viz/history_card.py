"""A history as a small card for notebooks: a line that unfolds to the list of steps; no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from sid_xarray.core.calls import Call, arguments, joined, line, short
from sid_xarray.core.provenance import Provenance
from sid_xarray.viz._history_layout import Edge, Node, in_rows
from sid_xarray.viz._labels import plain

__all__ = ["html"]

_ROW, _LANE, _MOST = 22, 14, 200
_COLOURS = {"verified": "#009E73", "modified": "#D55E00", "merged": "#0072B2", "unknown": "#777", "none": "#777"}
_BOX = "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:100%"
_TEXT = f"height:{_ROW}px;line-height:{_ROW}px;white-space:pre;font-size:12px"


def html(history: Provenance) -> str:
    """Show a history as a card: its status, and the list of steps when it is unfolded.

    Parameters
    ----------
    history : Provenance

    Returns
    -------
    str
        HTML without scripts; all text of the history is escaped.
    """
    if not history:
        return f'<div style="{_BOX}"><b>no provenance</b></div>'
    calls = history.calls
    colour = _COLOURS.get(history.status, "#777")
    names = [plain(call.name, limit=32) for call in calls]
    chain = " → ".join(names if len(names) <= 8 else [*names[:3], "…", *names[-4:]])
    n = len(calls)
    head = (
        f'<b>provenance</b> <span style="color:{colour}">{escape(history.status)}</span> · '
        f"{n} step{'s' if n != 1 else ''} · {escape(chain)}"
    )
    why = f'<div style="opacity:.65;margin:2px 0 4px">{escape(history.reason)}</div>'
    if not calls:  # the text of the history cannot be read
        return f'<div style="{_BOX}">{head}: {escape(history.reason)}</div>'
    return (
        f'<details class="sid-history" style="{_BOX}"><summary style="cursor:pointer">{head}</summary>'
        f"{why}{_list(calls[-_MOST:], n)}</details>"
    )


def _list(calls: tuple[Call, ...], total: int) -> str:
    nodes, edges = in_rows(calls)
    before = f'<div style="opacity:.65">{total - len(calls)} earlier steps are not shown</div>'
    number = {step.id: call.number for call in calls for step in call.steps}
    rows = "".join(f'<div style="{_TEXT}">{_row(call, number)}</div>' for call in calls)
    body = f'{_lines(nodes, edges)}<div style="overflow-x:auto">{rows}</div>'
    return f'{before if total > len(calls) else ""}<div style="display:flex;gap:8px">{body}</div>'


def _row(call: Call, number: Mapping[str, str]) -> str:
    name = plain(call.name, limit=40)
    # As it is typed: `plain` would take the braces for TeX.
    rest = "".join(c if c.isprintable() else " " for c in line(call, number).removeprefix(call.name))
    said = escape(rest if len(rest) <= 160 else rest[:159] + "…")
    time = f'<span style="opacity:.55">&ensp;{escape(plain(call.step.time, limit=24))}</span>' if call.step.time else ""
    at = f'<span style="opacity:.55">{escape(call.number)}.</span>'
    return f'<span title="{escape(_hint(call), quote=True)}">{at} <b>{escape(name)}</b>{said}{time}</span>'


def _hint(call: Call) -> str:
    out = call.step.out
    rows = [f"{plain(k, limit=40)} = {plain(short(v, 200), limit=200)}" for k, v in arguments(call.step).items()]
    shape = out.get("shape")
    if isinstance(shape, list):
        rows.append(f"result: {' × '.join(map(str, shape)) or 'one number'}, {plain(out.get('dtype', ''), limit=20)}")
    if len(call.parts) > 1:
        rows.append(f"results: {plain(joined(call.parts, 12), limit=300)}")
    return "\n".join(rows)


def _lines(nodes: list[Node], edges: list[Edge]) -> str:
    """Draw the lanes: a dot a step, a line from every input."""
    wide = (max(node.lane for node in nodes) + 1) * _LANE
    high = len(nodes) * _ROW
    shapes = []
    for edge in edges:
        a, b = nodes[edge.source], nodes[edge.target]
        x0, y0, x1, y1 = _x(a.lane), _y(a.layer), _x(b.lane), _y(b.layer)
        turn = y1 - _ROW
        shapes.append(f'<path d="M{x0} {y0}V{turn}C{x0} {turn + 11} {x1} {turn + 11} {x1} {y1}"/>')
    dots = []
    for node in nodes:
        fill = "#D55E00" if not node.call.is_repeatable else "#0072B2"
        hollow = node.call.step.is_root
        dots.append(
            f'<circle cx="{_x(node.lane)}" cy="{_y(node.layer)}" r="4" stroke="{fill}" '
            f'fill="{"#fff" if hollow else fill}"/>'
        )
    return (
        f'<svg width="{wide}" height="{high}" style="flex:none" xmlns="http://www.w3.org/2000/svg">'
        f'<g fill="none" stroke="#999" stroke-width="1.5">{"".join(shapes)}</g>'
        f'<g stroke-width="1.5">{"".join(dots)}</g></svg>'
    )


def _x(lane: int) -> int:
    return lane * _LANE + _LANE // 2


def _y(row: int) -> int:
    return row * _ROW + _ROW // 2
