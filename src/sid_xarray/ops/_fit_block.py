"""Blocks of curves: the engine lifted to them, once, and again from the results of neighbours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._arrays import NUMPY, arrays_of, host, is_foreign
from sid_xarray.core.chunked import is_chunked, with_neighbours
from sid_xarray.core.dims import values_of
from sid_xarray.core.evaluate import on_grid
from sid_xarray.core.lift import Out, lift
from sid_xarray.kernels import lsq
from sid_xarray.kernels.neighbours import fit_again
from sid_xarray.models import FitModel
from sid_xarray.models._tie import Ties
from sid_xarray.options import OPTIONS

__all__ = ["engine_for", "fit_curves", "kinds_of"]

_COLUMN = "_sid_column"
# Results that are looked at again at once, in bytes.
_BAND = 2**21


def fit_curves(
    arrays: Sequence[xr.DataArray],
    dims: Sequence[Hashable],
    *,
    model: FitModel,
    ties: Ties | None,
    noise: str | None,
    passes: int,
    limits: tuple[np.ndarray, np.ndarray],
    **kwargs: Any,
) -> tuple[xr.DataArray, ...]:
    """Fit the curves of the data, of which weights or a variance follow, then maps of starting values.

    Parameters
    ----------
    arrays : sequence of DataArray
    dims : sequence of hashable
        Of a curve.
    model : FitModel
    ties : Ties, optional
    noise : str, optional
        What the second array is.
    passes : int
        How often to try again from the results of neighbours.
    limits : tuple of ndarray
        Lower and upper bounds of the parameters.
    **kwargs
        As `_fit_block` takes them.

    Returns
    -------
    tuple of DataArray
        Parameters, their errors, redchi, rsquared, status, nfev.
    """
    da = arrays[0]
    own = arrays_of(da.variable._data)
    if passes and own is not NUMPY:  # neighbours are looked at in NumPy
        here = [a.copy(data=host(a.data)) if is_foreign(a.variable._data) else a for a in arrays]
        given = {"model": model, "ties": ties, "noise": noise, "passes": passes, "limits": limits, **kwargs}
        return tuple(column.copy(data=own.asarray(column.data)) for column in fit_curves(here, dims, **given))
    axes = [values_of(da, d) for d in dims]
    along = 1 + (noise is not None)
    core: list[Sequence[Hashable]] = [*(list(dims) for _ in arrays[:along]), *([] for _ in arrays[along:])]
    many = int(np.prod([n for d, n in da.sizes.items() if d not in dims]))
    given = {
        "model": model,
        "ties": ties,
        "noise": noise,
        "x": axes[0] if len(axes) == 1 else on_grid(axes, dims),
        "engine": engine_for(model, many) if own is NUMPY else OPTIONS["fit_engine"],
        "threads": 1 if any(is_chunked(array) for array in arrays) else None,
        "lower": limits[0],
        "upper": limits[1],
        **kwargs,
    }
    maps = [d for d in da.dims if d not in dims]
    passes = passes if maps and all(da.sizes[d] for d in maps) else 0
    lazy = any(is_chunked(array) for array in arrays)
    kinds = kinds_of(model, ties)
    if passes and lazy:
        return _fit_lazily(arrays, maps, core, kinds, passes, given)
    found = lift(_fit_block, *arrays, core=core, out=[Out((), {}, kind) for kind in kinds], **given)
    if passes:
        _again_in_bands(found, arrays, maps, core, passes, given)
    return found


def _fit_lazily(
    arrays: Sequence[xr.DataArray],
    maps: Sequence[Hashable],
    core: Sequence[Sequence[Hashable]],
    kinds: Sequence[Any],
    passes: int,
    given: Mapping[str, Any],
) -> tuple[xr.DataArray, ...]:
    """Fit, and again from the results of neighbours: one array for all results, the last column says what is new."""
    total = len(kinds) + 1
    out = [Out((_COLUMN,), {_COLUMN: total}, float)]
    (found,) = lift(_fit_stacked, *arrays, core=core, out=out, **given)
    near = _near(maps)
    for _ in range(passes):
        around = with_neighbours(found, maps, near)
        (found,) = lift(_refit_block, *arrays, around, core=[*core, [_COLUMN, *near]], out=out, **given)
    columns = [found.isel({_COLUMN: i}, drop=True) for i in range(total - 1)]
    return tuple(column.astype(kind, copy=False) for column, kind in zip(columns, kinds, strict=True))


def _again_in_bands(
    found: Sequence[xr.DataArray],
    arrays: Sequence[xr.DataArray],
    maps: Sequence[Hashable],
    core: Sequence[Sequence[Hashable]],
    passes: int,
    given: Mapping[str, Any],
) -> None:
    """Replace results in memory by those of further passes, some rows at a time; every row sees the old ones around."""
    dim, size = maps[0], found[0].sizes[maps[0]]
    near, out = _near(maps), [Out((_COLUMN,), {_COLUMN: len(found) + 1}, float)]
    rows = max(1, _BAND // max(1, sum(column.nbytes for column in found) // size))
    columns = [*found, xr.ones_like(found[0], dtype=bool)]

    def stacked(rows: slice) -> xr.DataArray:
        parts = [xr.DataArray(column.variable[{dim: rows}].astype(float)) for column in columns]
        return xr.concat(parts, _COLUMN)

    for _ in range(passes):
        before: list[xr.DataArray] = []
        for begin in range(0, size, rows):
            end = min(size, begin + rows)
            old = xr.concat([*before, stacked(slice(begin, end + 1))], dim)
            own = {dim: slice(len(before), len(before) + end - begin)}
            before = [stacked(slice(end - 1, end))]
            here = [array.isel({dim: slice(begin, end)}) if dim in array.dims else array for array in arrays]
            around = with_neighbours(old, maps, near).isel(own)
            (new,) = lift(_refit_block, *here, around, core=[*core, [_COLUMN, *near]], out=out, **given)
            for i, column in enumerate(columns):
                column.variable[{dim: slice(begin, end)}] = new.variable[{_COLUMN: i}].astype(column.dtype)


def _near(maps: Sequence[Hashable]) -> list[Hashable]:
    return [f"_sid_near_{i}" for i in range(len(maps))]


def count_of(model: FitModel, ties: Ties | None) -> int:
    """Return how many parameters there are, those that follow from others included."""
    return len(model.names) + (0 if ties is None else len(ties.ways))


def kinds_of(model: FitModel, ties: Ties | None) -> list[Any]:
    """Return the types of all results: parameters, their errors, redchi, rsquared, status, nfev."""
    return [*([float] * (2 * count_of(model, ties) + 2)), np.int8, np.int32]


def engine_for(model: FitModel, count: int) -> str:
    """Return the engine for a map, whatever its chunks: results do not depend on them."""
    wanted: str = OPTIONS["fit_engine"]
    if wanted == "auto":
        return "numba" if lsq.takes_compiled(model, count) else "numpy"
    return wanted


def _fit_block(
    y: Any,
    *extra: Any,
    x: Any,
    model: FitModel,
    ties: Ties | None,
    noise: str | None,
    maps: tuple[str, ...],
    numbers: Mapping[str, float],
    fixed: tuple[bool, ...],
    **kwargs: Any,
) -> tuple[Any, ...]:
    """Fit one block: curves along the last axes, maps of starting values without them."""
    y, sigma, rest = _curves(y, extra, x, noise)
    if noise is not None:
        kwargs[noise] = sigma
    known = {model.names.index(name): value for name, value in [*zip(maps, rest, strict=True), *numbers.items()]}
    found = lsq.fit_batch(y, x, model, known=known, fixed=np.array(fixed), covariance=False, derive=ties, **kwargs)
    return _results(found)


def _curves(y: Any, extra: Sequence[Any], x: Any, noise: str | None) -> tuple[Any, Any, list[Any]]:
    """Return data and their weights or variance with one axis of samples, and the rest."""
    n = x.shape[-1]
    axes = len(x) if x.ndim > 1 else 1
    rest = [host(array) for array in extra]
    if axes > 1:
        y = arrays_of(y).reshape(y, (*y.shape[: y.ndim - axes], n))
    if noise is None:
        return y, None, rest
    # apply_ufunc gives dimensions that an array lacks the length 1.
    sigma = rest.pop(0)
    sigma = sigma.reshape(*sigma.shape[: sigma.ndim - axes], n)
    return y, sigma.reshape(-1) if sigma.size == n else np.broadcast_to(sigma, y.shape), rest


def _results(found: lsq.LsqResult) -> tuple[Any, ...]:
    columns = [*_columns(found.parameters), *_columns(found.derived)]
    errors = [*_columns(found.stderr), *_columns(found.derived_stderr)]
    return (*columns, *errors, found.redchi, found.rsquared, found.status, found.n_iter)


def _columns(values: Any) -> list[Any]:
    return [values[..., i] for i in range(values.shape[-1])]


def _fit_stacked(y: Any, *extra: Any, **kwargs: Any) -> Any:
    """Fit one block; return all results along a last axis, and that all are new."""
    found = _fit_block(y, *extra, **kwargs)
    return np.stack([*found, np.ones_like(found[0])], axis=-1)


def _refit_block(
    y: Any,
    *extra: Any,
    x: Any,
    model: FitModel,
    ties: Ties | None,
    noise: str | None,
    maps: tuple[str, ...],
    numbers: Mapping[str, float],
    fixed: tuple[bool, ...],
    **kwargs: Any,
) -> Any:
    """Fit what is poor in a block again; ``extra`` ends with the results of every curve and of those around it."""
    around = extra[-1]
    y, sigma, rest = _curves(y, extra[:-1], x, noise)
    held = {model.names.index(name): value for name, value in [*zip(maps, rest, strict=True), *numbers.items()]}
    held = {i: np.broadcast_to(value, y.shape[:-1]) for i, value in held.items() if fixed[i]}

    def fit(at: tuple[Any, ...], start: Any) -> Any:
        """Fit some curves from new starts."""
        for i, value in held.items():
            start[:, i] = value[at]
        options = dict(kwargs)
        if noise is not None:
            options[noise] = sigma if sigma.ndim == 1 else sigma[at]
        found = lsq.fit_batch(y[at], x, model, start, fixed=np.array(fixed), covariance=False, derive=ties, **options)
        return np.stack(_results(found), axis=-1)

    count = count_of(model, ties)
    return fit_again(around, fit, parameters=len(model.names), count=count, fixed=np.array(fixed))
