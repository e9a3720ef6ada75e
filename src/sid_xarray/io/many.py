"""Several files at once: one array of many, and a table of what lies in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.dims import data_kind
from sid_xarray.core.trees import signals
from sid_xarray.errors import AlignmentError, FormatError, MetadataError, MissingDependencyError, nearest
from sid_xarray.io import _files, door
from sid_xarray.schema import attrs as names

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_many", "scan"]

_KEYS = {
    "technique": "instrument/technique",
    "model": "instrument/model",
    "start_time": "acquisition/start_time",
    "scan_direction": "acquisition/scan_direction",
    "bias": "probe/bias",
    "setpoint": "probe/setpoint",
    "beam_energy": "beam/energy",
    "sample": "sample/name",
}
"""Columns of a scan and the common words that they show."""


def open_many(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    concat: str | None = None,
    signal: str | None = None,
    reader: str | None = None,
    chunks: Any = None,
    **reader_options: Any,
) -> xr.DataTree | xr.Dataset | xr.DataArray:
    """Open many files: as a tree with a node each, or joined along a new dimension.

    Parameters
    ----------
    paths : str or iterable of str
        A pattern (``"scan_*.ibw"``), a folder, or the files. ``scan_2`` comes before ``scan_10``.
    concat : str, optional
        Name of a new first dimension. The files must then hold one grid each, and the same one.
    signal : str, optional
        Take this variable only, and give a DataArray.
    reader : str, optional
    chunks : int, dict or "auto", optional
    **reader_options
        As in `sid_xarray.open`.

    Returns
    -------
    DataTree, Dataset or DataArray
        Joined arrays have the coordinate ``file`` along the new dimension, and ``start_time`` if all files know it.
        Lazy arrays are joined as dask arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    AlignmentError
        If the grids differ.
    FormatError
        If a file holds several grids, or has no such signal.
    """
    files = _listed(paths)
    if concat is None:
        if signal is not None:
            raise TypeError("signal= names the variable to join: give concat='frame', too")
        return xr.DataTree.from_dict(
            {
                name.rpartition(".")[0] or name: door.open_tree(
                    path, reader=reader, chunks=chunks, options=reader_options
                )
                for name, path in files
            }
        )
    parts, times = [], []
    for _, path in files:
        # Blocks of dask, since xarray would read what is lazy by itself when it joins.
        tree = door.open_tree(path, reader=reader, chunks={} if chunks is None else chunks, options=reader_options)
        ds = _one_grid(tree, path, signal)
        times.append(_said(next(iter(ds.data_vars.values()))).get("acquisition", {}).get("start_time"))
        parts.append(ds)
    _check_grids(parts, [path for _, path in files])
    out = xr.concat(
        parts, dim=concat, join="override", combine_attrs="drop_conflicts", data_vars="all", coords="minimal",
        compat="override",
    )  # fmt: skip
    frames = xr.Variable(
        (concat,), np.arange(len(parts), dtype=float), {"units": "1", "sid_dimension_type": "temporal"}
    )
    out = out.assign_coords({concat: frames, "file": ((concat,), [name for name, _ in files])})
    if all(times):
        out = out.assign_coords(start_time=((concat,), [str(t) for t in times]))
    return out if signal is None else out[signal]


def _listed(paths: Any) -> list[tuple[str, str]]:
    if isinstance(paths, str | os.PathLike):
        if _files.is_many(paths):
            return _files.files_in(paths)
        source = _files.one(paths)
        return [(source.name, source.path)]
    found = [(os.path.basename(os.fspath(p)), os.fspath(p)) for p in paths]
    if not found:
        raise FileNotFoundError("no files were given")
    return found


def _one_grid(tree: xr.DataTree, path: str, signal: str | None) -> xr.Dataset:
    nodes = [node for node in tree.subtree if node.data_vars]
    if signal is not None:
        nodes = [node for node in nodes if signal in node.data_vars]
        if not nodes:
            known = {str(name) for node in tree.subtree for name in node.data_vars}
            raise FormatError(path, "", f"has no signal {signal!r}.{nearest(signal, known)}")
    if len(nodes) != 1:
        listed = ", ".join(node.path for node in nodes)
        raise FormatError(path, "", f"holds {len(nodes)} grids, name one signal: signal=... There are {listed}")
    ds = nodes[0].to_dataset()
    return ds if signal is None else ds[[signal]]


def _check_grids(parts: list[xr.Dataset], paths: list[str]) -> None:
    first = parts[0]
    for path, part in zip(paths[1:], parts[1:], strict=True):
        if dict(part.sizes) != dict(first.sizes):
            raise AlignmentError(f"{path} has the sizes {dict(part.sizes)}, {paths[0]} has {dict(first.sizes)}")
        if set(part.data_vars) != set(first.data_vars):
            missing = sorted(map(str, set(part.data_vars) ^ set(first.data_vars)))
            raise AlignmentError(f"{path} and {paths[0]} hold different signals: {', '.join(missing)}. Pass signal=...")
        for dim in first.dims:
            here, there = part[dim].values, first[dim].values
            # The same steps are enough: a frame that drifted is still a frame.
            span = float(np.ptp(there)) or 1.0
            if not np.allclose(here - here[:1], there - there[:1], rtol=0, atol=1e-6 * span):
                raise AlignmentError(f"{path} has other steps along {dim!r} than {paths[0]}. Interpolate it first")


def _said(da: xr.DataArray) -> dict[str, Any]:
    try:
        return _metadata.unpack(da.attrs.get(names.METADATA))
    except MetadataError:
        return {}


def scan(folder: str | os.PathLike[str], *, progress: bool | None = None) -> pd.DataFrame:
    """List every signal of a folder: what it is, how large, in which units, when it was measured.

    No values are read, but those of formats that cannot be read in part.

    Parameters
    ----------
    folder : str
        With all folders in it; or a pattern, or one file.
    progress : bool, optional
        Show a progress bar; by default on a terminal.

    Returns
    -------
    DataFrame
        One row a signal: file, reader, signal, kind, dims, shape, units, title, and what the common words say of it:
        technique, model, start_time, scan_direction, bias (V), setpoint, beam_energy (eV), sample. A file that could
        not be read has one row with the reason in ``problem``. Files that nobody knows are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no file in it.
    """
    import pandas as pd

    if _files.is_many(folder):
        files = _files.files_in(folder)
    else:
        source = _files.one(folder)
        files = [(source.name, source.path)]
    rows: list[dict[str, Any]] = []
    for name, path in _shown(files, progress):
        rows += _rows(name, path, {os.path.basename(p).lower() for _, p in files})
    columns = ["file", "reader", "signal", "kind", "dims", "shape", "units", "title", *_KEYS, "problem"]
    return pd.DataFrame(rows, columns=columns)


def _shown(files: list[tuple[str, str]], progress: bool | None) -> Iterator[tuple[str, str]]:
    if progress if progress is not None else len(files) > 10 and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(files, description="Looking into files", console=Console(stderr=True), transient=True)
    else:
        yield from files


def _rows(name: str, path: str, beside: set[str]) -> list[dict[str, Any]]:
    try:
        source = _files.one(path)
        if not door.is_known(source) or door.is_part(source, beside):
            return []
        tree = door.open_tree(source, reader=None, chunks=None, options={})
    except (OSError, MissingDependencyError) as error:  # damaged, not allowed, a link to nowhere
        return [{"file": name, "problem": str(getattr(error, "why", error))}]
    found = [_row(name, key, da) for key, da in signals(tree).items()]
    if "sid_problems" in tree.attrs:
        found.append({"file": name, "problem": str(tree.attrs["sid_problems"])})
    tree.close()
    return found


def _row(name: str, key: Hashable, da: xr.DataArray) -> dict[str, Any]:
    said = _said(da)
    row: dict[str, Any] = {
        "file": name,
        "reader": da.encoding.get("sid_reader", "hdf5"),
        "signal": str(key),
        "kind": data_kind(da),
        "dims": ", ".join(
            f"{dim} ({da[dim].attrs.get(names.UNITS, '1') if dim in da.coords else ''})" for dim in da.dims
        ),
        "shape": tuple(da.shape),
        "units": da.attrs.get(names.UNITS, ""),
        "title": da.attrs.get(names.TITLE, ""),
    }
    for column, key in _KEYS.items():
        section, _, word = key.partition("/")
        inner = said.get(section)
        row[column] = inner.get(word) if isinstance(inner, dict) else None
    return row
