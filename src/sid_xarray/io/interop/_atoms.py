"""The bridge to ase.Atoms: structures as Datasets, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.structures import as_dataset, as_record, is_record, record, structures
from sid_xarray.errors import MetadataError, MissingDependencyError, nearest, warn
from sid_xarray.io.interop._common import imported

__all__ = ["build", "from_ase", "to_ase"]


def from_ase(atoms: Any, name: str | None = None) -> xr.Dataset:
    """Make a Dataset of an atomic structure.

    Parameters
    ----------
    atoms : ase.Atoms
        Or anything with the same attributes; ase itself is not needed. Calculators and constraints stay behind.
    name : str, optional
        The chemical formula by default.

    Returns
    -------
    Dataset
        ``position`` (atom, axis) and ``cell`` (vector, axis) in angstrom, ``number`` (atom), ``pbc`` (vector), and what
        else there is of every atom; ``symbol`` is a coordinate; ``info`` of the atoms is in the metadata.

    Raises
    ------
    MetadataError
        If they are no atoms.

    Warns
    -----
    SidWarning
        If ``info`` holds an object that metadata cannot hold: it becomes text.
    """
    if not hasattr(atoms, "get_chemical_symbols"):
        raise MetadataError(f"expected ase.Atoms, got {type(atoms).__name__}")
    return as_dataset(record(atoms), str(name or atoms.get_chemical_formula()))


def to_ase(obj: xr.Dataset | xr.DataArray, name: str | None = None) -> Any:
    """Make atoms of a structure.

    Parameters
    ----------
    obj : Dataset or DataArray
        A structure (of `from_ase`, or of ``da.sid.structures``); or an array that a structure belongs to.
    name : str, optional
        Which one, if there are several.

    Returns
    -------
    ase.Atoms

    Raises
    ------
    MissingDependencyError
        If ase is not installed.
    MetadataError
        If there is no structure, or several and none is named.

    Examples
    --------
    >>> import ase, sid_xarray as sid  # doctest: +SKIP
    >>> water = ase.Atoms("OH2", [[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]])  # doctest: +SKIP
    >>> sid.to_ase(sid.from_ase(water))  # doctest: +SKIP
    Atoms(symbols='OH2', pbc=False)
    """
    if isinstance(obj, xr.Dataset) and "position" in obj.variables and "number" in obj.variables:
        return _atoms(as_record(obj))
    found = structures(obj)
    if not found:
        raise MetadataError("no structure belongs to it. Add one: obj.sid.with_structures(name=atoms)")
    if name is None and len(found) > 1:
        raise MetadataError(f"there are {len(found)} structures. Name one of {', '.join(map(repr, found))}: name=...")
    key = next(iter(found)) if name is None else name
    if key not in found:
        raise MetadataError(f"no structure {key!r}.{nearest(key, found)}")
    return _atoms(as_record(found[key]))


def build(tree: object) -> Any:
    """Return the ase.Atoms that a record describes; None for anything else, or without ase."""
    if not is_record(tree) or not isinstance(tree, Mapping):
        return None
    try:
        return _atoms(tree)
    except (MissingDependencyError, KeyError, TypeError, ValueError) as error:
        warn(f"a structure stays in the metadata: {error}")
        return None


def _atoms(tree: Mapping[str, Any]) -> Any:
    atoms = imported("ase", "ase", "to_ase", extra="atoms").Atoms(
        symbols=list(tree["symbols"]),
        positions=np.asarray(tree["positions"], dtype=float).reshape(-1, 3),
        cell=np.asarray(tree["cell"], dtype=float),
        pbc=tree["pbc"],
        info=dict(tree.get("info", {})),
    )
    for key, value in dict(tree.get("arrays", {})).items():
        atoms.set_array(key, np.asarray(value))
    return atoms
