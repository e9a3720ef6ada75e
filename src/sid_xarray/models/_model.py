"""What a fit model is: a function of x, its parameters, and where to start."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sid_xarray.errors import ModelError
from sid_xarray.models.formula import Formula, Slopes

__all__ = ["Array", "FitModel", "Param", "Term"]

Array: TypeAlias = npt.NDArray[Any]

_FACTOR = re.compile(r"(?P<base>[xy])(?:\*\*(?P<power>-?\d+))?|1")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a model.

    Parameters
    ----------
    name : str
        Lower snake case: it becomes the name of a variable.
    units : str, default: "1"
        In terms of the units of the data and of the axis: a product or quotient of ``y``, ``x`` and ``1``, such as
        ``"y"``, ``"1/x"``, ``"y/x"``, ``"y*x**2"``. Or ``"rad"``. Or nothing, if they are not known.
    lower, upper : float
        Bounds that belong to the meaning of the parameter, for instance 0 for a width.
    period : float, default: 0
        Of an angle, after which the model repeats: a fit without bounds for it ends within half a period of 0.
    """

    name: str
    units: str = "1"
    lower: float = -math.inf
    upper: float = math.inf
    period: float = 0.0

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ModelError(f"a parameter name must be an identifier, got {self.name!r}")
        if not self.lower <= self.upper:
            raise ModelError(f"bounds of {self.name} cross: {self.lower} > {self.upper}")
        self.exponents()

    def exponents(self) -> tuple[int, int]:
        """Return the exponents of the units of y and of x: ``"y/x"`` gives (1, -1).

        Raises
        ------
        ModelError
            If ``units`` is no such expression.
        """
        powers = {"y": 0, "x": 0}
        if self.units in ("rad", ""):
            return 0, 0
        sign = 1
        for token in re.split(r"(?<!\*)([*/])(?!\*)", self.units.replace(" ", "")):
            if token in {"*", "/"}:
                sign = 1 if token == "*" else -1
                continue
            factor = _FACTOR.fullmatch(token)
            if factor is None:
                raise ModelError(
                    f"units of {self.name} must be made of x, y, 1, *, / and **, such as 'y/x', got {self.units!r}"
                )
            if factor["base"]:
                powers[factor["base"]] += sign * int(factor["power"] or 1)
        return powers["y"], powers["x"]


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a composite model.

    Parameters
    ----------
    name : str
        Label, such as ``"gaussian1"``.
    model : FitModel
    index : tuple of int
        Which parameters of the whole are its own, in its order.
    """

    name: str
    model: FitModel
    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FitModel:
    """A model to fit.

    Parameters
    ----------
    name : str
        Lower snake case, or the expression of a composite.
    function : callable
        ``function(x, *parameters)``, elementwise with broadcasting: x of shape (n,) and parameters of shape
        (..., 1) give (..., n).
    guess : callable
        ``guess(x, y)`` gives (..., p) for y of shape (..., n), which may hold NaN. Without warnings and without
        exceptions: NaN says that there is nothing to start from.
    params : tuple of Param
        In the order of the arguments.
    jacobian : callable, optional
        ``jacobian(x, *parameters)`` gives (..., n, p).
    linear : tuple of str
        Parameters in which the function is linear *together*, while the others are held.
    reference : str
        Where it is defined.
    formula : str
        In LaTeX.
    peak : bool, default: False
        True for something local with a centre. A composite looks for peaks in what the others leave: it calls
        ``guess(x, y, background, widest)`` with shapes (..., q, n) of which any amount may lie below the peak, and
        the greatest width to look for, as part of the axis.
    terms : tuple of Term
        Summands of a composite. Empty for a model that is none.
    expression : Formula, optional
        What ``function`` and ``jacobian`` were made from; compiled functions are made from it, too.
    attempts : int, default: 1
        How many starts there are.
    restart : callable, optional
        ``restart(x, y, attempt)`` gives the start of ``attempt`` 1, 2 …; ``guess`` gives the first.
    always : int, default: 1
        How many of them are tried for every curve; the others only where the best so far looks bad.
    spread : callable, optional
        ``spread(x)`` gives parameters of shape (sets, p) among which every curve finds one to start from; the linear
        ones do not matter.
    needs : tuple of str
        Parameters of which no start is known, so that it has to be given.
    search : object, optional
        How to find the starts, in a form that compiled functions know; see `sid_xarray.models._search`.
    """

    name: str
    function: Callable[..., Any]
    guess: Callable[..., Any]
    params: tuple[Param, ...]
    jacobian: Callable[..., Any] | None = None
    linear: tuple[str, ...] = ()
    reference: str = ""
    formula: str = ""
    peak: bool = False
    terms: tuple[Term, ...] = ()
    expression: Formula | None = None
    attempts: int = 1
    restart: Callable[..., Any] | None = None
    always: int = 1
    spread: Callable[..., Any] | None = None
    needs: tuple[str, ...] = ()
    search: Any = None

    @classmethod
    def of(
        cls,
        name: str,
        text: str,
        guess: Callable[..., Any],
        params: tuple[Param, ...],
        *,
        axes: tuple[str, ...] = ("x",),
        **more: Any,
    ) -> FitModel:
        """Return the model of a formula, from which its function and its derivatives are made.

        Parameters
        ----------
        name, guess, params, **more
            See `FitModel`.
        text : str
            The formula, in ``x`` and the names of the parameters; see `sid_xarray.models.formula.Formula`.
        axes : tuple of str, default: ("x",)
            Names of what varies along a curve.
        """
        formula = Formula(text, tuple(param.name for param in params), axes)
        return cls(
            name, formula, guess, params, jacobian=Slopes(formula), linear=formula.linear, expression=formula, **more
        )

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) < len(names):
            raise ModelError(f"parameter names of {self.name!r} occur twice: {', '.join(names)}")
        if unknown := set(self.linear) - set(names):
            raise ModelError(f"{self.name!r} has no parameter {sorted(unknown)}: it has {', '.join(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(param.name for param in self.params)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of what varies along a curve."""
        return ("x",) if self.expression is None else self.expression.axes

    @property
    def lower(self) -> npt.NDArray[np.float64]:
        """Lower bounds, shape (p,)."""
        return np.array([param.lower for param in self.params])

    @property
    def upper(self) -> npt.NDArray[np.float64]:
        """Upper bounds, shape (p,)."""
        return np.array([param.upper for param in self.params])

    def __call__(self, x: npt.ArrayLike, *parameters: npt.ArrayLike) -> Array:
        """Return the values of the model."""
        return np.asarray(self.function(np.asarray(x), *map(np.asarray, parameters)))
