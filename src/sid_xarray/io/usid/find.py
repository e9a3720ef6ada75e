"""Find what a file holds: groups that this library wrote, and mains of other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5, _places
from sid_xarray.io.nsid.find import unreadable_dtype
from sid_xarray.io.usid.layout import LINKS, MODEL, SIDES

__all__ = ["KIND", "Main", "Place", "holds_usid", "linked", "mains_below", "says_main"]

_NONE: Mapping[int, h5py.Dataset] = {}


@dataclass
class Main:
    """A main dataset: where it is, and what describes its rows and columns.

    Attributes
    ----------
    path : str
    dataset : h5py.Dataset
    pairs : dict
        For every side its indices and values; None where a link leads nowhere.
    problems : list of str
    """

    path: str
    dataset: h5py.Dataset
    pairs: dict[str, tuple[h5py.Dataset | None, h5py.Dataset | None]]
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of its link."""
        return self.path.rpartition("/")[2]


Place = _places.Place[Main]


def mains_below(file: h5py.File, start: str = "/") -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield path and dataset of everything that says it is a main."""
    root = _h5.find(file, start)
    if isinstance(root, h5py.Group):
        for path, _, inside in _h5.walk(root, start):
            for name, obj in inside.items():
                if isinstance(obj, h5py.Dataset) and says_main(obj):
                    yield f"{path.rstrip('/')}/{name}", obj


def holds_usid(path: str) -> bool:
    """Tell whether a file holds USID data.

    Parameters
    ----------
    path : str

    Returns
    -------
    bool

    Raises
    ------
    FormatError
        If it is not HDF5.
    """
    source = _h5.manager(path)
    with _h5.opened(source, path) as file:
        for _, _, inside in _h5.walk(file["/"]):
            inner = inside.get(_h5.PIN)
            if isinstance(inner, h5py.Group) and MODEL in inner:
                return True
            if any(isinstance(obj, h5py.Dataset) and says_main(obj) for obj in inside.values()):
                return True
    return False


def says_main(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset says that it is a main: it links to tables of rows and of columns."""
    try:
        has = _h5.teller(dataset)
        return all(any(map(has, LINKS[side])) for side in SIDES)
    except Exception:  # noqa: BLE001 - the attributes of a damaged dataset say nothing
        return False


def _main(place: Place, name: str, dataset: h5py.Dataset) -> tuple[Main | None, str]:
    try:
        if dataset.shape is None:
            return None, "has no values"
        if dataset.ndim != 2:
            return None, f"has {dataset.ndim} dimension(s); USID keeps everything in two"
        if not _h5.is_stored_here(dataset):
            return None, "keeps its values in other files; they are not followed"
        why = unreadable_dtype(dataset.dtype)
        if why:
            return None, why
        known = place.objects
        pairs = {side: tuple(linked(place.file, dataset, link, known) for link in LINKS[side]) for side in SIDES}
        return Main(place.path_of(name), dataset, pairs), ""  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - one damaged dataset must not hide its neighbours; it is reported
        return None, _h5.first_line(error)


def linked(
    file: h5py.File, obj: h5py.Group | h5py.Dataset, name: str, known: Mapping[int, h5py.Dataset] = _NONE
) -> h5py.Dataset | None:
    """Return the dataset that an attribute names, by reference or by path; None if it leads nowhere.

    Parameters
    ----------
    file : h5py.File
    obj : h5py.Group or h5py.Dataset
        That has the attribute.
    name : str
        Of the attribute.
    known : dict, optional
        Datasets that are at hand, by address.
    """
    address = _h5.referred(obj, name) if known else None
    if address is not None and address in known:
        return known[address]
    value: Any = _h5.raw_attribute(obj, name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    try:
        if isinstance(value, h5py.Reference) and not isinstance(value, h5py.RegionReference):
            found = file[value] if value else None
        else:
            path = _h5.text(value)
            found = _h5.find(obj if isinstance(obj, h5py.Group) else obj.parent, path) if path else None
    except Exception:  # noqa: BLE001 - what was linked is gone; HDF5 raises anything
        return None
    # What was deleted can still be opened by its reference, until something else is written in its place.
    return found if isinstance(found, h5py.Dataset) and found.name is not None else None


def _only(places: list[Place], above: str, main: str) -> list[Place]:
    here = []
    for place in places:
        place.mains = [m for m in place.mains if m.path == main]
        place.named = [name for name in place.named if place.path_of(name) == main]
        if place.path == above and (place.mains or place.ours):
            here.append(place)
    return here


KIND: _places.Kind[Main] = _places.Kind(MODEL, says_main, _main, _only)
"""What is an array in USID."""
