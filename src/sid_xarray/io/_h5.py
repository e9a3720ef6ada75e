"""HDF5 as we need it: read-only, lazy, picklable, and deaf to what a file should not be able to do."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from xarray.backends import BackendArray, CachingFileManager
from xarray.backends.locks import HDF5_LOCK
from xarray.core import indexing

from sid_xarray.errors import FormatError

__all__ = ["H5Array", "attribute", "attributes", "close_readers", "is_text", "manager", "members", "opened", "text", "walk"]

_MANAGERS: weakref.WeakSet[CachingFileManager[h5py.File]] = weakref.WeakSet()
_INTERNAL = frozenset(
    "CLASS NAME REFERENCE_LIST DIMENSION_LIST DIMENSION_LABELS _Netcdf4Dimid _Netcdf4Coordinates _nc3_strict".split()
)


def _open(path: str, mode: str = "r") -> h5py.File:
    # A network or read-only disk without locks must not stop a reader.
    return h5py.File(path, mode, locking="best-effort")


def manager(path: str | os.PathLike[str]) -> CachingFileManager[h5py.File]:
    """Return a file manager that opens read-only, reopens by itself and pickles.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is not HDF5.
    """
    path = os.path.abspath(os.fspath(path))
    if not os.path.exists(path):
        raise FileNotFoundError(f"no file {path}")
    if os.path.isdir(path):
        raise FormatError(path, "", "is a folder, expected an HDF5 file")
    try:
        is_hdf5 = h5py.is_hdf5(path)
    except Exception as error:
        raise FormatError(path, "", f"cannot be read: {error}") from error
    if not is_hdf5:
        raise FormatError(path, "", "is not an HDF5 file, or is cut off at its start")
    found: CachingFileManager[h5py.File] = CachingFileManager(_open, path, lock=HDF5_LOCK)
    _MANAGERS.add(found)
    return found


@contextlib.contextmanager
def opened(source: CachingFileManager[h5py.File], path: str) -> Iterator[h5py.File]:
    """Give the open file; what HDF5 says against it becomes a `FormatError`."""
    try:
        with HDF5_LOCK:
            file = source.acquire(needs_lock=False)
            yield file
    except FormatError:
        raise
    except PermissionError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise FormatError(path, "", f"HDF5 cannot read it: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def close_readers(path: str | os.PathLike[str]) -> None:
    """Close the handles that lazy arrays keep on a file; they reopen it when they need it."""
    wanted = os.path.realpath(path)
    for one in list(_MANAGERS):
        if os.path.realpath(one._args[0]) == wanted:
            one.close()


class H5Array(BackendArray):
    """One dataset, read when it is indexed.

    Parameters
    ----------
    source : CachingFileManager
    place : str
        HDF5 path.
    shape, dtype
        As seen by the user; ``cast`` converts from what is stored.
    """

    def __init__(
        self,
        source: CachingFileManager[h5py.File],
        place: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        cast: np.dtype[Any] | None = None,
        field: str | None = None,
        text: bool = False,
    ) -> None:
        self.source, self.place, self.shape, self.field, self.text = source, place, shape, field, text
        self.stored, self.cast = dtype, cast
        self.dtype = dtype if cast is None else cast

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        path = str(self.source._args[0])
        with opened(self.source, path) as file:
            dataset = file.get(self.place)
            if not isinstance(dataset, h5py.Dataset) or dataset.shape != self.shape:
                raise FormatError(path, self.place, "the file was changed since it was opened. Open it again.")
            try:
                view = dataset.fields(self.field) if self.field else dataset.asstr() if self.text else dataset
                values = view[key]
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                raise FormatError(path, self.place, f"values cannot be read: {_first_line(error)}") from error
        return values if self.cast is None else np.asarray(values).astype(self.cast)


def is_text(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset holds text."""
    return h5py.check_string_dtype(dataset.dtype) is not None


def text(value: Any) -> str | None:
    """Return the text of an attribute in any of the ways that HDF5 can hold it; None if it is no text."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "SUO":
        value = value.ravel()[0]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return str(value) if isinstance(value, str) else None


def attribute(obj: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return one attribute with text decoded, or None where it is missing, empty or unreadable."""
    try:
        value = obj.attrs[name]
    except (KeyError, OSError, RuntimeError, TypeError, ValueError, UnicodeDecodeError):
        return None
    return _decoded(value)


def _decoded(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, bytes | np.bytes_):
        return text(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        if value.dtype.kind == "O" and not all(isinstance(v, str | bytes) for v in value.ravel()):
            return value
        decoded = np.array([text(v) or "" for v in value.ravel()], dtype=object).reshape(value.shape)
        return decoded.tolist()
    return value


def attributes(obj: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return all attributes but those that HDF5 itself put there; references are left out."""
    out: dict[str, Any] = {}
    for name in obj.attrs:
        if name in _INTERNAL:
            continue
        try:
            raw = obj.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError, UnicodeDecodeError):
            continue
        if isinstance(raw, h5py.Reference | h5py.RegionReference):
            continue
        if isinstance(raw, np.ndarray) and h5py.check_ref_dtype(raw.dtype) is not None:
            continue
        out[name] = _decoded(raw)
    return out


def members(group: h5py.Group, *, allow_external: bool = False) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield what can be opened in a group; links that lead nowhere, or out of the file, are passed over."""
    for name in group:
        try:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink) and not allow_external:
                continue
            found = group[name]
        except (KeyError, OSError, RuntimeError, ValueError, TypeError):
            continue
        if isinstance(found, h5py.Group | h5py.Dataset):
            yield name, found


def walk(file: h5py.File, *, allow_external: bool = False) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every group and dataset once, parents first, in the order of names; loops of links end."""
    seen: set[Any] = {h5py.h5o.get_info(file["/"].id).addr}
    stack: list[tuple[str, h5py.Group]] = [("", file["/"])]
    yield "/", file["/"]
    while stack:
        path, group = stack.pop()
        inner: list[tuple[str, h5py.Group]] = []
        for name, obj in members(group, allow_external=allow_external):
            here = f"{path}/{name}"
            info = h5py.h5o.get_info(obj.id)
            address = (info.fileno, info.addr)
            if isinstance(obj, h5py.Group):
                if address in seen:
                    continue
                seen.add(address)
                inner.append((here, obj))
            yield here, obj
        stack += reversed(inner)


def is_safe(dataset: h5py.Dataset, *, allow_external: bool = False) -> bool:
    """Tell whether a dataset keeps its values in this file."""
    return allow_external or not (dataset.is_virtual or dataset.external)


def is_null(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset has no dataspace at all."""
    return dataset.shape is None
