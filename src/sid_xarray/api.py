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
        Passed to the reader: ``group=`` opens a part of the file, ``dims=`` calibrates a bare ``.npy``.

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
    from sid_xarray.io import door

    return door.open_tree(path, reader=reader, chunks=chunks, options=reader_options)


def open_dataarray(path: Any, signal: str | None = None, *, chunks: Any = None, **options: Any) -> xr.DataArray:
    """Open one signal of a file.

    Parameters
    ----------
    path : str, bytes or file
    signal : str, optional
        Name, title, path or quantity of the signal. Needed if the file has several; results that were written beside
        their source do not count.
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
    tree = open(path, chunks=chunks, **options)
    found = signals(tree)
    if signal is None:
        raw = {k: v for k, v in found.items() if not _is_result(tree, k)} or found
        if len(raw) != 1:
            listed = "\n".join(f"  {k}  {dict(v.sizes)} {v.attrs.get(names.LONG_NAME, '')}" for k, v in raw.items())
            last = next(iter(raw)).rpartition("/")[2]
            raise FormatError(path, "", f"holds {len(raw)} signals, name one: signal={last!r}. There are\n{listed}")
        key = next(iter(raw))
    else:
        key = _chosen(path, found, signal)
    return _renamed(path, key, found[key])


def _is_result(tree: xr.DataTree, key: str) -> bool:
    return "sid_source" in tree[key.rpartition("/")[0] or "/"].encoding


def _chosen(path: object, found: dict[str, xr.DataArray], signal: str) -> str:
    def fits(key: str, da: xr.DataArray) -> bool:
        return signal in (
            key,
            key.strip("/"),
            key.rpartition("/")[2],
            da.attrs.get(names.TITLE),
            key.rpartition("/")[0],
        )

    keys = [k for k, v in found.items() if fits(k, v)]
    # The quantity, where nothing has that name: files of several channels tell them apart by it.
    keys = keys or [k for k, v in found.items() if v.attrs.get(names.LONG_NAME) == signal]
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise FormatError(path, "", f"has {len(keys)} signals {signal!r}, give the path: {', '.join(keys)}")
    short = {k.rpartition("/")[2] for k in found} | {str(v.attrs.get(names.TITLE, k)) for k, v in found.items()}
    raise FormatError(path, "", f"has no signal {signal!r}.{nearest(signal, short | set(found))}")


def _renamed(path: Any, key: str, da: xr.DataArray) -> xr.DataArray:
    """Give back the name that a DataArray had when it was written; in a group it needed one."""
    if "sid_h5path" not in da.encoding or "sid_reader" in da.encoding:
        return da  # a file of a vendor
    from sid_xarray.io.nsid import names as nsid
    from sid_xarray.io.usid import model as usid

    for original_name in (nsid.original_name, usid.original_name):
        found, name = original_name(os.fspath(path), key.rpartition("/")[0])
        if found:
            return da.rename(name)
    return da


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
