"""Models at work: read from text, evaluated from the parameters that a fit found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import units_of, values_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.core.registry import MODELS
from sid_xarray.errors import ModelError, RegistryError
from sid_xarray.models import FitModel
from sid_xarray.models._given import from_function
from sid_xarray.models.compose import parse
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["FIT_DIM", "FIT_DIM_UNITS", "FIT_MODEL", "FIT_UNITS", "evaluate", "model_of", "read_model", "recall"]

FIT_MODEL, FIT_DIM, FIT_UNITS = "sid_model", "sid_model_dim", "sid_model_units"
FIT_DIM_UNITS = "sid_model_dim_units"


def read_model(text: str) -> FitModel:
    """Return the model of an expression such as ``"gaussian + constant"``; other packages may add models.

    Raises
    ------
    ModelError
        If it is no expression of known models.
    """
    if not isinstance(text, str):
        raise ModelError(f"a model is an expression such as 'gaussian + constant', got {type(text).__name__}")
    return parse(text, loader=_load)


def model_of(model: str | FitModel | Callable[..., Any]) -> FitModel:
    """Return the model that a text, a model or a function means.

    Raises
    ------
    ModelError
        If it is neither.
    """
    if isinstance(model, FitModel):
        return model
    return read_model(model) if isinstance(model, str) or not callable(model) else from_function(model)


def _load(name: str) -> FitModel:
    try:
        found = MODELS[name]
    except RegistryError as error:
        raise ModelError(str(error.args[0])) from None
    if not isinstance(found, FitModel):
        raise ModelError(f"the model {name!r} is a {type(found).__name__}, expected a FitModel")
    return found


def evaluate(
    ds: xr.Dataset, x: xr.DataArray | Any, *, model: str | FitModel | Callable[..., Any] | None = None
) -> xr.DataArray:
    """Values of the fitted model.

    Parameters
    ----------
    ds : Dataset
        From ``da.sid.fit(...)``.
    x : DataArray or array, shape (n,)
        Where to evaluate: ``da.energy``, or finer. In the units of the axis that was fitted, unless a DataArray says
        others; those are converted.
    model : str, FitModel or callable, optional
        What was fitted, where the Dataset cannot say it: a function, or a model that has no name here.

    Returns
    -------
    DataArray
        Over the dimensions of the maps and the one that was fitted; NaN where the fit failed. Lazy if the maps are.

    Raises
    ------
    ModelError
        If the Dataset is no result of a fit, or `x` is no list of positions.
    UnitsError
        If the units of `x` are of another kind than those of the axis.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> fit = da.sid.fit("gaussian + constant")
    >>> fit.sid.evaluate(da.energy).dims
    ('y', 'x', 'energy')
    """
    text, dim = ds.attrs.get(FIT_MODEL), ds.attrs.get(FIT_DIM)
    if not isinstance(text, str) or not isinstance(dim, str):
        raise ModelError(
            "this Dataset does not say which model was fitted. Type: fit = da.sid.fit('gaussian + constant')"
        )
    chosen = model_of(text if model is None else model)
    missing = [p for p in chosen.names if p not in ds]
    if missing:
        raise ModelError(f"the Dataset lacks {', '.join(missing)}, which {text!r} needs")
    where = _positions(x, dim)
    unit = ds.attrs.get(FIT_DIM_UNITS)
    at = _in_units_of_fit(where, dim, unit)
    said: dict[str, Any] = {names.UNITS: where.attrs[names.UNITS]} if where.attrs.get(names.UNITS, unit) != unit else {}
    said |= {} if model is None else {"model": model}
    rest = {k: v for k, v in where.attrs.items() if k != names.UNITS}
    said |= {"attrs": rest} if rest else {}
    if isinstance(unit, str) and where.dtype.kind != "m":
        where.attrs.setdefault(names.UNITS, unit)
    arrays = [ds[p].astype(float) for p in chosen.names]
    first = ds[chosen.names[0]]
    (out,) = lift(
        _values,
        at,
        *arrays,
        core=[[dim], *([] for _ in arrays)],
        out=[Out((dim,), {}, float)],
        model=chosen,
    )
    # The positions themselves: in da.energy + 5 the coordinate is still that of da.energy.
    out = out.transpose(*first.dims, dim).assign_coords({dim: where})
    out = out.assign_attrs({names.LONG_NAME: text, names.UNITS: str(ds.attrs.get(FIT_UNITS, "1"))}).rename("model")
    # Only what the curve is made of is its origin, not the uncertainties beside it.
    return provenance.stamp(out, "evaluate", ds[list(chosen.names)], x=_recorded(where), **said)


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `evaluate` that recorded these parameters."""
    x, attrs = params["x"], dict(params.get("attrs", {}))
    if "units" in params:
        attrs[names.UNITS] = params["units"]
    where = np.linspace(*x["linspace"]) if isinstance(x, Mapping) else np.asarray(x)
    return (inputs[0], xr.DataArray(where, dims=("x",), attrs=attrs) if attrs else where), {
        k: v for k, v in params.items() if k == "model"
    }


def _recorded(x: xr.Variable) -> Any:
    """Return positions as they are written into the history: short, where they are evenly spaced."""
    values = np.asarray(x.values)
    if (
        values.dtype == np.float64
        and values.size > 2
        and np.array_equal(np.linspace(values[0], values[-1], values.size), values)
    ):
        return {"linspace": [float(values[0]), float(values[-1]), values.size]}
    return values


def _positions(x: Any, dim: Hashable) -> xr.Variable:
    given = x.variable if isinstance(x, xr.DataArray) else xr.Variable((dim,) * np.ndim(x), x)
    if given.ndim != 1:
        raise ModelError(f"x should have one dimension, got shape {given.shape}. For one point give a list of one.")
    if given.dtype.kind not in "biufm":
        raise ModelError(f"x should be positions along {dim!r}, got {given.dtype}")
    return xr.Variable((dim,), given.values, dict(given.attrs))


def _in_units_of_fit(where: xr.Variable, dim: Hashable, wanted: Any) -> xr.DataArray:
    """Return positions as numbers in the units of the axis that was fitted."""
    bare = xr.DataArray(np.zeros(where.size), dims=(dim,), coords={dim: where})
    values = values_of(bare, dim)
    timed = where.dtype.kind == "m"
    if isinstance(wanted, str) and (timed or names.UNITS in where.attrs):
        values = values * units.convert_factor(units_of(bare, dim), wanted)
    return xr.DataArray(values, dims=(dim,))


def _values(x: Any, *parameters: Any, model: FitModel) -> Any:
    # Parameters (...) get an axis for x; a single curve has none, and numpy scalars take it as well.
    columns = [np.asarray(p, dtype=float)[..., np.newaxis] for p in parameters]
    with np.errstate(all="ignore"):
        out = np.asarray(model.function(x, *columns))
    shape = np.broadcast_shapes(x.shape, *(c.shape for c in columns))
    return np.broadcast_to(out, shape)
