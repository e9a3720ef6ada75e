"""Steps are written here: every verb stamps its result, readers stamp roots; gaps get an explicit step."""

from __future__ import annotations

import copy
import dataclasses
import secrets
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray._arrays import numpy_dtype
from sid_xarray.core import history as _history
from sid_xarray.core.chunked import graph_name, is_lazy, same_values
from sid_xarray.core.fingerprint import axes_token, token
from sid_xarray.core.history import History
from sid_xarray.core.metadata import to_plain
from sid_xarray.core.step_units import noted
from sid_xarray.errors import MetadataError
from sid_xarray.options import OPTIONS
from sid_xarray.schema import attrs as names

__all__ = [
    "GAP",
    "GRAPH",
    "HEAD",
    "check_state",
    "departed",
    "descend",
    "plain_param",
    "record",
    "root",
    "settle",
    "settled",
    "stamp",
    "state_of",
    "strip",
]

T = TypeVar("T", xr.DataArray, xr.Dataset)
# In `encoding`, which arithmetic drops: they tell whether lazy values are still the result of a step.
HEAD, GRAPH = "sid_head", "sid_graph"
_UNRECORDED = "sid:unrecorded@1"
GAP = "lazy values went through an operation that left no record"


def check_state(found: History, here: Mapping[str, Any], *, lazy: bool) -> tuple[str, str]:
    """Return the status of a history, and why, for an array in the state ``here``."""
    if not found:
        return "none", ""
    if found.damaged:
        return "modified", f"the text of {', '.join(found.damaged)} was changed"
    if len(found.heads) > 1:
        return "merged", ""
    out = found.steps[found.heads[0]].out
    for key in ("dims", "shape", "dtype"):
        if key in out and out[key] != here[key]:
            return "modified", f"changed from {key} {_plain(out[key])} to {_plain(here[key])} after the last step"
    if out.get("axes") is not None and here["axes"] is not None and out["axes"] != here["axes"]:
        return "modified", "positions along the dimensions were changed after the last step"
    if lazy:
        return "unknown", ""
    if here["tok"] is None:
        return "unknown", "values of this type cannot be checked"
    if out.get("tok") is None:
        return "unknown", "the values were lazy when the step was recorded"
    if out["tok"] == here["tok"]:
        return "verified", ""
    return "modified", "the values were changed after the last step"


def _plain(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, list) else str(value)


def state_of(da: xr.DataArray, *, lazy: bool = False) -> dict[str, Any]:
    """Return what a step says about its result; ``lazy`` leaves the values alone."""
    dtype = numpy_dtype(da.dtype)
    return {
        "dims": [str(d) for d in da.dims],
        "shape": list(da.shape),
        "dtype": dtype.newbyteorder("=").str.lstrip("<>=|") if dtype.names is None else str(dtype),
        "tok": None if lazy else token(da),
        "axes": axes_token(da),
    }


def root(da: xr.DataArray, op: str, *, lazy: bool = False, identity: Mapping[str, Any], **shown: Any) -> xr.DataArray:
    """Return the array with a history that starts here; unchanged if it has one already.

    Parameters
    ----------
    da : DataArray
    op : str
        For instance ``"sid:open@1"``.
    lazy : bool
        Do not look at the values.
    identity : mapping
        What makes the root the same root: content hash, place in the file. Enters the id.
    **shown
        What is worth knowing besides, such as the name of the file. Does not enter the id.
    """
    if not OPTIONS["record_provenance"] or _history.read(da.attrs):
        return da
    step = _history.make_step(op, {**shown, **identity}, (), {**state_of(da, lazy=lazy), **noted(da)})
    # A file that was renamed is the same root: the address is made of the identity alone. And a file that is
    # opened twice gives identical arrays: the time of opening says nothing about them.
    step = dataclasses.replace(step, id=_history.recipe_id(op, identity, ()), time="")
    out = da.copy(deep=False)
    _write(out.variable, History().add(step))
    return out


