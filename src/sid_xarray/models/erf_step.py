"""A step whose slope is a Gaussian: an edge seen with a finite resolution."""

from __future__ import annotations

from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._steps import StepGuess, spread
from sid_xarray.models.formula import Formula

__all__ = ["MODEL"]

_TEXT = "height * (0.5 + 0.5 * erf((x - center) / (sigma * sqrt(2))))"

MODEL = FitModel.of(
    "erf_step",
    _TEXT,
    StepGuess(Formula(_TEXT, ("height", "center", "sigma"))),
    (Param("height", units="y"), Param("center", units="x"), Param("sigma", units="x", lower=0.0)),
    spread=spread,
    reference="https://dlmf.nist.gov/7.20.iii",
    formula=r"\tfrac h2 \left(1 + \operatorname{erf}\frac{x - c}{\sqrt2 \sigma}\right)",
)
