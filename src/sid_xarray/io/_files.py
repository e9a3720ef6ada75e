"""From what a user gives to files: a path, a pattern, a folder, an archive, an address, an open file, bytes."""

from __future__ import annotations

import glob
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from sid_xarray.errors import FormatError
from sid_xarray.io.readers.source import Source

__all__ = ["files_in", "is_many", "is_zip", "members", "one"]

_MAX_BYTES = 2 * 2**30
_MAX_FILES = 10_000
_MAX_RATIO = 1000
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError)


def is_many(where: Any) -> bool:
    """Tell whether a path means several files: a folder or a pattern."""
    if not isinstance(where, str | os.PathLike):
        return False
    path = os.path.expanduser(os.fspath(where))
    if not isinstance(path, str) or _is_address(path):
        return False
    return os.path.isdir(path) or (not os.path.exists(path) and glob.has_magic(path))


def _is_address(path: str) -> bool:
    return "://" in path or "::" in path


def one(where: Any) -> Source:
    """Return the file that a path, an address, an open file or bytes stand for.

    Addresses (anything that fsspec opens) and open files that are not on the disk are read whole into memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it has more than 2 GiB and is not on the disk.
    """
    if isinstance(where, Source):
        return where
    if isinstance(where, bytes | bytearray | memoryview):
        return Source("bytes", bytes(where))
    if _is_on_disk(where):
        return Source(where.name)
    if hasattr(where, "read"):
        return Source(str(getattr(where, "name", "") or "file"), _all_of(where, str(where)))
    if not isinstance(where, str | os.PathLike):
        said = f"expected a path, an address, an open file or bytes, got {type(where).__name__}"
        raise TypeError(f"{said}. Several files: sid.open_many([...])")
    path = os.path.expanduser(os.fsdecode(os.fspath(where)))
    if _is_address(path):
        return _remote(path)
    if not os.path.exists(path):
        is_link = os.path.islink(path)
        raise FileNotFoundError(f"no file {path}{', it is a link to nowhere' if is_link else ''}")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"no permission to read {path}")
    return Source(path)


def _is_on_disk(file: Any) -> bool:
    """Tell whether an open file is one on the disk, as it is: not unpacked on the way, and still there by its name."""
    try:
        is_plain = isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO)
        return is_plain and os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except (OSError, TypeError, ValueError):
        return False


def _all_of(file: Any, name: str) -> bytes:
    if hasattr(file, "seek"):
        file.seek(0)
    found = file.read(_MAX_BYTES + 1)
    if not isinstance(found, bytes):
        raise TypeError(f"an open file should give bytes, {name} gives {type(found).__name__}. Open it with mode 'rb'.")
    if len(found) > _MAX_BYTES:
        raise FormatError(
            name, "", f"more than {_MAX_BYTES // 2**30} GiB are not read into memory: store it on the disk"
        )
    return found


def _remote(address: str) -> Source:
    import fsspec

    system, path = fsspec.core.url_to_fs(address)
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return one(path)

    def fetch(place: str) -> bytes:
        size = system.size(place)
        if size is not None and size > _MAX_BYTES:
            raise FormatError(place, "", f"has {size} bytes. More than 2 GiB are not fetched: store it on the disk")
        with system.open(place, "rb") as file:
            return _all_of(file, place)

    folder = path.rpartition("/")[0]

    def beside(name: str) -> bytes | None:
        place = f"{folder}/{name}"
        return fetch(place) if system.exists(place) else None

    if not system.exists(path):
        raise FileNotFoundError(f"no file {address}")
    name, whole = path.rpartition("/")[2], address
    if not whole.endswith(name):  # of a chain such as zip://scan.sxm::archive.zip, the file comes first
        whole = f"{address.partition('::')[2]}/{name}"
    return Source(whole, fetch(path), beside=beside)


def files_in(where: Any) -> list[tuple[str, str]]:
    """Return the files of a folder, with all folders in it, or of a pattern: name to show and path, in natural order.

    Raises
    ------
    FileNotFoundError
        If there are none.
    FormatError
        If there are more than 10 000.
    """
    path = os.path.expanduser(os.fspath(where))
    if os.path.isdir(path):
        found = [(os.path.relpath(file, path), file) for file in _walk(path)]
    else:
        files = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file)]
        base = os.path.commonpath([os.path.dirname(f) for f in files]) if files else ""
        found = [(os.path.relpath(file, base or "."), file) for file in files]
    if not found:
        raise FileNotFoundError(f"{path} is a folder without files" if os.path.isdir(path) else f"no file {path}")
    if len(found) > _MAX_FILES:
        raise FormatError(path, "", f"holds more than {_MAX_FILES} files. Name fewer by a pattern")
    return sorted(((name.replace(os.sep, "/"), file) for name, file in found), key=lambda item: _natural(item[0]))


def _walk(folder: str) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (os.path.join(here, file) for file in files if not file.startswith("."))


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what sorts ``scan_2`` before ``scan_10``."""
    words = re.findall(r"[0-9]+|[^0-9]+", os.path.splitext(name)[0])
    return [(int(word), "") if word[0] in "0123456789" else (-1, word.lower()) for word in words], name


def is_zip(source: Source) -> bool:
    """Tell whether a file is a zip archive."""
    return source.head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def members(source: Source) -> list[tuple[str, Callable[[int], bytes], Callable[[], Source]]]:
    """Return the files of a zip archive: name, what reads its first bytes, and what unpacks it into memory.

    Raises
    ------
    FormatError
        If it is damaged, locked by a password, or unpacks to more than 2 GiB or a thousand times its size.
    """
    archive = _opened(source, io.BytesIO(source.data) if source.data is not None else source.path)
    infos = {i.filename: i for i in archive.infolist() if not i.is_dir() and not _is_hidden(i.filename)}
    total = sum(i.file_size for i in infos.values())
    if len(infos) > _MAX_FILES or total > _MAX_BYTES or total > _MAX_RATIO * max(source.size, 1024):
        said = f"{len(infos)} files that unpack to {total} bytes"
        raise source.error(f"holds {said}: refused. Unpack it yourself if you trust it")
    if any(i.flag_bits & 1 for i in infos.values()):
        raise source.error("is locked by a password. Unpack it first")

    def read(name: str, count: int) -> bytes:
        try:
            with archive.open(infos[name]) as file:
                return file.read(count)
        except _BAD_ZIP as error:
            raise source.error(f"cannot be unpacked: {error}", name) from error

    def unpack(name: str) -> Source:
        folder = name.rpartition("/")[0]

        def beside(other: str) -> bytes | None:
            wanted = f"{folder}/{other}".lstrip("/").lower()
            key = next((k for k in infos if k.lower() == wanted), None)
            return None if key is None else read(key, infos[key].file_size)

        return Source(f"{source.path}/{name}", read(name, infos[name].file_size), beside=beside)

    def head_of(name: str) -> Callable[[int], bytes]:
        return lambda count: read(name, count)

    def unpacker(name: str) -> Callable[[], Source]:
        return lambda: unpack(name)

    return [(name, head_of(name), unpacker(name)) for name in sorted(infos, key=_natural)]


def _opened(source: Source, file: Any) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _BAD_ZIP as error:
        raise source.error(f"is a damaged zip archive: {error}") from error


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith((".", "__MACOSX")) or part == ".." for part in parts)
