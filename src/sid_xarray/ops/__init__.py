"""Verbs: ``f(da, *, dim=None, ...)`` to a DataArray or a Dataset. One row a verb in `TABLE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ALSO", "TABLE", "VERBS", "Verb"]


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
    references : tuple of str
        Keys of ``schema.references``: what its method is cited as. Models of a fit have their own.
    version : int
        What it stamps: a higher one, when the same parameters give other numbers.
    recall : str
        Place of ``recall(inputs, params)``, which returns the arguments of the call that a step was made by; needed
        where these are not the first input and the parameters by name.
    stamps : bool
        Whether it writes a step. If not, a trace does.
    space : str
        Name behind ``.sid`` that it is found under, of what only one technique has: ``"be"``.
    """

    place: str
    sample: str = "peak_map"
    params: Mapping[str, Any] = field(default_factory=dict)
    on: tuple[str, ...] = ("DataArray",)
    about_units: bool = False
    pooled: bool = False
    references: tuple[str, ...] = ()
    version: int = 1
    recall: str = ""
    stamps: bool = True
    space: str = ""


TABLE: dict[str, Verb] = {
    "calibrate": Verb("sid_xarray.ops.calibrate:calibrate", params={"energy": {"scale": 2.0, "offset": 1.0}}),
    "decompose": Verb(
        "sid_xarray.ops.decompose:decompose",
        params={"n_components": 2},
        pooled=True,
        references=("jolliffe2002", "lee1999", "cichocki2009"),
    ),
    "fft": Verb("sid_xarray.ops.fft:fft", sample="lattice_image", references=("harris1978",)),
    "find_peaks": Verb(
        "sid_xarray.ops.find_peaks:find_peaks",
        params={"prominence": 10.0, "smooth": 0.2, "max_peaks": 2},
        references=("gasior2004",),
    ),
    "fit": Verb(
        "sid_xarray.ops.fit:fit",
        params={"model": "gaussian + constant"},
        recall="sid_xarray.ops.fit:recall",
        references=("marquardt1963", "more1978", "huber1964"),
    ),
    "ifft": Verb("sid_xarray.ops.fft:ifft", sample="lattice_spectrum"),
    "rebin": Verb("sid_xarray.ops.rebin:rebin", params={"energy": 2}),
    "register": Verb(
        "sid_xarray.ops.register:register",
        sample="drifting_stack",
        params={"max_shift": 2.0},
        recall="sid_xarray.ops.register:recall",
        references=("guizar2008",),
    ),
    "remove_background": Verb(
        "sid_xarray.ops.background:remove_background",
        sample="edge_map",
        params={"model": "power_law", "fit_range": (200, 280)},
        references=("egerton2011",),
    ),
    "sel": Verb("sid_xarray.ops.select:sel", params={"energy": 5.0, "width": {"energy": 2.0}}),
    "to_units": Verb("sid_xarray.ops.convert:to_units", params={"energy": "meV"}, about_units=True),
    "within": Verb(
        "sid_xarray.ops.within:within",
        params={"region": {"kind": "aperture", "dims": ["y", "x"], "at": [1.0, 1.5, 0.0, 1.2]}, "reduce": "mean"},
    ),
}

ALSO: dict[str, Verb] = {
    "apply": Verb("sid_xarray.ops.apply:apply", on=("DataArray", "Dataset"), recall="sid_xarray.ops.apply:recall"),
    "concat": Verb("sid_xarray.ops.join:concat", on=(), recall="sid_xarray.ops.join:recall"),
    "evaluate": Verb("sid_xarray.core.evaluate:evaluate", on=("Dataset",), recall="sid_xarray.core.evaluate:recall"),
    "project_loops": Verb("sid_xarray.ops.be:project_loops", on=("DataArray", "Dataset"), space="be"),
    "sho_guess": Verb("sid_xarray.ops.be:sho_guess", space="be", references=("levy1959", "sanathanan1963")),
    "loop_guess": Verb("sid_xarray.ops.be:loop_guess", space="be"),
    "switching": Verb("sid_xarray.ops.switching:switching", on=("Dataset",), space="be", references=("jesse2006",)),
    "components": Verb(
        "sid_xarray.ops.residuals:components", on=("Dataset",), recall="sid_xarray.core.evaluate:recall"
    ),
    "residuals": Verb("sid_xarray.ops.residuals:residuals", on=("Dataset",)),
    "reconstruct": Verb("sid_xarray.ops.decompose:reconstruct", on=("Dataset",)),
    "merge": Verb("sid_xarray.ops.join:merge", on=(), recall="sid_xarray.ops.join:recall"),
    "adopt": Verb("sid_xarray.core.adopt:adopt", on=("DataArray", "Dataset"), stamps=False),
    "set_dims": Verb("sid_xarray.core.adopt:set_dims", on=("DataArray", "Dataset"), stamps=False),
    "set_units": Verb("sid_xarray.core.adopt:set_units", on=("DataArray", "Dataset"), stamps=False),
    "with_metadata": Verb("sid_xarray.core.metadata:with_metadata", on=("DataArray", "Dataset"), stamps=False),
}
"""What writes steps, too, or can be a step in a trace, and is tried elsewhere: not one array and parameters."""

VERBS: dict[str, Verb] = {**TABLE, **ALSO}
"""Everything that a step of a history can be done again with."""
