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
from h5py import h5d, h5g, h5l, h5o
from xarray.backends import CachingFileManager
from xarray.backends.locks import HDF5_LOCK

from sid_xarray.errors import FormatError
from sid_xarray.io._attrs import (
    attribute,
    attribute_names,
    attributes,
    decoded,
    has_attribute,
    raw_attribute,
    references,
    referred,
    teller,
    text,
    texts,
)
from sid_xarray.io._headers import Headers
from sid_xarray.io._rawlinks import Link
from sid_xarray.io._redo import recover
from sid_xarray.io._seen import SeenDataset, SeenGroup, layout

__all__ = [
    "OpenFile",
    "address",
    "attribute",
    "attribute_names",
    "attributes",
    "close_readers",
    "decoded",
    "find",
    "first_line",
    "forget",
    "has_attribute",
    "is_scale",
    "is_stored_here",
    "is_text",
    "lacks",
    "manager",
    "members",
    "opened",
    "pin",
    "pin_of",
    "raw_attribute",
    "references",
    "referred",
    "teller",
    "text",
    "texts",
    "unopened",
    "walk",
]

_MANAGERS: weakref.WeakSet[CachingFileManager[OpenFile]] = weakref.WeakSet()
_HOLDS = threading.local()
_PATIENCE = 1.0
_MAX_HOPS = 16
_MAX_DEPTH = 64
_MAX_OBJECTS = 100_000
_MOST_KEPT = 4
PIN = "_sid_xarray"


class OpenFile(h5py.File):  # type: ignore[misc]
    """A file with the datasets that were read last: as long as one is open, HDF5 keeps its chunks in memory.

    Attributes
    ----------
    kept : dict
        From HDF5 path to dataset and name tag of its group, the last one used at the end.
    """

    def __init__(self, path: str, mode: str) -> None:
        # A network or read-only disk without locks must not stop a reader.
        super().__init__(path, mode, locking="best-effort")
        self.kept: dict[str, tuple[h5py.Dataset, str | None]] = {}

    def keep(self, place: str, dataset: h5py.Dataset, pinned: str | None) -> None:
        """Keep a dataset open, and let go of the one that was not used for longest."""
        self.kept.pop(place, None)
        self.kept[place] = dataset, pinned
        if len(self.kept) > _MOST_KEPT:
            del self.kept[next(iter(self.kept))]


def _open(path: str, mode: str) -> OpenFile:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return OpenFile(path, mode)
        except BlockingIOError:
            # A writer of ours that adds to a large file keeps readers out for a moment at its end.
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def manager(path: str | os.PathLike[str]) -> CachingFileManager[OpenFile]:
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
    found: CachingFileManager[OpenFile] = CachingFileManager(_open, path, mode="r", lock=HDF5_LOCK, manager_id=identity)
    _MANAGERS.add(found)
    return found


@contextlib.contextmanager
def opened(source: CachingFileManager[OpenFile], path: str) -> Iterator[OpenFile]:
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


def pin(file: h5py.File, place: str) -> str | None:
    """Return the name tag of the group that a dataset lies in; every group that we write has its own."""
    above = find(file, place.rpartition("/")[0] or "/")
    return pin_of(above) if isinstance(above, h5py.Group) else None


def pin_of(group: h5py.Group) -> str | None:
    """Return the name tag of a group."""
    inner = find(group, PIN)
    value = attribute(inner, "id") if isinstance(inner, h5py.Group) else None
    return value if isinstance(value, str) else None


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
    return bool((dataset.layout if isinstance(dataset, SeenDataset) else layout(dataset.id))[0])


