"""Write files so that whatever happens there is the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
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
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no folder {folder}: create it first")
    if os.path.isdir(target):
        raise FormatError(target, "", "is a folder, expected the name of a file")
    with _lock(os.path.join(folder, f".{name}.lock"), target):
        exists = os.path.exists(target)
        if exists and mode == "x":
            raise FileExistsError(f"{target} exists. Take another name, or mode='a' to add, mode='w' to replace.")
        if exists and not os.access(target, os.W_OK):
            raise PermissionError(f"{target} is read-only; nothing was written")
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


def _room(folder: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            28, f"{needed / 1e6:.0f} MB are needed in {folder} and {free / 1e6:.0f} MB are free; nothing was written"
        )


def _flush(path: str) -> None:
    flags = os.O_RDONLY
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _lock(path: str, target: str) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                raise BlockingIOError(
                    error.errno, f"{target} is being written by another process; nothing was written. Try again later."
                ) from None
            yield  # a file system without locks: os.replace still keeps the file whole
            return
        try:
            same = os.path.samestat(os.fstat(handle), os.stat(path))
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(handle)  # its owner removed it between our open and our lock: take the new one
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(handle)
