"""Arrays that stay in their file until they are indexed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from xarray.backends import BackendArray, CachingFileManager
from xarray.core import indexing

from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._filters import with_filters

__all__ = ["FileArray", "H5Array"]

Array = np.ndarray[Any, Any]
_MAX_EXPANSION = 5000
_BLOCK = 32 * 2**20
_GAP = 4096
_CHANGED = "the file was changed since it was opened. Open it again."


class FileArray(BackendArray):
    """An array that lives in a file, as it is there.

    Parameters
    ----------
    source : CachingFileManager
    place : str
        HDF5 path.
    dataset : h5py.Dataset
        The dataset there, for shape and dtype.
    field : str, optional
        Of a compound dtype.
    cast : dtype, optional
        To convert to from what is stored.
    pinned : str, optional
        What `_h5.pin` said: the array is that one and no other that came to its place later.
    """

    support = indexing.IndexingSupport.OUTER

    def __init__(
        self,
        source: CachingFileManager[h5py.File],
        place: str,
        dataset: h5py.Dataset,
        *,
        field: str | None = None,
        cast: np.dtype[Any] | None = None,
        pinned: str | None = None,
    ) -> None:
        self.source, self.place, self.field, self.pinned = source, place, field, pinned
        self.stored_shape, self.stored_dtype = dataset.shape, dataset.dtype
        self.shape: tuple[int, ...] = self.stored_shape
        plain = self.stored_dtype if field is None else self.stored_dtype[field]
        self.text = plain.kind == "O" and h5py.check_string_dtype(plain) is not None
        self.dtype = cast if cast is not None else np.dtype(object) if plain.kind == "O" else np.dtype(plain.str)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if isinstance(key, indexing.BasicIndexer | indexing.OuterIndexer):
            # xarray stumbles over a slice that goes backwards over nothing.
            key = indexing.OuterIndexer(tuple(_forward(k, n) for k, n in zip(key.tuple, self.shape, strict=True)))
        return indexing.explicit_indexing_adapter(key, self.shape, self.support, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        path = str(self.source._args[0])
        with _h5.opened(self.source, path) as file:
            dataset, pinned = file.kept.get(self.place, (None, None))
            # A dataset is true as long as it is open.
            if not dataset or pinned != self.pinned:
                dataset = self._dataset(file, path)
            if dataset.id.shape != self.stored_shape or dataset.dtype != self.stored_dtype:
                raise FormatError(path, self.place, _CHANGED)
            file.keep(self.place, dataset, self.pinned)
            try:
                values = with_filters(dataset, lambda: self.values_of(dataset, key))
            except Exception as error:
                hollow = _is_hollow(dataset)
                if isinstance(error, MemoryError) and not hollow:
                    raise
                said = f"declares the shape {dataset.shape} and holds almost nothing" if hollow else "cannot be read"
                raise FormatError(path, self.place, f"values: {said}: {_h5.first_line(error)}") from error
        return values.astype(self.dtype, copy=False)

    def _dataset(self, file: h5py.File, path: str) -> h5py.Dataset:
        above, _, name = self.place.rpartition("/")
        group = _h5.find(file, above or "/")
        dataset = _h5.find(group, name) if isinstance(group, h5py.Group) else None
        if not isinstance(dataset, h5py.Dataset) or _h5.pin_of(group) != self.pinned:
            raise FormatError(path, self.place, _CHANGED)
        if not _h5.is_stored_here(dataset):
            raise FormatError(path, self.place, "keeps its values in other files; they are not followed")
        return h5py.Dataset(dataset.id, readonly=True)

    def values_of(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        """Return what a key of integers, slices and 1-D arrays selects, one axis after the other."""
        arrays = [i for i, k in enumerate(key) if isinstance(k, np.ndarray)]
        # HDF5 takes slices at once; lists are sorted out in memory.
        spans = tuple(_hull(k) if i in arrays else k for i, k in enumerate(key))
        values = self.fetch(dataset, spans)
        kept = [i for i, k in enumerate(key) if isinstance(k, np.ndarray | slice)]
        for axis, i in enumerate(kept):
            if i in arrays:
                values = values.take(key[i] - spans[i].start, axis=axis)
        return values

    def fetch(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        """Read one rectangle: the only place where values leave a file."""
        if any(isinstance(k, slice) and (k.step or 1) > 1 for k in key):
            return _thinned(functools.partial(self._fetch, dataset), dataset, key)
        return self._fetch(dataset, key)

    def _fetch(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        if self.text:
            held = dataset if self.field is None else dataset.fields(self.field)
            return _h5.texts(held.asstr(errors="surrogateescape")[key])
        return np.asarray((dataset.fields(self.field) if self.field else dataset)[key])


class H5Array(FileArray):
    """An array that is read as h5py reads it: lists of places along one axis go to HDF5."""

    support = indexing.IndexingSupport.OUTER_1VECTOR

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.text = self.text and self.field is None

    def values_of(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        """Return what a key of integers, slices and one 1-D array selects."""
        return self.fetch(dataset, key)


def _thinned(fetch: Callable[[tuple[Any, ...]], Array], dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
    """Read every n-th value: all of them are read and most thrown away, where HDF5 has to touch all anyway.

    HDF5 itself copies one value after the other, which takes ten times as long as to read what lies between.
    """
    spans, steps = list(key), [1] * len(key)
    for i, k in enumerate(key):
        if isinstance(k, slice) and (k.step or 1) > 1 and _is_near(dataset, i, k.step):
            places = range(*k.indices(dataset.shape[i]))
            spans[i], steps[i] = slice(places[0], places[-1] + 1) if places else slice(0, 0), k.step
    kept = [i for i, k in enumerate(key) if not isinstance(k, int | np.integer)]
    part = tuple(slice(None, None, steps[i]) for i in kept)
    widths = [_width(spans[i], n) for i, n in enumerate(dataset.shape)]
    rows = max(1, _BLOCK // max(1, math.prod(widths) // max(1, widths[kept[0]]) * dataset.dtype.itemsize))
    first, step = spans[kept[0]], steps[kept[0]]
    if not isinstance(first, slice) or widths[kept[0]] <= rows or (first.step or 1) > 1:
        return fetch(tuple(spans))[part]
    rows = max(1, rows // step) * step
    parts = []
    for start in range(first.start or 0, (first.start or 0) + widths[kept[0]], rows):
        spans[kept[0]] = slice(start, min(start + rows, (first.start or 0) + widths[kept[0]]))
        # A copy, so that what is thrown away does not stay in memory.
        parts.append(np.ascontiguousarray(fetch(tuple(spans))[part]))
    return np.concatenate(parts)


def _width(key: Any, size: int) -> int:
    if isinstance(key, slice):
        return len(range(*key.indices(size)))
    return len(key) if isinstance(key, np.ndarray) else 1


def _is_near(dataset: h5py.Dataset, axis: int, step: int) -> bool:
    """Tell whether two places along an axis lie in one chunk, or on one page of a bare file."""
    if dataset.chunks is not None:
        return bool(step <= dataset.chunks[axis])
    return bool(step * math.prod(dataset.shape[axis + 1 :]) * dataset.dtype.itemsize <= _GAP)


def _forward(key: Any, size: int) -> Any:
    """Return a backward slice as the positions it names; anything else as it is."""
    return np.arange(*key.indices(size)) if isinstance(key, slice) and (key.step or 1) < 0 else key


def _hull(index: Array) -> slice:
    return slice(int(index.min()), int(index.max()) + 1) if index.size else slice(0, 0)


def _is_hollow(dataset: h5py.Dataset) -> bool:
    return bool(dataset.size * dataset.dtype.itemsize > _MAX_EXPANSION * max(dataset.id.get_storage_size(), 1))
