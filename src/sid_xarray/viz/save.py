"""Pictures as files: PNG, SVG, PDF for print, HTML that opens anywhere."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.viz import _style

__all__ = ["page_of", "save"]

_ADDRESSES = re.compile(r"<script[^>]*\bsrc=[^>]*>\s*</script>|<link[^>]*\bhref=[^>]*>")
_SHEETS = re.compile(r'"https://cdn\.[^"]*\.css"')
_ICONS = re.compile(r'<link rel="(?:[a-z-]*icon|manifest)"[^>]*>')
_FRAMES = 60
_FORMATS = {".png": "matplotlib", ".svg": "matplotlib", ".pdf": "matplotlib", ".html": "bokeh"}


def save(
    obj: Any,
    path: str | os.PathLike[str],
    *,
    backend: str | None = None,
    dpi: int = 300,
    title: str | None = None,
    **opts: Any,
) -> Path:
    """Write a picture into a file; no browser is needed.

    Parameters
    ----------
    obj : holoviews object, DataArray or Dataset
        Arrays are drawn first, as by ``da.sid.plot(**opts)``.
    path : path-like
        ``.png``, ``.svg`` and ``.pdf`` are drawn by matplotlib; ``.html`` by bokeh, with all scripts inside, so
        that it opens from disk without a network. An existing file is replaced when the new one is complete.
    backend : {"matplotlib", "bokeh"}, optional
        To be sure; each format has one.
    dpi : int, default: 300
        Resolution of PNG.
    title : str, optional
        Title of the picture of an array, and of the HTML page.
    **opts
        Options of the view, when an array is given.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If the format is unknown, or the backend cannot write it.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"save(what, where): where is the name of a file, got {type(path).__name__}")
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"cannot write {target.name!r}: the end of its name should be one of {', '.join(_FORMATS)}.")
    writes = _FORMATS[suffix]
    if backend is not None and backend != writes:
        raise ValueError(f"{suffix} is written by {writes}, not by {backend!r}. Leave backend out.")
    hv = _style.ready()
    if isinstance(obj, xr.DataArray | xr.Dataset):
        from sid_xarray.viz.draw import plot

        obj = plot(obj, **({"title": title} if title is not None else {}), **opts)
    elif not isinstance(obj, hv.core.Dimensioned):
        raise TypeError(f"save(what, where) writes an array or a picture of holoviews, got {type(obj).__name__}")
    elif opts:
        raise TypeError(f"options {sorted(opts)} are for arrays; style a picture with .opts(...) before it is saved.")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        (_html if suffix == ".html" else _figure)(hv, obj, part, suffix[1:], dpi, title or target.stem)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _figure(hv: Any, obj: Any, path: Path, kind: str, dpi: int, title: str) -> None:
    import matplotlib.pyplot as plt

    figure = hv.render(obj, backend="matplotlib")
    try:
        figure.savefig(path, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=0.1)
    finally:
        plt.close(figure)


def _html(hv: Any, obj: Any, path: Path, kind: str, dpi: int, title: str) -> None:
    if isinstance(obj, hv.HoloMap):
        _film(hv, obj, path, title)
        return
    path.write_text(page_of(hv.render(obj, backend="bokeh"), title), encoding="utf-8")


def page_of(model: Any, title: str) -> str:
    """Return an HTML page of a figure of bokeh, with all scripts inside."""
    from bokeh.embed import file_html
    from bokeh.models import TableWidget, Widget
    from bokeh.resources import CDN, Resources

    page = file_html(model, CDN, title=title, suppress_callback_warning=True)
    parts = ["bokeh"]
    parts += ["bokeh-widgets"] if any(isinstance(m, Widget) for m in model.references()) else []
    parts += ["bokeh-tables"] if any(isinstance(m, TableWidget) for m in model.references()) else []
    if "$$" in page:
        parts.append("bokeh-mathjax")
    scripts = "\n".join(f"<script>\n{js}\n</script>" for js in Resources(mode="inline", components=parts).js_raw)
    # Addresses are taken out: bokeh names scripts of every package that has registered models, such as panel, also
    # where resources are inline. What the picture needs goes inside, before anything uses it.
    head, _, body = page.partition("</head>")
    head = _ADDRESSES.sub("", head).replace("<head>", f"<head>\n{scripts}", 1)
    return f"{head}</head>{body}"


def _film(hv: Any, obj: Any, path: Path, title: str) -> None:
    """Write a player with its frames inside; of more than a page can hold, evenly chosen ones."""
    import panel as pn
    from bokeh.resources import INLINE

    if isinstance(obj, hv.DynamicMap):
        counts = [len(dim.values) for dim in obj.kdims]
        if not counts or not all(counts):  # driven by a running program: what it shows now
            _html(hv, obj[obj.last_key or ()], path, "html", 0, title)
            return
        share = max(1, int(_FRAMES ** (1 / len(counts))))
        chosen = [[dim.values[i] for i in _even(n, share)] for dim, n in zip(obj.kdims, counts, strict=True)]
        frames = {key if len(key) > 1 else key[0]: obj[key] for key in itertools.product(*chosen)}
        obj = hv.HoloMap(frames, kdims=[dim.clone(values=[], default=None) for dim in obj.kdims])
    how = "scrubber" if len(obj.kdims) == 1 else "individual"
    pane = pn.pane.HoloViews(obj, backend="bokeh", widget_type=how, widget_location="bottom", center=True)
    most = {"max_states": 10 * _FRAMES, "max_opts": _FRAMES}
    pane.layout.save(path, title=title, resources=INLINE, embed=True, progress=False, **most)
    # panel asks the network for its own looks also where resources are inline; buttons work without.
    page = _ICONS.sub("", path.read_text(encoding="utf-8"))
    path.write_text(_SHEETS.sub('"data:text/css,"', page), encoding="utf-8")


def _even(n: int, count: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, n - 1, min(n, count)).round())]
