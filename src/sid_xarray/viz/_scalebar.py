"""Scale bars with the right prefix, for both backends, added by hooks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from sid_xarray.schema import units as _units
from sid_xarray.viz._labels import number, unit_text

__all__ = ["bar_length", "hook"]

_LENGTHS = ("pm", "nm", "µm", "mm", "m")
_NAME = "sid-scale-bar"


def hook(backend: str, units: str) -> Callable[[Any, Any], None]:
    """Return a hook for holoviews that draws a scale bar in ``units`` of the horizontal axis."""
    return partial(_bokeh if backend == "bokeh" else _matplotlib, units=units)


def bar_length(width: float, units: str) -> tuple[float, str]:
    """Return a round length of about a fifth of a width, and how it is written.

    Returns
    -------
    length : float
        1, 2 or 5 times a power of ten, in ``units``.
    text : str
        With the prefix that makes it a number from 1 to 999.
    """
    target = abs(width) * 0.25
    decade = 10.0 ** math.floor(math.log10(target))
    length = max(m * decade for m in (1, 2, 5) if m * decade <= target * (1 + 1e-9))
    best, factor = _units.best_prefix(units, length)
    return length, f"{number(length * factor)} {unit_text(best)}".strip()


def _bokeh(plot: Any, element: Any, units: str) -> None:
    from bokeh.models import Metric, MetricLength, ScaleBar

    figure = plot.state
    if figure.select({"name": _NAME}):
        return  # hooks run again at every update
    shown = unit_text(units)
    # MetricLength changes the prefix when one zooms. Metric would put prefixes before any unit ("knm"), so that all
    # others keep theirs and have more lengths to choose from.
    if shown in _LENGTHS:
        dimensional: Metric = MetricLength(include=list(_LENGTHS), ticks=[1, 2, 5, 10, 20, 50, 100, 200, 500])
    else:
        ticks = [m * 10.0**power for power in range(-9, 10) for m in (1, 2, 5)]
        dimensional = Metric(base_unit=shown, include=[shown], ticks=ticks)
    bar = ScaleBar(
        name=_NAME,
        range=plot.handles["x_range"],
        unit=shown,
        dimensional=dimensional,
        orientation="horizontal",
        location="bottom_left",
        bar_length=0.15,
        bar_line_color="white",
        bar_line_width=3,
        border_line_color=None,
        label="@{value} @{unit}",
        label_text_color="white",
        label_text_font_style="normal",
        label_text_font_size="10pt",
        background_fill_color="black",
        background_fill_alpha=0.55,
        margin=8,
        padding=6,
    )
    figure.add_layout(bar)


def _matplotlib(plot: Any, element: Any, units: str) -> None:
    from matplotlib.offsetbox import AnchoredOffsetbox
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    ax = plot.handles["axis"]
    for old in [a for a in ax.artists if isinstance(a, AnchoredOffsetbox) and a.get_gid() == _NAME]:
        old.remove()
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    length, text = bar_length(right - left, units)
    bar = AnchoredSizeBar(
        ax.transData,
        length,
        text,
        "lower left",
        pad=0.4,
        borderpad=0.6,
        sep=4,
        frameon=True,
        color="white",
        size_vertical=abs(high - low) * 0.008,
        fill_bar=True,
        label_top=True,
    )
    bar.set_gid(_NAME)
    bar.patch.set(facecolor="black", alpha=0.55, edgecolor="none")
    bar.txt_label._text.set_fontsize(10)
    ax.add_artist(bar)
