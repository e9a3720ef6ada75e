"""Metadata of arrays: records in attributes, read as a frozen view, replaced and never edited."""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray.errors import MetadataError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import records
from sid_xarray.schema.records import TAG, Record

__all__ = ["metadata", "original_metadata", "pack", "to_plain", "unpack", "with_metadata"]

T = TypeVar("T", xr.DataArray, xr.Dataset)


def to_plain(value: Any) -> Any:
    """Return ``value`` as plain JSON, with tags for what JSON lacks.

    numpy scalars and arrays keep dtype and shape; int64, float64 and bool ones become plain numbers and lists.

    Raises
    ------
    MetadataError
        For objects that cannot be stored, such as functions.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.generic | np.ndarray):
        return _array_to_plain(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}
    if isinstance(value, complex):
        return {TAG: "complex", "v": [to_plain(value.real), to_plain(value.imag)]}
    if isinstance(value, bytes | bytearray):
        return {TAG: "bytes", "v": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Mapping):
        return _mapping_to_plain(value)
    if isinstance(value, list):
        return [to_plain(v) for v in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "v": [to_plain(v) for v in value]}
    if isinstance(value, set | frozenset):
        return {TAG: "set", "v": sorted((to_plain(v) for v in value), key=repr)}
    if isinstance(value, dt.datetime | dt.date | dt.time | dt.timedelta):
        return _time_to_plain(value)
    if isinstance(value, slice):
        return {TAG: "slice", "v": [to_plain(v) for v in (value.start, value.stop, value.step)]}
    raise MetadataError(
        f"metadata cannot hold {type(value).__name__}: {str(value)[:60]!r}. "
        "Store numbers, text, None, lists, dicts, numpy arrays or datetimes."
    )


def _time_to_plain(value: dt.datetime | dt.date | dt.time | dt.timedelta) -> Any:
    if value != value:  # pandas.NaT
        return to_plain(np.datetime64("NaT", "ns"))
    if isinstance(value, dt.timedelta):
        return {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    # The name of the base type: pandas.Timestamp is a datetime.
    tag = next(kind for kind in ("datetime", "date", "time") if isinstance(value, getattr(dt, kind)))
    return {TAG: tag, "v": value.isoformat()}


def _mapping_to_plain(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(k, str) for k in value) and TAG not in value:
        return {str(k): to_plain(v) for k, v in value.items()}
    return {TAG: "dict", "v": [[to_plain(k), to_plain(v)] for k, v in value.items()]}


def _array_to_plain(value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        return to_plain(value.tolist())  # masked values are None, not what lies below the mask
    array = np.asarray(value)
    native = array.dtype.isnative and array.dtype in (np.dtype("i8"), np.dtype("f8"), np.dtype("?"))
    if array.dtype.kind in "UT":
        return to_plain(array.tolist())
    if array.dtype.kind == "O":
        if array.ndim == 0:
            return to_plain(array.item())
        return to_plain(array.tolist())
    if native and array.size:
        return to_plain(array.tolist())
    if array.dtype.hasobject:
        raise MetadataError(f"metadata cannot hold an array of dtype {array.dtype}")
    if array.dtype.names:
        raise MetadataError("metadata cannot hold a structured array: store one list for every field")
    data = np.ascontiguousarray(array)
    return {
        TAG: "array" if isinstance(value, np.ndarray) else "scalar",
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "v": base64.b64encode(data.tobytes()).decode(),
    }


def from_plain(value: Any) -> Any:
    """Undo `to_plain`. Unknown tags stay as they are."""
    if isinstance(value, list):
        return [from_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if not isinstance(tag, str):
        return {k: from_plain(v) for k, v in value.items()}
    try:
        return _from_tag(tag, value)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise MetadataError(f"metadata hold a damaged value of type {tag!r}: {error}") from error


def _from_tag(tag: str, value: dict[str, Any]) -> Any:
    if tag in ("array", "scalar"):
        dtype = np.dtype(value["dtype"])
        if dtype.hasobject:
            raise ValueError("object arrays are refused")
        raw, shape = base64.b64decode(value["v"], validate=True), tuple(map(int, value["shape"]))
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"{len(raw)} bytes do not make an array of shape {shape} of {dtype}")
        array = np.frombuffer(raw, dtype).reshape(shape).copy() if raw else np.empty(shape, dtype)
        return array if tag == "array" else array[()]
    v = value.get("v")
    if tag == "float":
        return float(str(v))
    if tag == "complex":
        real, imag = (from_plain(part) for part in value["v"])
        return complex(real, imag)
    if tag == "bytes":
        return base64.b64decode(value["v"], validate=True)
    if tag == "tuple":
        return tuple(from_plain(part) for part in value["v"])
    if tag == "set":
        return {from_plain(part) for part in value["v"]}
    if tag == "dict":
        return {from_plain(k): from_plain(part) for k, part in value["v"]}
    if tag == "slice":
        return slice(*(from_plain(part) for part in value["v"]))
    if tag == "timedelta":
        return dt.timedelta(*(int(part) for part in value["v"]))
    if tag in ("datetime", "date", "time"):
        return getattr(dt, tag).fromisoformat(value["v"])
    return value


def pack(tree: Mapping[Any, Any]) -> str:
    """Return nested metadata as the text of an attribute.

    Raises
    ------
    MetadataError
        If something in it cannot be stored.
    """
    try:
        return records.dumps(to_plain(tree), ordered=True)
    except RecursionError as error:
        raise MetadataError("metadata are nested too deeply, or contain themselves") from error


def unpack(text: object) -> dict[str, Any]:
    """Return the nested metadata that an attribute holds; empty if there is none.

    Raises
    ------
    MetadataError
        If the text is damaged.
    """
    if not text:
        return {}
    if not isinstance(text, str):
        raise MetadataError(f"metadata attribute should be text, found {type(text).__name__}")
    try:
        value = from_plain(records.loads(text))
    except RecursionError as error:
        raise MetadataError("metadata text is nested too deeply") from error
    return value if isinstance(value, dict) else {"value": value}


def metadata(obj: xr.DataArray | xr.Dataset) -> Record:
    """Metadata in the common vocabulary, as a read-only view.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    Record
        Nested; ``metadata["beam/energy"]`` walks down. Empty if there is none.
    """
    return Record(unpack(obj.attrs.get(names.METADATA)))


def original_metadata(obj: xr.DataArray | xr.Dataset) -> Record:
    """Metadata as the instrument wrote them, word for word.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    Record
        Nested and read-only.
    """
    return Record(unpack(obj.attrs.get(names.ORIGINAL_METADATA)))


def with_metadata(obj: T, update: Mapping[str, Any] | None = None, /, *, replace: bool = False, **entries: Any) -> T:
    """Return a new array with more metadata; the input keeps its own.

    Parameters
    ----------
    obj : DataArray or Dataset
    update : mapping, optional
        Nested entries. A dict is merged into the dict that is there; None values are stored as None.
    replace : bool, default: False
        Forget what was there.
    **entries
        The same, as keywords.

    Returns
    -------
    DataArray or Dataset
        Shares the values.

    Raises
    ------
    MetadataError
        If an entry is of a type that cannot be stored.

    Examples
    --------
    >>> import numpy as np, sid_xarray as sid
    >>> da = sid.dataarray(np.zeros(3), dims={"bias": (0.1, "V")}, units="nA")
    >>> da.sid.with_metadata(tip={"material": "Pt", "radius_nm": 20}).sid.metadata["tip/material"]
    'Pt'
    """
    old: dict[str, Any] = {} if replace else unpack(obj.attrs.get(names.METADATA))
    tree = _merge(old, {**(update or {}), **entries})
    return obj.assign_attrs({names.METADATA: pack(tree)})


def _merge(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(old)
    for key, value in new.items():
        here = out.get(key)
        out[key] = _merge(here, value) if isinstance(here, dict) and isinstance(value, Mapping) else value
    return out
