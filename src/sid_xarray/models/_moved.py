"""Models on an axis that begins somewhere else at every curve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.errors import ModelError
from sid_xarray.models._model import Array, FitModel, Param
from sid_xarray.models.formula import Formula, Slopes

__all__ = ["Nowhere", "moved", "places", "travels"]

_PREFIX = "origin_of_axis_"
_DRAWS, _SAMPLES, _EXACT = 3, 40, 1e-8


def moved(model: FitModel) -> FitModel:
    """Return a model with one more parameter an axis, behind the others, which is added to the positions.

    So curves on pieces of one axis are curves on the same positions, with parameters in those of the axis.

    Parameters
    ----------
    model : FitModel
        With a formula.
    """
    formula = model.expression
    if formula is None:
        raise ModelError(f"{model.name!r} has no formula")
    origins = tuple(f"{_PREFIX}{axis}" for axis in formula.axes)
    text = Formula.replace_names(
        formula.text, {axis: f"({axis} + {o})" for axis, o in zip(formula.axes, origins, strict=True)}
    )
    whole = Formula(text, (*formula.parameters, *origins), formula.axes)
    return replace(
        model,
        function=whole,
        jacobian=Slopes(whole),
        expression=whole,
        params=(*model.params, *(Param(name, units="x") for name in origins)),
    )


@dataclass(frozen=True, slots=True)
class Nowhere:
    """The start of parameters that are all given, or solved for."""

    count: int

    def __call__(self, x: Array, y: Array) -> FloatArray:
        return np.zeros((*y.shape[:-1], self.count))


def places(model: FitModel) -> dict[int, int]:
    """Return which parameters are positions of something, by their names: from the parameter to the axis."""
    axes = model.axes
    found = {}
    for i, name in enumerate(model.names):
        if name == "center" or name.endswith("_center"):
            found[i] = 0
        for k, axis in enumerate(axes):
            if len(axes) > 1 and (name == f"center_{axis}" or name.endswith(f"_center_{axis}")):
                found[i] = k
    return found


def travels(model: FitModel) -> bool:
    """Tell whether a model stays what it is when its axis is moved: its positions move along, and linear parameters.

    Then a start that was found on a moved axis is one. It is tried out: ``f(x + t)`` with moved positions less ``f(x)``
    is a sum of derivatives by what is linear.
    """
    formula = model.expression
    if formula is None:
        return False
    rng = np.random.default_rng(0)
    linear = [i for i, name in enumerate(model.names) if name in model.linear]
    where = places(model)
    for _ in range(_DRAWS):
        x, t = rng.uniform(0.5, 1.5, (len(formula.axes), _SAMPLES)), rng.uniform(0.2, 0.4, len(formula.axes))
        p = rng.uniform(0.3, 0.9, len(model.names))
        there = p.copy()
        for i, k in where.items():
            there[i] += t[k]
        one, several = x[0], len(formula.axes) > 1
        here, away = (
            _value(formula, x if several else one, p),
            _value(formula, x + t[:, None] if several else one + t, there),
        )
        slopes: Any = np.asarray(Slopes(formula)(x if several else one, *p[:, np.newaxis]))[..., linear]
        if not (np.isfinite(here).all() and np.isfinite(away).all() and np.isfinite(slopes).all()):
            return False
        rest = away - here
        if linear:
            rest = rest - slopes @ np.linalg.lstsq(slopes, rest, rcond=None)[0]
        if not np.abs(rest).max() <= _EXACT * np.abs(here).max():
            return False
    return True


def _value(formula: Formula, x: FloatArray, p: FloatArray) -> Array:
    return np.asarray(formula(x, *p[:, np.newaxis]))
