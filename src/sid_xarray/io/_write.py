"""Write a file, whole or not at all, in either format: plan, make way, write, link."""

from __future__ import annotations

import abc
import contextlib
import datetime as dt
import platform
import socket
from collections.abc import Callable, Container, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import h5py
import xarray as xr

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5, _journal, _sources
from sid_xarray.io._names import next_index, safe_name
from sid_xarray.io._target import editing
from sid_xarray.options import OPTIONS

if TYPE_CHECKING:
    from sid_xarray.io.nsid.tags import PlannedAttrs

__all__ = ["Content", "Format", "Request", "now_or_later", "stamp", "write"]


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


P = TypeVar("P", bound=_Sized)


@dataclass(frozen=True)
class Request:
    """What a user asked for: the arguments that mean the same in every format."""

    obj: xr.DataArray | xr.Dataset | xr.DataTree
    path: str
    group: str | None
    mode: str
    source: xr.DataArray | xr.Dataset | str | None
    tool: str | None
    overwrite: bool
    resume: bool = False


@dataclass
class Content(Generic[P]):
    """What will be written, by path: groups with variables, and attributes of nodes without; ``""`` is a free path."""

    groups: dict[str, P] = field(default_factory=dict)
    attrs: dict[str, PlannedAttrs] = field(default_factory=dict)


@dataclass
class Format(abc.ABC, Generic[P]):
    """What one format does in its own way.

    Attributes
    ----------
    path : str
        The file.
    compression, encoding
        As the user gave them.
    """

    path: str
    compression: Any
    encoding: Mapping[Hashable, Mapping[str, Any]]
    example: ClassVar[str]
    """A group, as a user would name it."""

    @abc.abstractmethod
    def plan(
        self, obj: xr.DataArray | xr.Dataset, encoding: Mapping[Hashable, Mapping[str, Any]], *, node: bool = False
    ) -> P:
        """Plan one group; that of a node of a tree needs not suit all that the user said of the tree."""

    @abc.abstractmethod
    def plan_attrs(self, attrs: Mapping[Any, Any], where: str) -> PlannedAttrs:
        """Plan the attributes of a node without variables."""

    @abc.abstractmethod
    def encodable(self, ds: xr.Dataset) -> Container[Hashable]:
        """Return the names that an encoding may name."""

    @abc.abstractmethod
    def take(self, node: xr.DataTree, place: str) -> None:
        """Take note of a node with variables; raise `FormatError` if it cannot be a group."""

    @abc.abstractmethod
    def find_source(self, file: h5py.File, source: Any) -> str | None:
        """Return the main that is the source; None if that is in another file."""

    @abc.abstractmethod
    def free_place(self, measurement: str, plan: P) -> str:
        """Return where a group goes in a new Measurement."""

    @abc.abstractmethod
    def beside(self, main: str) -> tuple[str, str]:
        """Return the group that a result of a main goes into, and the name that its own starts with."""

    def forbids(self, group: h5py.Group) -> bool:
        """Tell whether there must be no other group in a group that is there."""
        return False

    @abc.abstractmethod
    def would_lose(self, file: h5py.File, place: str) -> str:
        """Say why a group cannot be replaced; empty if it can."""

    @abc.abstractmethod
    def write_group(self, file: h5py.File, place: str, plan: P, main: str | None) -> None:
        """Write a group that is not there yet; `main` is the source."""

    @abc.abstractmethod
    def write_attrs(self, file: h5py.File, place: str, attrs: PlannedAttrs) -> None:
        """Write the attributes of a node without variables."""

    @abc.abstractmethod
    def refer(self, group: h5py.Group, reference: h5py.Reference) -> None:
        """Write a reference to its source into the group of a result."""

    def finish(self, file: h5py.File) -> None:
        """Write what needs all groups to be there."""
        return


def now_or_later(work: Callable[[], str], compute: bool) -> Any:
    """Write, or return a ``dask.delayed`` that does."""
    if compute:
        return work()
    import dask

    return dask.delayed(lambda: work(), pure=False)()


def write(ask: Request, form: Format[P]) -> str:
    """Write into a copy of the file that takes its place, and return the path of what was written."""
    path = ask.path
    content = _plan(ask, form)
    if ask.mode == "w" and ask.source is not None and _sources.lies_in(ask.source, path):
        raise FormatError(path, "", "mode='w' would replace the file that holds the source. Type: mode='a'")
    expected = sum(plan.nbytes for plan in content.groups.values())
    journal = _journal.keeping(path) if ask.resume else contextlib.nullcontext()
    with journal, editing(path, mode=ask.mode, expected=expected) as file:
        main = None if ask.source is None else form.find_source(file, ask.source)
        if "" in content.groups:
            only = content.groups.pop("")
            if ask.source is not None:
                beside = None if main is None else form.beside(main)
                free = _sources.result_group(file, beside, ask.source, tool=ask.tool, obj=ask.obj)
            else:
                free = form.free_place(f"/{next_index('Measurement', list(file))}", only)
            content.groups[free] = only
        for place, plan in content.groups.items():
            _make_way(file, place, ask, form)
            form.write_group(file, place, plan, main)
        for place, attrs in content.attrs.items():
            form.write_attrs(file, place, attrs)
        form.finish(file)
        first = next(iter((*content.groups, *content.attrs)))
        if ask.source is not None:
            _sources.link(file, first, main, ask.source, tool=ask.tool, obj=ask.obj, path=path, refer=form.refer)
    return first


