"""What the indices of one side of a USID array say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Grid", "grid_of"]


@dataclass
class Grid:
    """What the indices of one side say.

    Attributes
    ----------
    kind : {"raster", "permuted", "repeated", "none"}
        Points in order; a full grid in another order; as many points as a grid has, but some twice; no full grid.
    sizes : list of int
    ranks : ndarray
        One row a dimension.
    """

    kind: str
    sizes: list[int]
    ranks: np.ndarray[Any, Any]


def grid_of(indices: np.ndarray[Any, Any]) -> Grid:
    """Return the grid of an index matrix with one row a dimension."""
    n = indices.shape[1]
    ranks = np.empty(indices.shape, dtype=np.int64)
    sizes: list[int] = []
    for k, row in enumerate(indices):
        unique, ranks[k] = np.unique(row, return_inverse=True)
        sizes.append(unique.size)
    if n == 0 or float(np.prod(np.array(sizes, dtype=float))) != n:
        return Grid("none", sizes, ranks)
    rates = np.count_nonzero(np.diff(indices, axis=1), axis=1)
    order = np.argsort(rates, kind="stable")
    flat = np.ravel_multi_index(tuple(ranks[order]), tuple(np.array(sizes)[order]))
    if np.array_equal(flat, np.arange(n)):
        return Grid("raster", sizes, ranks)
    full = np.array_equal(np.sort(flat), np.arange(n))
    return Grid("permuted" if full else "repeated", sizes, ranks)
