"""Bridges to the objects of other programs: values, axes, units and metadata go over and come back."""

from __future__ import annotations

from sid_xarray.io.interop._atoms import from_ase, to_ase
from sid_xarray.io.interop.hyperspy import from_hyperspy, to_hyperspy
from sid_xarray.io.interop.sidpy import from_sidpy, to_sidpy

__all__ = ["from_ase", "from_hyperspy", "from_sidpy", "to_ase", "to_hyperspy", "to_sidpy"]
