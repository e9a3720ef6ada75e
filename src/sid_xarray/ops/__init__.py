"""Verbs: ``f(da, *, dim=None, ...)`` to a DataArray or a Dataset. One row a verb in `TABLE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TABLE", "Verb"]


@dataclass(frozen=True)
class Verb:
    """A row of the table: where a verb lives, and how to try it.

    Attributes
    ----------
    place : str
        ``"module:function"``.
    sample : str
        Name of a function in ``sid.datasets`` whose array the verb is tried on by the house tests.
    params : mapping
        Keywords of that trial.
    on : tuple of str
        Accessors that have it: DataArray, Dataset.
    about_units : bool
        Whether it needs known units, and changes them.
    pooled : bool
        Whether every result depends on all points: there are no independent pixels.
    """

    place: str
    sample: str = "peak_map"
    params: Mapping[str, Any] = field(default_factory=dict)
    on: tuple[str, ...] = ("DataArray",)
    about_units: bool = False
    pooled: bool = False


TABLE: dict[str, Verb] = {
    "calibrate": Verb("sid_xarray.ops.calibrate:calibrate", params={"energy": {"scale": 2.0, "offset": 1.0}}),
    "decompose": Verb("sid_xarray.ops.decompose:decompose", params={"n_components": 2}, pooled=True),
    "fft": Verb("sid_xarray.ops.fft:fft", sample="lattice_image"),
    "fit": Verb("sid_xarray.ops.fit:fit", params={"model": "gaussian + constant"}),
    "ifft": Verb("sid_xarray.ops.fft:ifft", sample="lattice_spectrum"),
    "rebin": Verb("sid_xarray.ops.rebin:rebin", params={"energy": 2}),
    "register": Verb("sid_xarray.ops.register:register", sample="drifting_stack", params={"max_shift": 2.0}),
    "remove_background": Verb(
        "sid_xarray.ops.background:remove_background",
        sample="edge_map",
        params={"model": "power_law", "fit_range": (200, 280)},
    ),
    "sel": Verb("sid_xarray.ops.select:sel", params={"energy": 5.0, "width": {"energy": 2.0}}),
    "to_units": Verb("sid_xarray.ops.convert:to_units", params={"energy": "meV"}, about_units=True),
}
