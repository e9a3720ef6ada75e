"""Our engine for a benchmark of fits that lets others join: ``register(workload, engine=engines)``.

The engines are called as ``engine(model, x, curves, arguments)``, with complex curves as their real parts and then
their imaginary parts, and give one row of parameters a curve. All costs are counted: starts, labels, units, history.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import sid_xarray as sid
from sid_xarray.models.compose import parse

__all__ = ["register"]

MODELS = {
    "gauss": "gaussian + constant",
    "lorentz": "lorentzian + constant",
    "sho": "sho",
    "gauss2": "gaussian + gaussian + linear",
    "loop": "loop",
}
# The same as formulas, as users write them; starts come from the named model.
FORMULAS = {
    "gauss": ("a * exp(-((x - c) / s)**2 / 2) + o", "a c s o"),
    "sho": ("a * exp(1j * p) * f**2 / (x**2 - 1j * x * f / q - f**2)", "a f q p"),
    "gauss2": (
        "a * exp(-((x - c) / s)**2 / 2) + b * exp(-((x - d) / t)**2 / 2) + k * x + o",
        "a c s b d t k o",
    ),
}
# Where their order of parameters is another.
ORDER = {"gauss2": [0, 1, 2, 3, 4, 5, 7, 6]}


def register(workload: str, **registry: Any) -> None:
    """Add the engines ``sid_xarray``, ``sid_xarray_numpy`` and ``sid_xarray_formula``."""
    if workload != "w1":
        return
    engines = registry["engine"]
    engines["sid_xarray"] = lambda model, x, y, args: _fit(model, x, y, args, engine="numba")
    engines["sid_xarray_numpy"] = lambda model, x, y, args: _fit(model, x, y, args, engine="numpy")
    engines["sid_xarray_formula"] = _fit_formula


def _array(model: Any, x: np.ndarray, y: np.ndarray) -> xr.DataArray:
    n = x.size
    values = y[:, :n] + 1j * y[:, n:] if model.complex else y
    side = int(np.sqrt(len(values)))
    shape = (side, side) if side * side == len(values) else (1, len(values))
    dims = ("y", "x", "bias")
    return xr.DataArray(values.reshape(*shape, n), dims=dims, coords={"bias": ("bias", x, {"units": "V"})})


def _fit(model: Any, x: np.ndarray, y: np.ndarray, args: Any, *, engine: str) -> np.ndarray:
    text = MODELS[model.name]
    order = ORDER.get(model.name, list(range(model.n)))
    names = parse(text).names
    ends = zip(names, model.lb[order], model.ub[order], strict=True)
    bounds = {name: (low, high) for name, low, high in ends} if args.bounds else None
    with sid.set_options(fit_engine=engine):
        fit = _array(model, x, y).sid.fit(text, dim="bias", bounds=bounds)
    return np.stack([fit[names[k]].values.ravel() for k in order], axis=1)


def _fit_formula(model: Any, x: np.ndarray, y: np.ndarray, args: Any) -> np.ndarray:
    text, names = FORMULAS[model.name]
    start = model.guess(x, y)
    da = _array(model, x, y)
    order = ORDER.get(model.name, list(range(len(names.split()))))
    guess = {name: start[:, k].reshape(da.shape[:2]) for name, k in zip(names.split(), order, strict=True)}
    with sid.set_options(fit_engine="numba"):
        fit = da.sid.fit(text, dim="bias", guess=guess)
    return np.stack([fit[name].values.ravel() for name in names.split()], axis=1)[:, np.argsort(order)]
