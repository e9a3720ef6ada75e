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
_USERS = 0
_WAS_ON = False


class _Own(threading.local):
    """How often this thread has paused it."""

    times = 0


_OWN = _Own()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the search, in all threads; it goes on when the last one is done, if it was on."""
    _OWN.times += 1
    _pause(1)
    try:
        yield
    finally:
        if _OWN.times:  # or else the process was forked from within, and has begun anew
            _OWN.times -= 1
            _go_on(1)


@contextlib.contextmanager
def resumed() -> Iterator[None]:
    """Let the search go on, as far as this thread has paused it: something is computed in between."""
    own, _OWN.times = _OWN.times, 0
    _go_on(own)
    try:
        yield
    finally:
        _OWN.times = own
        _pause(own)


def _pause(times: int) -> None:
    global _USERS, _WAS_ON
    if not times:
        return
    with _LOCK:
        if not _USERS:
            _WAS_ON = gc.isenabled()
        _USERS += times
        gc.disable()
    _due()


def _go_on(times: int) -> None:
    global _USERS
    if not times:
        return
    with _LOCK:
        _USERS -= times
        if not _USERS and _WAS_ON:
            gc.enable()


def _due() -> None:
    """Give Python 3.12 and later, which search between two calls, the occasion for one that is due already."""


def _start_anew() -> None:
    """Forget the threads that a process was forked beside: they are not in it."""
    global _LOCK, _USERS
    _LOCK = threading.Lock()
    if _USERS and _WAS_ON:
        gc.enable()
    _USERS = _OWN.times = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
