"""A step whose slope is a Lorentzian: an edge with the lifetime of its final state."""

from __future__ import annotations

from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._steps import StepGuess, spread
from sid_xarray.models.formula import Formula

__all__ = ["MODEL"]

_TEXT = "height * (0.5 + arctan((x - center) / gamma) / pi)"

MODEL = FitModel.of(
    "arctan_step",
    _TEXT,
    StepGuess(Formula(_TEXT, ("height", "center", "gamma"))),
    (Param("height", units="y"), Param("center", units="x"), Param("gamma", units="x", lower=0.0)),
    spread=spread,
    reference="F. K. Richtmyer, S. W. Barnes, E. Ramberg, Phys. Rev. 46, 843 (1934), https://doi.org/10.1103/PhysRev.46.843",
    formula=r"h \left(\tfrac12 + \tfrac1\pi \arctan\frac{x - c}{\gamma}\right)",
)
