"""Results beside their source: where to put them, and how to link them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5, _sources
from sid_xarray.io._names import link_name
from sid_xarray.io.nsid.layout import MODEL_GROUP

__all__ = ["beside", "find_source", "refer"]


def beside(main: str) -> tuple[str, str]:
    """Return the group that a result of a main goes into, and the name that its own starts with: its group's."""
    above, _, name = (main.rpartition("/")[0] or main).rpartition("/")
    return above, link_name(name)


def find_source(file: h5py.File, source: Any, path: str) -> str | None:
    """Return the HDF5 path of the main that ``source`` was read from or written to; None if that is another file.

    Raises
    ------
    FormatError
        If several mains fit, a path was given that is no main, or the source is in no file at all.
    """
    if isinstance(source, str):
        return _named_source(file, source, path)
    found = _sources.matching(_mains(file), source, path, alike=_alike)
    # The mains of one group are one source.
    count = len({p.rpartition("/")[0] for p in found})
    why = f"the source {_sources.called(source)}is in no file that is known"
    return _sources.one_of(found, count, source, path, missing=f"{why}. Write it first: source.sid.to_nsid({path!r})")


def _alike(da: xr.DataArray, main: h5py.Dataset) -> bool:
    return bool(da.shape == main.shape) or ("main_data_name" not in main.attrs and da.size == main.size)


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
            if isinstance(obj, h5py.Dataset) and _says_main(obj):
                yield f"{path.rstrip('/')}/{name}", obj


def _says_main(dataset: h5py.Dataset) -> bool:
    # What was made of an array of USID in the same file may be NSID.
    return "main_data_name" in dataset.attrs or {"Position_Indices", "Spectroscopic_Indices"} <= set(dataset.attrs)


def refer(group: h5py.Group, reference: h5py.Reference) -> None:
    """Write a reference to its source into the group of a result."""
    # xarray's engines show every attribute of the group, and a reference is nothing to show, so it lies one
    # level deeper; a list of one, since h5netcdf cannot read a single one at all.
    group[MODEL_GROUP].attrs.create("source_000", [reference], dtype=h5py.ref_dtype)
