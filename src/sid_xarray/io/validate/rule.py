"""Rules: a code, what it means, what readers do, how to repair it, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from sid_xarray.core.check import Finding

__all__ = ["EFFECTS", "FileFinding", "Look", "Rule", "Table"]

EFFECTS: dict[str, str] = {
    "ignored": "the older readers do not see the array",
    "read-crash": "the older readers fail on the whole file when they read it",
    "open-crash": "the older readers cannot even open the file",
    "wrong-array": "the older readers give wrong numbers without a word",
    "no-nd-form": "the older readers give no N-dimensional array",
    "first-tile": "the older readers give the positions of the first line only",
    "generic": "the older readers replace the dimension by one that counts",
    "lost": "the older readers lose something without a word",
    "changed": "the older readers change dtype or text",
    "unread": "the values cannot be read, or not from this file alone",
    "none": "the older readers do not mind",
}
"""What becomes of a file in pyNSID, SciFiReaders, sidpy, pyUSID and HyperSpy."""

# What a rule sees (a file, an array), and what it finds: the place, and what is there.
Look: TypeAlias = Callable[[Any], Iterator[tuple[str, str]]]


@dataclass(frozen=True)
class FileFinding(Finding):
    """One thing in a file that does not hold.

    Attributes
    ----------
    code : str
        Of the rule, such as ``"N12"``; they are listed in the documentation.
    effect : str
        What the older readers make of it, a key of `EFFECTS`.
    """

    code: str = ""
    effect: str = "none"


@dataclass(frozen=True)
class Rule:
    """A rule of a format.

    Attributes
    ----------
    code : str
    level : {"error", "warning", "note"}
    effect : str
        A key of `EFFECTS`.
    means : str
        What the rule asks for.
    readers : str
        What each older reader does.
    repair : str
    stage : int
        A rule of a later stage is not asked about an array that fails in an earlier one.
    look : callable
    """

    code: str
    level: str
    effect: str
    means: str
    readers: str
    repair: str
    stage: int
    look: Look

    def finding(self, where: str, what: str) -> FileFinding:
        """Return what was found, in plain words."""
        text = f"{what}. {self.readers} {self.repair} [{self.code}]"
        return FileFinding(self.level, where, text, self.code, self.effect)


class Table(dict[str, Rule]):
    """Rules by code."""

    def rule(
        self, code: str, level: str, effect: str, *, means: str, readers: str, repair: str, stage: int = 3
    ) -> Callable[[Look], Look]:
        """Add a rule; the function yields where and what."""
        if code in self or effect not in EFFECTS:
            raise ValueError(f"rule {code}: used twice, or no such effect as {effect!r}")

        def add(look: Look) -> Look:
            self[code] = Rule(code, level, effect, means, readers, repair, stage, look)
            return look

        return add
