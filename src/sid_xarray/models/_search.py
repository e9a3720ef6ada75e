"""Where a sum of models starts: backgrounds and peaks told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sid_xarray._types import BoolArray, FloatArray, IntArray
from sid_xarray.models._guess import PeakGuess, tidy
from sid_xarray.models._model import Array, FitModel
from sid_xarray.models._peaks import Scene, window_lengths

__all__ = ["Facts", "SumSearch"]

_POLYNOMIAL = 4
# One box may cover two peaks, and hide that they are two. So the search is made again with narrower ones.
_WIDEST = (0.5, 0.25, 0.125, 0.0625, 0.03125)
_FEW_WIDEST = 4
_MOST_ORDERS = 6


@dataclass(frozen=True, slots=True)
class _Plan:
    """One way to search: which peak first, backgrounds or peaks first, the widest peak."""

    order: tuple[int, ...]
    peaks_first: bool
    widest: float


@dataclass(frozen=True, slots=True)
class Facts:
    """One attempt, in numbers; see `sid_xarray.kernels.compiled.search.search_rows`."""

    start: FloatArray
    boxes: FloatArray
    peaks: IntArray
    scaled: FloatArray
    background: BoolArray
    lengths: IntArray


@dataclass(frozen=True, slots=True)
class SumSearch:
    """Starts of a sum of models, best first.

    Peaks are taken one after the other, each where it explains most of what the terms before it leave, these being
    free to change a little meanwhile: two peaks start at different places. Backgrounds that are not linear start
    from the data, or from what peaks on a polynomial leave of them. Linear parameters are left to the fit, which puts
    them where they fit best before its first step. Attempts differ in what is taken first (peaks of different kinds
    in either order, backgrounds or peaks) and in how wide a peak may be.

    Parameters
    ----------
    models : tuple of FitModel
    """

    models: tuple[FitModel, ...]

    @property
    def solves(self) -> bool:
        """Whether compiled functions put linear parameters where they fit best."""
        return True

    @property
    def peaks(self) -> tuple[int, ...]:
        """Which terms are peaks."""
        return tuple(i for i, model in enumerate(self.models) if model.peak)

    @property
    def attempts(self) -> int:
        """How many starts there are."""
        return len(self._plans()) if self._is_systematic else 2

    @property
    def always(self) -> int:
        """How many of them are to be tried for every curve: peaks of different kinds may be taken for each other."""
        return len(self._orders()) if self._is_systematic else 2

    @property
    def kind(self) -> str:
        """``"peaks"`` if compiled functions know this search: peaks with a profile, and linear backgrounds."""
        simple = all(
            isinstance(model.guess, PeakGuess) if model.peak else not _is_curved(model) for model in self.models
        )
        return "peaks" if simple and self._is_systematic else ""

    def sorted(self, parameters: FloatArray) -> FloatArray:
        """Return a start (..., p) with peaks of one kind ascending along the axis: maps are of one peak each."""
        begin = np.cumsum([0, *(len(model.params) for model in self.models)])
        groups: dict[object, list[int]] = {}
        for i in self.peaks:
            groups.setdefault(_kind(self.models[i]), []).append(i)
        for own in groups.values():
            guess = self.models[own[0]].guess
            if len(own) < 2 or not isinstance(guess, PeakGuess):
                continue
            columns = begin[own][:, np.newaxis] + np.arange(len(guess.names))
            order = parameters[..., columns[:, guess.names.index(guess.profile.center)]].argsort(axis=-1)
            parameters[..., columns] = np.take_along_axis(parameters[..., columns], order[..., np.newaxis], -2)
        return parameters

    def facts(self, attempt: int, x: FloatArray) -> Facts:
        """Return what compiled functions need for one attempt."""
        plan, names = self._plans()[attempt], [model.names for model in self.models]
        offset = np.cumsum([0, *(len(own) for own in names)])
        start, background = np.ones(offset[-1]), np.zeros(offset[-1], dtype=bool)
        places, boxes, scaled = {}, {}, []
        for i, model in enumerate(self.models):
            if not isinstance(model.guess, PeakGuess):
                background[offset[i] : offset[i + 1]] = True
                start[offset[i] : offset[i + 1]] = 0.0
                continue
            p, own = model.guess.profile, model.guess.names
            places[i] = [offset[i] + own.index(name) for name in (p.height, p.center, p.width)]
            boxes[i] = [p.window, p.mean]
            start[places[i]] = 0.0, float(np.median(x)), float(np.ptp(x)) or 1.0
            for name, value in p.others:
                start[offset[i] + own.index(name)] = value
            for name, factor in p.scaled:
                start[offset[i] + own.index(name)] = factor * start[places[i][2]]
                scaled.append([plan.order.index(i), offset[i] + own.index(name), factor])
        return Facts(
            start=start,
            boxes=np.array([boxes[i] for i in plan.order]),
            peaks=np.array([places[i] for i in plan.order], dtype=np.int64),
            scaled=np.array(scaled, dtype=np.float64).reshape(-1, 3),
            background=background,
            lengths=np.array(window_lengths(x.size, plan.widest), dtype=np.int64),
        )

    @property
    def _is_systematic(self) -> bool:
        return bool(self.peaks) and all(model.jacobian is not None for model in self.models)

    def _orders(self) -> list[tuple[int, ...]]:
        """Return orders of the peaks that differ in the order of their kinds."""
        kinds: dict[tuple[object, ...], tuple[int, ...]] = {}
        for order in itertools.islice(itertools.permutations(self.peaks), 720):
            kinds.setdefault(tuple(_kind(self.models[i]) for i in order), order)
            if len(kinds) == _MOST_ORDERS:
                break
        return list(kinds.values())

    def _plans(self) -> list[_Plan]:
        curved = any(_is_curved(model) for model in self.models if not model.peak)
        alone = len(self.peaks) == 1 and all(model.peak or model.name == "constant" for model in self.models)
        # Of few peaks, the wider boxes find all; many hide in each other.
        widths = _WIDEST[: 1 if alone else _FEW_WIDEST if len(self.peaks) < 3 else None]
        return [
            _Plan(order, peaks_first, widest)
            for widest in widths
            for peaks_first in ((False, True) if curved else (False,))
            for order in self._orders()
        ]

    def start(self, x: Array, y: Array, attempt: int = 0) -> FloatArray:
        """Return where to start, shape (..., p)."""
        with np.errstate(all="ignore"):
            if not self._is_systematic:
                return self._take_turns(np.asarray(x), np.real(y).astype(np.float64, copy=False), attempt)
            return self._find(*tidy(x, y), self._plans()[attempt])

    def _find(self, x: FloatArray, y: FloatArray, valid: Array, plan: _Plan) -> FloatArray:
        scene, found = Scene(x, y, valid), dict[int, FloatArray]()
        rest = holed = y if scene.complete else np.where(valid, y, np.nan)
        lead = y.shape[:-1]
        for i, model in enumerate(self.models):
            if not model.peak and not _is_curved(model):
                found[i] = np.asarray(model.guess(x, rest), dtype=np.float64)
                rest = rest - _values(model, x, found[i])
                self._take_out(scene, i, found[i], shared=True)
            elif not model.peak and not plan.peaks_first:
                found[i] = np.asarray(model.guess(x, holed), dtype=np.float64)
                self._take_out(scene, i, found[i])
        later = [i for i in range(len(self.models)) if i not in found and not self.models[i].peak]
        extra = self._polynomial(x) if later else np.zeros((0, x.size))
        for shape in extra:
            scene.add(shape.reshape((1,) * len(lead) + (-1,)))
        for n, i in enumerate(plan.order):
            found[i] = self._find_peak(scene, i, plan.widest)
            if later or n + 1 < len(plan.order):
                self._take_out(scene, i, found[i])
        for i in later:
            found[i] = self._from_rest(i, x, holed, found, extra)
        out = self.sorted(np.concatenate([found[i] for i in range(len(self.models))], axis=-1))
        return np.where(valid.any(axis=-1, keepdims=True), out, np.nan)

    def _find_peak(self, scene: Scene, i: int, widest: float) -> FloatArray:
        guess = self.models[i].guess
        if isinstance(guess, PeakGuess):
            return guess.parameters(*scene.find(widest))
        left = scene.left if scene.complete else np.where(scene.valid, scene.left, np.nan)
        return np.asarray(guess(scene.x, left, scene.background(), widest), dtype=np.float64)

    def _take_out(self, scene: Scene, i: int, parameters: FloatArray, *, shared: bool = False) -> None:
        """Take out what a term, and small changes of it, can explain."""
        if shared:  # the same for all curves
            parameters = np.zeros((1,) * (scene.y.ndim - 1) + (len(self.models[i].params),))
        jacobian = self.models[i].jacobian
        assert jacobian is not None
        shapes = np.asarray(jacobian(scene.x, *np.moveaxis(parameters, -1, 0)[..., np.newaxis]))
        for k in range(shapes.shape[-1]):
            scene.add(shapes[..., k])

    @staticmethod
    def _polynomial(x: FloatArray) -> FloatArray:
        span = float(np.ptp(x)) or 1.0
        return np.vander((x - x.min(initial=np.inf)) / span, _POLYNOMIAL, increasing=True).T[1:]

    def _from_rest(
        self, i: int, x: FloatArray, y: FloatArray, found: dict[int, FloatArray], extra: FloatArray
    ) -> FloatArray:
        """Start a background from what the peaks leave, which lie on any polynomial meanwhile."""
        parts = [(self.models[j], found[j]) for j in found]
        solved = _solve_linear([model for model, _ in parts], x, y, [own for _, own in parts], extra)
        rest = y - sum(_values(m, x, own) for (m, _), own in zip(parts, solved, strict=True) if m.peak)
        return np.asarray(self.models[i].guess(x, rest), dtype=np.float64)

    def _take_turns(self, x: Array, y: Array, attempt: int) -> FloatArray:
        """Start every term from what the others leave, backgrounds first, once or twice."""
        state: list[FloatArray] = [np.empty(0) for _ in self.models]
        values: list[FloatArray] = [np.zeros(y.shape) for _ in self.models]
        for _ in range(attempt + 1):
            for i in sorted(range(len(self.models)), key=lambda i: self.models[i].peak):
                rest = y - sum(values[j] for j in range(len(self.models)) if j != i)
                state[i] = np.asarray(self.models[i].guess(x, rest), dtype=np.float64)
                values[i] = _values(self.models[i], x, state[i])
        return np.concatenate(state, axis=-1)


def _kind(model: FitModel) -> object:
    return model.guess.profile if isinstance(model.guess, PeakGuess) else model.name


def _is_curved(model: FitModel) -> bool:
    return set(model.linear) != set(model.names)


def _values(model: FitModel, x: Array, parameters: Array) -> FloatArray:
    """Return the values of a term, 0 where they are not finite."""
    values = np.asarray(model.function(x, *np.moveaxis(parameters, -1, 0)[..., np.newaxis]))
    return values if np.isfinite(values).all() else np.where(np.isfinite(values), values, 0.0)


def _solve_linear(
    models: Sequence[FitModel], x: FloatArray, y: FloatArray, start: list[FloatArray], extra: FloatArray
) -> list[FloatArray]:
    """Replace the linear parameters of a sum by their best values for the others, next to any amount of ``extra``."""
    lead = y.shape[:-1]
    residual = y - sum(_values(model, x, own) for model, own in zip(models, start, strict=True))
    valid = np.isfinite(residual)
    columns = []
    for model, own in zip(models, start, strict=True):
        assert model.jacobian is not None
        shapes = np.asarray(model.jacobian(x, *np.moveaxis(own, -1, 0)[..., np.newaxis])).swapaxes(-1, -2)
        columns.append(np.broadcast_to(shapes, lead + shapes.shape[-2:]))
    names = np.array([name in model.linear for model in models for name in model.names])
    basis = np.concatenate(columns, axis=-2)[..., names, :]
    basis = np.concatenate([basis, np.broadcast_to(extra, lead + extra.shape)], axis=-2)
    # Products are rounded in the order of memory, which must not depend on how many curves there are.
    basis = np.ascontiguousarray(np.where(valid[..., np.newaxis, :] & np.isfinite(basis), basis, 0.0))
    normal = np.matmul(basis, basis.swapaxes(-1, -2))
    norm = np.sqrt(np.einsum("...ii->...i", normal))
    norm = np.where(norm > 0, norm, 1.0)
    # A little ridge keeps terms that cannot be told apart from cancelling each other at great heights.
    normal = normal / (norm[..., np.newaxis, :] * norm[..., np.newaxis]) + 1e-9 * np.eye(normal.shape[-1])
    slope = np.matmul(basis, np.where(valid, residual, 0.0)[..., np.newaxis])[..., 0]
    step = np.linalg.solve(normal, (slope / norm)[..., np.newaxis])[..., 0] / norm
    step = np.where(np.isfinite(step), step, 0.0)
    out = np.concatenate(start, axis=-1)
    out[..., names] += step[..., : int(names.sum())]
    return np.split(out, np.cumsum([len(model.params) for model in models])[:-1], axis=-1)
