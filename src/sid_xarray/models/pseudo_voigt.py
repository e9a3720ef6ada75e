"""A Gaussian and a Lorentzian of the same width, mixed: nearly a Voigt peak."""

from __future__ import annotations

from sid_xarray.models._guess import PeakGuess
from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._profile import Profile

__all__ = ["MODEL"]

# Half and half, the window that sees it best is 2.5 gamma wide and holds a mean of 0.72 of the height.
_PROFILE = Profile("gamma", window=2.5, mean=0.72, others=(("fraction", 0.5),))
_SQUARE = "((x - center) / gamma)**2"

MODEL = FitModel.of(
    "pseudo_voigt",
    f"height * (fraction / (1 + {_SQUARE}) + (1 - fraction) * exp(-0.6931471805599453 * {_SQUARE}))",
    PeakGuess(_PROFILE, ("height", "center", "gamma", "fraction")),
    (
        Param("height", units="y"),
        Param("center", units="x"),
        Param("gamma", units="x", lower=0.0),
        Param("fraction", lower=0.0, upper=1.0),
    ),
    reference="G. K. Wertheim et al., Rev. Sci. Instrum. 45, 1369 (1974), https://doi.org/10.1063/1.1686503",
    formula=r"h \left(\frac{\eta}{1 + u^2} + (1 - \eta) e^{-u^2 \ln 2}\right),\; u = \frac{x - c}{\gamma}",
    peak=True,
)
