"""A pattern at every pixel: the image that a virtual detector sees, beside a pattern."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import dims_of, position_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, horizontal_vertical, map_dims, share_scale
from sid_xarray.viz._image import Frame, Look, component_of, image_element, overlaid
from sid_xarray.viz._labels import comfortable, number, quantity, unit_text
from sid_xarray.viz._place import factors
from sid_xarray.viz._reduce import mean_of
from sid_xarray.viz._select import choose, indices, read, say
from sid_xarray.viz.views.image import title_of

__all__ = ["draw"]

_RING = "#56B4E9"


@dataclass(frozen=True)
class _Detector:
    """Which pixels of a pattern count, as a box of the pattern and a mask within, and how it is drawn and called."""

    box: tuple[slice, slice]  # along x and y
    mask: np.ndarray  # rows along y
    note: str
    rings: tuple[tuple[float, float, float], ...] = ()  # x, y, diameter in the units of the pattern


def draw(
    obj: xr.DataArray,
    *,
    scan: tuple[Hashable, Hashable] | None = None,
    pattern: tuple[Hashable, Hashable] | None = None,
    center: tuple[Any, Any] | None = None,
    inner: Any = 0.0,
    outer: Any = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    component: str | None = None,
    cmap: Any = "gray",
    pattern_cmap: Any = "inferno",
    robust: tuple[float, float] = (0.1, 99.9),
    norm: str = "linear",
    gamma: float = 0.5,
    title: str | None = None,
    size: int = 320,
    prefix: bool = True,
    max_bytes: int = 64 * 2**20,
) -> Any:
    """Draw the image of a virtual detector beside the mean pattern, or beside the pattern of a pixel.

    Parameters
    ----------
    obj : DataArray
    scan, pattern : (hashable, hashable), optional
        The dimensions of the image and of the patterns; space and reciprocal space by default, else the first
        and the last two.
    center : (float or str, float or str), optional
        Middle of the detector along x and y of the pattern, in its units; the centre of mass by default.
    inner, outer : float or str
        Radii of a ring, in the units of the pattern (``outer="12 mrad"``). Without, every pixel of the pattern counts.
    isel, sel : mapping, optional
        The pixel whose pattern is shown, and the position of further dimensions: index, or position in units.
    component : {"amplitude", "phase", "real", "imag"}, optional
        Of complex values; the amplitude by default.
    cmap, pattern_cmap, robust
        Colours, as for images.
    norm, gamma
        Of the pattern; ``norm="log"`` or ``gamma=1``.
    title, size, prefix
        As for images.
    max_bytes : int
        How much of lazy data is read at once. Without a ring, of larger data only the middle of the patterns is
        looked at, and the mean is of fewer patterns. Titles say so.

    Returns
    -------
    holoviews.Layout

    Raises
    ------
    DimensionError
        If there are fewer than four dimensions, or a ring makes no sense in the units of the pattern.
    """
    dims, own = _roles(obj, scan, pattern)
    rest = [{d: v for d, v in (given or {}).items() if d not in dims} for given in (isel, sel)]
    for given in rest:
        for dim in own:
            if dim in given:
                raise DimensionError(f"{dim!r} is a dimension of the patterns: center, inner and outer choose there.")
    choice = choose(obj, [*dims, *own], isel=rest[0], sel=rest[1])
    da = choice.da
    if not is_lazy(da) or da.nbytes <= max_bytes:
        da = da.copy(data=read(da, da.dims))  # once, for both panes
    pixel = _pixel(da, dims, isel, sel)
    seen, what = _pattern(da, dims, own, pixel, component, max_bytes)
    detector = _detector(da, own, seen, center, inner, outer, max_bytes)
    image, word, units = _image(da, dims, own, detector, component, max_bytes)
    said, heading = quantity(obj) + word, title_of(obj, (*choice.notes, detector.note)) if title is None else title
    tint = {"cmap": cmap, "robust": robust, "size": size, "prefix": prefix}
    frame = Frame(image, axis_of(da, dims[0]), axis_of(da, dims[1]), said, units)
    left = image_element(frame, Look(**tint, title=heading, mark=pixel))
    frame = Frame(seen, axis_of(da, own[0]), axis_of(da, own[1]), said, units)
    dots = Look(**{**tint, "cmap": pattern_cmap}, norm=norm, gamma=gamma, title=what)
    right = _ringed(image_element(frame, dots), detector, frame, prefix)
    layout = _style.ready().Layout([left, right]).cols(2)
    mpl = {"sublabel_format": "", "fig_inches": (10.5, 4.4), "hspace": 0.5}
    return _style.apply(layout, {"shared_axes": False}, matplotlib=mpl, fonts=False)


def _roles(
    da: xr.DataArray, scan: tuple[Hashable, Hashable] | None, pattern: tuple[Hashable, Hashable] | None
) -> tuple[tuple[Hashable, Hashable], tuple[Hashable, Hashable]]:
    if da.ndim < 4:
        raise DimensionError(
            f"a pattern at every pixel has four dimensions, {da.name!r} has {da.dims}. Draw da.sid.plot.stack()."
        )
    found: dict[str, tuple[Hashable, Hashable]] = {}
    for word, given in (("scan", scan), ("pattern", pattern)):
        if given is not None:
            if len(given) != 2:
                raise DimensionError(f"{word} should name two dimensions of {da.dims}, got {given!r}")
            found[word] = map_dims(da, x=given[0], y=given[1])
            found[word] = horizontal_vertical(da, found[word])
    taken = [d for pair in found.values() for d in pair]
    if len(set(taken)) < len(taken):
        raise DimensionError(f"scan {scan} and pattern {pattern} share a dimension.")
    if "pattern" not in found:
        reciprocal = [d for d in dims_of(da, "reciprocal") if d not in taken]
        last = reciprocal if len(reciprocal) == 2 else [d for d in da.dims if d not in taken][-2:]
        found["pattern"] = horizontal_vertical(da, last)
        taken += found["pattern"]
    if "scan" not in found:
        spatial = [d for d in dims_of(da, "spatial") if d not in taken]
        first = spatial if len(spatial) == 2 else [d for d in da.dims if d not in taken][:2]
        found["scan"] = horizontal_vertical(da, first)
    return found["scan"], found["pattern"]


def _pixel(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
) -> tuple[int, int] | None:
    chosen = [{d: v for d, v in (given or {}).items() if d in dims} for given in (isel, sel)]
    if not any(chosen):
        return None
    found = indices(da, *chosen)
    choose(da, (), isel=found)  # says what is out of range
    x, y = (int(found.get(d, da.sizes[d] // 2)) % da.sizes[d] for d in dims)
    return x, y


def _pattern(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    own: tuple[Hashable, Hashable],
    pixel: tuple[int, int] | None,
    component: str | None,
    budget: int,
) -> tuple[np.ndarray, str]:
    """Read the pattern of a pixel, or the mean of as many as may be read."""
    if pixel is not None:
        one = da.isel(dict(zip(dims, pixel, strict=True)))
        words = " · ".join(say(da, d, i) for d, i in zip(dims, pixel, strict=True))
        return _style.displayable(component_of(read(one, (own[1], own[0])), component, "1")[0]), words
    total = da.sizes[dims[0]] * da.sizes[dims[1]]
    count = max(1, budget // max(1, da.nbytes // total)) if is_lazy(da) else total
    step = max(1, int(np.ceil(np.sqrt(total / count))))
    part = da.isel({d: slice(min(step // 2, da.sizes[d] - 1), None, step) for d in dims})
    n = part.sizes[dims[0]] * part.sizes[dims[1]]
    rows = []
    for at in range(part.sizes[dims[1]]):  # row by row: a float of everything would be several times the data
        values = read(part.isel({dims[1]: at}), (dims[0], own[1], own[0]))
        rows.append(mean_of(_style.displayable(component_of(values, component, "1")[0]), (0,)))
    return mean_of(np.stack(rows), (0,)), f"mean of {n} patterns" if n < total else "mean pattern"


def _detector(
    da: xr.DataArray,
    own: tuple[Hashable, Hashable],
    seen: np.ndarray,
    center: tuple[Any, Any] | None,
    inner: Any,
    outer: Any,
    budget: int,
) -> _Detector:
    shape = (da.sizes[own[0]], da.sizes[own[1]])
    lowest = position_of(da, own[0], inner)
    if outer is None and center is None and lowest == 0:
        return _whole(da, own, shape, budget)
    x, y = axis_of(da, own[0]), axis_of(da, own[1])
    u, v, same = share_scale(x, y, prefix=False)
    if not (same and x.monotonic and y.monotonic):
        raise DimensionError(
            f"a ring needs positions that ascend or descend in one unit: {own[0]!r} is in {x.units}, {own[1]!r} in "
            f"{y.units}. "
            "Leave center, inner and outer out: the whole pattern is then the detector."
        )
    top = np.inf if outer is None else position_of(da, own[0], outer)
    if not top > lowest >= 0:
        raise ValueError(f"the ring from inner={inner!r} to outer={outer!r} is empty.")
    if center is None:
        middle = _mass(seen, u.values, v.values)
    else:
        _, scale = factors(Frame(seen, x, y, "", "1"), prefix=False)
        middle = (position_of(da, own[0], center[0]), position_of(da, own[1], center[1]) * scale)
    far = np.hypot(u.values[None, :] - middle[0], v.values[:, None] - middle[1])
    mask = (far >= lowest) & (far <= top)
    if not mask.any():
        raise DimensionError(
            f"no pixel of the pattern lies {number(lowest)} … {number(top)} {unit_text(u.units)} "
            f"from ({number(middle[0])}, {number(middle[1])})."
        )
    box = [_span(np.asarray(mask.any(axis=axis))) for axis in (0, 1)]
    units, factor = comfortable(u.units, top if np.isfinite(top) else lowest)
    reached = "∞" if not np.isfinite(top) else number(top * factor)
    note = f"mean of {int(mask.sum())} px, {number(lowest * factor)} … {reached} {unit_text(units)}".rstrip()
    rings = tuple((*middle, 2 * r) for r in (lowest, top) if r > 0 and np.isfinite(r))
    return _Detector((box[0], box[1]), mask[box[1], box[0]], note, rings)


def _whole(da: xr.DataArray, own: tuple[Hashable, Hashable], shape: tuple[int, int], budget: int) -> _Detector:
    """Return all pixels of the pattern, or as many around its middle as may be read."""
    if not is_lazy(da) or da.nbytes <= budget:
        box = (slice(0, shape[0]), slice(0, shape[1]))
        return _Detector(box, np.ones(shape[::-1], bool), "mean of the whole pattern")
    scanned = da.nbytes // (shape[0] * shape[1])
    side = max(1, int(np.sqrt(budget / max(1, scanned))))
    starts = [max(0, (n - side) // 2) for n in shape]
    box = (slice(starts[0], starts[0] + min(side, shape[0])), slice(starts[1], starts[1] + min(side, shape[1])))
    mask = np.ones((box[1].stop - box[1].start, box[0].stop - box[0].start), bool)
    return _Detector(box, mask, f"mean of the middle {mask.shape[1]} × {mask.shape[0]} px of the pattern")


def _mass(seen: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass of what is brighter than the median."""
    finite = np.where(np.isfinite(seen), seen, np.nan)
    if not np.isfinite(finite).any():
        return float(x.mean()), float(y.mean())
    weight = np.nan_to_num(np.clip(finite - np.nanmedian(finite), 0, None))
    total = weight.sum()
    if not total > 0:
        return float(x.mean()), float(y.mean())
    return float((weight.sum(0) * x).sum() / total), float((weight.sum(1) * y).sum() / total)


