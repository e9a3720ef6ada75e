"""Attributes of HDF5 objects as plain values, whichever way they were written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5t

from sid_xarray.io._headers import UNKNOWN
from sid_xarray.io._seen import Seen, names_of

__all__ = [
    "attribute",
    "attribute_names",
    "attributes",
    "decoded",
    "has_attribute",
    "raw_attribute",
    "references",
    "referred",
    "teller",
    "text",
    "texts",
]

_INTERNAL = frozenset(
    "CLASS NAME REFERENCE_LIST DIMENSION_LIST DIMENSION_LABELS _Netcdf4Dimid _Netcdf4Coordinates _nc3_strict".split()
)
_TEXT = h5py.string_dtype()


def texts(values: Any) -> np.ndarray[Any, Any]:
    """Return text in an array of str; bytes that are not UTF-8 are read as Latin-1."""
    array = np.empty(np.shape(values), dtype=object)
    array[...] = values
    if array.ndim == 0:
        array[()] = text(array[()]) or ""
    else:
        flat = array.reshape(-1)
        for i, value in enumerate(flat):
            if not isinstance(value, str) or not value.isascii():
                flat[i] = text(value) or ""
    return array


def text(value: Any) -> str | None:
    """Return the text of an attribute in any of the ways that HDF5 can hold it; None if it is no text."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "SUO":
        value = value.ravel()[0]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    if not isinstance(value, str):
        return None
    if value.isascii() or not any("\udc80" <= c <= "\udcff" for c in value):
        return str(value)
    # h5py smuggles bytes that are not UTF-8 through as surrogates, which nobody can print.
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def raw_attribute(obj: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return an attribute as h5py gives it, or None where it is missing or unreadable."""
    if not isinstance(obj, Seen):
        return _from_hdf5(obj, name)
    known, header = obj.remembered, obj.header
    if name in known:
        value = known[name]
    else:
        value = UNKNOWN if header is None else header.attribute(name) if name in header.attributes else None
        value = known[name] = _from_hdf5(obj, name) if value is UNKNOWN else value
    return value.copy() if isinstance(value, np.ndarray) else value


def _from_hdf5(obj: Any, name: str) -> Any:
    try:
        if not has_attribute(obj, name):
            return None
        found = h5a.open(obj.id, name.encode("utf-8", "surrogateescape"))
        kind = found.get_type()
        if isinstance(kind, h5t.TypeVlenID):
            return None  # nobody writes one but HDF5 itself, and a damaged one brings the process down
        if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str() and found.shape == ():
            out: Any = np.empty((), _TEXT)
            found.read(out)
            return out[()].decode("utf-8", "surrogateescape")
        return obj.attrs[name]
    except Exception:  # noqa: BLE001 - a damaged attribute must not hide the others; h5py raises anything
        return None


def has_attribute(obj: Any, name: str) -> bool:
    """Tell whether there is an attribute.

    Raises
    ------
    Exception
        Whatever HDF5 raises for a damaged header.
    """
    if isinstance(obj, Seen):
        try:
            return name in obj.listed
        except Exception:  # noqa: BLE001 - one of them is damaged, and it may be another
            pass
    return bool(h5a.exists(obj.id, name.encode("utf-8", "surrogateescape")))


def teller(obj: Any) -> Callable[[str], bool]:
    """Return what tells whether an object has an attribute, for who asks for several; see `has_attribute`."""
    if isinstance(obj, Seen) and obj.header is not None:
        return obj.header.attributes.__contains__
    return functools.partial(has_attribute, obj)


def referred(obj: Any, name: str) -> int | None:
    """Return the address of the object that an attribute refers to, where that is known without asking HDF5."""
    return obj.header.reference(name) if isinstance(obj, Seen) and obj.header is not None else None


def references(obj: Any, name: str) -> list[set[int]] | None:
    """Return what `referred` does for an attribute of references to one axis after the other."""
    return obj.header.references(name) if isinstance(obj, Seen) and obj.header is not None else None


def attribute(obj: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return one attribute with text decoded, or None where it is missing, empty or unreadable."""
    return decoded(raw_attribute(obj, name))


def decoded(value: Any) -> Any:
    """Return a value of HDF5 with text as str, text arrays as lists, and NULL as None."""
    if isinstance(value, str):
        return value if type(value) is str and value.isascii() else text(value)
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        plain = value.tolist()
        if value.ndim == 1 and all(type(v) is str and v.isascii() for v in plain):
            return plain
        if value.dtype.kind == "O" and not all(isinstance(v, str | bytes) for v in value.ravel()):
            return None if h5py.check_ref_dtype(value.dtype) is not None else value.tolist()
        return texts(value).tolist()
    return value


def attribute_names(obj: h5py.Group | h5py.Dataset) -> list[str]:
    """Return the names of all attributes but those that HDF5 itself put there."""
    try:
        return [name for name in (obj.listed if isinstance(obj, Seen) else names_of(obj)) if name not in _INTERNAL]
    except Exception:  # noqa: BLE001 - see `raw_attribute`
        return []


def attributes(obj: h5py.Group | h5py.Dataset, *, but: Callable[[str], bool] = lambda _: False) -> dict[str, Any]:
    """Return all attributes but those that HDF5 itself put there; references are left out.

    Parameters
    ----------
    obj : h5py.Group or h5py.Dataset
    but : callable, optional
        Tells the names of others that are not wanted.
    """
    out: dict[str, Any] = {}
    for name in attribute_names(obj):
        if but(name):
            continue
        value = raw_attribute(obj, name)
        if value is None or isinstance(value, h5py.Reference | h5py.RegionReference):
            continue
        if isinstance(value, np.ndarray) and h5py.check_ref_dtype(value.dtype) is not None:
            continue
        out[text(name) or name] = decoded(value)
    return out
