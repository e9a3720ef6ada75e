"""Write files so that whatever happens there is the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterator

from sid_xarray.errors import FormatError
from sid_xarray.io._h5 import close_readers

try:
    import fcntl
except ImportError:  # Windows: two writers are told apart by os.replace alone
    fcntl = None  # type: ignore[assignment]

__all__ = ["replacing"]

_MARGIN = 4 * 2**20


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, mode: str, expected: int = 0) -> Iterator[str]:
    """Give the path of a temporary file; it takes the place of ``path`` when the block ends well.

    Parameters
    ----------
    path : str
    mode : {"a", "w", "x"}
        ``"a"`` starts from a copy of the old file, ``"w"`` from nothing, ``"x"`` demands that there is none.
    expected : int
        Bytes that will be added; there must be room for them, since HDF5 dies on a full disk.

    Raises
    ------
    FileExistsError
        In mode ``"x"``, if the file is there.
    BlockingIOError
        If another process is writing the file.
    OSError
        If there is not enough room, or no permission.
    """
    if mode not in ("a", "w", "x"):
        raise ValueError(f"mode is 'a' (add), 'w' (replace) or 'x' (new file only), got {mode!r}")
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    if os.path.isdir(target):
        raise FormatError(target, "", "is a folder, expected the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no folder {folder}: create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write in {folder}; nothing was written")
    with contextlib.ExitStack() as stack:
        sure = stack.enter_context(_only_writer(os.path.join(folder, f".{name}.lock"), target))
        exists = os.path.exists(target)
        if exists:
            _check_old(target, mode)
            stack.enter_context(_nobody_writes(target))
        if sure:
            _sweep(folder, name)
        old = os.path.getsize(target) if exists and mode == "a" else 0
        _room(folder, expected + old + _MARGIN)
        temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        try:
            if old:
                shutil.copyfile(target, temporary)
            yield temporary
            _flush(temporary)
            if exists:
                shutil.copymode(target, temporary)
                close_readers(target)
            os.replace(temporary, target)
            _flush(folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _check_old(target: str, mode: str) -> None:
    if mode == "x":
        raise FileExistsError(f"{target} exists. Take another name, or mode='a' to add, mode='w' to replace.")
    # The mode of the file is asked, too: replacing it would work without any permission on it.
    if not os.access(target, os.W_OK) or not os.stat(target).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{target} is read-only; nothing was written")


def _room(folder: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 1e6:.0f} MB are needed in {folder} and {free / 1e6:.0f} MB are free; nothing was written",
        )


def _sweep(folder: str, name: str) -> None:
    """Remove what a writer that was killed left behind; we hold the lock, so there is no living one."""
    for leftover in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.????????.tmp")):
        with contextlib.suppress(OSError):
            os.unlink(leftover)


def _flush(path: str) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _nobody_writes(target: str) -> Iterator[None]:
    """Keep other HDF5 programs from writing the file while we copy it; they lock it as we do here."""
    if fcntl is None:
        yield
        return
    handle = os.open(target, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                error.errno, f"{target} is open for writing elsewhere; nothing was written. Close it there first."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _only_writer(path: str, target: str) -> Iterator[bool]:
    """Hold the lock of the writers of a file; False where the file system has no locks."""
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
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
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
