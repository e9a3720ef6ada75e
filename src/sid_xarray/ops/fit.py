"""Fit a model to the curve at every pixel."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import xarray as xr

from sid_xarray._arrays import NUMPY, arrays_of, numpy_dtype
from sid_xarray.core import provenance
from sid_xarray.core.dims import units_of
from sid_xarray.core.evaluate import FIT_MODEL, model_of
from sid_xarray.errors import DimensionError, ModelError
from sid_xarray.kernels import lsq
from sid_xarray.models import FitModel
from sid_xarray.models._tie import Ties
from sid_xarray.models._tie import tie as tied
from sid_xarray.ops._fit_args import (
    about,
    bounds_of,
    check_names,
    check_options,
    check_start,
    dims_along,
    held_by,
    noise_along,
    plain,
    start_of,
    unit_of,
)
from sid_xarray.ops._fit_block import fit_curves
from sid_xarray.ops._fit_windows import fit_windows
from sid_xarray.ops._peak_args import NO_PEAK, PEAK
from sid_xarray.ops._places import Places, dims_of_places, places_of, recalled
from sid_xarray.ops._results import flags, refuse_taken
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["fit", "recall"]

_PASSES = 3


def fit(
    da: xr.DataArray,
    model: str | FitModel | Callable[..., Any],
    *,
    dim: Hashable | Sequence[Hashable] | None = None,
    guess: str | Mapping[str, Any] | xr.Dataset = "auto",
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fixed: Mapping[str, Any] | Sequence[str] = (),
    tie: Mapping[str, str] | None = None,
    weights: Any = None,
    variance: Any = None,
    absolute_sigma: bool | None = None,
    loss: str = "linear",
    loss_scale: float | None = None,
    refine: str | None = None,
    at: Any = None,
    window: Any = None,
) -> xr.Dataset:
    """Fit a model along a dimension, at every point of the others at once.

    Parameters
    ----------
    da : DataArray
        Real or complex. NaNs take no part.
    model : str, FitModel or callable
        Names of models with ``+`` and ``*``: ``"gaussian + constant"``; they are listed in the documentation. If a
        parameter name occurs twice, its components are prefixed: ``gaussian1_center``. Or a formula of ``x``:
        ``"a * exp(-x / t) + b"``. Or a function ``f(x, a, b, ...)``, which a history cannot do again.
    dim : hashable or sequence of hashable, optional
        The spectral dimension by default. Two for a model of two axes: ``("y", "x")``.
    guess : "auto", mapping or Dataset
        Starting values by name, numbers or maps; those not named are estimated from the data. A Dataset of an
        earlier fit will do. A formula or function needs it for what is not linear.
    bounds : mapping, optional
        From parameter to (lower, upper); None is open. Widths are positive anyway. A start that is estimated is moved
        into them; where one that you gave lies outside, there is no fit, and the status says so.
    fixed : mapping or sequence of str
        Parameters that are held: at the value given, or at their guess.
    tie : mapping, optional
        Parameters that follow others: ``{"gaussian2_sigma": "gaussian1_sigma"}``, or a formula of them.
    weights : DataArray or array_like, optional
        1/σ: multiplies the residuals. A bare array has the shape of the data, or is one curve. Or:
    variance : DataArray or array_like, optional
        σ² of the values.
    absolute_sigma : bool, optional
        Whether weights are absolute; otherwise errors are scaled by the scatter. By default true if weights or
        variance are given.
    loss : {"linear", "soft_l1", "huber"}
        The sum of squares, or one in which outliers count less: see Notes.
    loss_scale : float, optional
        Where a residual is an outlier, in σ if there are weights, else in the units of the data. By default 1.345 σ,
        with the noise of every curve for σ.
    refine : "neighbours", optional
        Fit again, from the results of their neighbours, what failed, stopped at a bound, or stands out from them; and
        keep what fits better. Three times, so that what is good spreads by three points of the map.
    at : Dataset, DataArray, mapping or list, optional
        Positions, as `find_peaks` gives them: at each the model is fitted to what is near, and results have the
        dimension ``peak``. Or an array with that dimension, or a list for all points; for several dimensions, a mapping
        from each. The centre of a peak starts there, and stays in the window unless you say something of it.
    window : float, str, mapping or DataArray, optional
        Full width of what is fitted at a position, in the units of the coordinate. By default three times the ``fwhm``
        of the positions.

    Returns
    -------
    Dataset
        A map for every parameter, ``<name>_stderr``, ``redchi``, ``rsquared``, ``status`` (0 converged, see its
        ``flag_meanings``) and ``nfev``. Where a fit failed, parameters are NaN. Lazy if the input is. With `at` all
        have the dimension ``peak``, and status 8 says that there is none.

    Raises
    ------
    DimensionError
        If there is no spectral dimension.
    ModelError
        If the model, or the name of a parameter, is unknown, or a start is missing.

    Notes
    -----
    Levenberg–Marquardt with analytic derivatives [1]_, compiled if numba is installed and the map is large; linear
    models are solved at once. Curves that are fitted worse than their noise allows are tried again from other starts.
    Errors are the square roots of the diagonal of the inverse normal matrix. The loss ``huber`` grows with the square
    of a residual up to `loss_scale` and linearly beyond, ``soft_l1`` goes smoothly from one to the other.

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
    whole = model_of(model)
    along = dims_along(da, dim if at is None else dims_of_places(da, at, whole, dim), whole)
    _check_data(da, along)
    check_options(loss, loss_scale, refine)
    chosen, ties = (whole, None) if not tie else tied(whole, tie)
    check_names(chosen, bounds or {}, "bounds")
    check_names(chosen, held := held_by(fixed), "fixed")
    places = _places(da, along, at, window, refine)
    peaks: dict[Hashable, int] = {} if places is None else {PEAK: places.centers[0].sizes[PEAK]}
    start = start_of(chosen, guess, held, da, along, peaks)
    check_start(chosen, start)
    refuse_taken(da, [*_variables(whole, da, along), *peaks])
    noise = _noise(da, along, weights=weights, variance=variance)
    maps = {k: v for k, v in start.items() if isinstance(v, xr.DataArray)}
    job: dict[str, Any] = {
        "model": chosen,
        "ties": ties,
        "noise": next(iter(noise), None),
        "maps": tuple(maps),
        "numbers": {k: float(v) for k, v in start.items() if k not in maps},
        "fixed": tuple(p in held for p in chosen.names),
        "limits": bounds_of(chosen, bounds or {}),
    }
    options: dict[str, Any] = {"absolute_sigma": absolute_sigma, "loss": loss, "loss_scale": loss_scale}
    arrays = [da, *noise.values(), *maps.values()]
    said_of = {*(bounds or {}), *start, *held}
    results = _results(arrays, along, places, _PASSES if refine else 0, said_of, **job, **options)
    ds = _dataset(results, whole, ties, da, along, weighted=bool(noise), places=places)
    ds.attrs = {FIT_MODEL: model if isinstance(model, str) else whole.name, **about(da, along)}
    said = _said(
        start,
        held,
        list(maps),
        bounds={k: list(v) for k, v in (bounds or {}).items()},
        tie=dict(tie or {}),
        sigma=job["noise"],
        refine=refine,
        **options | {"loss": None if loss == "linear" else loss},
        **({} if places is None else places.said),
    )
    inputs = [*arrays, *(() if places is None else places.inputs)]
    return provenance.stamp(ds, "fit", *inputs, model=model, dim=plain(along), **said)


