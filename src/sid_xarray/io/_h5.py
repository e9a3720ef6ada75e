"""HDF5 as we need it: read-only, lazy, picklable, and deaf to what a file should not be able to do."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from xarray.backends import BackendArray, CachingFileManager
from xarray.backends.locks import HDF5_LOCK
from xarray.core import indexing

from sid_xarray.errors import FormatError
from sid_xarray.io._redo import recover

__all__ = [
    "H5Array",
    "address",
    "attribute",
    "attribute_names",
    "attributes",
    "close_readers",
    "decoded",
    "find",
    "first_line",
    "forward",
    "is_scale",
    "is_stored_here",
    "is_text",
    "manager",
    "members",
    "opened",
    "pin",
    "raw_attribute",
    "text",
    "walk",
]

_MANAGERS: weakref.WeakSet[CachingFileManager[h5py.File]] = weakref.WeakSet()
_INTERNAL = frozenset(
    "CLASS NAME REFERENCE_LIST DIMENSION_LIST DIMENSION_LABELS _Netcdf4Dimid _Netcdf4Coordinates _nc3_strict".split()
)
_HOLDS = threading.local()
_PATIENCE = 1.0
_MAX_HOPS = 16
_MAX_DEPTH = 64
_MAX_OBJECTS = 100_000
_MAX_EXPANSION = 5000
PIN = "_sid_xarray"


def _open(path: str, mode: str) -> h5py.File:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            # A network or read-only disk without locks must not stop a reader.
            return h5py.File(path, mode, locking="best-effort")
        except BlockingIOError:
            # A writer of ours that adds to a large file keeps readers out for a moment at its end.
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def manager(path: str | os.PathLike[str]) -> CachingFileManager[h5py.File]:
    """Return a file manager that opens read-only, reopens by itself and pickles.

    Managers of one file share its handle, as long as the file on disk is the same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is not HDF5.
    """
    path = os.path.abspath(os.path.expanduser(os.fsdecode(path)))
    if not os.path.exists(path):
        raise FileNotFoundError(f"no file {path}")
    if os.path.isdir(path):
        raise FormatError(path, "", "is a folder, expected an HDF5 file")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"no permission to read {path}")
    recover(path)
    try:
        is_hdf5 = h5py.is_hdf5(path)
    except Exception as error:
        raise FormatError(path, "", f"cannot be read: {first_line(error)}") from error
    if not is_hdf5:
        raise FormatError(path, "", "is not an HDF5 file, or is cut off at its start")
    stat = os.stat(path)
    identity = f"sid-{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"
    # The mode is named, since xarray's mark for "no mode" does not survive the way into another process.
    found: CachingFileManager[h5py.File] = CachingFileManager(
        _open, path, mode="r", lock=HDF5_LOCK, manager_id=identity
    )
    _MANAGERS.add(found)
    return found


@contextlib.contextmanager
def opened(source: CachingFileManager[h5py.File], path: str) -> Iterator[h5py.File]:
    """Give the open file; whatever goes wrong with a damaged one becomes a `FormatError`."""
    # xarray's lock is not re-entrant, and building a Dataset may read a variable to index it.
    outer = getattr(_HOLDS, "lock", False)
    try:
        with contextlib.nullcontext() if outer else HDF5_LOCK:
            _HOLDS.lock = True
            try:
                yield source.acquire(needs_lock=False)
            finally:
                _HOLDS.lock = outer
    except (FormatError, PermissionError, BlockingIOError, MemoryError):
        raise
    except Exception as error:
        # HDF5 and h5py raise half a dozen types for a damaged file, none of which names it.
        raise FormatError(path, "", f"HDF5 cannot read it: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return what an error says, without the long tail that HDF5 adds."""
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
    dataset : h5py.Dataset
        The dataset there, for shape and dtype.
    cast : dtype, optional
        To convert to from what is stored.
    field : str, optional
        Of a compound dtype.
    pinned : str, optional
        What `pin` said: the array is that one and no other that came to its place later.
    """

    def __init__(
        self,
        source: CachingFileManager[h5py.File],
        place: str,
        dataset: h5py.Dataset,
        *,
        cast: np.dtype[Any] | None = None,
        field: str | None = None,
        pinned: str | None = None,
    ) -> None:
        self.source, self.place, self.field, self.pinned, self.cast = source, place, field, pinned, cast
        self.shape = dataset.shape
        self.stored = dataset.dtype
        self.text = is_text(dataset) and dataset.dtype.kind == "O"
        plain = dataset.dtype if field is None else dataset.dtype[field]
        self.dtype = cast if cast is not None else np.dtype(object) if plain.kind == "O" else np.dtype(plain.str)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if isinstance(key, indexing.BasicIndexer | indexing.OuterIndexer):
            # xarray stumbles over a slice that goes backwards over nothing.
            key = indexing.OuterIndexer(tuple(forward(k, n) for k, n in zip(key.tuple, self.shape, strict=True)))
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        path = str(self.source._args[0])
        with opened(self.source, path) as file:
            dataset = find(file, self.place)
            same = isinstance(dataset, h5py.Dataset) and dataset.shape == self.shape and dataset.dtype == self.stored
            if not same or pin(file, self.place) != self.pinned:
                raise FormatError(path, self.place, "the file was changed since it was opened. Open it again.")
            if not is_stored_here(dataset):
                raise FormatError(path, self.place, "keeps its values in other files; they are not followed")
            try:
                values = self._values(dataset, key)
            except Exception as error:
                if isinstance(error, MemoryError) and not _is_hollow(dataset):
                    raise
                said = (
                    f"declares the shape {self.shape} and holds almost nothing"
                    if _is_hollow(dataset)
                    else "cannot be read"
                )
                raise FormatError(path, self.place, f"values: {said}: {first_line(error)}") from error
        return values

    def _values(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Any:
        if self.text:
            values = texts(dataset.asstr(errors="surrogateescape")[key])
        else:
            values = np.asarray((dataset.fields(self.field) if self.field else dataset)[key])
        return values.astype(self.dtype, copy=False)


def pin(file: h5py.File, place: str) -> str | None:
    """Return the name tag of the group that a dataset lies in; every group that we write has its own."""
    inner = find(file, f"{place.rpartition('/')[0]}/{PIN}")
    value = attribute(inner, "id") if isinstance(inner, h5py.Group) else None
    return value if isinstance(value, str) else None


def _is_hollow(dataset: h5py.Dataset) -> bool:
    return bool(dataset.size * dataset.dtype.itemsize > _MAX_EXPANSION * max(dataset.id.get_storage_size(), 1))


def forward(key: Any, size: int) -> Any:
    """Return a backward slice as the positions it names; anything else as it is."""
    return np.arange(*key.indices(size)) if isinstance(key, slice) and (key.step or 1) < 0 else key


def is_text(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset holds text."""
    return h5py.check_string_dtype(dataset.dtype) is not None


