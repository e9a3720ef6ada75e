"""Checksums of what a file holds: read everything again, and tell what is no longer what was saved."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _checksums, _digest, _h5
from sid_xarray.io._checksums import attrs_digest, key_of
from sid_xarray.io._digest import combine, tile_digest
from sid_xarray.io._places import survey
from sid_xarray.io.nsid import find as nsid_find
from sid_xarray.io.nsid import model as nsid_model
from sid_xarray.io.nsid.tags import untagged
from sid_xarray.io.usid import find as usid_find
from sid_xarray.io.usid import model as usid_model

__all__ = ["STATUSES", "Finding", "attrs_digest", "combine", "tile_digest", "verify_file", "verify_group"]

STATUSES = ("ok", "values changed", "attrs changed", "no checksum", "missing", "unreadable")
"""What can be said of a variable."""

_MAX_TILE = 2**32  # a chunk of HDF5 cannot be larger
_MAX_EXPANSION = 5000


@dataclass(frozen=True)
class Finding:
    """What became of one variable since it was saved.

    Attributes
    ----------
    group : str
        HDF5 path of its group.
    variable : str
        Its name; empty if the finding is about the whole group.
    status : str
        One of `STATUSES`: ``"ok"``, ``"values changed"``, ``"attrs changed"``, ``"no checksum"`` (written by
        another program, or by a release before checksums), ``"missing"`` (it was saved and is gone) or
        ``"unreadable"``.
    detail : str
        More words, where there are any.
    """

    group: str
    variable: str
    status: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether values and attributes are what was saved."""
        return self.status == "ok"

    @property
    def bad(self) -> bool:
        """Whether something is known to be wrong; the lack of a checksum is not."""
        return self.status not in ("ok", "no checksum")

    def __str__(self) -> str:
        place = f"{self.group.rstrip('/')}/{self.variable}" if self.variable else self.group
        return f"{place}: {self.status}{f' ({self.detail})' if self.detail else ''}"


def verify_file(path: str | os.PathLike[str]) -> list[Finding]:
    """Read all values of a file and compare them with the checksums that were stored when they were saved.

    One tile after the other is read, so the file may be larger than memory. A checksum proves that nothing
    changed by accident; who rewrites values and checksum alike is not found out.

    Parameters
    ----------
    path : str

    Returns
    -------
    list of Finding
        One a variable, in the order of the file; two where both values and attributes changed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is not HDF5, or cannot be read at all.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> from sid_xarray.io.checksum import verify_file
    >>> place = sid.datasets.peak_map().sid.to_nsid("checked.h5")
    >>> {finding.status for finding in verify_file("checked.h5")}
    {'ok'}
    """
    return _verify(path, None)


def verify_group(path: str | os.PathLike[str], group: str) -> list[Finding]:
    """Do for one group of a file what `verify_file` does for all.

    Parameters
    ----------
    path : str
    group : str
        HDF5 path.

    Returns
    -------
    list of Finding

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is not HDF5, or there is no such group with arrays.
    """
    found = _verify(path, f"/{group.strip('/')}")
    if not found:
        raise FormatError(path, group, "there is no such group with arrays")
    return found


def _verify(path: str | os.PathLike[str], only: str | None) -> list[Finding]:
    source = _h5.manager(path)
    full = str(source._args[0])
    found: list[Finding] = []
    try:
        with _h5.opened(source, full) as file:
            for about in (_Nsid(source, file, full), _Usid(source, file, full)):
                found += about.findings(only)
    finally:
        source.close()
    return found


