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
    references : tuple of str
        Keys of ``schema.references``: what its method is cited as. Models of a fit have their own.
    """

    place: str
    sample: str = "peak_map"
    params: Mapping[str, Any] = field(default_factory=dict)
    on: tuple[str, ...] = ("DataArray",)
    references: tuple[str, ...] = ()


TABLE: dict[str, Verb] = {
    "calibrate": Verb("sid_xarray.ops.calibrate:calibrate", params={"energy": {"scale": 2.0, "offset": 1.0}}),
    "fft": Verb("sid_xarray.ops.fft:fft", sample="lattice_image", references=("harris1978",)),
    "fit": Verb(
        "sid_xarray.ops.fit:fit", params={"model": "gaussian + constant"}, references=("marquardt1963", "more1978")
    ),
    "ifft": Verb("sid_xarray.ops.fft:ifft", sample="lattice_spectrum"),
    "rebin": Verb("sid_xarray.ops.rebin:rebin", params={"energy": 2}),
    "remove_background": Verb(
        "sid_xarray.ops.background:remove_background",
        sample="edge_map",
        params={"model": "power_law", "fit_range": (200, 280)},
        references=("egerton2011",),
    ),
    "sel": Verb("sid_xarray.ops.select:sel", params={"energy": 5.0, "width": {"energy": 2.0}}),
}
