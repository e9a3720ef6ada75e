"""Stream values into HDF5: arrays in memory at once, lazy ones block by block."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import xarray as xr

from sid_xarray.io._digest import Sum, of_dataset
from sid_xarray.io._layout import read_blocks
from sid_xarray.options import OPTIONS

__all__ = ["Job", "progress", "store"]


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
    """

    values: xr.Variable
    target: h5py.Dataset
    cast: np.dtype[Any] | None = None
    name: Hashable = None


def store(jobs: Sequence[Job]) -> dict[Hashable, Sum]:
    """Write every array into its dataset, and return the checksums of what was written, by name.

    Lazy arrays are computed together, so that what they share is computed once; a block is written and
    forgotten. Any dask client or scheduler may do the computing, the writing is done here.
    """
    dask_jobs = [job for job in jobs if job.values.chunks is not None]
    for job in jobs:
        if job.values.chunks is None:
            _store_numpy(job)
    if dask_jobs:
        _store_dask(dask_jobs)
    return {job.name: of_dataset(getattr(job.target, "dataset", job.target)) for job in jobs}


def _store_numpy(job: Job) -> None:
    if job.values._in_memory:
        _write(job.target, (Ellipsis,), np.asarray(job.values.data), job.cast)
        return
    # Lazy from a file: read in blocks, and not into the cache of the variable.
    shape = job.values.shape
    if 0 in shape:
        return
    block = read_blocks(shape, max(job.values.dtype.itemsize, 1), job.target.chunks) or shape
    starts = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for corner in itertools.product(*starts):
        where = tuple(slice(i, min(i + b, n)) for i, b, n in zip(corner, block, shape, strict=True))
        _write(job.target, where or (Ellipsis,), np.asarray(job.values[where].values), job.cast)


def _write(
    target: h5py.Dataset, where: tuple[Any, ...], values: np.ndarray[Any, Any], cast: np.dtype[Any] | None
) -> None:
    if values.size == 0:
        return
    if cast is not None:
        values = values.astype(cast)
    target[() if target.shape == () else where] = values


def _store_dask(jobs: Sequence[Job]) -> None:
    import dask.array as da
    from dask.base import get_scheduler
    from xarray.backends.locks import HDF5_LOCK

    scheduler = get_scheduler()
    remote = scheduler is not None and "distributed" in getattr(scheduler, "__module__", "")
    with progress():
        if remote:
            _by_blocks(jobs)
        else:
            sources = [job.values.data if job.cast is None else job.values.data.astype(job.cast) for job in jobs]
            da.store(sources, [job.target for job in jobs], lock=HDF5_LOCK, compute=True, return_stored=False)


def _by_blocks(jobs: Sequence[Job]) -> None:
    """Fetch block after block from a cluster: an HDF5 handle cannot travel to its workers."""
    import dask
    from dask.array.core import slices_from_chunks

    layouts: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        layouts.setdefault(job.values.chunks or (), []).append(job)
    for chunks, members in layouts.items():
        for where in slices_from_chunks(chunks):
            # Arrays of one layout go together: maps of one fit come from the same tasks.
            for values, job in zip(dask.compute(*(j.values.data[where] for j in members)), members, strict=True):
                _write(job.target, where or (Ellipsis,), np.asarray(values), job.cast)


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
