"""The normal peak."""

from __future__ import annotations

from sid_xarray.models._guess import PeakGuess
from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._profile import Profile

__all__ = ["MODEL"]

# The window that sees a Gaussian best is 2.8 sigma wide and holds a mean of 0.75 of the height.
_PROFILE = Profile("sigma", window=2.8, mean=0.75)
_PARAMS = (Param("height", units="y"), Param("center", units="x"), Param("sigma", units="x", lower=0.0))


MODEL = FitModel.of(
    "gaussian",
    "height * exp(-((x - center) / sigma)**2 / 2)",
    PeakGuess(_PROFILE, ("height", "center", "sigma")),
    _PARAMS,
    reference="https://dlmf.nist.gov/7.20.iii",
    formula=r"h \exp\left(-\frac{(x - c)^2}{2 \sigma^2}\right)",
    peak=True,
)
