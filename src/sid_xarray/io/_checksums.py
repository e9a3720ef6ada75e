"""Checksums of the variables of a group, and where they lie in a file: beside its model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import h5py

from sid_xarray.io import _h5
from sid_xarray.io._digest import Sum
from sid_xarray.io.nsid.tags import tagged
from sid_xarray.schema import records

__all__ = ["CHECKSUMS", "attrs_digest", "digest_of_tags", "key_of", "load", "record", "save"]

CHECKSUMS = "checksums"
"""Name of the attribute in the group of the model."""

_MAX_ATTRIBUTE = 60_000


def attrs_digest(attrs: Mapping[Any, Any]) -> str:
    """Return the sha256 of attributes, whatever their order; their types count."""
    return digest_of_tags((tagged(key), tagged(value)) for key, value in attrs.items())


def digest_of_tags(pairs: Iterable[Sequence[Any]]) -> str:
    """Return what `attrs_digest` returns, given names and values as `tagged` gives them."""
    lines = sorted(json.dumps(list(pair), sort_keys=True, separators=(",", ":")) for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def key_of(name: Hashable) -> str:
    """Return the name of a variable as a key of JSON; no two names share one."""
    if type(name) is str and not name.startswith("~"):
        return name
    return f"~{records.dumps(tagged(name))}"


def record(
    group: h5py.Group,
    tags: Mapping[Hashable, Iterable[Sequence[Any]]],
    sums: Mapping[Hashable, Sum],
    other: Callable[[Hashable], Sum],
) -> None:
    """Write the checksums of all variables of a group.

    Parameters
    ----------
    group : h5py.Group
        That of the model.
    tags : mapping
        From variable to its attributes, as `tagged` gives them.
    sums : mapping
        From variable to the checksum of its values, where it is known.
    other : callable
        Gives the checksum of any other variable.
    """
    found = {}
    for key, pairs in tags.items():
        values = sums[key] if key in sums else other(key)
        found[key_of(key)] = values.entry(digest_of_tags(pairs))
    save(group, found)


def save(group: h5py.Group, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the checksums of a group into the group of its model."""
    text = json.dumps(dict(entries), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    if len(text) <= _MAX_ATTRIBUTE:
        group.attrs[CHECKSUMS] = text
    else:  # more than HDF5 takes for an attribute
        group.create_dataset(CHECKSUMS, data=text, dtype=h5py.string_dtype())


def load(group: h5py.Group) -> dict[str, Any]:
    """Return the checksums of a group, given the group of its model; empty if there are none.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    text = _h5.attribute(group, CHECKSUMS)
    if text is None and CHECKSUMS in group:
        held = _h5.find(group, CHECKSUMS)
        text = _h5.text(held[()]) if isinstance(held, h5py.Dataset) and held.shape == () else ""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the checksums are damaged: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("the checksums are damaged: no names")
    return found
