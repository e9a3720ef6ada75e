"""How pictures look: backends, colour maps, limits, sizes. holoviews is imported inside functions."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sid_xarray.errors import MissingDependencyError

__all__ = [
    "BACKENDS",
    "COLOURS",
    "apply",
    "bar_title",
    "curve_colours",
    "displayable",
    "free_corner",
    "limits",
    "lowest",
    "palette",
    "ready",
    "wrapped",
]

BACKENDS = ("bokeh", "matplotlib")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: apart for everyone, also for the colour-blind."""

_SENT: set[str] = set()  # backends whose scripts the notebook has

_FONTS = {
    "bokeh": {"title": "11pt", "labels": "11pt", "ticks": "10pt", "legend": "9pt", "clabel": "11pt", "cticks": "10pt"},
    "matplotlib": {"title": 11, "labels": 11, "ticks": 10, "legend": 9, "legend_title": 9, "clabel": 11, "cticks": 10},
}


def ready(backend: str | None = None) -> Any:
    """Import holoviews with both backends and return it.

    Parameters
    ----------
    backend : {"bokeh", "matplotlib"}, optional
        Becomes the one that holoviews shows with from now on, as by ``hv.extension``. By default the one that is set
        stays; bokeh, if none is.
    """
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"no backend {backend!r}: 'bokeh' for screens, 'matplotlib' for print.")
    try:
        import holoviews as hv
    except ImportError as error:
        raise MissingDependencyError("holoviews", "viz", "drawing") from error
    unset = not hv.Store.renderers
    wanted = backend or ("bokeh" if unset else None)
    for name, module in (("bokeh", "bokeh"), ("matplotlib", "mpl")):
        # Options of elements can only be set for backends that are loaded; and `save` may need either.
        if name not in hv.Store.renderers:
            before = hv.Store.current_backend
            try:
                __import__(f"holoviews.plotting.{module}")
            except ImportError as error:
                raise MissingDependencyError(name, "viz", "drawing") from error
            if not unset:
                hv.Store.set_current_backend(before)
    if wanted is not None and _in_notebook() and wanted not in _SENT:
        hv.extension(wanted, logo=False)  # sends the scripts to the page
        _SENT.add(wanted)
    if wanted is not None:
        hv.Store.set_current_backend(wanted)
    return hv


def _in_notebook() -> bool:
    import sys

    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return found is not None and hasattr(found, "kernel")


def apply(
    element: Any,
    both: Mapping[str, Any] | None = None,
    *,
    bokeh: Mapping[str, Any] | None = None,
    matplotlib: Mapping[str, Any] | None = None,
    fonts: bool = True,
) -> Any:
    """Return the element with options for both backends, so that it looks right in either."""
    for backend, own in (("bokeh", bokeh), ("matplotlib", matplotlib)):
        options = {**(both or {}), **(own or {})}
        if backend == "bokeh" and "frame_width" in options:
            options["hooks"] = [*options.get("hooks", ()), _flexible]
        if fonts:
            options["fontsize"] = _FONTS[backend]
        if options:
            element = element.opts(backend=backend, **options)
    return element


def _flexible(plot: Any, element: Any) -> None:
    """Let bokeh derive the size of a figure from that of its frame; it warns about "fixed", which holoviews sets."""
    from bokeh.models import BasicTickFormatter

    plot.state.sizing_mode = None
    for axis in plot.state.axis:
        if isinstance(axis.formatter, BasicTickFormatter):  # 50000 counts are not 5.000e+4
            axis.formatter.power_limit_high = 6


def bar_title(plot: Any, element: Any) -> None:
    """Move the title of bokeh's colour bar to its right, as in print; on its left it runs into the image."""
    from bokeh.models import ColorBar, Title

    figure = plot.state
    for bar in figure.select({"type": ColorBar}):
        if bar.title:
            text, bar.title = bar.title, None
            look = {"align": "center", "text_font_size": "11pt", "text_font_style": "italic"}
            figure.add_layout(Title(text=text, **look), "right")


