"""The front door: which reader a file wants, and what it gives, as nodes of a tree."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr

from sid_xarray.core.registry import Registry
from sid_xarray.errors import FormatError, MissingDependencyError, RegistryError, SidError, nearest, warn
from sid_xarray.io import _files, _nodes
from sid_xarray.io._names import safe_name
from sid_xarray.io.readers import TABLE, Reader
from sid_xarray.io.readers.source import Source

__all__ = ["READERS", "choose", "claims", "is_known", "is_part", "nodes", "open_one", "open_tree"]

READERS = Registry("reader", {name: f"sid_xarray.io.readers:{name.upper()}" for name in TABLE}, "sid_xarray.readers")
_BROKEN: set[str] = set()
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5", ".hf5", ".hdf", ".nxs", ".emd", ".hspy")
_OWN = ("nsid", "usid", "hdf5")
"""Readers of HDF5 that are doors of their own."""


def choose(head: bytes, path: str, name: str | None = None) -> Reader | None:
    """Return the reader for a file, or None if there is none.

    The first bytes decide, then the structure of what follows, then the suffix. Of several, the first whose package
    is installed.

    Parameters
    ----------
    head : bytes
        Up to 64 KiB from its start.
    path : str
    name : str, optional
        A name of the table, if the user says.

    Raises
    ------
    MissingDependencyError
        If it needs a package that is not installed.
    """
    if name is not None:
        return _installed([_named(name)])
    suffix = "." + path.lower().rpartition(".")[2]
    readers = _readers()
    found = [one for one in readers if _knows(one, head, path)]
    found.sort(key=lambda one: suffix not in one.suffixes)
    found += [one for one in readers if one.is_blind and suffix in one.suffixes]
    return _installed(found)


def _readers() -> list[Reader]:
    """Return every reader that there is; one of another package that is broken is named once, and passed over."""
    out = []
    for name in READERS:
        try:
            out.append(_named(name))
        except Exception as error:  # noqa: BLE001 - it is code of others
            _pass_over(name, error)
    return out


def _knows(one: Reader, head: bytes, path: str) -> bool:
    try:
        return one.knows(head, path)
    except Exception as error:  # noqa: BLE001 - it may be code of others, and looks at whatever there is
        _pass_over(one.name, error)
        return False


def _pass_over(name: str, error: Exception) -> None:
    if name not in _BROKEN:
        _BROKEN.add(name)
        warn(f"the reader {name!r} cannot be asked and is passed over: {type(error).__name__}: {error}")


def _named(name: str) -> Reader:
    try:
        found = READERS[name]
    except RegistryError:
        raise ValueError(f"no reader {name!r}.{nearest(name, [*READERS, *_OWN])}") from None
    if not isinstance(found, Reader):
        raise TypeError(f"the reader {name!r} of another package is {type(found).__name__}, expected Reader")
    return found


def _installed(found: list[Reader]) -> Reader | None:
    if not found:
        return None
    ready = next((one for one in found if one.is_installed), None)
    if ready is None:
        raise MissingDependencyError(found[0].needs, found[0].extra, f"reading this file ({found[0].title})")
    return ready


def nodes(
    where: Any, *, reader: str | None = None, group: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, xr.Dataset]:
    """Return what is in one file: a Dataset for every node.

    Parameters
    ----------
    where : path, address, open file, bytes or Source
    reader : str, optional
        A name of the table, ``"nsid"`` or ``"usid"``.
    group : str, optional
        Only this node, or this variable.
    options : mapping, optional
        For the reader.

    Raises
    ------
    FormatError
        If no reader knows it, or it is damaged.
    """
    if _files.is_many(where):
        return _all_nodes(open_tree(where, reader=reader, chunks=None, options=options or {}), group, str(where))
    source = _files.one(where)
    if not source.size:
        raise source.error("is empty: it has 0 bytes")
    if reader in _OWN or (reader is None and source.head.startswith(_HDF5)):
        try:
            return _from_hdf5(source, reader or "hdf5", group, options or {})
        except FormatError as error:
            with source.on_disk() as path:  # what is in an HDF5 file is seen by opening it
                found = choose(source.head, path) if reader is None else None
            if found is None:
                raise FormatError(source.path, error.where, error.why) from error
    else:
        found = choose(source.head, source.path, reader)
    if found is None and source.suffix in _HDF5_SUFFIXES:
        return _from_hdf5(source, "hdf5", group, options or {})  # which says what is wrong with it
    if found is None and _files.is_zip(source):
        return _all_nodes(open_tree(source, reader=None, chunks=None, options=options or {}), group, source.path)
    if found is None:
        raise _unknown(source)
    return _asked(_read(source, found, options or {}), group, source.path)


def _all_nodes(tree: xr.DataTree, group: str | None, path: str) -> dict[str, xr.Dataset]:
    found = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    found["/"].set_close(tree.close)
    return _asked(found, group, path)


def _unknown(source: Source) -> FormatError:
    """Return the error for a file that nobody knows: what its suffix promises, or how to say what it is."""
    promised = " or ".join(one.title for one in _readers() if source.suffix in one.suffixes)
    if promised:
        said = f"has the suffix of {promised}, but its content is not of that kind. It is damaged, or something else"
    else:
        said = "no reader knows it, neither by content nor by suffix"
    return source.error(f"{said}. If you know what it is, pass reader=... There are: {', '.join(READERS)}")


def _from_hdf5(source: Source, reader: str, group: str | None, options: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    module = {"hdf5": "sid_xarray.io.usid.both", "nsid": "sid_xarray.io.nsid.read", "usid": "sid_xarray.io.usid.read"}
    _no_more(reader, options, () if reader == "nsid" else ("fill",))
    read = importlib.import_module(module[reader]).open_groups
    if source.data is None:
        return dict(read(source.path, group=group, **options))
    with source.on_disk() as path:
        found: dict[str, xr.Dataset] = {key: ds.load() for key, ds in read(path, group=group, **options).items()}
        for ds in found.values():
            ds.close()
    return found


def _no_more(reader: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in options:
        if name not in known:
            raise TypeError(f"reader {reader!r} has no option {name!r}.{nearest(name, known)}")


def _read(source: Source, reader: Reader, options: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    function = reader.load()
    parameters = inspect.signature(function).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        _no_more(reader.name, options, [p.name for p in parameters if p.kind is p.KEYWORD_ONLY])
    try:
        found = function(source, **options)
        if isinstance(found, xr.DataTree):
            return dict(found.to_dict())
        from sid_xarray.io.readers._frame import nodes_of

        out = nodes_of(found, source, reader.name)
        if reader.closes is not None:
            out["/"].set_close(functools.partial(reader.close, source.path))
        return out
    except (SidError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        # Whatever a reader trips over, in this package or in that which it wraps, it is the file that is to blame.
        said = str(error).splitlines()[0] if str(error) else ""
        why = f"cannot be read as {reader.title}: {type(error).__name__}: {said}"
        raise source.error(f"{why}. It is damaged, or of a kind that is not known yet") from error


def _asked(found: dict[str, xr.Dataset], group: str | None, path: str) -> dict[str, xr.Dataset]:
    wanted = (group or "").strip("/")
    if not wanted:
        return found
    inside = {k: ds for k, ds in found.items() if f"{k.strip('/')}/".startswith(f"{wanted}/")}
    if inside:
        return {"/": xr.Dataset(attrs=found["/"].attrs)} | inside
    above, _, name = wanted.rpartition("/")
    ds = found.get(f"/{above}")
    if ds is not None and name in ds.data_vars:
        return {"/": xr.Dataset(attrs=found["/"].attrs)} | {f"/{above}": ds[[name]]}
    raise FormatError(path, group or "", f"there is no such group. There are {', '.join(found)}")


def claims(where: Any) -> bool:
    """Tell whether the first bytes of a file are those of one of our readers, whose files nobody else reads.

    Parameters
    ----------
    where : object
        Whatever xarray was asked to open.
    """
    if not isinstance(where, str | os.PathLike) or not os.path.isfile(where):
        return False
    with open(where, "rb") as file:
        head = file.read(64)
    return any(head.startswith(one.magic) for one in TABLE.values() if one.magic and not one.needs)


def open_one(where: Any, *, reader: str | None, chunks: Any, options: Mapping[str, Any]) -> xr.DataTree:
    """Open one file as a tree.

    Parameters
    ----------
    where : path, address, open file, bytes or Source
    reader : str, optional
    chunks : int, dict or "auto", optional
    options : mapping
        ``group`` and the options of the reader.
    """
    from sid_xarray.io.backends import SIDBackendEntrypoint

    options = dict(options)
    group = options.pop("group", None)
    xarrays = {k: options.pop(k) for k in ("drop_variables", "cache", "create_default_indexes") if k in options}
    # The readers bring the indexes that were saved; xarray would make them again, also where there were none.
    xarrays.setdefault("create_default_indexes", False)
    source = _files.one(where)
    # A path where there is one, so that xarray can tell when the file changes.
    target: Any = source.path if source.data is None else source
    return xr.open_datatree(
        target,
        engine=SIDBackendEntrypoint,
        chunks=chunks,
        group=group,
        reader=reader,
        reader_options=options or None,
        **xarrays,
    )


def open_tree(where: Any, *, reader: str | None, chunks: Any, options: Mapping[str, Any]) -> xr.DataTree:
    """Open a file, a folder, a pattern or an archive; several files make one tree, a node each.

    Parameters
    ----------
    where : path, address, open file or bytes
    reader : str, optional
    chunks : int, dict or "auto", optional
    options : mapping
    """
    if _files.is_many(where):
        files: list[tuple[str, Any]] = list(_files.files_in(where))
        return _together(files, str(where), reader, chunks, options)
    source = _files.one(where)
    if reader is None and _files.is_zip(source) and choose(source.head, source.path) is None:
        inside = [
            (name, unpack)
            for name, head, unpack in _files.members(source)
            if head(8) == _HDF5 or choose(head(2**16), name) is not None
        ]
        return _together(inside, source.path, reader, chunks, options)
    return open_one(source, reader=reader, chunks=chunks, options=options)


def _together(
    files: list[tuple[str, Any]], path: str, reader: str | None, chunks: Any, options: Mapping[str, Any]
) -> xr.DataTree:
    trees: dict[str, xr.DataTree] = {}
    problems: list[str] = []
    beside = {name.rpartition("/")[2].lower() for name, _ in files}
    for name, what in files:
        try:
            source = what() if callable(what) else _files.one(what)
            if reader is None and (not is_known(source) or is_part(source, beside)):
                continue
            tree = open_tree(source, reader=reader, chunks=chunks, options=options)
        except (OSError, MissingDependencyError) as error:  # damaged, not allowed, a link to nowhere
            problems.append(str(error))
            continue
        trees[_node(name, trees)] = tree
    if not trees:
        said = problems[0] if problems else "holds no file that a reader knows"
        raise FormatError(path, "", said)
    out = xr.DataTree.from_dict(dict(trees))
    if problems:
        root = xr.Dataset()
        warn(_nodes.note_problems(root, problems, path))
        out.attrs |= root.attrs
    return out


def is_known(source: Source) -> bool:
    """Tell whether a file is of a kind that can be opened, be it with a package that is not installed."""
    if source.head.startswith(_HDF5) or _files.is_zip(source):
        return True
    try:
        return choose(source.head, source.path) is not None
    except MissingDependencyError:
        return True


def is_part(source: Source, beside: Iterable[str]) -> bool:
    """Tell whether a file is opened with another one, which lies beside it.

    Parameters
    ----------
    source : Source
    beside : iterable of str
        Names of the files there, lower case.
    """
    series = re.match(r"(.*)_\d+\.ser$", source.name.lower())
    return series is not None and f"{series[1]}.emi" in beside


def _node(name: str, taken: Iterable[str]) -> str:
    """Return the path of a node for a file: without the suffix, if that tells it from the others."""
    parts = [safe_name(part, "file") for part in name.split("/")]
    short = "/".join([*parts[:-1], parts[-1].rpartition(".")[0] or parts[-1]])
    return short if short not in taken and not any(t.startswith(f"{short}/") for t in taken) else "/".join(parts)
