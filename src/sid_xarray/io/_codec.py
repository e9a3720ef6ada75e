"""Chunks as HDF5 stores them: values become the bytes that its filters would make of them."""

from __future__ import annotations

import contextlib
import secrets
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py._hl.base import phil

from sid_xarray.io._filters import registered

__all__ = ["Chunk", "Codec", "codec_of", "read_chunk", "write_chunk"]

Array = np.ndarray[Any, Any]
_DEFLATE, _SHUFFLE = 1, 2
_FIRST_PLUGIN = 256
_BLOSC2 = 32026
# shuffle, deflate, Fletcher-32, szip; lzf, bzip2, Blosc, LZ4, bitshuffle, Zstandard
_LOSSLESS = frozenset((1, 2, 3, 4, 32000, 307, 32001, 32004, 32008, 32015))


@dataclass(frozen=True)
class Chunk:
    """One chunk, as the file will hold it.

    Attributes
    ----------
    data : bytes-like
    mask : int
        Which filters were left out, as ``write_direct_chunk`` wants it.
    values : ndarray
        What will be read: some filters lose digits.
    """

    data: Any
    mask: int
    values: Array


@dataclass(frozen=True)
class Codec:
    """The filters of a chunked dataset; it travels to other processes.

    Attributes
    ----------
    dtype : dtype
        Of the file.
    chunks : tuple of int
    filters : tuple of (int, int, tuple of int)
        Number, flags and parameters of every filter, as HDF5 has them.
    """

    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    filters: tuple[tuple[int, int, tuple[int, ...]], ...]

    @property
    def simple(self) -> bool:
        """Whether the bytes can be made without HDF5, and so in several threads at once."""
        return [number for number, _, _ in self.filters] in ([], [_DEFLATE], [_SHUFFLE, _DEFLATE])

    @property
    def lossless(self) -> bool:
        """Whether what is read is surely what was written."""
        return all(n in _LOSSLESS or (n == _BLOSC2 and max(p[5:6], default=0) <= 2) for n, _, p in self.filters)

    def encode(self, values: Array) -> Chunk:
        """Return one chunk.

        Parameters
        ----------
        values : ndarray
            In the dtype of the file, C order; smaller than a chunk at the end of an axis.
        """
        whole = values
        if values.shape != self.chunks:
            whole = np.zeros(self.chunks, dtype=self.dtype)
            whole[tuple(slice(n) for n in values.shape)] = values
        if not self.simple:
            return self._by_hdf5(whole, values)
        raw = np.ascontiguousarray(whole).reshape(-1).view("u1")
        for number, _, parameters in self.filters:
            if number == _SHUFFLE:
                raw = np.ascontiguousarray(raw.reshape(-1, self.dtype.itemsize).T).reshape(-1)
            else:
                return Chunk(zlib.compress(raw.data, parameters[0]), 0, values)
        return Chunk(raw, 0, values)

    def decode(self, data: bytes, mask: int) -> Array:
        """Return the values of one chunk, given its bytes and which filters were left out."""
        with self._nowhere() as dataset:
            write_chunk(dataset, (0,) * len(self.chunks), data, mask)
            return np.asarray(dataset[...])

    def _by_hdf5(self, whole: Array, values: Array) -> Chunk:
        """Let HDF5 do it."""
        with self._nowhere() as dataset:
            dataset[...] = whole
            dataset.flush()
            mask, data = read_chunk(dataset, (0,) * len(self.chunks))
        if not self.lossless:
            values = self.decode(data, mask)[tuple(slice(n) for n in values.shape)]
        return Chunk(data, mask, values)

    @contextlib.contextmanager
    def _nowhere(self) -> Iterator[h5py.Dataset]:
        """Give a dataset of one chunk, in a file that is nowhere."""
        if any(number >= _FIRST_PLUGIN for number, _, _ in self.filters):
            with contextlib.suppress(ImportError):
                registered()  # another process knows no filter but those of HDF5
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(self.chunks)
        for number, flags, parameters in self.filters:
            plist.set_filter(number, flags, parameters)
        kind = h5py.h5t.py_create(self.dtype, logical=True)
        # Two files in memory with one name are one to HDF5.
        with h5py.File(f"chunk-{secrets.token_hex(8)}", "w", driver="core", backing_store=False) as file:
            space = h5py.h5s.create_simple(self.chunks)
            yield h5py.Dataset(h5py.h5d.create(file.id, b"chunk", kind, space, plist))


def read_chunk(dataset: h5py.Dataset, start: tuple[int, ...]) -> tuple[int, bytes]:
    """Return which filters were left out of a chunk, and its bytes.

    Up to h5py 3.12 these functions do not keep other threads out of HDF5, where one may be closing what it has found
    to be garbage: the lock of h5py is taken for them.
    """
    with phil:
        mask, data = dataset.id.read_direct_chunk(start)
    return int(mask), data


def write_chunk(dataset: h5py.Dataset, start: tuple[int, ...], data: Any, mask: int) -> None:
    """Write the bytes of a chunk; with the lock of h5py, as for `read_chunk`."""
    with phil:
        dataset.id.write_direct_chunk(start, data, mask)


def codec_of(dataset: h5py.Dataset) -> Codec | None:
    """Return how the chunks of a dataset of numbers are made; None if it has none."""
    if dataset.chunks is None or dataset.dtype.kind not in "biufc":
        return None
    plist = dataset.id.get_create_plist()
    filters = []
    for i in range(plist.get_nfilters()):
        number, flags, parameters, _ = plist.get_filter(i)
        filters.append((int(number), int(flags), tuple(int(p) for p in parameters)))
    return Codec(dataset.dtype, dataset.chunks, tuple(filters))