def _plan(ask: Request, form: Format[P]) -> Content[P]:
    obj, path = ask.obj, ask.path
    base = _base(ask, form)
    if isinstance(obj, xr.DataTree):
        if ask.source is not None:
            raise FormatError(path, base, "a tree cannot be the result of one source. Write its nodes, one by one")
        content = _plan_tree(obj, base, form)
        if content.groups or any(a.values for a in content.attrs.values()):
            return content
    elif not isinstance(obj, xr.DataArray | xr.Dataset):
        raise TypeError(f"expected a DataArray, Dataset or DataTree, got {type(obj).__name__}")
    elif not isinstance(obj, xr.Dataset) or obj.variables or obj.attrs:
        return Content({base: form.plan(obj, form.encoding)})
    raise FormatError(path, base, "there is nothing to write: no variables")


def _plan_tree(tree: xr.DataTree, base: str, form: Format[P]) -> Content[P]:
    content: Content[P] = Content()
    known: set[Hashable] = set()
    for node in tree.subtree:
        place = _place_of(node, tree, base, form.path)
        attrs = {k: v for k, v in node.attrs.items() if k not in ("sid_problems", "sid_not_shown")}
        if node.data_vars or node.to_dataset(inherit=False).coords:
            form.take(node, place)
            # Coordinates of parents are inherited, and a group must stand alone.
            ds = node.to_dataset()
            ds.attrs = attrs
            own = {k: v for k, v in form.encoding.items() if k in form.encodable(ds)}
            known |= set(own)
            content.groups[place] = form.plan(ds, own, node=True)
        elif attrs or not node.children:
            content.attrs[place] = form.plan_attrs(attrs, node.path)
    unknown = [k for k in form.encoding if k not in known]
    if unknown:
        raise FormatError(form.path, str(unknown[0]), "encoding names a variable that no node has")
    return content


def _place_of(node: xr.DataTree, tree: xr.DataTree, base: str, path: str) -> str:
    """Return the path of a node in the file."""
    relative = node.path[len(tree.path.rstrip("/")) :].strip("/")
    for part in relative.split("/"):
        if relative and not _can_be_named(part):
            raise FormatError(path, node.path, f"{part!r} cannot be the name of a group. Rename the node")
    return f"/{'/'.join(p for p in (base.strip('/'), relative) if p)}"


def _base(ask: Request, form: Format[P]) -> str:
    """Return the path of a group, or empty text."""
    if ask.group is None:
        return ""
    parts = [p for p in ask.group.split("/") if p]
    if not parts:
        raise FormatError(ask.path, "/", f"a group needs a name: group={form.example!r}")
    for part in parts:
        if not _can_be_named(part):
            raise FormatError(ask.path, ask.group, f"{part!r} cannot be the name of a group")
    return "/" + "/".join(parts)


def _can_be_named(part: str) -> bool:
    return part != _h5.PIN and part == safe_name(part, "")


def _make_way(file: h5py.File, place: str, ask: Request, form: Format[P]) -> None:
    """Make sure that a group may be made, and is not there."""
    path = ask.path
    if place == "/":
        if len(file):
            raise FormatError(
                path, "/", "variables of the root need a file of their own. Type: group='Measurement_000', or mode='w'"
            )
        return
    parent = place
    while parent:
        parent = parent.rpartition("/")[0]
        found = _h5.find(file, parent or "/")
        if isinstance(found, h5py.Dataset):
            raise FormatError(path, place, f"lies inside {parent}, which is an array. Take another group=...")
        if found is not None and form.forbids(found):
            raise FormatError(
                path, place, f"lies inside the group {parent or '/'}, which holds arrays. Write beside it"
            )
    if place not in file:
        return
    if not ask.overwrite:
        raise FileExistsError(
            f"{path} has a group {place} already; nothing was written. "
            "Take another group=..., or overwrite=True to replace it."
        )
    why = form.would_lose(file, place)
    if why:
        raise FormatError(path, place, why)
    del file[place]


def stamp(versions: Mapping[str, str]) -> dict[str, str]:
    """Return the book-keeping attributes: where and when, and the versions of a format."""
    out = {
        "platform": platform.platform(),
        "timestamp": dt.datetime.now().strftime("%Y_%m_%d-%H_%M_%S"),
        **versions,
    }
    return {**out, "machine_id": socket.getfqdn()} if OPTIONS["machine_id"] else out
