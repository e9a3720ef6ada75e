"""Histories as people tell them: one call of a verb, whatever number of results it had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sid_xarray.core.history import Step, recipe_id
from sid_xarray.core.metadata import from_plain
from sid_xarray.errors import MetadataError

__all__ = ["Call", "Input", "arguments", "calls", "joined", "line", "plain_call", "readable", "short"]

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
    def is_repeatable(self) -> bool:
        """Whether the history alone is enough to do it again: no gap, no function that only a name is known of."""
        ours = self.step.op.startswith("sid:apply@") and "function" not in self.step.params
        return self.is_recorded and not self.opaque and not ours

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


def line(call: Call, number: Mapping[str, str] | None = None) -> str:
    """Return a call as one would type it: ``"fit(model='linear').slope"``.

    Parameters
    ----------
    call : Call
    number : mapping, optional
        From id of a step to its number: other inputs of plain operations stand in the text as ``<3>``.
    """
    if call.step.op.startswith("sid:open"):
        place = call.step.params.get("h5path")
        return f"open({call.step.params.get('name')!r}{f', {place!r}' if place else ''})"
    text, parts = _typed(call.step, number), call.parts
    if len(parts) > 1:
        return f"{text} → {joined(parts)}"
    return f"{text}{f'.{parts[0]}' if parts else ''}"


def _typed(step: Step, number: Mapping[str, str] | None) -> str:
    if {"args", "kwargs", "of"} & step.params.keys() and not step.op.startswith("sid:apply"):
        return plain_call(step, number)
    hidden = _FINGERPRINTS if step.is_root else ()
    shown = {k: v for k, v in arguments(step, number).items() if v != {} and (k not in hidden or v is False)}
    return f"{step.name}({_keywords(shown)})"


def plain_call(step: Step, number: Mapping[str, str] | None = None) -> str:
    """Return an operation of plain xarray or numpy as it was typed: ``"rolling(x=3).mean()"``."""
    params = arguments(step, number)
    via, _, last = step.name.rpartition(".")
    of = params.get("of")
    first = f"{via}({_listed(of)})." if via and isinstance(of, list) else f"{via}." if via else ""
    return f"{first}{last}({_listed([params.get('args', []), params.get('kwargs', {})])})"


def _listed(pair: list[Any]) -> str:
    args, kwargs = (*pair, [], {})[:2]
    words = [short(v) for v in args] if isinstance(args, list | tuple) else []
    return ", ".join([*words, _keywords(kwargs)] if kwargs and isinstance(kwargs, dict) else words)


def _keywords(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={short(v)}" for k, v in params.items())


def joined(words: Iterable[str], most: int = _LISTED) -> str:
    """Return a list of names, the first few and how many there are."""
    words = list(words)
    return ", ".join(words if len(words) <= most + 1 else [*words[:most], f"… {len(words) - most} more"])


def arguments(step: Step, number: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the parameters that say something, as Python values; what cannot be read is given as it is."""
    inputs = None if number is None else [f"<{number.get(key, '?')}>" for _, key in step.inputs]
    return {k: readable(v, inputs) for k, v in step.params.items() if v is not None}


def readable(value: Any, inputs: Sequence[str] | None = None) -> Any:
    """Return a parameter as a Python value; a damaged one is given as it is."""
    try:
        return _named(from_plain(value), inputs)
    except (MetadataError, RecursionError):
        return value


class Input(str):
    """Stands in parameters for one of the inputs of a step, by position: ``in1`` is the second."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Written(str):
    """Stands in parameters for an array that is written into the history."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _named(value: Any, inputs: Sequence[str] | None) -> Any:
    if isinstance(value, dict):
        at = value.get("v")
        if value.get("~") == "in" and isinstance(at, int):
            return Input(f"in{at}" if inputs is None else inputs[at] if 0 <= at < len(inputs) else "<?>")
        if value.get("~") == "...":
            return Ellipsis
        if value.get("~") == "dataarray":
            return Written(_array(value))
        return {k: _named(v, inputs) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_named(v, inputs) for v in value)
    return value


def _array(value: Mapping[str, Any]) -> str:
    """Return what there is to say of a small array that is written into a history: its name, dimensions and sizes."""
    variable = value.get("v")
    dims, values = (*variable, None, None)[:2] if isinstance(variable, list) else (None, None)
    shape: Any = values.get("shape") if isinstance(values, dict) else np.shape(values)
    known = isinstance(dims, list) and isinstance(shape, list | tuple)
    sizes = [f"{dim}: {n}" for dim, n in zip(dims, shape, strict=False)] if known else []
    name = value.get("name")
    return f"<array{f' {name!r}' if isinstance(name, str) else ''} ({', '.join(sizes)})>"


def short(value: Any, limit: int = 60) -> str:
    """Return a value on one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
