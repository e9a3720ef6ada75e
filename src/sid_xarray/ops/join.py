"""Join arrays with their histories."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray.core.replay.values import encode
from sid_xarray.core.stamping import plain_param, record
from sid_xarray.core.trace.proxy import lifted, traced
from sid_xarray.errors import AlignmentError, TraceError

__all__ = ["concat", "merge"]

T = TypeVar("T", xr.DataArray, xr.Dataset)
# Spelled out, since those of xarray are about to change, and a recipe should not.
_CONCAT = {
    "data_vars": None, "coords": "different", "compat": "equals", "join": "exact", "combine_attrs": "drop_conflicts"
}  # fmt: skip
_MERGE = {"compat": "no_conflicts", "join": "exact", "combine_attrs": "drop_conflicts"}


def concat(objs: Iterable[T], dim: Any, **kwargs: Any) -> T:
    """Join arrays along a dimension, as ``xarray.concat`` does, and record it.

    Parameters
    ----------
    objs : iterable of DataArray or Dataset
    dim : str, DataArray or pandas.Index
        The name of the dimension; an array is also its coordinate.
    **kwargs
        Of ``xarray.concat``. By default the other dimensions have to agree exactly, ``join="exact"``; coordinates that
        differ are joined, too, ``coords="different"``; attributes that contradict each other are dropped,
        ``combine_attrs="drop_conflicts"``.

    Returns
    -------
    DataArray or Dataset
        With the histories of all, and one step more. Lazy if one of them is.

    Raises
    ------
    AlignmentError
        If the other dimensions do not agree.
    ValueError
        If there is nothing to join, and what else xarray says.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> one, two = sid.datasets.peak_map(), sid.datasets.peak_map(seed=1)
    >>> sid.concat([one, two], "frame").sid.provenance.operations
    ('input', 'input', 'concat')
    """
    given = list(objs)
    if traced(given):
        return lifted(concat, given, dim, **kwargs)  # type: ignore[no-any-return]
    with _explained():
        out = xr.concat(given, dim, **{**_CONCAT, **kwargs})
    return record(out, "sid:concat@1", given, {"dim": _plain(dim), **{k: _plain(v) for k, v in kwargs.items()}})


def merge(objs: Iterable[xr.DataArray | xr.Dataset], **kwargs: Any) -> xr.Dataset:
    """Join arrays to a Dataset, as ``xarray.merge`` does, and record it.

    Parameters
    ----------
    objs : iterable of DataArray or Dataset
        Arrays need names.
    **kwargs
        Of ``xarray.merge``. By default dimensions have to agree exactly, ``join="exact"``; attributes that contradict
        each other are dropped, ``combine_attrs="drop_conflicts"``.

    Returns
    -------
    Dataset
        Every variable has the histories of all, since all decide on the grid, and one step more.

    Raises
    ------
    AlignmentError
        If dimensions do not agree.
    ValueError
        What else xarray says: two arrays of one name with other values.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> both = sid.merge([da, da.sid.sel(energy=5.0).rename("slice").drop_vars("energy")])
    >>> both["slice"].sid.provenance.status
    'verified'
    """
    given = list(objs)
    if traced(given):
        return lifted(merge, given, **kwargs)  # type: ignore[no-any-return]
    with _explained():
        out = xr.merge(given, **{**_MERGE, **kwargs})
    return record(out, "sid:merge@1", given, {k: _plain(v) for k, v in kwargs.items()})


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except xr.AlignmentError as error:
        raise AlignmentError(
            f"the arrays do not lie on the same grid: {str(error).splitlines()[0]} Give one the grid of the other: "
            "a.reindex_like(b, method='nearest', tolerance=...); or fill up what is missing: join='outer'."
        ) from error


def _plain(value: Any) -> Any:
    """Return an argument as it is written into the history; what cannot be written is only named there."""
    if hasattr(value, "to_numpy") and hasattr(value, "name") and not isinstance(value, xr.DataArray):  # pandas.Index
        value = xr.DataArray(np.asarray(value), dims=[str(value.name)], name=str(value.name))
    try:
        return encode(value, lambda _: None)
    except TraceError:
        return plain_param(value)


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `concat` or `merge`."""
    rest = dict(params)
    dim = (rest.pop("dim"),) if "dim" in rest else ()
    return (list(inputs), *dim), rest
