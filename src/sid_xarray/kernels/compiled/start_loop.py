"""Where loops start, by compiled functions."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.kernels._lsq_block import Block
from sid_xarray.kernels._lsq_compiled import writable
from sid_xarray.kernels.compiled.hysteresis import loop_rows

__all__ = ["start"]


def start(block: Block, number: int, todo: BoolArray) -> FloatArray:
    """Start loops; see `sid_xarray.models.loop.guess`."""
    out = np.full((block.size, 9), np.nan)
    y = writable(block.y) if block.weights is None else np.where(block.valid(), block.y, np.nan)
    x, how = block.x, block.model.search.geometry(block.x, number)
    parts = [how.order, *how.branches]
    samples = np.concatenate(parts).astype(np.int64)
    counts = np.cumsum([part.size for part in parts])
    cells = np.concatenate([_cells(x[at]) for at in how.branches])
    middle = float(np.mean(x))
    counts = counts.astype(np.int64)
    loop_rows(y, samples, counts, how.end, x[samples], cells, how.widths, how.span, middle, todo, out)
    return out


def _cells(x: FloatArray) -> FloatArray:
    return np.gradient(x) if x.size > 1 else np.ones(x.size)
