"""What the other program has no place for travels with its object as one line of text, and comes back with it.

The text says how our array differs from what a stranger would read from the object. On the way back, every difference
is applied where the other program left things as they were; what it changed is its own word, and stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.chunked import graph_name, is_lazy
from sid_xarray.core.fingerprint import axes_token, token
from sid_xarray.errors import MetadataError, warn
from sid_xarray.io.nsid.tags import tagged, untagged
from sid_xarray.schema import attrs as names
from sid_xarray.schema import records

__all__ = ["KEY", "attrs_difference", "attrs_patched", "difference", "patched", "read", "rooted", "written"]

KEY = "sid_xarray"
"""Under this name the text lies in the metadata of the other program."""

# In `encoding`: they say that lazy values are still those of the last step.
_TRUST = (provenance.HEAD, provenance.GRAPH)


def written(record: Mapping[str, Any]) -> str:
    """Return a record as text.

    Raises
    ------
    MetadataError
        If an attribute cannot be stored.
    """
    return records.dumps(dict(record))


def read(text: object) -> dict[str, Any] | None:
    """Return the record that text holds; None, with a warning, if it is damaged or of a newer version."""
    if not isinstance(text, str):
        return None
    try:
        found = records.loads(text)
        if isinstance(found, dict) and found.get("v") == 1:
            return found
    except MetadataError:
        pass
    warn(f"the entry {KEY!r} of the metadata cannot be read: what only sid-xarray knew of these data is lost")
    return None


def difference(ours: xr.DataArray, natural: xr.DataArray, dims: Sequence[Hashable]) -> dict[str, Any]:
    """Return what is needed to make ``ours`` of ``natural``, which is what a stranger reads.

    Parameters
    ----------
    ours, natural : DataArray
    dims : sequence
        For every dimension of ``natural`` the one of ``ours`` that it shows.
    """
    theirs = dict(zip(dims, natural.dims, strict=True))
    coords = []
    for name, coord in ours.coords.items():
        shown = theirs.get(name, name)
        coords.append(_coordinate(name, coord, natural.coords.get(shown) if shown in natural.coords else None, ours))
    kept = {theirs.get(name, name) for name in ours.coords}
    return {
        "v": 1,
        "name": [tagged(ours.name), _print(natural.name)],
        "dims": [[tagged(d), str(n), ours.sizes[d], token(natural[n].variable)] for d, n in theirs.items()],
        "order": [tagged(d) for d in ours.dims],
        "attrs": attrs_difference(ours.attrs, natural.attrs),
        "coords": coords,
        "without": [[str(n), token(natural[n].variable)] for n in natural.coords if n not in kept],
        "chunked": ours.chunks is not None,
        "graph": graph_name(natural),
        "tok": None if is_lazy(natural) else token(natural),
        "trust": {k: ours.encoding[k] for k in _TRUST if isinstance(ours.encoding.get(k), str)},
    }


def _coordinate(
    name: Hashable, coord: xr.DataArray, natural: xr.DataArray | None, ours: xr.DataArray
) -> dict[str, Any]:
    if natural is not None and natural.shape != coord.shape:
        natural = None
    out: dict[str, Any] = {"name": tagged(name), "dims": [tagged(d) for d in coord.dims]}
    out["attrs"] = attrs_difference(coord.attrs, {} if natural is None else natural.attrs)
    if name in ours.dims and name not in ours.xindexes:
        out["index"] = False
    values = np.asarray(coord.values)
    if natural is None:
        return {**out, "values": tagged(values)}
    there = np.asarray(natural.values)
    out |= {"shown": str(natural.name), "tok": token(natural.variable)}
    if _same_bits(values, there):
        return out
    if values.dtype.kind in "biuf" and there.dtype.kind in "biuf" and _same_bits(values, there.astype(values.dtype)):
        return {**out, "dtype": values.dtype.str}
    return {**out, "values": tagged(values)}


def _same_bits(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.dtype.str == b.dtype.str and a.shape == b.shape and a.dtype.kind != "O" and a.tobytes() == b.tobytes()


def attrs_difference(ours: Mapping[Any, Any], natural: Mapping[Any, Any]) -> dict[str, Any]:
    entries: list[Any] = []
    for key, value in ours.items():
        if key in natural and type(natural[key]) is type(value) and _print(natural[key]) == _print(value):
            entries.append([tagged(key)])
            continue
        try:
            entries.append([tagged(key), tagged(value), _print(natural[key]) if key in natural else None])
        except MetadataError as error:
            error.add_note(f"It is the attribute {key!r}. Drop it, or store it as metadata.")
            raise
    return {"own": entries, "theirs": {str(k): _print(v) for k, v in natural.items() if k not in ours}}


def _print(value: Any) -> str:
    """Return a short fingerprint of an attribute."""
    try:
        text = records.dumps(tagged(value))
    except MetadataError:
        text = repr(value)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def patched(natural: xr.DataArray, record: Mapping[str, Any]) -> xr.DataArray:
    """Undo `difference`, but for what was changed in between."""
    rows = [(untagged(d), shown, size, tok) for d, shown, size, tok in record["dims"]]
    there = {shown: dim for dim, shown, *_ in rows if shown in natural.dims}
    clash = {dim for dim in there.values() if dim in natural.dims and dim not in there}
    there = {shown: dim for shown, dim in there.items() if dim not in clash}
    # Dimensions that the other program cut, sorted or moved: what belongs to their points is gone.
    touched = {
        dim
        for dim, shown, size, tok in rows
        if shown in natural.dims and (natural.sizes[shown] != size or token(natural[shown].variable) != tok)
    }
    out = natural.rename({k: v for k, v in there.items() if k != v})
    out.attrs = attrs_patched(natural.attrs, record["attrs"])
    own, printed = record["name"]
    if _print(natural.name) == printed:
        out = out.rename(untagged(own))
    out = _with_coords(out, record, touched, there)
    order = [untagged(d) for d in record["order"]]
    if set(order) == set(out.dims):
        out = out.transpose(*order)
    if _untouched(natural, record):
        out.encoding.update(record["trust"])
    return out


def _with_coords(
    out: xr.DataArray, record: Mapping[str, Any], touched: set[Hashable], there: Mapping[str, Hashable]
) -> xr.DataArray:
    coords: dict[Hashable, xr.Variable] = {}
    bare: list[Hashable] = []
    placed = ((there.get(shown, shown), tok) for shown, tok in record["without"])
    gone = {name for name, tok in placed if name in out.coords and token(out[name].variable) == tok}
    for entry in record["coords"]:
        name, dims = untagged(entry["name"]), tuple(untagged(d) for d in entry["dims"])
        here = out.coords[name].variable if name in out.coords else None
        if here is not None and "shown" in entry:
            values = here.values
            if token(here) == entry["tok"]:
                values = untagged(entry["values"]) if "values" in entry else values
                values = values.astype(entry["dtype"]) if "dtype" in entry else values
            coords[name] = xr.Variable(here.dims, values, attrs_patched(here.attrs, entry["attrs"]))
        elif here is None and "values" in entry and set(dims) <= set(out.dims) - touched:
            coords[name] = xr.Variable(dims, untagged(entry["values"]), attrs_patched({}, entry["attrs"]))
        if entry.get("index") is False and name in coords:
            bare.append(name)
    coords |= {k: v.variable for k, v in out.coords.items() if k not in coords and k not in gone}
    built = xr.DataArray(out.variable, coords=coords, name=out.name)
    return built.drop_indexes(bare) if bare else built


def attrs_patched(natural: Mapping[Any, Any], record: Mapping[str, Any]) -> dict[Any, Any]:
    left, out = dict(natural), {}
    edited = False
    for key, *rest in ((untagged(entry[0]), *entry[1:]) for entry in record["own"]):
        there = key in left
        here = left.pop(key, None)
        if not rest:
            if there:
                out[key] = here
        elif (_print(here) if there else None) == rest[1]:
            out[key] = untagged(rest[0])
        elif there:
            out[key] = here
            edited |= key == names.UNITS
    out |= {k: v for k, v in left.items() if record["theirs"].get(str(k)) != _print(v)}
    if edited and names.UNITS_ORIGINAL not in natural:
        out.pop(names.UNITS_ORIGINAL, None)  # the spelling of units that are no longer there
    return out


def _untouched(natural: xr.DataArray, record: Mapping[str, Any]) -> bool:
    """Tell whether the values are those that were handed over."""
    if is_lazy(natural):
        return record["graph"] is not None and graph_name(natural) == record["graph"]
    return record["tok"] is not None and token(natural) == record["tok"]


def rooted(da: xr.DataArray, op: str, natural: xr.DataArray, record: Mapping[str, Any] | None) -> xr.DataArray:
    """Return an array with a history that starts here, unless it brought one, or is what it was without one."""
    if record is not None and _untouched(natural, record):
        return da
    lazy = is_lazy(da)
    tok = None if lazy else token(da)
    called = None if da.name is None else str(da.name)
    # Values in memory are their own address. Lazy ones are known by their graph at best.
    address = {"tok": tok or graph_name(da) or "unknown", "axes": axes_token(da), "name": called}
    return provenance.root(da, op, lazy=lazy, identity=address)
