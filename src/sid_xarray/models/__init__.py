"""Fit models, one file each. A new one is a file with ``MODEL`` and a row in `TABLE`."""

from __future__ import annotations

import importlib

from sid_xarray.errors import ModelError, nearest
from sid_xarray.models._model import FitModel, Param, Term

__all__ = ["TABLE", "FitModel", "Param", "Term", "load"]

TABLE: dict[str, str] = {
    "arctan_step": "sid_xarray.models.arctan_step:MODEL",
    "constant": "sid_xarray.models.constant:MODEL",
    "doniach": "sid_xarray.models.doniach:MODEL",
    "double_exponential": "sid_xarray.models.double_exponential:MODEL",
    "erf_step": "sid_xarray.models.erf_step:MODEL",
    "exponential": "sid_xarray.models.exponential:MODEL",
    "fano": "sid_xarray.models.fano:MODEL",
    "fermi_edge": "sid_xarray.models.fermi_edge:MODEL",
    "gaussian": "sid_xarray.models.gaussian:MODEL",
    "gaussian2d": "sid_xarray.models.gaussian2d:MODEL",
    "langevin": "sid_xarray.models.langevin:MODEL",
    "langmuir": "sid_xarray.models.langmuir:MODEL",
    "linear": "sid_xarray.models.linear:MODEL",
    "loop": "sid_xarray.models.loop:MODEL",
    "lorentzian": "sid_xarray.models.lorentzian:MODEL",
    "polynomial": "sid_xarray.models.polynomial:MODEL",
    "power_law": "sid_xarray.models.power_law:MODEL",
    "pseudo_voigt": "sid_xarray.models.pseudo_voigt:MODEL",
    "sho": "sid_xarray.models.sho:MODEL",
    "stretched_exponential": "sid_xarray.models.stretched_exponential:MODEL",
    "voigt": "sid_xarray.models.voigt:MODEL",
    **{f"polynomial{n}": f"sid_xarray.models.polynomial:DEGREE_{n}" for n in range(2, 10)},
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
