"""Which variables of a Dataset are quantities, and which belong to another one."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from sid_xarray._types import BoolArray
from sid_xarray.errors import DimensionError
from sid_xarray.schema import attrs as names

__all__ = ["fitted_at", "looks_like_fit", "main_variable", "own_variables", "parameters", "quantities", "variance_of"]

_BOOKKEEPING = ("status", "redchi", "rsquared", "nfev")


def own_variables(ds: xr.Dataset) -> list[Hashable]:
    """Return the numeric variables that are no companions (variance, mask, error) of another one."""
    companions = {n for da in ds.data_vars.values() for n in str(da.attrs.get(names.ANCILLARY, "")).split()}
    known = {str(n) for n in ds.data_vars}
    for name in known:
        companions |= {f"{name}{tail}" for tail in ("_variance", "_stderr")} & known
    return [n for n, da in ds.data_vars.items() if str(n) not in companions and da.dtype.kind in "biufc"]


def main_variable(ds: xr.Dataset) -> Hashable:
    """Return the variable that the others are about: the first with the most dimensions."""
    own = own_variables(ds)
    if not own:
        raise DimensionError(f"no variable of numbers to draw among {', '.join(map(str, ds.data_vars)) or 'none'}.")
    return max(own, key=lambda name: ds[name].ndim)


def quantities(ds: xr.Dataset, main: xr.DataArray) -> dict[Hashable, xr.DataArray]:
    """Return the variables on the dimensions of the main one, that one first."""
    same = {n: ds[n] for n in own_variables(ds) if ds[n].dims == main.dims}
    return {main.name: main, **same}


def variance_of(ds: xr.Dataset, name: Hashable) -> xr.DataArray | None:
    """Return the variance of a variable, if the Dataset has it."""
    named = str(ds[name].attrs.get(names.ANCILLARY, "")).split()
    for candidate in (*(n for n in named if n.endswith("variance")), f"{name}_variance"):
        if candidate in ds.data_vars and ds[candidate].dims == ds[name].dims and ds[candidate].dtype.kind in "iuf":
            return ds[candidate]
    return None


def looks_like_fit(ds: xr.Dataset) -> bool:
    """Tell whether a Dataset holds the parameters of a fit: errors beside values, and how good it is."""
    known = {str(n) for n in ds.data_vars}
    return any(f"{name}_stderr" in known for name in known) and bool(known & {"redchi", "status"})


def fitted_at(status: xr.DataArray) -> BoolArray:
    """Tell where there was something to fit, going by what the values of a status mean: not where no peak is."""
    codes = np.atleast_1d(np.asarray(status.attrs.get("flag_values", ())))
    words = str(status.attrs.get("flag_meanings", "")).split()
    absent = [code for code, word in zip(codes, words, strict=False) if word == "no_peak"]
    return np.asarray(~np.isin(status.values, absent))


def parameters(ds: xr.Dataset) -> list[Hashable]:
    """Return the parameters of a fit, in their order, without errors and bookkeeping."""
    return [n for n in own_variables(ds) if str(n) not in _BOOKKEEPING]
