"""Compares an array with what is known of a signal: shape, statistics, corners, checksum."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

REAL = Path(os.environ.get("SID_SHARED", Path(__file__).parents[4] / "shared")) / "realdata"
# No data of their own, or nothing that is read: documented in test_truth.py.
_NO_DATA = {".md", ".json", ".hdr", ".ibd"}
_OTHERS = {"4dstem/nickel_ebsd_small_3x3x60x60.h5"}


def real_files(*without: str) -> list[str]:
    """Return the names of all real files that are opened, but those in the folders that are named."""
    found = [path for path in REAL.rglob("*") if path.is_file() and path.suffix not in _NO_DATA]
    names = sorted(path.relative_to(REAL).as_posix() for path in found)
    return [name for name in names if name not in _OTHERS and not name.startswith(tuple(f"{w}/" for w in without))]


View = tuple[tuple[int, ...], tuple[int, ...]]


def views(values: np.ndarray) -> Iterator[tuple[View, np.ndarray]]:
    """Yield the array transposed and mirrored in every way, with what was done."""
    for order in itertools.permutations(range(values.ndim)):
        turned = values.transpose(order)
        for steps in itertools.product((1, -1), repeat=values.ndim):
            yield (order, steps), turned[tuple(slice(None, None, s) for s in steps)]


def checksum(values: np.ndarray) -> str:
    plain = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return hashlib.sha1(plain.tobytes()).hexdigest()


def fits(values: np.ndarray, known: Mapping[str, Any], *, factor: float = 1.0) -> bool:
    """Tell whether an array is the one that is known, in the order that is known."""
    if list(values.shape) != list(known["shape"]):
        return False
    if factor == 1.0 and checksum(values.astype(np.dtype(known["dtype"]))) == known.get("sha1_native_le"):
        return True
    flat = values.astype(float).ravel() * factor
    finite = flat[np.isfinite(flat)]
    if flat.size - finite.size != known["n_nan"] or not finite.size:
        return False
    found = [finite.min(), finite.max(), finite.mean(), finite.std(), *flat[:3], flat[-1]]
    wanted = [known["min"], known["max"], known["mean"], known["std"], *known["first3"], known["last"]]
    scale = max(abs(known["min"]), abs(known["max"]), 1e-300)
    return bool(np.allclose(found[: len(wanted)], wanted, rtol=2e-5, atol=1e-7 * scale, equal_nan=True))


def view_that_fits(values: np.ndarray, known: Mapping[str, Any], *, factor: float = 1.0) -> View | None:
    """Return how an array must be turned to be the one that is known, or None."""
    if sorted(values.shape) != sorted(known["shape"]):
        return None
    return next((how for how, turned in views(values) if fits(turned, known, factor=factor)), None)
