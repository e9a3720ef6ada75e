"""A whole file at once: its signals, what is said of them, how they were made, and the app for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import xarray as xr

from sid_xarray.core.trees import signals
from sid_xarray.errors import DimensionError, MissingDependencyError, SidError, nearest
from sid_xarray.viz import _facts as facts
from sid_xarray.viz._labels import plain

__all__ = ["dashboard", "serve"]


def dashboard(obj: xr.DataTree | xr.Dataset | xr.DataArray, *, signal: str | None = None, **params: Any) -> Any:
    """Show a whole file: its signals, their metadata and history, and each of them in the app.

    Parameters
    ----------
    obj : DataTree, Dataset or DataArray
    signal : str, optional
        Which one is shown first, by its path or name; the largest by default.
    **params
        As for ``da.sid.explore``.

    Returns
    -------
    panel.Column
        Put it into a panel app of your own, or ``.show()`` it.

    Raises
    ------
    DimensionError
        If there is no array, or none of that name.
    """
    try:
        import panel as pn

        from sid_xarray.viz.explore.layout import ready
    except ImportError as error:
        raise MissingDependencyError("panel", "viz", "a dashboard") from error
    ready()
    found = _signals(obj)
    if not found:
        raise DimensionError("there is no array to show")
    first = _chosen(found, signal)
    labels = {f"{facts.where(key)}  ·  {facts.what(da)}": key for key, da in found.items()}
    labels = labels if len(labels) == len(found) else {key: key for key in found}
    choice = pn.widgets.Select(label="signal", options=labels, value=first, width=420)
    place = pn.Column()

    def show(*_: Any) -> None:
        place[:] = [_pages(found[choice.value], params)]

    choice.param.watch(show, "value")
    show()
    card = pn.pane.HTML(obj.sid._repr_html_())
    about = pn.Card(card, title="all signals", collapsed=True, width=760) if len(found) > 1 else None
    return pn.Column(*([choice] if len(found) > 1 else []), place, *([about] if about is not None else []))


def _signals(obj: Any) -> dict[str, xr.DataArray]:
    if isinstance(obj, xr.DataArray):
        return {str(obj.name or "data"): obj}
    found = {str(n): da for n, da in obj.data_vars.items()} if isinstance(obj, xr.Dataset) else signals(obj)
    return {key: da for key, da in found.items() if da.dtype.kind in "biufc" and da.ndim and da.size}


def _chosen(found: Mapping[str, xr.DataArray], signal: str | None) -> str:
    if signal is None:
        return max(found, key=lambda key: (found[key].ndim, found[key].size))
    fits = [key for key in found if key == signal or key.rpartition("/")[2] == signal]
    if not fits:
        raise DimensionError(f"no array {signal!r}.{nearest(signal, found)}")
    return fits[0]


def _pages(da: xr.DataArray, params: Mapping[str, Any]) -> Any:
    """Return the app, metadata and history of one signal, in tabs."""
    import panel as pn

    try:
        app = da.sid.explore(**params).__panel__() if da.ndim > 1 else pn.pane.HoloViews(da.sid.plot())
    except SidError as error:
        app = pn.pane.Alert(escape(str(error)), alert_type="warning")
    tabs = [("data", app), ("what it is", pn.pane.HTML(da.sid._repr_html_()))]
    for title, tree in (("metadata", da.sid.metadata), ("original metadata", da.sid.original_metadata)):
        if tree:
            tabs.append((title, pn.pane.JSON(_plain(tree), depth=2, width=760)))
    if da.sid.provenance:
        steps = pn.pane.HTML(da.sid.provenance._repr_html_().replace("<details", "<details open", 1))
        tabs.append(("history", pn.Column(pn.pane.HoloViews(da.sid.provenance.graph(backend="bokeh")), steps)))
    return pn.Tabs(*tabs, dynamic=True)


def _plain(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {str(k): _plain(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(v) for v in tree]
    return tree if isinstance(tree, int | float | bool | None) else plain(tree, limit=400)


def serve(
    pages: Mapping[str, Callable[[], Any]],
    *,
    port: int = 0,
    show: bool = True,
    origins: tuple[str, ...] = (),
    started: Callable[[int], None] | None = None,
) -> None:
    """Serve pages on this machine until it is stopped; every visitor gets objects of his own.

    Parameters
    ----------
    pages : mapping
        From name to a function that makes the page.
    port : int
        0 takes a free one.
    show : bool
        Whether a browser is opened.
    origins : tuple of str
        More addresses under which browsers may come, ``"localhost:8000"``.
    started : callable, optional
        Called with the port.
    """
    import socket

    try:
        import panel as pn
    except ImportError as error:
        raise MissingDependencyError("panel", "viz", "serving pages") from error
    pn.extension(notifications=False)
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    _warm()
    routes = {f"/{name}" if len(pages) > 1 else "/": _guarded(make) for name, make in pages.items()}
    if started is not None:
        started(port)
    known = [f"{host}:{port}" for host in ("localhost", "127.0.0.1")]
    pn.serve(
        routes,
        address="127.0.0.1",
        port=port,
        show=show,
        title="sid",
        verbose=False,
        websocket_origin=[*known, *origins],
    )


def _warm() -> None:
    """Import what every page needs, so that the first visitor does not wait for it."""
    from sid_xarray.viz.explore import curves, figures, layout, state

    figures.palette_of("gray", 1.0)
    _ = (curves, layout, state)


def _guarded(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a plain function, since panel shows others as text; what goes wrong is said on the page."""

    def page() -> Any:
        import panel as pn

        try:
            return make()
        except (SidError, OSError, ValueError) as error:
            return pn.pane.Alert(escape(str(error)), alert_type="danger")

    return page
