"""Filters that shrink values in HDF5: what a user may ask for, and what a file needs to be read."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import secrets
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import h5py
import numpy as np

from sid_xarray.errors import MissingDependencyError, nearest

__all__ = [
    "available",
    "by_dimension",
    "checked",
    "filters",
    "missing",
    "options",
    "registered",
    "whole",
    "with_filters",
]

T = TypeVar("T")

# Keywords of h5py for one variable.
_CREATION = ("chunks", "compression", "compression_opts", "shuffle", "fletcher32", "scaleoffset")

# How netCDF and xarray call the same.
_ALIASES = {"chunksizes": "chunks", "complevel": "compression_opts"}
_KEYWORDS = frozenset(("compression", "compression_opts", "shuffle", "fletcher32", "scaleoffset"))

# Filters of hdf5plugin that lose nothing: its class, what we ask of it, and whether bytes are shuffled before.
_PLUGINS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "bitshuffle": ("Bitshuffle", {"cname": "lz4"}, False),
    "blosc": ("Blosc", {"cname": "zstd", "clevel": 3, "shuffle": 2}, False),
    "blosc2": ("Blosc2", {"cname": "zstd", "clevel": 3, "filters": 2}, False),
    "bzip2": ("BZip2", {}, True),
    "lz4": ("LZ4", {}, True),
    "zstd": ("Zstd", {"clevel": 3}, True),
}
_NAMES = {
    307: "bzip2",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
    32033: "htj2k",
}
_PACKAGE = "hdf5plugin"
_PLUGINS_OF = {"bitshuffle": "bshuf", **{name: name for name in ("blosc", "blosc2", "bzip2", "lz4", "zstd")}}


def filters(dtype: np.dtype[Any], compression: str | int | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return keywords for ``create_dataset``.

    Parameters
    ----------
    dtype : dtype
    compression : {"auto", "gzip", "lzf", "blosc", "blosc2", "zstd", "lz4", "bitshuffle", "bzip2", None}, int or mapping
        ``"auto"``: shuffle and gzip 1 for integers and bool, which shrink well; nothing for float and complex,
        which do not. A number is a gzip level. A mapping holds ``compression`` and parameters of that filter, or
        is one of the objects of hdf5plugin.

    Raises
    ------
    ValueError
        If there is no such filter.
    MissingDependencyError
        If it needs hdf5plugin, which is not installed.
    """
    wide = dtype.itemsize > 1
    if isinstance(compression, Mapping):
        return _of_mapping(compression, wide)
    if compression is None or (compression == "auto" and dtype.kind not in "biu"):
        return {}
    if compression == "auto":
        return {"compression": "gzip", "compression_opts": 1, "shuffle": wide}
    if isinstance(compression, int) and not isinstance(compression, bool):
        if not 0 <= compression <= 9:
            raise ValueError(f"levels of gzip are 0 (none) to 9 (slow), got {compression}")
        return {"compression": "gzip", "compression_opts": compression, "shuffle": wide}
    if compression in ("gzip", "lzf"):
        return {"compression": compression, "shuffle": wide}
    if compression in _PLUGINS:
        return _of_plugin(str(compression), {}, wide)
    known = ("auto", "gzip", "lzf", *_PLUGINS)
    hint = nearest(compression, known) if isinstance(compression, str) else ""
    raise ValueError(
        f"compression is one of {', '.join(map(repr, known))}, a gzip level, None or a mapping, "
        f"got {compression!r}.{hint if 'mean' in hint else ''}"
    )


def _of_mapping(given: Mapping[str, Any], wide: bool) -> dict[str, Any]:
    found = dict(given)
    name = found.get("compression")
    if isinstance(name, str) and name in _PLUGINS and "compression_opts" not in found:
        del found["compression"]
        return _of_plugin(name, found, wide)
    unknown = [k for k in found if k not in _KEYWORDS]
    if unknown:
        raise ValueError(f"compression has {unknown[0]!r}; without a filter of hdf5plugin it can have {_listed()}")
    return found


def _listed() -> str:
    return ", ".join(sorted(_KEYWORDS))


def _of_plugin(name: str, given: dict[str, Any], wide: bool) -> dict[str, Any]:
    kind, defaults, shuffled = _PLUGINS[name]
    plugin = getattr(_plugins(f"compression={name!r}"), kind)
    takes = set(inspect.signature(plugin).parameters)
    own = {k: v for k, v in given.items() if k in takes}
    rest = {k: v for k, v in given.items() if k not in takes}
    unknown = [k for k in rest if k not in _KEYWORDS]
    if unknown:
        raise ValueError(f"{name} has no {unknown[0]!r}; it has {', '.join(sorted(takes))}")
    found = dict(plugin(**{**defaults, **own}))
    return {**found, **({"shuffle": wide} if shuffled else {}), **rest}


def _plugins(purpose: str) -> Any:
    try:
        return registered()
    except ImportError as error:
        raise MissingDependencyError(_PACKAGE, "filters", purpose) from error


def registered() -> Any:
    """Import the package, and have HDF5 take its filters: netCDF4 brings older ones, which win if they are first."""
    package = importlib.import_module(_PACKAGE)
    _force(package)
    return package


@functools.cache
def _force(package: Any) -> None:
    there = package.get_config().registered_filters
    wanted = tuple(name for name in _PLUGINS_OF.values() if there.get(name, "unknown") == "unknown")
    if wanted:
        with contextlib.suppress(RuntimeError):  # an open dataset uses the older one, so it can
            package.register(wanted, force=True)


