"""The version of the library."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("sid-xarray")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
