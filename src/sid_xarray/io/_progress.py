"""A bar for writing that takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from sid_xarray.options import OPTIONS

__all__ = ["progress"]

_PATIENCE = 1.0


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of bytes done; it shows a bar, if the options say so.

    Parameters
    ----------
    total : int
        Bytes.
    what : str
        What is done, in front of the bar.
    """
    if not _wanted():
        yield lambda nbytes: None
        return
    bar = _Bar(total, what)
    try:
        yield bar.advance
    finally:
        bar.close()


def _wanted() -> bool:
    option = OPTIONS["progress"]
    if option == "auto":
        return sys.stderr.isatty() or _in_notebook()
    return bool(option)


def _in_notebook() -> bool:
    # Programs may import the kernel of notebooks without being one.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and type(shell).__module__.startswith("ipykernel")


class _Bar:
    """Appears after a second; any thread may advance it."""

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        self.start = time.monotonic()
        self.bar: Any = None
        self.lock = threading.Lock()

    def advance(self, nbytes: int) -> None:
        with self.lock:
            self.done += nbytes
            if self.bar is None and time.monotonic() - self.start > _PATIENCE:
                self._show()
            if self.bar is not None:
                self.bar.update(self.task, completed=self.done)

    def _show(self) -> None:
        from rich import progress as rich
        from rich.console import Console

        self.bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.DownloadColumn(),
            rich.TransferSpeedColumn(),
            rich.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(self.what, total=self.total, completed=self.done)
        self.bar.start()

    def close(self) -> None:
        with self.lock:
            if self.bar is not None:
                self.bar.stop()
