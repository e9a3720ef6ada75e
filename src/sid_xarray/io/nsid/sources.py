"""Results beside their source: where to put them, and how to link them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import h5py
import xarray as xr

from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.core.history import Step
from sid_xarray.core.history import read as read_history
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io.nsid.layout import MODEL_GROUP, link_name, next_index

__all__ = ["find_source", "lies_in", "link", "result_group"]


def result_group(file: h5py.File, main: str | None, source: Any, *, tool: str | None, obj: Any) -> str:
    """Return the path of a new result group: ``<group of the source>-<Tool>_NNN``, or a Measurement of its own."""
    called = _tool(tool, obj)
    if main is None:
        measurement = next_index("Measurement", list(file))
        return f"/{measurement}/Channel_000/{link_name(_name(source))}-{called}_000"
    group = main.rpartition("/")[0] or main
    parent, _, name = group.rpartition("/")
    prefix = f"{link_name(name)}-{called}"
    siblings = list(file[parent or "/"])
    return f"{parent}/{next_index(prefix, siblings)}"


def _arrays(source: Any) -> list[xr.DataArray]:
    if isinstance(source, xr.DataArray):
        return [source]
    return list(source.data_vars.values()) if isinstance(source, xr.Dataset) else []


def _name(source: Any) -> str:
    arrays = _arrays(source)
    if arrays:
        return str(arrays[0].name or "source")
    return str(source).strip("/").rpartition("/")[2]


def _tool(tool: str | None, obj: xr.DataArray | xr.Dataset) -> str:
    if tool is None:
        for da in _arrays(obj):
            found = read_history(da.attrs)
            if found.heads and not found.steps[found.heads[0]].is_root:
                tool = found.steps[found.heads[0]].name
                break
    word = link_name(tool or "Result", "Result").replace(" ", "_")
    return "_".join(part[:1].upper() + part[1:] for part in word.split("_") if part) or "Result"


def lies_in(source: Any, path: str) -> bool:
    """Tell whether a source is known to be an array of a file."""
    if isinstance(source, str):
        return os.path.exists(path)
    return any(_is_file(da, path) for da in _arrays(source))


def find_source(file: h5py.File, source: Any, path: str) -> str | None:
    """Return the HDF5 path of the main that ``source`` was read from or written to; None if that is another file.

    Raises
    ------
    FormatError
        If several mains fit, a path was given that is no main, or the source is in no file at all.
    """
    if isinstance(source, str):
        return _named_source(file, source, path)
    arrays = _arrays(source)
    if not arrays:
        raise TypeError(f"source is a DataArray, a Dataset with variables or an HDF5 path, got {type(source).__name__}")
    heads = {h for da in arrays for h in read_history(da.attrs).heads}
    exact: list[str] = []
    by_head: list[str] = []
    by_place: list[str] = []
    for place, obj in _mains(file):
        if any(_is_file(da, path) and da.encoding.get("sid_h5path") == place for da in arrays):
            exact.append(place)
        alike = any(da.shape == obj.shape for da in arrays)
        history = read_history(_h5.attributes(obj)) if alike else None
        if history is None:
            continue
        if heads & set(history.heads):
            by_head.append(place)
        elif not history and any(_is_root(step, place, path) for da in arrays for step in _sole_root(da)):
            by_place.append(place)
    found = exact or by_head or by_place
    groups = {p.rpartition("/")[0] for p in found}
    if len(groups) > 1:
        listed = ", ".join(found[:5])
        raise FormatError(
            path, "", f"the source is there {len(groups)} times: {listed}. Say which: source={found[0]!r}"
        )
    if found:
        return found[0]
    if _origin(source) is None:
        called = f"{_name(source)!r} " if _name(source) != "source" else ""
        raise FormatError(
            path,
            "",
            f"the source {called}is in no file that is known. Write it first: source.sid.to_nsid({path!r})",
        )
    return None


def _named_source(file: h5py.File, source: str, path: str) -> str:
    place = "/" + source.strip("/")
    found = _h5.find(file, place)
    if isinstance(found, h5py.Group):
        inside = [n for n, o in _h5.members(found) if isinstance(o, h5py.Dataset) and "main_data_name" in o.attrs]
        name = place.rpartition("/")[2]
        if inside:
            return f"{place}/{name if name in inside else inside[0]}"
    if isinstance(found, h5py.Dataset):
        return place
    known = ", ".join(p for p, _ in _mains(file))
    raise FormatError(
        path, place, f"is no array in this file, so it cannot be the source. There are: {known or 'none'}"
    )


def _mains(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    for path, _, inside in _h5.walk(file["/"]):
        for name, obj in inside.items():
            if isinstance(obj, h5py.Dataset) and "main_data_name" in obj.attrs:
                yield f"{path.rstrip('/')}/{name}", obj


def _sole_root(da: xr.DataArray) -> list[Step]:
    """Return the first step of an array that nothing was done to yet; its raw file keeps no history of its own."""
    steps = list(read_history(da.attrs).steps.values())
    return steps if len(steps) == 1 and steps[0].op.startswith("sid:open") else []


def _is_root(step: Step, place: str, path: str) -> bool:
    # A file that results were added to has another fingerprint than the raw one had, but the same name.
    return step.params.get("h5path") == place and step.params.get("name") == os.path.basename(path)


def _is_file(da: xr.DataArray, path: str) -> bool:
    here = da.encoding.get("source")
    return bool(here) and "sid_h5path" in da.encoding and os.path.realpath(str(here)) == os.path.realpath(path)


def link(file: h5py.File, place: str, main: str | None, source: Any, *, tool: str | None, obj: Any, path: str) -> None:
    """Write into a result group what it was made of, and by what."""
    group = file[place]
    group.attrs["tool"] = _tool(tool, obj)
    group.attrs["num_source_dsets"] = 1
    if main is not None:
        group.attrs["source_000_path"] = main
        # xarray's engines show every attribute of the group, and a reference is nothing to show, so it lies one
        # level deeper; a list of one, since h5netcdf cannot read a single one at all.
        inner = file[f"{place}/{MODEL_GROUP}"]
        inner.attrs.create("source_000", [file[main].ref], dtype=h5py.ref_dtype)
        return
    origin = _origin(source)
    if origin is not None:
        name, h5path, digest = origin
        if os.path.isabs(name):
            name = os.path.relpath(name, os.path.dirname(os.path.abspath(path)) or ".")
        group.attrs["source_000_path"] = h5path
        group.attrs["source_000_file"] = name
        group.attrs["source_000_sha256"] = digest


def _origin(source: Any) -> tuple[str, str, str] | None:
    """Return file, place in it and fingerprint of a source that lies in another file."""
    for da in _arrays(source):
        where, place = da.encoding.get("source"), da.encoding.get("sid_h5path")
        if where and place and os.path.exists(str(where)):
            return os.path.abspath(str(where)), str(place), str(file_fingerprint(str(where))["sha256"])
    for da in _arrays(source):
        for step in _sole_root(da):
            p = step.params
            if {"name", "h5path", "sha256"} <= set(p):
                return str(p["name"]), str(p["h5path"]), str(p["sha256"])
    return None
