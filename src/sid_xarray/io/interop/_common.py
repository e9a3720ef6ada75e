"""What the bridges share: values that stay lazy, a signal and its variance, text and metadata."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.adopt import apply_units
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.lift import bare
from sid_xarray.errors import DimensionError, MetadataError, MissingDependencyError, SidWarning, warn
from sid_xarray.io.interop import _carry
from sid_xarray.io.nsid.tags import tagged, untagged
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
    "with_variance",
]

# Words of other programs for nothing.
_ABSENT = frozenset({"", "generic", "none"})


def imported(module: str, package: str, purpose: str, *, extra: str | None = None) -> Any:
    """Import an optional package.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(package, extra or package, purpose) from error


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
    if isinstance(original, str) and original.strip() and units.normalise(original, axis=axis).canonical == here:
        return original
    return here if isinstance(here, str) and here.strip() not in ("1", "") else None


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


def plain_dask(array: Any, *, unwrap: bool) -> Any:
    """Return the values of a dask array without what a subclass adds; nothing is computed and nothing is copied.

    With ``unwrap``, values that lie in memory as one block come as numpy: they are not lazy.
    """
    graph = getattr(array, "dask", None)
    if graph is None:
        return np.asarray(array)
    if unwrap and len(getattr(graph, "layers", (1,))) == 1 and all(len(c) == 1 for c in array.chunks):
        tasks = list(dict(graph).values())
        value = getattr(tasks[0], "value", tasks[0]) if len(tasks) == 1 else None
        if type(value) is np.ndarray and value.shape == tuple(array.shape) and value.dtype == array.dtype:
            return value
    import dask.array

    return dask.array.Array(graph, array.name, array.chunks, dtype=array.dtype, shape=array.shape)


def chunked(da: xr.DataArray) -> Any:
    """Return the values as a dask array, reading nothing."""
    return (da if da.chunks is not None else da.variable.chunk("auto" if is_lazy(da) else {})).data


@dataclass
class Pair:
    """A signal, the variance that belongs to it, and the Dataset that they came in."""

    signal: xr.DataArray
    variance: xr.DataArray | None = None
    ds: xr.Dataset | None = None


def with_variance(da: xr.DataArray, values: Any) -> Pair:
    """Return a signal that names its variance, and the variance."""
    called = f"{da.name or 'signal'}_variance"
    attrs = {names.UNITS: units.power(da.attrs[names.UNITS], 2), names.VERSION: names.VERSION_VALUE}
    if names.LONG_NAME in da.attrs:
        attrs[names.LONG_NAME] = f"variance of {da.attrs[names.LONG_NAME]}"
    variance = bare(da.copy(data=values)).rename(called).assign_attrs(attrs)
    return Pair(da.assign_attrs({names.ANCILLARY: called}), variance)


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
        f"{purpose} takes one signal, at most with its variance, and not {len(obj.data_vars)} variables. "
        f"Choose one of {list(obj.data_vars)}: ds[{first!r}]"
    )


def _check(da: xr.DataArray, purpose: str) -> None:
    for name, index in da.xindexes.items():
        if isinstance(index, xr.indexes.PandasMultiIndex):
            raise DimensionError(f"{name!r} has a MultiIndex: {purpose} has none. Type: da.reset_index({name!r})")
    if not isinstance(da.dtype, np.dtype):
        raise DimensionError(f"values are a pandas array of dtype {da.dtype}. Type: da.astype(float)")


def record_of(pair: Pair, natural: Pair, dims: list[Hashable]) -> dict[str, Any]:
    """Return the record that makes what was handed over from what a stranger reads."""
    record = _carry.difference(pair.signal, natural.signal, dims)
    if pair.ds is not None:
        record["ds"] = _carry.attrs_difference(pair.ds.attrs, {})
        record["vars"] = [tagged(k) for k in pair.ds.data_vars]
    if pair.variance is not None and natural.variance is not None:
        record["variance"] = _carry.difference(pair.variance, natural.variance, dims)
    return record


def assembled(natural: Pair, record: Mapping[str, Any] | None, op: str) -> xr.DataArray | xr.Dataset:
    """Return an array, or a Dataset of a signal and its variance, from what was read and what travelled along."""
    if record is not None:
        try:
            return _assembled(natural, record, op)
        except (MetadataError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            warn(f"what travelled with {natural.signal.name!r} does not fit it, and is left out: {error!r}")
    return _assembled(natural, None, op)


def _assembled(natural: Pair, record: Mapping[str, Any] | None, op: str) -> xr.DataArray | xr.Dataset:
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
        order = [key for key in map(untagged, record["vars"]) if key in arrays]
        arrays = {key: arrays[key] for key in dict.fromkeys([*order, *arrays])}
    coords = {k: v for da in reversed(list(arrays.values())) for k, v in da.coords.items()}
    ordered = {k: coords[k] for k in dict.fromkeys([*signal.coords, *coords])}
    ds = xr.Dataset(arrays, coords=ordered, attrs=attrs)
    return ds.drop_indexes([k for k in ds.xindexes if k not in signal.xindexes])


def _finished(natural: xr.DataArray, record: Mapping[str, Any] | None, op: str) -> xr.DataArray:
    out = natural if record is None else _carry.patched(natural, record)
    return _carry.rooted(out, op, natural, record)
