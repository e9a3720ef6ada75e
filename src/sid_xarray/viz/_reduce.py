"""Means of what is finite."""

from __future__ import annotations

import numpy as np

__all__ = ["mean_of"]


def mean_of(values: np.ndarray, over: tuple[int, ...]) -> np.ndarray:
    """Return the mean of what is finite; the copy that this takes is made only where there are gaps."""
    with np.errstate(all="ignore"):
        mean = values.mean(axis=over, dtype=np.float64)
        if np.isfinite(mean).all():
            return np.asarray(mean)
        valid = np.isfinite(values)
        total = np.where(valid, values, 0).sum(axis=over, dtype=np.float64)
        return np.asarray(np.where(valid.any(axis=over), total / valid.sum(axis=over), np.nan))