def find(base: h5py.Group, path: str, hops: int = 0) -> h5py.Group | h5py.Dataset | None:
    """Open what lies at a path without leaving the file: external links are not followed, soft ones some way."""
    here: Any = h5o.open(base.id, b"/") if path.startswith("/") else base.id
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if not isinstance(here, h5g.GroupID):
            return None
        try:
            name = _encoded(part)
            kind = here.links.get_info(name).type
            if kind == h5l.TYPE_HARD:
                here = h5o.open(here, name)
            elif kind == h5l.TYPE_SOFT and hops < _MAX_HOPS:
                target = here.links.get_val(name).decode("utf-8", "surrogateescape")
                found = find(h5py.Group(here), target, hops + 1)
                here = None if found is None else found.id
            else:
                return None
        except Exception:  # noqa: BLE001 - a link that leads nowhere is no link; HDF5 raises anything for a damaged one
            return None
    if isinstance(here, h5g.GroupID):
        return h5py.Group(here)
    return h5py.Dataset(here) if isinstance(here, h5d.DatasetID) else None


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def members(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Return what can be opened in a group; links that lead nowhere, or out of the file, are passed over."""
    return iter(_listed(group)[0].items())


def _listed(group: h5py.Group) -> tuple[dict[str, SeenGroup | SeenDataset], list[str]]:
    """Return the members of a group, and the names of links that lead to none; in a survey they are remembered."""
    seen = group if isinstance(group, SeenGroup) else SeenGroup(None, b"", None, 0, None, group.id)
    if seen.held is not None:
        return seen.held, seen.unopened or []
    links = _links(seen)
    held = dict(_members(seen, links))
    unopened: list[str] = []
    if len(links) > len(held):
        names = (link.name.decode("utf-8", "surrogateescape") for link in links)
        unopened = [name for name in names if name not in held]
    if seen.is_remembered:
        seen.held, seen.unopened = held, unopened
    return held, unopened


def _members(group: SeenGroup, links: list[Link]) -> Iterator[tuple[str, SeenGroup | SeenDataset]]:
    headers = group.headers
    for link in links:
        name, address, found = link.name.decode("utf-8", "surrogateescape"), link.address, None
        if not name or "/" in name:
            continue  # only a damaged file has such a link, and no path leads there
        if link.kind == h5l.TYPE_SOFT and (led := find(group, name)) is not None:
            found, address = led.id, _address(led.id)
        elif link.kind != h5l.TYPE_HARD:
            continue
        header = None if headers is None else headers.header(address)
        if found is None and header is not None and header.is_plain_dataset:
            yield name, SeenDataset(group, link.name, headers, address, header)
            continue
        if found is None and header is not None and header.is_group and header.links() is not None:
            yield name, SeenGroup(group, link.name, headers, address, header)
            continue
        if found is None:
            try:
                found = h5o.open(group.id, link.name)
            except Exception:  # noqa: BLE001 - see `find`
                continue
        if isinstance(found, h5g.GroupID):
            yield name, SeenGroup(group, link.name, headers, address, header, found)
        elif isinstance(found, h5d.DatasetID):
            yield name, SeenDataset(group, link.name, headers, address, header, found)


def unopened(group: h5py.Group) -> list[str]:
    """Return the names of links that lead to nothing that can be opened, or out of the file."""
    return _listed(group)[1]


def lacks(group: h5py.Group, name: str) -> bool:
    """Tell whether a group has no link of a name, wherever that would lead to."""
    return not any(name in names for names in _listed(group))


def _links(group: SeenGroup) -> list[Link]:
    """Return the links of a group, in the order of their making where that was kept."""
    known = None if group.header is None else group.header.links()
    if known is not None:
        return known
    found: list[tuple[int, Link]] = []

    def note(name: bytes, link: Any) -> None:
        found.append((link.corder if link.corder_valid else 0, Link(name, link.type, link.u)))

    try:
        group.id.links.iterate(note, info=True)
    except Exception:  # noqa: BLE001 - one damaged link must not hide the others; see `find`
        return [Link(name, link.type, link.u) for name, link in _links_one_by_one(group)]
    if any(order for order, _ in found):
        found.sort(key=lambda one: one[0])
    return [link for _, link in found]


def _links_one_by_one(group: h5py.Group) -> Iterator[tuple[bytes, Any]]:
    try:
        names = list(group.id)
    except Exception:  # noqa: BLE001 - see `find`
        return
    for name in names:
        with contextlib.suppress(Exception):
            yield name, group.id.links.get_info(name)


def walk(
    group: h5py.Group, path: str = "", *, remember: bool = False
) -> Iterator[tuple[str, h5py.Group, dict[str, h5py.Group | h5py.Dataset]]]:
    """Yield every group once with its path and its members, parents first; loops of links end.

    The consumer may take groups out of the members: these are not entered. With ``remember``, what was found is kept
    until the consumer has it forgotten.
    """
    if isinstance(group, SeenGroup):
        yield from _walk(group, path)
        return
    headers, place = Headers.of(group.file), _address(group.id)
    header = None if headers is None else headers.header(place)
    root = SeenGroup(None, b"", headers, place, header, group.id)
    root.remembers = True
    try:
        yield from _walk(root, path)
    finally:
        if not remember:
            forget(root)


def _walk(group: SeenGroup, path: str) -> Iterator[tuple[str, h5py.Group, dict[str, h5py.Group | h5py.Dataset]]]:
    seen: set[int] = {group.address}
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
            # To ask whether something is no group takes h5py ten times as long.
            if not isinstance(obj, h5py.Dataset) and obj.address not in seen:
                seen.add(obj.address)
                inner.append((f"{here}/{name}", obj))
        stack += reversed(inner)


def forget(group: h5py.Group) -> None:
    """Let go of what a survey found in a group and below, which would wait for Python to look for circular garbage."""
    todo = [group]
    while todo:
        one = todo.pop()
        if isinstance(one, SeenGroup):
            todo += (one.held or {}).values()
            one.held, one.remembers = None, False


def address(obj: h5py.Group | h5py.Dataset) -> int:
    """Return what tells an object from all others of the file, whatever link led to it."""
    return obj.address if isinstance(obj, SeenGroup | SeenDataset) else _address(obj.id)


def _address(identifier: Any) -> int:
    return int(h5o.get_info(identifier).addr)