def _results(
    arrays: Sequence[xr.DataArray],
    along: Sequence[Hashable],
    places: Places | None,
    passes: int,
    said: set[str],
    **job: Any,
) -> tuple[xr.DataArray, ...]:
    """Fit whole curves, or windows of them."""
    if places is None:
        return fit_curves(arrays, along, passes=passes, **job)
    return fit_windows(arrays, along, places, said=said, **job)


def _places(da: xr.DataArray, along: Sequence[Hashable], at: Any, window: Any, refine: str | None) -> Places | None:
    """Return where to fit, if not everywhere."""
    if at is None:
        if window is not None:
            raise ModelError(
                "window is the width of what is fitted at positions. Pass these, too: at=da.sid.find_peaks()"
            )
        return None
    if refine is not None:
        raise ModelError(
            "refine='neighbours' compares the same peak at neighbouring points, and nobody knows which that is: "
            "leave it out with at=..."
        )
    if (own := arrays_of(da.variable._data)) is not NUMPY:
        raise ModelError(f"fits at positions take arrays of NumPy, got one of {own.library}. Type: da.as_numpy()")
    return places_of(da, along, at, window)


def _noise(da: xr.DataArray, along: Sequence[Hashable], **given: Any) -> dict[str, xr.DataArray]:
    """Return weights or a variance by name, if there are any."""
    noise = {name: noise_along(value, along, da, name) for name, value in given.items() if value is not None}
    if len(noise) > 1:
        raise ModelError("weights and variance say the same thing: give one of them")
    return noise


