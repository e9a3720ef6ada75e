"""Where resonances start, by compiled functions."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.kernels._lsq_block import Block
from sid_xarray.kernels._lsq_compiled import writable
from sid_xarray.kernels.compiled.resonance import resonance_rows

__all__ = ["start"]


def start(block: Block, number: int, todo: BoolArray) -> FloatArray:
    """Start a resonance; see `sid_xarray.models.sho.guess`."""
    out = np.full((block.size, 4), np.nan)
    valid = np.tile(block.valid(), 2) if block.weights is not None else None
    y = writable(block.y) if valid is None else np.where(valid, block.y, np.nan)
    if number == 0:
        resonance_rows(block.x, y, todo, out)
    elif todo.any():
        n = block.x.size
        out[todo] = block.model.restart(block.x, y[todo, :n] + 1j * y[todo, n:], number)
    return out
