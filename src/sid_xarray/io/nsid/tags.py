"""Attributes of any type, as HDF5 attributes that every program sees and as JSON that keeps the type."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from sid_xarray.core import metadata as _metadata
from sid_xarray.errors import FormatError, MetadataError
from sid_xarray.io import _h5
from sid_xarray.io.nsid import attributes
from sid_xarray.schema.records import TAG

__all__ = ["PlannedAttrs", "decode_attrs", "encode_attrs", "plan_attrs", "tagged", "untagged"]

# xarray, HDF5 or netCDF would act on an attribute of such a name when a stock engine opens the file.
_SPEAKING = frozenset(
    "scale_factor add_offset missing_value _FillValue _Unsigned calendar dtype coordinates bounds grid_mapping "
    "CLASS NAME REFERENCE_LIST DIMENSION_LIST DIMENSION_LABELS _Netcdf4Dimid _Netcdf4Coordinates _nc3_strict "
    "_NCProperties _Encoding valid_min valid_max valid_range".split()
)


def tagged(value: Any) -> Any:
    """Return a value as JSON that keeps its type: Python numbers and numpy numbers stay apart.

    Raises
    ------
    MetadataError
        For objects that cannot be stored.
    """
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufcSMm":
        form = "array" if isinstance(value, np.ndarray) else "scalar"
        raw = _metadata.to_plain(np.ascontiguousarray(value).tobytes())["v"]
        return {TAG: form, "dtype": value.dtype.str, "shape": list(np.shape(value)), "v": raw}
    if isinstance(value, np.str_):
        return {TAG: "texts", "dtype": value.dtype.str, "shape": None, "v": str(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "UOT":
        items = [tagged(v) for v in value.ravel().tolist()]
        return {
            TAG: "texts",
            "dtype": value.dtype.str if value.dtype.kind != "T" else "T",
            "shape": list(value.shape),
            "v": items,
        }
    if isinstance(value, list):
        return [tagged(v) for v in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "v": [tagged(v) for v in value]}
    if isinstance(value, dict):
        if TAG not in value and all(type(k) is str for k in value):
            return {TAG: "ordered", "v": [[k, tagged(v)] for k, v in value.items()]}
        return {TAG: "ordered", "v": [[tagged(k), tagged(v)] for k, v in value.items()]}
    return _metadata.to_plain(value)


def untagged(value: Any) -> Any:
    """Undo `tagged`."""
    if type(value) is str:
        return value
    if isinstance(value, list):
        return [untagged(v) for v in value]
    tag = value.get(TAG) if isinstance(value, dict) else None
    if tag == "texts":
        if value["shape"] is None:
            return np.str_(value["v"])
        return _texts(value)
    if tag == "tuple":
        return tuple(untagged(v) for v in value["v"])
    if tag == "ordered":
        return {untagged(k): untagged(v) for k, v in value["v"]}
    return _metadata.from_plain(value)


def _texts(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    items = [untagged(v) for v in value["v"]]
    if value["dtype"] == "T":
        return np.array(items, dtype=np.dtypes.StringDType()).reshape(value["shape"])
    array = np.empty(len(items), dtype=object)
    array[:] = items
    dtype = np.dtype(value["dtype"])
    return array.reshape(value["shape"]).astype(dtype if dtype.kind == "U" else object)


@dataclass
class PlannedAttrs:
    """Attributes, checked before a file is touched.

    Attributes
    ----------
    values : dict
        As the user has them.
    tags : dict
        The JSON of every value and of every key.
    """

    values: dict[Any, Any] = field(default_factory=dict)
    tags: dict[Any, tuple[Any, Any]] = field(default_factory=dict)


def plan_attrs(attrs: Mapping[Any, Any], path: str, where: str) -> PlannedAttrs:
    """Check attributes.

    Raises
    ------
    FormatError
        If one is of a type that cannot be stored.
    """
    plan = PlannedAttrs(dict(attrs))
    for key, value in attrs.items():
        try:
            plan.tags[key] = (tagged(key), tagged(value))
        except (MetadataError, RecursionError, ValueError) as error:
            name = f"{where}.attrs[{key!r}]"
            raise FormatError(path, name, f"{error} Or drop it: del {name}") from error
    return plan


def encode_attrs(obj: h5py.Group | h5py.Dataset, plan: PlannedAttrs, reserved: AbstractSet[str]) -> list[Any]:
    """Write attributes so that every program sees them, and return the entries of the model that restore them.

    An entry is ``[name]`` for text that is on disk, ``[name, value, True]`` for what is on disk with its type
    in the model, ``[name, value]`` for what only the model can hold.
    """
    entries: list[Any] = []
    for key, value in plan.values.items():
        natural = isinstance(key, str) and key not in reserved and key not in _SPEAKING
        if natural and type(value) is str and type(key) is str and attributes.write_attribute(obj, key, value):
            entries.append([key])
            continue
        entry = list(plan.tags[key])
        if natural and _is_portable(value) and attributes.write_attribute(obj, str(key), value):
            entry.append(True)
        entries.append(entry)
    return entries


def _is_portable(value: Any) -> bool:
    """Tell whether the netCDF library can hold an attribute; one that it cannot hold makes it refuse the variable."""
    if isinstance(value, str):
        return True
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return True
    if isinstance(value, bool | complex | None | dict | bytes | np.timedelta64):
        return False
    try:
        array = np.asarray(value)
    except ValueError:
        return False
    return (
        array.dtype.kind in "iuf"
        and array.size > 0
        and 1 <= array.dtype.itemsize <= 8
        and array.dtype != np.float16
        and array.ndim <= 1
    )


def decode_attrs(obj: h5py.Group | h5py.Dataset, entries: list[Any], ignored: AbstractSet[str]) -> dict[Any, Any]:
    """Read attributes back; what another program changed, added or removed on disk is seen.

    Parameters
    ----------
    obj : h5py.Group or h5py.Dataset
    entries : list
        From the model.
    ignored : set
        Names that belong to the format and are no attributes of the user.
    """
    on_disk = dict.fromkeys(_h5.attribute_names(obj))
    out: dict[Any, Any] = {}
    known: set[Any] = set()
    for entry in entries:
        key = entry[0] if type(entry[0]) is str else untagged(entry[0])
        known.add(key)
        if len(entry) == 2:
            out[key] = untagged(entry[1])
        elif key in on_disk:
            found = _h5.attribute(obj, key)
            value = found if len(entry) == 1 else untagged(entry[1])
            out[key] = value if len(entry) == 1 or _same(found, value) else attributes.plain(found)
    for key in on_disk:
        if key not in known and key not in ignored and key not in _SPEAKING:
            value = _h5.attribute(obj, key)
            if value is not None:
                out[key] = attributes.plain(value)
    return out


def _same(a: Any, b: Any) -> bool:
    left, right = np.asarray(a), np.asarray(b)
    if left.shape != right.shape and left.size * right.size != 1:
        return False
    equal = left.ravel() == right.ravel()
    if left.dtype.kind == right.dtype.kind == "f":
        equal |= np.isnan(left.ravel()) & np.isnan(right.ravel())
    return bool(np.all(equal))
