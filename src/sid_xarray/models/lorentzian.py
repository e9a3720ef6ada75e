"""The resonance peak (Cauchy, Breit-Wigner)."""

from __future__ import annotations

from sid_xarray.models._guess import PeakGuess
from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._profile import Profile

__all__ = ["MODEL"]

# The window that sees a Lorentzian best is 2.78 gamma wide and holds a mean of 0.68 of the height.
_PROFILE = Profile("gamma", window=2.78, mean=0.68)
_PARAMS = (Param("height", units="y"), Param("center", units="x"), Param("gamma", units="x", lower=0.0))


MODEL = FitModel.of(
    "lorentzian",
    "height / (1 + ((x - center) / gamma)**2)",
    PeakGuess(_PROFILE, ("height", "center", "gamma")),
    _PARAMS,
    reference="https://doi.org/10.1103/PhysRev.49.519",
    formula=r"\frac{h}{1 + (x - c)^2 / \gamma^2}",
    peak=True,
)
