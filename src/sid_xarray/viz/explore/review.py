"""A fit beside its data: maps of parameters, and curve, components and residual of the pixel that is tapped."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import param
import xarray as xr

from sid_xarray.core.dims import units_of
from sid_xarray.core.evaluate import fitted
from sid_xarray.core.region import Region
from sid_xarray.errors import AlignmentError, DimensionError
from sid_xarray.viz._labels import quantity
from sid_xarray.viz._siblings import parameters
from sid_xarray.viz.explore import _words
from sid_xarray.viz.explore._plan import make_plan
from sid_xarray.viz.explore._read import Reduced
from sid_xarray.viz.explore.state import Curve, Explorer

__all__ = ["Review", "review"]


class Review(Explorer):
    """An explorer whose map is a parameter of a fit.

    Parameters
    ----------
    data : DataArray
        What was fitted.
    fit : Dataset
        From ``da.sid.fit(...)``.
    **params
        As for `Explorer`.
    """

    parameter = param.Selector(objects=[""], doc="Which parameter is the map.")
    reviews = True

    def __init__(self, data: xr.DataArray, fit: xr.Dataset, **params: Any) -> None:
        found = fitted(fit, None)
        if len(found.dims) != 1:
            raise DimensionError(f"a review shows fits along one dimension, this one is along {', '.join(found.dims)}")
        if extra := [d for d in found.parameters.dims if d not in data.dims]:
            raise DimensionError(
                f"the fit lies over {extra[0]!r}, which the data lack. Take one: "
                f"fit.isel({{{extra[0]!r}: 0}}).sid.explore(data=da)"
            )
        (self.dim,) = found.dims
        self.fit = fit
        plan = make_plan(data, signal=self.dim)
        wrong = [d for d in plan.map if d not in fit.dims or fit.sizes[d] != data.sizes[d]]
        if wrong or self.dim not in data.dims:
            raise AlignmentError(f"fit and data do not lie on the same grid: {(*wrong, self.dim)[0]!r} differs")
        shown = [str(n) for n in (*parameters(fit), *(k for k in ("redchi", "rsquared", "status") if k in fit))]
        self.param["parameter"].objects = shown
        name = str(data.name or "data")
        super().__init__({name: data}, plan, {name: "da"}, **{"parameter": shown[0], **params})

    def map_names(self) -> list[str]:
        """Return what has a map."""
        return ["map"]

    def plane(self, name: str | None = None) -> Reduced:
        """Return the map of the parameter."""
        da = self._of_fit(self.fit[self.parameter])
        values = np.asarray(da.transpose(*self.plan.map).values)
        return Reduced(values, np.zeros(values.shape), 1)

    def units(self, name: str | None = None) -> str:
        """Return the units of the data, or of the map."""
        return units_of(self.fit[self.parameter]) if name == "map" else super().units(name)

    def quantity(self, name: str | None = None) -> str:
        """Return what the data are, or the map."""
        return quantity(self.fit[self.parameter], fallback=self.parameter) if name == "map" else super().quantity(name)

    def value_at(self, region: Region) -> str:
        """Return the value of the parameter at a point, in units."""
        return _words.value(self, region, "map")

    def heading(self, name: str) -> str:
        """Return how many fits failed."""
        failed = int(self.failed().sum())
        return f"{failed} of {self.failed().size} fits failed" if failed else ""

    def failed(self) -> np.ndarray:
        """Tell where the fit failed, over the dimensions of the map."""
        da = self._of_fit(self.fit["status"] if "status" in self.fit else self.fit[parameters(self.fit)[0]].isnull())
        return np.asarray(da.transpose(*self.plan.map).values != 0)

    def curves(self) -> list[Curve]:
        """Return data, model and components of the pixel under the cursor; of other regions the data."""
        out = []
        for i, region in enumerate(self.regions):
            found = self.of_region(region)
            out.append(Curve(self.say(region), found.values, found.spread, found.n, self.main, i))
        if self.cursor is not None:
            i = self.regions.index(self.cursor)
            none = np.zeros(0)
            model, terms = self.model()
            out.append(Curve("model", model, none, 1, "model", i, 1, True))
            out += [Curve(word, values, none, 1, word, i, 2, True) for word, values in terms.items()]
        return out

    def residual(self) -> Curve | None:
        """Return the data less the model, of the pixel under the cursor."""
        if self.cursor is None:
            return None
        values = self.of_region(self.cursor).values - self.model()[0]
        return Curve("residual", values, np.zeros(0), 1, "residual", self.regions.index(self.cursor))

    def model(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the model of the pixel under the cursor, and its terms by name, if there are several."""
        one, x = self._pixel(), self.arrays[self.main][self.dim]
        curve = np.asarray(one.sid.evaluate(x).values)
        terms = one.sid.components(x)
        found = (
            {str(k): np.asarray(v.values) for k, v in terms.data_vars.items()} if isinstance(terms, xr.Dataset) else {}
        )
        return curve, found if len(found) > 1 else {}

    def refit(self) -> bool:
        """Fit the pixel under the cursor again, starting from what its neighbours have; `fit` then has the new values.

        Returns
        -------
        bool
            Whether it converged.
        """
        if self.cursor is None or "status" not in self.fit:
            return False
        at = self._at()
        da = self.arrays[self.main].isel(at).load()
        model = self.fit.attrs["sid_model"]
        again = da.sid.fit(model, dim=self.dim, guess=self._neighbours(at))
        if int(again["status"]) != 0:
            return False
        fit = self.fit.copy(deep=True)
        for name in again.data_vars:
            if name in fit:
                fit[name][at] = again[name].values
        self.fit = fit
        self.param.trigger("parameter", "regions")
        return True

    def code(self) -> list[str]:
        """Return the lines that give the map, the data and the model of the pixel.

        Returns
        -------
        list of str
        """
        data = super().code()[1:]
        one = f"fit.isel({', '.join(f'{d}={i}' for d, i in self._at().items())})" if self.cursor is not None else "fit"
        return [f"fit[{self.parameter!r}]", *data, f"{one}.sid.evaluate(da[{self.dim!r}])"]

    def _of_fit(self, da: xr.DataArray) -> xr.DataArray:
        return da.isel({d: i for d, i in self.at.items() if d in da.dims})

    def _at(self) -> dict[Hashable, int]:
        assert self.cursor is not None
        return {**{d: int(i) for d, i in self.cut_of(self.cursor).indexers.items()}, **self.at}

    def _pixel(self) -> xr.Dataset:
        return self.fit.isel({d: i for d, i in self._at().items() if d in self.fit.dims})

    def _neighbours(self, at: Mapping[Hashable, int]) -> Any:
        """Return the medians of the nearest pixels that converged, or ``"auto"``."""
        names = list(fitted(self.fit, None).model.names)
        for reach in (1, 2, 4, 8):
            near = {d: slice(max(0, i - reach), i + reach + 1) if d in self.plan.map else i for d, i in at.items()}
            part = self.fit[[*names, "status"]].isel(near)
            good = part.where(part["status"] == 0)
            if bool((part["status"] == 0).any()):
                return {n: float(np.nanmedian(good[n].values)) for n in names}
        return "auto"


def review(fit: xr.Dataset, data: xr.DataArray, **params: Any) -> Review:
    """Make a review."""
    return Review(data, fit, **params)
