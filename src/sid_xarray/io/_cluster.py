"""Blocks that are computed elsewhere: workers hash and encode them, this process alone writes.

An HDF5 file has one writer, so what travels are the bytes of chunks as the file will hold them: a worker spends its
time on the filters, the writer only on the disk. No cluster is ever started here; one that is there is used.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sid_xarray.io._recipe import Encoded, Place, Recipe
from sid_xarray.io._sink import Sink

__all__ = ["encode_block", "store"]

Results = list[Encoded]
_MOST = 64
"""Blocks under way at once, at most."""


def encode_block(block: Any, key: Place, recipe: Recipe) -> Results:
    """Return the tiles of a block, hashed and encoded, and the parts of those that it does not hold whole.

    Parameters
    ----------
    block : array_like
    key : tuple of slice
        Its place in the array.
    recipe : Recipe
    """
    out: Results = []
    for place, values in recipe.pieces(key, block):
        for cut in recipe.cuts(place):
            part = recipe.stored(values[cut.inside])
            if cut.whole:
                found = recipe.encoded(cut.tile, part)
                out.append(Encoded(found.place, _own(found.data), found.mask, found.digest))
            else:
                starts = [p.start + i.start for p, i in zip(place, cut.inside, strict=True)]
                where = tuple(slice(s, s + n) for s, n in zip(starts, part.shape, strict=True))
                out.append(Encoded(where, _own(part)))
    return out


def _own(data: Any) -> Any:
    """Return bytes that do not keep a whole block alive."""
    return data.copy() if isinstance(data, np.ndarray) and data.base is not None else data


def plain_block(block: Any, key: Place, recipe: None) -> Results:
    """Return a block that has no tiles as it is."""
    return [Encoded(key, np.asarray(block))]


def store(sinks: Sequence[Sink], scheduler: Any, *, memory: int) -> None:
    """Have all blocks computed and encoded by a scheduler, a few at a time, and write them.

    Parameters
    ----------
    sinks : sequence of Sink
        Of dask arrays.
    scheduler : callable
        ``client.get`` of a cluster, or any other function that takes a graph and keys.
    memory : int
        Bytes that the blocks under way may take in this process.
    """
    tasks = list(_tasks(sinks))
    largest = max((nbytes for *_, nbytes in tasks), default=1)
    room = max(1, min(_MOST, memory // max(1, largest)))
    client = getattr(scheduler, "__self__", None)
    with_futures = client is not None and hasattr(client, "get") and "distributed" in sys.modules
    computed = _by_client(client, tasks, room) if with_futures else _by_batches(scheduler, tasks, room)
    for sink, found in computed:
        for encoded in found:
            if sink.numbers:
                sink.put_encoded(encoded)
            else:
                sink.put(encoded.place, encoded.data)


Task = tuple[Sink, dict[Any, Any], Any, int]
Computed = Iterator[tuple[Sink, Results]]


def _tasks(sinks: Sequence[Sink]) -> Iterator[Task]:
    """Yield for every block where it goes, the graph that makes it, its key in there, and its size."""
    import dask
    from dask.array.core import slices_from_chunks
    from dask.optimization import cull

    rows: list[tuple[Sink, Place, int]] = []
    encoded: list[Any] = []
    for sink in sinks:
        data = sink.job.values.data
        how: Callable[..., Results] = encode_block if sink.numbers else plain_block
        work = dask.delayed(how, pure=False, traverse=False)
        recipe = dask.delayed(sink.recipe if sink.numbers else None, pure=False, traverse=False)
        blocks = data.to_delayed(optimize_graph=True).ravel().tolist()
        for block, where in zip(blocks, slices_from_chunks(data.chunks), strict=True):
            rows.append((sink, where, math.prod(s.stop - s.start for s in where) * data.dtype.itemsize))
            encoded.append(work(block, where, recipe))
    # One graph with all of them, so that what two arrays share is there once.
    merged = dask.optimize(*encoded)
    graph = dict(merged[0].dask) if merged else {}
    for one in merged:
        if one.key not in graph:
            graph.update(one.dask)
    for (sink, _, nbytes), one in zip(rows, merged, strict=True):
        yield sink, cull(graph, [one.key])[0], one.key, nbytes


def _by_client(client: Any, tasks: Sequence[Task], room: int) -> Computed:
    """Keep a window of blocks under way on a cluster; they are taken in the order in which they are ready."""
    distributed = sys.modules["distributed"]
    todo = iter(tasks)
    owners: dict[Any, Sink] = {}

    def submit() -> Any:
        for sink, graph, key, _ in itertools.islice(todo, 1):
            (future,) = client.get(graph, [key], sync=False)
            owners[future] = sink
            return future
        return None

    # Two blocks a thread: one is computed, one waits; what else there is stays in the graph.
    threads = sum(client.nthreads().values()) or 1
    first = [f for f in (submit() for _ in range(max(1, min(room, 2 * threads)))) if f is not None]
    ready = distributed.as_completed(first)
    try:
        for future in ready:
            found = future.result()
            sink = owners.pop(future)
            future.release()
            following = submit()
            if following is not None:
                ready.add(following)
            yield sink, found
    finally:
        if owners:
            client.cancel(list(owners))


def _by_batches(scheduler: Any, tasks: Sequence[Task], room: int) -> Computed:
    """Compute a few blocks after the other with a scheduler that knows no futures, such as processes."""
    for start in range(0, len(tasks), room):
        batch = tasks[start : start + room]
        graph: dict[Any, Any] = {}
        for _, part, _, _ in batch:
            graph.update(part)
        found = scheduler(graph, [key for _, _, key, _ in batch])
        yield from ((sink, results) for (sink, *_), results in zip(batch, found, strict=True))
