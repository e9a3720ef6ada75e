"""Models that users bring: formulas as text, and functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.errors import ModelError
from sid_xarray.models._model import Array, FitModel, Param
from sid_xarray.models.formula import Formula, infer_units

__all__ = ["from_formula", "from_function"]


def from_formula(text: str) -> FitModel:
    """Return the model of a formula such as ``"a * exp(-x / t) + b"``.

    Its parameters are the names in it, in their order. Their units follow from where they stand. Parameters in which
    it is linear need no start.

    Raises
    ------
    ModelError
        If the text is no formula.
    """
    formula = Formula.of(text)
    if not formula.parameters:
        raise ModelError(f"the formula {text!r} has no parameter: there is nothing to fit")
    units = infer_units(formula)
    params = tuple(Param(name, units=units.get(name, "")) for name in formula.parameters)
    needs = tuple(name for name in formula.parameters if name not in formula.linear)
    guess = _Start(tuple(np.nan if name in needs else 0.0 for name in formula.parameters))
    made = FitModel.of(text.strip(), text, guess, params)
    return replace(made, needs=needs, formula="")


def from_function(function: Callable[..., Any], name: str = "") -> FitModel:
    """Return the model of a function ``f(x, a, b, ...)``; values by default are where its parameters start.

    It gets x of shape (n,) and arrays for the parameters, or, if it cannot work with these, one curve after the other.

    Raises
    ------
    ModelError
        If the function takes no parameters that have names.
    """
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ModelError(f"a model is a text or a function f(x, a, b, ...), got {function!r}") from error
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wrong = [a.name for a in arguments if a.kind not in kinds]
    if len(arguments) < 2 or wrong:
        raise ModelError(
            "a function to fit names its parameters, f(x, a, b, ...); this one takes "
            f"{', '.join(str(a) for a in arguments) or 'nothing'}"
        )
    params = tuple(Param(a.name, units="") for a in arguments[1:])
    start = tuple(np.nan if a.default is a.empty else float(a.default) for a in arguments[1:])
    needs = tuple(p.name for p, value in zip(params, start, strict=True) if np.isnan(value))
    label = name or getattr(function, "__name__", type(function).__name__)
    return FitModel(label, _Careful(function), _Start(start), params, needs=needs)


@dataclass(frozen=True, slots=True)
class _Start:
    """The same start for every curve."""

    values: tuple[float, ...]

    def __call__(self, x: Array, y: Array) -> FloatArray:
        return np.tile(np.array(self.values), (*y.shape[:-1], 1))


@dataclass(frozen=True, slots=True)
class _Careful:
    """A function that may not work with arrays of parameters."""

    function: Callable[..., Any]

    def __call__(self, x: Array, *parameters: Array) -> Array:
        shape = np.broadcast_shapes(np.shape(x), *(np.shape(p) for p in parameters))
        if len(shape) < 2:
            return np.asarray(
                self.function(x, *(np.asarray(p).reshape(())[()] if np.size(p) == 1 else p for p in parameters))
            )
        try:
            out = np.asarray(self.function(x, *parameters))
            if out.shape == shape:
                return out
        except (TypeError, ValueError):
            pass
        columns = [np.broadcast_to(p, (*shape[:-1], 1)).reshape(-1) for p in parameters]
        rows = [np.asarray(self.function(x, *(c[i] for c in columns))) for i in range(columns[0].size)]
        return np.stack([np.broadcast_to(row, shape[-1:]) for row in rows]).reshape(shape)
