"""Correct the drift of a stack of images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import dims_of, kind_of, one_dim, position_of, spacing, units_of
from sid_xarray.core.lift import Out, float_dtype, lift
from sid_xarray.errors import DimensionError
from sid_xarray.kernels import registration as kernels
from sid_xarray.ops._results import flags, refuse_taken
from sid_xarray.schema import attrs as names

__all__ = ["recall", "register"]

_REFERENCES = ("first", "mean")


def register(
    da: xr.DataArray,
    reference: str | int | xr.DataArray = "first",
    *,
    dim: Hashable | None = None,
    plane: Sequence[Hashable] | None = None,
    on: xr.DataArray | None = None,
    max_shift: Any = None,
    order: int = 3,
) -> xr.Dataset:
    """Measure how images of a stack drift, and move them back; rigid, with fractions of pixels.

    Parameters
    ----------
    da : DataArray
        A stack of images; spectral dimensions, and those of a pattern, move with their image. Over any others, each
        stack is one of its own.
    reference : {"first", "mean"}, int or DataArray, default: "first"
        What the others are moved onto: a frame, the mean of the stack after a first pass, or an image.
    dim : hashable, optional
        Over which the images follow each other; the temporal or channel dimension by default.
    plane : pair of hashable, optional
        Dimensions of the images, vertical first; the two spatial ones, else the two reciprocal ones, by default.
    on : DataArray, optional
        Images in which the drift is measured, over `dim` and `plane`; by default `da`, averaged over spectral
        dimensions and patterns.
    max_shift : number or str, optional
        Drift that is possible at most, in units of the coordinates or as text: ``"2 nm"``.
    order : int, default: 3
        Of the spline between pixels: 1 is quicker, and blurs.

    Returns
    -------
    Dataset
        ``signal``, like `da`, NaN where nothing was recorded; ``drift_y`` and ``drift_x``, down and
        across, in units of the coordinates: where the content of a frame is, minus where it is in the reference;
        ``correlation``, 1 for equal frames; ``status``. Lazy if the input is.

    Raises
    ------
    DimensionError
        If it is not clear which dimensions are meant, or the pixels are not evenly spaced.

    Notes
    -----
    Cross-correlation under a Hann window with a parabola through its maximum: phases are not normalised, which in
    noisy images is more accurate by an order of magnitude.

    References
    ----------
    .. [1] M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008), doi:10.1364/OL.33.000156

    Examples
    --------
    >>> import sid_xarray as sid
    >>> stack = sid.datasets.drifting_stack()
    >>> result = stack.sid.register()
    >>> bool(abs(result.drift_x - stack.true_drift_x).max() < 0.02)
    True
    """
    if kind_of(da) not in "biuf":
        raise DimensionError(f"drift is measured in real images, {da.name!r} is {da.dtype}. Take abs() or .real first.")
    if isinstance(order, bool) or order not in (0, 1, 2, 3, 4, 5):
        raise DimensionError(f"order of the spline is 0 to 5, got {order!r}")
    y, x = _plane(da, plane)
    along = _stack_dim(da, dim, (y, x))
    refuse_taken(da, ("signal", "drift_y", "drift_x", "correlation", "status"))
    step = {d: spacing(da, d) for d in (y, x)}
    images = _images(da if on is None else on, along, (y, x), da)
    limit = None if max_shift is None else _limit(da, (y, x), step, max_shift)
    target = _reference(images, reference, along, (y, x), limit)
    found = _drift(images, target, (y, x), limit)
    dtype = float_dtype(da)
    moved = _moved(da.astype(dtype, copy=False), found[0], found[1], (y, x), order, dtype)
    ds = xr.Dataset({"signal": moved.assign_attrs({**da.attrs, names.UNITS: units_of(da)})})
    for name, d, shift in zip(("drift_y", "drift_x"), (y, x), found[:2], strict=True):
        attrs = {names.LONG_NAME: f"drift along {d}", names.UNITS: units_of(da, d)}
        ds[name] = (shift * step[d]).assign_attrs(attrs).variable
    said = {names.LONG_NAME: "correlation with the reference", names.UNITS: "1"}
    ds["correlation"] = found[2].assign_attrs(said).variable
    ds["status"] = found[3].assign_attrs(flags(kernels.STATUS, "registration")).variable
    inputs = [da, *(other for other in (on, reference) if isinstance(other, xr.DataArray))]
    params: dict[str, Any] = {"dim": str(along), "plane": [str(y), str(x)], "max_shift": max_shift, "order": order}
    params["on"] = None if on is None else "input"
    params["reference"] = "input" if isinstance(reference, xr.DataArray) else reference
    return provenance.stamp(ds, "register", *inputs, **params)


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `register` that recorded these parameters: images may be inputs."""
    rest, images = dict(params), list(inputs[1:])
    for name in ("on", "reference"):  # in the order in which they were recorded
        if rest.get(name) == "input":
            rest[name] = images.pop(0)
    return (inputs[0], rest.pop("reference")), rest


