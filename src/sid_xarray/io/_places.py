"""Groups that hold arrays: how to find them, whatever a format calls an array."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import h5py

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.schema import records

__all__ = ["Found", "Kind", "Place", "asked_for", "load_model", "survey"]

M = TypeVar("M")


@dataclass(frozen=True)
class Kind(Generic[M]):
    """What a format calls an array.

    Attributes
    ----------
    model : str
        Name of the model of the format.
    says_main : callable
        Whether a dataset says that it is a main.
    main_of : callable
        From a place and the name of a dataset in it to a main, or None and why it cannot be read.
    only : callable
        From places, the path of a group and that of a main in it to the places with this main alone.
    closed : sequence of str
        Groups beside arrays that are read as metadata and not entered.
    """

    model: str
    says_main: Callable[[h5py.Dataset], bool]
    main_of: Callable[[Place[M], str, h5py.Dataset], tuple[M | None, str]]
    only: Callable[[list[Place[M]], str, str], list[Place[M]]]
    closed: Sequence[str] = ()


@dataclass
class Place(Generic[M]):
    """A group that holds arrays.

    Attributes
    ----------
    kind : Kind
    file : h5py.File
    path : str
    group : h5py.Group
    inside : dict
        What is in the group.
    own : dict
        What is in the group of this library beside the arrays.
    pinned : str or None
        The name tag of the group.
    named : list of str
        Datasets that say they are mains and were not looked at yet.
    objects : dict
        Every dataset of the survey, by address.
    groups : dict
        Every group of the survey, by path.
    mains : list of Main
        Those that were looked at.
    plan : dict or None
        What the model says, once it was read.
    """

    kind: Kind[M]
    file: h5py.File
    path: str
    group: h5py.Group
    inside: dict[str, h5py.Group | h5py.Dataset]
    own: dict[str, h5py.Group | h5py.Dataset]
    pinned: str | None
    named: list[str]
    objects: dict[int, h5py.Dataset]
    groups: dict[str, h5py.Group]
    mains: list[M] = field(default_factory=list)
    plan: dict[str, Any] | None = None

    @property
    def ours(self) -> bool:
        """Whether a model of this library lies beside the arrays."""
        return self.kind.model in self.own

    def path_of(self, name: str) -> str:
        """Return the HDF5 path of a member."""
        return f"{self.path.rstrip('/')}/{name}"

    def complete(self, *, but: Collection[str] = ()) -> list[str]:
        """Look at the datasets that say they are mains, except some by name; return what could not be read."""
        problems: list[str] = []
        for name in self.named:
            obj = self.inside[name]
            if name in but or not isinstance(obj, h5py.Dataset):
                continue
            main, problem = self.kind.main_of(self, name, obj)
            if main is not None:
                self.mains.append(main)
            else:
                problems.append(f"{self.path_of(name)}: {problem}")
        self.named = []
        return problems


@dataclass
class Found:
    """What a survey found of one kind.

    Attributes
    ----------
    places : list of Place
        Parents first.
    problems : list of str
        What could not be read, in plain words.
    walked : dict
        Every group of the survey with what is in it, by path.
    """

    walked: dict[str, tuple[h5py.Group, dict[str, h5py.Group | h5py.Dataset]]]
    places: list[Place[Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, h5py.Group]:
        """Every group of the survey, by path."""
        return {path: group for path, (group, _) in self.walked.items()}

    def __bool__(self) -> bool:
        return bool(self.places or self.problems)


def survey(file: h5py.File, start: str, kinds: Sequence[Kind[Any]]) -> list[Found]:
    """Find every group with arrays, from ``start`` down.

    Parameters
    ----------
    file : h5py.File
    start : str
    kinds : sequence of Kind
        Of arrays; all are found in one go.

    Returns
    -------
    list of Found
        One a kind. What could not be read never stops the rest.
    """
    walked: dict[str, tuple[h5py.Group, dict[str, h5py.Group | h5py.Dataset]]] = {}
    groups: dict[str, h5py.Group] = {}
    objects: dict[int, h5py.Dataset] = {}
    out = [Found(walked) for _ in kinds]
    root = _h5.find(file, start)
    if not isinstance(root, h5py.Group):
        return out
    for path, group, inside in _h5.walk(root, start, remember=True):
        walked[path], groups[path] = (group, dict(inside)), group
        inner = inside.pop(_h5.PIN, None)
        if inner is None and not any(isinstance(obj, h5py.Dataset) for obj in inside.values()):
            continue  # nothing but groups
        own = dict(_h5.members(inner)) if isinstance(inner, h5py.Group) else {}
        tag = _h5.attribute(inner, "id") if isinstance(inner, h5py.Group) else None
        pinned = tag if isinstance(tag, str) else None
        datasets = {name: obj for name, obj in inside.items() if isinstance(obj, h5py.Dataset)}
        for obj in datasets.values():
            objects[obj.address] = obj
        closed: set[str] = set()
        for kind, found in zip(kinds, out, strict=True):
            # A dataset with two names in a group is one array; an old writer gave it both.
            first = {obj.address: name for name, obj in reversed(datasets.items()) if kind.says_main(obj)}
            named = [name for name in datasets if first.get(datasets[name].address) == name]
            if not named and kind.model not in own:
                continue
            # A copy, since the groups that are taken out below still belong to the place.
            place = Place(kind, file, path, group, dict(inside), own, pinned, named, objects, groups)
            found.places.append(place)
            if kind.closed and not place.ours:
                found.problems += place.complete()
            if place.ours or place.mains:
                closed |= set(kind.closed)
        for name in closed:
            inside.pop(name, None)
    for found in out:
        for place in found.places:
            # The model tells what a group of ours consists of: nobody has to look.
            found.problems += [] if place.ours else place.complete()
        found.places = [place for place in found.places if place.ours or place.mains]
    return out


@contextlib.contextmanager
def asked_for(file: h5py.File, group: str | None, kinds: Sequence[Kind[Any]]) -> Iterator[list[Found]]:
    """Find the groups with arrays that a user asked for: all, those in a group, or that of one main.

    Parameters
    ----------
    file : h5py.File
    group : str, optional
    kinds : sequence of Kind

    Yields
    ------
    list of Found
        One a kind; afterwards the survey is forgotten.
    """
    start = "/" if group is None else "/" + group.strip("/")
    one = group is not None and isinstance(_h5.find(file, start), h5py.Dataset)
    above = (start.rpartition("/")[0] or "/") if one else start
    out = survey(file, above, kinds)
    try:
        if one:
            start = _first_name(file, above, start)
            for kind, found in zip(kinds, out, strict=True):
                found.places = kind.only(found.places, above, start)
                found.problems = [p for p in found.problems if p.startswith(f"{start}:")]
        yield out
    finally:
        for found in out:
            for walked, _ in found.walked.values():
                _h5.forget(walked)


def _first_name(file: h5py.File, above: str, path: str) -> str:
    """Return the path of a dataset by the first of its names in a group."""
    wanted, group = _h5.find(file, path), _h5.find(file, above)
    inside = _h5.members(group) if wanted is not None and isinstance(group, h5py.Group) else ()
    same = None if wanted is None else _h5.address(wanted)
    return next((f"{above.rstrip('/')}/{name}" for name, obj in inside if _h5.address(obj) == same), path)


def load_model(
    group: h5py.Group,
    file: str,
    path: str,
    *,
    name: str,
    version: int,
    held: h5py.Group | h5py.Dataset | None = None,
) -> dict[str, Any]:
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
    held : h5py.Dataset, optional
        The model, if it is open already.

    Raises
    ------
    FormatError
        If it is damaged, or of a newer version.
    """
    where = f"{path.rstrip('/')}/{_h5.PIN}/{name}"
    try:
        held = _h5.find(group, f"{_h5.PIN}/{name}") if held is None else held
        if not isinstance(held, h5py.Dataset) or not _h5.is_stored_here(held):
            raise ValueError("there is no text")
        found = records.loads(_h5.text(held[()]) or "")
    except Exception as error:
        raise FormatError(file, where, f"is damaged: {_h5.first_line(error)}") from error
    if not isinstance(found, dict) or not isinstance(found.get("variables"), list):
        raise FormatError(file, where, "is damaged: it describes no variables")
    if found.get("v") != version:
        raise FormatError(file, where, f"has version {found.get('v')!r}, this library reads {version}. Upgrade it")
    return found
