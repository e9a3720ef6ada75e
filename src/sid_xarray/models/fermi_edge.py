"""The Fermi edge: occupied below, empty above, with the width of the temperature."""

from __future__ import annotations

from sid_xarray.models._model import FitModel, Param
from sid_xarray.models._steps import StepGuess, spread
from sid_xarray.models.formula import Formula

__all__ = ["MODEL"]

_TEXT = "height * fermi((x - center) / width)"

MODEL = FitModel.of(
    "fermi_edge",
    _TEXT,
    StepGuess(Formula(_TEXT, ("height", "center", "width"))),
    (Param("height", units="y"), Param("center", units="x"), Param("width", units="x", lower=0.0)),
    spread=spread,
    reference="E. Fermi, Z. Phys. 36, 902 (1926), https://doi.org/10.1007/BF01400221",
    formula=r"\frac{h}{e^{(x - c) / w} + 1}",
)