def options(
    dtype: np.dtype[Any],
    compression: str | int | Mapping[str, Any] | None,
    own: Mapping[str, Any],
) -> tuple[dict[str, Any], bool]:
    """Return the filters of one variable, and what else was asked for it, as keywords of ``create_dataset``.

    Parameters
    ----------
    dtype : dtype
    compression : str, int, mapping or None
        What holds for all, see `filters`.
    own : mapping
        What was asked for this one: keywords of h5py, those of netCDF (``chunksizes``, ``zlib``, ``complevel``), and
        parameters of the filter. It goes before.

    Returns
    -------
    keywords : dict
    asked : bool
        Whether the user asked for a filter.

    Raises
    ------
    ValueError
        If there is no such filter or parameter.
    MissingDependencyError
        If it needs hdf5plugin, which is not installed.
    """
    given = {_ALIASES.get(k, k): v for k, v in own.items()}
    if given.pop("zlib", False):
        given.setdefault("compression", "gzip")
    chunks = {"chunks": given.pop("chunks")} if "chunks" in given else {}
    if "compression" in given:
        return {**_of_own(dtype, given), **chunks}, True
    unknown = [k for k in given if k not in _CREATION]
    if unknown:
        raise ValueError(f"encoding has {unknown[0]!r}; it can have {', '.join(_CREATION)}, and what its filter takes")
    found = filters(dtype, compression)
    return {**found, **given, **chunks}, bool(given) or (compression != "auto" and bool(found))


def _of_own(dtype: np.dtype[Any], given: dict[str, Any]) -> dict[str, Any]:
    word = given.pop("compression")
    if not given:
        return filters(dtype, word)
    if word is None:
        given.pop("compression_opts", None)
        return filters(dtype, given)
    if isinstance(word, Mapping):
        return filters(dtype, {**word, **given})
    if isinstance(word, int) and not isinstance(word, bool) and word <= 9:  # larger ones are numbers of filters
        word, given = "gzip", {"compression_opts": word, **given}
    if word in ("gzip", "lzf") and "scaleoffset" not in given:
        given.setdefault("shuffle", dtype.itemsize > 1)
    return filters(dtype, {"compression": word, **given})


def by_dimension(chunks: Any, sizes: Mapping[Hashable, int]) -> Any:
    """Return chunks that were given by dimension in the order of the dimensions; others as they are.

    Parameters
    ----------
    chunks : sequence or mapping
        Dimensions that are not named, and those of -1, are not cut.
    sizes : mapping
        Of the dimensions of the variable.

    Raises
    ------
    ValueError
        If a dimension is named that is not there.
    """
    if not isinstance(chunks, Mapping):
        return chunks
    unknown = [d for d in chunks if d not in sizes]
    if unknown:
        raise ValueError(f"chunks name the dimension {unknown[0]!r}; there are {', '.join(map(repr, sizes)) or 'none'}")
    return tuple(n if chunks.get(d, -1) in (-1, None) else min(int(chunks[d]), n) for d, n in sizes.items())


def checked(keywords: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Let HDF5 itself say whether it takes keywords of ``create_dataset``, in a file that is nowhere.

    Raises
    ------
    ValueError
        If it does not.
    """
    if keywords:
        try:
            with h5py.File(f"try-{secrets.token_hex(8)}", "w", driver="core", backing_store=False) as file:
                file.create_dataset("try", shape=shape, dtype=dtype, **keywords)
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise ValueError(f"HDF5 does not take {keywords}: {error}") from error
    return keywords


def available(code: int) -> bool:
    """Tell whether values that went through a filter can be read; hdf5plugin is imported if it may help."""
    if h5py.h5z.filter_avail(code):
        return True
    try:
        _plugins("")
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def missing(dataset: h5py.Dataset) -> str:
    """Say which filter is missing that a dataset needs; empty if all are there."""
    for code, name in _codes(dataset):
        if not available(code):
            called = _NAMES.get(code) or name or "of no name"
            hint = "Type: pip install 'sid-xarray[filters]'" if code in _NAMES else "Install its HDF5 plugin"
            return f"is compressed by the filter {called} ({code}), which is not installed. {hint}"
    return ""


def _codes(dataset: h5py.Dataset) -> list[tuple[int, str]]:
    """Return number and name of every filter of a dataset; none where they cannot be told."""
    try:
        plist = dataset.id.get_create_plist()
        found = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    except Exception:  # noqa: BLE001 - a damaged dataset says so when it is read; h5py raises anything
        return []
    return [(int(code), name.decode(errors="replace")) for code, _, _, name in found]


def with_filters(dataset: h5py.Dataset, read: Callable[[], T]) -> T:
    """Read; where that fails for want of a filter, import the package that has it, and read again.

    Raises
    ------
    OSError
        If the filter is not installed; it says what to install.
    """
    try:
        return read()
    except OSError as error:
        codes = [code for code, _ in _codes(dataset)]
        if all(h5py.h5z.filter_avail(code) for code in codes):
            # One that is there may be an older one, which cannot do all: see `registered`.
            if not any(code in _NAMES for code in codes) or not _can_register():
                raise
            return read()
        why = missing(dataset)
        if why:
            raise OSError(why) from error
        return read()


def _can_register() -> bool:
    try:
        registered()
    except ImportError:
        return False
    return True


def whole(dataset: h5py.Dataset) -> Any:
    """Return all values of a dataset, as h5py gives them; see `with_filters`."""
    values = with_filters(dataset, lambda: dataset[()])
    return values[()] if isinstance(values, np.ndarray) and values.ndim == 0 else values
