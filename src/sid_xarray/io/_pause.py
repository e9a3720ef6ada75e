"""No search for circular garbage while a tree is built, or while HDF5 writes through Python.

Python looks for it whenever there are some hundred new objects, and now and then through all that a program has, which
takes longer than to open a file. What is made of a file stays, so such a search finds nothing.

When HDF5 writes to a file object, Python runs inside of HDF5. If garbage is found there that holds arrays of HDF5,
whoever they belong to, they are closed in the midst of what HDF5 is doing: it loses its place, fails or crashes.
Threads that find garbage meanwhile are no danger, since what they close waits until HDF5 is free.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

__all__ = ["paused", "resumed"]

_LOCK = threading.Lock()
_TIMES: dict[int, int] = {}
"""How often each thread has paused it; it is off while there is one."""
_WAS_ON = False


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the search, in all threads; it goes on when the last one is done, if it was on."""
    before = _TIMES.get(threading.get_ident(), 0)
    try:
        _set(before + 1)
        yield
    finally:
        _set(before)


@contextlib.contextmanager
def resumed() -> Iterator[None]:
    """Let the search go on, as far as this thread has paused it: something is computed in between."""
    before = _TIMES.get(threading.get_ident(), 0)
    try:
        _set(0)
        yield
    finally:
        _set(before)


def _set(times: int) -> None:
    """Set how often this thread has paused it; Ctrl-C in the midst is made good by the next call."""
    global _WAS_ON
    own = threading.get_ident()
    with _LOCK:
        if times:
            if not _TIMES:
                _WAS_ON = gc.isenabled()
            _TIMES[own] = times
            gc.disable()
        elif _TIMES.pop(own, 0) and not _TIMES and _WAS_ON:
            gc.enable()
    _due()


def _due() -> None:
    """Give Python 3.12 and later, which search between two calls, the occasion for one that is due already."""


def _start_anew() -> None:
    """Forget the threads that a process was forked beside: they are not in it."""
    global _LOCK
    _LOCK = threading.Lock()
    if _TIMES and _WAS_ON:
        gc.enable()
    _TIMES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