def _check_data(da: xr.DataArray, along: Sequence[Hashable]) -> None:
    if numpy_dtype(da.dtype).kind not in "biufc":
        raise ModelError(f"a fit needs numbers, {da.name!r} is {da.dtype}")
    for d in along:
        if not da.sizes[d]:
            raise DimensionError(f"{d!r} has no point: there is nothing to fit")


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `fit` that recorded these parameters: weights and maps are inputs."""
    rest, arrays = dict(params), list(inputs[1:])
    sigma, held = rest.pop("sigma", None), rest.get("fixed", {})
    if sigma is not None:
        rest[sigma] = arrays.pop(0)
    if "at" in rest:
        recalled(rest, arrays)
    maps = dict(zip(rest.pop("maps", []), arrays, strict=True))
    guess = {**rest.pop("guess", {}), **{k: v for k, v in maps.items() if k not in held}}
    if held:
        rest["fixed"] = {k: maps.get(k, v) for k, v in held.items()}
    if guess:
        rest["guess"] = guess
    return (inputs[0], rest.pop("model")), rest


def _said(start: Mapping[str, Any], held: Mapping[str, Any], maps: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return what is recorded, if there is something to say; starting values that are maps are inputs, by name."""
    said = {
        "guess": {k: v for k, v in start.items() if k not in held and k not in maps},
        "maps": list(maps),
        "fixed": {k: None if k in maps else start.get(k) for k in held},
        **more,
    }
    return {k: v for k, v in said.items() if v is not None and v not in ({}, [])}


def _variables(model: FitModel, da: xr.DataArray, along: Sequence[Hashable]) -> list[str]:
    """Return names of results, less those of dimensions and coordinates that are fitted: these go."""
    gone = {*along, *(name for name, coord in da.coords.items() if set(coord.dims) & set(along))}
    found = [*model.names, *(f"{p}_stderr" for p in model.names), "redchi", "rsquared", "status", "nfev"]
    return [name for name in found if name not in gone]


def _dataset(
    results: tuple[xr.DataArray, ...],
    model: FitModel,
    ties: Ties | None,
    da: xr.DataArray,
    dims: Sequence[Hashable],
    *,
    weighted: bool,
    places: Places | None,
) -> xr.Dataset:
    n = len(model.names)
    order = model.names if ties is None else (*ties.free, *(name for name, _ in ties.ways))
    values, errors = dict(zip(order, results[:n], strict=True)), dict(zip(order, results[n : 2 * n], strict=True))
    ds = xr.Dataset(coords=results[0].coords)

    def put(name: str, found: xr.DataArray, **attrs: Any) -> None:
        # Without the coordinates, which it has already: xarray would compare them, and takes levels of an index apart.
        ds[name] = found.assign_attrs(attrs).variable

    for param in model.params:
        unit = unit_of(param, da, dims[0])
        label = param.name.replace("_", " ")
        error = f"{param.name}_stderr"
        put(param.name, values[param.name], **{names.LONG_NAME: label, **unit, names.ANCILLARY: error})
        put(error, errors[param.name], **{names.LONG_NAME: f"standard error of {label}", **unit})
    redchi, rsquared, status, nfev = results[2 * n :]
    square = "1" if weighted else units.power(units_of(da), 2)
    put("redchi", redchi, **{names.LONG_NAME: "reduced χ²", names.UNITS: square})
    put("rsquared", rsquared, **{names.LONG_NAME: "coefficient of determination", names.UNITS: "1"})
    put("status", status, **flags(lsq.STATUS if places is None else {**lsq.STATUS, NO_PEAK: "no_peak"}, "fit"))
    put("nfev", nfev, **{names.LONG_NAME: "iterations", names.UNITS: "1"})
    if places is not None:
        ds = ds.assign_coords({PEAK: places.index})
    # One order of dimensions for all: maps of starting values may have put theirs first.
    return ds.transpose(*(d for d in da.dims if d not in dims), ...)
