"""Atomic structures that belong to an array: records in its metadata, Datasets to work with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.errors import MetadataError, warn
from sid_xarray.schema import attrs as names
from sid_xarray.schema.elements import NUMBERS, SYMBOLS

__all__ = ["ENTRY", "as_dataset", "as_record", "is_record", "record", "structures", "with_structures"]

T = TypeVar("T", xr.DataArray, xr.Dataset)

ENTRY = "structures"
"""The entry of the metadata that holds the structures, by name."""

FORMAT = "ase"
_OWN = frozenset(("position", "number", "cell", "pbc"))


def record(atoms: Any) -> dict[str, Any]:
    """Return atoms as metadata: symbols in the order of the sites, positions, cell, periodicity, further arrays, info.

    Parameters
    ----------
    atoms : ase.Atoms
        Or anything with the same attributes; ase itself is not needed. Calculators and constraints stay behind.

    Warns
    -----
    SidWarning
        If ``info`` holds an object that metadata cannot hold: it becomes text.
    """
    arrays = {key: np.array(value) for key, value in dict(atoms.arrays).items() if key not in ("numbers", "positions")}
    out: dict[str, Any] = {
        "format": FORMAT,
        "symbols": list(atoms.get_chemical_symbols()),
        "positions": np.array(atoms.arrays["positions"], dtype=float),
        "cell": np.array(atoms.cell, dtype=float),
        "pbc": [bool(p) for p in atoms.pbc],
    }
    if arrays:
        out["arrays"] = arrays
    if atoms.info:
        out["info"] = _storable(atoms.info)
    return out


def _storable(info: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what metadata can hold; objects, such as the space group of a crystal, become text."""
    out: dict[str, Any] = {}
    for key, value in info.items():
        try:
            _metadata.to_plain(value)
            out[str(key)] = value
        except MetadataError:
            out[str(key)] = " ".join(str(value).split())
            warn(f"info[{key!r}] of the atoms is a {type(value).__name__}; it is kept as text")
    return out


def is_record(tree: object) -> bool:
    """Tell whether an entry of the metadata describes a structure."""
    return isinstance(tree, Mapping) and tree.get("format") == FORMAT and "symbols" in tree and "positions" in tree


def as_dataset(tree: Mapping[str, Any], name: str) -> xr.Dataset:
    """Return a structure as a Dataset.

    Parameters
    ----------
    tree : mapping
        From `record`.
    name : str

    Returns
    -------
    Dataset
        ``position`` (atom, axis) and ``cell`` (vector, axis) in angstrom, ``number`` (atom), ``pbc`` (vector), and
        whatever else there is of every atom; ``symbol`` is a coordinate.

    Raises
    ------
    MetadataError
        If the record is damaged.
    """
    try:
        symbols = [str(s) for s in tree["symbols"]]
        position = np.asarray(tree["positions"], dtype=float).reshape(len(symbols), 3)
        length = {names.UNITS: "angstrom"}
        data: dict[str, Any] = {
            "position": (("atom", "axis"), position, {names.LONG_NAME: "position", **length}),
            "number": ("atom", np.array([NUMBERS[s] for s in symbols], dtype=int), _said("atomic number")),
            "cell": (
                ("vector", "axis"),
                np.asarray(tree["cell"], dtype=float).reshape(3, 3),
                {**_said("cell"), **length},
            ),
            "pbc": ("vector", np.asarray(tree["pbc"], dtype=bool).reshape(3), _said("periodic")),
        }
        for key, values in dict(tree.get("arrays", {})).items():
            array = np.asarray(values)
            if array.shape[:1] != (len(symbols),):
                raise ValueError(f"{key!r} has the shape {array.shape} for {len(symbols)} atoms")
            data[key] = (("atom", *(f"{key}_{i}" for i in range(1, array.ndim))), array)
        coords = {"symbol": ("atom", np.array(symbols, dtype=str)), "axis": ("axis", ["x", "y", "z"])}
        ds = xr.Dataset(data, coords=coords)
    except (KeyError, TypeError, ValueError) as error:
        raise MetadataError(f"the structure {name!r} is damaged: {error}") from error
    attrs: dict[str, Any] = {names.TITLE: name, names.CONTENT: "structure", names.VERSION: names.VERSION_VALUE}
    if tree.get("info"):
        attrs[names.METADATA] = _metadata.pack(tree["info"])
    if isinstance(tree.get("comment"), str):
        attrs["comment"] = tree["comment"]
    return ds.assign_attrs(attrs)


def _said(quantity: str) -> dict[str, str]:
    return {names.LONG_NAME: quantity, names.UNITS: "1"}


