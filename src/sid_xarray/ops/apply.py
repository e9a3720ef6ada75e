"""Functions of users as steps of a history."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from sid_xarray.core.registry import FUNCTIONS
from sid_xarray.core.replay.values import Ref, encode
from sid_xarray.core.stamping import plain_param, record
from sid_xarray.errors import ProvenanceError, RegistryError, TraceError

__all__ = ["apply", "recall", "register_function"]

_LONGEST = 16 * 1024


def register_function(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function known by a name, so that steps that it made can be replayed.

    A package does the same with an entry point of the group ``sid_xarray.functions``.

    Parameters
    ----------
    name : str
        Stands in histories.
    function : callable
        Takes an array first, and returns one.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    RegistryError
        If the name is taken.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> def halve(da):
    ...     return da / 2
    >>> sid.register_function("halve", halve) is halve
    True
    >>> sid.datasets.peak_map().sid.apply("halve").sid.provenance.operations
    ('input', 'apply')
    """
    if not callable(function):
        raise RegistryError(f"{name!r} should be a function, got {type(function).__name__}")
    FUNCTIONS.register(name, function)
    return function


def apply(
    obj: xr.DataArray | xr.Dataset, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
) -> xr.DataArray | xr.Dataset:
    """Call a function of your own on an array, and record it: its source, where it is from, its arguments.

    Parameters
    ----------
    obj : DataArray or Dataset
    func : callable or str
        Gets a copy of the array, so that it may change it in place; lazy values stay lazy. The name of a registered
        function (`sid.register_function`), or such a function itself, can be replayed; any other is written down with
        its source text, which is never executed, and stops a replay.
    *args, **kwargs
        Passed on. Arrays among them are inputs, too.

    Returns
    -------
    DataArray or Dataset
        What the function returns.

    Raises
    ------
    ProvenanceError
        If it returns something else.
    RegistryError
        If no function of that name is registered.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> def halve(da):
    ...     return da / 2
    >>> half = sid.datasets.peak_map().sid.apply(halve)
    >>> half.sid.provenance.parameters()["name"]
    'halve'
    """
    name = func if isinstance(func, str) else FUNCTIONS.name_of(func)
    function = FUNCTIONS[name] if name is not None else func
    if not callable(function):
        raise ProvenanceError(f"apply wants a function or the name of a registered one, got {type(func).__name__}")
    own = [_own(a) for a in args]
    out: Any = function(_own(obj), *own, **{k: _own(v) for k, v in kwargs.items()})
    if not isinstance(out, xr.DataArray | xr.Dataset):
        raise ProvenanceError(
            f"{_name(function)!r} returned a {type(out).__name__}, expected a DataArray or a Dataset. For bare values "
            "return da.copy(data=values)"
        )
    inputs: list[Any] = [obj]

    def take(value: Any) -> Ref | None:
        if not isinstance(value, xr.DataArray):
            return None
        inputs.append(value)
        return Ref(len(inputs) - 1)

    params: dict[str, Any] = {"function": name} if name is not None else {}
    params |= _about(function, whole=name is None)
    if args:
        params["args"] = [_plain(a, take) for a in args]
    if kwargs:
        params["kwargs"] = {k: _plain(kwargs[k], take) for k in sorted(kwargs)}
    return record(out, "sid:apply@1", inputs, params)  # type: ignore[type-var]


def _own(value: Any) -> Any:
    """Return a copy of an array: what a function does to it in place must not change what was given."""
    return value.copy(deep=True) if isinstance(value, xr.DataArray | xr.Dataset) else value


def _plain(value: Any, take: Callable[[Any], Ref | None]) -> Any:
    try:
        return encode(value, take)
    except TraceError:
        return plain_param(value)


def _name(function: Any) -> str:
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__name__))


def _about(function: Any, *, whole: bool) -> dict[str, Any]:
    """Return what can be said of a function: where it is from, its version, its source or a hash of it."""
    partial = (function.args, function.keywords) if hasattr(function, "func") else None
    while hasattr(function, "func"):
        function = function.func
    module = str(getattr(function, "__module__", None) or "?")
    said: dict[str, Any] = {"module": module, "name": _name(function)}
    # There is none of a script, a notebook, or a module of the standard library.
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        said["version"] = importlib.metadata.version(module.partition(".")[0])
    source = _source(function)
    if source is not None:
        said["sha256"] = hashlib.sha256(source.encode()).hexdigest()[:16]
        if whole:
            cut = "" if len(source) <= _LONGEST else f"\n# … {len(source) - _LONGEST} characters more"
            said["source"] = source[:_LONGEST] + cut
    if partial is not None and whole:
        said["partial"] = [plain_param(list(partial[0])), plain_param(dict(partial[1]))]
    return said


def _source(function: Any) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # built in, or typed into a console
        return None


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `apply`.

    Raises
    ------
    ProvenanceError
        If the function is not registered, or is another one now.
    """
    name = params.get("function")
    said = f"{params.get('module')}:{params.get('name')}"
    if not isinstance(name, str):
        raise ProvenanceError(
            f"called {said}, a function that no name was given to. Register it, and record the step with its name: "
            "sid.register_function('mine', function); da.sid.apply('mine')"
        )
    if name not in FUNCTIONS:
        raise ProvenanceError(
            f"called the function {name!r}, which is not registered here. Type: "
            f"sid.register_function({name!r}, function), with {said}"
        )
    now = _about(FUNCTIONS[name], whole=False)
    if params.get("sha256") != now.get("sha256"):
        raise ProvenanceError(
            f"called the function {name!r}, whose source was another one then. Register {said} as it was, version "
            f"{params.get('version', 'unknown')}"
        )
    return (inputs[0], name, *params.get("args", [])), dict(params.get("kwargs", {}))
