"""The bridge to signals of HyperSpy. It is imported only when a signal is made, never to read one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.dims import describe
from sid_xarray.errors import DimensionError, MetadataError, warn
from sid_xarray.io.interop import _carry, _hyperspy_metadata
from sid_xarray.io.interop._common import (
    Pair,
    assembled,
    chunked,
    found_units,
    imported,
    packed,
    plain_dask,
    record_of,
    split,
    unique_name,
    units_attrs,
    with_variance,
)
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, units

__all__ = ["from_hyperspy", "to_hyperspy"]

_OP = "sid:from_hyperspy@1"
_GROUP = "hyperspy"


def from_hyperspy(signal: Any) -> xr.DataArray | xr.Dataset:
    """Make an array of a signal of HyperSpy; nothing is computed, values in memory are shared.

    Parameters
    ----------
    signal : hyperspy BaseSignal
        Or anything with ``data``, ``axes_manager`` and ``metadata``; HyperSpy itself is not needed.

    Returns
    -------
    DataArray or Dataset
        Dimensions in the order of the data. A Dataset of the signal and ``<name>_variance`` if the noise properties
        hold a variance of the same shape. Types of dimensions are read from units and names; which axes HyperSpy
        navigates counts only where these tell nothing. What came from ``to_hyperspy`` is what it was, but for what
        was changed since.

    Raises
    ------
    DimensionError
        If the signal is ragged, or no signal at all.
    """
    if not hasattr(signal, "axes_manager") or not hasattr(signal, "data"):
        raise DimensionError(f"expected a signal of HyperSpy, got {type(signal).__name__}")
    if getattr(signal, "ragged", False) or signal.data.dtype.kind == "O":
        raise DimensionError(
            "the signal is ragged: every position holds an array of its own length, which is no N-dimensional array. "
            "Take one of them: hs.signals.BaseSignal(signal.data[0])"
        )
    tree = _hyperspy_metadata.tree_of(getattr(signal, "metadata", None))
    node = _hyperspy_metadata.own_node(tree)
    record = _carry.read(node.get("record")) if node else None
    return assembled(_natural(signal, scalar=bool(record and record.get("scalar"))), record, _OP)


def _natural(signal: Any, *, scalar: bool) -> Pair:
    """Return what a stranger reads from a signal."""
    values = plain_dask(signal.data, unwrap=False)
    axes = _axes_of(signal)
    dims, coords, roles = _dimensions(axes, values.shape)
    tree = _hyperspy_metadata.tree_of(getattr(signal, "metadata", None))
    attrs, spread = _hyperspy_metadata.attributes_of(tree)
    attrs |= units_attrs(attrs.get(names.UNITS))
    if values.dtype.names:
        values, dims = _with_channels(values), [*dims, unique_name("channel", dims, "channel")]
        coords[dims[-1]] = xr.Variable((dims[-1],), np.arange(values.shape[-1], dtype=float), {names.UNITS: "1"})
        coords[dims[-1]].attrs[names.DIMENSION_TYPE] = "channel"
    for key, part in (
        (names.METADATA, tree),
        (names.ORIGINAL_METADATA, _hyperspy_metadata.tree_of(getattr(signal, "original_metadata", None))),
        (names.OTHER_GROUPS, {_GROUP: {"class": type(signal).__name__, "axes": roles}}),
    ):
        text = packed(part, key)
        if text is not None:
            attrs[key] = text
    attrs[names.VERSION] = names.VERSION_VALUE
    name = attrs.get(names.TITLE) or attrs.get(names.LONG_NAME)
    # By way of a Variable: xarray would call the array by the name of a dask graph.
    da = _with_evidence(xr.DataArray(xr.Variable(dims, values, attrs), coords=coords, name=name), roles)
    if scalar and da.shape == (1,):
        da = da.isel({da.dims[0]: 0}, drop=True)
    if spread is None or np.shape(spread) != signal.data.shape or da.shape != signal.data.shape:
        return Pair(da)
    return with_variance(da, plain_dask(spread, unwrap=False))


def _axes_of(signal: Any) -> list[Any]:
    manager = signal.axes_manager
    axes = getattr(manager, "_axes", None)
    if axes is None:
        axes = sorted([*manager.navigation_axes, *manager.signal_axes], key=lambda a: a.index_in_array)
    if len(axes) != np.ndim(signal.data):
        raise DimensionError(f"the signal has {len(axes)} axes for values of {np.ndim(signal.data)} dimensions")
    return list(axes)


def _with_channels(values: Any) -> Any:
    """Return colours as one more dimension."""
    parts = [values[name] for name in values.dtype.names]
    if isinstance(values, np.ndarray):
        return np.stack(parts, axis=-1)
    import dask.array

    return dask.array.stack(parts, axis=-1)


def _dimensions(
    axes: list[Any], shape: tuple[int, ...]
) -> tuple[list[str], dict[Hashable, xr.Variable], dict[str, Any]]:
    dims: list[str] = []
    coords: dict[Hashable, xr.Variable] = {}
    roles: dict[str, Any] = {}
    for i, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        found = getattr(axis, "name", None)
        dim = unique_name(found, dims, f"dim_{i}")
        dims.append(dim)
        unit = getattr(axis, "units", None)
        attrs: dict[Any, Any] = {names.UNITS: unit} if isinstance(unit, str) else {}
        if isinstance(found, str) and found.strip() and found != dim:
            attrs[names.NAME_ORIGINAL] = found
        coords[dim] = xr.Variable((dim,), _positions(axis, size), attrs)
        roles[dim] = {"navigate": bool(getattr(axis, "navigate", False))}
        if getattr(axis, "is_binned", False):
            roles[dim]["is_binned"] = True
        if isinstance(getattr(axis, "_expression", None), str):
            roles[dim]["expression"] = axis._expression
    return dims, coords, roles


def _positions(axis: Any, size: int) -> np.ndarray[Any, Any]:
    values = getattr(axis, "axis", None)
    if values is None or np.shape(values) != (size,):
        return np.asarray(float(axis.offset) + float(axis.scale) * np.arange(size))
    return np.array(values, dtype=float)


def _with_evidence(da: xr.DataArray, roles: Mapping[str, Any]) -> xr.DataArray:
    """Spell units, and type the axes of which neither units nor name tell anything by what HyperSpy does with them."""
    types = describe(da)
    signal = [d for d in da.dims if str(d) in roles and not roles[str(d)]["navigate"]]
    shown = [d for d in signal if types[d] == "unknown" and types[d].evidence == "none"]
    n_signal = sum(not role["navigate"] for role in roles.values())
    kind = {1: "spectral", 2: "spatial"}.get(n_signal)
    # Two images' axes behind a scan in two dimensions may as well be a diffraction pattern.
    if kind is not None and not (n_signal == 2 and len(roles) > 3):
        for dim in shown:
            da[dim].attrs[names.DIMENSION_TYPE] = kind
    for dim in signal:  # a wavelength in nm is no place, when name and use agree on it
        if kinds.dimension_type_from_name(dim) == "spectral":
            da[dim].attrs[names.DIMENSION_TYPE] = "spectral"
    types = describe(da)
    for dim in da.dims:
        own = da[dim].attrs
        da[dim].attrs = {**own, **units_attrs(own.get(names.UNITS), axis=str(types[dim]))}
    return da


def to_hyperspy(obj: xr.DataArray | xr.Dataset) -> Any:
    """Make a signal of HyperSpy of an array; lazy data stay lazy, values in memory are shared where the order allows.

    Parameters
    ----------
    obj : DataArray or Dataset
        A Dataset may hold one signal and its variance.

    Returns
    -------
    hyperspy Signal1D, Signal2D or BaseSignal
        Complex and lazy ones where needed. Spectral axes are signal axes, else reciprocal, else the last two spatial
        ones; HyperSpy wants them last, so the array is transposed. What HyperSpy has no place for lies as text in
        ``metadata.sid_xarray``, and `from_hyperspy` gives it back.

    Raises
    ------
    MissingDependencyError
        If HyperSpy is not installed.
    DimensionError
        If `obj` is no single signal.
    """
    hs = imported("hyperspy.api", "hyperspy", "to_hyperspy")
    pair = split(obj, "HyperSpy")
    roles = _roles(pair.signal)
    order = sorted(pair.signal.dims, key=lambda d: not roles[d]["navigate"])
    axes = [_axis(pair.signal, dim, i, roles[dim]) for i, dim in enumerate(order)]
    record: dict[str, Any] = {}
    signal = _signal(hs, pair, order, axes, record)
    scalar = pair.signal.ndim == 0
    record = record_of(pair, _natural(signal, scalar=scalar), list(order))
    if scalar:
        record["scalar"] = True
    return _signal(hs, pair, order, axes, {"record": _carry.written(record)})


def _signal(hs: Any, pair: Pair, order: list[Hashable], axes: list[dict[str, Any]], node: dict[str, Any]) -> Any:
    da = pair.signal
    tree = _hyperspy_metadata.tree_for(da, node)
    original = _hyperspy_metadata.browsable(_unpacked(da.attrs.get(names.ORIGINAL_METADATA)))
    known = {"axes": axes} if axes else {}
    signal = _class(hs, da, axes)(_values(da, order), **known, metadata=tree, original_metadata=original)
    if pair.variance is not None:
        spread = _class(hs, pair.variance, axes)(_values(pair.variance, order), axes=axes)
        signal.metadata.set_item("Signal.Noise_properties.variance", spread)
    return signal


def _values(da: xr.DataArray, order: list[Hashable]) -> Any:
    da = da.transpose(*order)
    values = da.values if da.variable._in_memory and da.chunks is None else chunked(da)
    return values if da.ndim else values.reshape((1,))


def _class(hs: Any, da: xr.DataArray, axes: list[dict[str, Any]]) -> Any:
    lazy = "Lazy" if da.chunks is not None or not da.variable._in_memory else ""
    form = "Complex" if da.dtype.kind == "c" else ""
    n = sum(not axis["navigate"] for axis in axes)
    name = f"{lazy}{form}Signal" + {1: "1D", 2: "2D"}.get(n, "")
    return getattr(hs.signals, "BaseSignal" if name == "Signal" else name)


def _roles(da: xr.DataArray) -> dict[Hashable, dict[str, Any]]:
    """Return what HyperSpy navigates: as it was there, else by the types of the dimensions."""
    there = _unpacked(da.attrs.get(names.OTHER_GROUPS)).get(_GROUP)
    kept = there.get("axes") if isinstance(there, dict) else None
    if isinstance(kept, dict) and all(isinstance(kept.get(str(d)), dict) for d in da.dims):
        return {d: {"navigate": bool(kept[str(d)].get("navigate")), **kept[str(d)]} for d in da.dims}
    types = describe(da)
    chosen: list[Hashable] = []
    for kind in ("spectral", "reciprocal", "spatial"):
        chosen = [d for d in da.dims if types[d] == kind][-2:]
        if chosen:
            break
    chosen = chosen or list(da.dims[-1:])
    return {d: {"navigate": d not in chosen} for d in da.dims}


def _axis(da: xr.DataArray, dim: Hashable, i: int, role: Mapping[str, Any]) -> dict[str, Any]:
    coord = da[dim] if dim in da.coords else None
    attrs = {} if coord is None else coord.attrs
    called = attrs.get(names.NAME_ORIGINAL, str(dim))
    out: dict[str, Any] = {"navigate": bool(role["navigate"]), "is_binned": bool(role.get("is_binned", False))}
    if called != f"dim_{i}":
        out["name"] = str(called)
    kind = str(describe(da)[dim])
    unit = found_units(attrs, axis=kind)
    if unit is not None and units.normalise(unit).canonical != attrs.get(names.UNITS):
        unit = str(attrs[names.UNITS])  # `A` on an axis is the ampere to HyperSpy
    numeric = coord is not None and coord.dtype.kind in "biuf"
    values = np.asarray(coord.values, dtype=float) if coord is not None and numeric else None
    scale = _scale(values, da.sizes[dim])
    if scale is None:  # HyperSpy has no axis of text, and none that turns back or stands still: this one counts
        return {**out, "size": da.sizes[dim], "scale": 1.0, "offset": 0.0}
    return {**out, **scale} if unit is None else {**out, **scale, "units": unit}


def _scale(values: np.ndarray[Any, Any] | None, size: int) -> dict[str, Any] | None:
    """Return a uniform axis where the positions are one, else an axis of positions; None if HyperSpy has neither."""
    counting = {"size": size, "scale": 1.0, "offset": 0.0}
    if values is None or not np.isfinite(values).all():
        return None
    if size == 0:
        return counting
    if size == 1:
        return {**counting, "offset": float(values[0])}
    steps = np.diff(values)
    mean = (values[-1] - values[0]) / (size - 1)
    # The short number that somebody once typed, rather than one that is off in the last digit.
    candidates = [float(f"{mean:.12g}"), float(f"{mean:.15g}"), float(steps[0]), float(mean)]
    off = [float(np.max(np.abs(values[0] + step * np.arange(size) - values))) for step in candidates]
    best = int(np.argmin(off))
    if candidates[best] != 0 and off[best] <= 1e-6 * abs(candidates[best]):
        return {"size": size, "scale": candidates[best], "offset": float(values[0])}
    return {"axis": values} if np.all(steps > 0) or np.all(steps < 0) else None


def _unpacked(text: object) -> dict[str, Any]:
    try:
        return _metadata.unpack(text)
    except MetadataError as error:
        warn(f"metadata that are damaged do not show in HyperSpy: {error}")
        return {}
