"""Ctrl-C is heard where it does no harm: while something is computed or waited for.

Python acts on a signal between any two steps of its own. An error that comes out of a function which HDF5 has called,
in the midst of closing a file, crashes the process then or later; one between a lock and the note that we hold it keeps
a file locked for good.
"""

from __future__ import annotations

import contextlib
import contextvars
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

__all__ = ["held", "let_through", "stoppable", "uninterrupted"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_SIGNALS = tuple(int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name))
_OLD: dict[int, Callable[..., Any]] = {}
_CAME: list[int] = []
_UNINTERRUPTED: set[CodeType] = set()
_SOON, _PATIENCE = 0.02, 1.0
_HOLDING = False
"""Whether signals wait. Only the main thread hears them, and changes this."""


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keep signals that functions of Python would act on until the block has ended; in other threads there are none."""
    global _HOLDING
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _HOLDING
    try:
        if not before:
            _CAME.clear()
        _install()
        _HOLDING = True
        yield
    finally:
        _HOLDING = before
        if not before:
            try:
                _restore()
            finally:
                _deliver()


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Act on signals after all, in something that may take long and can be stopped."""
    global _HOLDING
    if threading.current_thread() is not threading.main_thread() or not _HOLDING:
        yield
        return
    try:
        _HOLDING = False
        _deliver()
        yield
    finally:
        _install()  # a block of `held` within this one has taken them back
        _HOLDING = True


def uninterrupted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function that HDF5 calls: within it signals wait in any case.

    HDF5 is called by more than what is in a block of `held`: whoever forgets an array closes it.
    """
    _UNINTERRUPTED.add(function.__code__)
    return function


def stoppable(work: Callable[[], None], stop: Callable[[], None]) -> None:
    """Do something that works with threads, and give it up at Ctrl-C.

    It is done in a thread of its own, while this one waits: a thread that Ctrl-C finds with a lock may keep it.

    Parameters
    ----------
    work, stop : callable
        `stop` is called once if `work` is to end; if that takes longer than a second, it is not waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            context.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="sid-store", daemon=True)
    with held():
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_SOON)
                with let_through():
                    pass
        except BaseException:
            stop()
            thread.join(_PATIENCE)
            raise
    if errors:
        raise errors.pop()  # or else the error and this list hold each other


def _later(number: int, frame: FrameType | None) -> None:
    if _HOLDING:
        _CAME.append(number)
        return
    at = frame
    while at is not None:
        if at.f_code in _UNINTERRUPTED:
            again = threading.Timer(_SOON, interrupt_main, (number,))
            again.daemon = True
            again.start()
            return
        at = at.f_back
    _OLD[number](number, frame)


def _install() -> None:
    for number in _SIGNALS:
        found = signal.getsignal(number)
        if callable(found) and found is not _later:
            _OLD[number] = found
            with contextlib.suppress(ValueError):  # this is the first thread of an interpreter within another
                signal.signal(number, _later)


def _restore() -> None:
    for number in _SIGNALS:
        # Who has set another one in the meantime keeps it.
        if signal.getsignal(number) is _later:
            signal.signal(number, _OLD[number])


def _deliver() -> None:
    while _CAME:
        number = _CAME.pop(0)
        handler = _OLD[number]
        handler(number, sys._getframe())
