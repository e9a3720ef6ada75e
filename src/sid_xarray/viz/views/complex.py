"""Complex images: two parts side by side, or phase as hue and amplitude as brightness in one picture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import units_of
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import Axis, axis_of, map_dims
from sid_xarray.viz._image import COMPONENTS, Look, check_look, component_of, image_element, titled_element
from sid_xarray.viz._labels import comfortable, number, quantity, unit_text
from sid_xarray.viz._place import Frame, Placed, geometry, place
from sid_xarray.viz._select import choose, fixed, read
from sid_xarray.viz.views import curve as _curve
from sid_xarray.viz.views import image as _image

__all__ = ["draw"]

_WHEEL = 80  # pixels
_DIVERGING = "RdBu_r"


def draw(
    obj: xr.DataArray,
    *,
    component: str = "polar",
    floor: float = 0.0,
    x: Hashable | None = None,
    y: Hashable | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    **look: Any,
) -> Any:
    """Draw complex values: amplitude beside phase, real beside imaginary part, or both as one colour.

    Of two and more dimensions, a plane; of one, curves above each other. Phases have a colour map without ends,
    real and imaginary part one scale around zero.

    Parameters
    ----------
    obj : DataArray
        Complex.
    component : {"polar", "cartesian", "hue", "amplitude", "phase", "real", "imag"}, default: "polar"
        Amplitude and phase; real and imaginary part; one picture where hue is the phase and brightness the
        amplitude, with a wheel that tells which is which; or one part alone.
    floor : float, default: 0
        Phases are missing where the amplitude is below this fraction of its upper limit: there they are noise.
    x, y : hashable, optional
        Horizontal and vertical dimension, if not by name.
    isel, sel : mapping, optional
        Which plane: index, or position in units. The middle by default.
    **look
        As for images.

    Returns
    -------
    holoviews.Layout, or one picture
        Two panes for ``"polar"`` and ``"cartesian"``.

    Raises
    ------
    DimensionError
        If there are no two dimensions, or values are not complex.
    """
    known = ("polar", "cartesian", "hue", *COMPONENTS)
    if component not in known:
        raise ValueError(f"no component {component!r}. Components: {', '.join(known)}.")
    if obj.dtype.kind != "c":
        raise DimensionError(f"{obj.name!r} is not complex ({obj.dtype}): draw da.sid.plot().")
    if obj.ndim == 1:
        if component == "hue":
            raise DimensionError(f"hue needs two dimensions, {obj.name!r} has {obj.dims}: component='polar'.")
        return _curve.draw(obj, component=component, **look)
    if component in ("amplitude", "real", "imag"):
        return _image.draw(obj, x=x, y=y, isel=isel, sel=sel, component=component, **look)
    chosen = check_look(look)
    dims = map_dims(obj, x=x, y=y, prefer=("reciprocal", "spatial"), exclude=fixed(isel, sel))
    choice = choose(obj, dims, isel=isel, sel=sel)
    values = read(choice.da, (dims[1], dims[0]))
    axes = (axis_of(choice.da, dims[0]), axis_of(choice.da, dims[1]))
    said, units = quantity(obj), units_of(obj)
    notes = _image.title_of(obj, choice.notes)
    if component == "hue":
        return _hue(values, axes, said, units, Look(**{"title": notes, **chosen}))
    parts = ("real", "imag") if component == "cartesian" else ("phase",) if component == "phase" else _POLAR
    frames = {}
    for part in parts:
        one, unit, word = component_of(values, part, units)
        frames[part] = Frame(one, *axes, said + word, unit)
    if component == "cartesian":
        chosen = {"cmap": _DIVERGING, **_one_scale(frames, Look(**chosen)), **chosen}
    if "phase" in frames and floor:
        phase = frames["phase"]
        frames["phase"] = replace(phase, values=_without_noise(phase.values, values, floor, Look(**chosen)))
    panes = [_pane(part, frame, chosen, notes) for part, frame in frames.items()]
    if len(panes) == 1:
        return panes[0]
    layout = _style.ready().Layout(panes).cols(2)
    mpl = {"sublabel_format": "", "fig_inches": (9.6, 4.0), "hspace": 0.6}
    return _style.apply(layout, {"shared_axes": False}, matplotlib=mpl, fonts=False)


_POLAR = ("amplitude", "phase")


def _pane(part: str, frame: Frame, chosen: Mapping[str, Any], notes: str) -> Any:
    heading = chosen.get("title", " · ".join(word for word in (frame.quantity, notes) if word))
    own = {**chosen, "title": heading}
    if part == "phase":
        own |= {"cmap": "twilight", "phase": True, "clim": None, "norm": "linear", "gamma": 1.0}
    elif "title" in chosen:  # then the colour bar has to say which part this is
        return image_element(frame, Look(**own))
    return titled_element(frame, Look(**own))


def _without_noise(phase: np.ndarray, values: np.ndarray, floor: float, look: Look) -> np.ndarray:
    if not 0 <= floor < 1:
        raise ValueError(f"floor is a fraction of the largest amplitude, from 0 to 1; got {floor}")
    size = _style.displayable(np.abs(values))
    _, top = _style.limits(size, look.robust)
    return np.where(size < floor * top, np.nan, phase)


def _one_scale(frames: dict[str, Frame], look: Look) -> dict[str, Any]:
    """Give both parts the same units and limits, around zero; ``frames`` are changed."""
    both = np.concatenate([_style.displayable(f.values).ravel() for f in frames.values()])
    top = max(map(abs, _style.limits(both, look.robust))) if np.isfinite(both).any() else 1.0
    units = next(iter(frames.values())).units
    shown, factor = comfortable(units, top) if look.prefix else (units, 1.0)
    for part, frame in frames.items():
        scaled = frame.values * frame.values.dtype.type(factor) if factor != 1 else frame.values
        frames[part] = replace(frame, values=scaled, units=shown, settled=True)
    return {"clim": (-top * factor, top * factor)}


def _hue(values: np.ndarray, axes: tuple[Axis, Axis], said: str, units: str, look: Look) -> Any:
    """Return an hv.RGB under a wheel of its colours."""
    hv = _style.ready()
    if look.norm != "linear":
        raise ValueError("brightness is linear: gamma=0.5 makes small amplitudes brighter.")
    _, top = look.clim or (0.0, _style.limits(_style.displayable(np.abs(values)), look.robust)[1])
    shown, factor = comfortable(units, top) if look.prefix else (units, 1.0)
    if look.clim is not None:
        top /= factor  # limits are in the units that are shown
    unit = unit_text(shown)
    note = f"{said}: brightness 0 … {number(top * factor, digits=3)}{f' {unit}' if unit else ''}, hue is the phase"
    title = " · ".join(word for word in (look.title, note) if word)
    placed = place(values, Frame(values, *axes, said, units), "1", prefix=look.prefix, max_pixels=look.max_pixels)
    if placed.uneven:
        raise DimensionError("hue needs positions that are evenly spaced: component='polar' draws any.")
    both, bokeh, mpl = geometry(placed, size=look.size, title=title, scalebar=look.scalebar)
    colours = _colours(placed.values, top, look.gamma)
    picture = hv.RGB(colours[::-1], bounds=placed.bounds, kdims=placed.kdims, vdims=list("RGBA"))
    picture = _style.apply(picture, both, bokeh={**bokeh, "tools": []}, matplotlib=mpl)
    del bokeh["hooks"], mpl["hooks"]
    return _style.apply(picture * _wheel(placed, look.size), both, bokeh=bokeh, matplotlib=mpl)


def _colours(z: np.ndarray, top: float, gamma: float) -> np.ndarray:
    """Return red, green, blue, opacity from 0 to 1: hue from the phase, brightness from the amplitude."""
    from holoviews.plotting.util import process_cmap

    ring = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in process_cmap("colorwheel", 256)]) / 255
    with np.errstate(all="ignore"):
        turn = np.nan_to_num(np.angle(z) / (2 * np.pi)) % 1.0
        bright = np.clip(np.nan_to_num(np.abs(z) / top, nan=0.0, posinf=1.0), 0, 1) ** gamma
    out = np.empty((*z.shape, 4))
    out[..., :3] = ring[(turn * 256).astype(int) % 256] * bright[..., None]
    out[..., 3] = np.isfinite(z)
    return out


def _wheel(placed: Placed, size: int) -> Any:
    """Return the key to the colours, in the upper right corner: angles as in mathematics."""
    hv = _style.ready()
    left, low, right, high = placed.bounds
    width, height = placed.size(size)
    across, up = (right - left) / width, (high - low) / height  # of a pixel of the screen
    half = min(_WHEEL, 0.3 * width, 0.3 * height) / 2
    side = half + 19  # with the words
    v, u = np.mgrid[1:-1:144j, -1:1:144j] * side / half  # row 0 on top
    disc = _colours(u + 1j * v, 1.0, 1.0)
    disc[np.hypot(u, v) > 1] = (0, 0, 0, 0.55)
    away = side + 8
    x, y = right - across * away, (low + up * away) if placed.inverted else (high - up * away)
    bounds = (x - side * across, y - side * up, x + side * across, y + side * up)
    key = hv.RGB(disc[::-1] if placed.inverted else disc, bounds=bounds, kdims=placed.kdims, vdims=list("RGBA"))
    way = -up if placed.inverted else up
    reach = half + 9
    places = [(x + reach * across * np.cos(a), y + reach * way * np.sin(a)) for a in _QUARTERS]
    texts = [(*at, text) for at, text in zip(places, ("0", "π/2", "π", "−π/2"), strict=True)]
    words = hv.Labels(texts, kdims=placed.kdims, vdims=["phase"])
    key = _style.apply(key, bokeh={"tools": []}, fonts=False)
    words = _style.apply(
        words,
        bokeh={"text_color": "white", "text_font_size": "9pt", "tools": []},
        matplotlib={"color": "white", "size": 8},
        fonts=False,
    )
    return key * words


_QUARTERS = (0.0, np.pi / 2, np.pi, -np.pi / 2)
