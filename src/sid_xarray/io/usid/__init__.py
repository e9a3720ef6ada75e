"""USID: spectroscopy and imaging data in HDF5, flattened to positions × spectroscopic points."""

from sid_xarray.io.usid.write import to_usid

__all__ = ["to_usid"]
