"""What a reader reads from: a file or bytes, never past the end, and arrays that stay where they are."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xarray.backends import BackendArray
from xarray.core import indexing

from sid_xarray.errors import FormatError

__all__ = ["FileArray", "Source"]

_HEAD = 64 * 1024
_SMALL = 4096
_MAX_TEXT = 256 * 2**20


class Source:
    """A file on the disk, or bytes that have a name.

    Every method that reads says what is missing (`FormatError`) before it makes room for anything.

    Parameters
    ----------
    path : str
        Where the file is; for bytes a name, for messages and for the suffix.
    data : bytes, optional
        The content, if it is not on the disk.
    beside : callable, optional
        From the name of a companion to its bytes, or None where there is none. For bytes that came out of an archive.

    Attributes
    ----------
    path, name, suffix : str
    size : int
        Bytes.
    """

    def __init__(
        self, path: str, data: bytes | None = None, *, beside: Callable[[str], bytes | None] | None = None
    ) -> None:
        self.path = path if data is not None else os.path.abspath(os.path.expanduser(path))
        self.data = data
        self._beside = beside
        self.name = os.path.basename(self.path.replace("\\", "/"))
        self.suffix = os.path.splitext(self.name)[1].lower()
        if data is not None:
            self.size, self.mtime = len(data), 0
        else:
            found = os.stat(self.path)
            self.size, self.mtime = found.st_size, found.st_mtime_ns
        self._head: bytes | None = None
        self._block: tuple[int, bytes] = (0, b"")

    def __repr__(self) -> str:
        return f"Source({self.path!r}, {self.size} bytes{'' if self.data is None else ' in memory'})"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return ("sid-source", self.path, self.size, self.mtime, self.data)

    def error(self, why: str, where: str = "") -> FormatError:
        """Return the error for a file that is not what it should be."""
        return FormatError(self.path, where, why)

    @property
    def head(self) -> bytes:
        """The first 64 KiB, or what there is."""
        if self._head is None:
            self._head = self.read(0, min(_HEAD, self.size))
        return self._head

    def check(self, start: int, count: int, where: str = "") -> None:
        """Make sure that the file has ``count`` bytes from ``start`` on.

        Raises
        ------
        FormatError
            If it ends before.
        """
        if start < 0 or count < 0 or start + count > self.size:
            said = f"needs {count} bytes from byte {start} on, but the file has {self.size}"
            raise self.error(f"{said}. It is cut off, or its header is damaged", where)

    def read(self, start: int = 0, count: int | None = None, where: str = "") -> bytes:
        """Return bytes: all that follow, or exactly as many as were asked for.

        Raises
        ------
        FormatError
            If there are fewer, or more than 256 MiB would be read at once.
        """
        wanted = max(self.size - start, 0) if count is None else count
        self.check(start, wanted, where)
        if self.data is not None:
            return self.data[start : start + wanted]
        if count is None and wanted > _MAX_TEXT:
            raise self.error(f"{wanted} bytes of text or packed data: more than {_MAX_TEXT} are refused", where)
        if wanted > _SMALL:
            return self._from_disk(start, wanted, where)
        # Headers are read in many small pieces: what lies around one is kept.
        first, block = self._block
        if not first <= start <= start + wanted <= first + len(block):
            first = start
            block = self._from_disk(start, min(_HEAD, self.size - start), where)
            self._block = (first, block)
        return block[start - first : start - first + wanted]

    def _from_disk(self, start: int, count: int, where: str) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(start)
            found = file.read(count)
        if len(found) != count:
            raise self.error("became shorter while it was read", where)
        return found

    def text(self, start: int = 0, count: int | None = None) -> str:
        """Return text: UTF-8 where it is that, Latin-1 otherwise."""
        raw = self.read(start, count)
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def numbers(self, dtype: npt.DTypeLike, count: int, *, start: int, where: str = "") -> np.ndarray[Any, Any]:
        """Return numbers that lie one after the other, in memory."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.read(start, count * kind.itemsize, where), kind)

    def array(
        self,
        dtype: npt.DTypeLike,
        shape: Sequence[int],
        *,
        start: int,
        strides: Sequence[int] | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        where: str = "",
    ) -> FileArray:
        """Return an array that is read when it is indexed.

        Parameters
        ----------
        dtype : dtype
            As stored, with byte order.
        shape : sequence of int
        start : int
            Byte of the first element, that of index 0 along all dimensions.
        strides : sequence of int, optional
            Bytes from one element to the next along every dimension; negative ones run backwards. C order by default.
        scale, offset : float
            Values are ``stored * scale + offset`` in float64, if one of them is given.
        where : str
            What it is, for messages.

        Raises
        ------
        FormatError
            If it would not lie in the file.
        """
        kind = np.dtype(dtype)
        sizes = tuple(int(n) for n in shape)
        if any(n < 0 for n in sizes) or math.prod(sizes) * kind.itemsize > 2**60:
            raise self.error(f"an array of shape {sizes} makes no sense. The header is damaged", where)
        if strides is None:
            steps = tuple(kind.itemsize * math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
        else:
            steps = tuple(int(s) for s in strides)
        if math.prod(sizes):
            low = start + sum(min(s * (n - 1), 0) for s, n in zip(steps, sizes, strict=True))
            high = start + sum(max(s * (n - 1), 0) for s, n in zip(steps, sizes, strict=True)) + kind.itemsize
            self.check(low, high - low, where)
        return FileArray(self, kind, sizes, start, steps, float(scale), float(offset))

    def beside(self, name: str) -> Source | None:
        """Return the companion of that name, upper or lower case, or None if there is none."""
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            return None
        if self.data is not None:
            found = None if self._beside is None else self._beside(name)
            folder = self.path[: len(self.path) - len(self.name)]
            return None if found is None else Source(folder + name, found, beside=self._beside)
        folder = os.path.dirname(self.path)
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            path = next((os.path.join(folder, n) for n in os.listdir(folder) if n.lower() == name.lower()), "")
        return Source(path) if path and os.path.isfile(path) else None

    @contextlib.contextmanager
    def on_disk(self, *companions: str, suffix: str = "") -> Iterator[str]:
        """Give a path for libraries that want one; what is in memory goes into a folder that is removed again.

        Parameters
        ----------
        *companions : str
            Names of files that must lie beside it.
        suffix : str
            What the name must end with there, if it has no suffix.
        """
        if self.data is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="sid-") as folder:
            for one in (self, *filter(None, map(self.beside, companions))):
                with open(os.path.join(folder, one.name), "wb") as file:
                    file.write(one.read())
            path = os.path.join(folder, self.name)
            if suffix and not self.suffix:
                os.rename(path, path + suffix)
                path += suffix
            yield path


