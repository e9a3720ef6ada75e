"""Stream values into HDF5: arrays in memory at once, lazy ones block by block."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from sid_xarray.core.chunked import is_source
from sid_xarray.io import _journal
from sid_xarray.io._digest import Sum
from sid_xarray.io._layout import read_blocks
from sid_xarray.io._pause import resumed
from sid_xarray.io._progress import progress
from sid_xarray.io._signals import let_through, stoppable
from sid_xarray.io._sink import Job, Sink

__all__ = ["store"]

_MEMORY = 256 * 2**20
"""Bytes that the blocks of a dask array may take while they are computed and written."""
_UNFINISHED = 64 * 2**20
_THREADS = 4


def store(jobs: Sequence[Job]) -> dict[Hashable, Sum]:
    """Write every array into its dataset, and return the checksums of what was written, by name.

    Lazy arrays are computed together, so that what they share is computed once; a block is written and
    forgotten. Any dask client or scheduler may do the computing, the writing is done here.
    """
    total = sum(int(job.values.size) * job.target.dtype.itemsize for job in jobs)
    room = _UNFINISHED // max(1, len(jobs))
    jobs = [replace(job, values=_journal.kept(job.values)) for job in jobs]
    with progress(total, "writing") as advance:
        sinks = [Sink(job, advance=advance, room=room) for job in jobs]
        with resumed():  # what is computed may leave garbage
            _store_all(sinks)
    return {sink.job.name: sink.sum() for sink in sinks}


def _store_all(sinks: Sequence[Sink]) -> None:
    lazy = [sink for sink in sinks if sink.job.values.chunks is not None and not _too_large(sink.job)]
    plain = [sink for sink in sinks if sink not in lazy]

    def stop() -> None:
        for sink in sinks:
            sink.stopped = True

    if plain:
        stoppable(lambda: _store_arrays(plain), stop)
    if lazy:
        scheduler = _scheduler()
        if scheduler is None or getattr(scheduler, "__module__", "") == "dask.threaded":
            stoppable(lambda: _store_here(lazy, scheduler), stop)
        else:
            with let_through():
                _store_dask(lazy, scheduler)


def _store_arrays(sinks: Sequence[Sink]) -> None:
    with _crew() as run:
        for sink in sinks:
            _store_array(sink, run)


def _store_array(sink: Sink, run: Callable[..., None]) -> None:
    """Write what is in memory, or can be read piece by piece."""
    values = sink.job.values
    if values._in_memory:
        sink.put((Ellipsis,), np.asarray(values.data), run)
        return
    # Lazy from a file: read in blocks, and not into the cache of the variable.
    shape = values.shape
    if 0 in shape:
        return
    chunks = sink.chunks if sink.chunks is not None and len(sink.chunks) == sink.ndim else None
    block = read_blocks(shape, max(values.dtype.itemsize, 1), chunks)
    for where in _blocks(shape, block or shape):
        part = values[where]
        # A dask array here is one in too large blocks, of which parts can be read.
        found = part.data.compute(scheduler="synchronous") if part.chunks is not None else part.values
        sink.put(where or (Ellipsis,), np.asarray(found), run)


def _blocks(shape: Sequence[int], block: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    starts = [range(0, n, b) if n else () for n, b in zip(shape, block, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(slice(i, min(i + b, n)) for i, b, n in zip(corner, block, shape, strict=True))


def _largest(chunks: Sequence[Sequence[int]], itemsize: int) -> int:
    return math.prod(max(c, default=0) for c in chunks) * itemsize


def _too_large(job: Job) -> bool:
    """Tell whether the blocks are larger than they need to be: the array is that of a file, cut into few."""
    size = _largest(job.values.chunks or (), job.values.dtype.itemsize)
    return size > _MEMORY // 2 and is_source(job.values)


@contextlib.contextmanager
def _crew() -> Iterator[Callable[..., None]]:
    """Give a function that has work done by a few threads, and waits while they have enough to do."""
    threads = min(_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[None]] = deque()

    def run(work: Callable[..., None], *args: Any) -> None:
        if len(waiting) >= 3 * threads:
            waiting.popleft().result()
        waiting.append(pool.submit(work, *args))

    with ThreadPoolExecutor(threads, "sid-write") as pool:
        try:
            yield run
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _store_dask(sinks: Sequence[Sink], scheduler: Any) -> None:
    from sid_xarray.io import _cluster

    if getattr(scheduler, "__module__", "") == "dask.local":
        _store_here(sinks, scheduler)
    else:
        _cluster.store(sinks, scheduler, memory=_MEMORY)


def _scheduler() -> Any:
    """Return who computes; None for threads."""
    import dask
    from dask.base import get_scheduler

    # To look for a client would import distributed, where nobody else did.
    if "distributed" not in sys.modules and not dask.config.get("scheduler", None):
        return None
    if "distributed" in sys.modules:
        with contextlib.suppress(ValueError):
            # We are a task ourselves (compute=False): whom we wait for might wait for our thread.
            sys.modules["distributed"].get_worker()
            return None
    return get_scheduler()


def _store_here(sinks: Sequence[Sink], scheduler: Any) -> None:
    """Compute in threads of this process, as many at once as their blocks leave room for."""
    import dask
    import dask.array as da
    import dask.threaded

    config: dict[str, Any] = {}
    if dask.config.get("num_workers", None) is None and dask.config.get("pool", None) is None:
        largest = max(_largest(s.job.values.chunks or (), s.dtype.itemsize) for s in sinks)
        config["num_workers"] = max(1, min(os.cpu_count() or 1, _MEMORY // max(1, largest)))
    with dask.config.set(config):
        da.store(
            [s.job.values.data for s in sinks],
            list(sinks),
            lock=False,
            compute=True,
            return_stored=False,
            scheduler=scheduler or dask.threaded.get,
        )
