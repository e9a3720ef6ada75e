"""What stands for an array while plain xarray code is recorded: every operation on it is done, and is a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import xarray as xr

from sid_xarray.core.history import read
from sid_xarray.core.registry import VERBS
from sid_xarray.core.replay.values import Ref, encode
from sid_xarray.core.trace import table
from sid_xarray.core.trace.steps import do
from sid_xarray.errors import TraceError, nearest

__all__ = ["Stand", "Traced", "TracedDataset", "lifted", "record", "traced", "unwrap", "wrap"]

_READABLE = ("dims", "ndim")
_MARK = "_sid_array"


def wrap(obj: Any) -> Any:
    """Return what stands for an array or a Dataset.

    Raises
    ------
    TraceError
        If it is neither.
    """
    if isinstance(obj, xr.DataArray):
        return Traced(obj)
    if isinstance(obj, xr.Dataset):
        return TracedDataset(obj)
    raise TraceError(f"a trace is made of arrays, this is a {type(obj).__name__}")


def unwrap(value: Any) -> Any:
    """Return the arrays behind what stands for them, also inside of lists, tuples and dicts."""
    if isinstance(value, Stand):
        return value._sid_array
    if isinstance(value, list | tuple):
        return type(value)(unwrap(v) for v in value)
    return {k: unwrap(v) for k, v in value.items()} if isinstance(value, dict) else value


def lifted(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that records itself on what stands behind its arguments."""
    return wrap(function(*unwrap(args), **unwrap(kwargs)))


def traced(*values: Any) -> bool:
    """Tell whether something in the arguments stands for an array."""
    return any(isinstance(v, Stand) or (isinstance(v, list | tuple) and traced(*v)) for v in values)


def _refuse(what: str, why: str) -> NoReturn:
    raise TraceError(f"{what} in a trace: {why}")


def record(op: str, first: Any, args: Any = (), kwargs: Any = None, *, of: Any = None, bare: bool = False) -> Any:
    """Do an operation, record it, and return what stands for the result.

    Parameters
    ----------
    op : str
    first : Stand
        What the operation belongs to.
    args, kwargs : optional
    of : pair, optional
        Arguments of what comes first in a chain.
    bare : bool
        The array is among the arguments.
    """
    inputs: list[Any] = [] if bare else [first._sid_array]

    def take(value: Any) -> Ref | None:
        if isinstance(value, Stand):
            value = value._sid_array
        elif not (isinstance(value, xr.DataArray) and read(value.attrs)):
            return None
        index = next((i for i, known in enumerate(inputs) if known is value), len(inputs))
        if index == len(inputs):
            inputs.append(value)
        return Ref(index)

    params: dict[str, Any] = {}
    if args:
        params["args"] = [encode(a, take) for a in args]
    if kwargs:
        params["kwargs"] = encode(kwargs, take)
    if of is not None:
        params["of"] = [[encode(a, take) for a in of[0]], encode(of[1], take)]
    join = xr.get_options()["arithmetic_join"]  # type: ignore[no-untyped-call]
    if join != "inner" and op.startswith("xr:"):
        params["options"] = {"arithmetic_join": join}
    return wrap(do(op, inputs, params))


