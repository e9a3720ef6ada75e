"""Arguments in histories: to JSON with tags, back, and to the text of a Python expression."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.metadata import from_plain, to_plain
from sid_xarray.errors import MetadataError, ProvenanceError, TraceError
from sid_xarray.schema.records import TAG

__all__ = ["LARGEST", "Ref", "decode", "encode", "opaque", "resolve"]

LARGEST = 8 * 1024
"""Bytes of an array that is written into a history; larger ones are inputs."""

_DTYPES = (bool, int, float, complex)


@dataclass(frozen=True)
class Ref:
    """The place of an array among the inputs of a step."""

    index: int


def encode(value: Any, take: Callable[[Any], Ref | None]) -> Any:
    """Return an argument as plain JSON.

    Parameters
    ----------
    value : object
    take : callable
        Returns the place of what is an input, None for everything else.

    Raises
    ------
    TraceError
        If it cannot be written down: functions, objects of other libraries, large arrays.
    """
    ref = take(value)
    if ref is not None:
        return {TAG: "in", "v": ref.index}
    if value is Ellipsis:
        return {TAG: "..."}
    if isinstance(value, xr.DataArray):
        return _encode_array(value, take)
    if callable(value) or isinstance(value, np.dtype):
        return _encode_type(value)
    if isinstance(value, Mapping):
        # Text sorts its keys, and the order of dimensions may mean something: in expand_dims, for one.
        if all(isinstance(k, str) for k in value) and TAG not in value and list(value) == sorted(value):
            return {str(k): encode(v, take) for k, v in value.items()}
        return {TAG: "dict", "v": [[encode(k, take), encode(v, take)] for k, v in value.items()]}
    if isinstance(value, list):
        return [encode(v, take) for v in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "v": [encode(v, take) for v in value]}
    if isinstance(value, slice):
        return {TAG: "slice", "v": [encode(v, take) for v in (value.start, value.stop, value.step)]}
    if hasattr(value, "to_datetime64") or hasattr(value, "to_timedelta64"):  # pandas: to the nanosecond
        value = value.to_datetime64() if hasattr(value, "to_datetime64") else value.to_timedelta64()
    elif type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, np.ndarray) and value.nbytes > LARGEST:
        raise TraceError(
            f"an array of {value.nbytes / 1e3:.0f} kB is too large to be written into a history. "
            "Make it a DataArray and an input: da.sid.trace(lambda d, a: ..., a)"
        )
    try:
        # Bit for bit, and shorter than numbers as text.
        return _bytes(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biufcmM" else to_plain(value)
    except MetadataError:
        raise TraceError(
            f"{type(value).__name__} cannot be written into a history. Use numbers, text, slices, lists, dicts, small "
            "arrays, or arrays that are inputs"
        ) from None


def _bytes(value: np.ndarray[Any, Any]) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {TAG: "array", "dtype": value.dtype.str, "shape": list(value.shape), "v": data}


def _encode_type(value: Any) -> Any:
    """Return a type of numbers by its name; functions have no place in a history."""
    if value in _DTYPES or isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).str
    name = getattr(value, "__qualname__", type(value).__name__)
    raise TraceError(
        f"the function {name!r} cannot be written into a history. Write what it does with methods of the array, or "
        "record it as a step of its own: d.sid.apply(function)"
    )


def _encode_array(value: xr.DataArray, take: Callable[[Any], Ref | None]) -> dict[str, Any]:
    if is_lazy(value) or value.nbytes + sum(c.nbytes for c in value.coords.values()) > LARGEST:
        raise TraceError(
            f"the array {value.name!r} is too large to be written into a history. Make it an input: "
            "da.sid.trace(lambda d, a: ..., a)"
        )
    coords = {str(k): _encode_variable(c.variable, take) for k, c in value.coords.items()}
    plain = {TAG: "dataarray", "v": _encode_variable(value.variable, take), "coords": coords}
    return plain if value.name is None else {**plain, "name": str(value.name)}


def _encode_variable(value: xr.Variable, take: Callable[[Any], Ref | None]) -> list[Any]:
    attrs = {str(k): encode(v, take) for k, v in value.attrs.items()}
    return [[str(d) for d in value.dims], encode(np.asarray(value.values), take), *([attrs] if attrs else [])]


def decode(value: Any, inputs: Sequence[Any]) -> Any:
    """Return an argument from its plain form, with inputs in their places.

    Raises
    ------
    ProvenanceError
        If it is damaged, or of a kind that nobody knows.
    """
    if isinstance(value, list):
        return [decode(v, inputs) for v in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if tag is None:
        return {k: decode(v, inputs) for k, v in value.items()}
    try:
        if tag == "in":
            return inputs[int(value["v"])]
        if tag == "...":
            return Ellipsis
        if tag == "tuple":
            return tuple(decode(v, inputs) for v in value["v"])
        if tag == "dict":
            return {decode(k, inputs): decode(v, inputs) for k, v in value["v"]}
        if tag == "slice":
            return slice(*(decode(v, inputs) for v in value["v"]))
        if tag == "dataarray":
            return _decode_array(value, inputs)
        found = from_plain(value)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ProvenanceError(f"an argument of the type {tag!r} is damaged: {error}") from error
    if isinstance(found, dict) and TAG in found:
        raise ProvenanceError(f"an argument is of the type {tag!r}, which this version does not know")
    return found


def _decode_array(value: Mapping[str, Any], inputs: Sequence[Any]) -> xr.DataArray:
    def variable(plain: Any) -> xr.Variable:
        dims, values, *rest = plain
        return xr.Variable(dims, decode(values, inputs), decode(rest[0], inputs) if rest else None)

    coords = {k: variable(v) for k, v in value["coords"].items()}
    found = variable(value["v"])
    return xr.DataArray(found.data, coords, found.dims, value.get("name"), found.attrs)


def opaque(params: Any) -> str:
    """Return what in parameters is only named there: a function, or an array; empty if there is no such thing."""
    if isinstance(params, list):
        return next((found for v in params if (found := opaque(v))), "")
    if not isinstance(params, dict):
        return ""
    if params.get(TAG) == "opaque":
        return f"the object {params.get('v')!r}"
    if params.get(TAG) == "xarray":
        return "an array that is no input of the step"
    return next((found for v in params.values() if (found := opaque(v))), "")


def resolve(value: Any, give: Callable[[Ref], Any]) -> Any:
    """Return an argument with something else in the place of every reference."""
    if isinstance(value, Ref):
        return give(value)
    if isinstance(value, list):
        return [resolve(v, give) for v in value]
    if isinstance(value, tuple):
        return tuple(resolve(v, give) for v in value)
    if isinstance(value, dict):
        return {k: resolve(v, give) for k, v in value.items()}
    return (
        slice(*(resolve(v, give) for v in (value.start, value.stop, value.step))) if isinstance(value, slice) else value
    )
