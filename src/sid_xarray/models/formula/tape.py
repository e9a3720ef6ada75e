"""Formulas at work on whole arrays: a list of operations, run one after the other."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sid_xarray._arrays import NUMPY, Arrays, host
from sid_xarray.models.formula.graph import ON_AXES, ON_PARAMETERS, Graph

__all__ = ["Tape", "rising"]

_PLAIN = frozenset(
    "add subtract multiply negative sqrt exp log sin cos tan sinh cosh tanh arcsin arccos arctan abs sign power less "
    "less_equal".split()
)
# Of these numpy writes into an array that is given, so that temporaries are used again.
_IN_PLACE = frozenset("add subtract multiply negative sqrt exp inverse sin cos tanh".split())
# Names in the array API standard, where they are others.
_STANDARD = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
_BY_OPERATOR: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "negative": operator.neg,
    "power": operator.pow,
    "inverse": partial(operator.truediv, 1.0),
    "less": operator.lt,
    "less_equal": operator.le,
}
# Where other libraries have functions that the standard has not.
_SPECIAL_MODULES = {"torch": "torch.special", "cupy": "cupyx.scipy.special"}
_SERIES = 0.05


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation: what it is called, where arguments are and the result goes."""

    name: str
    args: tuple[int, ...]
    to: int
    drops: tuple[int, ...]  # values that are not needed afterwards
    output: int  # which output this is, or -1


@dataclass(frozen=True, slots=True)
class Tape:
    """What to do, in order.

    Parameters
    ----------
    graph : Graph
        Real.
    outputs : tuple of int
        The values that are wanted.
    fixed, slow, fast : tuple of _Step
        What depends on the axes alone, on parameters alone, and on both.
    """

    graph: Graph
    outputs: tuple[int, ...]
    fixed: tuple[_Step, ...]
    slow: tuple[_Step, ...]
    fast: tuple[_Step, ...]

    @classmethod
    def record(cls, graph: Graph, outputs: Sequence[int]) -> Tape:
        """Sort the operations that outputs need."""
        needed = graph.reachable(outputs)
        steps = [i for i in needed if graph.ops[i].name not in ("number", "symbol")]
        both = ON_AXES | ON_PARAMETERS
        last: dict[int, int] = {}
        for i in steps:
            for k in graph.ops[i].args:
                last[k] = i
        position: dict[int, int] = {}
        for n, i in enumerate(outputs):
            position.setdefault(i, n)
        groups: dict[int, list[_Step]] = {ON_AXES: [], ON_PARAMETERS: [], both: []}
        for i in steps:
            op = graph.ops[i]
            gone = tuple(
                k for k in dict.fromkeys(op.args) if last[k] == i and graph.ops[k].depends == both and k not in position
            )
            # An operation on numbers alone is worked out first of all.
            group = groups[op.depends or ON_AXES]
            group.append(_Step(op.name, op.args, i, gone, position.get(i, -1)))
        return cls(graph, tuple(outputs), *(tuple(groups[k]) for k in (ON_AXES, ON_PARAMETERS, both)))

    def prepare(self, axes: dict[str, Any]) -> dict[int, Any]:
        """Return the values that depend on the axes alone, for `run`."""
        known: dict[int, Any] = {}
        for i, op in enumerate(self.graph.ops):
            if op.name == "number":
                known[i] = op.value
            elif op.name == "symbol" and op.value in axes:
                known[i] = axes[str(op.value)]
        for step in self.fixed:
            known[step.to] = _apply(step.name, [known[k] for k in step.args], None)
        return known

    def run(
        self,
        prepared: dict[int, Any],
        parameters: dict[str, Any],
        out: Sequence[Any] | None = None,
        xp: Arrays = NUMPY,
    ) -> list[Any]:
        """Return the outputs.

        Parameters
        ----------
        prepared : dict
            From `prepare`.
        parameters : dict
            By name; arrays that broadcast with the axes, or numbers.
        out : sequence of ndarray, optional
            Where the outputs go, in their order.
        xp : Arrays
            The library of all arrays.
        """
        known, apply = dict(prepared), _apply if xp is NUMPY else partial(_apply_elsewhere, xp)
        for i, op in enumerate(self.graph.ops):
            if op.name == "symbol" and i not in known:
                known[i] = parameters[str(op.value)]
        for step in self.slow:
            known[step.to] = apply(step.name, [known[k] for k in step.args], None)
        for step in self.fast:
            args = [known[k] for k in step.args]
            target = out[step.output] if out is not None and step.output >= 0 else self._reused(step, args, known)
            known[step.to] = apply(step.name, args, target)
            for k in step.drops:
                del known[k]
        results = [known[i] for i in self.outputs]
        if out is None:
            return results
        for result, target in zip(results, out, strict=True):
            if result is not target:
                target[...] = xp.numbers(result)
        return list(out)

    @staticmethod
    def _reused(step: _Step, args: list[Any], known: dict[int, Any]) -> Any:
        """Return an argument that is not needed any more and is as large as the result."""
        if step.name not in _IN_PLACE or not step.drops or type(known[step.drops[0]]) is not np.ndarray:
            return None
        shape = args[0].shape if len(args) == 1 else np.broadcast_shapes(*(np.shape(arg) for arg in args))
        for k in step.drops:
            if known[k].shape == shape and known[k].dtype == np.float64:
                return known[k]
        return None


