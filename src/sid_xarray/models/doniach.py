"""The line of a core level in a metal: a peak with a tail towards higher x."""

from __future__ import annotations

from sid_xarray.models._guess import PeakGuess
from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._profile import Profile

__all__ = ["MODEL"]

# Of a small asymmetry: nearly a Lorentzian.
_PROFILE = Profile("gamma", window=2.9, mean=0.68, others=(("asymmetry", 0.1),))
_U = "((x - center) / gamma)"

MODEL = FitModel.of(
    "doniach",
    f"height * cos(pi * asymmetry / 2 + (1 - asymmetry) * arctan({_U})) / (1 + {_U}**2)**((1 - asymmetry) / 2)",
    PeakGuess(_PROFILE, ("height", "center", "gamma", "asymmetry")),
    (
        Param("height", units="y"),
        Param("center", units="x"),
        Param("gamma", units="x", lower=0.0),
        Param("asymmetry", lower=0.0, upper=1.0),
    ),
    reference="S. Doniach, M. Šunjić, J. Phys. C 3, 285 (1970), https://doi.org/10.1088/0022-3719/3/2/010",
    formula=r"h \frac{\cos(\pi\alpha/2 + (1 - \alpha)\arctan u)}{(1 + u^2)^{(1 - \alpha)/2}},\; u = (x - c) / \gamma",
    peak=True,
)
