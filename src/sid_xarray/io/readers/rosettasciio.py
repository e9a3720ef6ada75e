"""Electron microscopes and spectrometers, by rosettasciio (GPL: an optional package, imported when it is used).

What is known to go wrong is put right here: what an axis is comes from its units and its name, never from the mark
``navigate``; ``index_in_array`` counts only if the sizes fit; formats that are not lazy, or wrong when they are, are
read at once.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sid_xarray.errors import FormatError, MissingDependencyError
from sid_xarray.io.readers import _em_guard, _rosetta_axes, _rosetta_metadata
from sid_xarray.io.readers.em_formats import PLUGINS, plugin_of
from sid_xarray.io.readers.signal import Signal
from sid_xarray.io.readers.source import Source

__all__ = ["RereadArray", "read"]

# Lazy values of these are wrong (PantaRhei: a packed part is mapped as if it were not), so they are read at once.
_EAGER = frozenset({"pantarhei"})
_LOCK = threading.RLock()
_OPEN: OrderedDict[tuple[Any, ...], list[dict[str, Any]]] = OrderedDict()
_MOST_OPEN = 4


def read(source: Source, *, plugin: str | None = None, **options: Any) -> Iterator[Signal]:
    """Read every signal of a file.

    Parameters
    ----------
    source : Source
    plugin : str, optional
        Of rosettasciio, such as ``"digitalmicrograph"``; told from the file by default.
    **options
        For the ``file_reader`` of the plug-in.

    Yields
    ------
    Signal
        Lazy where the plug-in is; signal axes last.

    Raises
    ------
    FormatError
        If the plug-in cannot read it.
    """
    name = plugin or _plugin(source)
    if name is None:
        raise source.error(f"no plug-in of rosettasciio is known for it. Name one: plugin= {', '.join(PLUGINS)}")
    if re.fullmatch(r"[a-z_0-9]+", name) is None:
        raise ValueError(f"plugin should be a name such as 'digitalmicrograph', got {name!r}")
    _check_companion(source, name)
    _em_guard.check(source, name)
    where, only = _whole_set(source, name)
    with where.on_disk(*_companions(where), suffix=next(iter(PLUGINS.get(name, ())), "")) as path:
        lazy = where.data is None and name not in _EAGER
        key = (name, path, (where.size, where.mtime), tuple(sorted(options.items())), lazy)
        signals = _signals_of(key)
        if only is not None and only >= len(signals):
            raise source.error(f"is not among the {len(signals)} series that {where.name} names")
        for number, found in enumerate(signals):
            if only is None or number == only:
                signal = _signal(found, number, key, name, 1 if only is not None else len(signals))
                if signal is not None:
                    yield signal


def _plugin(source: Source) -> str | None:
    if source.data is None or not source.head.startswith(b"\x89HDF"):
        return plugin_of(source.head, source.path)
    with source.on_disk() as path:  # what is in an HDF5 file is seen by opening it
        return plugin_of(source.head, path)


def _check_companion(source: Source, plugin: str) -> None:
    if plugin != "empad":
        return
    raw = re.search(rb"<raw_file[^>]*filename=\"([^\"]+)\"", source.head)
    name = os.path.basename(raw[1].decode("latin-1").replace("\\", "/")) if raw else ""
    if source.beside(name) is None:
        raise source.error(f"needs its file of values {name!r} beside it")


def _whole_set(source: Source, plugin: str) -> tuple[Source, int | None]:
    """Return the file to open, and which of its signals is wanted: of TIA the ``.emi`` knows what a ``.ser`` means."""
    series = re.match(r"(.*)_(\d+)\.ser$", source.name, re.IGNORECASE)
    if plugin != "tia" or series is None or source.data is not None:
        return source, None
    emi = source.beside(f"{series[1]}.emi")
    if emi is None:
        return source, None
    folder = os.path.dirname(source.path)
    beside = sorted(n for n in os.listdir(folder) if re.match(rf"{re.escape(series[1])}_\d+\.ser$", n))
    return (emi, beside.index(source.name)) if source.name in beside else (source, None)


def _companions(source: Source) -> list[str]:
    stem = source.name.rpartition(".")[0]
    return [f"{stem}.hdr", f"{stem}.raw", f"{stem}.emi", re.sub(r"_\d+$", "", stem) + ".emi"]


def _signals_of(key: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return the signals of a file; the last few files stay open, since values are asked for piece by piece."""
    name, path, _, options, lazy = key
    with _LOCK:
        if key in _OPEN:
            _OPEN.move_to_end(key)
            return _OPEN[key]
        found = _file_reader(name, path, dict(options), lazy)
        if lazy:
            _OPEN[key] = found
            while len(_OPEN) > _MOST_OPEN:
                _OPEN.popitem(last=False)
        return found


