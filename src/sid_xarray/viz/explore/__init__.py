"""The linked app: look at an array of any number of dimensions. Light until it is used."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from sid_xarray.errors import AlignmentError, MissingDependencyError, nearest

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["explore"]


def explore(
    obj: xr.DataArray | xr.Dataset,
    *,
    map: Hashable | Sequence[Hashable] | None = None,  # noqa: A002 - what it is
    signal: Hashable | Sequence[Hashable] | None = None,
    data: xr.DataArray | None = None,
    beside: Mapping[str, xr.DataArray] | None = None,
    main: Hashable | None = None,
    **params: Any,
) -> Explorer:
    """Look at an array in the browser or notebook: tap the map for a spectrum, draw a window for a map.

    Parameters
    ----------
    obj : DataArray or Dataset
        Of any number of dimensions. Of a Dataset, quantities on the grid of the main one are shown beside it.
    map : hashable or pair, optional
        Dimensions of the map, ``("y", "x")``; by default those of space.
    signal : hashable or pair, optional
        The dimension of the curve, or the two of a pattern, at every point of the map. All further dimensions have
        sliders.
    data : DataArray, optional
        What was fitted, if the Dataset is the result of a fit: then the map is one of its parameters, and beside it
        stand data, model, components and residual of the pixel.
    beside : mapping, optional
        From name to further arrays on the same grid: a fit, a component.
    main : hashable, optional
        Which variable of a Dataset is the main one; by default the first with the most dimensions.
    **params
        What to begin with: ``regions``, ``window``, ``at``, ``reduce``, ``part``, ``cmap``, ``logz``, ``robust``,
        ``gamma``, ``size`` and so on; see `Explorer`.

    Returns
    -------
    Explorer
        Shows itself in a notebook, goes into any panel app, and holds what was selected: ``regions``, ``window``,
        ``image``, ``spectra``, ``code()``.

    Raises
    ------
    DimensionError
        If there are fewer than two dimensions.
    AlignmentError
        If an array beside has another size.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> ex = sid.datasets.peak_map().sid.explore()
    >>> ex.tap(1.5, 2.0)
    >>> ex.readout()
    'x = 1.5 nm, y = 2 nm: 26.38 count'
    """
    try:
        from sid_xarray.viz.explore import state
        from sid_xarray.viz.explore._numbers import check, positioned
        from sid_xarray.viz.explore._plan import make_plan
    except ImportError as error:
        raise MissingDependencyError("panel", "viz", "exploring") from error
    if data is not None:
        if not isinstance(obj, xr.Dataset):
            raise TypeError("data= goes with the Dataset of a fit: fit.sid.explore(data=da)")
        from sid_xarray.viz.explore.review import Review

        _known(Review, params)
        return Review(data, obj, **params)
    arrays, names = _arrays(obj, beside or {}, main)
    _known(state.Explorer, params)
    first = next(iter(arrays.values()))
    check(first)
    plan = make_plan(first, map=map, signal=signal)
    for key, da in arrays.items():
        used = [d for d in (*plan.map, *plan.signal) if d in da.dims and not plan.places]
        arrays[key], names[key] = positioned(da, used, names[key])
    return state.Explorer(arrays, plan, names, **params)


def _known(cls: type[Explorer], params: Mapping[str, Any]) -> None:
    known = set(cls.param) - {"name"}
    for name in params:
        if name not in known:
            raise TypeError(f"explore has no option {name!r}.{nearest(name, known)}")


def _arrays(
    obj: xr.DataArray | xr.Dataset, beside: Mapping[str, xr.DataArray], main: Hashable | None
) -> tuple[dict[str, xr.DataArray], dict[str, str]]:
    from sid_xarray.viz._siblings import main_variable, own_variables

    if isinstance(obj, xr.Dataset):
        first = main if main is not None else main_variable(obj)
        if first not in obj.data_vars:
            raise KeyError(f"no variable {first!r}.{nearest(str(first), map(str, obj.data_vars))}")
        others = [n for n in own_variables(obj) if n != first and set(obj[n].dims) <= set(obj[first].dims)]
        found = {str(n): obj[n] for n in (first, *others)}
        names = {str(n): f"ds[{n!r}]" for n in found}
    else:
        label = str(obj.name) if obj.name is not None else "data"
        found, names = {label: obj}, {label: "da"}
    grid = next(iter(found.values()))
    for name, da in beside.items():
        wrong = [d for d in da.dims if da.sizes[d] != grid.sizes.get(d)]
        if wrong:
            raise AlignmentError(f"{name!r} does not lie on the grid of {grid.name!r}: {wrong[0]!r} differs")
        found[str(name)], names[str(name)] = da, str(name)
    return found, names
