"""One image as a holoviews element: places, colours, orientation, for both backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from sid_xarray.errors import nearest
from sid_xarray.viz import _style
from sid_xarray.viz._labels import comfortable, unit_text
from sid_xarray.viz._place import Frame, geometry, place, shared

__all__ = [
    "COMPONENTS",
    "Frame",
    "Look",
    "check_look",
    "colours_of",
    "component_of",
    "cross",
    "image_element",
    "overlaid",
    "reach",
    "titled_element",
]

COMPONENTS = ("amplitude", "phase", "real", "imag")
_NO_VALUE = "#b9cbdc"  # not in any of the colour maps
_SIZES = ("frame_width", "frame_height", "toolbar", "data_aspect", "show_grid")
_RING = "#56B4E9"
_IN_CIRCLES = "#a8d5a2"  # nor in those without ends, which are dark and light


@dataclass(frozen=True)
class Look:
    """What a user may say about an image; see the views for the meaning."""

    cmap: Any = None
    robust: tuple[float, float] = (0.1, 99.9)
    clim: tuple[float, float] | None = None
    norm: str = "linear"
    gamma: float = 1.0
    scalebar: bool = True
    colorbar: bool = True
    title: str = ""
    size: int = 360
    prefix: bool = True
    max_pixels: int = 2_000_000
    phase: bool = False
    mark: tuple[int, int] | None = None
    clabel: str | None = None
    contours: int | Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.norm not in ("linear", "log"):
            raise ValueError(f"norm should be 'linear' or 'log', got {self.norm!r}")


def component_of(values: np.ndarray, component: str | None, units: str) -> tuple[np.ndarray, str, str]:
    """Return one real part of complex values, its units, and the word to add to the name."""
    if component is not None and component not in COMPONENTS:
        raise ValueError(f"no component {component!r}. Components: {', '.join(COMPONENTS)}.")
    if values.dtype.kind != "c":
        if component == "phase":
            raise ValueError("the phase of real values has no picture: they are not complex. Leave component out.")
        return values, units, ""
    component = component or "amplitude"
    if component == "phase":
        return np.angle(values), "rad", ", phase"
    if component == "amplitude":
        return np.abs(values), units, ", amplitude"
    return (values.real, units, ", real part") if component == "real" else (values.imag, units, ", imaginary part")


def check_look(look: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a user says of the look of an image, or say what can be said."""
    known = [f.name for f in fields(Look) if f.name not in ("phase", "mark", "clabel")]
    for name in look:
        if name not in known:
            raise TypeError(f"images have no option {name!r}.{nearest(name, known)}")
    return dict(look)


def image_element(frame: Frame, look: Look) -> Any:
    """Return an hv.Image, or an hv.QuadMesh where positions are not evenly spaced; with a mark, an hv.Overlay."""
    hv = _style.ready()
    values = _style.displayable(frame.values)
    units = frame.units
    if look.prefix and not frame.settled:
        units, factor = comfortable(units, reach(values))
        values = values * values.dtype.type(factor) if factor != 1.0 else values
    clim = look.clim or ((-np.pi, np.pi) if look.phase else None)
    blank = not np.isfinite(values).any()
    if blank:  # holoviews warns about frames of NaN: zeros take their place, and are not shown
        values = np.zeros(values.shape, np.float32)
        look = replace(look, title=" · ".join(part for part in (look.title, "no finite values") if part))
    # Limits come from the whole frame, before anything is averaged for the screen.
    clim = clim or _style.limits(values, look.robust, positive=look.norm == "log")
    placed = place(values, frame, units, prefix=look.prefix, max_pixels=look.max_pixels, pick=look.phase)
    if placed.uneven:
        element = hv.QuadMesh((*placed.breaks, placed.values), kdims=placed.kdims, vdims=[placed.vdim])
    else:
        element = hv.Image(placed.values[::-1], bounds=placed.bounds, kdims=placed.kdims, vdims=[placed.vdim])
    both, bokeh, mpl = geometry(placed, size=look.size, title=look.title, scalebar=look.scalebar)
    colours = colours_of(look, clim)
    if blank:
        colours |= {"alpha": 0, "bgcolor": _NO_VALUE}
    bare = {"tools": [], "hooks": [_style.bar_title, *bokeh["hooks"]]}
    if look.norm == "log":
        mpl["hooks"] = [*mpl["hooks"], _style.lowest]
    element = _style.apply(element, {**colours, **both}, bokeh={**bokeh, **bare}, matplotlib=mpl)
    over = [] if look.contours is None or blank else _contours(element, look.contours, clim)
    if look.mark is not None:
        x, y, _ = shared(frame, look.prefix)
        over.append(cross((float(x.values[look.mark[0]]), float(y.values[look.mark[1]])), element.kdims))
    return overlaid(element, over)


