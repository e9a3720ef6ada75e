"""Find what a file holds: groups that this library wrote, and mains of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5, _places
from sid_xarray.io.nsid.layout import MODEL

__all__ = ["KIND", "Main", "Place", "agree"]

Members = Mapping[str, h5py.Group | h5py.Dataset]
_METADATA = ("metadata", "original_metadata", "provenance", "_metadata")
_MARKS = ("quantity", "units", "data_type", "main_data_name")


@dataclass
class Main:
    """A main dataset: where it is, and what its axes are."""

    name: str
    dataset: h5py.Dataset
    labels: list[str] = field(default_factory=list)
    scales: list[h5py.Dataset | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


Place = _places.Place[Main]


def _says_main(dataset: h5py.Dataset) -> bool:
    try:
        has = _h5.teller(dataset)
        return (has("pyNSID_version") or has("nsid_version")) and all(map(has, _MARKS))
    except Exception:  # noqa: BLE001 - the attributes of a damaged dataset say nothing
        return False


def _main_of(place: Place, name: str, dataset: h5py.Dataset) -> tuple[Main | None, str]:
    """Return a main with its axes, or None and why it cannot be read."""
    try:
        why = _unreadable(dataset)
        return (None, why) if why else (_main(name, dataset, place.inside), "")
    except Exception as error:  # noqa: BLE001 - one damaged dataset must not hide its neighbours; it is reported
        return None, _h5.first_line(error)


def _unreadable(dataset: h5py.Dataset) -> str:
    if dataset.shape is None:
        return "has no values"
    if not _h5.is_stored_here(dataset):
        return "keeps its values in other files; they are not followed"
    return unreadable_dtype(dataset.dtype)


def unreadable_dtype(dtype: np.dtype[Any]) -> str:
    """Say why values of a dtype cannot be shown in an array; empty if they can."""
    if h5py.check_ref_dtype(dtype) is not None:
        return "holds references, not values"
    if dtype.subdtype is not None:
        return f"holds arrays of shape {dtype.subdtype[1]} as values"
    if dtype.kind == "O" and h5py.check_string_dtype(dtype) is None:
        return "holds lists of varying length as values"
    if dtype.kind == "V" and dtype.names is None:
        return "holds opaque bytes as values"
    if dtype.names is not None and all(unreadable_dtype(dtype[n]) or dtype[n].names for n in dtype.names):
        return "has no field with plain values"
    return ""


def _main(name: str, dataset: h5py.Dataset, inside: Members) -> Main:
    main = Main(name, dataset)
    said = _h5.raw_attribute(dataset, "DIMENSION_LABELS")
    labels = _h5.texts(said).ravel().tolist() if isinstance(said, np.ndarray) else []
    for i in range(dataset.ndim):
        label = labels[i] if i < len(labels) else ""
        scale = _scale(dataset, i, label, inside)
        why = "" if scale is None else _unfit(scale, dataset.shape[i])
        if why:
            main.problems.append(f"the scale of axis {i} {why}: left out")
            scale = None
        if not label and scale is not None:
            called = _h5.attribute(scale, "name")
            label = called if isinstance(called, str) and called else str(scale.name or "").rpartition("/")[2]
        base = label.replace("/", "_") or f"dim_{i}"
        unique, n = base, 1
        while unique in main.labels:
            unique, n = f"{base}_{n}", n + 1
        main.labels.append(unique)
        main.scales.append(scale)
    return main


def _unfit(scale: h5py.Dataset, size: int) -> str:
    if scale.shape != (size,):
        return f"has shape {scale.shape} for {size} points"
    if not _h5.is_stored_here(scale):
        return "keeps its values in other files"
    if scale.dtype.names is not None or unreadable_dtype(scale.dtype):
        return "holds no plain values"
    return ""


def _scale(dataset: h5py.Dataset, i: int, label: str, inside: Members) -> h5py.Dataset | None:
    beside = inside.get(label) if label else None
    beside = beside if isinstance(beside, h5py.Dataset) and beside.shape is not None else None
    if beside is not None and _h5.address(beside) == _h5.address(dataset):
        beside = None
    attached: list[h5py.Dataset] = []
    known = _h5.references(dataset, "DIMENSION_LIST")
    if known is not None and beside is not None and i < len(known) and _h5.address(beside) in known[i]:
        return beside
    try:
        if beside is not None and h5py.h5ds.is_attached(dataset.id, beside.id, i):
            return beside
        dims = dataset.dims[i]
        attached = [dims[k] for k in range(len(dims))]
    except Exception:  # noqa: BLE001 - references of old writers dangle; the name still tells
        return beside
    attached = [s for s in attached if isinstance(s, h5py.Dataset) and s.shape is not None]
    for scale in attached:
        if str(scale.name or "").rpartition("/")[2] == label:
            return scale
    return attached[-1] if attached else beside


def agree(mains: list[Main]) -> bool:
    """Tell whether mains of one group share their axes, so that they make one Dataset."""
    sizes: dict[str, tuple[int, h5py.Dataset | None]] = {}
    labels = {label for m in mains for label in m.labels}
    for main in mains:
        if main.name in labels:
            return False
        for label, size, scale in zip(main.labels, main.dataset.shape, main.scales, strict=True):
            if sizes.setdefault(label, (size, scale)) != (size, scale):
                return False
    return True


def _only(places: list[Place], above: str, main: str) -> list[Place]:
    name = main.rpartition("/")[2]
    here = [p for p in places if p.path == above and (p.ours or any(m.name == name for m in p.mains))]
    for place in here:
        if not place.ours:
            place.mains = [m for m in place.mains if m.name == name]
    return here


KIND: _places.Kind[Main] = _places.Kind(MODEL, _says_main, _main_of, _only, _METADATA)
"""What is an array in NSID."""
