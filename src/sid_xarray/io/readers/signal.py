"""What a reader gives: signals, each with its axes, units and metadata."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.schema import attrs as names

__all__ = ["Signal", "axis"]


@dataclass
class Signal:
    """One quantity of a file.

    Attributes
    ----------
    name : str
        As the vendor's program shows it: the name of the variable.
    data : array
        numpy, dask, or lazy as `Source.array` gives it.
    axes : sequence of Variable
        Slow to fast, one a dimension, made by `axis`. Row 0 is the top of the vendor's picture.
    units : str
        Of the values, in any spelling.
    quantity : str, optional
        What is measured, for labels; the name by default.
    group : str
        Name of the node, if the file has several. Signals of one group that lie on one grid make one Dataset.
    title, modality : str, optional
    metadata : mapping
        In the common words: ``{"probe/bias": (50, "mV")}``, see `sid_xarray.schema.vocabulary`.
    original : mapping or callable
        The vendor's own words, nested; a function is called when they are packed.
    coords : mapping
        Further coordinates: name to Variable.
    """

    name: str
    data: Any
    axes: Sequence[xr.Variable]
    units: str = "1"
    quantity: str | None = None
    group: str = ""
    title: str | None = None
    modality: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    original: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    coords: Mapping[str, xr.Variable] = field(default_factory=dict)


def axis(
    name: str,
    size: int,
    step: float | npt.ArrayLike = 1.0,
    start: float = 0.0,
    *,
    units: str = "1",
    kind: str | None = None,
    label: str | None = None,
) -> xr.Variable:
    """Return the coordinate of a dimension.

    Parameters
    ----------
    name : str
        Lower snake-case: ``y``, ``x``, ``energy``, ``bias``, ``time``.
    size : int
    step : float or array_like
        From one point to the next; negative ones run down. An array gives all positions.
    start : float
        Position of point 0.
    units : str
    kind : str, optional
        Type of the dimension, where units and name do not tell.
    label : str, optional
        For pictures; the name by default.

    Returns
    -------
    Variable
        One-dimensional, float64.
    """
    if np.ndim(step):
        positions = np.array(step, dtype=np.float64)
    else:
        width = float(step)  # type: ignore[arg-type]
        if not (math.isfinite(width) and math.isfinite(start)):
            width, start, units = 1.0, 0.0, "1"
        positions = start + width * np.arange(int(size), dtype=np.float64)
    attrs: dict[str, Any] = {names.UNITS: units}
    if label:
        attrs[names.LONG_NAME] = label
    if kind:
        attrs[names.DIMENSION_TYPE] = kind
    return xr.Variable((name,), positions, attrs)
