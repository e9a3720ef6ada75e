"""Units in a history: every step says which units it changed, so that its parameters can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr

from sid_xarray.core.history import Step
from sid_xarray.schema import attrs as names

__all__ = ["noted", "units_before"]

_CHANGED, _FOUND = "units", "units_in"
_NONE = "1"


def noted(
    result: xr.DataArray,
    known: Mapping[str, Step] | None = None,
    inputs: Iterable[tuple[str, str]] = (),
    arrays: Iterable[xr.DataArray] = (),
) -> dict[str, Any]:
    """Return what a step says of units: those of its result that are others than before.

    Units that were set by hand since the last step stand apart, since the parameters of this one are in them.

    Parameters
    ----------
    result : DataArray
    known : mapping, optional
        From id to step: the history of the inputs.
    inputs : iterable of (role, id)
    arrays : iterable of DataArray
        What the step worked on.
    """
    before = _inherited(known or {}, [key for _, key in inputs])
    here: dict[str, str] = {}
    for da in arrays:
        here = {**_units(da), **here}
    found = {k: u for k, u in here.items() if before.get(k, _NONE) != u}
    before |= found
    changed = {k: u for k, u in _units(result).items() if before.get(k, _NONE) != u}
    return {key: said for key, said in ((_CHANGED, changed), (_FOUND, found)) if said}


def units_before(known: Mapping[str, Step], step: Step) -> dict[str, str]:
    """Return the units that the parameters of a step are in, by dimension; those of the values under ``""``.

    Parameters
    ----------
    known : mapping
        From id to step.
    step : Step
    """
    return {**_inherited(known, [key for _, key in step.inputs]), **_said(step, _FOUND)}


def _inherited(known: Mapping[str, Step], ids: Iterable[str]) -> dict[str, str]:
    """Return what the steps that lead somewhere say last, the first input before the second."""
    out: dict[str, str] = {}
    done: set[str] = set()
    todo = list(ids)[::-1]
    while todo:
        key = todo.pop()
        if key in known and key not in done:
            done.add(key)
            step = known[key]
            out = {**_said(step, _FOUND), **_said(step, _CHANGED), **out}
            todo += [i for _, i in reversed(step.inputs)]
    return out


def _said(step: Step, key: str) -> dict[str, str]:
    said = step.out.get(key)
    return {str(dim): str(unit) for dim, unit in said.items()} if isinstance(said, Mapping) else {}


def _units(da: xr.DataArray) -> dict[str, str]:
    coords = da._coords  # no DataArray is built for every dimension
    unit = da.attrs.get(names.UNITS)
    out = {"": unit if isinstance(unit, str) else _NONE}
    for dim in da.dims:
        unit = coords[dim].attrs.get(names.UNITS) if dim in coords else None
        out[str(dim)] = unit if isinstance(unit, str) else _NONE
    return out
