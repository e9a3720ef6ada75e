"""What is looked at: selections, and the numbers that belong to them. No browser, no figure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import param
import xarray as xr

from sid_xarray.core.cut import Cut, cut, resolved
from sid_xarray.core.dims import units_of
from sid_xarray.core.region import Region, as_region
from sid_xarray.errors import DimensionError, SidError
from sid_xarray.viz._labels import plain, quantity
from sid_xarray.viz.explore import _code, _start, _words
from sid_xarray.viz.explore._plan import Plan
from sid_xarray.viz.explore._read import PARTS, Cache, Reduced, reduced
from sid_xarray.viz.explore._scales import Scales

__all__ = ["Curve", "Explorer"]

_REDUCE = ("mean", "sum", "max", "min", "std")


@dataclass(frozen=True)
class Curve:
    """A curve or pattern of a region.

    Attributes
    ----------
    label : str
    values, spread : ndarray
        Over the signal dimensions; ``spread`` is the standard deviation of the points of the region.
    n : int
        Points of the region.
    array : str
        Which of several arrays it is of.
    region : int
        Which region.
    style : int
        Of the line; which array it is, by default.
    bare : bool
        Whether it is no measurement, so that it is never the reason for a scale.
    """

    label: str
    values: np.ndarray
    spread: np.ndarray
    n: int
    array: str
    region: int
    style: int = 0
    bare: bool = False


class Explorer(param.Parameterized):  # type: ignore[misc]
    """Linked selections on an array: what ``da.sid.explore()`` returns.

    In a notebook it shows itself; in a panel app it is an ordinary object: ``pn.Row(explorer)``. All that is selected
    is in its attributes, to be read and to be set.

    Parameters
    ----------
    arrays : mapping
        From name to array, the main one first; the others lie on its grid.
    plan : Plan
    names : mapping
        What the arrays are called in lines of code.
    **params
        Attributes to begin with.
    """

    regions = param.List(doc="Regions of the map; each has a curve or pattern. A point is the pixel under the cursor.")
    window = param.Parameter(None, doc="Region of the signal that the map is made of; None is all of it.")
    at = param.Dict({}, doc="Index along every dimension that has a slider.")
    compare = param.Boolean(False, doc="Whether a new selection is added to those there are.")
    reduce = param.Selector(default="mean", objects=list(_REDUCE), doc="What the window is reduced to.")
    part = param.Selector(default="amplitude", objects=list(PARTS), doc="Part of complex values.")
    spread = param.Boolean(True, doc="Whether curves of regions have a band of one standard deviation.")
    normalise = param.Boolean(False, doc="Whether curves are divided by their largest absolute value.")
    logz = param.Boolean(False, doc="Whether colours are logarithmic.")
    robust = param.Range((0.1, 99.9), bounds=(0, 100), step=0.1, doc="Percentiles between which colours run.")
    gamma = param.Number(1.0, bounds=(0.2, 3.0), step=0.05, doc="Below 1 brightens what is dark.")
    cmap = param.Selector(default="gray", objects=["gray", "viridis", "inferno", "magma", "cividis", "coolwarm"])
    size = param.Integer(380, bounds=(120, 2000), doc="Pixels of a map.")

    def __init__(
        self, arrays: Mapping[str, xr.DataArray], plan: Plan, names: Mapping[str, str] | None = None, **params: Any
    ) -> None:
        self.arrays = {name: _unread(da) for name, da in arrays.items()}
        self.main = next(iter(self.arrays))
        self.plan = plan
        self.names = dict(names or dict.fromkeys(arrays, "da"))
        self.cache = Cache()
        da = self.arrays[self.main]
        self.scales = Scales(da, plan)
        self.axes = self.scales.shown
        self.complex = any(a.dtype.kind == "c" for a in self.arrays.values())
        if len(plan.signal) == 2:
            params.setdefault("gamma", 0.5)
        at = {d: i % da.sizes[d] for d, i in dict(params.pop("at", {})).items()}
        params["at"] = {d: int(at.get(d, 0)) for d in plan.sliders}
        given = params.pop("regions", None)
        window = params.pop("window", None)
        super().__init__(**params)
        self.regions = given if given is not None else _start.middle(self)
        self.window = _start.first_window(self) if window is None else window

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "window" and value is not None:
            value = self._as_window(value)
        elif name == "regions" and value is not None:
            value = [resolved(self.arrays[self.main], as_region(r)) for r in value]
        super().__setattr__(name, value)

    # What is chosen

    def tap(self, x: float, y: float = 0.0) -> None:
        """Choose the pixel at a place on the map, in the units that are shown."""
        region = self.pixel_at(x, y)
        if region is not None:
            self.choose(region)

    def choose(self, region: Region | Mapping[str, Any]) -> None:
        """Choose a region of the map: instead of those there are, or beside them if `compare` is on."""
        region = resolved(self.arrays[self.main], as_region(region))
        self.cut_of(region)
        kept = [r for r in self.regions if r != region] if self.compare else []
        self.regions = [*kept[-6:], region]

    def pixel_at(self, x: float, y: float = 0.0) -> Region | None:
        """Return the point of the map that is nearest to a place, in the units that are shown."""
        if not self.plan.map:
            return None
        if self.plan.places:
            v, h = (self.axes[d] for d in self.plan.places)
            i = int(np.nanargmin((v.values - y) ** 2 + (h.values - x) ** 2))
            return self.pixel(i)
        if len(self.plan.map) == 1:
            return self.pixel(self.scales.nearest(self.plan.map[0], y if self.plan.carpet else x))
        return self.pixel(*(self.scales.nearest(d, at) for d, at in zip(self.plan.map, (y, x), strict=True)))

    def pixel(self, *index: int) -> Region:
        """Return the point of the map with these indices, one a dimension of the map."""
        names = tuple(map(str, self.plan.places or self.plan.map))
        index = index * 2 if self.plan.places else index
        return Region(
            "point",
            names,
            tuple(self.scales.stored(d, i) for d, i in zip(names, index, strict=True)),
            self.scales.units(names),
        )

    def box(self, x: tuple[float, float], y: tuple[float, float] = (-np.inf, np.inf)) -> Region | None:
        """Return the region between two corners on the map, in the units that are shown; ends are pixels."""
        if self.plan.places:
            spans = dict(zip(self.plan.places, (y, x), strict=True))
            found = {d: tuple(sorted(self.scales.back(d, v) for v in span)) for d, span in spans.items()}
            return Region("box", tuple(found), tuple(found.values()), self.scales.units(found))
        return self._snapped(self.plan.map, (y, x) if len(self.plan.map) == 2 else (y if self.plan.carpet else x,))

    def interval(self, low: float, high: float) -> Region | None:
        """Return the window between two places on the curve, in the units that are shown; ends are points of it."""
        return self._snapped(self.plan.signal, ((low, high),))

    def outline(self, x: Sequence[float], y: Sequence[float], *, on: str = "map") -> Region | None:
        """Return the region in an outline drawn on the map, or on the pattern, in the units that are shown."""
        dims = (self.plan.places or self.plan.map) if on == "map" else self.plan.signal
        if len(dims) != 2 or len(x) < 3:
            return None
        corners = [(self.scales.back(dims[0], b), self.scales.back(dims[1], a)) for a, b in zip(x, y, strict=True)]
        return Region("polygon", tuple(map(str, dims)), tuple(corners), self.scales.units(dims))

    def aperture(self, x: float, y: float, radius: float, inner: float = 0.0) -> Region:
        """Return a disc or ring on the pattern, in the units that are shown."""
        v, h = self.plan.signal
        at = (
            self.scales.back(v, y),
            self.scales.back(h, x),
            inner / self.scales.factor(v),
            radius / self.scales.factor(v),
        )
        return Region("aperture", (str(v), str(h)), at, self.scales.units((v, h)))

    def set_window(self, region: Region | None) -> None:
        """Make the map of another part of the signal, if there is a point in it."""
        if region is None:
            self.window = None
            return
        try:
            self._cut_signal(region)
        except SidError:
            return
        self.window = region

    # What follows from it

    reviews = False
    """Whether there are models and residuals beside the data."""

    def map_names(self) -> list[str]:
        """Return which arrays have a map: the first four of those that have its dimensions."""
        over = set(self.plan.map)
        return [n for n, da in self.arrays.items() if over <= set(da.dims)][:4] if over else []

    def residual(self) -> Curve | None:
        """Return what a model leaves, where there is one."""
        return None

    def failed(self) -> np.ndarray:
        """Tell which points of the map are no result."""
        return np.zeros(0, dtype=bool)

    def plane(self, name: str | None = None) -> Reduced:
        """Return the map of an array: its values over the dimensions of the map."""
        name = name or self.main
        da, plan = self._here(name), self.plan
        keep = [*plan.map, *plan.signal] if plan.carpet else list(plan.map)
        keep = [d for d in keep if d in da.dims]
        window = None if plan.carpet else self.window
        key = ("plane", name, window, _frozen(self.at), self.reduce, self.part)
        has = any(d in da.dims for d in plan.signal) and window is not None
        found = self._cut_signal(window, da) if has and window is not None else Cut({})
        return self.cache.get(key, lambda: reduced(da, found, keep, how=self.reduce, part=self.part))

    def curves(self) -> list[Curve]:
        """Return curves or patterns: of every region, of every array that has the signal."""
        out = []
        for i, region in enumerate(self.regions if self.plan.signal else ()):
            for k, name in enumerate(self.arrays):
                if set(self.plan.signal) <= set(self.arrays[name].dims):
                    found = self.of_region(region, name)
                    label = self.say(region)
                    label = label if len(self.arrays) == 1 else f"{plain(name, limit=24)} · {label}"
                    out.append(Curve(label, found.values, found.spread, found.n, name, i, k))
        return out

    def of_region(self, region: Region, name: str | None = None) -> Reduced:
        """Return the mean over a region of the map, with its spread."""
        name = name or self.main
        da = self._here(name)
        key = ("curve", name, region, _frozen(self.at), self.part)
        found = self.cut_of(region)
        keep = [d for d in self.plan.signal if d in da.dims]
        make = lambda: reduced(da, found, keep, part=self.part, spread=len(keep) < 2)  # noqa: E731
        return self.cache.get(key, make)

    def cut_of(self, region: Region) -> Cut:
        """Find a region on the map."""
        if self.plan.places and region.kind == "point" and region.dims == self.plan.places:
            # Points may share a place with others; then the first is meant.
            return cut(self.arrays[self.main], region)
        found = cut(self.arrays[self.main], region)
        wrong = [d for d in found.indexers if d not in self.plan.map]
        if wrong:
            raise DimensionError(f"{region} is no region of the map, which has {', '.join(map(str, self.plan.map))}")
        return found

    @property
    def cursor(self) -> Region | None:
        """The last point that was chosen."""
        return next((r for r in reversed(self.regions) if r.kind == "point"), None)

    @property
    def image(self) -> xr.DataArray:
        """The map as an array with its history."""
        return _code.image(self)

    @property
    def spectra(self) -> list[xr.DataArray]:
        """The curve or pattern of every region as an array with its history."""
        return _code.spectra(self)

    def code(self) -> list[str]:
        """Return the lines that give the same: the map, then the curve of every region.

        Returns
        -------
        list of str
        """
        return _code.lines(self)

    def heading(self, name: str) -> str:
        """Return what the map of an array is of."""
        return _words.heading(self, name)

    def say(self, region: Region) -> str:
        """Return a region in words and units."""
        return _words.say(self, region)

    def readout(self) -> str:
        """Return place and value of the cursor, in units."""
        if self.cursor is None:
            return ""
        value = self.value_at(self.cursor)
        return f"{self.say(self.cursor)}: {value}" if value else self.say(self.cursor)

    def value_at(self, region: Region) -> str:
        """Return the value of the map at a point, in units."""
        return "" if self.plan.carpet else _words.value(self, region)

    def units(self, name: str | None = None) -> str:
        """Return the units of an array as it is shown."""
        da = self.arrays[name or self.main]
        return "rad" if da.dtype.kind == "c" and self.part == "phase" else units_of(da)

    def quantity(self, name: str | None = None) -> str:
        """Return what an array is, for an axis."""
        name = name or self.main
        da = self.arrays[name]
        return quantity(da, fallback=name) + (f", {self.part}" if da.dtype.kind == "c" else "")

    # Inside

    def _here(self, name: str) -> xr.DataArray:
        da = self.arrays[name]
        return da.isel({d: i for d, i in self.at.items() if d in da.dims})

    def _as_window(self, window: Any) -> Region:
        if isinstance(window, Region | Mapping):
            region = as_region(window)
        elif len(self.plan.signal) == 1:
            region = Region("interval", (str(self.plan.signal[0]),), tuple(window))
        else:
            raise DimensionError(f"a window on {self.plan.signal} is a region, such as sid.Region.aperture(...)")
        self._cut_signal(region)
        return resolved(self.arrays[self.main], region)

    def _cut_signal(self, region: Region, da: xr.DataArray | None = None) -> Cut:
        found = cut(self.arrays[self.main] if da is None else da, region)
        wrong = [d for d in found.indexers if d not in self.plan.signal]
        if wrong:
            raise DimensionError(f"{region} is no window on the signal, which has {self.plan.signal}")
        return found

    def _snapped(self, dims: Sequence[Hashable], spans: Sequence[tuple[float, float]]) -> Region | None:
        ends = []
        for dim, (a, b) in zip(dims, spans, strict=True):
            axis = self.axes[dim]
            inside = np.flatnonzero((axis.values >= min(a, b)) & (axis.values <= max(a, b)))
            if not inside.size:
                inside = np.array([self.scales.nearest(dim, (a + b) / 2)])
            ends.append(
                tuple(sorted((self.scales.stored(dim, int(inside[0])), self.scales.stored(dim, int(inside[-1])))))
            )
        if len(dims) == 1:
            return Region("interval", (str(dims[0]),), ends[0], self.scales.units(dims))
        return Region("box", tuple(map(str, dims)), tuple(ends), self.scales.units(dims))

    # In notebooks and apps

    def __panel__(self) -> Any:
        from sid_xarray.viz.explore.layout import layout

        return layout(self)

    def servable(self, title: str | None = None) -> Any:
        """Make it what ``panel serve`` shows.

        Parameters
        ----------
        title : str, optional
            Of the page.
        """
        return self.__panel__().servable(title=title)

    def save(self, path: Any, *, max_values: int = 4_000_000) -> str:
        """Write a page that works from disk, without Python: a tap gives the spectrum, a window the map.

        Parameters
        ----------
        path : str
            ``.html``.
        max_values : int
            Larger arrays are averaged in blocks until they have no more values.

        Returns
        -------
        str
            The path.
        """
        from sid_xarray.viz.explore.export import export

        return export(self, path, max_values=max_values)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from sid_xarray.viz.explore.layout import ready

        return ready().panel(self.__panel__())._repr_mimebundle_(include, exclude)


def _unread(da: xr.DataArray) -> xr.DataArray:
    return da.isel({d: slice(None) for d in da.dims}) if not da.variable._in_memory else da


def _frozen(at: Mapping[Hashable, int]) -> tuple[Any, ...]:
    return tuple(sorted(at.items(), key=str))
