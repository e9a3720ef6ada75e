"""The repr of ``da.sid``, ``ds.sid`` and ``tree.sid``: what it is, at a glance. Nothing is loaded or computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import xarray as xr

from sid_xarray.core.trees import signals
from sid_xarray.viz import _facts as facts
from sid_xarray.viz._labels import plain

__all__ = ["html", "text"]

Sid = xr.DataArray | xr.Dataset | xr.DataTree
Row = tuple[str, ...]
_MOST = 60

_STYLE = (
    "display:inline-flex;gap:16px;align-items:flex-start;padding:8px 12px;"
    "border:1px solid rgba(128,128,128,.35);border-radius:6px;"
    "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:100%;overflow-x:auto"
)
_CELL = "padding:1px 12px 1px 0;text-align:left;vertical-align:top;white-space:pre;background:none;border:none"
_FAINT = "opacity:.65"


def text(obj: Sid) -> str:
    """Describe an array, a Dataset or a tree in plain text.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree

    Returns
    -------
    str
        A head line, a table, and what is said about it. Control characters of a file are left out.
    """
    head, tables, notes = _gather(obj)
    lines = [f"<sid {head[0]}>{'  ' if head[1:] else ''}{'  ·  '.join(part for part in head[1:] if part)}"]
    for table in tables:
        lines += _columns(table)
    width = max((len(word) for word, _ in notes), default=0)
    lines += [f"  {word:<{width}}  {line}" for word, line in notes]
    return "\n".join(lines)


def html(obj: Sid) -> str:
    """Describe an array, a Dataset or a tree as a small card for notebooks.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree

    Returns
    -------
    str
        HTML without scripts, all text of the file escaped, with a stamp-sized picture of small data in memory.
    """
    head, tables, notes = _gather(obj)
    rest = " · ".join(escape(part) for part in head[1:] if part)
    body = [f"<div><b>{escape(head[0])}</b>{'&ensp;' if rest else ''}{rest}</div>"]
    body += [_table(table) for table in tables if len(table) > 1]
    if notes:
        body.append(_table([(), *notes]))
    picture = _picture(obj)
    side = f"<div>{picture}</div>" if picture else ""
    return f'<div class="sid-card" style="{_STYLE}"><div>{"".join(body)}</div>{side}</div>'


def _gather(obj: Sid) -> tuple[Row, list[list[Row]], list[Row]]:
    """Return the parts of the head line, the tables (first row: names of columns), and named notes."""
    if isinstance(obj, xr.DataArray):
        return _array(obj)
    return _tree(obj) if isinstance(obj, xr.DataTree) else _dataset(obj)


def _array(da: xr.DataArray) -> tuple[Row, list[list[Row]], list[Row]]:
    head = (facts.kind_of(da), facts.what(da), str(da.dtype), facts.shape_text(da), facts.storage(da))
    table, guess = _dims(da)
    notes = [*guess, *facts.said(da), ("metadata", facts.metadata_line(da)), ("history", facts.history_line(da))]
    return head, [table], [note for note in notes if note[1]]


def _dataset(ds: xr.Dataset) -> tuple[Row, list[list[Row]], list[Row]]:
    sizes = ", ".join(f"{plain(d, limit=24)} {n}" for d, n in ds.sizes.items())
    head = ("dataset", f"{len(ds.data_vars)} variables", sizes)
    rows = [
        (plain(name, limit=32), facts.what(da), facts.kind_of(da), _dims_line(da), str(da.dtype), facts.storage(da))
        for name, da in ds.data_vars.items()
    ]
    table, guess = _dims(ds)
    notes = [*guess, *facts.said(ds), ("metadata", facts.metadata_line(ds)), ("history", facts.history_line(ds))]
    named = [("variable", "quantity", "kind", "dims", "dtype", "size"), *_shortened(rows)]
    return head, [named, table], [note for note in notes if note[1]]


def _tree(tree: xr.DataTree) -> tuple[Row, list[list[Row]], list[Row]]:
    found = signals(tree)
    rows = [
        (facts.where(path), facts.what(da), facts.kind_of(da), _dims_line(da), str(da.dtype), facts.storage(da))
        for path, da in found.items()
    ]
    head = ("tree", f"{len(found)} {'signal' if len(found) == 1 else 'signals'}", plain(tree.name or "", limit=60))
    table = [("signal", "quantity", "kind", "dims", "dtype", "size"), *_shortened(rows)]
    return head, [table], facts.said(tree.dataset)


def _dims_line(da: xr.DataArray) -> str:
    return " × ".join(f"{plain(d, limit=20)} {n}" for d, n in da.sizes.items()) or "one number"


def _dims(obj: xr.DataArray | xr.Dataset) -> tuple[list[Row], list[Row]]:
    """Return the table of dimensions, and the note that explains which types are guesses."""
    found = facts.dim_facts(obj)
    rows: list[Row] = [("dim", "type", "size", "range", "step")]
    rows += [(f.name, f"{f.kind}{' *' if f.evidence else ''}", str(f.size), f.span, f.step) for f in found]
    guesses = ", ".join(f"{f.name} from its {f.evidence}" for f in found if f.evidence)
    return (rows if found else []), ([("*", f"guessed: {guesses}")] if guesses else [])


def _shortened(rows: Sequence[Row]) -> list[Row]:
    if len(rows) <= _MOST:
        return list(rows)
    return [*rows[: _MOST - 1], (f"… {len(rows) - _MOST + 1} more", *[""] * (len(rows[0]) - 1))]


def _columns(table: Sequence[Row]) -> Iterable[str]:
    if not table:
        return
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _table(table: Sequence[Row]) -> str:
    head = "".join(f'<th style="{_CELL};font-weight:normal;{_FAINT}">{escape(cell)}</th>' for cell in table[0])
    rows = [f"<tr>{head}</tr>"] if head else []
    for row in table[1:]:
        styles = [_CELL if head else f"{_CELL};{_FAINT}", *[_CELL] * (len(row) - 1)]
        cells = [f'<td style="{style}">{escape(cell)}</td>' for style, cell in zip(styles, row, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="border-collapse:collapse;margin:4px 0;font-size:12px">{"".join(rows)}</table>'


def _picture(obj: Sid) -> str:
    from sid_xarray.viz._thumbnail import thumbnail

    return thumbnail(obj) if isinstance(obj, xr.DataArray) else ""
