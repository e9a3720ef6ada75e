"""The operations of plain xarray that a history can hold, each a pure function of arrays; nothing else is ever called.

A name stands in histories with its version: ``xr:mean@1``. Raise the version where a later xarray gives other numbers
for the same call.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import ProvenanceError

__all__ = [
    "CHAINS",
    "FUNCTIONS_OF_XARRAY",
    "INSTEAD",
    "METHODS",
    "OPERATORS",
    "PROPERTIES",
    "REFUSED",
    "UFUNCS",
    "Plain",
    "find",
    "perform",
]

METHODS = frozenset(
    # Reductions
    "all any argmax argmin count idxmax idxmin max mean median min prod quantile std sum var "
    # Along a dimension
    "bfill cumprod cumsum cumulative_integrate diff differentiate ffill integrate interpolate_na pad polyfit rank "
    "roll shift "
    # Values
    "astype clip combine_first conj dot fillna isin isnull notnull round where "
    # Selection
    "drop_isel drop_sel dropna head isel sel squeeze tail thin "
    # Grids
    "broadcast_like interp interp_like reindex reindex_like sortby "
    # Names and shapes
    "assign_attrs assign_coords chunk drop_attrs drop_vars expand_dims rename reset_coords set_index reset_index stack "
    "swap_dims transpose unstack".split()
)
PROPERTIES = frozenset(("T", "imag", "real"))
_DATES = frozenset(
    "year month day hour minute second microsecond nanosecond dayofweek dayofyear quarter season days seconds "
    "days_in_month date time weekday".split()
)
_REDUCE = frozenset("all any count max mean median min prod std sum var".split())
CHAINS: Mapping[str, frozenset[str]] = {
    "coarsen": _REDUCE | {"construct"},
    "cumulative": frozenset("count max mean min prod sum".split()),
    "groupby": _REDUCE | frozenset("first last quantile add sub mul truediv".split()),
    "groupby_bins": _REDUCE | frozenset("first last quantile".split()),
    "resample": _REDUCE | frozenset("asfreq bfill ffill first interpolate last nearest quantile".split()),
    "rolling": _REDUCE - {"all", "any"} | {"argmax", "argmin", "construct"},
    "weighted": frozenset("mean quantile std sum sum_of_squares sum_of_weights var".split()),
}
"""What is grouped or weighted first, and what comes after."""

OPERATORS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "add": ("+", operator.add), "sub": ("-", operator.sub), "mul": ("*", operator.mul),
    "truediv": ("/", operator.truediv), "floordiv": ("//", operator.floordiv), "mod": ("%", operator.mod),
    "pow": ("**", operator.pow), "matmul": ("@", operator.matmul),
    "lt": ("<", operator.lt), "le": ("<=", operator.le), "gt": (">", operator.gt), "ge": (">=", operator.ge),
    "eq": ("==", operator.eq), "ne": ("!=", operator.ne),
    "and": ("&", operator.and_), "or": ("|", operator.or_), "xor": ("^", operator.xor),
    "neg": ("-", operator.neg), "pos": ("+", operator.pos), "invert": ("~", operator.invert), "abs": ("abs", abs),
}  # fmt: skip
_UNARY = frozenset(("neg", "pos", "invert", "abs"))
_REFLECTED = frozenset(f"r{name}" for name in "add sub mul truediv floordiv mod pow and or xor".split())
UFUNCS = frozenset(
    "abs absolute add subtract multiply divide true_divide floor_divide power float_power mod remainder fmod negative "
    "positive sign sqrt cbrt square reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan "
    "arctan2 hypot sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg degrees radians maximum minimum fmax fmin "
    "isfinite isinf isnan signbit copysign heaviside floor ceil rint trunc conjugate logical_and logical_or "
    "logical_xor logical_not greater greater_equal less less_equal equal not_equal logaddexp logaddexp2 "
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift".split()
)
VERSION = 1

FUNCTIONS_OF_XARRAY = (
    "Functions of xarray take no traced arrays: type a.where(c, b) for xr.where(c, a, b), a.dot(b) for xr.dot(a, b), "
    "sid.concat and sid.merge for xr.concat and xr.merge"
)
_OUTSIDE = "do it outside, with what the trace returns"
_BAKED = "it would be written into the history as it is here, and be wrong on other data"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("values", "data", "to_numpy", "as_numpy", "item", "to_dict", "to_series"),
                    "bare values leave the history. Stay with the array: d.where(...), d.clip(...), np.exp(d); "
                    "for a function of your own type d.sid.apply(function)"),
    "variable": "put traced arrays left of plain ones, or make the other an input: "
    "da.sid.trace(lambda d, r: r - d, ref)",
    **dict.fromkeys(("to_pandas", "to_dask_dataframe", "to_dataframe", "to_index", "to_iris", "to_masked_array"),
                    "what leaves xarray leaves the history. Stay with the array, or " + _OUTSIDE),
    **dict.fromkeys(("compute", "load", "persist", "load_async"), "nothing is computed in a trace: " + _OUTSIDE),
    **dict.fromkeys(("to_netcdf", "to_zarr", "plot", "hvplot", "explore", "close"),
                    "a trace is made of arrays: " + _OUTSIDE),
    **dict.fromkeys(("map_blocks", "reduce", "curvefit", "map", "apply_ufunc"),
                    "a function cannot be written into a history. Use methods such as d.mean('x'), or record the "
                    "function as a step of its own: d.sid.apply(function)"),
    **dict.fromkeys(("shape", "size", "sizes", "nbytes", "itemsize", "chunks", "chunksizes"),
                    _BAKED + ". Count from the end, d.isel(x=slice(None, -1)), or take every second, "
                    "d.isel(x=slice(None, None, 2)); for a mean type d.mean('x')"),
    "dtype": _BAKED + ". Name the type: d.astype('float32')",
    "name": _BAKED + ". Name the array outside: result.rename(...)",
    "attrs": _BAKED + ". To set some type d = d.assign_attrs(units='nm')",
    "encoding": "it says how an array is stored, which is no part of a history. Leave it out",
    "indexes": _BAKED + ". For positions take the coordinate: d['x']",
    "xindexes": _BAKED + ". For positions take the coordinate: d['x']",
    "copy": "every operation gives a new array here already. Leave it out",
    "to_dataset": "a trace is made of arrays. Join them outside: xr.Dataset(...) or sid.merge(...)",
    "identical": "it asks about values, which other data answer differently. Use d.where(condition)",
    "equals": "it asks about values, which other data answer differently. Use d.where(condition)",
}  # fmt: skip
"""What plain arrays have and a trace has not: why, and what to type instead."""


INSTEAD: Mapping[str, str] = {
    "angle": "np.arctan2(d.imag, d.real)", "real": "d.real", "imag": "d.imag", "where": "d.where(condition, other)",
    "diff": "d.diff(dim)", "gradient": "d.differentiate(dim)", "trapezoid": "d.integrate(dim)", "round": "d.round(...)",
    "concatenate": "sid.concat", "stack": "sid.concat", "nanmean": "d.mean(...)", "nansum": "d.sum(...)",
    "nanmax": "d.max(...)", "nanmin": "d.min(...)", "nanstd": "d.std(...)", "nanmedian": "d.median(...)",
    "percentile": "d.quantile(...)", "nan_to_num": "d.fillna(0)", "roll": "d.roll(...)", "argsort": "d.rank(dim)",
}  # fmt: skip
"""What to type for functions of numpy that a trace has not."""


@dataclass(frozen=True)
class Plain:
    """One operation of xarray or numpy.

    Attributes
    ----------
    kind : {"method", "property", "operator", "reflected", "chain", "dates", "coord", "getitem", "loc", "ufunc"}
    name : str
        Of the method, operator or function; for a chain what comes last.
    via : str
        For a chain what comes first: ``"rolling"``.
    """

    kind: str
    name: str
    via: str = field(default="")

    @property
    def arguments(self) -> int | None:
        """How many arguments stand beside the array where syntax says so; None where they are those of a function."""
        if self.kind in ("property", "dates") or (self.kind == "operator" and self.name in _UNARY):
            return 0
        written = self.kind in ("operator", "reflected", "coord", "getitem", "loc")
        return 1 if written or (self.kind == "chain" and self.name in OPERATORS) else None


def find(space: str, name: str) -> Plain | None:
    """Return the operation of a step, such as ``"xr", "rolling.mean"``; None if there is no such one."""
    if space == "np":
        return Plain("ufunc", name) if name in UFUNCS and isinstance(getattr(np, name, None), np.ufunc) else None
    via, _, last = name.rpartition(".")
    if via == "dt":
        return Plain("dates", last, "dt") if last in _DATES else None
    if via:
        return Plain("chain", last, via) if last in CHAINS.get(via, ()) else None
    if name in METHODS:
        return Plain("method", name)
    if name in OPERATORS:
        return Plain("operator", name)
    if name in _REFLECTED:
        return Plain("reflected", name[1:])
    if name in PROPERTIES:
        return Plain("property", name)
    return Plain(name, name) if name in ("coord", "getitem", "loc") else None


def perform(op: Plain, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, of: Any = None, options: Any = None) -> Any:
    """Do an operation on arrays.

    Parameters
    ----------
    op : Plain
    args : tuple
        The array first, but for functions of numpy, where it stands anywhere.
    kwargs : mapping
    of : pair, optional
        Arguments of what comes first in a chain.
    options : mapping, optional
        Options of xarray that count here.

    Raises
    ------
    ProvenanceError
        If the result is no array.
    """
    pinned = {"keep_attrs": "default", "arithmetic_join": "inner", **(options or {})}
    here = xr.get_options()  # type: ignore[no-untyped-call]
    # Options are those of all threads: they are left alone where they are what they should be.
    with xr.set_options(**{k: v for k, v in pinned.items() if here[k] != v}):  # type: ignore[no-untyped-call]
        out = _perform(op, args, kwargs, of or ((), {}))
    if not isinstance(out, xr.DataArray | xr.Dataset):
        raise ProvenanceError(f"{op.name} gave a {type(out).__name__}, expected an array")
    return out


def _perform(op: Plain, args: tuple[Any, ...], kwargs: Mapping[str, Any], of: tuple[Any, Any]) -> Any:
    if op.kind == "ufunc":
        return getattr(np, op.name)(*args)
    first, *rest = args
    if op.kind == "method":
        return getattr(first, op.name)(*rest, **kwargs)
    if op.kind == "operator":
        return OPERATORS[op.name][1](first, *rest)
    if op.kind == "reflected":
        return OPERATORS[op.name][1](*rest, first)
    if op.kind == "chain":
        grouped = getattr(first, op.via)(*of[0], **of[1])
        if op.name in OPERATORS:
            return OPERATORS[op.name][1](grouped, *rest)
        return getattr(grouped, op.name)(*rest, **kwargs)
    if op.kind == "loc":
        return first.loc[rest[0]]
    if op.kind in ("coord", "getitem"):
        return first[rest[0]]
    return getattr(first.dt if op.kind == "dates" else first, op.name)
