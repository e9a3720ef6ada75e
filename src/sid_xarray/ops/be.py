"""Band excitation: resonances along the frequency, loops along the bias."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import one_dim, units_of, values_of
from sid_xarray.core.evaluate import FIT_MODEL
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError
from sid_xarray.kernels.loops import project
from sid_xarray.models import FitModel, load
from sid_xarray.ops._fit_args import about, unit_of
from sid_xarray.ops._results import refuse_taken
from sid_xarray.ops.fit import fit
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["loop_fit", "loop_guess", "project_loops", "sho_fit", "sho_guess"]

# Widths less than this part of a step of the bias cannot be told from each other.
_SHARPEST = 0.2


def sho_fit(da: xr.DataArray, *, dim: Hashable | None = None, **options: Any) -> xr.Dataset:
    """Fit the complex response of an oscillator at every point: ``da.sid.fit("sho")``.

    Parameters
    ----------
    da : DataArray of complex
        Response along the frequency.
    dim : hashable, optional
        The frequency; the spectral dimension by default.
    **options
        Of `fit`.

    Returns
    -------
    Dataset
        ``amplitude``, ``frequency``, ``q`` and ``phase`` with their errors, and the rest that `fit` gives.

    Raises
    ------
    DimensionError
        If the data are not complex, or there is no such dimension.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> fit = sid.datasets.beps().sid.be.sho_fit(dim="frequency")
    >>> fit.frequency.dims, fit.frequency.units
    (('y', 'x', 'bias'), 'kHz')
    """
    if da.dtype.kind != "c":
        raise DimensionError(f"the response of an oscillator is complex, {da.name!r} is {da.dtype}")
    return fit(da, "sho", dim=dim, **options)


def sho_guess(da: xr.DataArray, *, dim: Hashable | None = None) -> xr.Dataset:
    """Estimate the response of an oscillator at every point, by linear least squares: where `sho_fit` starts.

    Parameters
    ----------
    da : DataArray of complex
        Response along the frequency.
    dim : hashable, optional
        The frequency; the spectral dimension by default.

    Returns
    -------
    Dataset
        ``amplitude``, ``frequency``, ``q`` and ``phase``, without errors. Evaluate it, or fit with ``guess=`` it.

    Raises
    ------
    DimensionError
        If the data are not complex, or there is no such dimension.

    Notes
    -----
    The response times its denominator is linear in what is looked for [1]_; errors are weighted by the denominator that
    was found before [2]_.

    References
    ----------
    .. [1] E. C. Levy, IRE Trans. Automat. Control AC-4, 37 (1959). :doi:`10.1109/TAC.1959.6429401`
    .. [2] C. K. Sanathanan and J. Koerner, IEEE Trans. Automat. Control 8, 56 (1963). :doi:`10.1109/TAC.1963.1105517`

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.beps()
    >>> da.sid.be.sho_guess(dim="frequency").frequency.units
    'kHz'
    """
    if da.dtype.kind != "c":
        raise DimensionError(f"the response of an oscillator is complex, {da.name!r} is {da.dtype}")
    return _guessed(da, "sho", dim)


def loop_guess(da: xr.DataArray, *, dim: Hashable | None = None) -> xr.Dataset:
    """Estimate the parameters of ferroelectric loops, from levels and areas: where `loop_fit` starts.

    Parameters
    ----------
    da : DataArray
        Loops along the bias.
    dim : hashable, optional
        The bias; the spectral dimension by default.

    Returns
    -------
    Dataset
        ``a0`` … ``a4``, ``b0`` … ``b3``, without errors. Evaluate it, or fit with ``guess=`` it.

    Raises
    ------
    DimensionError
        If there is no such dimension.
    """
    return _guessed(da, "loop", dim)


def _guessed(da: xr.DataArray, name: str, dim: Hashable | None) -> xr.Dataset:
    """Return the first start of a model, as `fit` would return parameters."""
    model, along = load(name), one_dim(da, dim, kind="spectral")
    refuse_taken(da, [p for p in model.names if p != along])
    x = values_of(da, along)
    kinds = [Out((), {}, float) for _ in model.names]
    found = lift(_first_start, da, core=[[along]], out=kinds, x=x, model=model)
    ds = xr.Dataset()
    for param, values in zip(model.params, found, strict=True):
        label = param.name.replace("_", " ")
        ds[param.name] = values.assign_attrs({names.LONG_NAME: label, **unit_of(param, da, along)})
    ds.attrs = {FIT_MODEL: name, **about(da, (along,))}
    return provenance.stamp(ds, f"{name}_guess", da, dim=str(along))


def _first_start(y: np.ndarray, *, x: np.ndarray, model: FitModel) -> tuple[np.ndarray, ...]:
    use = np.isfinite(x)
    y = np.where(np.isfinite(y), y, np.nan)
    return tuple(np.moveaxis(model.guess(x[use], y[..., use]), -1, 0))


def loop_fit(
    da: xr.DataArray,
    *,
    dim: Hashable | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Fit ferroelectric loops: ``da.sid.fit("loop")`` with bounds that the bias sets.

    Parameters
    ----------
    da : DataArray
        Loops along the bias, as `project_loops` gives them.
    dim : hashable, optional
        The bias; the spectral dimension by default.
    bounds : mapping, optional
        As for `fit`. By default switching lies within the axis, and widths between a fifth of a step of the bias and
        the whole axis: a sharper step is no sharper to the data.
    **options
        Of `fit`, such as ``loss="soft_l1"`` against outliers.

    Returns
    -------
    Dataset
        ``a0`` … ``a4``, ``b0`` … ``b3`` with their errors, and the rest that `fit` gives. The loop switches at ``a2``
        with falling bias, at ``a3`` with rising bias.

    Raises
    ------
    DimensionError
        If there is no such dimension.
    """
    along = one_dim(da, dim, kind="spectral")
    bias = values_of(da, along)
    chosen: dict[str, tuple[float | None, float | None]] = {}
    steps = np.abs(np.diff(bias))
    if np.any(steps > 0):
        least, span = _SHARPEST * float(np.median(steps[steps > 0])), float(np.ptp(bias))
        chosen = dict.fromkeys(("a2", "a3"), (float(bias.min()), float(bias.max())))
        chosen |= dict.fromkeys(("b0", "b1", "b2", "b3"), (least, span))
    given = options.get("guess")
    if isinstance(given, xr.Dataset | Mapping) and (found := _named(given)):
        # What the bias excludes, and not the user, is moved there: a width of 0 is a fifth of a step.
        mine = {name: ends for name, ends in chosen.items() if name not in (bounds or {})}
        options["guess"] = {name: _within(given[name], mine.get(name)) for name in found}
    return fit(da, "loop", dim=along, bounds={**chosen, **(bounds or {})}, **options)