def _file_reader(name: str, path: str, options: dict[str, Any], lazy: bool) -> list[dict[str, Any]]:
    try:
        reader = importlib.import_module(f"rsciio.{name}").file_reader
        for handler in logging.getLogger("rsciio").handlers:
            handler.addFilter(_is_of_use)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), "em", f"the plug-in {name!r} of rosettasciio") from error
    try:
        if lazy:
            try:
                return list(reader(path, lazy=True, **options))
            except ModuleNotFoundError:
                raise
            except Exception:  # noqa: BLE001 - 18 plug-ins raise one thing or another when they are asked to be lazy
                return list(reader(path, **options))
        return list(reader(path, **options))
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), "em", f"reading this file by rosettasciio ({name})") from error


def _is_of_use(record: logging.LogRecord) -> bool:
    """Tell whether a remark is for our users: which classes of HyperSpy are not installed is none of it."""
    return not record.getMessage().startswith("Cannot find package")


def forget(path: str) -> None:
    """Close what is open of a file."""
    with _LOCK:
        gone = [k for k in _OPEN if k[1] == path]
        for key in gone:
            del _OPEN[key]
    if any(key[0] in _em_guard.HDF5 for key in gone):
        gc.collect()  # their handles hang in circles; nobody offers a way to close them


def _signal(found: Mapping[str, Any], number: int, key: tuple[Any, ...], plugin: str, count: int) -> Signal | None:
    data = found["data"]
    if data.dtype.kind in "OSUV" and not data.dtype.names:
        return None  # ragged arrays and text are no signals
    axes, order = _rosetta_axes.axes_of(found.get("axes") or [], data.shape, plugin)
    fields = data.dtype.names
    if fields:
        axes.append(xr.Variable(("channel",), np.arange(len(fields), dtype=float), {"units": "1"}))
    values: Any
    if isinstance(data, np.ndarray):
        values = np.stack([data[f] for f in fields], axis=-1) if fields else data
        values = values.transpose(*order, *([data.ndim] if fields else []))
    else:
        values = RereadArray(key, number, data, order)
    said = _rosetta_metadata.said(found, plugin)
    title = said.title or said.quantity or ("" if count == 1 else f"signal_{number}")
    return Signal(
        title or "signal",
        values,
        axes,
        said.units,
        quantity=said.quantity or None,
        title=said.title or None,
        modality=said.modality or None,
        metadata=said.common,
        original=_rosetta_metadata.original(found),
    )


class RereadArray(BackendArray):
    """Values of one signal: its file is opened again wherever they are asked for, so they pickle and travel.

    Parameters
    ----------
    key : tuple
        Plug-in, path, identity of the file, options.
    number : int
        Of the signal in the file.
    data : dask array
        As the plug-in gave it, for shape, dtype and chunks.
    order : tuple of int
        Dimensions of the plug-in in the order that we show them in.
    """

    def __init__(self, key: tuple[Any, ...], number: int, data: Any, order: tuple[int, ...]) -> None:
        self.key, self.number, self.order = key, number, order
        self.fields = data.dtype.names
        self.shape = tuple(data.shape[i] for i in order) + ((len(self.fields),) if self.fields else ())
        self.dtype = np.dtype(data.dtype[0] if self.fields else data.dtype)
        self.dtype = self.dtype.newbyteorder("=")
        self.chunks = tuple(max(data.chunks[i]) for i in order) + ((len(self.fields),) if self.fields else ())

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        path, identity = self.key[1], self.key[2]
        try:
            found = os.stat(path)
        except FileNotFoundError:
            raise FormatError(path, "", "the file is not there any more") from None
        if (found.st_size, found.st_mtime_ns) != identity:
            raise FormatError(path, "", "the file was changed since it was opened. Open it again.")
        ndim = len(self.order)
        # Numbers become slices, so that dimensions stay where they are until the end.
        wide = tuple(slice(k, k + 1) if isinstance(k, int | np.integer) else k for k in key[:ndim])
        stored: list[Any] = [slice(None)] * ndim
        for here, there in enumerate(self.order):
            stored[there] = wide[here]
        try:
            with _LOCK:
                part = _signals_of(self.key)[self.number]["data"][tuple(stored)]
                values = np.asarray(part.compute(scheduler="synchronous") if hasattr(part, "compute") else part)
        except (FormatError, MissingDependencyError):
            raise
        except Exception as error:
            raise FormatError(path, "", f"values cannot be read: {type(error).__name__}: {error}") from error
        values = values.transpose(self.order)
        if self.fields:
            values = np.stack([values[f] for f in self.fields], axis=-1)
        values = values[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key[:ndim])]
        if self.fields:
            values = values[(..., key[-1])]
        return np.ascontiguousarray(values.astype(self.dtype, copy=False))
