"""The door through which xarray reaches USID files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

__all__ = ["USIDBackendEntrypoint"]


class USIDBackendEntrypoint(BackendEntrypoint):
    """USID files for ``xr.open_dataset(path, engine="usid", group=...)`` and ``xr.open_datatree``."""

    description = "USID: spectroscopy and imaging data of microscopes in HDF5, as rows and columns"
    url = "https://github.com/pycroscopy/pyUSID"
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
            If nothing there is USID, or several groups are.
        """
        from sid_xarray.errors import FormatError
        from sid_xarray.io.usid.read import open_groups

        path = os.fspath(filename_or_obj)
        found = {k: v for k, v in open_groups(path, group=group, exact=True).items() if v.data_vars}
        if len(found) != 1:
            listed = ", ".join(found) or "none"
            hint = f"name one: group={next(iter(found))!r}" if found else "name another"
            raise FormatError(path, group or "", f"holds {len(found)} groups with arrays, {hint}. There are: {listed}")
        return next(iter(found.values())).drop_vars(_dropped(drop_variables), errors="ignore")

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> dict[str, xr.Dataset]:
        """Open every group."""
        from sid_xarray.io.usid.read import open_groups

        found = open_groups(os.fspath(filename_or_obj), group=group)
        return {k: v.drop_vars(_dropped(drop_variables), errors="ignore") for k, v in found.items()}

    def open_datatree(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> xr.DataTree:
        """Open the whole file as a tree."""
        found = self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables, group=group)
        return xr.DataTree.from_dict(found)


def _dropped(names: str | Iterable[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())
