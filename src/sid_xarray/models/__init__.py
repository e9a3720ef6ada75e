"""Fit models, one file each. A new one is a file with ``MODEL`` and a row in `TABLE`."""

from __future__ import annotations

import importlib

from sid_xarray.errors import ModelError, nearest
from sid_xarray.models._model import FitModel, Param, Term

__all__ = ["TABLE", "FitModel", "Param", "Term", "load"]

TABLE: dict[str, str] = {
    "constant": "sid_xarray.models.constant:MODEL",
    "exponential": "sid_xarray.models.exponential:MODEL",
    "gaussian": "sid_xarray.models.gaussian:MODEL",
    "linear": "sid_xarray.models.linear:MODEL",
    "lorentzian": "sid_xarray.models.lorentzian:MODEL",
    "loop": "sid_xarray.models.loop:MODEL",
    "power_law": "sid_xarray.models.power_law:MODEL",
    "sho": "sid_xarray.models.sho:MODEL",
}


def load(name: str) -> FitModel:
    """Return the model of a name.

    Parameters
    ----------
    name : str
        A key of `TABLE`.

    Returns
    -------
    FitModel

    Raises
    ------
    ModelError
        If there is no such model.
    """
    if name not in TABLE:
        raise ModelError(f"there is no fit model {name!r}.{nearest(name, TABLE)}")
    module, _, attribute = TABLE[name].partition(":")
    model = getattr(importlib.import_module(module), attribute)
    assert isinstance(model, FitModel)
    return model
