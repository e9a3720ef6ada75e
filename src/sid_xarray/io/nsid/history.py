"""Histories as other programs read them: groups that sidpy shows as provenance, and the ``history`` of CF."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h5py

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.calls import Call, calls, line
from sid_xarray.core.history import History, read
from sid_xarray.errors import MetadataError
from sid_xarray.io import _h5
from sid_xarray.io._groups import ordered_group
from sid_xarray.io._names import safe_name
from sid_xarray.io.nsid import attributes
from sid_xarray.schema import attrs as names

__all__ = ["HISTORY", "PROVENANCE", "edited", "mark", "write_cf", "write_history"]

PROVENANCE = "provenance"
HISTORY = "history"
_MOST = 50  # steps; all of them are in the attribute of the array
_LONGEST = 600


def write_history(group: h5py.Group, arrays: Iterable[Mapping[Any, Any]], *, own: bool) -> str | None:
    """Write the histories of the arrays of a group beside them, and return the `mark` of what CF is told.

    Parameters
    ----------
    group : h5py.Group
    arrays : iterable of mapping
        Attributes of its arrays.
    own : bool
        Whether the group has an attribute ``history`` of its own, which stays as it is.
    """
    found, others = History(), dict[str, Any]()
    for attrs in arrays:
        found = found.union(read(attrs))
        others = others or _of_others(attrs)
    if not found.steps and not others:
        return None
    everything = calls(found.steps.values())
    inner = ordered_group(group, PROVENANCE)  # so that a group without members is small
    attributes.write_tree(inner, others)
    number = {step.id: call.number for call in everything for step in call.steps}
    for i, call in enumerate(everything, 1):
        if i > len(everything) - _MOST:
            step = ordered_group(inner, f"{i:03d}_{safe_name(call.name, 'step')}")
            for key, value in _about(call, number).items():
                step.attrs[key] = value
    return None if own else _written(group, everything)


def write_cf(group: h5py.Group, arrays: Iterable[Mapping[Any, Any]]) -> str | None:
    """Write the histories of the arrays of a group as CF wants them, and return the `mark` of that."""
    found = History()
    for attrs in arrays:
        found = found.union(read(attrs))
    return _written(group, calls(found.steps.values())) if found.steps else None


def _written(group: h5py.Group, everything: Sequence[Call]) -> str | None:
    if not everything:
        return None
    text = "\n".join(_cf_line(call) for call in everything[-_MOST:])
    group.attrs[HISTORY] = text
    return mark(text)


def mark(text: str) -> str:
    """Return what tells one history from another; it is kept in the model, so that an edit is seen."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def edited(group: h5py.Group, marked: object) -> str | None:
    """Return the history of a group if another program wrote or changed it; None if it is the one that we wrote.

    Parameters
    ----------
    group : h5py.Group
    marked : object
        The `mark` in the model; None if we wrote no history.
    """
    found = _h5.attribute(group, HISTORY)
    return found if isinstance(found, str) and mark(found) != marked else None


def _of_others(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the provenance that another program wrote, and that was read with the array."""
    try:
        found = _metadata.unpack(attrs.get(names.OTHER_GROUPS)).get(PROVENANCE)
    except MetadataError:
        return {}
    return found if isinstance(found, dict) else {}


def _about(call: Call, number: Mapping[str, str]) -> dict[str, str]:
    """Return what sidpy calls package, version and linked data; and the call as one would type it, and when."""
    step = call.step
    made_of = ", ".join(dict.fromkeys(f"step {number[key]}" for _, key in step.inputs if key in number))
    said = {
        "package": "sid-xarray",
        "version": step.agents.get("sid-xarray", ""),
        "linked_data": made_of or str(step.params.get("name") or ""),
        "call": _clean(line(call)),
        "time": step.time,
    }
    return {key: text.replace("\x00", "") for key, text in said.items() if text}


def _clean(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def _cf_line(call: Call) -> str:
    """Return one line, as CF wants it: when, by what, what."""
    version = call.step.agents.get("sid-xarray", "")
    return f"{call.step.time} sid-xarray {version}: {_clean(line(call))}".strip()
