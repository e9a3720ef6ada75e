"""A formula and its derivatives: one text, from which every kernel is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sid_xarray._arrays import NUMPY, Arrays
from sid_xarray._types import AnyArray, FloatArray
from sid_xarray.errors import ModelError
from sid_xarray.models.formula.derive import derivative, linear_together
from sid_xarray.models.formula.graph import Graph
from sid_xarray.models.formula.parts import Parts
from sid_xarray.models.formula.read import CALLS, names_in, read, rename, to_graph
from sid_xarray.models.formula.source import write_source
from sid_xarray.models.formula.tape import Tape
from sid_xarray.models.formula.units import solve_units

__all__ = ["Formula", "Slopes", "infer_units"]

_MOST_VALUES = 20_000


@dataclass(frozen=True, slots=True)
class Formula:
    """A function of axes and parameters, written down.

    Parameters
    ----------
    text : str
        Numbers, names, ``+ - * / **``, comparisons and the functions of `CALLS`; ``1j`` is the imaginary unit.
    parameters : tuple of str
        Names of the parameters, in their order.
    axes : tuple of str, default: ("x",)
        Names of what varies along a curve. With more than one, ``x`` has the shape (axes, n).

    Raises
    ------
    ModelError
        If the text is no formula, or has other names than these.

    Examples
    --------
    >>> line = Formula.of("a * x + b")
    >>> line.parameters, float(line(2.0, 3.0, 1.0))
    (('a', 'b'), 7.0)
    """

    text: str
    parameters: tuple[str, ...]
    axes: tuple[str, ...] = ("x",)

    def __post_init__(self) -> None:
        for name in (*self.parameters, *self.axes):
            if name in CALLS or name == "pi":
                raise ModelError(f"{name!r} is a function or number of formulas, and no name for a parameter")
        found = names_in(read(self.text))
        if unknown := [name for name in found if name not in self.parameters and name not in self.axes]:
            raise ModelError(f"the formula {self.text!r} has names that are no parameter: {', '.join(unknown)}")

    @classmethod
    def of(cls, text: str, axes: tuple[str, ...] = ("x",)) -> Formula:
        """Return the formula whose parameters are its other names, in the order in which they appear."""
        return cls(text, tuple(name for name in names_in(read(text)) if name not in axes), axes)

    @staticmethod
    def names(text: str) -> list[str]:
        """Return the names of values in a formula, axes and parameters, in their order.

        Raises
        ------
        ModelError
            If the text is no formula.
        """
        return names_in(read(text))

    @staticmethod
    def replace_names(text: str, names: Mapping[str, str]) -> str:
        """Return a formula with formulas in the place of names."""
        return rename(text, names)

    def replaced(self, parameters: Mapping[str, str]) -> Formula:
        """Return the formula with formulas of its other parameters in the place of some."""
        free = tuple(p for p in self.parameters if p not in parameters)
        return Formula(rename(self.text, parameters), free, self.axes)

    def renamed(self, names: Mapping[str, str]) -> Formula:
        """Return the formula with other names for its parameters."""
        return Formula(rename(self.text, names), tuple(names.get(p, p) for p in self.parameters), self.axes)

    def __call__(self, x: Any, *parameters: Any) -> AnyArray:
        """Return the values, shape (..., n) for parameters of shape (..., 1)."""
        work = _work(self)
        x, named = np.asarray(x, dtype=np.float64), self._named(parameters)
        x = x if self.axes else np.zeros(())
        with np.errstate(all="ignore"):
            real, *imag = work.value.run(work.value.prepare(self._split_axes(x)), named)
        shape = np.broadcast_shapes(x.shape[1:] if len(self.axes) > 1 else x.shape, *(v.shape for v in named.values()))
        value = real + 1j * imag[0] if imag else real
        out = np.empty(shape, dtype=np.complex128 if imag else np.float64)
        out[...] = value
        return out

    def _split_axes(self, x: AnyArray) -> dict[str, AnyArray]:
        return dict(zip(self.axes, x, strict=True)) if len(self.axes) > 1 else dict.fromkeys(self.axes, x)

    def _named(self, parameters: Sequence[Any]) -> dict[str, AnyArray]:
        return {k: np.asarray(v, dtype=np.float64) for k, v in zip(self.parameters, parameters, strict=True)}

    @property
    def is_complex(self) -> bool:
        """Whether the values are complex."""
        return _work(self).parts == 2

    @property
    def linear(self) -> tuple[str, ...]:
        """Parameters in which it is linear while the others are held."""
        return _work(self).linear

    def prepare(self, x: FloatArray, xp: Arrays = NUMPY) -> dict[int, Any]:
        """Return what depends on the axes alone, for `evaluate`; x has the shape (n,) or (axes, n)."""
        known = _work(self).both.prepare(self._split_axes(x))
        if xp is NUMPY:
            return known
        return {i: xp.asarray(v) if np.ndim(v) else np.asarray(v).item() for i, v in known.items()}

    def evaluate(
        self, prepared: dict[int, Any], p: FloatArray, value: FloatArray, slopes: FloatArray, xp: Arrays = NUMPY
    ) -> None:
        """Write values and derivatives at once.

        Parameters
        ----------
        prepared : dict
            From `prepare`.
        p : ndarray, shape (b, p)
        value : ndarray, shape (b, m)
            ``m = n``, or ``2 n`` with the real parts first.
        slopes : ndarray, shape (b, p, m)
        xp : Arrays
            The library of all of them.
        """
        work = _work(self)
        n = value.shape[-1] // work.parts
        columns = {name: p[:, k : k + 1] for k, name in enumerate(self.parameters)}
        out = []
        for part in range(work.parts):
            here = slice(part * n, (part + 1) * n)
            out += [value[:, here], *(slopes[:, k, here] for k in range(p.shape[1]))]
        work.both.run(prepared, columns, out, xp)

    def source(self) -> tuple[str, tuple[int, ...]]:
        """Return the text of a compiled kernel, and which values it wants as rows; see `write_source`."""
        return _work(self).source

    def rows(self, x: FloatArray) -> FloatArray:
        """Return the rows that the compiled kernel reads: what depends on the axes alone, shape (rows, n)."""
        work = _work(self)
        known = work.both.prepare(self._split_axes(x))
        n = x.shape[-1]
        out = np.empty((len(work.source[1]), n))
        for row, i in zip(out, work.source[1], strict=True):
            row[:] = known[i]
        return out


@dataclass(frozen=True, slots=True)
class Slopes:
    """The derivatives of a formula, as a function of the same arguments."""

    formula: Formula

    def __call__(self, x: Any, *parameters: Any) -> AnyArray:
        """Return the derivatives, shape (..., n, p), with the parameters slow and the samples fast in memory."""
        f, work = self.formula, _work(self.formula)
        x, named = np.asarray(x, dtype=np.float64), f._named(parameters)
        with np.errstate(all="ignore"):
            found = work.both.run(work.both.prepare(f._split_axes(x)), named)
        n = x.shape[1:] if len(f.axes) > 1 else x.shape if f.axes else ()
        p = len(f.parameters)
        shape = np.broadcast_shapes(n, *(v.shape for v in named.values()))
        out = np.empty((*shape[:-1], p, *shape[-1:]), dtype=np.complex128 if work.parts == 2 else np.float64)
        for k in range(p):
            imag = 1j * found[p + 2 + k] if work.parts == 2 else 0.0
            out[..., k, :] = found[1 + k] + imag
        return out.swapaxes(-1, -2)


@dataclass(frozen=True, slots=True)
class _Work:
    """What follows from a formula, worked out once."""

    parts: int
    linear: tuple[str, ...]
    value: Tape
    both: Tape
    source: tuple[str, tuple[int, ...]]


def infer_units(formula: Formula) -> dict[str, str]:
    """Return the units of parameters that follow from a formula of one axis, as `Param` takes them."""
    graph = Graph(formula.axes)
    found = solve_units(graph, to_graph(read(formula.text), graph), formula.parameters, formula.axes[0])
    return {name: _product({"y": y, "x": x}) for name, (y, x) in found.items()}


def _product(exponents: Mapping[str, int]) -> str:
    """Write a product of powers: ``"y/x**2"``, ``"1"``."""

    def powers(sign: int) -> list[str]:
        return [k if abs(n) == 1 else f"{k}**{abs(n)}" for k, n in exponents.items() if n * sign > 0]

    return "/".join(["*".join(powers(1)) or "1", *powers(-1)])


@lru_cache(maxsize=256)
def _work(formula: Formula) -> _Work:
    graph = Graph(formula.axes)
    try:
        value = to_graph(read(formula.text), graph)
    except RecursionError:
        raise ModelError(f"the formula {formula.text[:60]!r}… is nested too deeply") from None
    slopes = [derivative(graph, value, name) for name in formula.parameters]
    linear = linear_together(graph, value, formula.parameters)
    split = Parts(graph)
    whole = [split.split(i) for i in (value, *slopes)]
    zero = graph.number(0)
    is_complex = any(imag is not None for _, imag in whole)
    outputs = [real for real, _ in whole]
    if is_complex:
        outputs += [zero if imag is None else imag for _, imag in whole]
    if len(graph.ops) > _MOST_VALUES:
        raise ModelError(f"the formula {formula.text[:60]!r}… is too large")
    first = outputs[:: len(whole)]
    return _Work(
        parts=2 if is_complex else 1,
        linear=linear,
        value=Tape.record(graph, first),
        both=Tape.record(graph, outputs),
        source=write_source(graph, outputs, formula.parameters, parts=2 if is_complex else 1),
    )