def lowest(plot: Any, element: Any) -> None:
    """Give what is not positive the lowest colour of a logarithmic scale, as bokeh does; matplotlib leaves it out."""
    artist = plot.handles["artist"]
    values = np.ma.getdata(artist.get_array())
    artist.set_array(np.ma.masked_invalid(np.where(values <= 0, artist.norm.vmin or 1.0, values)))


def displayable(values: np.ndarray) -> np.ndarray:
    """Return real values as floats that every backend draws: bool as 0 and 1, infinities as NaN."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    small = kind == "b" or (kind in "iu" and size <= 2) or (kind == "f" and size <= 4)
    with np.errstate(over="ignore", invalid="ignore"):
        out = values.astype(np.float32 if small else np.float64)
    bad = np.isinf(out)
    return np.where(bad, np.array(np.nan, out.dtype), out) if bad.any() else out


def limits(values: np.ndarray, percent: tuple[float, float], *, positive: bool = False) -> tuple[float, float]:
    """Return robust limits of colours: percentiles of what is finite, never empty.

    Parameters
    ----------
    values : ndarray
        The whole frame, so that colours do not change when a part of it is shown.
    percent : tuple of float
        Lower and upper percentile.
    positive : bool
        For a logarithmic scale.
    """
    flat = values[np.isfinite(values) & (values > 0)] if positive else values[np.isfinite(values)]
    flat = flat[:: max(1, flat.size // 4_000_000)]
    if flat.size == 0:
        return (0.1, 1.0) if positive else (0.0, 1.0)
    lo, hi = (float(v) for v in np.percentile(flat.astype(np.float64), percent))
    if not hi > lo:  # few bright pixels on a flat ground, or a constant
        lo, hi = float(flat.min()), float(flat.max())
    if not hi - lo > 1e-9 * max(abs(lo), abs(hi)):
        if positive:
            return lo / 2, lo * 2
        margin = abs(lo) * 0.05 or 0.5
        lo, hi = lo - margin, hi + margin
    return lo, hi


def wrapped(title: str, pixels: int) -> str:
    """Return a title in lines that fit above a frame; holoviews formats titles, so braces are doubled."""
    return textwrap.fill(title, max(20, pixels // 7)).replace("{", "{{").replace("}", "}}")


def palette(cmap: Any, gamma: float = 1.0) -> Any:
    """Return a colour map bent by gamma; data and colour bar keep their true numbers."""
    if gamma == 1.0:
        return cmap
    if not gamma > 0:
        raise ValueError(f"gamma should be positive, got {gamma}")
    from holoviews.plotting.util import process_cmap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        colours = process_cmap(cmap, 1024)
    where = np.linspace(0, 1, 1024) ** gamma * (len(colours) - 1)
    return [colours[round(float(i))] for i in where]


def curve_colours(n: int) -> list[str]:
    """Return colours for ``n`` curves: distinct for a few, a sequence for a family."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    from holoviews.plotting.util import process_cmap

    colours = process_cmap("viridis", 256)
    return [str(colours[int(i)]) for i in np.linspace(0, 235, n)]


def free_corner(x: np.ndarray, lines: Sequence[np.ndarray]) -> str:
    """Return the corner of the picture with the fewest points: the legend goes there."""
    every = np.concatenate(lines) if lines else np.zeros(0)
    every = every[np.isfinite(every)]
    if every.size == 0 or x.size < 2:
        return "top_right"
    if x.size < 200:  # lines between few points cross corners, too
        fine, coarse = np.linspace(0, x.size - 1, 200), np.arange(x.size)
        x, lines = np.interp(fine, coarse, x), [np.interp(fine, coarse, line) for line in lines]
    lo, hi, left, right = every.min(), every.max(), x.min(), x.max()
    across = (x - left) / ((right - left) or 1)
    crowd = dict.fromkeys(("top_right", "top_left", "bottom_right", "bottom_left"), 0)
    for line in lines:
        up = (line - lo) / ((hi - lo) or 1)
        for corner in crowd:
            beside = across > 0.65 if "right" in corner else across < 0.35
            crowd[corner] += int(np.sum(beside & ((up > 0.65) if "top" in corner else (up < 0.35))))
    return min(crowd, key=lambda corner: crowd[corner])
