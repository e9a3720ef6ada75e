"""Pictures as files: PNG, SVG, PDF for print, HTML that opens anywhere."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

import xarray as xr

from sid_xarray.viz import _style

__all__ = ["save"]

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
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    page = file_html(hv.render(obj, backend="bokeh"), INLINE, title=title)
    # Where panel is imported, bokeh links to a script of panel's server, which a file on a disk has not and needs not.
    page = re.sub(r'<script src="static/extensions/panel/[^"]*"></script>\s*', "", page)
    path.write_text(page, encoding="utf-8")
