"""``da.sid.trace``: plain xarray code as steps that can be replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from sid_xarray.core.stamping import settle
from sid_xarray.core.trace.proxy import Stand, unwrap, wrap
from sid_xarray.core.trace.table import FUNCTIONS_OF_XARRAY
from sid_xarray.errors import TraceError

__all__ = ["trace"]


def trace(obj: xr.DataArray | xr.Dataset, function: Callable[..., Any], /, *others: Any) -> Any:
    """Record plain xarray code: every operation becomes a step that can be replayed.

    Parameters
    ----------
    obj : DataArray or Dataset
    function : callable
        Gets what stands for the array, and does with it what it would do with the array:
        ``lambda d: d - d.mean("energy")``.
    *others : DataArray, Dataset or object
        More arrays, which become inputs as well: ``da.sid.trace(lambda d, r: d / r, reference)``; and numbers or text,
        which are passed on.

    Returns
    -------
    DataArray or Dataset
        What the function returns, with its history; a list, tuple or dict of them, if it returns one. Lazy if the
        inputs are.

    Raises
    ------
    TraceError
        If the function does what no history can hold: decide by values, take bare values, change an array in place,
        pass functions on. The message says what to do instead.

    Notes
    -----
    Arrays that the function takes from around it are inputs if they have a history. Others are written into the step;
    ones of more than 8 KiB have to be inputs.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> flat = da.sid.trace(lambda d: d - d.sid.sel(energy=(0, 2), reduce="mean"))
    >>> flat.sid.provenance.operations
    ('input', 'sel', 'sub')
    """
    if not callable(function):
        raise TraceError(f"trace wants a function, such as lambda d: d - d.mean('x'), got {type(function).__name__}")
    # An array without a history gets one now: lazy ones would be another root at every use.
    stands = [_stand(o) for o in (obj, *others)]
    try:
        return _result(function(*stands))
    except (AttributeError, TypeError) as error:
        if isinstance(error, TraceError) or "Traced" not in str(error):
            raise
        raise TraceError(
            f"something in the function takes no traced arrays ({error}). {FUNCTIONS_OF_XARRAY}; any other function "
            "goes into a step of its own: d.sid.apply(function)"
        ) from error


def _stand(value: Any) -> Any:
    return wrap(settle(value)) if isinstance(value, xr.DataArray | xr.Dataset) else value  # type: ignore[type-var]


def _result(found: Any) -> Any:
    if isinstance(found, Stand):
        return unwrap(found)
    if isinstance(found, list | tuple) and found:
        return type(found)(_result(f) for f in found)
    if isinstance(found, dict) and found:
        return {k: _result(f) for k, f in found.items()}
    raise TraceError(
        f"the traced function returned {'nothing' if found is None else f'a {type(found).__name__}'}: it should return "
        "an array that it made from its arguments"
    )
