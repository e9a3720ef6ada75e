"""Versions of packages: recorded with the steps, and here now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sid_xarray.core.history import agents, version_here
from sid_xarray.core.provenance import Provenance

__all__ = ["Environment", "Package", "environment"]


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes
    ----------
    name : str
    recorded : tuple of str
        Versions that steps were made with, the oldest step first; empty if the history does not say.
    here : str or None
        The version that is installed here; None if it is not.
    """

    name: str
    recorded: tuple[str, ...]
    here: str | None

    @property
    def differs(self) -> bool:
        """Whether a step was made with another version than the one here."""
        return any(version != self.here for version in self.recorded)


class Environment(tuple[Package, ...]):
    """Packages at work; the repr is a table that marks what differs."""

    __slots__ = ()

    @property
    def differences(self) -> Environment:
        """Only the packages of which a step was made with another version."""
        return Environment(package for package in self if package.differs)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain data, by package."""
        return {p.name: {**asdict(p), "recorded": list(p.recorded), "differs": p.differs} for p in self}

    def __repr__(self) -> str:
        rows = [
            ("package", "recorded", "here"),
            *((p.name, _said(p.recorded), p.here or "not installed") for p in self),
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        marks = ["", *("  differs" if p.differs else "" for p in self)]
        cells = ("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join((line + mark).rstrip() for line, mark in zip(cells, marks, strict=True))


def _said(versions: tuple[str, ...]) -> str:
    return ", ".join(versions) or "not recorded"


def environment(history: Provenance) -> Environment:
    """Versions of Python and the packages at work: recorded with the steps, and here now.

    Parameters
    ----------
    history : Provenance

    Returns
    -------
    Environment
        One row a package: ``name, recorded, here, differs``. ``.differences`` keeps those that are not the same:
        with other versions, a replay may give other last digits.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> history = sid.datasets.peak_map().sid.rebin(energy=2).sid.provenance
    >>> history.environment().differences
    package  recorded  here
    """
    found: dict[str, dict[str, None]] = {package: {} for package in agents()}
    for step in history:
        for package, version in step.agents.items():
            found.setdefault(package, {})[version] = None
    return Environment(Package(name, tuple(said), _here(name)) for name, said in found.items())


def _here(package: str) -> str | None:
    version = version_here(package)
    return None if version == "unknown" else version
