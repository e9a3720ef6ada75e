"""One recorded operation: done from what the history says of it, so that a replay does the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from sid_xarray.core.registry import VERBS, load
from sid_xarray.core.replay.values import decode
from sid_xarray.core.stamping import record
from sid_xarray.core.trace.table import find, perform
from sid_xarray.errors import ProvenanceError

__all__ = ["arguments", "before", "do", "options", "parse"]

_OP = re.compile(r"(sid|xr|np):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)@(\d{1,6})")


def parse(op: str) -> tuple[str, str, int]:
    """Return namespace, name and version of ``"xr:mean@1"``; empty texts if it is no such thing."""
    found = _OP.fullmatch(op)
    return (found[1], found[2], int(found[3])) if found else ("", "", 0)


def arguments(space: str, params: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of an operation, the array that it belongs to first.

    Raises
    ------
    ProvenanceError
        If the parameters are damaged.
    """
    args, kwargs = decode(params.get("args", []), inputs), decode(params.get("kwargs", {}), inputs)
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not inputs:
        raise ProvenanceError("the arguments of a step are damaged")
    return tuple(args) if space == "np" else (inputs[0], *args), kwargs


def before(params: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of what comes first in a chain such as ``d.rolling(x=3).mean()``."""
    of = decode(params.get("of", [[], {}]), inputs)
    if not isinstance(of, list) or len(of) != 2 or not isinstance(of[0], list) or not isinstance(of[1], dict):
        raise ProvenanceError("the arguments of a step are damaged")
    return tuple(of[0]), of[1]


def options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of xarray that counted: how grids were joined, and no other."""
    found = params.get("options", {})
    if not isinstance(found, dict) or not found.keys() <= {"arithmetic_join"}:
        raise ProvenanceError("the options of a step are damaged")
    return found


def do(op: str, inputs: Sequence[xr.DataArray | xr.Dataset], params: Mapping[str, Any]) -> Any:
    """Do one operation and record it.

    Parameters
    ----------
    op : str
        Such as ``"xr:mean@1"``, or a verb that writes no step of its own, such as ``"sid:set_units@1"``.
    inputs : sequence of DataArray or Dataset
    params : mapping
        Plain JSON: ``args``, ``kwargs``; ``of`` for what comes first in a chain; ``options`` of xarray.

    Returns
    -------
    DataArray or Dataset

    Raises
    ------
    ProvenanceError
        If there is no such operation.
    """
    space, name, _ = parse(op)
    args, kwargs = arguments(space, params, inputs)
    if space == "sid":
        return record(load(VERBS[name].place)(*args, **kwargs), op, inputs, params)
    found = find(space, name)
    if found is None:
        raise ProvenanceError(f"{op!r} is no operation that a history can hold")
    out = perform(found, args, kwargs, of=before(params, inputs), options=options(params))
    return record(out, op, inputs, params)
