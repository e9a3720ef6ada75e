"""Histories as other programs read them: groups that sidpy shows as provenance, and the ``history`` of CF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import h5py

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.calls import Call, calls, line
from sid_xarray.core.history import History, read
from sid_xarray.errors import MetadataError
from sid_xarray.io._names import safe_name
from sid_xarray.io.nsid import attributes
from sid_xarray.schema import attrs as names

__all__ = ["HISTORY", "PROVENANCE", "write_history"]

PROVENANCE = "provenance"
HISTORY = "history"
_MOST = 50  # steps; all of them are in the attribute of the array
_LONGEST = 600


def write_history(group: h5py.Group, arrays: Iterable[Mapping[Any, Any]], *, own: bool) -> None:
    """Write the histories of the arrays of a group beside them.

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
        return
    everything = calls(found.steps.values())
    inner = group.create_group(PROVENANCE, track_order=True)  # so that a group without members is small
    attributes.write_tree(inner, others)
    number = {step.id: call.number for call in everything for step in call.steps}
    for i, call in enumerate(everything, 1):
        if i > len(everything) - _MOST:
            step = inner.create_group(f"{i:03d}_{safe_name(call.name, 'step')}", track_order=True)
            for key, value in _about(call, number).items():
                step.attrs[key] = value
    if everything and not own:
        group.attrs[HISTORY] = "\n".join(_cf_line(call) for call in everything[-_MOST:])


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
