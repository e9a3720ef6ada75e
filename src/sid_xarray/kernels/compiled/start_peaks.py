"""Where sums of peaks and linear backgrounds start, by compiled functions."""

from __future__ import annotations

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.kernels._lsq_block import Block
from sid_xarray.kernels._lsq_compiled import writable
from sid_xarray.kernels.compiled.loader import load_model
from sid_xarray.kernels.compiled.search import search_rows, search_size

__all__ = ["start"]


def start(block: Block, number: int, todo: BoolArray) -> FloatArray:
    """Start a sum of peaks and linear backgrounds; see `sid_xarray.models._search.SumSearch`."""
    model = block.model
    facts = model.search.facts(number, block.x)
    n, p = block.x.size, len(model.params)
    order = np.argsort(block.x, kind="stable")
    ascending = bool((np.diff(block.x) >= 0).all())
    out = np.tile(facts.start, (block.size, 1))
    valid = block.valid() if block.weights is not None else None
    search_rows(
        load_model(model.expression.source()[0]),
        np.empty(search_size(n, p)),
        np.ascontiguousarray(model.expression.rows(block.x)[:, order]),
        writable(block.y) if valid is None else np.where(valid, block.y, np.nan),
        order[:0] if ascending else order,
        block.x[order],
        facts.boxes,
        facts.peaks,
        facts.scaled,
        facts.background,
        facts.lengths,
        todo,
        out,
    )
    ordered: FloatArray = model.search.sorted(out)
    return ordered