def _plane(da: xr.DataArray, plane: Sequence[Hashable] | None) -> tuple[Hashable, Hashable]:
    if plane is not None:
        chosen = tuple(plane) if isinstance(plane, Sequence) else (plane,)
        if len(chosen) != 2 or len(set(chosen)) != 2 or not set(chosen) <= set(da.dims):
            raise DimensionError(f"plane is two dimensions of {da.dims}, got {plane!r}")
        return chosen
    for kind in ("spatial", "reciprocal"):
        found = dims_of(da, kind)
        if len(found) == 2:
            across_first = str(found[0]).lower().endswith("x") and not str(found[1]).lower().endswith("x")
            return (found[1], found[0]) if across_first else (found[0], found[1])
    raise DimensionError(
        f"the images of {da.name!r} need two spatial dimensions, there are {dims_of(da, 'spatial') or 'none'} among "
        f"{da.dims}. Name them: register(plane=('y', 'x'))."
    )


def _stack_dim(da: xr.DataArray, dim: Hashable | None, plane: tuple[Hashable, Hashable]) -> Hashable:
    rest = [d for d in da.dims if d not in plane]
    if dim is None and len(rest) == 1:
        return rest[0]
    kind = "temporal" if dims_of(da, "temporal") else "channel"
    found = one_dim(da, dim, kind=kind)
    if found in plane:
        raise DimensionError(f"{found!r} is a dimension of the images: name the one over which they follow each other")
    return found


def _images(on: xr.DataArray, along: Hashable, plane: tuple[Hashable, Hashable], da: xr.DataArray) -> xr.DataArray:
    missing = [d for d in (along, *plane) if d not in on.dims]
    if missing:
        raise DimensionError(f"the images to register on have no dimension {missing[0]!r}: they have {on.dims}")
    if any(on.sizes[d] != da.sizes[d] for d in (along, *plane)):
        raise DimensionError(f"the images to register on have another size than the stack: {on.sizes} and {da.sizes}")
    if on.sizes[along] == 0:
        raise DimensionError(f"there is no frame along {along!r}")
    others = [d for d in dims_of(on, ("spectral", "reciprocal")) if d not in (along, *plane)]
    return on.mean(others) if others else on


def _limit(
    da: xr.DataArray, plane: tuple[Hashable, Hashable], step: dict[Hashable, float], max_shift: Any
) -> tuple[float, float]:
    y, x = (abs(position_of(da, d, max_shift) / step[d]) for d in plane)
    if not (y >= 1 and x >= 1):
        raise DimensionError(f"max_shift should be one pixel at least, got {max_shift!r}: {y:.2g} × {x:.2g} pixels")
    return y, x


def _reference(
    images: xr.DataArray,
    reference: Any,
    along: Hashable,
    plane: tuple[Hashable, Hashable],
    limit: tuple[float, float] | None,
) -> xr.DataArray:
    if isinstance(reference, xr.DataArray):
        if set(reference.dims) != set(plane):
            raise DimensionError(f"the reference is an image over {plane}, got one over {reference.dims}")
        return reference
    if isinstance(reference, int | np.integer) and not isinstance(reference, bool):
        if not -images.sizes[along] <= reference < images.sizes[along]:
            raise DimensionError(f"no frame {reference} along {along!r}: there are {images.sizes[along]}")
        return images.isel({along: reference}, drop=True)
    if not isinstance(reference, str) or reference not in _REFERENCES:
        raise DimensionError(
            f"the reference is 'first', 'mean', the number of a frame or an image as a DataArray; got "
            f"{reference if isinstance(reference, str) else type(reference).__name__!r}"
        )
    first = images.isel({along: 0}, drop=True)
    if reference == "first":
        return first
    dy, dx, *_ = _drift(images, first, plane, limit)
    dtype = float_dtype(images)
    aligned = _moved(images.astype(dtype, copy=False), dy, dx, plane, 1, dtype)
    return aligned.mean([along], skipna=True)


def _drift(
    images: xr.DataArray, target: xr.DataArray, plane: tuple[Hashable, Hashable], limit: tuple[float, float] | None
) -> tuple[xr.DataArray, ...]:
    outs = [Out((), {}, float), Out((), {}, float), Out((), {}, float), Out((), {}, np.int8)]
    return lift(kernels.shifts, images, target, core=[plane, plane], out=outs, max_shift=limit)


def _moved(
    da: xr.DataArray,
    dy: xr.DataArray,
    dx: xr.DataArray,
    plane: tuple[Hashable, Hashable],
    order: int,
    dtype: np.dtype[Any],
) -> xr.DataArray:
    """Return the images moved back by the drift."""
    (out,) = lift(
        kernels.shift_images, da, -dy, -dx, core=[plane, (), ()], out=[Out(tuple(plane), {}, dtype)], order=order
    )
    return out.transpose(*da.dims)
