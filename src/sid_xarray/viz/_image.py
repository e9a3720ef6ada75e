"""One image as a holoviews element: places, colours, orientation, for both backends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sid_xarray.viz import _scalebar, _style
from sid_xarray.viz._axes import Axis, share_scale
from sid_xarray.viz._labels import comfortable, distinct, unit_text

__all__ = ["COMPONENTS", "Frame", "Look", "component_of", "image_element"]

COMPONENTS = ("amplitude", "phase", "real", "imag")
_CELLS = 200_000
_NO_VALUE = "#b9cbdc"  # not in any of the colour maps
_LONGEST = 6.0  # beyond this ratio of sides equal aspect would leave a line


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

    def __post_init__(self) -> None:
        if self.norm not in ("linear", "log"):
            raise ValueError(f"norm should be 'linear' or 'log', got {self.norm!r}")


@dataclass(frozen=True)
class Frame:
    """Values with rows along ``y`` and columns along ``x``, in the order of storage."""

    values: np.ndarray
    x: Axis
    y: Axis
    quantity: str
    units: str


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


def image_element(frame: Frame, look: Look) -> Any:
    """Return an hv.Image, or an hv.QuadMesh where positions are not evenly spaced."""
    hv = _style.ready()
    x, y = (a if a.monotonic else a.as_index() for a in (frame.x, frame.y))
    x, y, same = share_scale(x, y, prefix=look.prefix)
    values = _style.displayable(frame.values)
    units = frame.units
    if look.prefix:
        units, factor = comfortable(units, _reach(values))
        values = values * values.dtype.type(factor) if factor != 1.0 else values
    clim = look.clim or ((-np.pi, np.pi) if look.phase else None)
    blank = not np.isfinite(values).any()
    if blank:  # holoviews warns about frames of NaN: zeros take their place, and are not shown
        values = np.zeros(values.shape, np.float32)
        look = replace(look, title=" · ".join(part for part in (look.title, "no finite values") if part))
    # Limits come from the whole frame, before anything is averaged for the screen.
    clim = clim or _style.limits(values, look.robust, positive=look.norm == "log")
    inverted = y.ascends  # then row 0, which has the smallest y, is on top
    mark = None if look.mark is None else (float(x.values[look.mark[0]]), float(y.values[look.mark[1]]))
    if not x.ascends:
        x, values = _flip(x), values[:, ::-1]
    if not y.ascends:
        y, values = _flip(y), values[::-1]
    values, x, y = _coarse(values, x, y, look)
    named = distinct([(str(x.dim), x.label), (str(y.dim), y.label), ("value", frame.quantity)])
    said = (x.units, y.units, units)
    *kdims, vdim = (hv.Dimension(pair, unit=unit_text(u) or None) for pair, u in zip(named, said, strict=True))
    widths = _cell(x, y)
    left, right, low, high = *_edges(x, widths[0]), *_edges(y, widths[1])
    uneven = any(a.step is None and a.values.size > 1 for a in (x, y))
    if uneven and values.size > _CELLS:  # a mesh of that many cells is not drawn in reasonable time
        values, uneven = _resampled(values, x, y), False
    if uneven:
        mesh = (_breaks(x, widths[0]), _breaks(y, widths[1]), values)
        element = hv.QuadMesh(mesh, kdims=kdims, vdims=[vdim])
    else:
        element = hv.Image(values[::-1], bounds=(left, low, right, high), kdims=kdims, vdims=[vdim])
    span = (right - left, high - low)
    element = _dressed(element, look, span, clim, same, inverted, x, mark)
    if blank:
        for image in element.traverse(None, [hv.Image, hv.QuadMesh]):
            _style.apply(image, {"alpha": 0, "bgcolor": _NO_VALUE}, fonts=False)
    return element


def titled_element(frame: Frame, look: Look) -> Any:
    """Return an image whose title is its name: beside the colour bar are only the units, since both do not fit."""
    pane = image_element(frame, look)
    return _style.apply(pane, {"clabel": unit_text(str(pane.vdims[0].unit or "1"))}, fonts=False)


def _dressed(
    element: Any,
    look: Look,
    span: tuple[float, float],
    clim: tuple[float, float],
    same: bool,
    inverted: bool,
    x: Axis,
    mark: tuple[float, float] | None,
) -> Any:
    ratio = span[1] / span[0]
    equal = same and 1 / _LONGEST <= ratio <= _LONGEST
    shape = ratio if equal else min(max(ratio, 0.4), 1.5) if same else 0.8
    width, height = (look.size, round(look.size * shape)) if shape <= 1 else (round(look.size / shape), look.size)
    wide = 4.0 * min(1.0, 1 / shape)
    colours = {
        "cmap": _style.palette(look.cmap or "gray", look.gamma),
        "clim": clim,
        "cnorm": look.norm,
        "colorbar": look.colorbar,
        "clipping_colors": {"NaN": _NO_VALUE if (look.cmap or "gray") == "gray" else "#d8d8d8"},
    }
    if look.clabel is not None:
        colours["clabel"] = look.clabel
    both = {"invert_yaxis": inverted, "title": _style.wrapped(look.title, width)}
    bokeh: dict[str, Any] = {"frame_width": width, "frame_height": height, "toolbar": "above"}
    mpl: dict[str, Any] = {"aspect": "equal" if equal else 1 / shape, "fig_inches": (wide + 1.4, wide * shape + 0.8)}
    if equal:
        bokeh["data_aspect"] = 1
    if width < 160:
        bokeh["xticks"] = 3  # more labels would run into each other
    hooks: dict[str, list[Any]] = {"bokeh": [_style.bar_title], "matplotlib": []}
    if look.scalebar and same and unit_text(x.units):
        for name, found in hooks.items():
            found.append(_scalebar.hook(name, x.units))
    bare = {"tools": [], "hooks": hooks["bokeh"]}
    dressed = {**mpl, "hooks": hooks["matplotlib"]}
    element = _style.apply(element, {**colours, **both}, bokeh={**bokeh, **bare}, matplotlib=dressed)
    if mark is None:
        return element
    return _style.apply(element * _cross(mark, element), both, bokeh=bokeh, matplotlib=mpl)


def _cross(mark: tuple[float, float], element: Any) -> Any:
    hv = _style.ready()
    point = hv.Points([mark], kdims=list(element.kdims))
    return _style.apply(
        point,
        bokeh={"marker": "cross", "size": 14, "color": "#D55E00", "line_width": 3},
        matplotlib={"marker": "P", "s": 90, "facecolors": "#D55E00", "edgecolors": "white", "linewidth": 0.6},
        fonts=False,
    )


def _reach(values: np.ndarray) -> float:
    """Return a typical large value: single outliers do not choose the prefix."""
    lo, hi = _style.limits(values, (1, 99))
    return max(abs(lo), abs(hi)) if np.isfinite(values).any() else 0.0


def _flip(axis: Axis) -> Axis:
    return replace(axis, values=axis.values[::-1], step=None if axis.step is None else -axis.step)


def _cell(x: Axis, y: Axis) -> tuple[float, float]:
    """Return the size of a pixel; a single row or column is as wide as the pixels are long."""
    steps = [abs(a.values[-1] - a.values[0]) / (a.values.size - 1) if a.values.size > 1 else 0.0 for a in (x, y)]
    return steps[0] or steps[1] or 1.0, steps[1] or steps[0] or 1.0


def _edges(axis: Axis, cell: float) -> tuple[float, float]:
    if axis.step is not None or axis.values.size == 1:
        return float(axis.values[0] - cell / 2), float(axis.values[-1] + cell / 2)
    breaks = _breaks(axis, cell)
    return float(breaks[0]), float(breaks[-1])


def _breaks(axis: Axis, cell: float) -> np.ndarray:
    v = axis.values
    if v.size == 1:
        return np.array([v[0] - cell / 2, v[0] + cell / 2])
    middle = (v[1:] + v[:-1]) / 2
    return np.concatenate([[v[0] - (middle[0] - v[0])], middle, [v[-1] + (v[-1] - middle[-1])]])


def _resampled(values: np.ndarray, x: Axis, y: Axis) -> np.ndarray:
    """Return the nearest value at every point of an even grid over the same span."""
    where = []
    for axis, cell in zip((x, y), _cell(x, y), strict=True):
        lo, hi = _edges(axis, cell)
        n = axis.values.size
        grid = lo + (np.arange(n) + 0.5) * (hi - lo) / n
        where.append(np.clip(np.searchsorted(_breaks(axis, cell), grid, side="right") - 1, 0, n - 1))
    return values[np.ix_(where[1], where[0])]


def _coarse(values: np.ndarray, x: Axis, y: Axis, look: Look) -> tuple[np.ndarray, Axis, Axis]:
    """Average blocks of pixels of an image that is larger than any screen; the extent stays."""
    if values.size <= look.max_pixels or x.step is None or y.step is None:
        return values, x, y
    n = int(np.ceil(np.sqrt(values.size / look.max_pixels)))
    rows, columns = values.shape[0] // n, values.shape[1] // n
    if rows == 0 or columns == 0:
        return values, x, y
    blocks = values[: rows * n, : columns * n].reshape(rows, n, columns, n)
    if look.phase:  # an average of phases would be wrong where they wrap
        small = blocks[:, n // 2, :, n // 2]
    else:
        valid = np.isfinite(blocks)
        count = valid.sum(axis=(1, 3))
        total = np.where(valid, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
        small = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
    return small, _blocked(x, columns, n), _blocked(y, rows, n)


def _blocked(axis: Axis, count: int, n: int) -> Axis:
    step = (axis.step or 1.0) * n
    return replace(axis, values=axis.values[0] + (axis.step or 1.0) * (n - 1) / 2 + np.arange(count) * step, step=step)
