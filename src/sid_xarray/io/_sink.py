"""Where the blocks of an array go: complete tiles are hashed and written once, whatever the order they come in."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.backends.locks import HDF5_LOCK

from sid_xarray.io._codec import codec_of, read_chunk, write_chunk
from sid_xarray.io._digest import Sum, combine, of_dataset, read_tile, tile_digest, tile_shape, tiles
from sid_xarray.io._pause import paused
from sid_xarray.io._recipe import Cut, Encoded, Place, Recipe, Weaver

__all__ = ["Job", "Sink"]

Array = np.ndarray[Any, Any]
_UNFINISHED = 64 * 2**20
_DIGEST = 32


@dataclass
class Job:
    """Values and the dataset that they go to.

    Attributes
    ----------
    values : Variable
        In memory, a dask array, or lazy from a file.
    target : h5py.Dataset
    cast : dtype or None
        To convert every block to before it is written.
    name : hashable
        Of the variable.
    weaver : Weaver or None
        Lays out the axes, if those of the dataset are others.
    """

    values: xr.Variable
    target: h5py.Dataset
    cast: np.dtype[Any] | None = None
    name: Hashable = None
    weaver: Weaver | None = None


@dataclass
class _Unfinished:
    """A tile of which parts are there: they wait in memory for the rest."""

    tile: Place
    values: Array
    missing: int
    parts: list[Place] = field(default_factory=list)


class Sink:
    """Takes the blocks of one array, in any order and from any thread.

    A tile that a block holds whole is hashed, encoded and written at once; parts wait in memory until the
    tile is complete. Chunks are written past HDF5, as the bytes that it would have made, where these are known.

    Parameters
    ----------
    job : Job
    advance : callable
        Told how many bytes were written, before compression.
    room : int
        Bytes that unfinished tiles may take; beyond, they are written in parts.

    Attributes
    ----------
    stopped : bool
        Whether to refuse further blocks.
    """

    def __init__(self, job: Job, *, advance: Callable[[int], None], room: int = _UNFINISHED) -> None:
        self.job, self.dataset, self.advance, self.room = job, job.target, advance, room
        self.shape, self.ndim, self.dtype = job.values.shape, job.values.ndim, job.values.dtype
        stored, self.chunks = self.dataset.dtype, self.dataset.chunks
        self.numbers = stored.kind in "biufcV" and self.dataset.size > 0
        tile = tile_shape(self.dataset.shape, stored.itemsize, self.chunks)
        codec = codec_of(self.dataset)
        if codec is not None and not codec.lossless:
            tile = codec.chunks  # what a filter makes of them is known of single chunks
        codec = codec if tile == self.chunks else None
        self.recipe = Recipe(self.dataset.shape, tile, stored, job.cast, job.weaver, codec)
        self._here = Recipe(*(getattr(self.recipe, n) for n in ("shape", "tile", "dtype", "cast", "weaver")))
        if codec is not None and (codec.simple or not codec.lossless):
            self._here = self.recipe
        self._counts = tuple(-(-n // t) for n, t in zip(self.dataset.shape, tile, strict=True) if n)
        self._digests = bytearray(_DIGEST * math.prod(self._counts)) if self.numbers else bytearray()
        self._hashed = bytearray(math.prod(self._counts)) if self.numbers else bytearray()
        self._unfinished: dict[tuple[int, ...], _Unfinished] = {}
        self._given_up: set[tuple[int, ...]] = set()
        self._held = 0
        self._guard = threading.Lock()
        self.stopped = False

    def __dask_tokenize__(self) -> str:
        return secrets.token_hex(8)

    def __setitem__(self, key: Any, block: Any) -> None:
        self.put(key, block)

    def put(self, key: Any, block: Any, run: Callable[..., None] | None = None) -> None:
        """Take a block.

        Parameters
        ----------
        key : tuple of slice
            Its place in the array.
        block : array_like
        run : callable, optional
            Called with a function and its arguments for every tile that is to be hashed and written.
        """
        if self.stopped:
            raise InterruptedError(f"{self.job.name} is not written any more: it was stopped")
        if not self.numbers:
            self._put_plain(key, np.asarray(block))
            return
        for place, values in self.recipe.pieces(key, block):
            for cut in self.recipe.cuts(place):
                if cut.whole:
                    work: tuple[Any, ...] = (self._finish, cut.index, cut.tile, values[cut.inside])
                else:
                    complete = self._part(place, cut, self.recipe.stored(values[cut.inside]))
                    if complete is None:
                        continue
                    work = (self._finish, cut.index, complete.tile, complete.values)
                if run is None:
                    work[0](*work[1:])
                else:
                    run(*work)

    def put_encoded(self, found: Encoded) -> None:
        """Take what another process made of a block with the recipe: a tile, or a part of one."""
        if found.digest is None:
            for cut in self.recipe.cuts(found.place):
                complete = self._part(found.place, cut, found.data[cut.inside])
                if complete is not None:
                    self._finish(cut.index, complete.tile, complete.values)
            return
        index = tuple(s.start // t for s, t in zip(found.place, self.recipe.tile, strict=True))
        self._write(found, chunk=self.recipe.codec is not None)
        self._note(index, found.digest)

    def sum(self) -> Sum:
        """Return the checksum of what was written; what was not written in one go is read again."""
        if not self.numbers:
            with HDF5_LOCK, paused():
                return of_dataset(self.dataset)
        for index, left in list(self._unfinished.items()):
            self._give_up(index, left)
        shape, tile = self.dataset.shape, self.recipe.tile
        if not all(self._hashed):
            for i, place in enumerate(tiles(shape, tile)):
                if not self._hashed[i]:
                    self._digests[i * _DIGEST : (i + 1) * _DIGEST] = tile_digest(self._read(place))
        digests = (bytes(self._digests[i : i + _DIGEST]) for i in range(0, len(self._digests), _DIGEST))
        return Sum(self.dataset.dtype, shape, tile, combine(digests))

    def _read(self, place: Place) -> Array:
        """Read a tile again: as it is in the file, not as HDF5 still remembers it."""
        codec = self.recipe.codec
        with HDF5_LOCK, paused():
            if codec is None or codec.lossless:
                return read_tile(self.dataset, place)
            self.dataset.flush()
            mask, data = read_chunk(self.dataset, tuple(s.start for s in place))
        return codec.decode(data, mask)[tuple(slice(s.stop - s.start) for s in place)]

    def _put_plain(self, key: Any, values: Array) -> None:
        """Write what has no tiles: text, times of no length, arrays without points."""
        if values.size == 0:
            return
        if self.job.cast is not None:
            values = values.astype(self.job.cast, copy=False)
        key = key if isinstance(key, tuple) else (key,)
        with HDF5_LOCK, paused():
            self.dataset[() if self.dataset.shape == () else key] = values
        self.advance(values.nbytes)

    def _part(self, place: Place, cut: Cut, values: Array) -> _Unfinished | None:
        """Put a part of a tile to the others; return the tile if it is complete now."""
        starts = [p.start + s.start - t.start for p, s, t in zip(place, cut.inside, cut.tile, strict=True)]
        where = tuple(slice(i, i + n) for i, n in zip(starts, values.shape, strict=True))
        with self._guard:
            if cut.index in self._given_up:
                self._write_part(cut.tile, where, values)
                return None
            held = self._unfinished.get(cut.index)
            if held is None:
                shape = tuple(s.stop - s.start for s in cut.tile)
                held = _Unfinished(cut.tile, np.empty(shape, dtype=self.recipe.dtype), math.prod(shape))
                self._unfinished[cut.index] = held
                self._held += held.values.nbytes
            held.values[where] = values
            held.parts.append(where)
            held.missing -= values.size
            if held.missing == 0:
                del self._unfinished[cut.index]
                self._held -= held.values.nbytes
                return held
            while self._held > self.room:
                index = next(iter(self._unfinished))
                self._give_up(index, self._unfinished[index])
        return None

    def _give_up(self, index: tuple[int, ...], left: _Unfinished) -> None:
        """Write the parts of a tile that are there; HDF5 puts the others to them."""
        del self._unfinished[index]
        self._held -= left.values.nbytes
        self._given_up.add(index)
        for where in left.parts:
            self._write_part(left.tile, where, left.values[where])

    def _write_part(self, tile: Place, where: Place, values: Array) -> None:
        place = tuple(slice(t.start + w.start, t.start + w.stop) for t, w in zip(tile, where, strict=True))
        self._write(Encoded(place, values), chunk=False)

    def _finish(self, index: tuple[int, ...], tile: Place, values: Array) -> None:
        found = self._here.encoded(tile, self.recipe.stored(values))
        self._write(found, chunk=self._here.codec is not None)
        self._note(index, found.digest)

    def _note(self, index: tuple[int, ...], digest: bytes | None) -> None:
        i = 0
        for k, n in zip(index, self._counts, strict=True):
            i = i * n + k
        self._digests[i * _DIGEST : (i + 1) * _DIGEST] = digest or b""
        self._hashed[i] = 1

    def _write(self, found: Encoded, *, chunk: bool) -> None:
        nbytes = math.prod(s.stop - s.start for s in found.place) * self.recipe.dtype.itemsize
        with HDF5_LOCK, paused():
            if chunk:
                write_chunk(self.dataset, tuple(s.start for s in found.place), found.data, found.mask)
            else:
                self.dataset[found.place or ()] = found.data
        self.advance(nbytes)
