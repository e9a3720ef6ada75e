"""Blocks that were computed, kept beside the file until it is complete: who is interrupted goes on where he was.

A block is a small file of its own: a checksum, then the values as ``.npy``. What is there when writing begins takes the
place of the task that would compute it, so that dask never gets to see the work behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import graph_name, is_chunked, is_source
from sid_xarray.version import __version__

__all__ = ["Journal", "keeping", "kept"]

_DIGEST = 16


@dataclass(frozen=True)
class Journal:
    """Where blocks of the arrays of one file are kept."""

    folder: str

    def over(self, values: xr.Variable) -> xr.Variable:
        """Return the same dask array, whose blocks are kept when they are computed, and computed only once.

        Its place in the journal is the name of its graph, in which dask has what it is made of, down to the file and
        the time when that was changed; and our version. Where dask cannot tell, that name is never the same again, and
        everything is computed.
        """
        from dask.array import Array
        from dask.highlevelgraph import HighLevelGraph

        data = values.data
        said = repr((__version__, graph_name(values), str(data.dtype), data.chunks))
        own = hashlib.sha256(said.encode()).hexdigest()[:24]
        folder = os.path.join(self.folder, own)
        os.makedirs(folder, exist_ok=True)
        name = f"sid-journal-{own}-{secrets.token_hex(4)}"
        layer: dict[Any, Any] = {}
        for index in itertools.product(*(range(len(c)) for c in data.chunks)):
            path = os.path.join(folder, "-".join(map(str, index)) or "0")
            shape = tuple(c[i] for c, i in zip(data.chunks, index, strict=True))
            known = _read(path, shape, data.dtype) is not None
            layer[(name, *index)] = (_load, path) if known else (_keep, path, (data.name, *index))
        graph = HighLevelGraph.from_collections(name, layer, dependencies=[data])
        return xr.Variable(values.dims, Array(graph, name, data.chunks, meta=data._meta), values.attrs)


_ACTIVE: ContextVar[Journal | None] = ContextVar("sid_xarray_journal", default=None)


@contextlib.contextmanager
def keeping(path: str) -> Iterator[None]:
    """Keep blocks that are computed for a file, until the block ends well."""
    folder, name = os.path.split(os.path.realpath(path))
    journal = Journal(os.path.join(folder, f".{name}.sidjob"))
    if os.path.exists(journal.folder) and not os.path.isdir(journal.folder):
        raise FileExistsError(f"{journal.folder} is no folder, and blocks are kept there; nothing was written")
    token = _ACTIVE.set(journal)
    try:
        yield
    finally:
        _ACTIVE.reset(token)
    shutil.rmtree(journal.folder, ignore_errors=True)


def kept(values: xr.Variable) -> xr.Variable:
    """Return the array with its blocks kept, if there is a journal and something to compute."""
    journal = _ACTIVE.get()
    # What only lies in a file is read again, and objects cannot be kept without pickle.
    if journal is None or not is_chunked(values) or values.dtype.hasobject or is_source(values):
        return values
    return journal.over(values)


def _keep(path: str, block: Any) -> Any:
    """Write a block beside its place and put it there; return it."""
    values = np.asarray(block)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    content = buffer.getbuffer()
    beside = f"{path}.{secrets.token_hex(4)}"
    with open(beside, "xb") as file:
        file.write(hashlib.blake2b(content, digest_size=_DIGEST).digest())
        file.write(content)
    os.replace(beside, path)
    return block


def _load(path: str) -> Any:
    with open(path, "rb") as file:
        file.seek(_DIGEST)
        return np.load(io.BytesIO(file.read()), allow_pickle=False)


def _read(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return a block; None if it is not there, or not whole."""
    try:
        with open(path, "rb") as file:
            digest, content = file.read(_DIGEST), file.read()
        if hashlib.blake2b(content, digest_size=_DIGEST).digest() != digest:
            return None
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == shape and values.dtype == dtype else None
