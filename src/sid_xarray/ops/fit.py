"""Fit a model to the curve at every pixel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import one_dim, units_of, values_of
from sid_xarray.core.evaluate import FIT_DIM, FIT_MODEL, FIT_UNITS, read_model
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError, ModelError, nearest
from sid_xarray.kernels import lsq
from sid_xarray.models import FitModel
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
    weights: xr.DataArray | None = None,
    variance: xr.DataArray | None = None,
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
    weights : DataArray, optional
        1/σ: multiplies the residuals. Or:
    variance : DataArray, optional
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
    if weights is not None and variance is not None:
        raise ModelError("weights and variance say the same thing: give one of them")
    _known(chosen, bounds or {}, "bounds")
    held = dict(fixed) if isinstance(fixed, Mapping) else dict.fromkeys(fixed)
    _known(chosen, held, "fixed")
    start = _start(chosen, guess, held)
    clash = [p for p in chosen.names if p in da.coords]
    if clash:
        raise DimensionError(f"the coordinate {clash[0]!r} has the name of a parameter: da.rename({clash[0]}=...)")
    lower, upper = _bounds(chosen, bounds or {})
    x = xr.DataArray(values_of(da, along), dims=(along,))
    noise = {"weights": weights, "variance": variance}
    sigma = next(((k, v) for k, v in noise.items() if v is not None), None)
    arrays, core = [da, x], [[along], [along]]
    if sigma is not None:
        arrays.append(_along(sigma[1], along, da))
        core.append([along])
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
        noise=None if sigma is None else sigma[0],
        maps=tuple(maps),
        numbers={k: float(v) for k, v in start.items() if k not in maps},
        fixed=tuple(p in held for p in chosen.names),
        lower=lower,
        upper=upper,
        absolute_sigma=absolute_sigma,
    )
    ds = _dataset(results, chosen, da, along, weighted=sigma is not None)
    ds.attrs = {FIT_MODEL: model, FIT_DIM: str(along), FIT_UNITS: units_of(da), **_inherited(da)}
    inputs = [da, *(v for v in (weights, variance) if v is not None), *maps.values()]
    said = {
        "model": model,
        "dim": str(along),
        "guess": {k: v for k, v in start.items() if k not in held and k not in maps} or None,
        "guess_maps": list(maps) or None,
        "bounds": None if bounds is None else {k: list(v) for k, v in bounds.items()},
        "fixed": {k: start.get(k) for k in held} or None,
        "absolute_sigma": absolute_sigma,
    }
    return provenance.stamp(ds, "fit", *inputs, **{k: v for k, v in said.items() if v is not None})


def _known(model: FitModel, given: Mapping[str, Any], what: str) -> None:
    for name in given:
        if name not in model.names:
            raise ModelError(f"{what} names {name!r}; {model.name!r} has {', '.join(model.names)}.{nearest(str(name), model.names)}")


def _start(model: FitModel, guess: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the starting values that were given: numbers, or maps."""
    if isinstance(guess, str):
        if guess != "auto":
            raise ModelError(f"guess is 'auto', a mapping or a Dataset, got {guess!r}")
        given: dict[str, Any] = {}
    elif isinstance(guess, xr.Dataset):
        given = {p: guess[p].drop_attrs(deep=False) for p in model.names if p in guess}
        if not given:
            raise ModelError(f"the Dataset of the guess has none of {', '.join(model.names)}")
    else:
        given = dict(guess)
        _known(model, given, "guess")
    given |= {k: v for k, v in held.items() if v is not None}
    return given


def _bounds(model: FitModel, bounds: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = model.lower.copy(), model.upper.copy()
    for name, ends in bounds.items():
        i = model.names.index(name)
        low, high = ends
        lower[i] = lower[i] if low is None else float(low)
        upper[i] = upper[i] if high is None else float(high)
        if not lower[i] <= upper[i]:
            raise ModelError(f"bounds of {name} cross: {lower[i]:g} > {upper[i]:g}")
    return lower, upper


def _along(sigma: xr.DataArray, dim: Hashable, da: xr.DataArray) -> xr.DataArray:
    sigma = sigma if isinstance(sigma, xr.DataArray) else xr.DataArray(sigma)
    return sigma if dim in sigma.dims else sigma.expand_dims({dim: da.sizes[dim]})


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
    sigma = {noise: np.broadcast_to(rest.pop(0), y.shape)} if noise is not None else {}
    # apply_ufunc gives dimensions that an array lacks the length 1.
    shape = y.shape[:-1]
    start = np.array(np.broadcast_to(model.guess(x, y.real if y.dtype.kind == "c" else y), (*shape, len(model.names))), dtype=float)
    for name, value in [*zip(maps, rest, strict=True), *numbers.items()]:
        start[..., model.names.index(name)] = value
    found = lsq.fit_batch(
        y, x, model, np.clip(start, lower, upper), lower=lower, upper=upper, fixed=np.array(fixed),
        absolute_sigma=absolute_sigma, **sigma,
    )  # fmt: skip
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
        unit = units.multiply(units.power(y, ey), units.power(x, ex))
        label = param.name.replace("_", " ")
        ds[param.name] = value.assign_attrs(
            {names.LONG_NAME: label, names.UNITS: unit, names.ANCILLARY: f"{param.name}_stderr"}
        )
        ds[f"{param.name}_stderr"] = error.assign_attrs({names.LONG_NAME: f"standard error of {label}", names.UNITS: unit})
    redchi, rsquared, status, nfev = results[2 * n :]
    ds["redchi"] = redchi.assign_attrs({names.LONG_NAME: "reduced χ²", names.UNITS: "1" if weighted else units.power(y, 2)})
    ds["rsquared"] = rsquared.assign_attrs({names.LONG_NAME: "coefficient of determination", names.UNITS: "1"})
    ds["status"] = status.assign_attrs(
        {
            names.LONG_NAME: "status of the fit",
            names.UNITS: "1",
            "flag_values": np.array(list(lsq.STATUS), dtype=np.int8),
            "flag_meanings": " ".join(lsq.STATUS.values()),
        }
    )
    ds["nfev"] = nfev.assign_attrs({names.LONG_NAME: "iterations", names.UNITS: "1"})
    # One order of dimensions for all: maps of starting values may have put theirs first.
    order = [d for d in da.dims if d != dim]
    return ds.transpose(*order, ...)


def _inherited(da: xr.DataArray) -> dict[str, Any]:
    kept = (names.SOURCE, names.MODALITY, names.TITLE)
    return {k: da.attrs[k] for k in kept if k in da.attrs}
