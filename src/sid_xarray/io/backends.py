"""Doors through which xarray reaches us."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

__all__ = ["NSIDBackendEntrypoint"]


class NSIDBackendEntrypoint(BackendEntrypoint):
    """NSID files for ``xr.open_dataset(path, engine="nsid", group=...)`` and ``xr.open_datatree``."""

    description = "NSID: spectroscopy and imaging data of microscopes in HDF5"
    url = "https://github.com/pycroscopy/pyNSID"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group")
    supports_groups = True

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
            If nothing there is NSID, or several groups are.
        """
        from sid_xarray.errors import FormatError
        from sid_xarray.io.nsid.read import open_groups

        path = os.fspath(filename_or_obj)
        groups = open_groups(path, group=group, exact=True)
        found = {k: v for k, v in groups.items() if v.data_vars} or {k: v for k, v in groups.items() if v.coords}
        if len(found) != 1:
            listed = ", ".join(found) or "none"
            hint = f"name one: group={next(iter(found))!r}" if found else "name another"
            raise FormatError(path, group or "", f"holds {len(found)} groups with arrays, {hint}. There are: {listed}")
        return _without(next(iter(found.values())), drop_variables)

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> dict[str, xr.Dataset]:
        """Open every group."""
        from sid_xarray.io.nsid.read import open_groups

        found = open_groups(os.fspath(filename_or_obj), group=group)
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


def _without(ds: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    if not names:
        return ds
    out = ds.drop_vars([names] if isinstance(names, str) else list(names), errors="ignore")
    out.set_close(ds._close)
    return out
