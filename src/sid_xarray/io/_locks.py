"""Locks: one writer of ours at a time, and what HDF5 programs agree upon about a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from sid_xarray.errors import FormatError

try:
    import fcntl
except ImportError:  # Windows: two writers are told apart by os.replace alone
    fcntl = None  # type: ignore[assignment]

__all__ = ["Shared", "only_writer", "try_alone"]


@contextlib.contextmanager
def only_writer(target: str) -> Iterator[bool]:
    """Hold the lock of the writers of a file; False where the file system has no locks.

    Raises
    ------
    BlockingIOError
        If another process is writing the file.
    PermissionError
        If there is no permission to write in the folder.
    """
    folder, name = os.path.split(target)
    path = os.path.join(folder, f".{name}.lock")
    handle = _locked(path, target)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.close(handle)


def _locked(path: str, target: str) -> int | None:
    if fcntl is None:
        return None
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_RDONLY, 0o644)  # others are to see that it is locked
        except OSError as error:
            # The name of our lock file says nothing to anybody.
            raise _unwritable(target, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # its owner removed it between our open and our lock: take a new one
        except BlockingIOError as error:
            os.close(handle)
            raise BlockingIOError(
                error.errno, f"{target} is being written by another process; nothing was written. Try again later."
            ) from None
        except OSError:
            os.close(handle)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return None  # os.replace still keeps the file whole
        os.close(handle)


def _unwritable(target: str, error: OSError) -> OSError:
    folder, name = os.path.split(target)
    if isinstance(error, FileNotFoundError):
        return FormatError(folder, "", f"takes no file {name!r}; nothing was written. Choose another folder")
    why = error.strerror or str(error)
    kind = PermissionError if isinstance(error, PermissionError) else OSError
    return kind(error.errno, f"cannot write {name!r} in {folder}: {why.lower()}; nothing was written")


class Shared:
    """The lock of HDF5 on a file that we look at or add to: others may read it, and nobody else may write.

    Parameters
    ----------
    target : str

    Attributes
    ----------
    works : bool
        Whether the file system has locks.

    Raises
    ------
    BlockingIOError
        If another program has it open for writing.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        # Windows replaces no file that is open, and has no such lock.
        self.handle = -1 if fcntl is None else os.open(target, os.O_RDONLY)
        self.works = False
        try:
            self._take()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Shared:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _take(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self.handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self.works = True
        except BlockingIOError as error:
            raise BlockingIOError(
                error.errno, f"{self.target} is open for writing elsewhere; nothing was written. Close it there first."
            ) from None
        except OSError:
            pass  # a file system without locks

    def alone(self) -> bool:
        """Try to keep readers out, too; if there are any, keep what we have.

        Raises
        ------
        BlockingIOError
            If another program took the moment to open the file for writing.
        """
        if not self.works:
            return False
        if try_alone(self.handle):
            return True
        self._take()
        return False

    def close(self) -> None:
        """Let go."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def try_alone(handle: int) -> bool:
    """Try to lock an open file for ourselves; what was locked before is lost if it fails."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True
