"""One registry for what grows by one file and one row: models, readers, views, verbs, functions of users."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from sid_xarray import models as _models
from sid_xarray.errors import RegistryError, SidWarning, nearest

__all__ = ["FUNCTIONS", "MODELS", "OPEN", "VERBS", "Registry", "load"]


def load(place: str) -> Any:
    """Return what lies at ``"module:attribute"``.

    Raises
    ------
    ImportError
        If there is no such module.
    AttributeError
        If there is nothing of that name in it.
    """
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, Any]):
    """Names to objects, imported when asked for.

    Parameters
    ----------
    what : str
        Singular, for messages: ``"model"``.
    table : mapping or str
        From name to ``"module:attribute"``; or the place of a mapping from name to object, that is on a higher floor.
    group : str
        Entry points of other packages that join, scanned at the first look-up.
    """

    def __init__(self, what: str, table: Mapping[str, str] | str, group: str) -> None:
        self._what, self._group = what, group
        self._places: dict[str, str] = {} if isinstance(table, str) else dict(table)
        self._above = table if isinstance(table, str) else None
        self._loaded: dict[str, Any] = {}
        self._scanned = False

    def _fill(self) -> None:
        if self._above is None:
            return
        place, self._above = self._above, None
        for name, value in load(place).items():
            self._places[name], self._loaded[name] = place, value

    def _scan(self) -> None:
        self._fill()
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=self._group):
            # Ours win: a stray package must not change what a name means.
            if self._places.setdefault(point.name, point.value) != point.value:
                warnings.warn(f"{point.value} cannot replace the {self._what} {point.name!r}", SidWarning, stacklevel=3)

    def __getitem__(self, name: str) -> Any:
        self._fill()
        if name not in self._places:
            self._scan()
        if name not in self._places:
            raise RegistryError(f"no {self._what} {name!r}.{nearest(name, self._places)}")
        if name not in self._loaded:
            self._loaded[name] = load(self._places[name])
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

    def name_of(self, value: object) -> str | None:
        """Return the name of an object that was looked up or registered; None if it has none."""
        return next((name for name, known in self._loaded.items() if known is value), None)

    def register(self, name: str, value: Any) -> None:
        """Add an object under a new name, for this session.

        Raises
        ------
        RegistryError
            If the name is taken.
        """
        if name in self:
            raise RegistryError(f"there is a {self._what} {name!r} already. Take another name.")
        self._places[name] = f"{type(value).__module__}:{name}"
        self._loaded[name] = value


MODELS = Registry("model", _models.TABLE, "sid_xarray.models")
VERBS = Registry("verb", "sid_xarray.ops:VERBS", "sid_xarray.verbs")
"""Rows of the table of verbs, from which steps of a history are done again; by name, since verbs are above core."""
FUNCTIONS = Registry("function", {}, "sid_xarray.functions")
"""Functions of users that ``da.sid.apply`` finds by name, so that a replay finds them, too."""
OPEN = "sid_xarray.api:open"
"""What a replay opens raw files with; above core, too."""