def as_record(ds: xr.Dataset) -> dict[str, Any]:
    """Undo `as_dataset`.

    Raises
    ------
    MetadataError
        If it is no structure.
    """
    missing = [k for k in ("position", "number") if k not in ds.variables]
    if missing:
        there = ", ".join(map(repr, ds.variables)) or "none"
        raise MetadataError(
            f"a structure has variables 'position' (atom, axis) and 'number' (atom), found {there}. "
            "Make one: sid.from_ase(atoms)"
        )
    atom = ds["number"].dims[0]
    axis = next((d for d in ds["position"].dims if d != atom), "axis")
    position = ds["position"].transpose(atom, axis)
    cell = ds["cell"].transpose(..., axis).values if "cell" in ds.variables else np.zeros((3, 3))
    pbc = ds["pbc"].values if "pbc" in ds.variables else np.zeros(3, dtype=bool)
    out: dict[str, Any] = {
        "format": FORMAT,
        "symbols": [SYMBOLS[int(n)] for n in ds["number"].values],
        "positions": np.asarray(position.values, dtype=float),
        "cell": np.asarray(cell, dtype=float),
        "pbc": [bool(p) for p in pbc],
    }
    arrays = {str(k): v.values for k, v in ds.data_vars.items() if k not in _OWN and v.dims[:1] == (atom,)}
    if arrays:
        out["arrays"] = arrays
    info = _metadata.unpack(ds.attrs.get(names.METADATA))
    if info:
        out["info"] = info
    if isinstance(ds.attrs.get("comment"), str):
        out["comment"] = ds.attrs["comment"]
    return out


def structures(obj: xr.DataArray | xr.Dataset) -> dict[str, xr.Dataset]:
    """Atomic structures that belong to an array, by name.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    dict
        Datasets of ``position`` and ``cell`` in angstrom, ``number``, ``pbc``, and what else there is of every atom;
        ``sid.to_ase`` makes atoms of one. They are views on the metadata: `with_structures` changes them.

    Raises
    ------
    MetadataError
        If the metadata are damaged.
    """
    found = _entries(_metadata.unpack(obj.attrs.get(names.METADATA)))
    if isinstance(obj, xr.Dataset):
        for da in obj.data_vars.values():
            found = {**_entries(_metadata.unpack(da.attrs.get(names.METADATA))), **found}
    return {key: as_dataset(tree, key) for key, tree in found.items()}


def _entries(tree: Mapping[str, Any]) -> dict[str, Any]:
    level = tree.get(ENTRY)
    return {str(k): v for k, v in level.items() if is_record(v)} if isinstance(level, Mapping) else {}


def with_structures(obj: T, update: Mapping[str, Any] | None = None, /, **structures: Any) -> T:
    """Return a new array with more atomic structures; the input keeps its own.

    Parameters
    ----------
    obj : DataArray or Dataset
    update : mapping, optional
        From name to ase.Atoms or a Dataset of `sid.from_ase`; None takes the structure of that name away.
    **structures
        The same, as keywords.

    Returns
    -------
    DataArray or Dataset
        Shares the values. The structures are written with it, so that pyNSID and sidpy find them in an NSID file.

    Raises
    ------
    MetadataError
        If it is no structure, or something in it cannot be stored.

    Examples
    --------
    >>> import numpy as np, xarray as xr, sid_xarray as sid
    >>> co = xr.Dataset({"position": (("atom", "axis"), [[0, 0, 0], [0, 0, 1.13]]), "number": ("atom", [6, 8])})
    >>> image = sid.dataarray(np.zeros((4, 4)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")})
    >>> image.sid.with_structures(CO=co).sid.structures["CO"].symbol.values
    array(['C', 'O'], dtype='<U1')
    """
    tree = _metadata.unpack(obj.attrs.get(names.METADATA))
    level = tree.get(ENTRY)
    kept = dict(level) if isinstance(level, Mapping) else {}
    for name, atoms in {**(update or {}), **structures}.items():
        if atoms is None:
            kept.pop(name, None)
        elif isinstance(atoms, xr.Dataset):
            kept[name] = as_record(atoms)
        elif hasattr(atoms, "get_chemical_symbols"):
            kept[name] = record(atoms)
        else:
            raise MetadataError(f"the structure {name!r} is a {type(atoms).__name__}, expected ase.Atoms or a Dataset")
    tree = {k: v for k, v in tree.items() if k != ENTRY}
    if kept:
        tree[ENTRY] = kept
    out = obj.copy(deep=False)
    out.attrs = {k: v for k, v in obj.attrs.items() if k != names.METADATA or tree}
    if tree:
        out.attrs[names.METADATA] = _metadata.pack(tree)
    return out
