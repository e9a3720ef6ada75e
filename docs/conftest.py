"""Code in the docs is run, page by page, each in a folder of its own."""

import os
import warnings

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def _setup(namespace):
    import tempfile

    namespace["_folder"] = tempfile.TemporaryDirectory()
    namespace["_back"] = os.getcwd()
    os.chdir(namespace["_folder"].name)
    warnings.simplefilter("error", category=__import__("sid_xarray").SidWarning)


def _teardown(namespace):
    os.chdir(namespace["_back"])
    namespace["_folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    excludes=["changes/*"],
    setup=_setup,
    teardown=_teardown,
).pytest()
