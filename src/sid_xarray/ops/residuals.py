"""What a fit leaves, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import units_of
from sid_xarray.core.evaluate import curve, fitted, positions
from sid_xarray.core.lift import bare
from sid_xarray.errors import AlignmentError, DimensionError, ModelError, UnitsError
from sid_xarray.models import FitModel
from sid_xarray.schema import attrs as names

__all__ = ["components", "residuals"]


def residuals(
    ds: xr.Dataset, da: xr.DataArray, *, model: str | FitModel | Callable[..., Any] | None = None
) -> xr.DataArray:
    """Data less the fitted model.

    Parameters
    ----------
    ds : Dataset
        From ``da.sid.fit(...)``.
    da : DataArray
        What was fitted, or anything on the same grid and in the same units.
    model : str, FitModel or callable, optional
        What was fitted, where the Dataset cannot say it.

    Returns
    -------
    DataArray
        On the grid of the data; NaN where the fit failed. Lazy if the data or the maps are.

    Raises
    ------
    ModelError
        If the Dataset is no result of a fit.
    DimensionError
        If the data lack a dimension that was fitted.
    AlignmentError
        If data and maps do not lie on the same grid.
    UnitsError
        If the data have other units than those that were fitted.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> left = da.sid.fit("gaussian + constant").sid.residuals(da)
    >>> left.dims, left.units
    (('y', 'x', 'energy'), 'count')
    """
    found = fitted(ds, model)
    dims, unit = found.dims, found.units
    missing = [d for d in dims if d not in da.dims]
    if missing:
        raise DimensionError(f"the fit is along {', '.join(dims)}; the data have {tuple(da.dims)}")
    if extra := [d for d in found.parameters.dims if d not in da.dims]:
        raise DimensionError(
            f"the fit has a curve for every {extra[0]!r}, and the data have none of their own for each. Take one: "
            f"fit.isel({extra[0]}=0).sid.residuals(da)"
        )
    if units_of(da) != unit:
        raise UnitsError(f"the data are in {units_of(da)!r}, {unit!r} was fitted. Type: da.sid.to_units(data={unit!r})")
    where = positions(ds, da[dims[0]] if len(dims) == 1 else da, dims)
    values = curve(ds, found.model, where).drop_vars(list(dims))
    there = da.drop_vars([d for d in dims if d in da.coords])
    try:
        there, values = xr.align(there, values, join="exact")
    except xr.AlignmentError as error:
        raise AlignmentError(
            "the data and the maps of the fit do not lie on the same grid. "
            "Give one the grid of the other: da.reindex_like(fit, method='nearest', tolerance=...)."
        ) from error
    left = (there - values).transpose(*da.dims)
    left = left.assign_coords({d: da.coords[d] for d in dims if d in da.coords})
    kept = {k: v for k, v in da.attrs.items() if k in (names.UNITS, names.SOURCE, names.MODALITY, names.TITLE)}
    left = bare(left).rename("residual").assign_attrs({**kept, names.LONG_NAME: "residual"})
    out: xr.DataArray = provenance.stamp(left, "residuals", found.parameters, da, **found.said)
    return out


def components(
    ds: xr.Dataset, x: xr.DataArray | Any, *, model: str | FitModel | Callable[..., Any] | None = None
) -> xr.Dataset:
    """Values of the terms of a fitted sum.

    Parameters
    ----------
    ds : Dataset
        From ``da.sid.fit("gaussian + constant")``, say.
    x : DataArray or array, shape (n,)
        Where, as in `evaluate`.
    model : FitModel, optional
        What was fitted, where the Dataset cannot say it.

    Returns
    -------
    Dataset
        A variable for every term, by its name: ``gaussian1``, ``constant``.

    Raises
    ------
    ModelError
        If the Dataset is no result of a fit, or the model no sum of named ones.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> list(da.sid.fit("gaussian + constant").sid.components(da.energy))
    ['gaussian', 'constant']
    """
    found = fitted(ds, model)
    chosen = found.model
    if not chosen.terms:
        raise ModelError(f"{chosen.name!r} is no sum of models that have names; fit.sid.evaluate(x) gives the whole")
    where = positions(ds, x, found.dims)
    out = xr.Dataset()
    for term in chosen.terms:
        own = curve(ds, term.model, where, [chosen.names[i] for i in term.index])
        label = term.name.replace("_", " ")
        out[term.name] = own.assign_attrs({names.LONG_NAME: label, names.UNITS: found.units})
    return provenance.stamp(out, "components", found.parameters, **where.said, **found.said)