def _span(found: np.ndarray) -> slice:
    inside = np.flatnonzero(found)
    return slice(int(inside[0]), int(inside[-1]) + 1)


def _image(
    da: xr.DataArray,
    dims: tuple[Hashable, Hashable],
    own: tuple[Hashable, Hashable],
    detector: _Detector,
    component: str | None,
    budget: int,
) -> tuple[np.ndarray, str, str]:
    """Read the box of the detector, a few rows of the scan at a time, and average the pixels that count."""
    part = da.isel(dict(zip(own, detector.box, strict=True)))
    height = part.sizes[dims[1]]
    rows = max(1, min(height, budget // max(1, part.nbytes // height)))
    out, word, units = [], "", units_of(da)
    for start in range(0, height, rows):
        block = read(part.isel({dims[1]: slice(start, start + rows)}), (dims[1], dims[0], own[1], own[0]))
        values, units, word = component_of(block, component, units_of(da))
        out.append(mean_of(_style.displayable(values[..., detector.mask]), (2,)))
    return np.concatenate(out), word, units


def _ringed(element: Any, detector: _Detector, frame: Frame, prefix: bool) -> Any:
    if not detector.rings:
        return element
    hv = _style.ready()
    factor, _ = factors(frame, prefix)
    rings = [hv.Ellipse(x * factor, y * factor, d * factor, kdims=list(element.kdims)) for x, y, d in detector.rings]
    thin = {"line_width": 2, "tools": []}
    drawn = [
        _style.apply(ring, {"color": _RING}, bokeh=thin, matplotlib={"linewidth": 1.6}, fonts=False) for ring in rings
    ]
    return overlaid(element, drawn, within=True)
