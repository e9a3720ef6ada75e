"""What verbs with several results have in common."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import DimensionError
from sid_xarray.schema import attrs as names

__all__ = ["flags", "refuse_taken"]


def refuse_taken(da: xr.DataArray, results: Iterable[Hashable]) -> None:
    """Check that no dimension or coordinate has the name of a result.

    Raises
    ------
    DimensionError
        If one has.
    """
    for name in results:
        if name in da.dims or name in da.coords:
            raise DimensionError(
                f"{name!r} is a dimension or coordinate of the array, and would be a variable of the result. "
                f"Rename it first: da.rename({{{name!r}: ...}})"
            )


def flags(status: Mapping[int, str], what: str) -> dict[str, Any]:
    """Return the attributes of a status map, as CF flags."""
    return {
        names.LONG_NAME: f"status of the {what}",
        names.UNITS: "1",
        "flag_values": np.array(list(status), dtype=np.int8),
        "flag_meanings": " ".join(status.values()),
    }
