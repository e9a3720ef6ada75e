"""The result of a fit: maps of its parameters, curves of them, or a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import units_of
from sid_xarray.core.evaluate import FIT_DIM
from sid_xarray.errors import DimensionError, nearest
from sid_xarray.viz import _style
from sid_xarray.viz._axes import axis_of, map_dims
from sid_xarray.viz._image import component_of
from sid_xarray.viz._labels import number, quantity, unit_text
from sid_xarray.viz._select import choose, read
from sid_xarray.viz._siblings import fitted_at, parameters
from sid_xarray.viz.views import map_grid, points
from sid_xarray.viz.views._fitted import curve_panes
from sid_xarray.viz.views.curve import Line, lines_element
from sid_xarray.viz.views.image import grid

__all__ = ["draw"]

_CENTERS = ("center_x", "center_y")


def draw(
    obj: xr.Dataset,
    *,
    variables: Sequence[Hashable] | None = None,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
    cols: int = 3,
    title: str | None = None,
    data: xr.DataArray | None = None,
    at: Mapping[Hashable, Any] | None = None,
    **opts: Any,
) -> Any:
    """Draw the parameters of a fit; with the data, also one curve with its fit, and what is left.

    Over two dimensions as maps, over one as curves with a band of one standard error, else as a table. What was fitted
    at the peaks of an image is drawn where these are. Points where the fit failed are NaN and stay empty; the title
    counts them.

    Parameters
    ----------
    obj : Dataset
        As ``da.sid.fit(...)`` returns it.
    variables : sequence of hashable, optional
        Which; parameters and reduced chi-square by default.
    isel, sel : mapping, optional
        Which plane of further dimensions. The middle by default.
    cols : int
        Panes in a row.
    title : str, optional
    data : DataArray, optional
        What was fitted.
    at : mapping, optional
        Which curve of the data, by position: ``{"x": 2.5, "y": "3 nm"}``. That of median reduced chi-square by default,
        of lazy maps the middle.
    **opts
        As for `map_grid`.

    Returns
    -------
    holoviews.Layout or holoviews.Table

    Raises
    ------
    DimensionError
        If there is no parameter.
    """
    names = list(variables) if variables is not None else [*parameters(obj), *(n for n in ("redchi",) if n in obj)]
    if not names:
        raise DimensionError(f"no parameters of a fit among {', '.join(map(str, obj.data_vars)) or 'no variables'}.")
    for name in names:
        if name not in obj.data_vars:
            raise DimensionError(f"no variable {name!r}.{nearest(str(name), map(str, obj.data_vars))}")
    if data is not None:
        return _with_data(obj, data, at, names, isel=isel, sel=sel, cols=cols, title=title, **opts)
    ndim = max(obj[n].ndim for n in names)
    if ndim >= 2:
        heading = _failures(obj, names) if title is None else title
        return map_grid.draw(obj, variables=names, isel=isel, sel=sel, cols=cols, title=heading, **opts)
    if ndim == 0:
        return _table(obj, names)
    placed = _placed(obj, names)
    if placed:
        return grid(
            [points.draw(da, prefix=opts.get("prefix", True), size=opts.get("size", 240)) for da in placed],
            cols,
            _failures(obj, names) if title is None else title,
        )
    return _curves(obj, names, isel, sel, cols, title, **opts)


def _placed(ds: xr.Dataset, names: Sequence[Hashable]) -> list[xr.DataArray]:
    """Return parameters of peaks in a plane, with the places of these; nothing of other fits."""
    plane = [str(d) for d in np.atleast_1d(ds.attrs.get(FIT_DIM, []))]
    shown = [n for n in names if n not in _CENTERS]
    if len(plane) != 2 or not set(_CENTERS) <= set(ds.data_vars) or not shown:
        return []
    dims = {ds[n].dims for n in (*_CENTERS, *shown)}
    if len(dims) > 1:
        return []
    # The first axis of a model is the last of an image.
    places = {d: ds[c].variable for d, c in zip(plane[::-1], _CENTERS, strict=True)}
    coords = {
        d: var._replace(attrs={"units": var.attrs.get("units", "1"), "long_name": d}) for d, var in places.items()
    }
    return [ds[n].reset_coords(drop=True).assign_coords(coords) for n in shown]


def _with_data(
    obj: xr.Dataset,
    data: xr.DataArray,
    at: Mapping[Hashable, Any] | None,
    names: Sequence[Hashable],
    *,
    cols: int,
    **options: Any,
) -> Any:
    """Put the curve and the residual behind the parameters; a single fit is its curve and the residual."""
    hv = _style.ready()
    size = options.get("size", 300)
    panes = curve_panes(obj, data, at, size=size, prefix=options.get("prefix", True))
    largest = max((obj[n] for n in names), key=lambda da: da.ndim)
    if at is not None and largest.ndim > 2:  # the maps are those of the plane in which the curve lies
        plane = map_dims(largest)
        further = {d: v for d, v in at.items() if d not in plane and d not in (options.get("isel") or {})}
        options["sel"] = {**further, **(options.get("sel") or {})}
    if largest.ndim:
        shown = draw(obj, variables=names, cols=cols, **options)
        panes = [*shown, *panes]
    cols = max(1, min(cols, len(panes)))
    title = options.get("title") or (_failures(obj, names) if options.get("title") is None else "")
    both = {"shared_axes": False, **({"title": _style.wrapped(title, size * cols)} if title else {})}
    rows = -(-len(panes) // cols)
    mpl = {"sublabel_format": "", "fig_inches": (4.6 * cols, 3.9 * rows), "hspace": 0.75, "vspace": 0.4}
    return _style.apply(hv.Layout(panes).cols(cols), both, matplotlib=mpl, fonts=False)


def _failures(ds: xr.Dataset, names: Sequence[Hashable]) -> str:
    """Count failed points, from values in memory only; where no peak is, nothing failed."""
    own = [ds[n] for n in names if ds[n].variable._in_memory and ds[n].dtype.kind in "fc" and ds[n].size]
    status = ds["status"] if "status" in ds and ds["status"].variable._in_memory else None
    absent = 0 if status is None else int((~fitted_at(status)).sum())
    failed = max((int(np.isnan(da.values).sum()) for da in own), default=0) - absent
    return f"{failed} of {own[0].size - absent} fits failed" if failed > 0 else ""


def _curves(
    ds: xr.Dataset,
    names: Sequence[Hashable],
    isel: Mapping[Hashable, Any] | None,
    sel: Mapping[Hashable, Any] | None,
    cols: int,
    title: str | None,
    *,
    size: int = 300,
    prefix: bool = True,
) -> Any:
    hv = _style.ready()
    panes = []
    for name in names:
        da = ds[name]
        if da.ndim != 1:
            continue
        along = da.dims[0]
        choice = choose(da, [along], isel=isel, sel=sel)
        error = f"{name}_stderr"
        sigma = None
        if error in ds and ds[error].dims == da.dims:
            sigma = _style.displayable(read(choose(ds[error], [along], isel=isel, sel=sel).da, [along]))
        values, units, word = component_of(read(choice.da, [along]), None, units_of(da))
        axis, said = axis_of(choice.da, along), quantity(da, fallback=name) + word
        panes.append(lines_element(axis, [Line(values, "", sigma)], said, units, size=size, prefix=prefix))
    cols = max(1, min(cols, len(panes)))
    both = {"shared_axes": False, **({"title": _style.wrapped(title, size * cols)} if title else {})}
    rows = -(-len(panes) // cols)
    mpl = {"sublabel_format": "", "fig_inches": (4.6 * cols, 3.2 * rows), "hspace": 0.5, "vspace": 0.4}
    return _style.apply(hv.Layout(panes).cols(cols), both, matplotlib=mpl, fonts=False)


def _table(ds: xr.Dataset, names: Sequence[Hashable]) -> Any:
    hv = _style.ready()
    rows = []
    for name in names:
        error = f"{name}_stderr"
        spread = number(ds[error].item()) if error in ds and ds[error].ndim == 0 else ""
        da = ds[name]
        rows.append((quantity(da, fallback=name), number(da.item()), spread, unit_text(units_of(da))))
    table = hv.Table(rows, kdims=["parameter"], vdims=["value", "standard error", "units"])
    mpl = {"fig_inches": (6.5, 0.45 * (len(rows) + 1)), "aspect": "auto", "hooks": [_legible]}
    return _style.apply(table, bokeh={"width": 560, "height": 40 + 26 * len(rows)}, matplotlib=mpl, fonts=False)


def _legible(plot: Any, element: Any) -> None:
    """Give the words of a table a size; matplotlib shrinks them to fit the cells."""
    from matplotlib.table import Table

    for table in plot.handles["axis"].get_children():
        if isinstance(table, Table):
            table.auto_set_font_size(False)
            table.set_fontsize(10)