class Stand:
    """What arrays and Datasets in a trace have in common: what they refuse."""

    __slots__ = (_MARK,)
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100
    _sid_array: Any

    def __init__(self, obj: Any) -> None:
        object.__setattr__(self, _MARK, obj)

    def __repr__(self) -> str:
        obj = self._sid_array
        return f"<traced {type(obj).__name__} {getattr(obj, 'name', None)!r} {dict(obj.sizes)}>"

    @property
    def sid(self) -> _Verbs:
        """Verbs: each records its own step."""
        return _Verbs(self)

    def __bool__(self) -> bool:
        _refuse(
            "if, while, and, or, not",
            "which way the code goes would depend on the values, and be wrong on other data. Choose with "
            "d.where(condition, other); join conditions with &, |, ~",
        )

    def __float__(self) -> float:
        _refuse(
            "float(d), int(d), complex(d)", "a bare number leaves the history. Arrays without dimensions do the same"
        )

    __int__ = __index__ = __complex__ = __float__

    def __format__(self, spec: str) -> str:
        return (
            repr(self) if not spec else _refuse(f"f'{{d:{spec}}}'", "a bare number leaves the history. Do it outside")
        )

    def __divmod__(self, other: Any) -> Any:
        _refuse("divmod", "it gives two arrays at once. Use d // other and d % other")

    __rdivmod__ = __divmod__

    def __copy__(self) -> Any:
        _refuse("copy", table.REFUSED["copy"])

    def __deepcopy__(self, memo: Any) -> Any:
        _refuse("copy", table.REFUSED["copy"])

    def __iter__(self) -> Any:
        _refuse("for", "how often would depend on the data. Work along the dimension: d.mean('x'), d.cumsum('x'), d[0]")

    def __len__(self) -> int:
        _refuse("len(d)", table.REFUSED["size"])

    def __contains__(self, key: object) -> bool:
        _refuse("in", "the answer would depend on the values. Use d.isin([...])")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        _refuse(
            "a bare array",
            "what is asked for are values, and these leave the history. Instead of np.mean(d) type d.mean(); put "
            f"traced arrays left of plain ones. {table.FUNCTIONS_OF_XARRAY}. For a function of your own type "
            "d.sid.apply(function)",
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(function, "__name__", "function")
        place = str(getattr(function, "__module__", "numpy")).replace("numpy", "np", 1)
        hint = table.INSTEAD.get(name, f"d.{name}(...)" if name in table.METHODS else "a method of the array")
        _refuse(f"{place}.{name}", f"functions of numpy see bare values. Use {hint}, or d.sid.apply(function)")

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse("d[...] = ", "arrays are not changed in place. Use d = d.where(condition, value)")

    def __delitem__(self, key: Any) -> None:
        _refuse("del d[...]", "arrays are not changed in place. Use d = d.drop_vars(name)")

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse(f"d.{name} = ", "arrays are not changed in place. Use d = d.assign_attrs(...) or d.assign_coords(...)")

    def __reduce__(self) -> Any:
        _refuse("pickle", "what stands for an array is no array. Use what the trace returns")


class Traced(Stand):
    """Stands for a DataArray."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"Traced has no {name}")
        obj = self._sid_array
        if name in _READABLE:
            return getattr(obj, name)
        if name in table.METHODS:
            return lambda *args, **kwargs: record(f"xr:{name}@1", self, args, kwargs)
        if name in table.PROPERTIES:
            return record(f"xr:{name}@1", self)
        if name in table.CHAINS:
            return lambda *args, **kwargs: _Chain(self, name, args, kwargs)
        if name in ("loc", "dt", "coords"):
            return {"loc": _Loc, "dt": _Dates, "coords": _Coords}[name](self)
        if name == "pipe":
            return lambda function, *args, **kwargs: function(self, *args, **kwargs)
        if name in obj.coords or name in obj.dims:
            return self[name]
        if name in table.REFUSED:
            _refuse(f"d.{name}", table.REFUSED[name])
        if name == "keys":  # what functions of xarray ask first
            raise TraceError(table.FUNCTIONS_OF_XARRAY)
        known = [*table.METHODS, *table.PROPERTIES, *table.CHAINS, *map(str, obj.coords)]
        raise TraceError(f"d.{name} is nothing that a trace can record.{_near(name, known)}")

    def __getitem__(self, key: Any) -> Any:
        return record(f"xr:{'coord' if isinstance(key, str) else 'getitem'}@1", self, (key,))

    def __round__(self, digits: int = 0) -> Any:
        return self.round(digits)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if method != "__call__" or kwargs:
            said = f"np.{name}.{method}" if method != "__call__" else f"np.{name}(..., {', '.join(kwargs)}=...)"
            _refuse(
                said, "a function of numpy is called with arrays alone. Use a method of the array, such as d.sum('x')"
            )
        if table.find("np", name) is None:
            _refuse(f"np.{name}", "it is not in the table of functions. For it type d.sid.apply(function)")
        return record(f"np:{name}@1", self, inputs, bare=True)


def _near(name: str, known: list[str]) -> str:
    hint = nearest(name, known)
    return hint if "Did you mean" in hint else " For a function of your own type d.sid.apply(function)."


def _operator(name: str) -> Callable[..., Any]:
    def operation(self: Traced, *other: Any) -> Any:
        if any(isinstance(o, _Chain | TracedDataset) for o in other):
            return NotImplemented
        return record(f"xr:{name}@1", self, other)

    return operation


def _in_place(symbol: str) -> Callable[..., Any]:
    def operation(self: Traced, other: Any) -> Any:
        _refuse(f"d {symbol}= ", f"arrays are not changed in place. Use d = d {symbol} other")

    return operation


for _name, (_symbol, _) in table.OPERATORS.items():
    setattr(Traced, f"__{_name}__", _operator(_name))
    if table.find("xr", f"r{_name}") is not None:
        setattr(Traced, f"__r{_name}__", _operator(f"r{_name}"))
        setattr(Traced, f"__i{_name}__", _in_place(_symbol))


_ON_ARRAYS = "operations are recorded on arrays. Take a variable first"


class TracedDataset(Stand):
    """Stands for a Dataset: the results of a verb. Its variables are arrays."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str | list) and np.all([k in self._sid_array.data_vars for k in np.atleast_1d(key)]):
            return wrap(self._sid_array[key])
        _refuse(f"ds[{key!r}]", f"a variable is chosen by its name: {', '.join(map(str, self._sid_array.data_vars))}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"TracedDataset has no {name}")
        if name in self._sid_array.data_vars:
            return self[name]
        _refuse(f"ds.{name}", f"{_ON_ARRAYS}: ds[{self._one()!r}].{name}")

    def _one(self) -> str:
        return str(next(iter(self._sid_array.data_vars), "signal"))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        _refuse(f"np.{ufunc.__name__}", f"{_ON_ARRAYS}: np.{ufunc.__name__}(ds[{self._one()!r}])")


def _on_arrays(symbol: str) -> Callable[..., Any]:
    def operation(self: TracedDataset, *other: Any) -> Any:
        _refuse(f"ds {symbol} …", f"{_ON_ARRAYS}: ds[{self._one()!r}] {symbol} …")

    return operation


for _name, (_symbol, _) in table.OPERATORS.items():
    for _form in (f"__{_name}__", f"__r{_name}__", f"__i{_name}__"):
        setattr(TracedDataset, _form, _on_arrays(_symbol))


class _Part:
    """What is asked of an array before it is clear what for."""

    __slots__ = ("_of",)

    def __init__(self, of: Any) -> None:
        self._of = of


class _Loc(_Part):
    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        return record("xr:loc@1", self._of, (key,))


class _Coords(_Part):
    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        return record("xr:coord@1", self._of, (key,))


class _Dates(_Part):
    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if table.find("xr", f"dt.{name}") is None:
            _refuse(f"d.dt.{name}", "it is not in the table of operations. Use a part of the date, such as d.dt.month")
        return record(f"xr:dt.{name}@1", self._of)


class _Chain(_Part):
    """What stands for ``d.rolling(x=3)`` and its like, which are no arrays yet."""

    __slots__ = ("_args", "_kwargs", "_via")

    def __init__(self, of: Any, via: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(of)
        self._via, self._args, self._kwargs = via, args, kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in table.CHAINS[self._via]:
            why = table.REFUSED.get(name, f"there are {', '.join(sorted(table.CHAINS[self._via]))}")
            _refuse(f"d.{self._via}(...).{name}", why)
        return lambda *args, **kwargs: self._then(name, *args, **kwargs)

    def _then(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        return record(f"xr:{self._via}.{name}@1", self._of, args, kwargs, of=(self._args, self._kwargs))

    def _with(self, name: str, other: Any) -> Any:
        return self._then(name, other) if self._via == "groupby" else NotImplemented

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __sub__(self, other: Any) -> Any:
        return self._with("sub", other)

    def __mul__(self, other: Any) -> Any:
        return self._with("mul", other)

    def __truediv__(self, other: Any) -> Any:
        return self._with("truediv", other)

    def __iter__(self) -> Any:
        _refuse("for", f"how often would depend on the data. Use d.{self._via}(...).mean() and its like")


class _Verbs(_Part):
    """What stands for ``d.sid``."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        obj = self._of._sid_array
        if name == "trace":
            return lambda function, *others: function(self._of, *others)
        if name in {row.space for row in VERBS.values() if row.space}:
            return _Technique(self._of, name)
        if name not in VERBS or VERBS[name].space:
            known = [f"{row.space}.{key}" if row.space else key for key, row in VERBS.items()]
            hint = "" if hasattr(type(obj).sid, name) else nearest(name, known)
            raise TraceError(
                f"d.sid.{name} in a trace: it is no verb, so no step to record. Do it outside, with what the trace "
                f"returns.{hint if 'Did you mean' in hint else ''}"
            )
        row = VERBS[name]
        if not row.stamps:
            return lambda *args, **kwargs: record(f"sid:{name}@{row.version}", self._of, args, kwargs)
        return lambda *args, **kwargs: lifted(getattr(obj.sid, name), *args, **kwargs)


class _Technique(_Part):
    """What stands for ``d.sid.be`` and its like, whose verbs record themselves."""

    __slots__ = ("_space",)

    def __init__(self, of: Any, space: str) -> None:
        super().__init__(of)
        self._space = space

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        verb = getattr(getattr(self._of._sid_array.sid, self._space), name)
        return lambda *args, **kwargs: lifted(verb, *args, **kwargs)
