"""Results beside their source: which main that is, where the result goes, and how the two are linked.

What a main is, and what it is called, each format says for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import h5py
import xarray as xr

from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.core.history import Step
from sid_xarray.core.history import read as read_history
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._names import link_name, next_index

__all__ = ["called", "elsewhere", "lies_in", "link", "matching", "one_of", "result_group"]


def result_group(file: h5py.File, beside: tuple[str, str] | None, source: Any, *, tool: str | None, obj: Any) -> str:
    """Return the path of a new result group: ``<name>-<Tool>_NNN``, or in a Measurement of its own.

    Parameters
    ----------
    file : h5py.File
    beside : pair of str, optional
        The group that the result group goes into, and the name of what it lies beside; None if that is another file.
    source, obj : DataArray or Dataset
        What the result was made of, and the result.
    tool : str, optional
        By default the last step of the history of `obj`.
    """
    made_by = _tool(tool, obj)
    if beside is None:
        return f"/{next_index('Measurement', list(file))}/Channel_000/{link_name(_name(source))}-{made_by}_000"
    above, name = beside
    return f"{above}/{next_index(f'{name}-{made_by}', list(file[above or '/']))}"


def lies_in(source: Any, path: str) -> bool:
    """Tell whether a source is known to be an array of a file."""
    if isinstance(source, str):
        return os.path.exists(path)
    return any(_is_file(da, path) for da in _arrays(source))


def matching(
    mains: Iterable[tuple[str, h5py.Dataset]],
    source: Any,
    path: str,
    *,
    alike: Callable[[xr.DataArray, h5py.Dataset], bool],
) -> list[str]:
    """Return the mains that a source was read from or written to; where that is not known, those of its history.

    Parameters
    ----------
    mains : iterable of (str, h5py.Dataset)
        All mains of the file.
    source : DataArray or Dataset
    path : str
        The file.
    alike : callable
        Whether an array can be what a main holds, going by its shape.
    """
    arrays = _arrays(source)
    if not arrays:
        raise TypeError(f"source is a DataArray, a Dataset with variables or an HDF5 path, got {type(source).__name__}")
    heads = {h for da in arrays for h in read_history(da.attrs).heads}
    exact: list[str] = []
    by_head: list[str] = []
    by_place: list[str] = []
    for place, obj in mains:
        if any(_is_file(da, path) and da.encoding.get("sid_h5path") == place for da in arrays):
            exact.append(place)
        if not any(alike(da, obj) for da in arrays):
            continue
        history = read_history(_h5.attributes(obj))
        if heads & set(history.heads):
            by_head.append(place)
        elif not history and any(_is_root(step, place, path) for da in arrays for step in _sole_root(da)):
            by_place.append(place)
    return exact or by_head or by_place


def one_of(found: Sequence[str], count: int, source: Any, path: str, *, missing: str) -> str | None:
    """Return the first of the mains that fit, or None if the source is known to be in another file.

    Parameters
    ----------
    found : sequence of str
    count : int
        How many different sources they are.
    source : DataArray or Dataset
    path : str
        The file.
    missing : str
        What to say if the source is in no file at all.

    Raises
    ------
    FormatError
        If the source is in no file, or there several times.
    """
    if count > 1:
        listed = ", ".join(found[:5])
        raise FormatError(path, "", f"the source is there {count} times: {listed}. Say which: source={found[0]!r}")
    if found:
        return found[0]
    if _origin(source) is None:
        raise FormatError(path, "", missing)
    return None


def called(source: Any) -> str:
    """Return the name of a source for a message, with a blank behind it; empty if it has none."""
    return f"{_name(source)!r} " if _name(source) != "source" else ""


def link(
    file: h5py.File,
    place: str,
    main: str | None,
    source: Any,
    *,
    tool: str | None,
    obj: Any,
    path: str,
    refer: Callable[[h5py.Group, h5py.Reference], None],
) -> None:
    """Write into a result group what it was made of, and by what.

    Parameters
    ----------
    file : h5py.File
    place : str
        The result group.
    main : str, optional
        The source, if it is in this file.
    source, obj : DataArray or Dataset
        What the result was made of, and the result.
    tool : str, optional
        By default the last step of the history of `obj`.
    path : str
        The file.
    refer : callable
        Writes a reference to `main` into the result group.
    """
    group = file[place]
    group.attrs["tool"] = _tool(tool, obj)
    group.attrs["num_source_dsets"] = 1
    if main is not None:
        refer(group, file[main].ref)
        group.attrs["source_000_path"] = main
        return
    origin = _origin(source)
    if origin is not None:
        name, h5path, digest = origin
        if os.path.isabs(name):
            name = os.path.relpath(name, os.path.dirname(os.path.abspath(path)) or ".")
        group.attrs["source_000_path"] = h5path
        group.attrs["source_000_file"] = name
        group.attrs["source_000_sha256"] = digest


def elsewhere(path: str) -> list[str]:
    """Return the other files that results in a file say they were made of, as paths.

    Parameters
    ----------
    path : str
        The file.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    source = _h5.manager(path)
    try:
        with _h5.opened(source, path) as file:
            said = [_h5.attribute(group, "source_000_file") for _, group, _ in _h5.walk(file["/"])]
    finally:
        source.close()
    folder = os.path.dirname(os.path.abspath(path))
    return [os.path.normpath(os.path.join(folder, name)) for name in dict.fromkeys(said) if isinstance(name, str)]


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
