"""Names that become functions when they are used, so that the import stays light."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["Accessor", "Holder", "method", "view"]


def _load(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


class method:  # noqa: N801 - used like the built-in property
    """A method whose function is imported at first use; signature and docs come along.

    Parameters
    ----------
    place : str
        ``"module:function"``; the function takes the xarray object first.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        function = _load(self.place)
        if instance is None:
            return function
        return _bind(function, instance._obj)


def _bind(function: Callable[..., Any], obj: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Any:
        return function(obj, *args, **kwargs)

    signature = inspect.signature(function)
    bound.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return bound


class view(method):  # noqa: N801 - used like the built-in property
    """A property that is computed from the object every time: no state, nothing cached."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        function = _load(self.place)
        return function if instance is None else function(instance._obj)


class Holder:
    """What has methods of an xarray object, and holds nothing but that.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree
    """

    __slots__ = ("_obj",)

    def __init__(self, obj: Any) -> None:
        self._obj = obj


class Accessor:
    """Descriptor that makes a fresh accessor at every use.

    xarray's own caches the accessor on the object, and the two then hold each other: memory of large arrays
    stays until the cycle collector runs.
    """

    __slots__ = ("_accessor",)

    def __init__(self, accessor: type) -> None:
        self._accessor = accessor

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._accessor if instance is None else self._accessor(instance)
