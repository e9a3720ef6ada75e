"""Methods whose function lives elsewhere, also in a storey above, and is imported at first use."""

from __future__ import annotations

import importlib
import types
from typing import Any

__all__ = ["Entry"]


class Entry:
    """A method that is a function of another module; signature and documentation are those of the function.

    Parameters
    ----------
    place : str
        ``"module:function"``; the function takes the object first.
    """

    __slots__ = ("place",)

    def __init__(self, place: str) -> None:
        self.place = place

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        module, _, name = self.place.partition(":")
        function = getattr(importlib.import_module(module), name)
        return function if instance is None else types.MethodType(function, instance)
