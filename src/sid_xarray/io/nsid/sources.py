"""Results beside their source: where to put them, and how to link them."""

from __future__ import annotations

import os
from typing import Any

import h5py
import xarray as xr

from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.core.history import History
from sid_xarray.core.history import read as read_history
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io.nsid.layout import MODEL_GROUP, link_name, next_index

__all__ = ["find_source", "link", "result_group"]


def result_group(file: h5py.File, main: str | None, source: Any, *, tool: str | None, obj: Any) -> str:
    """Return the path of a new result group: ``<group of the source>-<Tool>_NNN``, or a Measurement of its own."""
    called = _tool(tool, obj)
    if main is None:
        measurement = next_index("Measurement", list(file))
        return f"/{measurement}/Channel_000/{link_name(_name(source))}-{called}_000"
    group = main.rpartition("/")[0]
    parent, _, name = group.rpartition("/")
    prefix = f"{link_name(name)}-{called}"
    siblings = list(file[parent or "/"])
    return f"{parent}/{next_index(prefix, siblings)}"


def _name(source: Any) -> str:
    if isinstance(source, xr.DataArray):
        return str(source.name or "source")
    return str(next(iter(source.data_vars), "source")) if isinstance(source, xr.Dataset) else str(source).rpartition("/")[2]


def _tool(tool: str | None, obj: xr.DataArray | xr.Dataset) -> str:
    if tool is None:
        arrays = [obj] if isinstance(obj, xr.DataArray) else list(obj.data_vars.values())
        for da in arrays:
            found = read_history(da.attrs)
            if found.heads and not found.steps[found.heads[0]].is_root:
                tool = found.steps[found.heads[0]].name
                break
    word = link_name(tool or "Result", "Result").replace(" ", "_")
    return "_".join(part[:1].upper() + part[1:] for part in word.split("_") if part) or "Result"


def find_source(file: h5py.File, source: Any, path: str) -> str | None:
    """Return the HDF5 path of the main that ``source`` was read from or written to in this file; None if it is not here.

    Raises
    ------
    FormatError
        If several mains fit, or a path was given that is no main.
    """
    if isinstance(source, str):
        place = "/" + source.strip("/")
        found = file.get(place)
        if isinstance(found, h5py.Group):
            inside = [n for n, o in _h5.members(found) if isinstance(o, h5py.Dataset) and "main_data_name" in o.attrs]
            if len(inside) == 1 or found.name.rpartition("/")[2] in inside:
                name = inside[0] if len(inside) == 1 else found.name.rpartition("/")[2]
                return f"{place}/{name}"
            if inside:
                return f"{place}/{inside[0]}"
        if isinstance(found, h5py.Dataset):
            return place
        raise FormatError(path, place, "is no array in this file, so it cannot be the source")
    arrays = list(source.data_vars.values()) if isinstance(source, xr.Dataset) else [source]
    heads = {h for da in arrays for h in read_history(da.attrs).heads}
    roots = _roots(arrays)
    shapes = {da.shape for da in arrays}
    by_head: list[str] = []
    by_place: list[str] = []
    for place, obj in _h5.walk(file):
        if not isinstance(obj, h5py.Dataset) or "main_data_name" not in obj.attrs:
            continue
        history = read_history(_h5.attributes(obj))
        if any(_same_file(da, path, place) for da in arrays):
            return place
        if heads & set(history.heads) and obj.shape in shapes:
            by_head.append(place)
        elif not history and place in roots and obj.shape in shapes:
            by_place.append(place)
    found_places = by_head or by_place
    groups = {p.rpartition("/")[0] for p in found_places}
    if len(groups) > 1:
        listed = ", ".join(found_places[:5])
        raise FormatError(path, "", f"the source is there {len(groups)} times: {listed}. Say which: source={found_places[0]!r}")
    return found_places[0] if found_places else None


def _roots(arrays: list[xr.DataArray]) -> set[str]:
    """Places in a raw file that the arrays were opened from; the raw file keeps no history of its own."""
    out: set[str] = set()
    for da in arrays:
        history: History = read_history(da.attrs)
        if len(history.steps) == 1:
            out |= {str(s.params["h5path"]) for s in history.steps.values() if s.op.startswith("sid:open") and "h5path" in s.params}
    return out


def _same_file(da: xr.DataArray, path: str, place: str) -> bool:
    here = da.encoding.get("source")
    return bool(here) and os.path.realpath(str(here)) == os.path.realpath(path) and da.encoding.get("sid_h5path") == place


def link(
    file: h5py.File, place: str, main: str | None, source: Any, *, tool: str | None, obj: Any, path: str
) -> None:
    """Write into a result group what it was made of, and by what."""
    group = file[place]
    group.attrs["tool"] = _tool(tool, obj)
    group.attrs["num_source_dsets"] = 1
    if main is not None:
        group.attrs["source_000_path"] = main
        # A reference in the attributes of a group makes h5netcdf refuse the group, so it lies one level deeper.
        file[f"{place}/{MODEL_GROUP}"].attrs["source_000"] = file[main].ref
        return
    origin = _origin(source)
    if origin is not None:
        where, h5path = origin
        group.attrs["source_000_path"] = h5path
        group.attrs["source_000_file"] = os.path.relpath(where, os.path.dirname(os.path.abspath(path)) or ".")
        group.attrs["source_000_sha256"] = file_fingerprint(where)["sha256"]


def _origin(source: Any) -> tuple[str, str] | None:
    arrays = [source] if isinstance(source, xr.DataArray) else list(source.data_vars.values()) if isinstance(source, xr.Dataset) else []
    for da in arrays:
        where, place = da.encoding.get("source"), da.encoding.get("sid_h5path")
        if where and place and os.path.exists(str(where)):
            return str(where), str(place)
    return None
