"""Arrays as the app needs them: numbers, at positions that are numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError

__all__ = ["check", "positioned"]


def check(da: xr.DataArray) -> None:
    """Refuse what the app cannot show.

    Raises
    ------
    DimensionError
    """
    if da.dtype.kind not in "biufc":
        raise DimensionError(
            f"{da.name!r} is no array of numbers ({da.dtype}): nothing to explore. print(da) shows it."
        )
    empty = [d for d in da.dims if not da.sizes[d]]
    if empty:
        raise DimensionError(f"{da.name!r} is empty: {empty[0]!r} has no points, so there is nothing to explore.")
    wrong = [d for d in da.dims if not isinstance(d, str)]
    if wrong:
        names = ", ".join(f"{d!r}: 'dim_{d}'" for d in wrong)
        raise DimensionError(
            f"explore wants dimensions whose names are text, got {wrong}. Type: da.rename({{{names}}})"
        )


def positioned(da: xr.DataArray, dims: Iterable[Hashable], code: str) -> tuple[xr.DataArray, str]:
    """Give dates and text positions that are numbers, and say with which line: regions lie at numbers.

    Dates become seconds since the first; text is counted.
    """
    for dim in dims:
        kind = da[dim].dtype.kind if dim in da.coords else "f"
        if kind in "biuf":
            continue
        first = da[dim].values[0]
        if kind == "M" and not np.isnat(da[dim].values).any():
            seconds = (da[dim].values - first) / np.timedelta64(1, "s")
            da = da.assign_coords({dim: (dim, seconds, {"units": "s"})})
            since = f"(da[{dim!r}].values - np.datetime64({str(first)!r})) / np.timedelta64(1, 's')"
            code += f".assign_coords({{{dim!r}: ({dim!r}, {since}, {{'units': 's'}})}})"
        elif kind in "OSUMc":
            da, code = da.drop_vars(str(dim)), f"{code}.drop_vars({dim!r})"
    return da, code
