"""What a reader saw, beside what is known to be there."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from readers import plain
from truth import Axis, Known, said

__all__ = ["DEFECTS", "judge_file", "seen_in"]

RIGHT = "right"
VALUES, ORDER, FORM, AXES, UNITS, DTYPE, METADATA, TITLE = (
    "values wrong",
    "wrong order",
    "no N-D form",
    "axes lost",
    "units lost",
    "dtype changed",
    "metadata lost",
    "title lost",
)
DEFECTS = (VALUES, ORDER, FORM, AXES, UNITS, DTYPE, METADATA, TITLE)
NOTHING = "nothing found"


def seen_in(folder: Path, number: int) -> dict[str, Any] | list[dict[str, Any]]:
    """Return what a reader wrote down about a file: signals with arrays, or an error."""
    found = json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
    if isinstance(found, list):
        for i, one in enumerate(found):
            one["array"] = np.load(folder / f"{number}_{i}.npy")
    return found


def judge_file(wanted: list[Known], found: dict[str, Any] | list[dict[str, Any]], *, whole: bool = False) -> list[str]:
    """Return what is wrong with a reading of a file, the worst first.

    Parameters
    ----------
    wanted : list of Known
    found : list of dict, or dict
        An error is a dict.
    whole : bool
        Whether signals that nobody knows of are wrong, too.
    """
    if isinstance(found, dict):
        error = found["error"]
        return [f"raises {error}" if not error.startswith(("SIG", "hangs")) else error.replace("SIG", "crashes: SIG")]
    if not found:
        return [NOTHING]
    left = list(found)
    missing = 0
    defects: set[str] = set()
    for want in wanted:
        candidates = [f for f in left if f["path"] in (None, want.path) and f["field"] in (None, want.field)]
        judged = [(judge(want, f), f) for f in candidates]
        # A reader that does not say where a signal lies is believed to have meant the one that fits best.
        best = min(judged, key=lambda j: _badness(j[0]), default=None)
        if best is None or (best[1]["path"] is None and len(candidates) > 1 and VALUES in best[0]):
            missing += 1
            continue
        left = [f for f in left if f is not best[1]]
        defects |= set(best[0])
    out = [d for d in DEFECTS if d in defects]
    if missing == len(wanted):
        return [NOTHING]
    if missing:
        out.insert(0, f"{len(wanted) - missing} of {len(wanted)} found")
    if whole and left:
        out.insert(0, f"{len(left)} signals too many")
    return out


def _badness(defects: list[str]) -> int:
    return sum(1 << (len(DEFECTS) - DEFECTS.index(d)) for d in defects)


def judge(want: Known, found: dict[str, Any]) -> list[str]:
    """Return what is wrong with one signal."""
    defects: set[str] = set()
    array = found["array"]
    dims = list(found["dims"])
    axes = [a for a in want.axes if not (a.placeholder and a.name not in dims)]
    shape = tuple(a.size for a in want.axes)
    if sorted(dims) == sorted(a.name for a in axes):
        array = array.transpose([dims.index(a.name) for a in axes])
        if not all(_axis_is_right(a, found["axes"]) for a in (*axes, *want.along)):
            defects.add(AXES)
        if not all(_units_are_right(a, found["axes"]) for a in (*axes, *want.along)):
            defects.add(UNITS)
    elif array.ndim == 2 and len([a for a in axes if a.size > 1]) > 2 and array.size == math.prod(shape):
        defects.add(FORM)
        array = array if _same(want, array) else want.raw  # rows and columns as they are in the file
    else:
        defects.add(AXES)
    if FORM not in defects:
        sizes = [s for s in shape if s != 1]
        if array.size != math.prod(shape):
            return [VALUES]
        if [s for s in array.shape if s != 1] == sizes:
            array = array.reshape(shape)
        if not _same(want, array):
            defects.add(ORDER if _same_values(want.raw, array) else VALUES)
    if np.dtype(found["array"].dtype).newbyteorder("=") != np.dtype(want.dtype).newbyteorder("="):
        defects.add(DTYPE)
    if said(want.units) != said(found["units"]) and (said(want.units), found["units"]) != (None, "1"):
        defects.add(UNITS)
    if not _metadata_are_right(want, found):
        defects.add(METADATA)
    if said(want.title) is not None and want.title != found["title"]:
        defects.add(TITLE)
    return [d for d in DEFECTS if d in defects]


def _same(want: Known, array: Any) -> bool:
    """Tell whether the values are those of the truth, in this order; as exact as both dtypes can be."""
    for cast, wanted in want.sums.items():
        dtype = np.dtype(want.dtype if cast == "native" else cast)
        if array.dtype.kind == "c" and dtype.kind != "c":
            continue
        with np.errstate(invalid="ignore"):  # such as the largest integer, which became a float
            values = np.ascontiguousarray(array.astype(dtype.newbyteorder("<")))
        if _sum(want, values) == wanted:
            return True
        if dtype.kind == "f":  # any NaN is a NaN: bits get lost where one is converted
            values[np.isnan(values)] = np.nan
            if _sum(want, values) == wanted:
                return True
    return False


def _sum(want: Known, values: Any) -> str:
    return hashlib.new(want.algorithm, values.tobytes()).hexdigest()


def _same_values(a: Any, b: Any) -> bool:
    if a.size != b.size or "c" in (a.dtype.kind, b.dtype.kind):
        pair = [np.sort_complex(x.astype("c8").ravel()) for x in (a, b)]
    else:
        pair = [np.sort(x.astype("f8").ravel()) for x in (a, b)]
    return np.array_equal(*pair, equal_nan=True)


def _find(want: Axis, axes: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((a for a in axes if a["name"] == want.name), None)


def _axis_is_right(want: Axis, axes: list[dict[str, Any]]) -> bool:
    if want.virtual or (want.values is None and want.ends is None):
        return True
    got = _find(want, axes)
    if got is None:
        return False
    values = np.array(got["values"])
    if values.dtype.kind != "f" or (not values.size and want.size):
        return False
    if want.values is None:
        return _close([values.ravel()[0], values.ravel()[-1]], want.ends)
    wanted = np.array(want.values, dtype=float)
    if wanted.ndim > 1:
        if sorted(got["over"]) != sorted(want.over):
            return False
        wanted = wanted.transpose([want.over.index(d) for d in got["over"]])
    return _close(values.ravel(), wanted.ravel())


def _close(a: Any, b: Any) -> bool:
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        return False
    # One reader knows offset and step only, and has the step from float32.
    span = np.nanmax(b) - np.nanmin(b) if b.size and np.isfinite(b).any() else 0.0
    return np.allclose(a, b, rtol=1e-9, atol=1e-5 * abs(span), equal_nan=True)


def _units_are_right(want: Axis, axes: list[dict[str, Any]]) -> bool:
    got = _find(want, axes)
    # Units of what has no units do not matter, nor those of a position that is a number.
    if said(want.units) is None or want.virtual:
        return True
    return got is not None and got["units"] is not None and got["units"] == want.units


def _metadata_are_right(want: Known, found: dict[str, Any]) -> bool:
    if said(want.quantity) != said(found["quantity"]):
        return False
    for axis in want.axes:
        got = _find(axis, found["axes"])
        if got is None:
            continue
        if said(axis.quantity) is not None and got["quantity"] != axis.quantity:
            return False
        if axis.type is not None and str(got["type"]).upper() != axis.type:
            return False
    wanted = list(itertools.chain(_leaves(want.metadata or {}), _leaves(want.original_metadata or {})))
    there = {
        (key, json.dumps(value))
        for tree in (found["metadata"], found["original_metadata"])
        for key, value in _leaves(tree or {})
    }
    return all((key, json.dumps(value)) in there for key, value in wanted)


def _leaves(tree: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, dict):
        return [leaf for k, v in tree.items() for leaf in _leaves(v, str(k))]
    return [(key, plain(tree))]
