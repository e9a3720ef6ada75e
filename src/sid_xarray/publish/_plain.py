"""Operations of plain xarray and numpy, as a trace records them, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sid_xarray.core.calls import Input, arguments, plain_call
from sid_xarray.core.history import Step
from sid_xarray.ops.prose import Say, and_
from sid_xarray.viz._labels import plain

__all__ = ["told"]

_ARITHMETIC = {
    "add": "{b} was added",
    "radd": "{b} was added",
    "sub": "{b} was subtracted",
    "rsub": "the data were subtracted from {b}",
    "mul": "the data were multiplied by {b}",
    "rmul": "the data were multiplied by {b}",
    "truediv": "the data were divided by {b}",
    "rtruediv": "{b} was divided by the data",
    "pow": "the data were raised to the power {b}",
}
_REDUCTIONS = {
    "mean": "mean", "median": "median", "sum": "sum", "std": "standard deviation", "var": "variance",
    "max": "maximum", "min": "minimum", "prod": "product", "count": "number of values that are there",
}  # fmt: skip
_INPUT = re.compile(r"\bin(\d+)\b")


def told(step: Step, nouns: Sequence[str], say: Say) -> tuple[str, bool]:
    """Return what an operation did, and whether the words name all its inputs.

    Parameters
    ----------
    step : Step
    nouns : sequence of str
        What its inputs are called.
    say : Say
        How names and numbers are spelled.
    """
    params = arguments(step)
    given = params.get("args", [])
    args = list(given) if isinstance(given, list | tuple) else []
    kwargs = params.get("kwargs", {})
    if step.op.startswith("xr:") and step.name in _ARITHMETIC and len(args) == 1:
        return _ARITHMETIC[step.name].format(b=_operand(args[0], nouns, say)), True
    if step.op.startswith("xr:") and step.name in _REDUCTIONS and set(kwargs) <= {"dim"} and len(args) <= 1:
        dims = kwargs.get("dim", args[0] if args else None)
        named = [dims] if isinstance(dims, str) else list(dims) if isinstance(dims, list | tuple) else []
        along = f" along {and_(say.dim(d) for d in named)}" if named else ""
        return f"the {_REDUCTIONS[step.name]}{along} was taken", True
    if step.op.startswith("np:") and not kwargs and len(args) == 1:
        return f"{plain(step.name, limit=40)} of the data was taken", True
    words = _INPUT.sub(lambda m: _noun(int(m[1]), nouns), plain(plain_call(step), limit=200))
    package = {"xr": "xarray", "np": "numpy"}.get(step.op.partition(":")[0], "sid-xarray")
    return f"the operation {words} of {package} was applied", True


def _operand(value: Any, nouns: Sequence[str], say: Say) -> str:
    if isinstance(value, Input):
        return _noun(int(value[2:]), nouns)
    return say.number(value) if isinstance(value, int | float | complex | str) else plain(repr(value), limit=60)


def _noun(i: int, nouns: Sequence[str]) -> str:
    return nouns[i] if i < len(nouns) else "another array"
