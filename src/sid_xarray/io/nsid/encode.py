"""What xarray holds, as HDF5 can hold it: values, attributes, and the model that restores both."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io.nsid import attributes
from sid_xarray.schema.records import TAG

__all__ = ["Encoded", "decode_attrs", "encode_attrs", "encode_variable", "restored_dtype", "tagged", "untagged"]

# xarray would act on an attribute of such a name when a stock engine opens the file.
_SPEAKING = frozenset(
    "scale_factor add_offset missing_value _FillValue _Unsigned calendar dtype coordinates bounds grid_mapping "
    "CLASS NAME REFERENCE_LIST DIMENSION_LIST DIMENSION_LABELS _Netcdf4Dimid _Netcdf4Coordinates _nc3_strict".split()
)
_CF_UNITS = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds"}


@dataclass
class Encoded:
    """A variable, ready to be written.

    Attributes
    ----------
    data : array
        numpy or dask.
    dtype : dtype
        On disk.
    main : bool
        Whether the older readers can take it.
    attrs : dict
        Attributes that the encoding itself needs.
    restore : str or None
        dtype to give back, if that on disk is another.
    """

    data: Any
    dtype: np.dtype[Any]
    main: bool = True
    attrs: dict[str, Any] = field(default_factory=dict)
    restore: str | None = None


def encode_variable(name: Hashable, var: xr.Variable, path: str) -> Encoded:
    """Return a variable as HDF5 can hold it.

    Raises
    ------
    FormatError
        For a dtype that would not come back as it was.
    """
    dtype = var.dtype
    if dtype.kind in "biufc":
        if dtype.itemsize > (16 if dtype.kind == "c" else 8):
            raise FormatError(path, str(name), f"{dtype} is not portable. Type: da.astype({'complex' if dtype.kind == 'c' else 'float'})")
        if dtype == np.float16:
            return Encoded(var.data.astype("f4"), np.dtype("f4"), restore=dtype.str, main=0 not in var.shape)
        return Encoded(var.data, dtype, main=0 not in var.shape)
    if dtype.kind in "Mm":
        return _encode_time(var)
    if dtype.kind == "S":
        return Encoded(var.data, dtype, main=False)
    if dtype.kind in "UOT":
        return _encode_text(name, var, path)
    raise FormatError(path, str(name), f"values of dtype {dtype} cannot be stored. Use one variable for every field.")


def _encode_time(var: xr.Variable) -> Encoded:
    unit = np.datetime_data(var.dtype)[0]
    words = _CF_UNITS[unit]
    attrs: dict[str, Any] = {"_FillValue": np.iinfo("i8").min}  # NaT, so that stock engines see it too
    if var.dtype.kind == "M":
        attrs |= {"units": f"{words} since 1970-01-01", "calendar": "proleptic_gregorian"}
    else:
        attrs |= {"units": words, "dtype": var.dtype.name}
    return Encoded(var.data.astype("i8"), np.dtype("i8"), main=False, attrs=attrs, restore=var.dtype.str)


def _encode_text(name: Hashable, var: xr.Variable, path: str) -> Encoded:
    if var.chunks is None:
        values = np.asarray(var.values, dtype=object)
        for value in values.ravel():
            if not isinstance(value, str):
                raise FormatError(path, str(name), f"holds {type(value).__name__} objects; only text can be stored")
            if "\x00" in value:
                raise FormatError(path, str(name), "holds text with a NUL character, which HDF5 cuts there")
        data: Any = values
    else:
        data = var.data.astype(object)
    restore = var.dtype.str if var.dtype.kind == "U" else None
    return Encoded(data, h5py.string_dtype(), main=False, restore=restore)


def restored_dtype(stored: np.dtype[Any], restore: str | None) -> np.dtype[Any] | None:
    """Return the dtype to convert to when reading, or None.

    Raises
    ------
    ValueError
        If the model names a dtype that we never write.
    """
    if restore is None:
        return None
    dtype = np.dtype(restore)
    if dtype.hasobject or dtype.kind not in "fMmU" or (dtype.kind == "f" and dtype.itemsize != 2):
        raise ValueError(f"unexpected dtype {restore!r}")
    return dtype


def tagged(value: Any) -> Any:
    """Return a value as JSON that keeps its type: Python numbers and numpy numbers stay apart."""
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufcSMm":
        form = "array" if isinstance(value, np.ndarray) else "scalar"
        array = np.ascontiguousarray(value)
        raw = _metadata.to_plain(array.tobytes())["v"]
        return {TAG: form, "dtype": np.asarray(value).dtype.str, "shape": list(np.shape(value)), "v": raw}
    if isinstance(value, np.ndarray):
        return {TAG: "texts", "dtype": value.dtype.str, "shape": list(value.shape), "v": _metadata.to_plain(value.ravel().tolist())}
    if isinstance(value, np.str_):
        return {TAG: "texts", "dtype": value.dtype.str, "shape": None, "v": str(value)}
    if isinstance(value, list):
        return [tagged(v) for v in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "v": [tagged(v) for v in value]}
    return _metadata.to_plain(value)


def untagged(value: Any) -> Any:
    """Undo `tagged`."""
    if isinstance(value, dict) and value.get(TAG) == "texts":
        if value["shape"] is None:
            return np.str_(value["v"])
        dtype = np.dtype(value["dtype"])
        return np.array(value["v"], dtype=dtype if dtype.kind == "U" else object).reshape(value["shape"])
    if isinstance(value, dict) and value.get(TAG) == "tuple":
        return tuple(untagged(v) for v in value["v"])
    if isinstance(value, list):
        return [untagged(v) for v in value]
    return _metadata.from_plain(value)


def encode_attrs(obj: h5py.Group | h5py.Dataset, attrs: Mapping[Any, Any], reserved: frozenset[str]) -> list[Any]:
    """Write attributes so that every program sees them, and return the entries of the model that restore them.

    An entry is ``[name]`` for text that is on disk, ``[name, value, True]`` for what is on disk with its type
    in the model, ``[name, value]`` for what only the model can hold.
    """
    entries: list[Any] = []
    for key, value in attrs.items():
        natural = isinstance(key, str) and key not in reserved and key not in _SPEAKING
        if natural and type(value) is str and attributes.write_attribute(obj, key, value):
            entries.append([key])
            continue
        entry = [tagged(key), tagged(value)]
        if natural and not isinstance(value, dict | type(None)) and attributes.write_attribute(obj, key, value):
            entry.append(True)
        entries.append(entry)
    return entries


def decode_attrs(obj: h5py.Group | h5py.Dataset, entries: list[Any], ignored: frozenset[str]) -> dict[Hashable, Any]:
    """Read attributes back; what another program changed, added or removed on disk is seen.

    Parameters
    ----------
    obj : h5py.Group or h5py.Dataset
    entries : list
        From the model.
    ignored : frozenset
        Names that belong to the format and are no attributes of the user.
    """
    disk = _h5.attributes(obj)
    out: dict[Hashable, Any] = {}
    for entry in entries:
        key = untagged(entry[0])
        if len(entry) == 1:
            if key in disk:
                out[key] = disk[key]
            continue
        value = untagged(entry[1])
        if len(entry) == 3:
            if key not in disk:
                continue
            value = value if _same(disk[key], value) else disk[key]
        out[key] = value
    known = set(out) | {untagged(e[0]) for e in entries}
    for key, value in disk.items():
        if key not in known and key not in ignored and key not in _SPEAKING and value is not None:
            out[key] = attributes.plain(value)
    return out


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))
    except TypeError:
        return bool(np.array_equal(np.asarray(a), np.asarray(b)))
