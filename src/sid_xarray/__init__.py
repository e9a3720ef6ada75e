"""Spectroscopy and imaging data of microscopes, on plain xarray objects.

``import sid_xarray as sid`` adds ``.sid`` to DataArray, Dataset and DataTree.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

from sid_xarray.accessors import dataarray as _dataarray  # noqa: E402, F401 - registers .sid
from sid_xarray.accessors import dataset as _dataset  # noqa: E402, F401
from sid_xarray.accessors import datatree as _datatree  # noqa: E402, F401