def overlaid(picture: Any, over: Sequence[Any], *, within: bool = False) -> Any:
    """Return a picture under further elements, with its own size, orientation and title.

    With ``within``, what reaches beyond the picture is cut off.
    """
    if not over:
        return picture
    hv = _style.ready()
    kept = {backend: dict(picture.opts.get("plot", backend=backend).kwargs) for backend in _style.BACKENDS}
    both = {key: kept["bokeh"][key] for key in ("title", "invert_yaxis") if key in kept["bokeh"]}
    bokeh = {key: kept["bokeh"][key] for key in _SIZES if key in kept["bokeh"]}
    mpl = {key: kept["matplotlib"][key] for key in ("aspect", "fig_inches") if key in kept["matplotlib"]}
    if within:
        (base,) = picture.traverse(None, [hv.Image, hv.QuadMesh])
        (left, right), (low, high) = (base.range(dim) for dim in base.kdims)
        both |= {"xlim": (left, right), "ylim": (low, high)}
    layers = list(picture.values()) if isinstance(picture, hv.Overlay) else [picture]
    return _style.apply(hv.Overlay([*layers, *over]), both, bokeh=bokeh, matplotlib=mpl)


def titled_element(frame: Frame, look: Look) -> Any:
    """Return an image whose title is its name: beside the colour bar are only the units, since both do not fit."""
    pane = image_element(frame, look)
    return _style.apply(pane, {"clabel": unit_text(str(pane.vdims[0].unit or "1"))}, fonts=False)


def colours_of(look: Look, clim: tuple[float, float]) -> dict[str, Any]:
    """Return options for colours, in both backends."""
    grey = (look.cmap or "gray") == "gray"
    colours = {
        "cmap": _style.palette(look.cmap or "gray", look.gamma),
        "clim": clim,
        "cnorm": look.norm,
        "colorbar": look.colorbar,
        "clipping_colors": {"NaN": _IN_CIRCLES if look.phase else _NO_VALUE if grey else "#d8d8d8"},
    }
    return colours if look.clabel is None else {**colours, "clabel": look.clabel}


def _contours(element: Any, levels: int | Sequence[float], clim: tuple[float, float]) -> list[Any]:
    """Return lines of equal value: at values, or at so many between the limits of the colours."""
    from holoviews.operation import contours

    if isinstance(levels, int):
        if levels < 1:
            raise ValueError(f"contours should be a number of lines or their values, got {levels}")
        levels = [float(v) for v in np.linspace(*clim, levels + 2)[1:-1]]
    if min(len(element.dimension_values(i, expanded=False)) for i in (0, 1)) < 2:
        return []  # a single row has no lines
    lines = contours(element, levels=[float(v) for v in levels])
    look = {"color": _RING, "show_legend": False}
    return [
        _style.apply(lines, look, bokeh={"line_width": 1.2, "tools": []}, matplotlib={"linewidth": 1.0}, fonts=False)
    ]


def cross(mark: tuple[float, float], kdims: Sequence[Any]) -> Any:
    """Return the cross that marks a pixel or a point."""
    hv = _style.ready()
    point = hv.Points([mark], kdims=list(kdims))
    return _style.apply(
        point,
        bokeh={"marker": "cross", "size": 14, "color": "#D55E00", "line_width": 3},
        matplotlib={"marker": "P", "s": 90, "facecolors": "#D55E00", "edgecolors": "white", "linewidth": 0.6},
        fonts=False,
    )


def reach(values: np.ndarray) -> float:
    """Return a typical large value: single outliers do not choose the prefix."""
    lo, hi = _style.limits(values, (1, 99))
    return max(abs(lo), abs(hi)) if np.isfinite(values).any() else 0.0
