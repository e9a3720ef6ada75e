"""Stream values into HDF5: arrays in memory at once, lazy ones block by block."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from sid_xarray.options import OPTIONS

__all__ = ["progress", "store"]


def store(pairs: Sequence[tuple[Any, h5py.Dataset]]) -> None:
    """Write every array into its dataset.

    Lazy arrays are computed together, so that what they share is computed once; a block is written and
    forgotten. Any dask client or scheduler may do the computing, the writing is done here.
    """
    lazy = [(source, target) for source, target in pairs if hasattr(source, "dask")]
    for source, target in pairs:
        if not hasattr(source, "dask"):
            _write(target, (Ellipsis,), np.asarray(source))
    if not lazy:
        return
    import dask.array as da
    from dask.base import get_scheduler
    from xarray.backends.locks import HDF5_LOCK

    scheduler = get_scheduler()
    remote = scheduler is not None and "distributed" in getattr(scheduler, "__module__", "")
    with progress():
        if remote:
            _by_blocks(lazy)
        else:
            sources, targets = zip(*lazy, strict=True)
            da.store(list(sources), list(targets), lock=HDF5_LOCK, compute=True, return_stored=False)


def _write(target: h5py.Dataset, where: tuple[Any, ...], values: np.ndarray[Any, Any]) -> None:
    if values.size == 0:
        return
    if target.shape == ():
        target[()] = values[()] if values.dtype != object else values.item()
    else:
        target[where] = values


def _by_blocks(pairs: Sequence[tuple[Any, h5py.Dataset]]) -> None:
    """Fetch block after block from a cluster: an HDF5 handle cannot travel to its workers."""
    import dask
    from dask.array.core import slices_from_chunks

    layouts: dict[tuple[Any, ...], list[tuple[Any, h5py.Dataset]]] = {}
    for source, target in pairs:
        layouts.setdefault(source.chunks, []).append((source, target))
    for chunks, members in layouts.items():
        for where in slices_from_chunks(chunks):
            # Arrays of one layout go together: maps of one fit come from the same tasks.
            for values, (_, target) in zip(dask.compute(*(s[where] for s, _ in members)), members, strict=True):
                _write(target, where or ((),), np.asarray(values))


@contextlib.contextmanager
def progress() -> Iterator[None]:
    """Show a bar for work longer than a second, if the options say so."""
    wanted = OPTIONS["progress"]
    if wanted is False or (wanted == "auto" and not sys.stderr.isatty()):
        yield
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar(minimum=1.0, out=sys.stderr):
        yield
