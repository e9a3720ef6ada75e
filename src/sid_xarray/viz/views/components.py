"""Components of a decomposition: each with its map and its spectrum; and how much every one explains."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import units_of
from sid_xarray.errors import DimensionError
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._image import Look, titled_element
from sid_xarray.viz._labels import quantity
from sid_xarray.viz._select import choose, read
from sid_xarray.viz.views.curve import Line, curve_dim, lines_element
from sid_xarray.viz.views.image import frame_of

__all__ = ["draw", "scree"]


def draw(
    obj: xr.Dataset,
    *,
    components: int | Sequence[int] | None = None,
    cmap: Any = "viridis",
    robust: tuple[float, float] = (1, 99),
    size: int = 240,
    prefix: bool = True,
) -> Any:
    """Draw components, a row each: where they are, and what they look like.

    Parameters
    ----------
    obj : Dataset
        From ``decompose``: ``scores`` and ``components``.
    components : int or sequence of int, optional
        How many, from the first, or which ones; four by default.
    cmap : optional
        Of maps.
    robust : tuple of float
        Percentiles of the colour limits of maps.
    size : int
        Pixels of the longer side of a map.
    prefix : bool
        Choose readable prefixes; False keeps the units of the data.

    Returns
    -------
    holoviews.Layout
        Two columns.

    Raises
    ------
    DimensionError
        If the Dataset is no decomposition, or has not these components.
    """
    which = _which(obj, 4 if components is None else components)
    panes: list[Any] = []
    for i in which:
        share = _share(obj, i)
        panes.append(_pane(obj["scores"].isel(component=i), f"scores {i}{share}", cmap, robust, size, prefix))
        panes.append(_pane(obj["components"].isel(component=i), f"component {i}", "inferno", robust, size, prefix))
    layout = _style.ready().Layout(panes).cols(2)
    mpl = {"sublabel_format": "", "fig_inches": (10, 3.6 * len(which)), "hspace": 0.4, "vspace": 0.4}
    return _style.apply(layout, {"shared_axes": False}, matplotlib=mpl, fonts=False)


def _which(ds: xr.Dataset, components: int | Sequence[int]) -> list[int]:
    missing = [name for name in ("scores", "components") if name not in ds]
    if missing or "component" not in ds.dims:
        raise DimensionError(f"the Dataset has no {(missing or ['component'])[0]!r}: draw what decompose gives.")
    n = ds.sizes["component"]
    if isinstance(components, int | np.integer) and components >= 1:
        return list(range(min(int(components), n)))
    if isinstance(components, int | np.integer):
        raise DimensionError(f"draw one component at least, of {n}; got {components!r}")
    chosen = [int(i) for i in components]
    if any(not -n <= i < n for i in chosen):
        raise DimensionError(f"there are components 0 to {n - 1}, not {components!r}")
    return [i % n for i in chosen]


def _share(ds: xr.Dataset, i: int) -> str:
    if "explained_variance_ratio" not in ds:
        return ""
    share = float(ds["explained_variance_ratio"][i])
    return f" · {100 * share:.3g} %" if np.isfinite(share) else ""


def _pane(da: xr.DataArray, title: str, cmap: Any, robust: tuple[float, float], size: int, prefix: bool) -> Any:
    """Draw a map or a curve, whichever it is; of more dimensions, the middle."""
    if da.ndim >= 2:
        dims = map_dims(da)
        look = Look(cmap=cmap, robust=robust, title=title, size=size, prefix=prefix)
        return titled_element(frame_of(choose(da, dims).da, dims), look)
    if da.ndim == 0:
        raise DimensionError("a decomposition of one spectrum has nothing to draw")
    along: Hashable = curve_dim(da, None)
    shown: dict[str, Any] = {"title": title, "size": round(size * 1.5), "height": size, "prefix": prefix}
    return lines_element(axis_of(da, along), [Line(read(da, (along,)))], quantity(da), units_of(da), **shown)


def scree(obj: xr.Dataset, *, title: str = "", size: int = 480) -> Any:
    """Draw the share of variance that every component explains, on a logarithmic scale.

    Where the curve turns flat, components are noise.

    Parameters
    ----------
    obj : Dataset
        From ``decompose(method="pca")``.
    title : str
    size : int
        Width in pixels.

    Returns
    -------
    holoviews.Overlay

    Raises
    ------
    DimensionError
        If the Dataset has no ``explained_variance_ratio``.
    """
    if "explained_variance_ratio" not in obj:
        raise DimensionError("a scree plot needs explained_variance_ratio: draw what decompose(method='pca') gives.")
    hv = _style.ready()
    share = np.asarray(obj["explained_variance_ratio"].values, dtype=float)
    share = np.where(share > 0, share, np.nan)  # a logarithm has no zero
    number = np.arange(share.size)
    dims: dict[str, Any] = {
        "kdims": [hv.Dimension("component")],
        "vdims": [hv.Dimension("share", label="share of variance")],
    }
    line = _style.apply(hv.Curve((number, share), **dims), {"color": _style.COLOURS[0]}, fonts=False)
    dots = _style.apply(
        hv.Scatter((number, share), **dims),
        {"color": _style.COLOURS[0]},
        bokeh={"size": 7, "tools": ["hover"]},
        matplotlib={"s": 24},
        fonts=False,
    )
    step = max(1, -(-share.size // 16))
    both = {"logy": True, "title": title, "padding": 0.06, "xticks": list(range(0, share.size, step))}
    bokeh = {"frame_width": size, "frame_height": round(size * 0.6), "show_grid": True, "toolbar": "above"}
    return _style.apply(line * dots, both, bokeh=bokeh, matplotlib={"fig_inches": (6, 3.8), "aspect": 1.6})