def _apply(name: str, args: list[Any], target: Any) -> Any:
    """Work out one operation, in ``target`` if there is one that fits."""
    if name in _PLAIN:
        function = getattr(np, name)
        return function(*args) if target is None else function(*args, out=target)
    if name == "inverse":
        return np.divide(1.0, args[0]) if target is None else np.divide(1.0, args[0], out=target)
    value = _SPECIAL[name](*args) if name in _SPECIAL else np.where(*args)
    if target is not None:
        target[...] = value
        return target
    return value


def _apply_elsewhere(xp: Arrays, name: str, args: list[Any], target: Any) -> Any:
    """Work out one operation on arrays of another library than NumPy, and copy it to ``target`` if there is one."""
    if name == "where":
        value = xp.where(*_as_arrays(xp, args))
    elif name in _SPECIAL:
        value = _special(xp, name, _as_arrays(xp, args))
    elif name in _BY_OPERATOR:
        value = _BY_OPERATOR[name](*(xp.numbers(arg) for arg in args))
    else:
        value = xp.function(_STANDARD.get(name, name))(*_as_arrays(xp, args))
    if target is not None:
        target[...] = xp.numbers(value)
        return target
    return value


def _as_arrays(xp: Arrays, args: list[Any]) -> list[Any]:
    return [xp.full((1, 1), arg, type(arg)) if isinstance(arg, bool | int | float) else arg for arg in args]


def _special(xp: Arrays, name: str, args: list[Any]) -> Any:
    """Return a function that the standard has not: of the library if it has it, or else worked out in NumPy."""
    module = _SPECIAL_MODULES.get(xp.library)
    own = getattr(importlib.import_module(module), name, None) if module else None
    return own(*args) if own is not None else xp.asarray(_SPECIAL[name](*map(host, args)))


def _erf(a: Any) -> Any:
    from scipy.special import erf

    return erf(a)


def _voigt_real(x: Any, y: Any) -> Any:
    from scipy.special import wofz

    return wofz(x + 1j * np.asarray(y)).real


def _voigt_imag(x: Any, y: Any) -> Any:
    from scipy.special import wofz

    return wofz(x + 1j * np.asarray(y)).imag


def _langevin(a: Any) -> Any:
    """Return ``coth(a) - 1/a``, by its series where both terms cancel."""
    a = np.asarray(a, dtype=np.float64)
    near = np.abs(a) < _SERIES
    far = np.where(near, 1.0, a)
    square = a * a
    return np.where(
        near, a * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725))), 1 / np.tanh(far) - 1 / far
    )


def _langevin_slope(a: Any) -> Any:
    """Return the derivative of `_langevin`, ``1/a**2 - 1/sinh(a)**2``."""
    a = np.asarray(a, dtype=np.float64)
    near = np.abs(a) < _SERIES
    far = np.clip(np.where(near, 1.0, a), -300.0, 300.0)
    square = a * a
    return np.where(
        near, 1 / 3 - square * (1 / 15 - square * (2 / 189 - square / 675)), 1 / far**2 - 1 / np.sinh(far) ** 2
    )


def rising(x: Any) -> Any:
    """Return 1 where x rises towards the next sample, else 0; where it rests, as before."""
    step = np.diff(np.asarray(x, dtype=np.float64), axis=-1)
    if not step.size:
        return np.ones(np.shape(x))
    moving = np.where(step != 0, np.arange(step.shape[-1]), -1)
    last = np.maximum.accumulate(moving, axis=-1)
    first = (step != 0).argmax(axis=-1, keepdims=True)
    taken = np.take_along_axis(step, np.where(last < 0, first, last), axis=-1)
    return (np.concatenate([taken, taken[..., -1:]], axis=-1) > 0).astype(np.float64)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "erf": _erf,
    "voigt_real": _voigt_real,
    "voigt_imag": _voigt_imag,
    "langevin": _langevin,
    "langevin_slope": _langevin_slope,
    "rising": rising,
}
