"""Fit a model to the curve at every pixel."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import one_dim, units_of, values_of
from sid_xarray.core.evaluate import FIT_DIM, FIT_DIM_UNITS, FIT_MODEL, FIT_UNITS, read_model
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError, ModelError, nearest
from sid_xarray.kernels import lsq
from sid_xarray.models import FitModel
from sid_xarray.ops._results import flags, refuse_taken
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["fit"]


def fit(
    da: xr.DataArray,
    model: str,
    *,
    dim: Hashable | None = None,
    guess: str | Mapping[str, Any] | xr.Dataset = "auto",
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fixed: Mapping[str, Any] | Sequence[str] = (),
    weights: Any = None,
    variance: Any = None,
    absolute_sigma: bool | None = None,
) -> xr.Dataset:
    """Fit a model along one dimension, at every point of the others at once.

    Parameters
    ----------
    da : DataArray
        Real or complex. NaNs take no part.
    model : str
        Names of models with ``+`` and ``*``: ``"gaussian + constant"``. Models: gaussian, lorentzian, constant,
        linear, exponential, power_law. If a parameter name occurs twice, its components are prefixed:
        ``gaussian1_center``.
    dim : hashable, optional
        The spectral dimension by default.
    guess : "auto", mapping or Dataset
        Starting values by name, numbers or maps; those not named are estimated from the data. A Dataset of an
        earlier fit will do.
    bounds : mapping, optional
        From parameter to (lower, upper); None is open. Widths are positive anyway.
    fixed : mapping or sequence of str
        Parameters that are held: at the value given, or at their guess.
    weights : DataArray or array_like, optional
        1/σ: multiplies the residuals. A bare array has the shape of the data, or is one curve. Or:
    variance : DataArray or array_like, optional
        σ² of the values.
    absolute_sigma : bool, optional
        Whether weights are absolute; otherwise errors are scaled by the scatter. By default true if weights or
        variance are given.

    Returns
    -------
    Dataset
        A map for every parameter, ``<name>_stderr``, ``redchi``, ``rsquared``, ``status`` (0 converged, see its
        ``flag_meanings``) and ``nfev``. Where a fit failed, parameters are NaN. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no spectral dimension.
    ModelError
        If the model, or the name of a parameter, is unknown.

    Notes
    -----
    Levenberg–Marquardt with analytic derivatives on many curves at a time [1]_; linear models are solved at once.
    Errors are the square roots of the diagonal of the inverse normal matrix.

    References
    ----------
    .. [1] J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory", Lecture Notes in Mathematics
       630, 105 (1978). :doi:`10.1007/BFb0067700`

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> fit = da.sid.fit("gaussian + constant")
    >>> fit.center.units, int((fit.status == 0).sum()) == fit.status.size
    ('eV', True)
    """
    chosen = read_model(model)
    along = one_dim(da, dim, kind="spectral")
    if da.dtype.kind not in "biufc":
        raise ModelError(f"a fit needs numbers, {da.name!r} is {da.dtype}")
    if not da.sizes[along]:
        raise DimensionError(f"{along!r} has no point: there is nothing to fit")
    if weights is not None and variance is not None:
        raise ModelError("weights and variance say the same thing: give one of them")
    _known(chosen, bounds or {}, "bounds")
    held = _held(fixed)
    _known(chosen, held, "fixed")
    start = _start(chosen, guess, held, da, along)
    refuse_taken(da, _variables(chosen))
    lower, upper = _bounds(chosen, bounds or {})
    x = xr.DataArray(values_of(da, along), dims=(along,))
    noise = {k: _along(v, along, da, k) for k, v in (("weights", weights), ("variance", variance)) if v is not None}
    sigma = next(iter(noise), None)
    arrays, core = [da, x, *noise.values()], [[along], [along], *([along] for _ in noise)]
    maps = {k: v for k, v in start.items() if isinstance(v, xr.DataArray)}
    arrays += list(maps.values())
    core += [[] for _ in maps]
    single = [Out((), {}, float)] * (2 * len(chosen.names) + 2)
    results = lift(
        _fit_block,
        *arrays,
        core=core,
        out=[*single, Out((), {}, np.int8), Out((), {}, np.int32)],
        model=chosen,
        noise=sigma,
        maps=tuple(maps),
        numbers={k: float(v) for k, v in start.items() if k not in maps},
        fixed=tuple(p in held for p in chosen.names),
        lower=lower,
        upper=upper,
        absolute_sigma=absolute_sigma,
    )
    ds = _dataset(results, chosen, da, along, weighted=sigma is not None)
    ds.attrs = {FIT_MODEL: model, **_about(da, along)}
    said: dict[str, Any] = {
        "guess": {k: v for k, v in start.items() if k not in held and k not in maps},
        "maps": list(maps),
        "bounds": {k: list(v) for k, v in (bounds or {}).items()},
        "fixed": {k: None if k in maps else start.get(k) for k in held},
        "sigma": sigma,
        "absolute_sigma": absolute_sigma,
    }
    said = {"model": model, "dim": str(along)} | {k: v for k, v in said.items() if v is not None and v not in ({}, [])}
    return provenance.stamp(ds, "fit", da, *noise.values(), *maps.values(), **said)


def _variables(model: FitModel) -> list[str]:
    return [*model.names, *(f"{p}_stderr" for p in model.names), "redchi", "rsquared", "status", "nfev"]


def _held(fixed: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    if isinstance(fixed, Mapping):
        return dict(fixed)
    if not isinstance(fixed, Iterable):
        raise ModelError(f"fixed is a mapping from parameter to value, or a list of parameters; got {fixed!r}")
    return dict.fromkeys([fixed] if isinstance(fixed, str) else fixed)


def _known(model: FitModel, given: Mapping[str, Any], what: str) -> None:
    if not isinstance(given, Mapping):
        raise ModelError(f"{what} is a mapping from parameter, such as {model.names[0]!r}; got {given!r}")
    for name in given:
        if name not in model.names:
            hint = nearest(str(name), model.names)
            raise ModelError(f"{what} names {name!r}; {model.name!r} has {', '.join(model.names)}.{hint}")


def _start(
    model: FitModel, guess: Any, held: Mapping[str, Any], da: xr.DataArray, dim: Hashable
) -> dict[str, xr.DataArray | float]:
    """Return the starting values that were given: numbers, or maps."""
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
        _known(model, given, "guess")
    else:
        found = type(guess).__name__
        raise ModelError(f"guess is 'auto', a mapping from parameter to value, or a Dataset; got {found}")
    given |= {k: v for k, v in held.items() if v is not None}
    return {name: _value(name, value, da, dim) for name, value in given.items()}


def _value(name: str, value: Any, da: xr.DataArray, dim: Hashable) -> xr.DataArray | float:
    """Return the starting value of one parameter: a number, or a map over all dimensions but the fitted one."""
    maps = [d for d in da.dims if d != dim]
    if isinstance(value, xr.DataArray):
        if value.ndim and not set(value.dims) <= set(maps):
            raise ModelError(f"the values of {name!r} lie over {value.dims}; the maps of this fit over {tuple(maps)}")
        return value if value.ndim or is_lazy(value) else float(value)
    if isinstance(value, str) or value is None:
        raise ModelError(f"the value of {name!r} is a number or a map, got {value!r}")
    if np.ndim(value) == 0:
        return float(value)
    shape = tuple(da.sizes[d] for d in maps)
    if np.shape(value) != shape:
        raise ModelError(f"the values of {name!r} have shape {np.shape(value)}; the maps of this fit have {shape}")
    return xr.DataArray(value, dims=maps, coords={d: da.coords[d] for d in maps if d in da.coords})


def _bounds(model: FitModel, bounds: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
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


def _along(sigma: Any, dim: Hashable, da: xr.DataArray, what: str) -> xr.DataArray:
    """Return weights or a variance as an array that has the dimension to fit."""
    if not isinstance(sigma, xr.DataArray):
        dims = {0: (), 1: (dim,), da.ndim: da.dims}.get(np.ndim(sigma))
        if dims is None or np.shape(sigma) != tuple(da.sizes[d] for d in dims):
            raise ModelError(
                f"{what} of shape {np.shape(sigma)} fit neither the array, {dict(da.sizes)}, nor its {dim!r}. "
                "Pass a DataArray with named dimensions."
            )
        sigma = xr.DataArray(sigma, dims=dims, coords={d: da.coords[d] for d in dims if d in da.coords})
    if sigma.dtype.kind not in "biuf":
        raise ModelError(f"{what} are real numbers, got {sigma.dtype}")
    if not set(sigma.dims) <= set(da.dims):
        raise ModelError(f"{what} lie over {sigma.dims}, the array over {da.dims}")
    out: xr.DataArray = sigma if dim in sigma.dims else sigma.expand_dims({dim: da.sizes[dim]})
    return out


def _fit_block(
    y: Any,
    x: Any,
    *extra: Any,
    model: FitModel,
    noise: str | None,
    maps: tuple[str, ...],
    numbers: Mapping[str, float],
    fixed: tuple[bool, ...],
    lower: Any,
    upper: Any,
    absolute_sigma: bool | None,
) -> tuple[Any, ...]:
    """Fit one block: curves along the last axis, maps of starting values without it."""
    rest = list(extra)
    sigma = None if noise is None else np.broadcast_to(rest.pop(0), y.shape)
    # apply_ufunc gives dimensions that an array lacks the length 1.
    shape = y.shape[:-1]
    if not y.size:  # no curve at all
        return (
            *(np.empty(shape) for _ in range(2 * len(model.names) + 2)),
            np.empty(shape, "i1"),
            np.empty(shape, "i4"),
        )
    estimate = model.guess(x, y.real if y.dtype.kind == "c" else y)
    start = np.array(np.broadcast_to(estimate, (*shape, len(model.names))), dtype=float)
    for name, value in [*zip(maps, rest, strict=True), *numbers.items()]:
        start[..., model.names.index(name)] = value
    found = lsq.fit_batch(
        y,
        x,
        model,
        # A parameter that is held stays where it was put, also outside of its bounds.
        np.where(fixed, start, np.clip(start, lower, upper)),
        lower=lower,
        upper=upper,
        fixed=np.array(fixed),
        weights=sigma if noise == "weights" else None,
        variance=sigma if noise == "variance" else None,
        absolute_sigma=absolute_sigma,
    )
    columns = [found.parameters[..., i] for i in range(len(model.names))]
    errors = [found.stderr[..., i] for i in range(len(model.names))]
    return (*columns, *errors, found.redchi, found.rsquared, found.status, found.n_iter)


def _dataset(
    results: tuple[xr.DataArray, ...], model: FitModel, da: xr.DataArray, dim: Hashable, *, weighted: bool
) -> xr.Dataset:
    ds = xr.Dataset()
    n = len(model.names)
    y, x = units_of(da), units_of(da, dim)
    for param, value, error in zip(model.params, results[:n], results[n : 2 * n], strict=True):
        ey, ex = param.exponents()
        unit = "rad" if param.units == "rad" else units.multiply(units.power(y, ey), units.power(x, ex))
        label = param.name.replace("_", " ")
        ds[param.name] = value.assign_attrs(
            {names.LONG_NAME: label, names.UNITS: unit, names.ANCILLARY: f"{param.name}_stderr"}
        )
        said = {names.LONG_NAME: f"standard error of {label}", names.UNITS: unit}
        ds[f"{param.name}_stderr"] = error.assign_attrs(said)
    redchi, rsquared, status, nfev = results[2 * n :]
    square = "1" if weighted else units.power(y, 2)
    ds["redchi"] = redchi.assign_attrs({names.LONG_NAME: "reduced χ²", names.UNITS: square})
    ds["rsquared"] = rsquared.assign_attrs({names.LONG_NAME: "coefficient of determination", names.UNITS: "1"})
    ds["status"] = status.assign_attrs(flags(lsq.STATUS, "fit"))
    ds["nfev"] = nfev.assign_attrs({names.LONG_NAME: "iterations", names.UNITS: "1"})
    # One order of dimensions for all: maps of starting values may have put theirs first.
    order = [d for d in da.dims if d != dim]
    return ds.transpose(*order, ...)


def _about(da: xr.DataArray, dim: Hashable) -> dict[str, Any]:
    """Return what `evaluate` needs to know, and what is inherited."""
    kept = (names.SOURCE, names.MODALITY, names.TITLE)
    fitted = {FIT_DIM: str(dim), FIT_UNITS: units_of(da), FIT_DIM_UNITS: units_of(da, dim)}
    return fitted | {k: da.attrs[k] for k in kept if k in da.attrs}
