"""The doors through which xarray reaches USID files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

__all__ = ["HDF5BackendEntrypoint", "USIDBackendEntrypoint"]


class USIDBackendEntrypoint(BackendEntrypoint):
    """USID files for ``xr.open_dataset(path, engine="usid", group=...)`` and ``xr.open_datatree``."""

    description = "USID: spectroscopy and imaging data of microscopes in HDF5, as rows and columns"
    url = "https://github.com/pycroscopy/pyUSID"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group")
    supports_groups = True

    def _groups(self, path: str, group: str | None, *, exact: bool = False) -> dict[str, xr.Dataset]:
        from sid_xarray.io.usid.read import open_groups

        return open_groups(path, group=group, exact=exact)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Never guess: netCDF4 claims every HDF5 file; ``sid.open`` is the front door."""
        return False

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> xr.Dataset:
        """Open one group; the only one, if none is named.

        Raises
        ------
        FormatError
            If nothing there is USID, or several groups are.
        """
        from sid_xarray.errors import FormatError

        path = os.fspath(filename_or_obj)
        found = {k: v for k, v in self._groups(path, group, exact=True).items() if v.data_vars}
        if len(found) != 1:
            listed = ", ".join(found) or "none"
            hint = f"name one: group={next(iter(found))!r}" if found else "name another"
            raise FormatError(path, group or "", f"holds {len(found)} groups with arrays, {hint}. There are: {listed}")
        return _without(next(iter(found.values())), drop_variables)

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> dict[str, xr.Dataset]:
        """Open every group."""
        found = self._groups(os.fspath(filename_or_obj), group)
        return {k: _without(v, drop_variables) for k, v in found.items()}

    def open_datatree(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> xr.DataTree:
        """Open the whole file as a tree."""
        found = self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables, group=group)
        tree = xr.DataTree.from_dict(found)
        # The Datasets were copied on their way into the tree, and a copy does not close the file.
        tree.set_close(found["/"]._close)
        return tree


class HDF5BackendEntrypoint(USIDBackendEntrypoint):
    """NSID and USID, whichever a file holds, or both."""

    description = "NSID and USID: spectroscopy and imaging data of microscopes in HDF5"

    def _groups(self, path: str, group: str | None, *, exact: bool = False) -> dict[str, xr.Dataset]:
        from sid_xarray.io.usid.both import open_groups

        return open_groups(path, group=group, exact=exact)


def _without(ds: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    if not names:
        return ds
    out = ds.drop_vars([names] if isinstance(names, str) else list(names), errors="ignore")
    out.set_close(ds._close)
    return out
