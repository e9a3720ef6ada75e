"""The functions at the top: open, look into, save."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

import xarray as xr

from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, nearest
from sid_xarray.schema import attrs as names

__all__ = ["ls", "open", "open_dataarray", "save", "show_versions"]


def open(  # noqa: A001 - sid.open, as in xarray and h5py
    path: Any, *, reader: str | None = None, chunks: Any = None, **reader_options: Any
) -> xr.DataTree:
    """Open what the microscope wrote: lazy where the format allows, with units, coordinates and metadata.

    Parameters
    ----------
    path : str, bytes or file
        A file, a folder, a pattern (``"scan_*.ibw"``), a zip archive, an address that fsspec knows, an open file,
        or bytes. What it is, is told from its content first, then from the suffix.
    reader : str, optional
        ``"nsid"``, ``"usid"``, or a row of the table of readers, such as ``"nanonis_sxm"``.
    chunks : int, dict or "auto", optional
        Make dask arrays, as in ``xarray.open_dataset``. Without, arrays are lazy, too, and read when they are used.
    **reader_options
        Passed to the reader. ``group=`` opens a part of the file, ``dims=`` calibrates a bare ``.npy``. ``fill=`` is
        for USID scans that are not complete: their points make a full grid again, with this number where nothing was
        measured; ``fill=float("nan")`` makes floats of integers.

    Returns
    -------
    DataTree
        Signals on one grid are variables of one node; a file with one grid is the root. Several files are a node each.
        What could not be read is in ``tree.attrs["sid_problems"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If no reader can read it, or it is damaged.
    MissingDependencyError
        If the format needs a package that is not installed; the message says what to type.
    """
    engine = _quick(path, reader, chunks, reader_options)
    if engine is not None:
        try:
            tree: xr.DataTree = engine().open_lazy_tree(path, **reader_options)
            return tree
        except FormatError:
            if reader is not None:
                raise
    from sid_xarray.io import door

    return door.open_tree(path, reader=reader, chunks=chunks, options=reader_options)


def _quick(path: Any, reader: str | None, chunks: Any, options: dict[str, Any]) -> Any:
    """Return the engine of an HDF5 file if nothing is asked for that only xarray or the front door know how to do."""
    from sid_xarray.io import backends

    engine = backends.OWN.get(reader)
    plain = chunks is None and options.keys() <= {"group", "drop_variables", "fill"}
    return engine if engine is not None and plain and backends.is_hdf5(path) else None


def open_dataarray(
    path: Any, signal: str | None = None, *, reader: str | None = None, chunks: Any = None, **options: Any
) -> xr.DataArray:
    """Open one signal of a file.

    Parameters
    ----------
    path : str, bytes or file
    signal : str, optional
        Name, title, path or quantity of the signal. Needed if the file has several; results that were written beside
        their source, tables and other arrays that are no signals do not count.
    reader : str, optional
        As in `open`.
    chunks : int, dict or "auto", optional
        As in `open`.
    **options
        As in `open`.

    Returns
    -------
    DataArray
        Lazy.

    Raises
    ------
    FormatError
        If there are several signals and none is named, or none of that name.
    """
    nodes = _nodes_of(path, reader, chunks, options)
    found = {
        f"{place.rstrip('/')}/{name}": ds.variables[name] for place, ds in nodes.items() for name in _data_names(ds)
    }
    if signal is None:
        raw = {k: v for k, v in found.items() if not _stands_beside(nodes[_node(k)])} or found
        if not raw:
            raise FormatError(path, "", "holds no signal. See what it holds: sid.open(path)")
        if len(raw) != 1:
            listed = "\n".join(f"  {k}  {dict(v.sizes)} {v.attrs.get(names.LONG_NAME, '')}" for k, v in raw.items())
            known = [k.rpartition("/")[2] for k in raw]
            first = known[0] if known.count(known[0]) == 1 else next(iter(raw))
            raise FormatError(path, "", f"holds {len(raw)} signals, name one: signal={first!r}. There are\n{listed}")
        key = next(iter(raw))
    else:
        key = _chosen(path, found, signal)
    ds = _with_parents(nodes, _node(key))
    da = ds[next(name for name in _data_names(ds) if str(name) == key.rpartition("/")[2])]
    # A group needs a name for its array, which the array need not have had.
    return da.rename(*ds.encoding["sid_array"]) if "sid_array" in ds.encoding else da


def _nodes_of(path: Any, reader: str | None, chunks: Any, options: dict[str, Any]) -> dict[str, xr.Dataset]:
    engine = _quick(path, reader, chunks, options)
    if engine is not None:
        try:
            # One array needs no tree, which takes as long as all the rest.
            nodes: dict[str, xr.Dataset] = engine().open_lazy_groups(path, **options)
            return nodes
        except FormatError:
            if reader is not None:
                raise
    tree = open(path, reader=reader, chunks=chunks, **options)
    return {node.path: node.to_dataset(inherit=False) for node in tree.subtree}


def _stands_beside(node: xr.Dataset) -> bool:
    """Tell whether an array is a result, or belongs to a table or the like, and so is not what a file is about."""
    return "sid_source" in node.encoding or names.CONTENT in node.attrs


def _data_names(ds: xr.Dataset) -> list[Hashable]:
    return [name for name in ds.variables if name not in ds.coords]


def _node(key: str) -> str:
    return key.rpartition("/")[0] or "/"


def _with_parents(nodes: dict[str, xr.Dataset], place: str) -> xr.Dataset:
    """Return a node with the coordinates that it has from the nodes above it."""
    above = {place: nodes[place]}
    node = place
    while node != "/":
        node = _node(node)
        above[node] = nodes[node]
    if not any(ds.variables for key, ds in above.items() if key != place):
        return nodes[place]
    return xr.DataTree.from_dict(above)[place].to_dataset()


def _chosen(path: object, found: dict[str, xr.Variable], signal: str) -> str:
    def fits(key: str, var: xr.Variable) -> bool:
        return signal in (
            key,
            key.strip("/"),
            key.rpartition("/")[2],
            var.attrs.get(names.TITLE),
            key.rpartition("/")[0],
        )

    keys = [k for k, v in found.items() if fits(k, v)]
    # As it stands in a history, where the tree has another name for it.
    keys = keys or [k for k, v in found.items() if signal in _places(k, v)]
    # The quantity, where nothing has that name: files of several channels tell them apart by it.
    keys = keys or [k for k, v in found.items() if v.attrs.get(names.LONG_NAME) == signal]
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise FormatError(path, "", f"has {len(keys)} signals {signal!r}, give the path: {', '.join(keys)}")
    short = {k.rpartition("/")[2] for k in found} | {str(v.attrs.get(names.TITLE, k)) for k, v in found.items()}
    raise FormatError(path, "", f"has no signal {signal!r}.{nearest(signal, short | set(found))}")


def _places(key: str, var: xr.Variable) -> set[str]:
    """Return where an array lies in its file; a field of a compound dataset, by its name below."""
    place, field = var.encoding.get("sid_h5path"), var.encoding.get("sid_field")
    return {str(place)} if field is None else {f"{place}/{field}"}


def ls(path: Any) -> dict[str, dict[Hashable, int]]:
    """List the signals of a file and their sizes, without reading values.

    Parameters
    ----------
    path : str, bytes or file
        Anything that `open` takes.

    Returns
    -------
    dict
        From path to sizes.
    """
    return {key: dict(da.sizes) for key, da in signals(open(path)).items()}


def save(obj: Any, path: str | os.PathLike[str], **opts: Any) -> str:
    """Save a picture: PNG, SVG or PDF for print, HTML to look at without Python.

    Parameters
    ----------
    obj : DataArray, Dataset or holoviews object
        Arrays are drawn first.
    path : str
        The suffix tells the format.
    **opts
        Passed to the drawing.

    Returns
    -------
    str
        The path.
    """
    from sid_xarray.viz.save import save as save_picture

    return str(save_picture(obj, path, **opts))


def dashboard(obj: Any, *, signal: str | None = None, **params: Any) -> Any:
    """Show a whole file: its signals, their metadata and history, and each of them in the app.

    Parameters
    ----------
    obj : DataTree, Dataset, DataArray or str
        A path is opened first.
    signal : str, optional
        Which one is shown first, by its path or name; the largest by default.
    **params
        As for ``da.sid.explore``.

    Returns
    -------
    panel.Column
        Put it into a panel app of your own, or ``.show()`` it.
    """
    from sid_xarray.viz.dashboard import dashboard as make

    opened = obj if isinstance(obj, xr.DataTree | xr.Dataset | xr.DataArray) else open(obj)
    return make(opened, signal=signal, **params)


def show_versions() -> str:
    """Return the versions of this library and what it works with, for a bug report.

    Returns
    -------
    str
        One package a line.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"python: {platform.python_version()} on {platform.platform()}"]
    for package in ("sid-xarray", "xarray", "numpy", "scipy", "dask", "h5py", "h5netcdf", "holoviews", "bokeh", "pint"):
        try:
            lines.append(f"{package}: {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package}: not installed")
    return "\n".join(lines)
