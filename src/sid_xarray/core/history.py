"""Histories as data: steps with content addresses, their union, their text form in attributes."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import math
import platform
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata as _installed
from typing import Any

from sid_xarray.errors import ProvenanceError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import records

__all__ = ["History", "Step", "agents", "encode", "is_genuine", "make_step", "read", "recipe_id", "version_here"]

_V = 1
_AT_WORK = ("python", "sid-xarray", "xarray", "numpy", "scipy", "dask")
_DEEPEST = 64
_SHOWN = ("name", "reader")  # what a root says besides its identity
_CACHED = 2**20  # longer texts would keep too much memory in the cache
_CANONICAL: dict[str, Any] = {"sort_keys": True, "ensure_ascii": True, "allow_nan": False, "separators": (",", ":")}


@dataclass(frozen=True)
class Step:
    """One step: an operation with its parameters, on inputs that are named by their own steps.

    Attributes
    ----------
    id : str
        Address of the recipe: operation, parameters and inputs; no time, no host.
    op : str
        For instance ``"sid:fit@1"``.
    params : dict
    inputs : tuple of (role, id)
    part : str or None
        Which of several results this is.
    out : dict
        dims, shape, dtype and fingerprint (``tok``, None for lazy data) of the result.
    time : str
        UTC, ISO 8601.
    agents : dict
        Versions of the packages at work.
    """

    id: str
    op: str
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[tuple[str, str], ...] = ()
    part: str | None = None
    out: dict[str, Any] = field(default_factory=dict)
    time: str = ""
    agents: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the operation without namespace and version."""
        return self.op.split(":", 1)[-1].split("@", 1)[0]

    @property
    def is_root(self) -> bool:
        """Whether the history starts here."""
        return not self.inputs

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form, but for the agents."""
        plain: dict[str, Any] = {"id": self.id, "op": self.op, "p": self.params, "in": [list(i) for i in self.inputs]}
        if self.part is not None:
            plain["part"] = self.part
        return {**plain, "out": self.out, "t": self.time}

    # Steps are written again and again, in the history of whatever follows them.
    @functools.cached_property
    def _text(self) -> str:
        return json.dumps(self.to_plain(), **_CANONICAL)

    @functools.cached_property
    def _text_with_agents(self) -> str:
        return json.dumps({**self.to_plain(), "ag": self.agents}, **_CANONICAL)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], agents: Mapping[str, str] | None = None) -> Step:
        """Read the JSON form; ``agents`` are those of a step that names none.

        Raises
        ------
        ProvenanceError
            If a field is missing or of the wrong type.
        """
        try:
            return cls(
                id=_word(plain["id"]),
                op=_word(plain["op"]),
                params=dict(plain.get("p", {})),
                inputs=tuple((str(role), str(key)) for role, key in plain.get("in", ())),
                part=None if plain.get("part") is None else str(plain["part"]),
                out=dict(plain.get("out", {})),
                time=_word(plain.get("t", "")),
                agents={str(k): str(v) for k, v in dict(plain.get("ag", agents or {})).items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProvenanceError(f"a step of the history is damaged: {error!r}") from error


def _word(value: Any) -> str:
    """Return a text that stands in messages as it is, on one line.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r:.40} is no name")
    return value


def _check_sound(value: Any, deepest: int = _DEEPEST) -> None:
    """Refuse what no step of ours holds, and what walks through nested data would choke on.

    Raises
    ------
    ValueError
        If it is nested too deeply, or a number in it is not finite.
    """
    todo = [(value, 0)]
    while todo:
        one, depth = todo.pop()
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"{one} is no number of JSON")
        inside = one.values() if isinstance(one, Mapping) else one if isinstance(one, list | tuple) else ()
        if inside and depth >= deepest:
            raise ValueError("it is nested too deeply")
        todo += [(v, depth + 1) for v in inside]


