"""Groups ``Structure_NNN`` beside an array: atoms as pyNSID writes them, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import h5py
import numpy as np

from sid_xarray.core.structures import ENTRY, FORMAT, is_record
from sid_xarray.io._names import safe_name
from sid_xarray.io.nsid.attributes import write_tree
from sid_xarray.schema.elements import NUMBERS

__all__ = ["from_group", "is_structure", "write_structures"]

_PREFIX = "Structure_"
# What pyNSID puts on the group, and takes for no structure when it reads.
_STAMPS = ("machine_id", "platform", "sidpy_version", "timestamp")
_LARGEST = 60_000  # bytes of an attribute, less some for its head
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*)+")
_PART = re.compile(r"([A-Z][a-z]?)(\d*)")
_UNSURE = (
    "The elements of this structure are stored sorted, as pyNSID does, and its sites as they were: "
    "which site is which element is unsure."
)


def is_structure(name: str) -> bool:
    """Tell whether a group beside an array holds a structure, going by its name."""
    return name.startswith(_PREFIX)


def from_group(tree: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Return the structures of a group as records, by name; None if they are something else.

    Parameters
    ----------
    tree : mapping
        What the group holds, as nested metadata.
    """
    found = {key: _record(value) for key, value in tree.items() if key not in _STAMPS}
    return {k: v for k, v in found.items() if v} if found and all(found.values()) else None


def _record(tree: Any) -> dict[str, Any] | None:
    if not isinstance(tree, Mapping) or not {"unit_cell", "elements", "base"} <= tree.keys():
        return None
    try:
        cell = np.asarray(tree["unit_cell"], dtype=float).reshape(3, 3)
        base = np.asarray(tree["base"], dtype=float).reshape(-1, 3)
    except (TypeError, ValueError):
        return None
    symbols = _symbols(tree["elements"])
    whole = _complete(cell)
    if symbols is None or whole is None or len(symbols) != len(base):
        return None
    out: dict[str, Any] = {"format": FORMAT, "symbols": symbols, "positions": base @ whole, "cell": cell}
    pbc = np.ravel(tree.get("pbc", False))
    out["pbc"] = [bool(p) for p in pbc] if pbc.shape == (3,) else [False] * 3
    info = tree.get("info")
    if isinstance(info, Mapping) and info:
        out["info"] = dict(info)
    if "pbc" not in tree and isinstance(tree["elements"], str) and _is_sorted(tree["elements"], symbols):
        out["comment"] = _UNSURE
    return out


def _symbols(elements: Any) -> list[str] | None:
    """Return the symbols that a formula names, in its order, or that are listed."""
    if isinstance(elements, str):
        if not _FORMULA.fullmatch(elements.strip()):
            return None
        counted = [(s, int(n or 1)) for s, n in _PART.findall(elements.strip())]
        if sum(n for _, n in counted) > 10**8:
            return None
        found = [s for s, n in counted for _ in range(n)]
    else:
        found = [str(s) for s in np.ravel(np.asarray(elements, dtype=object)).tolist()]
    return found if all(s in NUMBERS for s in found) else None


def _is_sorted(formula: str, symbols: Sequence[str]) -> bool:
    """Tell whether a formula of several elements is in the order of Hill: C, H, then the alphabet."""
    there = [s for s, _ in _PART.findall(formula)]
    first = [s for s in ("C", "H") if s in there] if "C" in there else []
    return len(there) > 1 and there == [*first, *sorted(set(symbols) - set(first))]


def _complete(cell: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Return the cell that scaled positions refer to: ase puts unit vectors where vectors are missing.

    None where there is only one vector, since the directions of the other two are not settled.
    """
    missing = np.flatnonzero(~cell.any(axis=1))
    if len(missing) == 0:
        return cell
    if len(missing) == 3:
        return np.eye(3)
    if len(missing) == 2:
        return None
    out = cell.copy()
    i = int(missing[0])
    normal = np.cross(cell[i - 2], cell[i - 1])
    length = float(np.linalg.norm(normal))
    if length == 0:
        return None
    out[i] = normal / length
    return out


def write_structures(group: h5py.Group, tree: Mapping[str, Any], stamp: Mapping[str, str]) -> dict[str, Any]:
    """Write structures beside an array so that the older readers find them, and return the metadata without these.

    What they cannot hold (positions of more than 2500 atoms, a cell with vectors missing) stays in the metadata.
    """
    level = tree.get(ENTRY)
    if not isinstance(level, Mapping):
        return dict(tree)
    left = dict(level)
    for name, one in level.items():
        natural = _natural(one) if is_record(one) else None
        if natural is None:
            continue
        outer = group.create_group(f"{_PREFIX}{len(level) - len(left):03d}")
        outer.attrs.update({k: v for k, v in stamp.items() if k in _STAMPS})
        called = safe_name(name, "structure")
        inner = outer.create_group(called if called not in _STAMPS else f"{called}_")
        inner.attrs.update(natural)
        info = one.get("info")
        write_tree(inner.create_group("info"), info if isinstance(info, Mapping) and info else {"title": str(name)})
        del left[name]
    rest = {k: v for k, v in tree.items() if k != ENTRY}
    return {**rest, ENTRY: left} if left else rest


def _natural(one: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        positions = np.asarray(one["positions"], dtype=float).reshape(-1, 3)
        cell = np.asarray(one["cell"], dtype=float).reshape(3, 3)
        symbols = [str(s) for s in one["symbols"]]
        # ase, and so the older readers, take no positions that are relative to a cell with vectors missing.
        if not cell.any(axis=1).all() or len(symbols) != len(positions) or positions.nbytes > _LARGEST or not symbols:
            return None
        base = np.linalg.solve(cell.T, positions.T).T
        pbc = np.asarray(one["pbc"], dtype=bool).reshape(3)
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError):
        return None
    # In the order of the sites: the formula that ase writes by itself is sorted, and its reader believes it.
    formula = "".join(f"{s}{n}" if n > 1 else s for s, n in ((s, len(list(run))) for s, run in groupby(symbols)))
    return {"unit_cell": cell, "elements": formula, "base": base, "pbc": pbc}
