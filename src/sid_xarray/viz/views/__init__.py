"""The views, one file and one row each. ``draw(obj, **opts)`` returns a plain holoviews object and shows nothing."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["TABLE", "Shape", "View"]


@dataclass(frozen=True)
class Shape:
    """How many dimensions of each type a view needs at least; others are reduced or drawn as families."""

    spatial: int = 0
    reciprocal: int = 0
    spectral: int = 0
    any: int = 0

    def fits(self, types: Iterable[str]) -> bool:
        """Tell whether dimensions of these types are enough."""
        found = Counter(map(str, types))
        named = ("spatial", "reciprocal", "spectral")
        return found.total() >= self.any and all(found[kind] >= getattr(self, kind) for kind in named)


@dataclass(frozen=True)
class View:
    """A row of the table: what a view is called, what it draws, and where it lives.

    Attributes
    ----------
    name : str
        What users type: ``da.sid.plot.<name>()``.
    suits : Shape
        The dimensions that it needs.
    draws : str
        ``"module:function"``, imported when used; the function takes the xarray object first.
    kinds : tuple of str
        Kinds of data for which ``da.sid.plot()`` takes this view.
    on : tuple of str
        What it draws: DataArray, Dataset.
    """

    name: str
    suits: Shape
    draws: str
    kinds: tuple[str, ...] = ()
    on: tuple[str, ...] = ("DataArray",)

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, name = self.draws.partition(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


CURVE = View(
    "curve",
    suits=Shape(any=1),
    draws="sid_xarray.viz.views.curve:draw",
    kinds=("spectrum", "line_profile", "line_profiles", "multidimensional"),
    on=("DataArray", "Dataset"),
)
IMAGE = View(
    "image",
    suits=Shape(any=2),
    draws="sid_xarray.viz.views.image:draw",
    kinds=("image",),
)
STACK = View("stack", suits=Shape(any=3), draws="sid_xarray.viz.views.stack:draw", kinds=("image_stack", "volume"))
FOUR_D = View("four_d", suits=Shape(any=4), draws="sid_xarray.viz.views.four_d:draw", kinds=("image_4d",))
POINTS = View("points", suits=Shape(any=1), draws="sid_xarray.viz.views.points:draw")
PEAKS = View("peaks", suits=Shape(any=1), draws="sid_xarray.viz.views.peaks:draw")
LATTICE = View("lattice", suits=Shape(any=2), draws="sid_xarray.viz.views.peaks:lattice")
COMPLEX = View("complex", suits=Shape(any=1), draws="sid_xarray.viz.views.complex:draw")
SPECTRAL_IMAGE = View(
    "spectral_image",
    suits=Shape(spatial=2, spectral=1),
    draws="sid_xarray.viz.views.spectral_image:draw",
    kinds=("spectral_image",),
    on=("DataArray", "Dataset"),
)
FIT = View("fit", suits=Shape(), draws="sid_xarray.viz.views.fit:draw", on=("Dataset",))
MAP_GRID = View("map_grid", suits=Shape(any=2), draws="sid_xarray.viz.views.map_grid:draw", on=("Dataset",))
COMPONENTS = View("components", suits=Shape(), draws="sid_xarray.viz.views.components:draw", on=("Dataset",))
SCREE = View("scree", suits=Shape(), draws="sid_xarray.viz.views.components:scree", on=("Dataset",))

TABLE: dict[str, View] = {
    view.name: view
    for view in (
        CURVE,
        IMAGE,
        STACK,
        FOUR_D,
        POINTS,
        COMPLEX,
        SPECTRAL_IMAGE,
        PEAKS,
        LATTICE,
        FIT,
        MAP_GRID,
        COMPONENTS,
        SCREE,
    )
}
