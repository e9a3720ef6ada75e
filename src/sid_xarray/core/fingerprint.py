"""Fingerprints: cheap proofs that values are still those that a step produced."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._arrays import host, is_foreign
from sid_xarray.core.chunked import is_lazy

__all__ = ["axes_token", "checksum", "file_fingerprint", "token", "token_of_stored"]

_FULL = 2**20
_BLOCKS = 64


def token(obj: xr.DataArray | xr.Variable) -> str | None:
    """Return a fingerprint of values in memory; None for lazy data and values that have no bytes.

    All bytes count below 1 MiB; above, 64 blocks of 16 KiB that are spread evenly, so a change of a few
    pixels in a large array can go unseen. Files keep a full checksum for that. An array of another library than NumPy
    is copied from its device, and has the fingerprint of that copy.
    """
    if is_lazy(obj):
        return None
    values = _in_numpy(obj.data)
    if not isinstance(values, np.ndarray) or values.dtype.hasobject:
        return None
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{_plain_dtype(values.dtype)}{values.shape}".encode())
    for part in _sample(values):
        digest.update(_little(part))
    return digest.hexdigest()


def _in_numpy(values: Any) -> Any:
    """Return an array as one of NumPy, if its library makes one."""
    if not is_foreign(values):
        return values
    try:
        return host(values)
    except (AttributeError, TypeError, ValueError, RuntimeError):  # sparse arrays are not filled in passing
        return None


def token_of_stored(da: xr.DataArray) -> str | None:
    """Return the `token` of values in a file: no more of a large array is read than counts.

    Raises
    ------
    OSError
        If the values cannot be read.
    """
    if not is_lazy(da) or da.nbytes <= _FULL:
        return token(da.copy(deep=False).load())
    if da.dtype.hasobject:
        return None
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{_plain_dtype(da.dtype)}{da.shape}".encode())
    length, starts = _blocks(da.size, da.dtype.itemsize)
    for start in starts.tolist():
        for where in _slabs(da.shape, start, start + length):
            digest.update(_little(da.variable[where].values))
    return digest.hexdigest()


def _slabs(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes that hold the values ``start`` to ``stop`` of an array in C order, one after the other."""
    inner = math.prod(shape[1:])
    if len(shape) == 1:
        yield (slice(start, stop),)
        return
    while start < stop:
        row, offset = divmod(start, inner)
        whole = (stop - start) // inner if offset == 0 else 0
        if whole:
            yield (slice(row, row + whole), *(slice(0, n) for n in shape[1:]))
            start += whole * inner
        else:
            end = min(stop, (row + 1) * inner)
            for rest in _slabs(shape[1:], offset, end - row * inner):
                yield (slice(row, row + 1), *rest)
            start = end


def axes_token(da: xr.DataArray) -> str | None:
    """Return a fingerprint of the positions along all dimensions; None if one of them is lazy.

    A dimension without a coordinate counts 0 … n-1, so that one which spells this out is the same. Numbers
    are compared as float64: a file may keep them in another type.
    """
    digest = hashlib.blake2b(digest_size=8)
    coords = da._coords  # no DataArray is built for every dimension
    for dim in da.dims:
        coord = coords.get(dim)
        if coord is None:
            digest.update(_counted(da.sizes[dim]))
        elif dim not in da._indexes and is_lazy(coord):
            return None
        else:
            digest.update(_positions(coord.values))
    return digest.hexdigest()


def _counted(n: int) -> bytes:
    """Return what `_positions` gives for 0 … n-1, without making all of them."""
    if 8 * n <= _FULL:
        return _positions(np.arange(n))
    length = 2**14 // 8
    starts = np.linspace(0, n - length, _BLOCKS).astype(np.int64)
    parts = [np.arange(s, s + length) for s in starts]
    return np.concatenate([*parts, np.array([n - 1])]).astype("<f8").tobytes()


def _positions(values: np.ndarray[Any, Any]) -> bytes:
    if values.nbytes > _FULL:
        values = np.concatenate([*_sample(values), values[-1:]])
    if values.dtype.kind in "biuf":
        return values.astype("<f8").tobytes()
    if values.dtype.kind == "c":
        return values.astype("<c16").tobytes()
    if values.dtype.kind in "mM":
        return values.astype(f"<{values.dtype.kind}8[ns]").tobytes()
    # Text of any type (fixed length, variable length, objects) is the same text.
    return "\0".join(map(str, values.tolist())).encode(errors="surrogatepass")


def checksum(values: np.ndarray[Any, Any]) -> str:
    """Return the sha256 of all bytes: C order, little-endian."""
    return hashlib.sha256(_little(values)).hexdigest()


def _plain_dtype(dtype: np.dtype[Any]) -> str:
    return dtype.newbyteorder("<").str if dtype.kind not in "V" else str(dtype)


def _little(values: np.ndarray[Any, Any]) -> bytes:
    if values.dtype.kind != "V":
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(values).tobytes()


def _sample(values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    if values.nbytes <= _FULL:
        return [values]
    length, starts = _blocks(values.size, values.dtype.itemsize)
    if values.flags.c_contiguous:
        flat = values.reshape(-1)
        return [flat[s : s + length] for s in starts]
    positions = (starts[:, np.newaxis] + np.arange(length)).ravel()
    return [values[np.unravel_index(positions, values.shape)]]


def _blocks(size: int, itemsize: int) -> tuple[int, np.ndarray[Any, Any]]:
    """Return how many values a block of a sample has, and where the blocks start."""
    length = max(1, 2**14 // itemsize)
    return length, np.linspace(0, size - length, _BLOCKS).astype(np.int64)


def file_fingerprint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return base name, size, and the sha256 of the first and last MiB of a file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    size = os.path.getsize(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        digest.update(file.read(_FULL))
        if size > _FULL:
            file.seek(max(_FULL, size - _FULL))
            digest.update(file.read(_FULL))
    return {"name": os.path.basename(os.fspath(path)), "size": size, "sha256": digest.hexdigest()}