def is_scale(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset is a dimension scale."""
    try:
        return bool(h5py.h5ds.is_scale(dataset.id))
    except (OSError, RuntimeError, ValueError, TypeError):
        return False


def is_stored_here(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset keeps its values in this file."""
    return not (dataset.is_virtual or dataset.external)


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
    try:
        if obj.attrs.get_id(name).get_type().get_class() == h5py.h5t.VLEN:
            return None  # nobody writes one but HDF5 itself, and a damaged one brings the process down
        return obj.attrs[name]
    except Exception:  # noqa: BLE001 - a damaged attribute must not hide the others; h5py raises anything
        return None


def attribute(obj: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return one attribute with text decoded, or None where it is missing, empty or unreadable."""
    return decoded(raw_attribute(obj, name))


def decoded(value: Any) -> Any:
    """Return a value of HDF5 with text as str, text arrays as lists, and NULL as None."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, bytes | str):
        return text(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        if value.dtype.kind == "O" and not all(isinstance(v, str | bytes) for v in value.ravel()):
            return None if h5py.check_ref_dtype(value.dtype) is not None else value.tolist()
        return texts(value).tolist()
    return value


def attribute_names(obj: h5py.Group | h5py.Dataset) -> list[str]:
    """Return the names of all attributes but those that HDF5 itself put there."""
    try:
        return [name for name in obj.attrs if name not in _INTERNAL]
    except Exception:  # noqa: BLE001 - see `raw_attribute`
        return []


def attributes(obj: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return all attributes but those that HDF5 itself put there; references are left out."""
    out: dict[str, Any] = {}
    for name in attribute_names(obj):
        value = raw_attribute(obj, name)
        if value is None or isinstance(value, h5py.Reference | h5py.RegionReference):
            continue
        if isinstance(value, np.ndarray) and h5py.check_ref_dtype(value.dtype) is not None:
            continue
        out[text(name) or name] = decoded(value)
    return out


def find(base: h5py.Group, path: str, hops: int = 0) -> h5py.Group | h5py.Dataset | None:
    """Open what lies at a path without leaving the file: external links are not followed, soft ones some way."""
    here: Any = base["/"] if path.startswith("/") else base
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if not isinstance(here, h5py.Group):
            return None
        try:
            kind = here.id.links.get_info(_encoded(part)).type
            if kind == h5py.h5l.TYPE_HARD:
                here = here[part]
            elif kind == h5py.h5l.TYPE_SOFT and hops < _MAX_HOPS:
                target = here.id.links.get_val(_encoded(part)).decode("utf-8", "surrogateescape")
                here = find(here, target, hops + 1)
            else:
                return None
        except Exception:  # noqa: BLE001 - a link that leads nowhere is no link; HDF5 raises anything for a damaged one
            return None
    return here if isinstance(here, h5py.Group | h5py.Dataset) else None


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def members(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield what can be opened in a group; links that lead nowhere, or out of the file, are passed over."""
    try:
        names = list(group)
    except Exception:  # noqa: BLE001 - see `find`
        return
    for name in names:
        found = find(group, name)
        if found is not None:
            yield name, found


def walk(group: h5py.Group, path: str = "") -> Iterator[tuple[str, h5py.Group, dict[str, h5py.Group | h5py.Dataset]]]:
    """Yield every group once with its path and its members, parents first; loops of links end.

    The consumer may take groups out of the members: these are not entered.
    """
    seen: set[tuple[int, int]] = {address(group)}
    stack: list[tuple[str, h5py.Group]] = [(path.rstrip("/"), group)]
    count = 0
    while stack:
        here, current = stack.pop()
        inside = dict(members(current))
        yield here or "/", current, inside
        count += len(inside)
        if count > _MAX_OBJECTS or here.count("/") > _MAX_DEPTH:
            continue
        inner: list[tuple[str, h5py.Group]] = []
        for name, obj in inside.items():
            if isinstance(obj, h5py.Group) and (key := address(obj)) not in seen:
                seen.add(key)
                inner.append((f"{here}/{name}", obj))
        stack += reversed(inner)


def address(obj: h5py.Group) -> tuple[int, int]:
    """Return what tells a group from all others, whatever link led to it."""
    info = h5py.h5o.get_info(obj.id)
    return info.fileno, info.addr
