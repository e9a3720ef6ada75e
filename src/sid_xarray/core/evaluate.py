"""Models at work: read from text, evaluated from the parameters that a fit found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import units_of, values_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.core.registry import MODELS
from sid_xarray.errors import ModelError, ProvenanceError, RegistryError
from sid_xarray.models import FitModel
from sid_xarray.models._given import from_function, from_lmfit, is_lmfit
from sid_xarray.models.compose import parse
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = [
    "FIT_DIM",
    "FIT_DIM_UNITS",
    "FIT_MODEL",
    "FIT_UNITS",
    "Fitted",
    "Positions",
    "axis_order",
    "curve",
    "evaluate",
    "fitted",
    "model_of",
    "on_grid",
    "positions",
    "read_model",
    "recall",
]

FIT_MODEL, FIT_DIM, FIT_UNITS = "sid_model", "sid_model_dim", "sid_model_units"
_MOST_POINTS = 10**8  # that a history may ask for
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
    if is_lmfit(model):
        return from_lmfit(model)
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
        others; those are converted. For a fit along several dimensions, an array that has them, or a mapping.
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
    found = fitted(ds, model)
    where = positions(ds, x, found.dims)
    out = curve(ds, found.model, where)
    out = out.assign_attrs({names.LONG_NAME: ds.attrs[FIT_MODEL], names.UNITS: found.units})
    return provenance.stamp(out.rename("model"), "evaluate", found.parameters, **where.said, **found.said)


@dataclass(frozen=True)
class Fitted:
    """What a Dataset says of the fit that made it.

    Parameters
    ----------
    model : FitModel
    dims : tuple of str
        That were fitted.
    units : str
        Of the data.
    parameters : Dataset
        What curves are made of, and so their origin; not the uncertainties beside it.
    said : mapping
        What is recorded of the model: nothing, if the Dataset names it.
    """

    model: FitModel
    dims: tuple[str, ...]
    units: str
    parameters: xr.Dataset
    said: dict[str, Any]


def fitted(ds: xr.Dataset, model: str | FitModel | Callable[..., Any] | None) -> Fitted:
    """Return what was fitted.

    Raises
    ------
    ModelError
        If the Dataset is no result of a fit.
    """
    text, dim = ds.attrs.get(FIT_MODEL), ds.attrs.get(FIT_DIM)
    dims = (dim,) if isinstance(dim, str) else tuple(map(str, np.atleast_1d(dim))) if dim is not None else ()
    if not isinstance(text, str) or not dims:
        raise ModelError(
            "this Dataset does not say which model was fitted. Type: fit = da.sid.fit('gaussian + constant')"
        )
    chosen = model_of(text if model is None else model)
    missing = [p for p in chosen.names if p not in ds]
    if missing:
        raise ModelError(f"the Dataset lacks {', '.join(missing)}, which {text!r} needs")
    said = {} if model is None else {"model": model}
    return Fitted(chosen, dims, str(ds.attrs.get(FIT_UNITS, "1")), ds[list(chosen.names)], said)


@dataclass(frozen=True)
class Positions:
    """Where to evaluate a model.

    Parameters
    ----------
    coords : mapping
        From dimension to coordinate.
    values : ndarray, shape (n,) or (axes, n)
        In the units of the fit, as models take them.
    said : mapping
        What is recorded of them.
    """

    coords: Mapping[str, xr.Variable]
    values: np.ndarray
    said: dict[str, Any]


def positions(ds: xr.Dataset, x: Any, dims: Sequence[str]) -> Positions:
    """Return positions as they were given for the dimensions of a fit.

    Raises
    ------
    ModelError
        If `x` is no list of positions; or, for several dimensions, lacks one.
    """
    unit = ds.attrs.get(FIT_DIM_UNITS)
    if len(dims) == 1:
        where = _positions(x, dims[0])
        at = _in_units_of_fit(where, dims[0], unit)
        said: dict[str, Any] = {"x": _recorded(where)}
        if where.attrs.get(names.UNITS, unit) != unit:
            said[names.UNITS] = where.attrs[names.UNITS]
        rest = {k: v for k, v in where.attrs.items() if k != names.UNITS}
        said |= {"attrs": rest} if rest else {}
        if isinstance(unit, str) and where.dtype.kind != "m":
            where.attrs.setdefault(names.UNITS, unit)
        return Positions({dims[0]: where}, at, said)
    if not isinstance(x, Mapping | xr.DataArray | xr.Dataset):
        given = ", ".join(f"{d!r}: ..." for d in dims)
        raise ModelError(f"this fit has the axes {', '.join(dims)}: pass an array that has them, or {{{given}}}")
    coords = {}
    for d in dims:
        if d not in (x if isinstance(x, Mapping) else x.dims):
            raise ModelError(f"positions along {d!r} are missing")
        own = _positions(x[d], d)
        coords[d] = xr.Variable((d,), _in_units_of_fit(own, d, unit), {**own.attrs})
        if isinstance(unit, str):
            coords[d].attrs[names.UNITS] = unit
    said = {"x": {d: _recorded(v) for d, v in coords.items()}}
    return Positions(coords, on_grid([v.values for v in coords.values()], dims), said)


def axis_order(dims: Sequence[Hashable]) -> list[int]:
    """Return which dimension every axis of a model is, x first.

    The last dimension is x and the one before it y, as in an image, unless they are called so.
    """
    every = range(len(dims))
    return sorted(every, key=lambda i: str(dims[i])) if set(dims) == {"x", "y"} else list(reversed(every))


def on_grid(axes: Sequence[np.ndarray], dims: Sequence[Hashable]) -> np.ndarray:
    """Return positions on a grid, shape (axes, n), with the axis x of a model first; see `axis_order`."""
    grid = [a.ravel() for a in np.meshgrid(*axes, indexing="ij")]
    return np.stack([grid[i] for i in axis_order(dims)])


def curve(ds: xr.Dataset, model: FitModel, where: Positions, parameters: Sequence[str] = ()) -> xr.DataArray:
    """Return the values of a model, whose parameters may have other names in the Dataset."""
    arrays = [ds[p].astype(float) for p in parameters or model.names]
    dims = tuple(where.coords)
    sizes: dict[Hashable, int] = {d: v.size for d, v in where.coords.items()}
    (out,) = lift(
        _values,
        *arrays,
        core=[[] for _ in arrays],
        out=[Out(dims, sizes, float)],
        model=model,
        at=where.values,
        shape=tuple(sizes.values()),
    )
    # The positions themselves: in da.energy + 5 the coordinate is still that of da.energy.
    return out.transpose(*arrays[0].dims, *dims).assign_coords(dict(where.coords))


def recall(inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `evaluate` that recorded these parameters."""
    return (inputs[0], _where_of(params)), {k: v for k, v in params.items() if k == "model"}


