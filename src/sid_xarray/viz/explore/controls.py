"""Widgets of the app; each sets an attribute of the explorer, and follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn

from sid_xarray.core.dims import describe
from sid_xarray.core.region import Region
from sid_xarray.viz._labels import with_unit

if TYPE_CHECKING:
    from sid_xarray.viz.explore.layout import View

__all__ = ["copy", "display", "position", "signal", "sliders"]


def position(view: View) -> list[Any]:
    """Return sliders that move the cursor: they take the arrow keys."""
    ex = view.ex
    da = ex.arrays[ex.main]
    names = list(ex.plan.map)
    if not names:
        return []
    made: dict[Any, Any] = {}
    for dim in reversed(names):
        last = max(0, da.sizes[dim] - 1)
        made[dim] = pn.widgets.IntSlider(
            label=f"{dim} (index; arrow keys)", start=0, end=max(1, last), value=last // 2, width=ex.size // 2
        )
    busy: list[int] = []

    def moved(event: Any) -> None:
        if not busy:
            ex.choose(ex.pixel(*(int(made[d].value) for d in names)))

    def follow(*_: Any) -> None:
        if ex.cursor is None:
            return
        busy.append(1)
        for dim, index in ex.cut_of(ex.cursor).indexers.items():
            made[dim].value = int(index)
        busy.pop()

    for widget in made.values():
        widget.param.watch(moved, "value")
    ex.param.watch(follow, "regions")
    follow()
    compare = pn.widgets.Checkbox.from_param(ex.param.compare, label="add regions")
    clear = pn.widgets.Button(label="one region", width=90)
    clear.on_click(lambda _: setattr(ex, "regions", ex.regions[-1:]))
    return [pn.Row(*made.values()), pn.Row(compare, clear)]


def signal(view: View) -> list[Any]:
    """Return what belongs to curve or pattern: window, reduction, radii."""
    ex, plan = view.ex, view.ex.plan
    if ex.reviews:
        return _review(view)
    out: list[Any] = []
    if len(plan.signal) == 1 and plan.map and not plan.carpet:
        out += [_window(view)]
    if len(plan.signal) == 2:
        out += [_radii(view)]
    row = []
    if plan.signal and plan.map and not plan.carpet:
        row.append(pn.widgets.RadioButtonGroup.from_param(ex.param.reduce, label="map"))
    if len(plan.signal) == 1:
        row += [
            pn.widgets.Checkbox.from_param(ex.param.spread, label="spread"),
            pn.widgets.Checkbox.from_param(ex.param.normalise, label="normalise"),
        ]
    return [*out, pn.Row(*row)] if row else out


def _review(view: View) -> list[Any]:
    ex: Any = view.ex
    again = pn.widgets.Button(label="refit this pixel from its neighbours", width=240)
    again.on_click(lambda _: setattr(view.readout, "object", "fitted" if ex.refit() else "this pixel cannot be fitted"))
    return [pn.Row(pn.widgets.Select.from_param(ex.param.parameter, label="map", width=180), again)]


def _window(view: View) -> Any:
    ex = view.ex
    (dim,) = ex.plan.signal
    axis = ex.axes[dim]
    low, high = float(axis.values.min()), float(axis.values.max())
    step = float(abs(axis.step)) if axis.step else (high - low) / max(1, axis.values.size - 1) or 1.0
    made = pn.widgets.EditableRangeSlider(
        label=with_unit("window", axis.units),
        start=low,
        end=high if high > low else low + 1,
        step=step,
        value=(low, high),
        width=440,
    )
    busy: list[int] = []

    def moved(event: Any) -> None:
        if not busy:
            ex.set_window(ex.interval(*event.new))

    def follow(*_: Any) -> None:
        busy.append(1)
        w, factor = ex.window, ex.scales.factor(dim)
        made.value = (low, high) if not isinstance(w, Region) else tuple(sorted(float(v) * factor for v in w.at))
        busy.pop()

    made.param.watch(moved, "value_throttled")
    ex.param.watch(follow, "window")
    follow()
    whole = pn.widgets.Button(label="all", width=50)
    whole.on_click(lambda _: ex.set_window(None))
    return pn.Row(made, whole)


def _radii(view: View) -> Any:
    ex = view.ex
    v, h = (ex.axes[d] for d in ex.plan.signal)
    reach = float(max(np.ptp(v.values), np.ptp(h.values))) / 2 or 1.0
    inner, outer = view._radii()
    made = pn.widgets.RangeSlider(
        label=with_unit("radii", v.units),
        start=0.0,
        end=reach,
        step=reach / 200,
        value=(inner, min(outer, reach)),
        width=380,
    )

    def moved(event: Any) -> None:
        w = ex.window
        if isinstance(w, Region) and w.kind == "aperture":
            y, x = (float(c) * ex.scales.factor(d) for c, d in zip(w.at[:2], w.dims, strict=True))
        else:
            y, x = (float(a.values[a.values.size // 2]) for a in (v, h))
        ex.set_window(ex.aperture(x, y, event.new[1], event.new[0]))

    made.param.watch(moved, "value_throttled")
    return made


def sliders(view: View) -> list[Any]:
    """Return a slider for every further dimension; a player for time."""
    from sid_xarray.viz.explore.layout import text_at

    ex = view.ex
    da = ex.arrays[ex.main]
    out = []
    for dim in ex.plan.sliders:
        options = {word: i for i, word in enumerate(text_at(ex, dim))}
        if len(options) < 2:
            continue
        timed = describe(da)[dim] == "temporal"
        make = pn.widgets.DiscretePlayer if timed else pn.widgets.DiscreteSlider
        more = {"interval": 200, "loop_policy": "loop", "show_loop_controls": False} if timed else {}
        made = make(label=str(dim), options=options, value=ex.at[dim], width=300, **more)

        def moved(event: Any, dim: Any = dim) -> None:
            if ex.at[dim] != event.new:
                ex.at = {**ex.at, dim: int(event.new)}

        def follow(event: Any, dim: Any = dim, made: Any = made) -> None:
            made.value = ex.at[dim]

        made.param.watch(moved, "value")
        ex.param.watch(follow, "at")
        out.append(made)
    return out


def display(view: View) -> Any:
    """Return what changes colours only."""
    p = view.ex.param
    parts = [pn.widgets.RadioButtonGroup.from_param(p.part)] if view.ex.complex else []
    colours = [
        pn.widgets.Select.from_param(p.cmap, label="colours", width=130),
        pn.widgets.RangeSlider.from_param(p.robust, label="percentiles", width=280),
        pn.widgets.FloatSlider.from_param(p.gamma, label="gamma", width=280),
        pn.widgets.Checkbox.from_param(p.logz, label="logarithmic colours"),
    ]
    return pn.Column(*parts, *(colours if view.maps or view.pattern else []))


def copy(view: View) -> Any:
    """Return the lines of code, and a button that copies them."""
    button = pn.widgets.Button(label="copy code", width=100)
    button.js_on_click(args={"text": view.code}, code="navigator.clipboard.writeText(text.value)")
    return pn.Row(view.code, button)