class FileArray(BackendArray):
    """An array in a file, read when it is indexed; pickles, and knows when the file is another one.

    Made by `Source.array`, which checks that it lies in the file.
    """

    def __init__(
        self,
        source: Source,
        stored: np.dtype[Any],
        shape: tuple[int, ...],
        start: int,
        strides: tuple[int, ...],
        scale: float,
        offset: float,
    ) -> None:
        self.path, self.data, self.identity = source.path, source.data, (source.size, source.mtime)
        self.stored, self.shape, self.start, self.strides = stored, shape, start, strides
        self.scale, self.offset = scale, offset
        self.is_scaled = scale != 1.0 or offset != 0.0
        self.dtype = np.dtype(np.float64) if self.is_scaled else stored.newbyteorder("=")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        if self.data is not None or not math.prod(self.shape):
            return self._taken(self.data, key)
        try:
            with open(self.path, "rb") as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != self.identity:
                    raise FormatError(self.path, "", "the file was changed since it was opened. Open it again.")
                # Not closed by hand: it goes when the last view of it goes, which is before this returns.
                return self._taken(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), key)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise FormatError(self.path, "", "the file is not there any more") from None

    def _taken(self, buffer: Any, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        view: np.ndarray[Any, Any] = np.ndarray(
            self.shape, self.stored, buffer if math.prod(self.shape) else None, *self._where()
        )
        part = _picked(view, key)
        if not self.is_scaled:
            return np.array(part, dtype=self.dtype, order="C")  # a copy: the map is closed when this returns
        out = np.array(part, dtype=np.float64, order="C")
        out *= self.scale
        out += self.offset
        return out

    def _where(self) -> tuple[Any, ...]:
        return (self.start, self.strides) if math.prod(self.shape) else ()


def _picked(view: np.ndarray[Any, Any], key: tuple[Any, ...]) -> Any:
    """Return the part that a key names: slices, numbers, and one list at most, each along its own dimension."""
    lists = [(i, k) for i, k in enumerate(key) if isinstance(k, np.ndarray)]
    if not lists:
        return view[key]
    ((at, chosen),) = lists
    # numpy would move the dimension of a list to the front where numbers stand beside it.
    rest = view[(*key[:at], slice(None), *key[at + 1 :])]
    return np.take(rest, chosen, axis=at - sum(not isinstance(k, slice) for k in key[:at]))
