"""No search for circular garbage while a tree is built.

Python looks for it whenever there are some hundred new objects, and now and then through all that a program has, which
takes longer than to open a file. What is made of a file stays, so such a search finds nothing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

__all__ = ["paused"]

_LOCK = threading.Lock()
_USERS = 0
_WAS_ON = False


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the search, in all threads; it goes on when the last one is done, if it was on."""
    global _USERS, _WAS_ON
    with _LOCK:
        if not _USERS:
            _WAS_ON = gc.isenabled()
        _USERS += 1
        gc.disable()
    try:
        yield
    finally:
        with _LOCK:
            _USERS -= 1
            if not _USERS and _WAS_ON:
                gc.enable()


def _start_anew() -> None:
    """Forget the threads that a process was forked beside: they are not in it."""
    global _LOCK, _USERS
    _LOCK = threading.Lock()
    if _USERS and _WAS_ON:
        gc.enable()
    _USERS = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
