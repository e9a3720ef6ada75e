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
    path: str | os.PathLike[str], *, reader: str | None = None, chunks: Any = None, **reader_options: Any
) -> xr.DataTree:
    """Open a file as a tree: lazy, with units, coordinates and metadata.

    Parameters
    ----------
    path : str
    reader : {"nsid", "usid"}, optional
        Told from the content by default.
    chunks : int, dict or "auto", optional
        Make dask arrays, as in ``xarray.open_dataset``. Without, arrays are lazy, too, and read when they are used.
    **reader_options
        Passed to the reader: ``group=`` opens a part of the file.

    Returns
    -------
    DataTree
        One node for every group with signals. Problems of single signals are in ``tree.attrs["sid_problems"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If no reader can read it.
    """
    from sid_xarray.io import backends

    engines = {
        None: backends.HDF5BackendEntrypoint,
        "nsid": backends.NSIDBackendEntrypoint,
        "usid": backends.USIDBackendEntrypoint,
    }
    if reader not in engines:
        raise ValueError(f"no reader {reader!r}.{nearest(str(reader), ['nsid', 'usid'])}")
    # The readers bring the indexes that were saved; xarray would make them again, also where there were none.
    reader_options.setdefault("create_default_indexes", False)
    return xr.open_datatree(os.fspath(path), engine=engines[reader], chunks=chunks, **reader_options)


def open_dataarray(
    path: str | os.PathLike[str], signal: str | None = None, *, chunks: Any = None, **options: Any
) -> xr.DataArray:
    """Open one signal of a file.

    Parameters
    ----------
    path : str
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
    return _renamed(os.fspath(path), key, found[key])


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


def _places(key: str, da: xr.DataArray) -> set[str]:
    """Return where an array lies in its file; a field of a compound dataset, by its name below."""
    place, field = da.encoding.get("sid_h5path"), da.encoding.get("sid_field")
    return {str(place)} if field is None else {f"{place}/{field}"}


def _renamed(path: str, key: str, da: xr.DataArray) -> xr.DataArray:
    """Give back the name that a DataArray had when it was written; in a group it needed one."""
    from sid_xarray.io.nsid import names as nsid
    from sid_xarray.io.usid import model as usid

    for original_name in (nsid.original_name, usid.original_name):
        found, name = original_name(path, key.rpartition("/")[0])
        if found:
            return da.rename(name)
    return da


def ls(path: str | os.PathLike[str]) -> dict[str, dict[Hashable, int]]:
    """List the signals of a file and their sizes, without reading values.

    Parameters
    ----------
    path : str

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
