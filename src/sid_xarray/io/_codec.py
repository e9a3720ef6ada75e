"""Chunks as HDF5 stores them: values become the bytes that its filters would make of them."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from sid_xarray.io._filters import registered

__all__ = ["Codec", "codec_of"]

Array = np.ndarray[Any, Any]
_DEFLATE, _SHUFFLE = 1, 2
_FIRST_PLUGIN = 256


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

    def encode(self, values: Array) -> tuple[Any, int]:
        """Return the bytes of one chunk, and which filters were left out.

        Parameters
        ----------
        values : ndarray
            In the dtype of the file, C order; smaller than a chunk at the end of an axis.

        Returns
        -------
        data : bytes-like
        mask : int
            As ``write_direct_chunk`` wants it.
        """
        if values.shape != self.chunks:
            whole = np.zeros(self.chunks, dtype=self.dtype)
            whole[tuple(slice(n) for n in values.shape)] = values
            values = whole
        if not self.simple:
            return self._by_hdf5(values)
        raw = np.ascontiguousarray(values).reshape(-1).view("u1")
        for number, _, parameters in self.filters:
            if number == _SHUFFLE:
                raw = np.ascontiguousarray(raw.reshape(-1, self.dtype.itemsize).T).reshape(-1)
            else:
                return zlib.compress(raw.data, parameters[0]), 0
        return raw, 0

    def _by_hdf5(self, values: Array) -> tuple[bytes, int]:
        """Let HDF5 do it, in a file that is nowhere."""
        if any(number >= _FIRST_PLUGIN for number, _, _ in self.filters):
            with contextlib.suppress(ImportError):
                registered()  # another process knows no filter but those of HDF5
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(self.chunks)
        for number, flags, parameters in self.filters:
            plist.set_filter(number, flags, parameters)
        kind = h5py.h5t.py_create(self.dtype, logical=True)
        with h5py.File("chunk.h5", "w", driver="core", backing_store=False) as file:
            space = h5py.h5s.create_simple(self.chunks)
            dataset = h5py.Dataset(h5py.h5d.create(file.id, b"chunk", kind, space, plist))
            dataset[...] = values
            file.flush()
            mask, data = dataset.id.read_direct_chunk((0,) * len(self.chunks))
        return data, mask


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
