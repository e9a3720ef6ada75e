"""Fit functions from text: one formula gives its values, its derivatives, and the source of a compiled kernel."""

from sid_xarray.models.formula.formula import Formula, Slopes, infer_units

__all__ = ["Formula", "Slopes", "infer_units"]
