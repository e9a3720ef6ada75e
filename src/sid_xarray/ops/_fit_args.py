"""What the arguments of a fit mean."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._arrays import numpy_dtype
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import one_dim, units_of
from sid_xarray.core.evaluate import FIT_DIM, FIT_DIM_UNITS, FIT_UNITS
from sid_xarray.errors import DimensionError, ModelError, UnitsError, nearest
from sid_xarray.kernels.lsq import LOSSES
from sid_xarray.models import FitModel, Param
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = [
    "about",
    "bounds_of",
    "check_names",
    "check_options",
    "check_start",
    "dims_along",
    "held_by",
    "noise_along",
    "plain",
    "start_of",
    "unit_of",
]


def check_start(model: FitModel, start: Mapping[str, Any]) -> None:
    """Check that a start is known for every parameter that needs one."""
    missing = [name for name in model.needs if name not in start]
    if missing:
        given = ", ".join(f"{name!r}: ..." for name in missing)
        raise ModelError(f"{model.name!r} does not say where {', '.join(missing)} start. Pass guess={{{given}}}")


def check_options(loss: str, scale: float | None, refine: str | None) -> None:
    """Check the names of a loss and of a refinement, and the scale of the loss."""
    if loss not in LOSSES:
        raise ModelError(f"loss is one of {', '.join(map(repr, LOSSES))}; got {loss!r}.{nearest(str(loss), LOSSES)}")
    if scale is not None and not scale > 0:
        raise ModelError(f"loss_scale is a positive number, got {scale!r}")
    if refine not in (None, "neighbours"):
        raise ModelError(f"refine is 'neighbours' or None; got {refine!r}.{nearest(str(refine), ['neighbours'])}")


def held_by(fixed: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Return what is held, and where; None at its guess."""
    if isinstance(fixed, Mapping):
        return dict(fixed)
    if not isinstance(fixed, Iterable):
        raise ModelError(f"fixed is a mapping from parameter to value, or a list of parameters; got {fixed!r}")
    return dict.fromkeys([fixed] if isinstance(fixed, str) else fixed)


def check_names(model: FitModel, given: Mapping[str, Any], what: str) -> None:
    """Check that a mapping names parameters."""
    if not isinstance(given, Mapping):
        raise ModelError(f"{what} is a mapping from parameter, such as {model.names[0]!r}; got {given!r}")
    for name in given:
        if name not in model.names:
            hint = nearest(str(name), model.names)
            raise ModelError(f"{what} names {name!r}; {model.name!r} has {', '.join(model.names)}.{hint}")


def start_of(
    model: FitModel,
    guess: Any,
    held: Mapping[str, Any],
    da: xr.DataArray,
    dims: Sequence[Hashable],
    more: Mapping[Hashable, int],
) -> dict[str, xr.DataArray | float]:
    """Return the starting values that were given: numbers, or maps; over ``more`` dimensions, with their sizes."""
    if isinstance(guess, str):
        if guess != "auto":
            raise ModelError(f"guess is 'auto', a mapping or a Dataset, got {guess!r}")
        given: dict[str, Any] = {}
    elif isinstance(guess, xr.Dataset):
        given = {p: guess[p] for p in model.names if p in guess}
        if not given:
            raise ModelError(f"the Dataset of the guess has none of {', '.join(model.names)}")
    elif isinstance(guess, Mapping):
        given = dict(guess)
        check_names(model, given, "guess")
    else:
        found = type(guess).__name__
        raise ModelError(f"guess is 'auto', a mapping from parameter to value, or a Dataset; got {found}")
    given |= {k: v for k, v in held.items() if v is not None}
    return {name: _value(name, value, da, dims, more) for name, value in given.items()}


def _value(
    name: str, value: Any, da: xr.DataArray, dims: Sequence[Hashable], more: Mapping[Hashable, int]
) -> xr.DataArray | float:
    """Return the starting value of one parameter: a number, or a map over all dimensions but the fitted ones."""
    maps = [*(d for d in da.dims if d not in dims), *more]
    if isinstance(value, xr.DataArray):
        if value.ndim and not set(value.dims) <= set(maps):
            raise ModelError(f"the values of {name!r} lie over {value.dims}; the maps of this fit over {tuple(maps)}")
        return value if value.ndim or is_lazy(value) else float(value)
    if isinstance(value, str) or value is None:
        raise ModelError(f"the value of {name!r} is a number or a map, got {value!r}")
    if np.ndim(value) == 0:
        return float(value)
    shape = tuple({**da.sizes, **more}[d] for d in maps)
    if np.shape(value) != shape:
        raise ModelError(f"the values of {name!r} have shape {np.shape(value)}; the maps of this fit have {shape}")
    return xr.DataArray(value, dims=maps, coords={d: da.coords[d] for d in maps if d in da.coords})


