"""Blocks of windows: the engine at work around positions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._types import BoolArray, FloatArray
from sid_xarray.core.chunked import is_chunked
from sid_xarray.core.dims import coordinate
from sid_xarray.core.evaluate import axis_order, on_grid
from sid_xarray.core.lift import Out, lift
from sid_xarray.kernels import lsq
from sid_xarray.kernels.smoothing import line_through
from sid_xarray.kernels.windows import Axis, Piece, cut, pieces
from sid_xarray.models import FitModel
from sid_xarray.models._moved import Nowhere, moved, places, travels
from sid_xarray.models._tie import Ties
from sid_xarray.ops._fit_block import engine_for, kinds_of
from sid_xarray.ops._peak_args import NO_PEAK, PEAK, axis_of
from sid_xarray.ops._places import Places

__all__ = ["fit_windows"]

# Samples that starts are searched in at once.
_AT_ONCE = 2**17


def fit_windows(
    arrays: Sequence[xr.DataArray],
    along: Sequence[Hashable],
    at: Places,
    *,
    said: AbstractSet[str],
    model: FitModel,
    ties: Ties | None,
    noise: str | None,
    maps: tuple[str, ...],
    numbers: dict[str, float],
    fixed: tuple[bool, ...],
    limits: tuple[FloatArray, FloatArray],
    **options: Any,
) -> tuple[xr.DataArray, ...]:
    """Fit a model in windows; return what `fit_curves` returns, with a last dimension ``peak``.

    Parameters
    ----------
    arrays : sequence of DataArray
        Data, weights or a variance, starting values.
    along : sequence of hashable
    at : Places
    said : set of str
        Parameters that somebody said something of: they are not held in their window.
    model, ties, noise, maps, numbers, fixed, limits, **options
        As for `fit_curves`.
    """
    da, size = arrays[0], at.centers[0].sizes[PEAK]
    first = 1 + (noise is not None)
    wide = [w for w in at.widths if isinstance(w, xr.DataArray)]
    ragged = [*wide, *arrays[first:]]
    core: list[Sequence[Hashable]] = [*([along] * first), *([[PEAK]] * len(at.centers))]
    core += [[PEAK] if PEAK in w.dims else [] for w in ragged]
    given = [*arrays[:first], *at.centers, *ragged]
    curves = size * int(np.prod([n for d, n in da.sizes.items() if d not in along]))
    options |= {"engine": engine_for(model, curves), "threads": 1 if any(is_chunked(a) for a in given) else None}
    guessed = any(
        f and n in model.linear and n not in {*numbers, *maps} for f, n in zip(fixed, model.names, strict=True)
    )
    return lift(
        _fit_block,
        *given,
        core=core,
        out=[Out((PEAK,), {}, kind) for kind in kinds_of(model, ties)],
        axes=_axes(da, along, free=not guessed and travels(model)),
        dims=tuple(along),
        peaks=size,
        widths=tuple(None if isinstance(w, xr.DataArray) else w for w in at.widths),
        ragged=tuple(PEAK in w.dims for w in ragged),
        job=_Job(model, ties, noise, limits, frozenset(said), fixed, numbers, maps, options),
    )


def _axes(da: xr.DataArray, along: Sequence[Hashable], *, free: bool) -> tuple[Any, ...]:
    """Return every axis, and the order in which its samples ascend.

    Where an axis is even and the model free to be moved, windows are copies of each other; else, also where something
    linear is held at its guess, each stands where it stands.
    """
    out = []
    for d in along:
        x = axis_of(da, d)
        order = np.flatnonzero(np.isfinite(x))
        order = order[np.argsort(x[order], kind="stable")]
        coord = coordinate(da, d)
        kind: Any = coord.dtype if coord is not None and coord.dtype.kind == "f" else np.float64
        line = line_through(x[order], eps=float(np.finfo(kind).eps)) if free else None
        out.append((Axis(x[order], line), order))
    return tuple(out)


@dataclass(frozen=True)
class _Job:
    """What is the same for all windows."""

    model: FitModel
    ties: Ties | None
    noise: str | None
    limits: tuple[FloatArray, FloatArray]
    said: frozenset[str]
    fixed: tuple[bool, ...]
    numbers: dict[str, float]
    maps: tuple[str, ...]
    options: dict[str, Any]


def _fit_block(
    y: Any,
    *extra: Any,
    axes: tuple[Any, ...],
    dims: tuple[Hashable, ...],
    peaks: int,
    widths: tuple[float | None, ...],
    ragged: tuple[bool, ...],
    job: _Job,
) -> tuple[Any, ...]:
    """Fit all windows of one block."""
    n, rest = len(axes), list(extra)
    lead = y.shape[: y.ndim - n]
    y = _sorted(y, axes, lead)
    sigma = None if job.noise is None else _sorted(rest.pop(0), axes, lead)
    shared = sigma is not None and len(sigma) == 1
    shape = (*lead, peaks)

    def each(values: Any, own: bool) -> FloatArray:
        values = np.asarray(values, dtype=np.float64)
        return np.broadcast_to(values if own else values[..., np.newaxis], shape).reshape(-1)

    centers = [each(rest.pop(0), True) for _ in axes]
    flags = list(ragged)
    wide = [np.full(centers[0].size, w) if w is not None else each(rest.pop(0), flags.pop(0)) for w in widths]
    known = {name: each(value, own) for name, value, own in zip(job.maps, rest, flags, strict=True)}
    known |= {name: np.full(centers[0].size, value) for name, value in job.numbers.items()}
    there = np.flatnonzero(np.isfinite(np.stack([*centers, *wide])).all(axis=0))
    curve = np.repeat(np.arange(int(np.prod(lead, dtype=int))), peaks)[there]
    out = np.full((len(kinds_of(job.model, job.ties)), centers[0].size), np.nan)
    out[-2], out[-1] = NO_PEAK, 0
    out[-2, there] = lsq.NO_FINITE_DATA
    own_axes = [axis for axis, _ in axes]
    travelling = any(axis.line is not None for axis in own_axes)
    found_at = [c[there] for c in centers]
    for piece in pieces(own_axes, found_at, [w[there] for w in wide]):
        at = there[piece.rows]
        window = _Window(piece, dims, [c[at] for c in centers], [w[at] for w in wide], travelling)
        start = {name: value[at] for name, value in known.items()}
        samples = cut(y, piece, curve)
        weights = None if sigma is None else cut(sigma, piece, curve * (not shared))
        out[:, at] = _fit_piece(samples, weights, window, start, job)
    columns = [column.reshape(shape) for column in out]
    return (*columns[:-2], columns[-2].astype(np.int8), columns[-1].astype(np.int32))


def _sorted(values: Any, axes: Sequence[Any], lead: tuple[int, ...]) -> Any:
    """Return curves in one row, with samples that ascend along every axis; one, if it is the same for all."""
    n = len(axes)
    for i, (_, order) in enumerate(axes):
        if not np.array_equal(order, np.arange(values.shape[i - n])):
            values = np.take(values, order, axis=i - n)
    core = values.shape[values.ndim - n :]
    if values.size == np.prod(core):
        return values.reshape(1, *core)
    return np.broadcast_to(values, (*lead, *core)).reshape(-1, *core)


@dataclass(frozen=True)
class _Window:
    piece: Piece
    dims: tuple[Hashable, ...]
    centers: list[FloatArray]
    widths: list[FloatArray]
    travelling: bool

    @property
    def x(self) -> FloatArray:
        """Positions as models take them."""
        grids = self.piece.axes
        return grids[0] if len(grids) == 1 else on_grid(list(grids), self.dims)


def _fit_piece(y: Any, sigma: Any, window: _Window, start: dict[str, FloatArray], job: _Job) -> FloatArray:
    """Fit windows that share their positions but for where these begin; return results, shape (columns, k)."""
    model, x = job.model, window.x
    order = axis_order(window.dims)
    origin = window.piece.origin[order]
    where = {i: order[k] for i, k in places(model).items()}
    lower, upper = (np.tile(limit, (len(y), 1)) for limit in job.limits)
    for i, k in where.items():
        if model.names[i] not in job.said:
            half = 0.5 * window.widths[k]
            lower[:, i] = np.maximum(lower[:, i], window.centers[k] - half)
            upper[:, i] = np.minimum(upper[:, i], window.centers[k] + half)
    wanted = [
        i for i, name in enumerate(model.names) if name not in start and (name not in model.linear or job.fixed[i])
    ]
    known = {model.names.index(name): value for name, value in start.items()}
    alone = len(set(where.values())) == len(where)
    if set(wanted) - (set(where) if alone else set()):
        guess = _guess(model, x, y)
        for i, k in places(model).items():
            guess[:, i] += origin[k]
        known |= {i: np.clip(guess[:, i], lower[:, i], upper[:, i]) for i in wanted}
    if alone:
        known |= {
            i: np.clip(window.centers[k], lower[:, i], upper[:, i])
            for i, k in where.items()
            if model.names[i] not in start
        }
    options = dict(job.options) if job.noise is None else {**job.options, job.noise: sigma}
    fixed: BoolArray = np.array(job.fixed)
    q, used = len(model.names), model
    if window.travelling:
        used = moved(model)
        known |= {q + k: value for k, value in enumerate(origin)}
        fixed = np.concatenate([fixed, np.ones(len(origin), dtype=bool)])
        open_ = np.full((len(y), len(origin)), np.inf)
        lower, upper = np.concatenate([lower, -open_], axis=1), np.concatenate([upper, open_], axis=1)
    derive = None if job.ties is None else _Of(job.ties, q)
    single = replace(
        used, guess=Nowhere(len(used.names)), attempts=1, restart=None, search=None, always=1, linear=model.linear
    )
    found = lsq.fit_batch(
        y, x, single, known=known, lower=lower, upper=upper, fixed=fixed, covariance=False, derive=derive, **options
    )
    return np.concatenate(
        [
            found.parameters[:, :q].T,
            found.derived.T,
            found.stderr[:, :q].T,
            found.derived_stderr.T,
            np.stack([found.redchi, found.rsquared, found.status, found.n_iter]),
        ]
    )


def _guess(model: FitModel, x: FloatArray, y: Any) -> FloatArray:
    """Return where a model starts from, shape (k, p), so many at once as fit the cache."""
    out = np.full((len(y), len(model.names)), np.nan)
    step = max(16, _AT_ONCE // max(1, y.shape[-1]))
    y = np.where(np.isfinite(y), y, np.nan)
    with np.errstate(all="ignore"):
        for i in range(0, len(y), step):
            out[i : i + step] = model.guess(x, y[i : i + step])
    return out


@dataclass(frozen=True)
class _Of:
    """What follows from the first of more parameters."""

    ties: Ties
    count: int

    def __call__(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, slopes = self.ties(p[:, : self.count])
        more = np.zeros((*slopes.shape[:-1], p.shape[1] - self.count))
        return values, np.concatenate([slopes, more], axis=-1)