def descend(obj: T, parent: xr.DataArray | xr.Dataset) -> T:
    """Return the array with the history of the one that it was made from, and a gap; unchanged if it has one."""
    if not OPTIONS["record_provenance"] or _is_recorded(obj) or not _is_recorded(parent):
        return obj
    found, inputs = _of_inputs((parent,))
    out = obj.copy(deep=False)
    for name, da in out.data_vars.items() if isinstance(out, xr.Dataset) else (("", out),):
        here = state_of(da)
        params = {"what": "made by something that left no record", "status": "none"}
        salt = f"{here['tok']}{here['axes']}" if here["tok"] else secrets.token_hex(8)
        here |= noted(da, found.steps, inputs)
        step = _history.make_step(_UNRECORDED, params, inputs, here, part=str(name) or None, salt=salt)
        _write(da.variable, found.add(step))
    return out


def _is_recorded(obj: xr.DataArray | xr.Dataset) -> bool:
    arrays = obj.data_vars.values() if isinstance(obj, xr.Dataset) else (obj,)
    return any(names.is_provenance(key) for da in arrays for key in da.attrs)


def strip(obj: T) -> T:
    """Return the array without its history."""
    out = obj.copy(deep=False)
    for attrs in _all_attrs(out):
        for key in [k for k in attrs if names.is_provenance(k)]:
            del attrs[key]
    return out


def _all_attrs(obj: xr.DataArray | xr.Dataset) -> Iterator[dict[Any, Any]]:
    yield obj.attrs
    variables = obj._variables if isinstance(obj, xr.Dataset) else obj._coords  # far cheaper than building DataArrays
    for var in variables.values():
        yield var.attrs


def _own(obj: T) -> T:
    """Return a copy that shares values with its origin, and nothing else: no attribute, no encoding, no history."""
    out = strip(obj)
    for variable in (out._variables if isinstance(out, xr.Dataset) else {**out._coords, None: out.variable}).values():
        variable.encoding = {}
    out.encoding = {}
    for attrs in _all_attrs(out):
        for key, value in attrs.items():
            if isinstance(value, list | dict | set | np.ndarray):
                attrs[key] = copy.deepcopy(value)
    return out


def stamp(result: T, op: str, *inputs: xr.DataArray | xr.Dataset, version: int = 1, **params: Any) -> T:
    """Return the result of a verb with one more step in its history; the last line of every verb.

    The history is that of the inputs, so a verb that calls verbs stamps once.

    Parameters
    ----------
    result : DataArray or Dataset
        Every variable of a Dataset is stamped, as one part of the result.
    op : str
        Name of the verb.
    *inputs : DataArray or Dataset
        What it worked on.
    version : int
        Version of the verb: a higher one, when the same parameters give other numbers.
    **params
        Everything that is needed to do it again.
    """
    return record(result, f"sid:{op}@{version}", inputs, {k: plain_param(v) for k, v in params.items()})


def record(result: T, op: str, inputs: Sequence[xr.DataArray | xr.Dataset], params: Mapping[str, Any]) -> T:
    """Return a result with one more step in its history: `stamp`, for any operation and parameters that are plain.

    Parameters
    ----------
    result : DataArray or Dataset
    op : str
        With namespace and version: ``"xr:mean@1"``.
    inputs : sequence of DataArray or Dataset
    params : mapping
        Plain JSON.
    """
    result = _own(result)
    if not OPTIONS["record_provenance"]:
        return result
    found, ids = _of_inputs(inputs)
    parts = {None: result} if isinstance(result, xr.DataArray) else {str(k): v for k, v in result.data_vars.items()}
    arrays = [da for obj in inputs for da in (obj.data_vars.values() if isinstance(obj, xr.Dataset) else (obj,))]
    for part, da in parts.items():
        out = {**state_of(da), **noted(da, found.steps, ids, arrays)}
        step = _history.make_step(op, params, ids, out, part=part)
        _write(da.variable, found.add(step))
    return result


