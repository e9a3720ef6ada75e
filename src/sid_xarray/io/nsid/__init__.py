"""NSID: N-dimensional spectroscopy and imaging data in HDF5."""

from sid_xarray.io.nsid.write import to_nsid

__all__ = ["to_nsid"]
