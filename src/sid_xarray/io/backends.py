"""Doors through which xarray reaches us."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import xarray as xr
from xarray.backends import BackendEntrypoint

__all__ = ["OWN", "HDF5BackendEntrypoint", "NSIDBackendEntrypoint", "SIDBackendEntrypoint", "USIDBackendEntrypoint"]


class HDF5BackendEntrypoint(BackendEntrypoint):
    """NSID and USID, whichever a file holds, or both: what ``sid.open`` uses."""

    description = "NSID and USID: spectroscopy and imaging data of microscopes in HDF5"
    url = "https://github.com/pycroscopy"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group", "fill")
    supports_groups = True
    reader: ClassVar[str] = "sid_xarray.io.usid.both"
    """Module whose ``open_groups`` reads; imported when a file is opened."""

    def _groups(self, path: Any, group: str | None, fill: Any, *, exact: bool = False) -> dict[str, xr.Dataset]:
        options = {} if fill is None else {"fill": fill}
        found: dict[str, xr.Dataset] = importlib.import_module(self.reader).open_groups(
            os.fspath(path), group=group, exact=exact, **options
        )
        return found

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Never guess: netCDF4 claims every HDF5 file; ``sid.open`` is the front door."""
        return False

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        fill: Any = None,
    ) -> xr.Dataset:
        """Open one group; the only one, if none is named.

        Raises
        ------
        FormatError
            If nothing there can be read, or several groups can.
        """
        groups = self._groups(filename_or_obj, group, fill, exact=True)
        return _without(_only(groups, filename_or_obj, group), drop_variables)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        fill: Any = None,
    ) -> dict[str, xr.Dataset]:
        """Open every group."""
        return {k: _without(v, drop_variables) for k, v in self._groups(filename_or_obj, group, fill).items()}

    def open_lazy_groups(
        self,
        path: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        fill: Any = None,
    ) -> dict[str, xr.Dataset]:
        """Open every group as ``xarray.open_groups`` does when nothing special is asked for, and quicker."""
        from sid_xarray.io._assemble import cached

        found = self.open_groups_as_dict(path, drop_variables=drop_variables, group=group, fill=fill)
        for ds in found.values():
            cached(ds)
        found["/"].encoding.setdefault("source", os.path.abspath(os.path.expanduser(os.fspath(path))))
        return found

    def open_lazy_tree(
        self,
        path: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        fill: Any = None,
    ) -> xr.DataTree:
        """Open the whole file as ``xarray.open_datatree`` does when nothing special is asked for, and quicker."""
        from sid_xarray.io._pause import paused

        with paused():
            return _tree(self.open_lazy_groups(path, drop_variables=drop_variables, group=group, fill=fill))

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        fill: Any = None,
    ) -> xr.DataTree:
        """Open the whole file as a tree."""
        return _tree(self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables, group=group, fill=fill))


class NSIDBackendEntrypoint(HDF5BackendEntrypoint):
    """NSID files for ``xr.open_dataset(path, engine="nsid", group=...)`` and ``xr.open_datatree``."""

    description = "NSID: spectroscopy and imaging data of microscopes in HDF5"
    url = "https://github.com/pycroscopy/pyNSID"
    reader = "sid_xarray.io.nsid.read"

    def _groups(self, path: Any, group: str | None, fill: Any, *, exact: bool = False) -> dict[str, xr.Dataset]:
        # NSID has no scans with holes; the option is there for readers of both.
        return super()._groups(path, group, None, exact=exact)


class USIDBackendEntrypoint(HDF5BackendEntrypoint):
    """USID files for ``xr.open_dataset(path, engine="usid", group=...)`` and ``xr.open_datatree``."""

    description = "USID: spectroscopy and imaging data of microscopes in HDF5, as rows and columns"
    url = "https://github.com/pycroscopy/pyUSID"
    reader = "sid_xarray.io.usid.read"


class SIDBackendEntrypoint(BackendEntrypoint):
    """Every file that ``sid.open`` opens, for ``xr.open_dataset(path, engine="sid")`` and ``xr.open_datatree``."""

    description = "Files of microscopes: scanning probes, electron microscopes, spectrometers"
    url = "https://sid-xarray.readthedocs.io"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group", "reader", "reader_options")
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Claim what the first bytes tell beyond doubt; never HDF5, zip or plain images."""
        from sid_xarray.io import door

        return door.claims(filename_or_obj)

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        reader: str | None = None,
        reader_options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Open one group; the only one, if none is named.

        Raises
        ------
        FormatError
            If nothing there can be read, or several groups can.
        """
        groups = self.open_groups_as_dict(filename_or_obj, group=group, reader=reader, reader_options=reader_options)
        return _without(_only(groups, filename_or_obj, group), drop_variables)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        reader: str | None = None,
        reader_options: Mapping[str, Any] | None = None,
    ) -> dict[str, xr.Dataset]:
        """Open every group."""
        from sid_xarray.io import door

        found = door.nodes(filename_or_obj, reader=reader, group=group, options=reader_options)
        return {k: _without(v, drop_variables) for k, v in found.items()}

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        reader: str | None = None,
        reader_options: Mapping[str, Any] | None = None,
    ) -> xr.DataTree:
        """Open the whole file as a tree."""
        found = self.open_groups_as_dict(
            filename_or_obj, drop_variables=drop_variables, group=group, reader=reader, reader_options=reader_options
        )
        tree = xr.DataTree.from_dict(found)
        tree.set_close(found["/"]._close)
        return tree


def _only(groups: dict[str, xr.Dataset], path: Any, group: str | None) -> xr.Dataset:
    from sid_xarray.errors import FormatError

    found = {k: v for k, v in groups.items() if v.data_vars} or {k: v for k, v in groups.items() if v.coords}
    if len(found) != 1:
        listed = ", ".join(found) or "none"
        hint = f"name one: group={next(iter(found))!r}" if found else "name another"
        why = f"holds {len(found)} groups with arrays, {hint}. There are: {listed}"
        raise FormatError(path, group or "", why)
    return next(iter(found.values()))


def _tree(found: dict[str, xr.Dataset]) -> xr.DataTree:
    from sid_xarray.io._assemble import tree

    out = tree(found)
    # The Datasets were copied on their way into the tree, and a copy does not close the file.
    out.set_close(found["/"]._close)
    return out


def is_hdf5(path: Any) -> bool:
    """Tell whether a path is that of a file that begins as HDF5 does."""
    if not isinstance(path, str | os.PathLike) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


OWN: dict[str | None, type[HDF5BackendEntrypoint]] = {
    None: HDF5BackendEntrypoint,
    "nsid": NSIDBackendEntrypoint,
    "usid": USIDBackendEntrypoint,
}
"""Engines of the formats of this library, by the name that users give."""


def _without(ds: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    if not names:
        return ds
    out = ds.drop_vars([names] if isinstance(names, str) else list(names), errors="ignore")
    out.set_close(ds._close)
    return out
