"""The app: figures and widgets around the state of an explorer. Nothing is known here that is not in the state."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from bokeh.events import SelectionGeometry, Tap

from sid_xarray.core.region import Region
from sid_xarray.errors import SidError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import Axis, axis_of
from sid_xarray.viz._labels import comfortable, number, plain, unit_text
from sid_xarray.viz.explore.curves import CurveFigure
from sid_xarray.viz.explore.figures import Colours, ImageFigure, PointsFigure, colour_of

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["View", "layout", "ready"]


def ready() -> Any:
    """Return panel with its scripts sent to the notebook, if there is one."""
    if _style._in_notebook() and "panel" not in _style._SENT:
        pn.extension()
        _style._SENT.add("panel")
    return pn


def layout(ex: Explorer) -> Any:
    """Return the app as a panel object."""
    return View(ex).panel()


class View:
    """Figures of an explorer, kept up to date.

    Parameters
    ----------
    ex : Explorer
    """

    def __init__(self, ex: Explorer) -> None:
        self.ex = ex
        plan = ex.plan
        self.maps: dict[str, Any] = {}
        self.curve: CurveFigure | None = None
        self.residual: CurveFigure | None = None
        self.pattern: ImageFigure | None = None
        self.profile: CurveFigure | None = None
        self.panes: list[Any] = []
        self._maps()
        if len(plan.signal) == 1:
            (dim,) = plan.signal
            can = bool(plan.map) and not plan.carpet and not ex.reviews
            self.curve = CurveFigure(ex.axes[dim], quantity=ex.quantity(), units=ex.units(), window=can)
            if can:
                self.curve.fig.on_event(SelectionGeometry, self._window_drawn)
            if ex.reviews:
                self.residual = CurveFigure(
                    ex.axes[dim], quantity="residual", units=ex.units(), height=120, window=False
                )
                self.residual.fig.x_range = self.curve.fig.x_range
        elif len(plan.signal) == 2:
            v, h = plan.signal
            self.pattern = self._image(v, h, ["box", "lasso", "polygon"])
            self.pattern.fig.on_event(Tap, self._aperture_moved)
            self.pattern.fig.on_event(SelectionGeometry, self._aperture_drawn)
        self.readout = pn.pane.Str("", styles={"font-size": "13px"}, width=ex.size + 120)
        self.code = pn.widgets.TextAreaInput(rows=3, width=900, disabled=True, label="lines of code that do the same")
        self._watch()
        self.draw_maps()
        self.draw_curves()
        self.draw_marks()

    def _maps(self) -> None:
        ex, plan = self.ex, self.ex.plan
        names = ex.map_names()
        for name in names:
            quantity, units = ex.quantity(name), ex.units(name)
            if plan.places:
                self.maps[name] = PointsFigure(
                    *(ex.axes[d] for d in plan.places), quantity=quantity, units=units, size=ex.size
                )
            elif plan.carpet:
                if set(plan.signal) <= set(ex.arrays[name].dims):
                    self.maps[name] = self._image(plan.map[0], plan.signal[0], ["box"], name)
            elif len(plan.map) == 2:
                self.maps[name] = self._image(*plan.map, ["box", "lasso", "polygon"], name)
        if len(plan.map) == 1 and not plan.places and not plan.carpet:
            self.profile = CurveFigure(ex.axes[plan.map[0]], quantity=ex.quantity(), units=ex.units(), width=ex.size)
            self.profile.fig.on_event(Tap, lambda e: ex.tap(e.x))
            self.profile.fig.on_event(SelectionGeometry, self._drawn)
        for fig in self.maps.values():
            fig.fig.on_event(Tap, lambda e: ex.tap(e.x, e.y))
            fig.fig.on_event(SelectionGeometry, self._drawn)
        for fig in list(self.maps.values())[1:]:  # zooming one zooms all
            first = next(iter(self.maps.values()))
            fig.fig.x_range, fig.fig.y_range = first.fig.x_range, first.fig.y_range

    def _image(self, v: Hashable, h: Hashable, tools: list[str], name: str | None = None) -> ImageFigure:
        ex = self.ex
        y, x = ex.axes[v], ex.axes[h]
        equal = (
            y.units == x.units
            and y.kind == x.kind
            and y.kind in ("spatial", "reciprocal", "unknown")
            and not ex.plan.carpet
        )
        return ImageFigure(
            y, x, quantity=ex.quantity(name), units=ex.units(name), equal=equal, size=ex.size, tools=tools
        )

    # From the user

    def _drawn(self, event: Any) -> None:
        if not event.final:
            return
        ex, g = self.ex, event.geometry
        if g["type"] == "rect":
            region = ex.box((g["x0"], g["x1"]), (g.get("y0", -np.inf), g.get("y1", np.inf)))
        else:
            region = ex.outline(g["x"], g["y"])
        self._try(lambda: ex.choose(region) if region is not None else None)

    def _window_drawn(self, event: Any) -> None:
        if event.final and event.geometry["type"] == "rect":
            region = self.ex.interval(event.geometry["x0"], event.geometry["x1"])
            self._try(lambda: self.ex.set_window(region))

    def _aperture_moved(self, event: Any) -> None:
        ex = self.ex
        inner, radius = self._radii()
        self._try(lambda: ex.set_window(ex.aperture(event.x, event.y, radius, inner)))

    def _aperture_drawn(self, event: Any) -> None:
        if not event.final:
            return
        ex, g = self.ex, event.geometry
        if g["type"] == "rect":
            region = ex._snapped(ex.plan.signal, ((g["y0"], g["y1"]), (g["x0"], g["x1"])))
        else:
            region = ex.outline(g["x"], g["y"], on="signal")
        self._try(lambda: ex.set_window(region))

    def _radii(self) -> tuple[float, float]:
        ex, w = self.ex, self.ex.window
        factor = ex.scales.factor(ex.plan.signal[0])
        if isinstance(w, Region) and w.kind == "aperture":
            return float(w.at[2]) * factor, float(w.at[3]) * factor
        v, h = (ex.axes[d].values for d in ex.plan.signal)
        return 0.0, 0.12 * float(min(np.ptp(v), np.ptp(h)))

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except SidError as error:
            self.readout.object = str(error)

    # To the user

    def _watch(self) -> None:
        watched: list[tuple[tuple[Callable[[], None], ...], list[str]]] = [
            ((self.draw_marks, self.draw_curves), ["regions"]),
            ((self.draw_maps, self.draw_marks), ["window", "reduce"]),
            ((self.draw_maps, self.draw_curves, self.draw_marks), ["at", "part"]),
            ((self.draw_curves,), ["spread", "normalise"]),
            ((self.draw_maps, self.draw_curves), ["cmap", "gamma", "logz", "robust"]),
        ]
        if self.ex.reviews:
            watched.append(((self.draw_maps, self.draw_marks), ["parameter"]))
        for draws, names in watched:
            self.ex.param.watch(lambda *_, draws=draws: [draw() for draw in draws], names)

    def _colours(self, *, pattern: bool = False) -> Colours:
        ex = self.ex
        phase = ex.complex and ex.part == "phase"
        plain_map = "inferno" if pattern else "viridis" if ex.plan.places else "gray"  # white points would not be seen
        cmap = "twilight" if phase else plain_map if ex.cmap == "gray" else ex.cmap
        gamma = ex.gamma if pattern or not self.pattern else 1.0
        clim = (-np.pi, np.pi) if phase else None
        return Colours(cmap, gamma, ex.logz and not phase, tuple(ex.robust), clim)

    def draw_maps(self) -> None:
        """Draw the maps of the window."""
        ex = self.ex
        for name, fig in self.maps.items():
            values = ex.plane(name).values
            said = ex.heading(name)
            title = f"{plain(name, limit=24)}: {said}".rstrip(": ") if len(self.maps) > 1 else said
            fig.show(values, self._colours(), title=title)
            if isinstance(fig, ImageFigure):
                fig.name(ex.quantity(name), ex.units(name))
        if self.profile is not None:
            self.profile.show([(ex.plane().values, None, "", 0, "#444444")])
        self._push()

    def draw_curves(self) -> None:
        """Draw the curves or the pattern of the regions."""
        ex = self.ex
        if self.curve is not None:
            shown = []
            for c in ex.curves():
                scale = float(np.nanmax(np.abs(c.values))) if ex.normalise and np.isfinite(c.values).any() else 1.0
                band = c.spread / (scale or 1.0) if ex.spread and c.n > 1 and np.any(c.spread) else None
                colour = colour_of(c.region) if not c.bare else ("#000000", "#666666")[c.style > 1]
                shown.append((c.values / (scale or 1.0), band, c.label, c.style, colour))
            said = "1" if ex.normalise else ex.units()
            self.curve.show(shown, units=said, quantity=ex.quantity() + (", normalised" if ex.normalise else ""))
        left = ex.residual()
        if self.residual is not None and left is not None:
            self.residual.show([(left.values, None, "", 0, colour_of(left.region))], quantity="residual")
        if self.pattern is not None and ex.regions:
            found = ex.of_region(ex.regions[-1])
            self.pattern.show(found.values, self._colours(pattern=True), title=ex.say(ex.regions[-1]))
        self._push()

    def draw_marks(self) -> None:
        """Mark what is selected."""
        ex = self.ex
        points: list[Any] = []
        lines: list[Any] = []
        for i, region in enumerate(ex.regions):
            kind, where = self._outline(region)
            (points if kind == "point" else lines).append((*where, colour_of(i)))
        for fig in self.maps.values():
            fig.marks.show(points, lines)
            fig.marks.cross_out(self._failed())
        if self.profile is not None and ex.regions:
            _, (xs, _) = self._outline(ex.regions[-1])
            ends = np.atleast_1d(xs)
            self.profile.show_window((float(ends.min()), float(ends.max())))
        w = ex.window
        if self.curve is not None and not ex.plan.carpet and not ex.reviews:
            span = None
            if isinstance(w, Region) and w.kind == "interval":
                index = ex._cut_signal(w).indexers[ex.plan.signal[0]]
                inside = ex.axes[ex.plan.signal[0]].values[index]
                span = (float(inside.min()), float(inside.max()))
            self.curve.show_window(span)
        if self.pattern is not None:
            drawn = [self._outline(w)] if isinstance(w, Region) and w.kind != "point" else []
            self.pattern.marks.show([], [(*where, "#56B4E9") for _, where in drawn])
        self.readout.object = ex.readout()
        self.code.value = "\n".join(ex.code())
        self._push()

    def _failed(self) -> tuple[list[float], list[float]]:
        """Return x and y of what failed; of very many the first."""
        ex, failed = self.ex, self.ex.failed()
        if failed.ndim != 2:
            return [], []
        v, h = (ex.axes[d].values for d in ex.plan.map)
        rows, columns = (index[:5000] for index in np.nonzero(failed))
        return h[columns].tolist(), v[rows].tolist()

    def _outline(self, region: Region) -> tuple[str, tuple[Any, Any]]:
        """Return what a region looks like on the axes that are shown: x and y."""
        ex, dims = self.ex, region.dims
        said = {d: ex.scales.factor(d) for d in dims}
        if region.kind == "point":
            at = {d: float(v) * said[d] for d, v in zip(dims, region.at, strict=True)}
            return "point", self._xy(at, dims)
        if region.kind in ("box", "interval"):
            pairs = [region.at] if region.kind == "interval" else region.at
            ends = {d: [float(v) * said[d] for v in pair] for d, pair in zip(dims, pairs, strict=True)}
            for d, pair in ends.items():
                half = _half(ex.axes[d]) if d in ex.axes and not ex.plan.places else 0.0
                pair[0], pair[1] = min(pair) - half, max(pair) + half
            y, x = self._yx(dims)
            x0, x1 = ends.get(x, self._whole(x))
            y0, y1 = ends.get(y, self._whole(y))
            return "box", ([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0])
        y, x = self._yx(dims)
        if region.kind == "polygon":
            found = {d: [float(c[i]) * said[d] for c in region.at] for i, d in enumerate(dims)}
            return "polygon", ([*found[x], found[x][0]], [*found[y], found[y][0]])
        centre = {d: float(v) * said[d] for d, v in zip(dims, region.at[:2], strict=True)}
        inner, outer = (float(r) * said[dims[0]] for r in region.at[2:])
        t = np.linspace(0, 2 * np.pi, 73)
        xs, ys = centre[x] + outer * np.cos(t), centre[y] + outer * np.sin(t)
        if inner:
            xs = np.concatenate([xs, [np.nan], centre[x] + inner * np.cos(t)])
            ys = np.concatenate([ys, [np.nan], centre[y] + inner * np.sin(t)])
        return "aperture", (xs, ys)

    def _yx(self, dims: tuple[str, ...]) -> tuple[Any, Any]:
        plan = self.ex.plan
        if plan.carpet:
            return plan.map[0], plan.signal[0]
        for pair in (plan.places, plan.map, plan.signal):
            if len(pair) == 2 and set(dims) <= set(pair):
                return pair[0], pair[1]
        return None, plan.map[0]

    def _xy(self, at: dict[str, float], dims: tuple[str, ...]) -> tuple[float, float]:
        y, x = self._yx(dims)
        middle = [float(np.mean(self._whole(d))) for d in (x, y)]
        return at.get(x, middle[0]), at.get(y, middle[1])

    def _whole(self, dim: Any) -> tuple[float, float]:
        v = self.ex.axes[dim].values if dim is not None else np.zeros(1)
        return float(np.nanmin(v)), float(np.nanmax(v))

    # Layout

    def _pane(self, fig: Any) -> Any:
        pane = pn.pane.Bokeh(fig)
        self.panes.append(pane)
        return pane

    def _push(self) -> None:
        """Send changes to notebooks; servers send them by themselves."""
        if _style._in_notebook():
            pn.io.push_notebook(*self.panes)

    def panel(self) -> Any:
        """Return all of it, side by side."""
        from sid_xarray.viz.explore import controls

        for i, fig in enumerate(self.maps.values()):
            fig.fig.name = f"sid-map{i or ''}"
        named = {"curve": self.curve, "residual": self.residual, "pattern": self.pattern, "profile": self.profile}
        for name, made in named.items():
            if made is not None:
                made.fig.name = f"sid-{name}"
        left = [self._pane(fig.fig) for fig in self.maps.values()]
        if self.profile is not None:
            left.append(self._pane(self.profile.fig))
        right = [self._pane(f.fig) for f in (self.curve, self.residual, self.pattern) if f is not None]
        below = controls.position(self)
        maps = pn.Column(pn.Row(*left), self.readout, *below)
        signal = pn.Column(*right, *controls.signal(self))
        rest = pn.Column(*controls.sliders(self), controls.display(self))
        parts = [part for part in (maps if left else None, signal if right else None) if part is not None]
        return pn.Column(pn.Row(*parts, rest), controls.copy(self))


def _half(axis: Axis) -> float:
    return abs(axis.step) / 2 if axis.step is not None else 0.0


def text_at(ex: Explorer, dim: Hashable) -> list[str]:
    """Return the positions along a dimension as text, each another."""
    da = ex.arrays[ex.main]
    axis = axis_of(da, dim)
    if dim in da.coords and da[dim].dtype.kind in "USO":
        words = [plain(v, limit=30) for v in da[dim].values]
    else:
        units, factor = comfortable(axis.units, axis.reach)
        unit = unit_text(units)
        words = [f"{number(float(v) * factor)}{f' {unit}' if unit else ''}" for v in axis.values]
    return words if len(set(words)) == len(words) else [f"{i}: {w}" for i, w in enumerate(words)]