def recipe_id(
    op: str, params: Mapping[str, Any], inputs: Iterable[tuple[str, str]], part: str | None = None, salt: str = ""
) -> str:
    """Return the address of a recipe; ``salt`` is what makes a root unique."""
    recipe = json.dumps([op, params, [list(i) for i in inputs], part, salt], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def is_genuine(step: Step) -> bool | None:
    """Tell whether the address of a step is that of its content; None if that cannot be told.

    The address of a root leaves out what is only shown, such as the name of a file, and lazy values without a
    fingerprint have a random one.
    """
    out = step.out
    salts = ["", f"{out['tok']}{out.get('axes')}"] if out.get("tok") else [""]
    forms = [step.params]
    if step.is_root:
        forms += [{k: v for k, v in step.params.items() if k not in _SHOWN[:n]} for n in (1, 2)]
    for params in forms:
        if any(recipe_id(step.op, params, step.inputs, step.part, salt) == step.id for salt in salts):
            return True
    random = not out.get("tok") and step.op.startswith(("sid:input@", "sid:unrecorded@"))
    return None if random else False


def make_step(
    op: str,
    params: Mapping[str, Any],
    inputs: Iterable[tuple[str, str]],
    out: Mapping[str, Any],
    *,
    part: str | None = None,
    salt: str = "",
) -> Step:
    """Return a step with its address and the time of now."""
    inputs = tuple(inputs)
    try:
        _check_sound(params)
    except ValueError as error:
        raise ProvenanceError(f"the parameters of {op} cannot be recorded: {error}") from error
    return Step(
        id=recipe_id(op, params, inputs, part, salt),
        op=op,
        params=json.loads(json.dumps(dict(params), **_CANONICAL)),  # as it will be read
        inputs=inputs,
        part=part,
        out=dict(out),
        time=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        agents=agents(),
    )


def agents() -> dict[str, str]:
    """Return the versions that are written into steps: of all that has a say in numbers."""
    return {package: version_here(package) for package in _AT_WORK}


@functools.cache
def version_here(package: str) -> str:
    """Return the version of a package, or of ``"python"``; ``"unknown"`` if it is not installed."""
    if package == "python":
        return platform.python_version()
    try:
        return _installed.version(package)
    except _installed.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class History:
    """All steps that attributes tell of.

    Attributes
    ----------
    steps : dict
        From id to step, inputs before what was made of them.
    heads : tuple of str
        The steps that the array claims to be the result of: one after a verb, more after plain arithmetic.
    damaged : tuple of str
        Attributes whose text is not what their name says: edited by hand, or cut.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.heads or self.damaged)

    def union(self, other: History) -> History:
        """Return both histories in one.

        Two that contradict each other (only forged ones do) cannot be joined: the second is listed as damaged.
        """
        if not self or self is other:
            return other
        heads = tuple(dict.fromkeys((*self.heads, *other.heads)))
        damaged = tuple(dict.fromkeys((*self.damaged, *other.damaged)))
        if other.steps.keys() <= self.steps.keys():
            return History(self.steps, heads, damaged)
        try:
            more = {k: step for k, step in other.steps.items() if k not in self.steps}
            return History(_ordered({**self.steps, **more}), heads, damaged)
        except ProvenanceError:
            return History(self.steps, self.heads, (*damaged, *(names.PROV_PREFIX + h[:12] for h in other.heads)))

    def add(self, step: Step) -> History:
        """Return the history with one more step as its only head."""
        steps = {k: s for k, s in self.steps.items() if k != step.id}
        return History({**steps, step.id: step}, (step.id,), ())

    def lineage(self, head: str) -> dict[str, Step]:
        """Return only the steps that lead to ``head``."""
        keep: set[str] = set()
        todo = [head]
        while todo:
            key = todo.pop()
            if key in self.steps and key not in keep:
                keep.add(key)
                todo += [i for _, i in self.steps[key].inputs]
        return {k: s for k, s in self.steps.items() if k in keep}


def _ordered(steps: Mapping[str, Step]) -> dict[str, Step]:
    """Sort steps so that inputs come first; a cycle (only in a forged file) is an error."""
    out: dict[str, Step] = {}
    state: dict[str, bool] = {}
    for start in steps:
        stack = [(start, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                out[key] = steps[key]
                state[key] = True
                continue
            if key in state:
                if not state[key]:
                    raise ProvenanceError("the history contains a cycle: it was edited by hand")
                continue
            state[key] = False
            stack.append((key, True))
            stack += [(i, False) for _, i in reversed(steps[key].inputs) if i in steps and not state.get(i, False)]
    return out


def encode(history: History) -> dict[str, str]:
    """Return the attributes that hold a history: one for every head."""
    out: dict[str, str] = {}
    for head in history.heads:
        steps = history.lineage(head)
        common = steps[head].agents
        texts = [s._text if s.agents == common else s._text_with_agents for s in steps.values()]
        said = json.dumps(common, **_CANONICAL), json.dumps(head, **_CANONICAL)
        text = records.packed(f'{{"ag":{said[0]},"head":{said[1]},"steps":[{",".join(texts)}],"v":{_V}}}')
        key = names.PROV_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]
        out[key] = text
        _KNOWN.put(key, text, History(steps, (head,)))  # what follows this step reads it first
    return out


def read(attrs: Mapping[Any, Any]) -> History:
    """Read the histories that attributes hold; damaged ones are listed, never raised."""
    found = History()
    for key, text in attrs.items():
        if not names.is_provenance(key):
            continue
        try:
            found = found.union(_read_one(str(key), text))
        except ProvenanceError:
            found = History(found.steps, found.heads, (*found.damaged, str(key)))
    return found


def _read_one(key: str, text: object) -> History:
    if not isinstance(text, str):
        raise ProvenanceError(f"{key} should be text")
    found = _KNOWN.get(key, text)
    if found is None:
        found = _parsed(key, text)
        _KNOWN.put(key, text, found)
    return found


class _Known:
    """Histories by their text, the latest ones: nothing in a history is ever changed."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._found: OrderedDict[tuple[str, str], History] = OrderedDict()

    def get(self, key: str, text: str) -> History | None:
        with self._lock:
            found = self._found.get((key, text))
            if found is not None:
                self._found.move_to_end((key, text))
            return found

    def put(self, key: str, text: str, found: History) -> None:
        if len(text) >= _CACHED:
            return
        with self._lock:
            self._found[key, text] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)


_KNOWN = _Known(128)


def _parsed(key: str, text: str) -> History:
    try:
        plain = records.loads(text)
        _check_sound(plain, _DEEPEST + 3)  # parameters lie in a step, in a list, in a history
        said = plain.get("ag")
        steps = [Step.from_plain(s, said) for s in plain["steps"]]
        head = str(plain["head"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProvenanceError(f"{key} is damaged: {error}") from error
    genuine = hashlib.sha256(text.encode()).hexdigest()[:12] == key.removeprefix(names.PROV_PREFIX)
    genuine = genuine and all(is_genuine(step) is not False for step in steps)
    known = {s.id: s for s in steps}
    if head not in known:
        raise ProvenanceError(f"{key} has no step {head}")
    return History(_ordered(known), (head,), () if genuine else (key,))
