"""What can go wrong, by name. Every error is also a builtin, so that plain ``except ValueError`` works."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Iterable

__all__ = [
    "AlignmentError",
    "DimensionError",
    "FormatError",
    "MetadataError",
    "MissingDependencyError",
    "ModelError",
    "ProvenanceError",
    "RegistryError",
    "SidError",
    "SidWarning",
    "TraceError",
    "UnitsError",
    "nearest",
    "warn",
]


class SidError(Exception):
    """Base of all errors of this library."""


class DimensionError(SidError, ValueError):
    """A dimension is missing, ambiguous, or of the wrong type."""


class AlignmentError(SidError, ValueError):
    """Two arrays do not lie on the same grid."""


class UnitsError(SidError, ValueError):
    """Units are unreadable or do not fit together."""


class ModelError(SidError, ValueError):
    """A fit model is unknown or cannot be read."""


class MetadataError(SidError, ValueError):
    """Metadata that cannot be stored or parsed."""


class ProvenanceError(SidError, ValueError):
    """A history that is damaged or cannot be used."""


class TraceError(ProvenanceError, TypeError):
    """Something that ``da.sid.trace`` cannot write into a history."""


class RegistryError(SidError, LookupError):
    """A name that no reader, view or verb has."""


class MissingDependencyError(SidError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package!r}, which is not installed. Type: pip install 'sid-xarray[{extra}]'"
        )


class FormatError(SidError, OSError):
    """A file that cannot be read as what it says it is.

    Parameters
    ----------
    path : str
        The file.
    where : str
        Place inside the file, for instance an HDF5 path; empty for the file as a whole.
    why : str
        What is wrong, and what to do about it.
    """

    def __init__(self, path: object, where: str, why: str) -> None:
        self.path, self.where, self.why = str(path), where, why
        super().__init__(path, where, why)

    def __str__(self) -> str:
        place = f"{self.path}{f' [{self.where}]' if self.where else ''}"
        return f"{place}: {self.why}" if place else self.why


class SidWarning(UserWarning):
    """Something was repaired, guessed or left out, and the result is still right."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``" Did you mean 'gaussian'?"`` or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(names) or 'none'}."


_HOME = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn(text: str) -> None:
    """Warn with a `SidWarning` that points at the line of the user, however deep inside we are."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, SidWarning, stacklevel=level)
