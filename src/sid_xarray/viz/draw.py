"""Pictures by kind of data, and views by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import xarray as xr

from sid_xarray.core.dims import data_kind, describe
from sid_xarray.core.registry import Registry
from sid_xarray.errors import DimensionError, RegistryError, nearest
from sid_xarray.viz import _style
from sid_xarray.viz._facts import kind_of
from sid_xarray.viz._siblings import looks_like_fit, main_variable, own_variables, variance_of
from sid_xarray.viz.views import TABLE, View
from sid_xarray.viz.views.points import places_of

__all__ = ["VIEWS", "bound_view", "choose_view", "plot"]

VIEWS = Registry("view", {name: f"sid_xarray.viz.views:{name.upper()}" for name in TABLE}, "sid_xarray.views")


class UnknownViewError(RegistryError, AttributeError):
    """A view that does not exist; an AttributeError too, so that ``hasattr`` answers."""


def plot(obj: xr.DataArray | xr.Dataset, *, backend: str | None = None, **opts: Any) -> Any:
    """Draw an array with the view that suits its kind.

    Parameters
    ----------
    obj : DataArray or Dataset
    backend : {"bokeh", "matplotlib"}, optional
        Becomes the one that holoviews shows with: matplotlib for print. By default the one that is set stays.
    **opts
        Of the view; see ``da.sid.plot.<view>``.

    Returns
    -------
    holoviews object
        Plain: overlay it, lay it out, style it with ``.opts``.

    Raises
    ------
    DimensionError
        If there is nothing to draw, such as a single number.
    """
    obj = _unwrapped(obj)
    return bound_view(obj, choose_view(obj))(backend=backend, **opts)


def choose_view(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the name of the view that `plot` takes.

    Returns
    -------
    str
        A key of ``VIEWS``.
    """
    if isinstance(obj, xr.Dataset):
        return _for_dataset(obj)
    kind = data_kind(obj)
    types = list(describe(obj).values())
    if obj.ndim == 0:
        raise DimensionError(f"{obj.name!r} is a single number and has no picture: its value is float(da).")
    # Two axes that nobody has described are a picture more often than a family of curves.
    if obj.ndim == 2 and all(t == "unknown" and t.evidence == "none" for t in types):
        return _complex(obj, "image")
    if kind == "point_cloud":
        return "points" if _has_places(obj) else "curve"
    for name, view in _views("DataArray").items():
        if kind in view.kinds and view.suits.fits(types):
            return _complex(obj, name)
    return "curve"


def _has_places(da: xr.DataArray) -> bool:
    try:
        x, _ = places_of(da)
    except DimensionError:
        return False
    return da.size > 0 and bool(da[x].notnull().any())


def _complex(da: xr.DataArray, view: str) -> str:
    """Return the view that shows both parts of complex values, where there is one."""
    return "complex" if view == "image" and da.dtype.kind == "c" else view


def _for_dataset(ds: xr.Dataset) -> str:
    own = own_variables(ds)
    if looks_like_fit(ds):
        return "fit"
    if {"scores", "components"} <= {str(n) for n in ds.data_vars} and "component" in ds.dims:
        return "components"
    main = ds[main_variable(ds)]
    by_kind = choose_view(main) if main.ndim else "fit"
    maps = [n for n in own if ds[n].ndim >= 2]
    if by_kind == "image" or (len(maps) > 1 and main.ndim == 2 and by_kind != "curve"):
        return "map_grid"
    if by_kind == "points":  # several quantities share no map
        return "curve"
    return by_kind if "Dataset" in VIEWS[by_kind].on else "map_grid"


def _views(on: str) -> dict[str, View]:
    return {name: view for name in VIEWS for view in [VIEWS[name]] if on in view.on}


def _unwrapped(obj: Any) -> Any:
    """Return the only quantity of a Dataset, unless its uncertainty would be lost from the picture."""
    if not isinstance(obj, xr.Dataset):
        return obj
    own = own_variables(obj)
    if len(own) == 1 and (variance_of(obj, own[0]) is None or choose_view(obj[own[0]]) != "curve"):
        return obj[own[0]]
    return obj


def bound_view(obj: xr.DataArray | xr.Dataset, name: str) -> Callable[..., Any]:
    """Return a view that draws ``obj``, with the signature and the documentation of the view.

    Parameters
    ----------
    obj : DataArray or Dataset
    name : str
        A key of ``VIEWS``; other packages add some through the entry points ``sid_xarray.views``.

    Raises
    ------
    RegistryError
        If there is no such view; it names the nearest.
    """
    try:
        view = VIEWS[name]
    except RegistryError as error:
        raise UnknownViewError(str(error)) from None
    target = _fitting(obj, view)
    _drawable(target)
    function = view.load()
    signature = _signature(function)

    @functools.wraps(function)
    def draw(*, backend: str | None = None, **opts: Any) -> Any:
        _known(view.name, signature, opts)
        _style.ready(backend)
        return function(target, **opts)

    draw.__name__ = draw.__qualname__ = name
    draw.__signature__ = signature  # type: ignore[attr-defined]
    return draw


def _drawable(obj: xr.DataArray | xr.Dataset) -> None:
    da = obj if isinstance(obj, xr.DataArray) else obj[main_variable(obj)]
    if kind_of(da) == "text":
        raise DimensionError(f"{da.name!r} is text or records ({da.dtype}) and has no picture: print(da) shows it.")


def _fitting(obj: Any, view: View) -> Any:
    kind = "Dataset" if isinstance(obj, xr.Dataset) else "DataArray"
    if kind in view.on:
        return obj
    if kind == "DataArray":
        return obj.to_dataset(name=obj.name if obj.name is not None else "value")
    own = own_variables(obj)
    if len(own) == 1:
        return obj[own[0]]
    example = own[0] if own else "name"
    raise DimensionError(
        f"the view {view.name!r} draws one quantity, the Dataset has {', '.join(map(str, own)) or 'none'}. "
        f"Type: ds[{example!r}].sid.plot.{view.name}()"
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[1:]
    own = inspect.Parameter("backend", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None")
    at = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_KEYWORD), len(parameters))
    return found.replace(parameters=[*parameters[:at], own, *parameters[at:]])


def _known(view: str, signature: inspect.Signature, opts: dict[str, Any]) -> None:
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return
    for name in opts:
        if name not in signature.parameters:
            raise TypeError(f"the view {view!r} has no option {name!r}.{nearest(name, signature.parameters)}")
