"""Atomic structures (ase.Atoms) as metadata, and back."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from sid_xarray.errors import warn

__all__ = ["build", "record"]

_MARK = "ase"


def record(atoms: Any) -> dict[str, Any]:
    """Return atoms as metadata: symbols in the order of the sites, positions, cell, periodicity, further arrays, info.

    Calculators and constraints stay behind.
    """
    arrays = {key: np.array(value) for key, value in dict(atoms.arrays).items() if key not in ("numbers", "positions")}
    out: dict[str, Any] = {
        "format": _MARK,
        "symbols": list(atoms.get_chemical_symbols()),
        "positions": np.array(atoms.arrays["positions"], dtype=float),
        "cell": np.array(atoms.cell, dtype=float),
        "pbc": [bool(p) for p in atoms.pbc],
    }
    if arrays:
        out["arrays"] = arrays
    if atoms.info:
        out["info"] = dict(atoms.info)
    return out


def build(tree: object) -> Any:
    """Return the ase.Atoms that `record` described; None for anything else, or without ase."""
    if not isinstance(tree, dict) or tree.get("format") != _MARK:
        return None
    try:
        atoms = importlib.import_module("ase").Atoms(
            symbols=list(tree["symbols"]),
            positions=np.asarray(tree["positions"], dtype=float).reshape(-1, 3),
            cell=np.asarray(tree["cell"], dtype=float),
            pbc=tree["pbc"],
            info=dict(tree.get("info", {})),
        )
        for key, value in dict(tree.get("arrays", {})).items():
            atoms.set_array(key, np.asarray(value))
    except (ImportError, KeyError, TypeError, ValueError) as error:
        warn(f"a structure stays in the metadata: {error}")
        return None
    return atoms
