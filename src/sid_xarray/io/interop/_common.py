"""What the bridges share: values that stay lazy, a signal and its variance, text and metadata."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.adopt import apply_units
from sid_xarray.core.chunked import is_lazy
from sid_xarray.errors import DimensionError, MetadataError, MissingDependencyError, SidWarning, warn
from sid_xarray.io.interop import _carry
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = [
    "Pair",
    "assembled",
    "chunked",
    "found_units",
    "imported",
    "packed",
    "plain_dask",
    "record_of",
    "said",
    "split",
    "unique_name",
    "units_attrs",
]

# Words of other programs for nothing.
_ABSENT = frozenset({"", "generic", "none"})


def imported(module: str, package: str, purpose: str) -> Any:
    """Import an optional package.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(package, package, purpose) from error


def said(value: object) -> str | None:
    """Return what a text says, or None for the words for nothing."""
    return value if isinstance(value, str) and value.strip().lower() not in _ABSENT else None


def units_attrs(text: object, *, axis: str | None = None) -> dict[Any, Any]:
    """Return the attributes for units as found; those that nobody knows pass without a warning, as in our readers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        return dict(apply_units({names.UNITS: text if isinstance(text, str) else None}, axis=axis))


def found_units(attrs: Mapping[Any, Any], *, axis: str | None = None) -> str | None:
    """Return units in the spelling that they were found in, as long as it still means the same; None for no units."""
    here = attrs.get(names.UNITS)
    original = attrs.get(names.UNITS_ORIGINAL)
    if isinstance(original, str) and units.normalise(original, axis=axis).canonical == here:
        return original
    return here if isinstance(here, str) and here not in ("1", "") else None


def packed(tree: Mapping[Any, Any], what: str) -> str | None:
    """Return metadata as a record, or None if there are none; what cannot be stored becomes text, with a warning."""
    if not tree:
        return None
    try:
        return _metadata.pack(tree)
    except MetadataError:
        lost: list[str] = []
        text = _metadata.pack(_storable(dict(tree), "", lost))
        warn(f"{what}: kept as text what cannot be stored as it is: {', '.join(lost[:5])}")
        return text


def _storable(value: Any, place: str, lost: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {k: _storable(v, f"{place}/{k}".lstrip("/"), lost) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_storable(v, f"{place}/{i}", lost) for i, v in enumerate(value)])
    try:
        _metadata.to_plain(value)
    except MetadataError:
        lost.append(place)
        return " ".join(str(value).split())[:1000]
    return value


def unique_name(name: object, taken: list[str], fallback: str) -> str:
    """Return a name for a dimension that netCDF can hold and no other has."""
    base = str(name).strip().replace("/", "_") if isinstance(name, str) else ""
    base = base or fallback
    out, n = base, 1
    while out in taken:
        out, n = f"{base}_{n}", n + 1
    return out


def plain_dask(array: Any) -> Any:
    """Return the values of a dask array without what a subclass adds; those that lie in memory as one block, as numpy.

    Nothing is computed and nothing is copied.
    """
    graph = getattr(array, "dask", None)
    if graph is None:
        return np.asarray(array)
    if len(getattr(graph, "layers", (1,))) == 1 and all(len(c) == 1 for c in array.chunks):
        tasks = list(dict(graph).values())
        value = getattr(tasks[0], "value", tasks[0]) if len(tasks) == 1 else None
        if type(value) is np.ndarray and value.shape == tuple(array.shape) and value.dtype == array.dtype:
            return value
    import dask.array

    return dask.array.Array(graph, array.name, array.chunks, dtype=array.dtype, shape=array.shape)


def chunked(da: xr.DataArray) -> Any:
    """Return the values as a dask array, reading nothing."""
    return (da if da.chunks is not None else da.variable.chunk("auto" if is_lazy(da) else {})).data


class Pair:
    """A signal, the variance that belongs to it, and the Dataset that they came in.

    Attributes
    ----------
    signal : DataArray
    variance : DataArray or None
    ds : Dataset or None
    """

    __slots__ = ("ds", "signal", "variance")

    def __init__(self, signal: xr.DataArray, variance: xr.DataArray | None = None, ds: xr.Dataset | None = None) -> None:
        self.signal, self.variance, self.ds = signal, variance, ds


def split(obj: xr.DataArray | xr.Dataset, purpose: str) -> Pair:
    """Return the signal and its variance.

    Raises
    ------
    DimensionError
        If there are several signals, or something that no bridge can carry.
    """
    if isinstance(obj, xr.DataArray):
        _check(obj, purpose)
        return Pair(obj)
    if not isinstance(obj, xr.Dataset):
        raise TypeError(f"expected a DataArray or Dataset, got {type(obj).__name__}")
    companions = {word for da in obj.data_vars.values() for word in str(da.attrs.get(names.ANCILLARY, "")).split()}
    signals = [key for key in obj.data_vars if key not in companions]
    variance = None
    if len(signals) == 1:
        signal = obj[signals[0]]
        rest = [obj[key] for key in obj.data_vars if key != signals[0]]
        fits = [da for da in rest if str(da.name).endswith("_variance") and da.dims == signal.dims]
        if not rest or (len(rest) == 1 and fits):
            _check(signal, purpose)
            variance = fits[0] if fits else None
            return Pair(signal, variance, obj)
    first = signals[0] if signals else "signal"
    raise DimensionError(
        f"{purpose} takes one signal, at most with its variance; there are {', '.join(map(repr, obj.data_vars)) or 'none'}. "
        f"Choose one: ds[{first!r}]"
    )


def _check(da: xr.DataArray, purpose: str) -> None:
    for name, index in da.xindexes.items():
        if isinstance(index, xr.indexes.PandasMultiIndex):
            raise DimensionError(f"{name!r} has a MultiIndex, which {purpose} cannot carry. Type: da.reset_index({name!r})")
    if not isinstance(da.dtype, np.dtype) or isinstance(da.dtype, pd.api.extensions.ExtensionDtype):
        raise DimensionError(f"values are a pandas array of dtype {da.dtype}. Type: da.astype(float)")


def record_of(pair: Pair, natural: Pair, dims: list[Hashable]) -> dict[str, Any]:
    """Return the record that makes what was handed over from what a stranger reads."""
    record = _carry.difference(pair.signal, natural.signal, dims)
    if pair.ds is not None:
        record["ds"] = _carry.attrs_difference(pair.ds.attrs, {})
        record["vars"] = [_carry.tagged(k) for k in pair.ds.data_vars]
    if pair.variance is not None and natural.variance is not None:
        record["variance"] = _carry.difference(pair.variance, natural.variance, dims)
    return record


def assembled(natural: Pair, record: Mapping[str, Any] | None, op: str) -> xr.DataArray | xr.Dataset:
    """Return an array, or a Dataset of a signal and its variance, from what was read and what travelled along."""
    signal = _finished(natural.signal, record, op)
    variance = natural.variance
    if variance is not None:
        variance = _finished(variance, record.get("variance") if record else None, op)
    if variance is None and (record is None or "ds" not in record):
        return signal
    if signal.name is None:
        signal = signal.rename("signal")
    arrays = {signal.name: signal}
    attrs: dict[Any, Any] = {}
    if variance is not None:
        if variance.name is None or variance.name == signal.name:
            variance = variance.rename(f"{signal.name}_variance")
        arrays[variance.name] = variance
    if record is not None and "ds" in record:
        attrs = _carry.attrs_patched({}, record["ds"])
        order = [key for key in map(_carry.untagged, record["vars"]) if key in arrays]
        arrays = {key: arrays[key] for key in dict.fromkeys([*order, *arrays])}
    coords = {k: v for da in reversed(list(arrays.values())) for k, v in da.coords.items()}
    ordered = {k: coords[k] for k in dict.fromkeys([*signal.coords, *coords])}
    return xr.Dataset(arrays, coords=ordered, attrs=attrs)


def _finished(natural: xr.DataArray, record: Mapping[str, Any] | None, op: str) -> xr.DataArray:
    out = natural if record is None else _carry.patched(natural, record)
    if record is not None and record["chunked"] and out.chunks is None:
        out = out.chunk()
    return _carry.rooted(out, op, natural, record)
