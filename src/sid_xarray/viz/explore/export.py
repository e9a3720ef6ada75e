"""A page that works from disk: the same figures, with the numbers inside and a few lines of JavaScript."""

from __future__ import annotations

import json
import os
import secrets
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from bokeh.events import SelectionGeometry, Tap
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, CustomJS

from sid_xarray.viz._labels import plain, unit_text
from sid_xarray.viz._select import read
from sid_xarray.viz.explore._read import part_of
from sid_xarray.viz.save import page_of

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["export"]

_JS = Path(__file__).with_suffix(".js")


def export(ex: Explorer, path: str | os.PathLike[str], *, max_values: int) -> str:
    """Write the app into one file; without a map of two dimensions and a signal, what is shown stands still.

    Parameters
    ----------
    ex : Explorer
        Sliders stay where they are.
    path : path-like
        ``.html``.
    max_values : int
        Larger arrays are averaged in blocks until they have no more values.

    Returns
    -------
    str
        The path.
    """
    from sid_xarray.viz.explore.layout import View

    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"cannot write {target.name!r}: the app is saved as .html. Pictures: sid.save(da, path)")
    small, note = _small(ex, max_values)
    view = View(small)
    figures = [fig.fig for fig in view.maps.values()]
    figures += [f.fig for f in (view.profile, view.curve, view.pattern) if f is not None]
    for name, fig in zip(("sid-map", "sid-signal"), (figures[0], figures[-1]), strict=True):
        fig.name = name
    if len(small.plan.map) == 2 and small.plan.signal:
        _link(view, small)
    if note:
        figures[0].title.text = f"{figures[0].title.text} ({note})"
    title = plain(ex.arrays[ex.main].attrs.get("sid_title") or ex.main, limit=80)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(page_of(row(*figures), escape(title)), encoding="utf-8")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return str(target)


def _small(ex: Explorer, max_values: int) -> tuple[Explorer, str]:
    """Return the explorer of what goes into the page: the plane of the sliders, averaged where it is too large."""
    da = ex._here(ex.main)
    plan = type(ex.plan)(ex.plan.map, ex.plan.signal, (), ex.plan.places)
    blocks = dict.fromkeys(da.dims, 1)
    if ex.plan.signal and not ex.plan.places:
        while _size(da, blocks) > max_values:
            widest = max(blocks, key=lambda d: da.sizes[d] // blocks[d])
            blocks[widest] += 1
    many = {d: n for d, n in blocks.items() if n > 1}
    values = part_of(read(da, da.dims), ex.part)
    small = xr.DataArray(values, dims=da.dims, coords=da.coords, attrs=da.attrs, name=da.name)
    if many:
        attrs = {d: da[d].attrs for d in da.coords}
        small = small.coarsen(many, boundary="trim").mean().assign_attrs(da.attrs)
        for d in small.coords:
            small[d].attrs.update(attrs.get(d, {}))
    note = f"averaged in blocks of {' × '.join(str(blocks[d]) for d in da.dims)}" if many else ""
    keep = {k: getattr(ex, k) for k in ("cmap", "gamma", "logz", "robust", "size", "spread")}
    regions = [] if many else ex.regions
    made = type(ex)(
        {ex.main: small}, plan, ex.names, window=ex.window, **({"regions": regions} if regions else {}), **keep
    )
    return made, note


def _size(da: xr.DataArray, blocks: dict[Any, int]) -> int:
    return int(np.prod([-(-da.sizes[d] // n) for d, n in blocks.items()], dtype=np.int64))


def _link(view: Any, ex: Explorer) -> None:
    """Let figures answer without Python."""
    plan, da = ex.plan, ex.arrays[ex.main]
    first, second = next(iter(view.maps.values())), view.curve or view.pattern
    v, h = (ex.axes[d] for d in plan.map)
    values = np.asarray(da.transpose(*plan.map, *plan.signal).values)
    small = values.astype("f4") if values.dtype.kind == "b" or values.dtype.itemsize > 4 else values
    axes = [ex.axes[d] for d in plan.signal]
    sx, sy = axes[-1], axes[0] if len(axes) == 2 else None
    meta = {
        "ny": v.values.size, "nx": h.values.size, "y": v.values.tolist(), "x": h.values.tolist(),
        "vs": sy.values.size if sy else 1, "hs": sx.values.size, "sx": sx.values.tolist(),
        "sy": sy.values.tolist() if sy else [0], "units_x": unit_text(h.units), "units_y": unit_text(v.units),
        "units_s": unit_text(sx.units), "label_x": h.label, "label_y": v.label,
        "flip": _orders(first.grid.take, values.shape[:2]),
        "rows": [], "columns": [], "curve": None, "radius": 0.0,
    }  # fmt: skip
    if view.curve is not None:
        view.curve.fig.legend[0].visible = False  # the title says where the curve is from
        meta["curve"] = view.curve._order.tolist()
        parts = {"line": view.curve.lines[0].data_source, "range": view.curve.fig.y_range, "band": view.curve.band}
        spare = {"pattern": parts["line"], "pattern_mapper": first.mapper, "aperture": first.marks.lines}
    else:
        meta["rows"], meta["columns"] = _orders(second.grid.take, values.shape[2:])
        meta["radius"] = view._radii()[1]
        parts = {"pattern": second.source, "pattern_mapper": second.mapper, "aperture": second.marks.lines}
        spare = {"line": first.source, "range": first.fig.y_range, "band": first.marks.points}
    args = {
        "cube": ColumnDataSource({"v": np.ascontiguousarray(small).ravel()}), "meta": json.dumps(meta),
        "image": first.source, "mapper": first.mapper, "points": first.marks.points, "lines": first.marks.lines,
        "title": second.fig.title, "heading": first.fig.title, **spare, **parts,
    }  # fmt: skip
    for fig, which, events in (
        (first.fig, "map", (Tap, SelectionGeometry)),
        (second.fig, "signal", (Tap, SelectionGeometry)),
    ):
        js = CustomJS(args={**args, "which": which}, code=_JS.read_text(encoding="utf-8"))
        for event in events:
            fig.js_on_event(event, js)


def _orders(take: tuple[Any, Any], shape: tuple[int, ...]) -> list[list[int]]:
    return [list(range(n)) if t is None else [int(i) for i in t] for t, n in zip(take, shape, strict=True)]
