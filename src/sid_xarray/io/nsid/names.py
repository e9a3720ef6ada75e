"""Names that arrays had before a group needed one."""

from __future__ import annotations

from collections.abc import Hashable

import h5py

from sid_xarray.io import _h5
from sid_xarray.io.nsid import model
from sid_xarray.io.nsid.layout import MODEL_GROUP

__all__ = ["original_name"]


def original_name(path: str, group: str) -> tuple[bool, Hashable]:
    """Return whether a group was written from a DataArray, and the name that this had."""
    source = _h5.manager(path)
    with _h5.opened(source, path) as file:
        found = _h5.find(file, group) if group else None
        if not isinstance(found, h5py.Group) or MODEL_GROUP not in found:
            return False, None
        return model.array_name(found, path, group)
