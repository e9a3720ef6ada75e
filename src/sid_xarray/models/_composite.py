"""How sums and products of models are evaluated and started."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sid_xarray.models._grid import best_of_grid
from sid_xarray.models._guess import tidy
from sid_xarray.models._model import Array, FitModel
from sid_xarray.models._search import SumSearch

__all__ = ["Product", "Sum"]

_SETS = 1500


@dataclass(frozen=True, slots=True)
class _Composite:
    """Parts that share x; the parameters follow one another. Plain data, so that it can be pickled."""

    models: tuple[FitModel, ...]

    def split(self, parameters: Sequence[Array]) -> list[Sequence[Array]]:
        """Return the parameters of every part."""
        out, begin = [], 0
        for model in self.models:
            out.append(parameters[begin : begin + len(model.params)])
            begin += len(model.params)
        return out

    def values(self, x: Array, parameters: Sequence[Array]) -> list[Array]:
        """Return the values of every part."""
        parts = zip(self.models, self.split(parameters), strict=True)
        return [np.asarray(model.function(x, *own)) for model, own in parts]

    def slopes(self, x: Array, parameters: Sequence[Array]) -> list[Array]:
        """Return the derivatives of every part, samples last: (..., p, n)."""
        out = []
        for model, own in zip(self.models, self.split(parameters), strict=True):
            assert model.jacobian is not None
            out.append(np.asarray(model.jacobian(x, *own)).swapaxes(-1, -2))
        return out


@dataclass(frozen=True, slots=True)
class Sum(_Composite):
    """A sum of models."""

    def function(self, x: Array, *parameters: Array) -> Array:
        """Return the sum, shape (..., n)."""
        values = self.values(x, parameters)
        out = values[0] + values[1]
        for value in values[2:]:
            out = out + value
        return out

    def jacobian(self, x: Array, *parameters: Array) -> Array:
        """Return the derivatives, shape (..., n, p)."""
        return np.concatenate(_alike(self.slopes(x, parameters)), axis=-2).swapaxes(-1, -2)

    def guess(self, x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
        """Start the terms one after the other, shape (..., p); see `SumSearch`.

        A sum of peaks that is a factor is told of a background; its peaks find their own.
        """
        return SumSearch(self.models).start(x, y)

    def restart(self, x: Array, y: Array, attempt: int) -> Array:
        """Return another start, shape (..., p)."""
        return SumSearch(self.models).start(x, y, attempt)


@dataclass(frozen=True, slots=True)
class Product(_Composite):
    """A product of models."""

    @property
    def has_grid(self) -> bool:
        """Whether every factor says among which parameters to look for a start."""
        return all(model.spread is not None and model.jacobian is not None for model in self.models)

    def function(self, x: Array, *parameters: Array) -> Array:
        """Return the product, shape (..., n)."""
        values = self.values(x, parameters)
        out = values[0] * values[1]
        for value in values[2:]:
            out = out * value
        return out

    def jacobian(self, x: Array, *parameters: Array) -> Array:
        """Return the derivatives, shape (..., n, p)."""
        values, slopes = self.values(x, parameters), self.slopes(x, parameters)
        for i, slope in enumerate(slopes):
            # The product of the others, and not the whole divided by the own value, which may be 0.
            for j, value in enumerate(values):
                if j != i:
                    slope = slope * value[..., np.newaxis, :]
            slopes[i] = slope
        return np.concatenate(_alike(slopes), axis=-2).swapaxes(-1, -2)

    def guess(self, x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
        """Start a product, shape (..., p): from a grid if all factors have one, else one after the other.

        The first peak may lie on a background, as in a sum; see `FitModel`.
        """
        return self._from_grid(x, y) if self.has_grid else self._one_by_one(x, y, background, widest)

    def restart(self, x: Array, y: Array, attempt: int) -> Array:
        """Return the other start of a product that has a grid."""
        return self._one_by_one(x, y)

    def _from_grid(self, x: Array, y: Array) -> Array:
        """Start from those parameters of all factors that explain most, with the best amounts of what is linear."""
        x, y, valid = tidy(x, y)
        grids = [np.asarray(model.spread(x)) for model in self.models if model.spread is not None]
        many = [len(grid) for grid in grids if len(grid) > 1]
        share = min(1.0, (_SETS / np.prod(many, dtype=float)) ** (1 / max(len(many), 1)))
        keep = [max(1, round(len(grid) * share)) if len(grid) > 1 else 1 for grid in grids]
        grids = [g[np.linspace(0, len(g) - 1, n).round().astype(int)] for g, n in zip(grids, keep, strict=True)]
        sets = np.array([np.concatenate(one) for one in itertools.product(*grids)])
        begin = np.cumsum([0, *(len(model.params) for model in self.models)])
        # Linear in two factors at once it is not: in the factor that is linear in most.
        most = max(range(len(self.models)), key=lambda i: len(self.models[i].linear))
        own = self.models[most]
        linear = [begin[most] + own.names.index(name) for name in own.linear]
        with np.errstate(all="ignore"):
            columns = self.jacobian(x, *sets.T[:, :, np.newaxis])
            best, amounts = best_of_grid(y, valid, np.moveaxis(columns[..., linear], -1, -2))
        out = sets[best]
        out[..., linear] = amounts
        return np.where(valid.any(axis=-1, keepdims=True), out, np.nan)

    def _one_by_one(self, x: Array, y: Array, background: Array | None = None, widest: float = 0.5) -> Array:
        """Start every factor from the data divided by the factors before it, peaks first."""
        rest = np.asarray(y)
        guesses: dict[int, Array] = {}
        with np.errstate(all="ignore"):
            for i in sorted(range(len(self.models)), key=lambda i: not self.models[i].peak):
                told = (background, widest) if self.models[i].peak and not guesses else ()
                own = np.asarray(self.models[i].guess(x, rest, *told), dtype=np.float64)
                guesses[i] = own
                value = np.asarray(self.models[i].function(x, *np.moveaxis(own, -1, 0)[..., np.newaxis]))
                size = np.where(np.isfinite(value), np.abs(value), 0.0).max(axis=-1, keepdims=True, initial=0.0)
                # Where a factor is small, the quotient is noise.
                rest = np.where(np.abs(value) > 0.1 * size, rest / value, np.nan)
        return np.concatenate([guesses[i] for i in range(len(self.models))], axis=-1)


def _alike(slopes: list[Array]) -> list[Array]:
    """Broadcast leading dimensions."""
    lead = np.broadcast_shapes(*(slope.shape[:-2] for slope in slopes))
    return [np.broadcast_to(slope, lead + slope.shape[-2:]) for slope in slopes]
