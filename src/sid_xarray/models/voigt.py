"""The Voigt peak: a Lorentzian seen with a Gaussian resolution."""

from __future__ import annotations

from sid_xarray.models._guess import PeakGuess
from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._profile import Profile

__all__ = ["MODEL"]

# Of sigma and gamma in the ratio below, the window that sees it best is 4.2 sigma wide and holds a mean of 0.72.
_PROFILE = Profile("sigma", window=4.2, mean=0.72, scaled=(("gamma", 0.7),))
_SIZE = "(sigma * sqrt(2))"

MODEL = FitModel.of(
    "voigt",
    f"height * voigt((x - center) / {_SIZE}, gamma / {_SIZE}) / voigt(0, gamma / {_SIZE})",
    PeakGuess(_PROFILE, ("height", "center", "sigma", "gamma")),
    (
        Param("height", units="y"),
        Param("center", units="x"),
        Param("sigma", units="x", lower=0.0),
        Param("gamma", units="x", lower=0.0),
    ),
    reference="https://dlmf.nist.gov/7.19",
    formula=r"h \frac{\operatorname{Re} w(z)}{\operatorname{Re} w(i\gamma/\sqrt2\sigma)},"
    r"\; z = \frac{x - c + i\gamma}{\sqrt2\sigma}",
    peak=True,
)
