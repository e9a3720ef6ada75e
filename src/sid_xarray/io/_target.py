"""Write files so that whatever happens there is the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py

from sid_xarray.errors import FormatError
from sid_xarray.io import _redo
from sid_xarray.io._draft import PAGE, Draft, Overlay, write_at
from sid_xarray.io._h5 import close_readers, first_line
from sid_xarray.io._locks import Shared, only_writer
from sid_xarray.io._pause import paused
from sid_xarray.io._signals import held, let_through

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LARGE", "editing"]

LARGE = 32 * 2**20
"""Bytes from which on a file is added to where it is; below, a copy is quick and simple."""
_MARGIN = 4 * 2**20
_TRIES, _PAUSE = 5, 0.02
_FICLONE = 0x40049409


@contextlib.contextmanager
def editing(path: str | os.PathLike[str], *, mode: str, expected: int = 0) -> Iterator[h5py.File]:
    """Give a file to write to; what is written counts when the block ends well, and is gone otherwise.

    A new file is written beside its place. A small file that is added to is copied first, a large one written to
    behind its end; see `_redo`.

    Parameters
    ----------
    path : str
    mode : {"a", "w", "x"}
        ``"a"`` adds to the old file, ``"w"`` starts from nothing, ``"x"`` demands that there is none.
    expected : int
        Bytes that will be added; there must be room for them.

    Raises
    ------
    FileExistsError
        In mode ``"x"``, if the file is there.
    BlockingIOError
        If another process is writing the file.
    FormatError
        If it is to be added to and is no HDF5 file.
    OSError
        If there is not enough room, or no permission.
    """
    with held(), _claimed(path, mode) as claim:
        if mode == "a" and claim.large:
            how: Any = _added_to(claim, expected)
        else:
            how = _replaced(claim, mode, expected)
        with how as file:
            yield file


@dataclass
class _Claim:
    """A path that we may write to, and nobody else does."""

    target: str
    lock: Shared | None
    sure: bool

    @property
    def folder(self) -> str:
        return os.path.dirname(self.target)

    @property
    def old(self) -> int:
        """Bytes of the old file."""
        return os.path.getsize(self.target) if self.lock is not None else 0

    @property
    def large(self) -> bool:
        """Whether to add to the file where it is: it costs too much to copy, and there are locks to rely on."""
        return self.sure and self.lock is not None and self.lock.works and self.old > LARGE

    def aside(self) -> str:
        """Return a free name beside the file, which the next writer removes if we are killed."""
        name = os.path.basename(self.target)
        return os.path.join(self.folder, f".{name}.{secrets.token_hex(4)}.tmp")


@contextlib.contextmanager
def _claimed(path: str | os.PathLike[str], mode: str) -> Iterator[_Claim]:
    """Make sure that a path can be written to, before anything is computed or written."""
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
        sure = stack.enter_context(only_writer(target))
        lock = None
        if os.path.exists(target):
            _check_old(target, mode)
            if os.path.exists(_redo.record_of(target)):
                close_readers(target)
                _redo.finish(target, writing=True)
            lock = stack.enter_context(Shared(target))
        if sure:
            _sweep(folder, name)
        yield _Claim(target, lock, sure)


@contextlib.contextmanager
def _replaced(claim: _Claim, mode: str, expected: int) -> Iterator[h5py.File]:
    """Write a file beside the old one, and put it in its place."""
    old = claim.old if mode == "a" else 0
    temporary = claim.aside()
    try:
        if old and _cloned(claim.target, temporary):
            old = 0
            _room(claim.folder, expected + _MARGIN)
        else:
            _room(claim.folder, expected + old + _MARGIN)
        if old:
            _copy(claim.target, temporary)
        with contextlib.closing(Draft(temporary)) as draft:
            with paused(), _opened(draft, claim.target, "w-" if draft.size == 0 else "r+") as file:
                yield file
            _sync(draft, claim.target)
        _put_in_place(claim, temporary)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _put_in_place(claim: _Claim, temporary: str) -> None:
    if claim.lock is not None:
        shutil.copymode(claim.target, temporary)
        close_readers(claim.target)
    os.replace(temporary, claim.target)
    _redo.sync_folder(claim.folder)


@contextlib.contextmanager
def _added_to(claim: _Claim, expected: int) -> Iterator[h5py.File]:
    """Write behind the end of a file, and change what it holds when all is there."""
    assert claim.lock is not None
    end = _redo.eof_of(claim.lock.handle)
    if end is None:  # no HDF5, or not as we know it: let HDF5 say
        with _replaced(claim, "a", expected) as file:
            yield file
        return
    _room(claim.folder, expected + _MARGIN)
    overlay = Overlay(claim.target, end, claim.aside())
    try:
        try:
            with paused(), _opened(overlay, claim.target, "r+") as file:
                yield file
            _sync(overlay, claim.target)
        except BaseException:
            overlay.drop()
            raise
        _commit(claim, overlay)
    finally:
        overlay.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(overlay.aside)


def _commit(claim: _Claim, overlay: Overlay) -> None:
    """Make what was written count: in the file itself, or in a copy if others have it open."""
    assert claim.lock is not None
    alone = False
    for _ in range(_TRIES):
        close_readers(claim.target)
        alone = claim.lock.alone()
        if alone:
            break
        time.sleep(_PAUSE)
    if alone:
        redo = _redo.publish(overlay, claim.target)
        _redo.apply(redo, _redo.record_of(claim.target), overlay.fd)
        return
    temporary = claim.aside()
    try:
        try:
            _room(claim.folder, overlay.size + _MARGIN)
        except OSError as error:
            why = f"{claim.target} is open elsewhere, so that it would have to be copied: {error.strerror}"
            raise OSError(error.errno, why) from None
        _copy(claim.target, temporary)
        handle = os.open(temporary, os.O_RDWR)
        try:
            for number in overlay.pages:
                write_at(handle, memoryview(overlay.page(number)), number * PAGE)
            os.ftruncate(handle, overlay.size)
            os.fsync(handle)
        finally:
            os.close(handle)
        _put_in_place(claim, temporary)
    finally:
        # Who has it open keeps the old file; what we put behind its end is of no use there.
        overlay.drop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


@contextlib.contextmanager
def _opened(draft: Draft, path: str, mode: str) -> Iterator[h5py.File]:
    """Give a draft as an HDF5 file; what went wrong below HDF5 is what is raised."""
    try:
        try:
            file = h5py.File(draft, mode)
        except OSError as error:
            why = f"cannot be added to: {first_line(error)}. Type: mode='w' to replace it"
            raise draft.error or FormatError(path, "", why) from error
        try:
            yield file
        finally:
            # HDF5 gets no errors on its way out: it would end the process.
            with held():
                draft.closing = True
                file.close()
    except BaseException as error:
        if isinstance(draft.error, OSError):
            raise _told(draft.error, path) from error
        if draft.error is not None and draft.error is not error:
            raise draft.error from error
        raise
    if draft.error is not None:
        raise _told(draft.error, path) if isinstance(draft.error, OSError) else draft.error


def _sync(draft: Draft, path: str) -> None:
    try:
        with let_through():
            draft.sync()
    except OSError as error:
        raise _told(error, path) from error


def _told(error: OSError, path: str) -> OSError:
    """Return an error of the disk in words."""
    name = "disk full" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
    state = "the old file is as it was" if os.path.exists(path) else "nothing was written"
    return OSError(error.errno, f"{path} cannot be written: {name}; {state}")


def _copy(target: str, temporary: str) -> None:
    try:
        with let_through():
            shutil.copyfile(target, temporary)
    except OSError as error:
        raise _told(error, target) from error


def _cloned(source: str, target: str) -> bool:
    """Make a copy that shares its blocks with the old file, where the file system can: it takes no time and no room."""
    if fcntl is None or sys.platform != "linux":
        return False
    try:
        with open(source, "rb") as old, open(target, "xb") as new:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
        return False
    return True


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
