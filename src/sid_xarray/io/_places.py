"""Groups that hold arrays: how to find them, whatever a format calls an array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import h5py

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.schema import records

__all__ = ["Place", "asked_for", "load_model", "survey"]

M = TypeVar("M")
Members = Mapping[str, h5py.Group | h5py.Dataset]


@dataclass
class Place(Generic[M]):
    """A group that holds arrays.

    Attributes
    ----------
    path : str
    group : h5py.Group
    inside : dict
        What is in the group, opened.
    ours : bool
        Whether a model of this library lies beside the arrays.
    mains : list of Main
    """

    path: str
    group: h5py.Group
    inside: dict[str, h5py.Group | h5py.Dataset]
    ours: bool
    mains: list[M] = field(default_factory=list)

    def path_of(self, name: str) -> str:
        """Return the HDF5 path of a member."""
        return f"{self.path.rstrip('/')}/{name}"


def survey(
    file: h5py.File,
    start: str,
    *,
    model: str,
    says_main: Callable[[h5py.Dataset], bool],
    main_of: Callable[[str, h5py.Dataset, Members], tuple[M | None, str]],
    closed: Iterable[str] = (),
) -> tuple[list[Place[M]], list[str]]:
    """Find every group with arrays, from ``start`` down, parents first.

    Parameters
    ----------
    file : h5py.File
    start : str
    model : str
        Name of the model of the format.
    says_main : callable
        Whether a dataset says that it is a main.
    main_of : callable
        From path, dataset and what lies beside it to a main, or None and why it cannot be read.
    closed : iterable of str
        Groups beside arrays that are read as metadata and not entered.

    Returns
    -------
    places : list of Place
    problems : list of str
        What could not be read, in plain words; it never stops the rest.
    """
    places: list[Place[M]] = []
    problems: list[str] = []
    root = _h5.find(file, start)
    if not isinstance(root, h5py.Group):
        return places, problems
    for path, group, inside in _h5.walk(root, start):
        inner = inside.pop(_h5.PIN, None)
        # A copy, since the groups taken out below still belong to the place.
        place: Place[M] = Place(path, group, dict(inside), isinstance(inner, h5py.Group) and model in inner)
        seen: set[tuple[int, int]] = set()
        for name, obj in inside.items():
            if isinstance(obj, h5py.Dataset) and says_main(obj):
                # A dataset with two names in a group is one array; an old writer gave it both.
                if (key := _h5.address(obj)) in seen:
                    continue
                seen.add(key)
                main, problem = main_of(place.path_of(name), obj, inside)
                if main is not None:
                    place.mains.append(main)
                else:
                    problems.append(f"{place.path_of(name)}: {problem}")
        if place.ours or place.mains:
            places.append(place)
            for name in closed:
                inside.pop(name, None)
    return places, problems


def asked_for(
    file: h5py.File,
    group: str | None,
    *,
    survey: Callable[[h5py.File, str], tuple[list[Place[M]], list[str]]],
    only: Callable[[list[Place[M]], str, str], list[Place[M]]],
) -> tuple[list[Place[M]], list[str]]:
    """Find the groups with arrays that a user asked for: all, those in a group, or that of one main.

    Parameters
    ----------
    file : h5py.File
    group : str, optional
    survey : callable
        Finds every group with arrays, from a path down.
    only : callable
        From places, the path of a group and that of a main in it to the places with this main alone.
    """
    start = "/" if group is None else "/" + group.strip("/")
    if group is None or not isinstance(_h5.find(file, start), h5py.Dataset):
        return survey(file, start)
    above = start.rpartition("/")[0] or "/"
    places, problems = survey(file, above)
    start = _first_name(file, above, start)
    return only(places, above, start), [p for p in problems if p.startswith(f"{start}:")]


def _first_name(file: h5py.File, above: str, path: str) -> str:
    """Return the path of a dataset by the first of its names in a group."""
    wanted, group = _h5.find(file, path), _h5.find(file, above)
    inside = _h5.members(group) if isinstance(group, h5py.Group) else ()
    return next((f"{above.rstrip('/')}/{name}" for name, obj in inside if obj == wanted), path)


def load_model(group: h5py.Group, file: str, path: str, *, name: str, version: int) -> dict[str, Any]:
    """Return the model of a group.

    Parameters
    ----------
    group : h5py.Group
    file, path : str
        For a message: the file, and the group in it.
    name : str
        Name of the model of the format.
    version : int
        The one that can be read.

    Raises
    ------
    FormatError
        If it is damaged, or of a newer version.
    """
    where = f"{path.rstrip('/')}/{_h5.PIN}/{name}"
    try:
        found = records.loads(_h5.text(group[f"{_h5.PIN}/{name}"][()]) or "")
    except Exception as error:
        raise FormatError(file, where, f"is damaged: {_h5.first_line(error)}") from error
    if not isinstance(found, dict) or not isinstance(found.get("variables"), list):
        raise FormatError(file, where, "is damaged: it describes no variables")
    if found.get("v") != version:
        raise FormatError(file, where, f"has version {found.get('v')!r}, this library reads {version}. Upgrade it")
    return found
