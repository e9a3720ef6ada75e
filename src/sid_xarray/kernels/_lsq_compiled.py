"""The compiled engine, where numba is installed: the same method, curve by curve, about ten times faster."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.errors import warn
from sid_xarray.kernels._lsq_block import Block, Found
from sid_xarray.kernels._lsq_loss import LOSSES

__all__ = ["fit_compiled", "guess_compiled", "is_available", "searches", "suits", "writable"]


@lru_cache(maxsize=1)
def is_available() -> bool:
    """Tell whether numba can be imported; says why if it is there and cannot."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        importlib.import_module("numba")
    except (ImportError, OSError) as error:
        warn(f"numba is installed and does not work here, so fits take longer: {error}")
        return False
    return True


def suits(model: Any) -> bool:
    """Tell whether a model has a formula, of which a compiled function can be made."""
    return getattr(model, "expression", None) is not None


def searches(model: Any) -> bool:
    """Tell whether the starts of a model can be found by compiled functions."""
    return suits(model) and bool(getattr(getattr(model, "search", None), "kind", ""))


@lru_cache(maxsize=1)
def _package() -> tuple[ModuleType, ModuleType]:
    driver = importlib.import_module("sid_xarray.kernels.compiled.driver")
    return driver, importlib.import_module("sid_xarray.kernels.compiled.loader")


def writable(values: FloatArray) -> FloatArray:
    """Return an array as compiled functions take it; they take none that is read-only, though they write to none."""
    return np.require(values, np.float64, ["C", "W"])


def fit_compiled(block: Block, todo: BoolArray) -> Found:
    """Fit some curves of a block."""
    driver, loader = _package()
    formula, free = block.model.expression, block.free
    b, q, p = block.size, free.size, block.start.shape[1]
    n, m = block.x.shape[-1], block.y.shape[1]
    out = Found.empty(block)
    rows = formula.rows(block.x)
    facts, ended = np.full((b, 6), np.nan), np.stack([out.status, out.steps], axis=-1)
    tol = block.tolerances
    again = getattr(block.model, "attempts", 1) > 1
    settings = np.array([tol.max_iter, tol.ftol, tol.xtol, tol.gtol, LOSSES[block.loss.name], again], dtype=float)
    weights = np.empty((0, n)) if block.weights is None else writable(block.weights)
    driver.fit_rows(
        loader.load_model(formula.source()[0]),
        loader.load_gram(q),
        loader.load_propose(q),
        np.empty(driver.memory_size(len(rows), n, m, p, q)),
        rows,
        writable(block.y),
        weights,
        out.p,
        writable(block.lower),
        writable(block.upper),
        free.astype(np.int64),
        block.solvable,
        settings,
        block.loss.scale,
        todo,
        facts,
        out.inverse,
        out.held,
        ended,
    )
    out.chi2, out.points, out.squares, out.about, out.noise, out.pivot = facts.T.copy()
    out.status, out.steps = ended.T.copy()
    return out


def guess_compiled(block: Block, number: int, todo: BoolArray) -> FloatArray:
    """Return the start of a model that says how it is searched for, shape (b, p); any value where not ``todo``."""
    # One module a kind of search: to load compiled functions from disk takes time.
    module = importlib.import_module(f"sid_xarray.kernels.compiled.start_{block.model.search.kind}")
    found: FloatArray = module.start(block, number, todo)
    return found