def _where_of(params: Mapping[str, Any]) -> Any:
    """Return positions from what `Positions.said` recorded."""
    x, attrs = params["x"], dict(params.get("attrs", {}))
    if isinstance(x, Mapping) and "linspace" not in x:
        return {d: _given(v) for d, v in x.items()}
    if "units" in params:
        attrs[names.UNITS] = params["units"]
    where = _given(x)
    return xr.DataArray(where, dims=("x",), attrs=attrs) if attrs else where


def _given(x: Any) -> np.ndarray:
    if not isinstance(x, Mapping):
        return np.asarray(x)
    first, last, count = x["linspace"]
    if not 0 <= count <= _MOST_POINTS:
        raise ProvenanceError(f"it was evaluated at {count} points: the history was edited")
    return np.linspace(first, last, count)


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


def _in_units_of_fit(where: xr.Variable, dim: Hashable, wanted: Any) -> np.ndarray:
    """Return positions as numbers in the units of the axis that was fitted."""
    bare = xr.DataArray(np.zeros(where.size), dims=(dim,), coords={dim: where})
    values = values_of(bare, dim)
    timed = where.dtype.kind == "m"
    if isinstance(wanted, str) and (timed or names.UNITS in where.attrs):
        values = values * units.convert_factor(units_of(bare, dim), wanted)
    return values


def _values(*parameters: Any, model: FitModel, at: np.ndarray, shape: tuple[int, ...]) -> Any:
    # Parameters (...) get an axis for x; a single curve has none, and numpy scalars take it as well.
    columns = [np.asarray(p, dtype=float)[..., np.newaxis] for p in parameters]
    with np.errstate(all="ignore"):
        out = np.asarray(model.function(at, *columns))
    lead = np.broadcast_shapes(*(c.shape[:-1] for c in columns))
    return np.broadcast_to(out, (*lead, at.shape[-1])).reshape(*lead, *shape)