def _write(variable: xr.Variable, found: History) -> None:
    """Write a history on a variable that is ours."""
    head = found.heads[0]
    variable.attrs = {**names.without_provenance(variable.attrs), **_history.encode(found)}
    variable.encoding = {**variable.encoding, HEAD: head}
    graph = graph_name(variable)
    if graph is not None:
        variable.encoding[GRAPH] = graph


def plain_param(value: Any) -> Any:
    """Return a parameter as plain JSON; of arrays a fingerprint, of functions and other objects their name."""
    if isinstance(value, xr.DataArray | xr.Dataset):
        if isinstance(value, xr.DataArray) and value.size == 1 and not is_lazy(value):
            return plain_param(value.values.reshape(())[()])
        variables = value.data_vars.values() if isinstance(value, xr.Dataset) else (value,)
        return {"~": "xarray", "tok": [token(v) for v in variables]}
    try:
        return to_plain(value)
    except MetadataError:
        if isinstance(value, Mapping):
            return {str(k): plain_param(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain_param(v) for v in value]
        place = f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', type(value).__name__)}"
        return {"~": "opaque", "v": place}


def _of_inputs(inputs: Sequence[xr.DataArray | xr.Dataset]) -> tuple[History, list[tuple[str, str]]]:
    found = History()
    ids: list[tuple[str, str]] = []
    for i, obj in enumerate(inputs):
        role = "in" if len(inputs) == 1 else f"in{i}"
        parts: Mapping[Hashable, xr.DataArray] = obj.data_vars if isinstance(obj, xr.Dataset) else {"": obj}
        for part, da in parts.items():
            one = settled(da)
            found = found.union(one)
            ids.append((f"{role}.{part}" if part != "" else role, one.heads[0]))
    return found, ids


def settled(da: xr.DataArray) -> History:
    """Return a history with one head that is true of the array: gaps are filled by an explicit step."""
    found = _history.read(da.attrs)
    here = state_of(da)
    # Two different arrays, or unrecorded changes, must not share an address.
    salt = f"{here['tok']}{here['axes']}" if here["tok"] else secrets.token_hex(8)
    if not found.heads:
        name = None if da.name is None else str(da.name)
        said: dict[str, Any] = {"name": name, "verifiable": here["tok"] is not None}
        if found.damaged:
            said["damaged"] = list(found.damaged)
        return History().add(_history.make_step("sid:input@1", said, (), {**here, **noted(da)}, salt=salt))
    lazy = is_lazy(da)
    status, reason = check_state(found, here, lazy=lazy)
    if status == "verified" or (status == "unknown" and not departed(da, found.heads[0], lazy=lazy)):
        return found
    if status == "unknown":
        reason = GAP
    params = {"what": "plain arithmetic" if status == "merged" else reason, "status": status}
    inputs = [(f"in{i}" if len(found.heads) > 1 else "in", head) for i, head in enumerate(found.heads)]
    out = {**here, **noted(da, found.steps, inputs)}
    return found.add(_history.make_step(_UNRECORDED, params, inputs, out, salt=salt))


def settle(obj: T) -> T:
    """Return an array whose history has one head that is true of it, as the next step would find it."""
    if not OPTIONS["record_provenance"]:
        return obj
    arrays = obj.data_vars.values() if isinstance(obj, xr.Dataset) else (obj,)
    found = [settled(da) for da in arrays]
    if all(f.heads == _history.read(da.attrs).heads for f, da in zip(found, arrays, strict=True)):
        return obj
    out = obj.copy(deep=False)
    for f, da in zip(found, out.data_vars.values() if isinstance(out, xr.Dataset) else (out,), strict=True):
        _write(da.variable, f)
    return out


def departed(da: xr.DataArray, head: str, *, lazy: bool) -> bool:
    """Tell whether something was done to values that cannot be checked, since they are or were lazy."""
    encoding = da.variable.encoding
    if encoding.get(HEAD) != head:
        return True
    return lazy and not same_values(da, encoding.get(GRAPH))
