"""Remove the background below a signal."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import kind_of, one_dim, units_of, values_of
from sid_xarray.core.lift import Out, bare, float_dtype, lift
from sid_xarray.errors import DimensionError, ModelError, nearest
from sid_xarray.kernels import background as kernels
from sid_xarray.ops._results import flags, refuse_taken
from sid_xarray.ops._windows import inside
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["remove_background"]

_MODELS = ("power_law", "polynomial", "offset")


def remove_background(
    da: xr.DataArray,
    model: str = "power_law",
    *,
    fit_range: Any = None,
    dim: Hashable | None = None,
    degree: int = 1,
) -> xr.Dataset:
    """Fit a background where there is no signal, and subtract it.

    Parameters
    ----------
    da : DataArray
    model : {"power_law", "polynomial", "offset"}, default: "power_law"
        ``height * x**-exponent``, as below EELS edges; a polynomial of `degree`; a constant.
    fit_range : pair or list of pairs, optional
        Where to fit, both ends included, in units of the coordinate or as text: ``(420, 450)``,
        ``("0.42 keV", "0.45 keV")``, ``[(0, 1), (9, 10)]`` for a baseline on both sides. Everything by default.
    dim : hashable, optional
        The spectral dimension by default.
    degree : int, default: 1
        Of the polynomial.

    Returns
    -------
    Dataset
        ``signal`` and ``background``, like `da`; the parameters ``height, exponent``, or ``c0, c1, …`` (in
        powers of the coordinate), without `dim`; ``status``, 0 where the fit holds. Where it failed, all are NaN; so
        is a power law where the coordinate is not positive. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no spectral dimension, or too little of it in `fit_range`.
    ModelError
        If there is no such model.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.edge_map()
    >>> result = cube.sid.remove_background("power_law", fit_range=(200, 280))
    >>> bool(abs(result.exponent.mean() - 3) < 0.1)
    True
    """
    if model not in _MODELS:
        raise ModelError(f"no background {model!r}.{nearest(str(model), _MODELS)}")
    if kind_of(da) not in "biuf":
        raise DimensionError(
            f"a background is fitted to real numbers, {da.name!r} is {da.dtype}. Take .real or abs() first."
        )
    along = one_dim(da, dim, kind="spectral")
    if not isinstance(degree, Real) or degree != degree // 1 or degree < 0:
        raise ModelError(f"degree should be a whole number, 0 or more, got {degree!r}")
    degree = {"polynomial": int(degree), "offset": 0}.get(model, 1)
    kernel, parameters = _kernel(model, degree)
    refuse_taken(da, (*parameters, "signal", "background", "status"))
    mask = _where(da, along, fit_range, model, degree)
    dtype = float_dtype(da)
    maps = [Out((), {}, float) for _ in parameters]
    coords = xr.DataArray(values_of(da, along), dims=(along,))
    fitted = lift(
        kernel,
        da,
        coords,
        core=[[along], [along]],
        out=[Out((along,), {}, dtype), *maps, Out((), {}, np.int8)],
        inside=mask,
        **({} if model == "power_law" else {"degree": degree}),
    )
    background = fitted[0].transpose(*da.dims)
    signal = (da.astype(dtype, copy=False) - background).drop_encoding()
    ds = xr.Dataset({"signal": _like(signal, da), "background": _like(background, da, "background")})
    for name, found in zip(parameters, fitted[1:-1], strict=True):
        ds[name] = found.assign_attrs({names.LONG_NAME: name, names.UNITS: _units(da, along, name)}).variable
    ds["status"] = fitted[-1].assign_attrs(flags(kernels.STATUS, "background fit")).variable
    params: dict[str, Any] = {"model": model, "fit_range": fit_range, "dim": str(along)}
    if model == "polynomial":
        params["degree"] = degree
    return provenance.stamp(ds, "remove_background", da, **params)


def _where(da: xr.DataArray, dim: Hashable, fit_range: Any, model: str, degree: int) -> np.ndarray:
    """Return which points the fit sees; too few are an error."""
    x = values_of(da, dim)
    mask = np.isfinite(x) if fit_range is None else inside(da, dim, fit_range)
    kind, sign, needed = model, "", degree + 1
    if model == "power_law":
        mask, sign, needed = mask & (x > 0), " with a positive position", 3
    elif model == "polynomial":
        kind = f"polynomial of degree {degree}"
    if mask.sum() < needed:
        place = "the axis" if fit_range is None else f"fit_range {fit_range!r}"
        raise DimensionError(f"{place} holds {mask.sum()} point(s) of {dim!r}{sign}, a {kind} needs {needed}")
    return mask


def _kernel(model: str, degree: int) -> tuple[Callable[..., Any], list[str]]:
    if model == "power_law":
        return _power_law, ["height", "exponent"]
    names_ = ["offset"] if model == "offset" else [f"c{k}" for k in range(degree + 1)]
    return _polynomial, names_


# `lift` hands coordinates over as arrays of their own; kernels take them by position.
def _power_law(y: Any, x: Any, *, inside: Any) -> Any:
    return kernels.power_law_background(y, x, inside=inside)


def _polynomial(y: Any, x: Any, *, inside: Any, degree: int) -> Any:
    return kernels.polynomial_background(y, x, inside=inside, degree=degree)


def _like(out: xr.DataArray, da: xr.DataArray, quantity: str | None = None) -> xr.DataArray:
    attrs = {**da.attrs, names.UNITS: units_of(da)}
    if quantity is not None:
        said = da.attrs.get(names.LONG_NAME)
        attrs[names.LONG_NAME] = f"{quantity} of {said}" if said else quantity
    return bare(out).assign_attrs(attrs)


def _units(da: xr.DataArray, dim: Hashable, name: str) -> str:
    if name == "exponent":
        return "1"
    power = int(name[1:]) if name[:1] == "c" and name[1:].isdigit() else 0
    return units.divide(units_of(da), units.power(units_of(da, dim), power)) if power else units_of(da)