def bounds_of(model: FitModel, bounds: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds, shape (p,)."""
    lower, upper = model.lower.copy(), model.upper.copy()
    for name, ends in bounds.items():
        i = model.names.index(name)
        if not isinstance(ends, list | tuple | np.ndarray) or len(ends) != 2:
            raise ModelError(f"bounds of {name} are a pair (lower, upper), None is open; got {ends!r}")
        try:
            low, high = (None if end is None else float(end) for end in ends)
        except (TypeError, ValueError):
            raise ModelError(f"bounds of {name} are numbers in the units of {name}, or None; got {ends!r}") from None
        lower[i] = lower[i] if low is None else low
        upper[i] = upper[i] if high is None else high
        if not lower[i] <= upper[i]:
            raise ModelError(f"bounds of {name} cross: {lower[i]:g} > {upper[i]:g}")
    return lower, upper


def noise_along(sigma: Any, along: Sequence[Hashable], da: xr.DataArray, what: str) -> xr.DataArray:
    """Return weights or a variance as an array that has the dimensions to fit."""
    if not isinstance(sigma, xr.DataArray):
        dims = {0: (), len(along): tuple(along), da.ndim: da.dims}.get(np.ndim(sigma))
        if dims is None or np.shape(sigma) != tuple(da.sizes[d] for d in dims):
            raise ModelError(
                f"{what} of shape {np.shape(sigma)} fit neither the array, {dict(da.sizes)}, nor its {_listed(along)}. "
                "Pass a DataArray with named dimensions."
            )
        sigma = xr.DataArray(sigma, dims=dims, coords={d: da.coords[d] for d in dims if d in da.coords})
    if numpy_dtype(sigma.dtype).kind not in "biuf":
        raise ModelError(f"{what} are real numbers, got {sigma.dtype}")
    if not set(sigma.dims) <= set(da.dims):
        raise ModelError(f"{what} lie over {sigma.dims}, the array over {da.dims}")
    missing = {d: da.sizes[d] for d in along if d not in sigma.dims}
    out: xr.DataArray = sigma.expand_dims(missing) if missing else sigma
    return out


def _listed(dims: Sequence[Hashable]) -> str:
    return " and ".join(map(repr, dims))


def dims_along(da: xr.DataArray, dim: Any, model: FitModel) -> tuple[Hashable, ...]:
    """Return the dimensions to fit: as many as the model has axes."""
    axes = model.axes
    several = isinstance(dim, list | tuple) and dim not in da.dims
    if not several and len(axes) == 1:
        return (one_dim(da, dim, kind="spectral"),)
    found = tuple(dim) if several else () if dim is None else (dim,)
    if len(found) != len(axes) or len(set(found)) < len(found):
        last = ", ".join(repr(d) for d in da.dims[-len(axes) :])
        wanted = f"dim=({last})" if len(axes) > 1 else f"dim={last}"
        raise DimensionError(f"{model.name!r} has {len(axes)} axes, got dim={dim!r}. Type: {wanted}")
    for d in found:
        one_dim(da, d, kind="spectral")
    if len({units_of(da, d) for d in found}) > 1:
        given = ", ".join(f"{d} in {units_of(da, d)!r}" for d in found)
        raise UnitsError(f"the axes of {model.name!r} have the same units, here are {given}: see da.sid.to_units")
    return found


def unit_of(param: Param, da: xr.DataArray, dim: Hashable) -> dict[str, str]:
    """Return the units of a parameter as attributes: none if they are not known."""
    if not param.units:
        return {}
    if param.units == "rad":
        return {names.UNITS: "rad"}
    y, x = param.exponents()
    return {names.UNITS: units.multiply(units.power(units_of(da), y), units.power(units_of(da, dim), x))}


def plain(dims: Sequence[Hashable]) -> str | list[str]:
    """Return dimensions as they are written down: a name, or a list of names."""
    return str(dims[0]) if len(dims) == 1 else [str(d) for d in dims]


def about(da: xr.DataArray, dims: Sequence[Hashable]) -> dict[str, Any]:
    """Return what `evaluate` needs to know, and what is inherited."""
    kept = (names.SOURCE, names.MODALITY, names.TITLE)
    fitted = {FIT_DIM: plain(dims), FIT_UNITS: units_of(da), FIT_DIM_UNITS: units_of(da, dims[0])}
    return fitted | {k: da.attrs[k] for k in kept if k in da.attrs}
