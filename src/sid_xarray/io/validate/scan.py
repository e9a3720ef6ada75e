"""See a file as the older readers do: every dataset, the links of every group, what is meant to be an array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io._filters import whole
from sid_xarray.io._links import broken
from sid_xarray.io.nsid.layout import MAIN_REQUIRED, MODEL_GROUP

__all__ = ["ANCILLARY", "Axis", "NSIDMain", "Node", "Scan", "USIDMain", "scan"]

ANCILLARY = ("Position_Indices", "Position_Values", "Spectroscopic_Indices", "Spectroscopic_Values")
_MEANT = 4  # so many of the required attributes, and a dataset was meant to be a main
_LARGEST = 5 * 10**7


@dataclass
class Node:
    """A group: what is in it, and links that lead out of the file or nowhere."""

    path: str
    group: h5py.Group
    inside: dict[str, h5py.Group | h5py.Dataset]
    broken: dict[str, str] = field(default_factory=dict)

    def join(self, name: str) -> str:
        """Return the path of a member."""
        return f"{self.path.rstrip('/')}/{name}"


@dataclass
class Axis:
    """One axis of an NSID main: its label, the scales attached to it, and what the label names in the group."""

    position: int
    size: int
    label: str
    scales: list[h5py.Dataset]
    beside: h5py.Group | h5py.Dataset | None

    @property
    def last(self) -> h5py.Dataset | None:
        """The scale that the older readers look at."""
        found = self.scales[-1] if self.scales else None
        return found if isinstance(found, h5py.Dataset) and found.shape is not None else None


@dataclass
class NSIDMain:
    """A dataset that is meant to be an NSID main."""

    path: str
    name: str
    dataset: h5py.Dataset
    node: Node
    scene: Scan
    axes: list[Axis] = field(default_factory=list)

    def raw(self, name: str) -> Any:
        """Return an attribute as h5py gives it; None if it is missing or unreadable."""
        return _h5.raw_attribute(self.dataset, name)


@dataclass
class USIDMain:
    """A dataset that is meant to be a USID main, and its ancillary datasets."""

    path: str
    name: str
    dataset: h5py.Dataset
    ancillary: dict[str, h5py.Group | h5py.Dataset | None]
    cache: dict[str, Any] = field(default_factory=dict)

    def table(self, name: str) -> np.ndarray[Any, Any] | None:
        """Return an ancillary matrix with one row a dimension; None if it cannot be read, or is too large."""
        if name not in self.cache:
            found = self.ancillary.get(name)
            values = _values(found) if isinstance(found, h5py.Dataset) else None
            if values is not None and values.ndim == 2 and name.startswith("Position"):
                values = values.T
            self.cache[name] = values if values is not None and values.ndim == 2 else None
        found = self.cache[name]
        return found if isinstance(found, np.ndarray) else None

    def words(self, name: str, attribute: str) -> list[str]:
        """Return labels or units of an ancillary dataset as a list, whatever way they are stored."""
        found = self.ancillary.get(name)
        value = _h5.attribute(found, attribute) if found is not None else None
        if isinstance(value, str):
            return [value]
        return [str(v) for v in value] if isinstance(value, list) else []


@dataclass
class Scan:
    """A whole file."""

    path: str
    nodes: dict[str, Node] = field(default_factory=dict)
    datasets: dict[str, h5py.Dataset] = field(default_factory=dict)
    nsid: list[NSIDMain] = field(default_factory=list)
    usid: list[USIDMain] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def below(self, path: str) -> Iterator[str]:
        """Yield the paths of the datasets in a group, at any depth."""
        start = path.rstrip("/") + "/"
        return (place for place in self.datasets if place.startswith(start))


def scan(file: h5py.File, path: str, *, problems: list[str]) -> Scan:
    """Look at every object of a file; no values are read. ``problems`` is what our own readers complained of."""
    scene = Scan(path, problems=problems)
    for place, group, inside in _h5.walk(file):
        node = scene.nodes[place] = Node(place, group, inside, broken(group))
        for name, obj in inside.items():
            if not isinstance(obj, h5py.Dataset):
                continue
            here = node.join(name)
            scene.datasets[here] = obj
            own = set(_names(obj))
            if f"/{MODEL_GROUP}/" in here:
                continue
            if own & set(ANCILLARY):
                scene.usid.append(USIDMain(here, name, obj, {a: _target(file, obj, a) for a in ANCILLARY}))
            elif len(own & set(MAIN_REQUIRED)) >= _MEANT and not _h5.is_scale(obj):
                main = NSIDMain(here, name, obj, node, scene)
                main.axes = list(_axes(main)) if obj.shape is not None else []
                scene.nsid.append(main)
    return scene


def _names(obj: h5py.Dataset) -> list[str]:
    try:
        return list(obj.attrs)
    except Exception:  # noqa: BLE001 - a damaged header; rule H01 tells of it
        return []


def _axes(main: NSIDMain) -> Iterator[Axis]:
    dataset = main.dataset
    labels = _h5.raw_attribute(dataset, "DIMENSION_LABELS")
    words = _h5.texts(labels).ravel().tolist() if isinstance(labels, np.ndarray) else []
    for i, size in enumerate(dataset.shape):
        label = words[i] if i < len(words) else ""
        try:
            attached = [dataset.dims[i][k] for k in range(len(dataset.dims[i]))]
        except Exception:  # noqa: BLE001 - references that lead nowhere
            attached = []
        beside = _h5.find(main.node.group, label) if label else None  # a path finds its way, as it does there
        yield Axis(i, size, label, attached, beside)


def _target(file: h5py.File, dataset: h5py.Dataset, name: str) -> h5py.Group | h5py.Dataset | None:
    value = _h5.raw_attribute(dataset, name)
    try:
        if isinstance(value, h5py.Reference):
            found = file[value] if value else None
        else:
            text = _h5.text(value)
            found = _h5.find(file, text) if text else None
    except Exception:  # noqa: BLE001 - a reference to something that was deleted
        return None
    return found if isinstance(found, h5py.Dataset | h5py.Group) else None


def _values(dataset: h5py.Dataset) -> np.ndarray[Any, Any] | None:
    """Return a small numeric dataset; None if it is large, hollow, elsewhere, or damaged."""
    try:
        if dataset.shape is None or dataset.size > _LARGEST or not _h5.is_stored_here(dataset):
            return None
        if dataset.dtype.kind not in "biuf" or dataset.id.get_storage_size() * 5000 < dataset.size:
            return None
        return np.asarray(whole(dataset))
    except Exception:  # noqa: BLE001 - see `_names`
        return None
