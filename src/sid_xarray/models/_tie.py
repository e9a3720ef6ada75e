"""Parameters that follow others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.errors import ModelError, nearest
from sid_xarray.models._model import Array, FitModel
from sid_xarray.models.formula import Formula, Slopes

__all__ = ["Ties", "tie"]


def tie(model: FitModel, ties: Mapping[str, str]) -> tuple[FitModel, Ties]:
    """Return a model without the parameters that follow others, and how they follow.

    Parameters
    ----------
    model : FitModel
    ties : mapping
        From a parameter to a formula of others: ``{"gaussian2_sigma": "2 * gaussian1_sigma"}``.

    Raises
    ------
    ModelError
        If a name is unknown, or parameters follow each other in a circle.
    """
    solved = _solved(model, ties)
    free = tuple(name for name in model.names if name not in solved)
    if not free:
        raise ModelError("all parameters are tied: nothing is left to fit")
    ways = Ties(model.names, free, tuple((name, Formula(text, free, axes=())) for name, text in solved.items()))
    keep = ways.positions
    params = tuple(param for param in model.params if param.name in free)
    changes: dict[str, Any] = {
        "params": params,
        "guess": _Guess(model.guess, keep),
        "restart": None if model.restart is None else _Guess(model.restart, keep),
        "search": None,
        "needs": tuple(name for name in model.needs if name in free),
    }
    if model.expression is not None:
        formula = model.expression.replaced(solved)
        changes |= {"function": formula, "jacobian": Slopes(formula), "expression": formula, "linear": formula.linear}
    else:
        jacobian = None if model.jacobian is None else _Chained(model.jacobian, ways)
        changes |= {"function": _Tied(model.function, ways), "jacobian": jacobian, "linear": ()}
    return replace(model, **changes), ways


def _solved(model: FitModel, ties: Mapping[str, str]) -> dict[str, str]:
    """Return what every tied parameter is in terms of those that are not."""
    for name, text in ties.items():
        for other in (name, *Formula.names(str(text))):
            if other not in model.names:
                hint = nearest(str(other), model.names)
                raise ModelError(f"tie names {other!r}; {model.name!r} has {', '.join(model.names)}.{hint}")
    solved = {name: str(text) for name, text in ties.items()}
    for _ in solved:
        for name, text in solved.items():
            if any(other in solved for other in Formula.names(text)):
                known = {k: v for k, v in solved.items() if k != name}
                solved[name] = Formula.replace_names(text, known)
    for name, text in solved.items():
        if any(other in solved for other in Formula.names(text)):
            raise ModelError(f"{name!r} is tied to itself, by {ties[name]!r}")
    return solved


@dataclass(frozen=True, slots=True)
class Ties:
    """How parameters follow others.

    Parameters
    ----------
    names : tuple of str
        All parameters of the model.
    free : tuple of str
        Those that are fitted.
    ways : tuple of (str, Formula)
        The others, in terms of these.
    """

    names: tuple[str, ...]
    free: tuple[str, ...]
    ways: tuple[tuple[str, Formula], ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the free parameters are among all."""
        return tuple(self.names.index(name) for name in self.free)

    def __call__(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return values (b, t) and derivatives (b, t, q) of the tied parameters for free ones (b, q)."""
        columns = p.T
        shape = columns.shape[1:]
        values = [np.broadcast_to(way(np.empty(0), *columns), shape) for _, way in self.ways]
        slopes = [Slopes(way)(np.empty(0), *columns[..., np.newaxis])[..., 0, :] for _, way in self.ways]
        return np.stack(values, axis=-1), np.stack([np.broadcast_to(s, p.shape) for s in slopes], axis=-2)

    def all(self, parameters: Sequence[Array]) -> list[Array]:
        """Return all parameters from the free ones."""
        known = dict(zip(self.free, parameters, strict=True))
        known |= {name: way(np.empty(0), *parameters) for name, way in self.ways}
        return [known[name] for name in self.names]


@dataclass(frozen=True, slots=True)
class _Guess:
    guess: Any
    keep: tuple[int, ...]

    def __call__(self, x: Array, y: Array, *attempt: int) -> Array:
        return np.asarray(self.guess(x, y, *attempt))[..., list(self.keep)]


@dataclass(frozen=True, slots=True)
class _Tied:
    function: Any
    ties: Ties

    def __call__(self, x: Array, *parameters: Array) -> Array:
        return np.asarray(self.function(x, *self.ties.all(parameters)))


@dataclass(frozen=True, slots=True)
class _Chained:
    jacobian: Any
    ties: Ties

    def __call__(self, x: Array, *parameters: Array) -> Array:
        whole = np.asarray(self.jacobian(x, *self.ties.all(parameters)))
        names, out = self.ties.names, whole[..., list(self.ties.positions)]
        for name, way in self.ties.ways:
            slopes = Slopes(way)(np.empty(0), *parameters)
            out = out + whole[..., names.index(name)][..., np.newaxis] * slopes
        return out
