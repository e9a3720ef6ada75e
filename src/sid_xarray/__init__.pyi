from . import datasets as datasets
from . import errors as errors
from . import testing as testing
from .api import ls as ls
from .api import open as open  # noqa: A004
from .api import open_dataarray as open_dataarray
from .api import save as save
from .api import show_versions as show_versions
from .core.check import check as check
from .core.create import dataarray as dataarray
from .errors import FormatError as FormatError
from .errors import SidError as SidError
from .errors import SidWarning as SidWarning
from .io.interop import from_hyperspy as from_hyperspy
from .io.interop import from_sidpy as from_sidpy
from .options import set_options as set_options
from .results import results as results
from .version import __version__ as __version__