class _Format:
    """Where one format keeps its groups, and how they are read."""

    find: Any
    model: Any

    def __init__(self, source: Any, file: h5py.File, path: str) -> None:
        self.source, self.file, self.path = source, file, path

    def read(self, place: Any) -> xr.Dataset:
        raise NotImplementedError

    def findings(self, only: str | None) -> list[Finding]:
        (found,) = survey(self.file, "/", [self.find.KIND])
        places = found.places
        out: list[Finding] = []
        ours: set[str] = set()
        for place in (p for p in places if p.ours):
            try:
                plan = self.model.load(place.group, self.path, place.path)
                ours |= {self._path_of(place, row) for row in plan["variables"]}
                if only in (None, place.path):
                    out += self._group(place, plan)
            except (FormatError, KeyError, TypeError) as error:
                out.append(Finding(place.path, "", "unreadable", _h5.first_line(error)))
        for place in places:
            for main in place.mains:
                if place.path_of(main.name) not in ours and only in (None, place.path):
                    out.append(Finding(place.path, main.name, "no checksum"))
        return out

    def _path_of(self, place: Any, row: Mapping[str, Any]) -> str:
        name = str(row.get("disk", ""))
        return name if name.startswith("/") else str(place.path_of(name))

    def _group(self, place: Any, plan: Mapping[str, Any]) -> Iterator[Finding]:
        ds = self.read(place)
        try:
            entries = _checksums.load(place.group[_h5.PIN])
        except ValueError as error:
            yield Finding(place.path, "", "unreadable", str(error))
            entries = {}
        rows = {key_of(untagged(row["name"])): row for row in plan["variables"] if not row.get("placeholder")}
        for name, var in ds.variables.items():
            key = key_of(name)
            if key not in entries:
                yield Finding(place.path, str(name), "no checksum")
                continue
            stored = _h5.find(self.file, self._path_of(place, rows[key])) if "disk" in rows.get(key, {}) else None
            yield from _compare(place.path, str(name), entries[key], var, stored)
        there = {key_of(name) for name in ds.variables}
        for key in entries:
            if key not in there:
                yield Finding(place.path, key, "missing")


class _Nsid(_Format):
    find, model = nsid_find, nsid_model

    def read(self, place: Any) -> xr.Dataset:
        return nsid_model.read(self.source, place)[0]


class _Usid(_Format):
    find, model = usid_find, usid_model

    def read(self, place: Any) -> xr.Dataset:
        return usid_model.read(self.source, self.file, place)[0]


def _compare(group: str, name: str, entry: Any, var: xr.Variable, stored: Any) -> Iterator[Finding]:
    if not isinstance(entry, dict) or entry.get("algorithm") != _digest.ALGORITHM:
        algorithm = entry.get("algorithm") if isinstance(entry, dict) else None
        yield Finding(group, name, "no checksum", f"of an unknown kind: {algorithm!r}")
        return
    try:
        said = _values_changed(entry, var, stored)
    except FormatError as error:
        yield Finding(group, name, "unreadable", error.why)
        return
    except Exception as error:  # noqa: BLE001 - HDF5 raises anything for a damaged chunk; it is reported
        yield Finding(group, name, "unreadable", _h5.first_line(error))
        return
    attrs = entry.get("attrs") != attrs_digest(var.attrs)
    if said is not None:
        yield Finding(group, name, "values changed", said)
    if attrs:
        yield Finding(group, name, "attrs changed")
    if said is None and not attrs:
        yield Finding(group, name, "ok")


def _values_changed(entry: Mapping[str, Any], var: xr.Variable, stored: Any) -> str | None:
    """Return what is different about the values, in words that may be empty; None if nothing is."""
    if isinstance(stored, h5py.Dataset):
        dtype = stored.dtype if not _h5.is_text(stored) or stored.dtype.kind == "S" else np.dtype(object)
        shape = stored.shape
        if not _h5.is_stored_here(stored) or _is_hollow(stored):
            return "the values are not there"
    else:
        dtype, shape = var.dtype, var.shape
    for what, is_now in (("dtype", _digest.dtype_name(dtype)), ("shape", list(shape))):
        if entry.get(what) != is_now:
            return f"the {what} was {entry.get(what)}, it is {is_now}"
    tile = entry.get("tile")
    if not isinstance(tile, list) or not _is_tile(tile, shape, dtype):
        return "the checksum is damaged"
    if isinstance(stored, h5py.Dataset):
        now = _digest.of_dataset(stored, tile).values
    else:
        now = combine(tile_digest(np.asarray(var[where].values)) for where in _digest.tiles(shape, tile))
    return None if now == entry.get("values") else ""


def _is_hollow(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset declares far more than it holds: reading that would take forever."""
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    return bool(declared > _MAX_EXPANSION * max(dataset.id.get_storage_size(), _MAX_EXPANSION))


def _is_tile(tile: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    if len(tile) != len(shape):
        return False
    if not all((type(t) is int and 0 < t <= max(n, 1)) or t == n == 0 for t, n in zip(tile, shape, strict=True)):
        return False
    return bool(math.prod(tile) * dtype.itemsize <= _MAX_TILE)
