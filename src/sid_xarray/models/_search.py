"""Where a sum of models starts: backgrounds and peaks told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.models._model import Array, FitModel

__all__ = ["start_sum"]

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_POLYNOMIAL = 4
# One box may cover two peaks, and hide that they are two. So the search is made again with narrower ones.
_WIDEST = (0.5, 0.25, 0.125)


def start_sum(models: Sequence[FitModel], x: Array, y: Array) -> Array:
    """Return where to start a sum of models, shape (..., p).

    Peaks are taken one after the other, each where it explains most of what the terms before it leave, these being
    free to change a little meanwhile: two peaks start at different places. Backgrounds that are not linear start
    from the data or from what peaks on a polynomial leave of them. Then the linear parameters are solved for
    together. Of several such searches (for wide and for narrow peaks, backgrounds first or peaks first, kinds of
    peaks in either order) every curve takes the start that fits best.

    References
    ----------
    .. [1] Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad, Proc. 27th Asilomar Conf. 1, 40 (1993).
       :doi:`10.1109/ACSSC.1993.342465`
    """
    y = np.real(y).astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        best: FloatArray | None = None
        least = np.full(y.shape[:-1], np.inf)
        for start in _searches(models, x, y):
            solved, chi2 = _solve_linear(models, x, y, start)
            chi2 = np.where(np.isfinite(chi2), chi2, np.inf)
            better = chi2 < least
            best = solved if best is None else np.where(better[..., np.newaxis], solved, best)
            least = np.where(better, chi2, least)
    assert best is not None
    return best


def _searches(models: Sequence[FitModel], x: Array, y: Array) -> Iterator[list[Array]]:
    """Yield starts: for every term its parameters (..., p)."""
    peaks = [i for i, model in enumerate(models) if model.peak]
    if not peaks or any(model.jacobian is None for model in models):
        yield from _take_turns(models, x, y)
        return
    curved = any(_is_curved(model) for model in models if not model.peak)
    alone = len(peaks) == 1 and all(model.peak or model.name == "constant" for model in models)
    orders = [peaks, peaks[::-1]] if len({models[i].guess for i in peaks}) > 1 else [peaks]
    for order in orders:
        for peaks_first in (False, True) if curved else (False,):
            for widest in _WIDEST[:1] if alone else _WIDEST:
                yield _find_peaks(models, x, y, order, peaks_first=peaks_first, widest=widest)


def _is_curved(model: FitModel) -> bool:
    return set(model.linear) != set(model.names)


def _find_peaks(
    models: Sequence[FitModel], x: Array, y: Array, order: Sequence[int], *, peaks_first: bool, widest: float
) -> list[Array]:
    """Return parameters of all terms, from one pass over the peaks."""
    found: dict[int, Array] = {}
    rest, extra = y, np.zeros((0, x.size))
    for i, model in enumerate(models):
        if not model.peak and not (peaks_first and _is_curved(model)):
            found[i] = np.asarray(model.guess(x, y), dtype=np.float64)
    if peaks_first:
        span = float(np.ptp(x)) or 1.0
        extra = np.vander((x - x.min(initial=np.inf)) / span, _POLYNOMIAL, increasing=True).T[1:]
    for i in order:
        # A peak is looked for next to any constant, without being told.
        shapes = [_shapes(models[j], x, found[j]) for j in found if models[j].name != "constant"] + [extra]
        lead_of_shapes = np.broadcast_shapes(*(shape.shape[:-2] for shape in shapes))
        columns = [np.broadcast_to(shape, lead_of_shapes + shape.shape[-2:]) for shape in shapes]
        rest = y - sum(_values(models[j], x, found[j]) for j in found)
        found[i] = models[i].guess(x, rest, np.concatenate(columns, axis=-2), widest)
    for i, model in enumerate(models):
        if i not in found:
            known = _solve_linear([models[j] for j in found], x, y, list(found.values()), extra)[0]
            parts = _split([models[j] for j in found], known)
            rest = y - sum(_values(models[j], x, part) for j, part in zip(found, parts, strict=True) if models[j].peak)
            found[i] = model.guess(x, rest)
    return [np.asarray(found[i], dtype=np.float64) for i in range(len(models))]


def _take_turns(models: Sequence[FitModel], x: Array, y: Array) -> Iterator[list[Array]]:
    """Start every term from what the others leave, twice, backgrounds first."""
    state: list[Array] = [np.empty(0) for _ in models]
    values: list[Array] = [np.zeros(y.shape) for _ in models]
    order = sorted(range(len(models)), key=lambda i: models[i].peak)
    for _ in range(2):
        for i in order:
            rest = y - sum(values[j] for j in range(len(models)) if j != i)
            state[i] = np.asarray(models[i].guess(x, rest), dtype=np.float64)
            values[i] = _values(models[i], x, state[i])
        yield list(state)


def _split(models: Sequence[FitModel], parameters: Array) -> list[Array]:
    ends = np.cumsum([len(model.params) for model in models])
    return np.split(parameters, ends[:-1], axis=-1)


def _values(model: FitModel, x: Array, parameters: Array) -> Array:
    """Return the values of a term, 0 where they are not finite."""
    values = np.asarray(model.function(x, *np.moveaxis(parameters, -1, 0)[..., np.newaxis]))
    return values if np.isfinite(values).all() else np.where(np.isfinite(values), values, 0.0)


def _shapes(model: FitModel, x: Array, parameters: Array) -> Array:
    """Return the derivatives of a term, (..., p, n): what changes of its parameters can add."""
    assert model.jacobian is not None
    if not _is_curved(model):
        # The same for all curves, and then the search runs over one set of shapes.
        parameters = parameters.reshape(-1, len(model.params))[:1].reshape((1,) * (parameters.ndim - 1) + (-1,))
    shapes = np.asarray(model.jacobian(x, *np.moveaxis(parameters, -1, 0)[..., np.newaxis])).swapaxes(-1, -2)
    return shapes if np.isfinite(shapes).all() else np.where(np.isfinite(shapes), shapes, 0.0)


def _solve_linear(
    models: Sequence[FitModel], x: Array, y: Array, start: list[Array], extra: Array | None = None
) -> tuple[FloatArray, FloatArray]:
    """Replace the linear parameters by their best values for the others; return all, and chi2.

    Parameters
    ----------
    models, x, y
        A sum of models, and the data (..., n).
    start : list of ndarray, shapes (..., p)
        Parameters of every model.
    extra : ndarray, shape (q, n), optional
        Shapes that may be added besides.
    """
    out = np.concatenate(start, axis=-1)
    residual = y - sum(_values(model, x, own) for model, own in zip(models, start, strict=True))
    valid = np.isfinite(residual)
    residual = np.where(valid, residual, 0.0)
    names = [name in model.linear for model in models for name in model.names]
    if any(model.jacobian is None for model in models) or not any(names):
        return out, (residual * residual).sum(axis=-1)
    lead = y.shape[:-1]
    shapes = [_shapes(model, x, own) for model, own in zip(models, start, strict=True)]
    basis = np.concatenate([np.broadcast_to(shape, lead + shape.shape[-2:]) for shape in shapes], axis=-2)
    basis = basis[..., names, :]
    if extra is not None:
        basis = np.concatenate([basis, np.broadcast_to(extra, lead + extra.shape)], axis=-2)
    if not valid.all():
        basis = np.where(valid[..., np.newaxis, :], basis, 0.0)
    normal = np.matmul(basis, basis.swapaxes(-1, -2))
    norm = np.sqrt(np.einsum("...ii->...i", normal))
    norm = np.where(norm > 0, norm, 1.0)
    # A little ridge keeps terms that cannot be told apart from cancelling each other at great heights.
    normal = normal / (norm[..., np.newaxis, :] * norm[..., np.newaxis]) + 1e-9 * np.eye(normal.shape[-1])
    slope = np.matmul(basis, residual[..., np.newaxis])[..., 0]
    step = np.linalg.solve(normal, (slope / norm)[..., np.newaxis])[..., 0] / norm
    # Data that the terms explain to rounding are left alone: solving would turn exact zeros into noise.
    size = np.where(valid, np.abs(y), 0.0).max(axis=-1, keepdims=True, initial=0.0)
    exact = np.abs(residual).max(axis=-1, keepdims=True, initial=0.0) <= _ROUNDING * size
    step = np.where(np.isfinite(step) & ~exact, step, 0.0)
    out[..., names] += step[..., : sum(names)]
    residual = residual - np.matmul(step[..., np.newaxis, :], basis)[..., 0, :]
    return out, (residual * residual).sum(axis=-1)
