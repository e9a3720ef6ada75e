"""Names that arrays had before a group needed one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import h5py

from sid_xarray.errors import FormatError, MetadataError
from sid_xarray.io import _h5
from sid_xarray.io.nsid import model
from sid_xarray.io.nsid.tags import untagged

__all__ = ["original_name"]


def original_name(
    path: str, group: str, *, load: Callable[[h5py.Group, str, str], dict[str, Any]] = model.load
) -> tuple[bool, Hashable]:
    """Return whether a group was written from a DataArray, and the name that this had.

    Parameters
    ----------
    path : str
        The file.
    group : str
    load : callable
        Reads the model of the format.
    """
    source = _h5.manager(path)
    with _h5.opened(source, path) as file:
        found = _h5.find(file, group) if group else None
        if not isinstance(found, h5py.Group):
            return False, None
        try:
            plan = load(found, path, group)
            return bool(plan.get("array")), untagged(plan.get("name"))
        except (FormatError, MetadataError):
            return False, None
