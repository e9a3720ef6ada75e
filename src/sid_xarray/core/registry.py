"""One registry for what grows by one file and one row: models, readers, views."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from sid_xarray import models as _models
from sid_xarray.errors import RegistryError, SidWarning, nearest

__all__ = ["MODELS", "Registry"]


class Registry(Mapping[str, Any]):
    """Names to objects, imported when asked for.

    Parameters
    ----------
    what : str
        Singular, for messages: ``"model"``.
    table : mapping
        From name to ``"module:attribute"``.
    group : str
        Entry points of other packages that join, scanned at the first look-up.
    """

    def __init__(self, what: str, table: Mapping[str, str], group: str) -> None:
        self._what, self._group = what, group
        self._places: dict[str, str] = dict(table)
        self._loaded: dict[str, Any] = {}
        self._scanned = False

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=self._group):
            # Ours win: a stray package must not change what a name means.
            if self._places.setdefault(point.name, point.value) != point.value:
                warnings.warn(f"{point.value} cannot replace the {self._what} {point.name!r}", SidWarning, stacklevel=3)

    def __getitem__(self, name: str) -> Any:
        if name not in self._places:
            self._scan()
        if name not in self._places:
            raise RegistryError(f"no {self._what} {name!r}.{nearest(name, self._places)}")
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        self._scan()
        return iter(self._places)

    def __len__(self) -> int:
        self._scan()
        return len(self._places)

    def register(self, name: str, value: Any) -> None:
        """Add an object under a new name, for this session."""
        if name in self:
            raise RegistryError(f"there is a {self._what} {name!r} already. Take another name.")
        self._places[name] = f"{type(value).__module__}:{name}"
        self._loaded[name] = value


MODELS = Registry("model", _models.TABLE, "sid_xarray.models")
