"""Values as the text of Python expressions: what is written into scripts.

Text from a history only ever gets there as a literal of Python, quoted by `repr`.
"""

from __future__ import annotations

import builtins
import datetime as dt
import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.replay.values import Ref
from sid_xarray.errors import ProvenanceError

__all__ = ["call", "comment", "identifier", "literal"]


def literal(value: Any, name: Callable[[Ref], str]) -> str:
    """Return a Python expression for a value; ``name`` gives the variable of a reference.

    Raises
    ------
    ProvenanceError
        If there is no such expression.
    """
    if isinstance(value, Ref):
        return name(value)
    if value is None or value is Ellipsis or isinstance(value, bool):
        return "..." if value is Ellipsis else repr(value)
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, np.generic | np.ndarray):
        return _array(np.asarray(value), scalar=isinstance(value, np.generic))
    if isinstance(value, int | float | complex):
        return _number(value)
    if isinstance(value, bytes):
        return repr(value)
    if isinstance(value, xr.DataArray):
        return _data_array(value, name)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return f"dt.{type(value).__name__}.fromisoformat({value.isoformat()!r})"
    if isinstance(value, dt.timedelta):
        return f"dt.timedelta({value.days}, {value.seconds}, {value.microseconds})"
    if isinstance(value, slice):
        return f"slice({', '.join(literal(v, name) for v in (value.start, value.stop, value.step))})"
    return _container(value, name)


def _container(value: Any, name: Callable[[Ref], str]) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(k, name)}: {literal(v, name)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        inside = ", ".join(literal(v, name) for v in value)
        if isinstance(value, list):
            return f"[{inside}]"
        if isinstance(value, tuple):
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        return f"{{{inside}}}" if value else "set()"
    raise ProvenanceError(f"{type(value).__name__} cannot be written into a script")


def _number(value: complex) -> str:
    if isinstance(value, complex):
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "np.nan", "inf": "np.inf"}.get(repr(value), "-np.inf")
    return repr(value)


def _array(value: np.ndarray[Any, Any], *, scalar: bool) -> str:
    kind = value.dtype.kind
    if kind not in "biufcmMU":
        raise ProvenanceError(f"an array of {value.dtype} cannot be written into a script")
    if value.dtype == np.float64 and value.ndim == 1 and value.size > 3 and np.isfinite(value).all():
        first, last = float(value[0]), float(value[-1])
        if np.array_equal(np.linspace(first, last, value.size), value):
            return f"np.linspace({first!r}, {last!r}, {value.size})"
    if not value.size:
        return f"np.zeros({value.shape!r}, dtype={value.dtype.str!r})"
    if kind in "mM":
        unit = np.datetime_data(value.dtype)[0]
        text = f"np.array({value.astype('i8').tolist()!r}, dtype='i8').astype('{kind}8[{unit}]')"
    else:
        text = f"np.array({literal(value.tolist(), lambda _: '')}, dtype={value.dtype.str!r})"
    return f"{text}[()]" if scalar else text


def _data_array(value: xr.DataArray, name: Callable[[Ref], str]) -> str:
    def variable(one: xr.Variable) -> str:
        attrs = f", {literal(one.attrs, name)}" if one.attrs else ""
        return f"xr.Variable({literal(list(one.dims), name)}, {_array(np.asarray(one.values), scalar=False)}{attrs})"

    coords = ", ".join(f"{k!r}: {variable(c.variable)}" for k, c in value.coords.items())
    named = "" if value.name is None else f", name={str(value.name)!r}"
    return f"xr.DataArray({variable(value.variable)}, coords={{{coords}}}{named})"


def call(args: tuple[Any, ...], kwargs: Mapping[Any, Any], name: Callable[[Ref], str]) -> list[str]:
    """Return the arguments of a call, each as text; keywords that are no identifiers go in as ``**{...}``."""
    texts = [literal(a, name) for a in args]
    plain = {k: v for k, v in kwargs.items() if isinstance(k, str) and k.isidentifier() and not keyword.iskeyword(k)}
    texts += [f"{k}={literal(v, name)}" for k, v in plain.items()]
    rest = {k: v for k, v in kwargs.items() if k not in plain}
    return [*texts, f"**{literal(rest, name)}"] if rest else texts


def identifier(text: str, default: str = "array") -> str:
    """Return a name of a variable that reads like ``text``."""
    word = re.sub(r"[^a-z0-9]+", "_", text.lower())[:32].strip("_")
    if not word or not word[0].isalpha():
        word = f"{default}_{word}".rstrip("_")
    return f"{word}_" if keyword.iskeyword(word) or keyword.issoftkeyword(word) or word in _TAKEN else word


_TAKEN = frozenset((*dir(builtins), "np", "xr", "sid", "sys", "dt", "analysis", "result"))


def comment(text: str, *, indent: str = "") -> list[str]:
    """Return text as comments, line by line; characters that are no print are escaped."""
    lines = []
    for line in text.splitlines() or [""]:
        safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line.expandtabs(4))
        lines.append(f"{indent}# {safe}".rstrip())
    return lines
