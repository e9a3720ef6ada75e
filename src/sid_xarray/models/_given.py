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

__all__ = ["from_formula", "from_function", "from_lmfit", "is_lmfit"]


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


def is_lmfit(model: Any) -> bool:
    """Tell whether something is a model of lmfit, without importing it."""
    return any(cls.__module__.partition(".")[0] == "lmfit" and cls.__name__ == "Model" for cls in type(model).__mro__)


def from_lmfit(model: Any) -> FitModel:
    """Return a model of lmfit as one of ours, with the starts and bounds of its hints.

    One that is an expression becomes a formula, if it can be read as one; others are functions.

    Raises
    ------
    ModelError
        If it has several independent variables, or ties parameters that are fitted.
    """
    if len(model.independent_vars) != 1:
        raise ModelError(f"a model of lmfit has one independent variable here; this one has {model.independent_vars}")
    hints, names = model.make_params(), tuple(model.param_names)
    if tied := [name for name in names if hints[name].expr]:
        raise ModelError(f"ties of lmfit are not taken over, of {', '.join(tied)}. Pass tie={{...}} to the fit.")
    text = getattr(model, "expr", None)
    made = _read(text) if isinstance(text, str) and list(model.independent_vars) == ["x"] else None
    if made is None or set(made.names) != set(names):
        function = _Careful(_Named(model, names, model.independent_vars[0]))
        nowhere = _Start((np.nan,) * len(names))
        made = FitModel(model.name, function, nowhere, tuple(Param(n, units="") for n in names), needs=names)
    params = tuple(replace(p, lower=float(hints[p.name].min), upper=float(hints[p.name].max)) for p in made.params)
    values = tuple(float(hints[p.name].value) for p in made.params)
    needs = tuple(n for n, value in zip(made.names, values, strict=True) if not np.isfinite(value) and n in made.needs)
    guessed = np.asarray(made.guess(np.zeros(1), np.zeros(1)))
    start = tuple(v if np.isfinite(v) else float(g) for v, g in zip(values, guessed, strict=True))
    return replace(made, params=params, needs=needs, guess=_Start(start))


def _read(text: str) -> FitModel | None:
    try:
        return from_formula(text)
    except ModelError:  # lmfit reads more than formulas
        return None


@dataclass(frozen=True, slots=True)
class _Named:
    """A model of lmfit as a function of x and its parameters."""

    model: Any
    names: tuple[str, ...]
    axis: str

    def __call__(self, x: Array, *parameters: Array) -> Array:
        return np.asarray(self.model.eval(**{self.axis: x}, **dict(zip(self.names, parameters, strict=True))))


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