def _named(given: xr.Dataset | Mapping[str, Any]) -> list[str]:
    """Return what is given of a start; of a Dataset, the parameters."""
    known = load("loop").names
    found = [name for name in given if name in known] if isinstance(given, xr.Dataset) else list(given)
    return [str(name) for name in found]


def _within(value: Any, ends: tuple[Any, Any] | None) -> Any:
    """Return starting values within bounds; the same object if they are."""
    if ends is None or isinstance(value, str) or value is None:
        return value
    if isinstance(value, xr.DataArray):
        inside = not is_lazy(value) and not bool(((value < ends[0]) | (value > ends[1])).any())
        return value if inside else value.clip(*ends)
    return np.clip(value, *ends)


def project_loops(obj: xr.DataArray | xr.Dataset, *, dim: Hashable | None = None) -> xr.Dataset:
    """Turn loops of a complex response onto the real axis, whatever the phase of the instrument is.

    Parameters
    ----------
    obj : DataArray of complex, or Dataset
        The response; or a Dataset with ``amplitude`` and ``phase``, as `sho_fit` gives it.
    dim : hashable, optional
        The bias; the spectral dimension by default.

    Returns
    -------
    Dataset
        ``loop``, real, in the units of the response; it grows with the bias on the whole. ``rotation``, the angle in
        rad that every loop was turned back by. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no complex response, or no such dimension.
    UnitsError
        If the phase is no angle.

    Notes
    -----
    A loop lies on a line in the complex plane. The angle of the line is half of that of the sum of the squared
    deviations from the mean: no search, exact for any phase.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> fit = sid.datasets.beps().sid.be.sho_fit(dim="frequency")
    >>> fit.sid.be.project_loops(dim="bias").loop.dims
    ('y', 'x', 'bias')
    """
    source, response = _response(obj) if isinstance(obj, xr.Dataset) else (obj, obj)
    if response.dtype.kind != "c":
        raise DimensionError(f"loops of a complex response are projected, {response.name!r} is {response.dtype}")
    along = one_dim(response, dim, kind="spectral")
    made = [Out((along,), {}, float), Out((), {}, float)]
    real, angle = lift(project, response, core=[[along]], out=made, x=values_of(response, along))
    out = xr.Dataset()
    unit = units_of(response)
    out["loop"] = real.transpose(*response.dims).assign_attrs({names.LONG_NAME: "response", names.UNITS: unit})
    out["rotation"] = angle.assign_attrs({names.LONG_NAME: "rotation", names.UNITS: "rad"})
    return provenance.stamp(out, "project_loops", source, dim=str(along))


def _response(ds: xr.Dataset) -> tuple[xr.Dataset, xr.DataArray]:
    """Return what a complex response is made of, and the response."""
    missing = [name for name in ("amplitude", "phase") if name not in ds]
    if missing:
        raise DimensionError(f"the Dataset has no {missing[0]!r}: it is {list(ds)}, wanted what sho_fit gives")
    amplitude, phase = ds["amplitude"], ds["phase"]
    angle = units_of(phase)
    # Without units an angle is in radians.
    in_rad = 1.0 if angle == "1" else units.convert_factor(angle, "rad")
    response = amplitude * np.exp(1j * in_rad * phase)
    return ds[["amplitude", "phase"]], response.assign_attrs({names.UNITS: units_of(amplitude)})
