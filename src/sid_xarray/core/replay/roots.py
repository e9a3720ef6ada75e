"""The arrays that a history starts from: given, or found again in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from sid_xarray.core.history import Step, read
from sid_xarray.core.registry import OPEN, load
from sid_xarray.core.replay.plan import Plan, aliases
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, ProvenanceError, nearest
from sid_xarray.schema import attrs as names

__all__ = ["assign", "like", "original"]

_MOST_FILES = 200


def assign(
    plan: Plan, new: Any, named: Mapping[str, Any], path: str | os.PathLike[str] | None
) -> dict[str, xr.DataArray]:
    """Return an array for every root: those given, by name; the others are opened again.

    Parameters
    ----------
    plan : Plan
    new : DataArray, str, mapping or None
        For the only root; or a mapping from the name or id of a root.
    named : mapping
        The same, from keywords.
    path : str, optional
        The raw file, or a folder to look for raw files in.

    Raises
    ------
    ProvenanceError
        If a name fits no root or several, or a root is neither given nor found.
    """
    given: dict[str, Any] = {}
    if isinstance(new, Mapping) and not isinstance(new, xr.Dataset | xr.DataTree):
        named = {**new, **named}
    elif new is not None:
        if len(plan.roots) != 1:
            raise ProvenanceError(
                f"the history starts from {len(plan.roots)} arrays. Give each by name: {_usage(plan)}"
            )
        given[next(iter(plan.roots))] = new
    for name, value in named.items():
        key = _root_called(plan, str(name))
        if key in given:
            raise ProvenanceError(f"{plan.names[key]!r} is given twice")
        given[key] = value
    out: dict[str, xr.DataArray] = {}
    for key, step in plan.roots.items():
        if key not in given:
            out[key] = original(step, path, plan.names[key])
        elif isinstance(given[key], str | os.PathLike):
            out[key] = like(step, given[key])
        elif isinstance(given[key], xr.Dataset | xr.DataTree):
            out[key] = _among(step, given[key], plan.names[key])
        elif isinstance(given[key], xr.DataArray):
            out[key] = given[key]
        else:
            found = type(given[key]).__name__
            raise ProvenanceError(f"{plan.names[key]!r} should be a DataArray or the path of a file, got {found}")
    return out


def _usage(plan: Plan) -> str:
    if all(name.isidentifier() for name in plan.names.values()):
        return f"replay({', '.join(f'{name}=...' for name in plan.names.values())})"
    return f"replay({{{', '.join(f'{name!r}: ...' for name in plan.names.values())}}})"


def _root_called(plan: Plan, name: str) -> str:
    fitting = [k for k, v in plan.names.items() if v == name]
    fitting = fitting or [k for k, step in plan.roots.items() if name in aliases(step)]
    fitting = fitting or [k for k in plan.roots if len(name) > 3 and k.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ProvenanceError(f"{len(fitting)} of the arrays are called {name!r}. Give the id: {', '.join(fitting)}")
    hint = nearest(name, plan.names.values())
    raise ProvenanceError(f"the history starts from no array {name!r}.{hint} Type: {_usage(plan)}")


def original(step: Step, path: str | os.PathLike[str] | None, name: str) -> xr.DataArray:
    """Open the array that a history started from.

    Parameters
    ----------
    step : Step
        The root.
    path : str, optional
        Its file, or a folder with it; the working directory by default.
    name : str
        For messages.

    Raises
    ------
    ProvenanceError
        If there is no such array: only the very same is taken.
    """
    place = Path(path) if path is not None else Path()
    if path is not None and not place.exists():
        raise ProvenanceError(f"there is no file or folder {os.fspath(path)!r}")
    seen: list[str] = []
    for file in _files(step, place):
        seen.append(file.name)
        try:
            tree = load(OPEN)(file)
        except (FormatError, OSError, ValueError):
            continue
        for da in signals(tree).values():
            if read(da.attrs).heads == (step.id,):
                return da
        tree.close()
    opened = step.params.get("name") if step.op.startswith("sid:open") else None
    what = f"came from the file {opened!r}" if opened else "was an array in memory"
    if opened in seen:
        here = os.fspath(place if place.is_file() else place / str(opened))
        raise ProvenanceError(
            f"the array {name!r} {what}; {here!r} is another one, or was changed since. To take it all the same: "
            f"replay({{{name!r}: {here!r}}})"
        )
    looked = f"Looked into {', '.join(seen[:5])}" if seen else f"There is no such file in {os.fspath(place)!r}"
    raise ProvenanceError(
        f"the array {name!r} {what} and is not given. {looked}. Give it: replay({{{name!r}: da}}), or say where its "
        "file is: replay(path='folder')"
    )


def _files(step: Step, place: Path) -> Iterable[Path]:
    """Return the files that may hold a root, the likeliest first."""
    if place.is_file():
        return [place]
    name, size = step.params.get("name"), step.params.get("size")
    here = sorted(f for f in place.iterdir() if f.is_file())
    if step.op.startswith("sid:open"):
        named = [f for f in here if f.name == name]
        return [*named, *(f for f in here if f not in named and f.stat().st_size == size)]
    return [f for f in here if f.suffix.lower() in (".h5", ".hf5", ".hdf5", ".nsid", ".usid", ".nc")][:_MOST_FILES]


def like(step: Step, path: str | os.PathLike[str]) -> xr.DataArray:
    """Open the array of another file that takes the place of a root.

    Parameters
    ----------
    step : Step
        The root.
    path : str
        The file; behind ``::`` the signal.

    Raises
    ------
    FormatError
        If it is not clear which one.
    """
    file, _, signal = os.fspath(path).partition("::")
    tree = load(OPEN)(file)
    raw = _raw(tree)
    fitting = {k: v for k, v in signals(tree).items() if signal in _called(k, v)} if signal else _fitting(step, raw)
    if len(fitting) != 1:
        listed = ", ".join(fitting or raw)
        asked = f"{len(fitting) or 'no'} signals {signal!r}" if signal else f"{len(raw)} signals"
        one = next(iter(fitting or raw), "...")
        raise FormatError(file, "", f"holds {asked}, name one: '{file}::{one}'. There are {listed}")
    return next(iter(fitting.values()))


def _among(step: Step, tree: xr.Dataset | xr.DataTree, name: str) -> xr.DataArray:
    """Return the array of a Dataset or a tree that takes the place of a root."""
    raw = _raw(xr.DataTree(tree) if isinstance(tree, xr.Dataset) else tree)
    fitting = _fitting(step, raw)
    if len(fitting) != 1:
        listed = ", ".join(fitting or raw) or "none"
        raise ProvenanceError(
            f"{name!r} should be one array, got a {type(tree).__name__} with {len(raw)}. Give one of them: {listed}"
        )
    return next(iter(fitting.values()))


def _raw(tree: xr.DataTree) -> dict[str, xr.DataArray]:
    """Return the arrays of a tree by path: those that are no results, if there are such."""
    found = signals(tree)
    return {k: v for k, v in found.items() if "sid_source" not in tree[k.rpartition("/")[0] or "/"].encoding} or found


def _fitting(step: Step, raw: Mapping[str, xr.DataArray]) -> Mapping[str, xr.DataArray]:
    """Return the arrays that may take the place of a root: the only one, that very one, those that are called so."""
    if len(raw) == 1:
        return raw
    wanted = set(aliases(step))
    ways: tuple[Callable[[str, xr.DataArray], Any], ...] = (
        lambda k, v: read(v.attrs).heads == (step.id,),
        lambda k, v: {v.encoding.get("sid_h5path"), k} & wanted,
        lambda k, v: k.rpartition("/")[2] in wanted,
        lambda k, v: _called(k, v) & wanted,
    )
    found = [{k: v for k, v in raw.items() if way(k, v)} for way in ways]
    return next((one for one in found if len(one) == 1), next(filter(None, found), {}))


def _called(key: str, da: xr.DataArray) -> set[str]:
    said = {key, key.strip("/"), key.rpartition("/")[2], key.rpartition("/")[0], str(da.encoding.get("sid_h5path"))}
    return said | {str(da.attrs.get(n)) for n in (names.TITLE, names.LONG_NAME) if n in da.attrs}
