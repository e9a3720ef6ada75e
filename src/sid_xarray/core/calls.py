"""Histories as people tell them: one call of a verb, whatever number of results it had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sid_xarray.core.history import Step, recipe_id
from sid_xarray.core.metadata import from_plain
from sid_xarray.errors import MetadataError

__all__ = ["Call", "arguments", "calls", "joined", "line", "readable", "short"]

_LISTED = 3
_FINGERPRINTS = ("axes", "tok", "verifiable")


@dataclass(frozen=True)
class Call:
    """One call of a verb, or one root.

    Attributes
    ----------
    id : str
        Address of the recipe, without the part that an array is of its result.
    steps : tuple of Step
        One for every result; all have the same operation, parameters and inputs.
    numbers : tuple of int
        Where they stand in the history, counted from 1.
    """

    id: str
    steps: tuple[Step, ...] = field(repr=False)
    numbers: tuple[int, ...] = ()

    @property
    def step(self) -> Step:
        """Return the first step; all that is asked of a call, but for its results, is the same in each."""
        return self.steps[0]

    @property
    def name(self) -> str:
        """Name of the operation without namespace and version."""
        return self.step.name

    @property
    def version(self) -> int | None:
        """Version of the verb, None where the text of the history is none."""
        found = self.step.op.rpartition("@")[2]
        return int(found) if found.isdecimal() else None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the results, of a verb that has several."""
        return tuple(step.part for step in self.steps if step.part is not None)

    @property
    def number(self) -> str:
        """Where it stands in the history: ``"3"``, or ``"3–6"`` of one with several results."""
        first, last = self.numbers[0], self.numbers[-1]
        if last - first + 1 == len(self.numbers) > 1:
            return f"{first}–{last}"
        return joined(map(str, self.numbers))

    @property
    def is_recorded(self) -> bool:
        """Whether it is known what was done: false where something was done that left no record."""
        return self.name != "unrecorded"

    @property
    def opaque(self) -> tuple[str, ...]:
        """Parameters that cannot be given again from the history alone, such as functions."""
        return tuple(k for k, v in self.step.params.items() if _is_opaque(v))


def calls(steps: Iterable[Step]) -> tuple[Call, ...]:
    """Return the calls behind steps, inputs first.

    Parameters
    ----------
    steps : iterable of Step
        Inputs first, as in a history.
    """
    groups: list[tuple[str, list[tuple[int, Step]]]] = []
    open_at: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        key = step.id if step.is_root else recipe_id(step.op, step.params, step.inputs)
        at = open_at.get(key)
        if at is None or step.part is None or step.part in [s.part for _, s in groups[at][1]]:
            open_at[key] = len(groups)
            groups.append((key, []))
        groups[open_at[key]][1].append((number, step))
    return tuple(Call(key, tuple(s for _, s in own), tuple(i for i, _ in own)) for key, own in groups)


def _is_opaque(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("~") == "opaque" or any(map(_is_opaque, value.values()))
    return isinstance(value, list) and any(map(_is_opaque, value))


def line(call: Call) -> str:
    """Return a call as one would type it: ``"fit(model='linear').slope"``."""
    if call.step.op.startswith("sid:open"):
        place = call.step.params.get("h5path")
        return f"open({call.step.params.get('name')!r}{f', {place!r}' if place else ''})"
    hidden = _FINGERPRINTS if call.step.is_root else ()
    shown = ", ".join(f"{k}={short(v)}" for k, v in arguments(call.step).items() if k not in hidden or v is False)
    parts = call.parts
    if len(parts) > 1:
        return f"{call.name}({shown}) → {joined(parts)}"
    return f"{call.name}({shown}){f'.{parts[0]}' if parts else ''}"


def joined(words: Iterable[str], most: int = _LISTED) -> str:
    """Return a list of names, the first few and how many there are."""
    words = list(words)
    return ", ".join(words if len(words) <= most + 1 else [*words[:most], f"… {len(words) - most} more"])


def arguments(step: Step) -> dict[str, Any]:
    """Return the parameters that say something, as Python values; what cannot be read is given as it is."""
    return {k: readable(v) for k, v in step.params.items() if v is not None}


def readable(value: Any) -> Any:
    """Return a parameter as a Python value; a damaged one is given as it is."""
    try:
        return from_plain(value)
    except (MetadataError, RecursionError):
        return value


def short(value: Any, limit: int = 60) -> str:
    """Return a value on one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."

