"""What differs between two histories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import xarray as xr

from sid_xarray.core.calls import Call, line, readable, short
from sid_xarray.core.history import Step
from sid_xarray.core.provenance import Provenance, provenance
from sid_xarray.errors import ProvenanceError

__all__ = ["Diff", "Difference", "diff"]

_MISSING = "(not given)"
_KINDS: dict[str, str] = {
    "root": "starts from something else",
    "parameter": "same verb, other parameter",
    "version": "same verb, other version of it",
    "input": "same verb, other input",
    "here": "only here",
    "there": "only there",
    "result": "same recipe and inputs, other values",
    "package": "other version of a package",
}


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes
    ----------
    kind : {"root", "parameter", "version", "input", "here", "there", "result", "package"}
    step : str
        Number and name of the step, here if there is one; empty for packages.
    what : str
        Name of the parameter, input, result or package.
    here, there : object
        What each says; None where it has no such step.
    """

    kind: str
    step: str
    what: str
    here: Any
    there: Any

    def __repr__(self) -> str:
        place = f"{self.step}: " if self.step else ""
        if self.kind in ("here", "there"):
            return f"{place}{self.here or self.there}"
        said = _given if self.kind == "parameter" else str
        return f"{place}{self.what}{' ' if self.what else ''}{said(self.here)} | {said(self.there)}"


class Diff(tuple[Difference, ...]):
    """Differences between two histories; empty, and false, if there is none. The repr lists them by kind."""

    __slots__ = ()

    def of(self, kind: str) -> Diff:
        """Return only the differences of one kind."""
        return Diff(d for d in self if d.kind == kind)

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return plain data: a list of rows for every kind that occurs."""
        return {kind: [asdict(d) for d in self.of(kind)] for kind in _KINDS if self.of(kind)}

    def __repr__(self) -> str:
        if not self:
            return "<no difference>"
        lines = [f"<{len(self)} difference{'s' if len(self) > 1 else ''}, here | there>"]
        for kind, title in _KINDS.items():
            found = self.of(kind)
            lines += [f"{title}:", *(f"  {d!r}" for d in found)] if found else []
        return "\n".join(lines)


def diff(history: Provenance, other: Provenance | xr.DataArray | xr.Dataset) -> Diff:
    """Compare with another history: steps, parameters, files and versions.

    Parameters
    ----------
    history : Provenance
    other : Provenance, DataArray or Dataset

    Returns
    -------
    Diff
        Rows with ``kind, step, what, here, there``; ``.to_dict()`` gives plain data. A step is compared with the one
        of the other history that has the same verb and, where there are several, the same inputs and parameters.

    Raises
    ------
    ProvenanceError
        If `other` is none of these.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.peak_map()
    >>> two, four = cube.sid.rebin(energy=2), cube.sid.rebin(energy=4)
    >>> two.sid.provenance.diff(four)
    <1 difference, here | there>
    same verb, other parameter:
      2 rebin: bins {'energy': 2} | {'energy': 4}
    """
    if not isinstance(other, Provenance | xr.DataArray | xr.Dataset):
        raise ProvenanceError(f"a history is compared with that of an array, got {type(other).__name__}")
    there = other if isinstance(other, Provenance) else provenance(other)
    sides = _Side(history.calls), _Side(there.calls)
    return Diff([*_steps(*sides), *_packages(history, there)])


class _Side:
    """The calls of one history, and which call made what."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.maker = {step.id: call for call in calls for step in call.steps}

    def source(self, call: Call, role: str) -> Call | None:
        """Return the call that made an input."""
        return self.maker.get(dict(call.step.inputs).get(role, ""))


def _pairs(here: Sequence[Call], there: Sequence[Call]) -> list[tuple[Call | None, Call | None]]:
    """Return the steps that stand for each other, in the order of the histories; None for those of one only."""
    partner: dict[int, int] = {}
    taken: set[int] = set()
    # An address depends on all that leads to a step: after the first difference no two are equal. So the same
    # recipe on other inputs comes next, and then the same verb, best on inputs that stand for each other.
    for label in (_address, _recipe, _verb):
        waiting: dict[Any, list[int]] = {}
        for j, call in enumerate(there):
            if j not in taken:
                waiting.setdefault(label(call), []).append(j)
        source = {step.id: j for j, call in enumerate(there) for step in call.steps}
        mine = {step.id: i for i, call in enumerate(here) for step in call.steps}
        for i, call in enumerate(here):
            fitting = waiting.get(label(call)) if i not in partner else None
            if not fitting:
                continue
            wanted = {partner.get(mine.get(key, -1)) for _, key in call.step.inputs}
            j = next(
                (j for j in fitting[:50] if {source.get(k) for _, k in there[j].step.inputs} == wanted), fitting[0]
            )
            fitting.remove(j)
            taken.add(j)
            partner[i] = j
    both: list[tuple[Call | None, Call | None]] = [
        (call, there[partner[i]] if i in partner else None) for i, call in enumerate(here)
    ]
    return [*both, *((None, call) for j, call in enumerate(there) if j not in taken)]


def _address(call: Call) -> Any:
    return call.id, call.parts


def _recipe(call: Call) -> Any:
    return call.step.op, repr(sorted(call.step.params.items()))


def _verb(call: Call) -> Any:
    return call.name


def _steps(here: _Side, there: _Side) -> Iterator[Difference]:
    pairs = _pairs(here.calls, there.calls)
    stands_for = {a.step.id: b.step.id for a, b in pairs if a is not None and b is not None}
    partners = set(stands_for.values())
    for a, b in pairs:
        if a is None or b is None:
            yield _alone(a, b)
        elif a.step.is_root and b.step.is_root:
            if a.step.id != b.step.id:
                yield Difference("root", _place(a), "", line(a), line(b))
        else:
            yield from _recipes(a, b)
            for role in dict.fromkeys(role for role, _ in (*a.step.inputs, *b.step.inputs)):
                left, right = here.source(a, role), there.source(b, role)
                known = (left is not None and left.step.id in stands_for) or (right and right.step.id in partners)
                meant = stands_for.get(left.step.id) if left is not None else None
                if known and meant != (right.step.id if right is not None else None):
                    yield Difference("input", _place(a), role, _named(left), _named(right))


def _alone(a: Call | None, b: Call | None) -> Difference:
    if a is not None:
        return Difference("here", a.number, "", line(a), None)
    assert b is not None
    return Difference("there", b.number, "", None, line(b))


def _recipes(a: Call, b: Call) -> Iterator[Difference]:
    if a.step.op != b.step.op:
        yield Difference("version", _place(a), "", a.step.op, b.step.op)
    mine, others = a.step.params, b.step.params
    for key in dict.fromkeys((*mine, *others)):
        if mine.get(key) != others.get(key) or (key in mine) != (key in others):
            yield Difference("parameter", _place(a), key, *(_value(p, key) for p in (mine, others)))
    if a.parts != b.parts:
        yield Difference("parameter", _place(a), "results", ", ".join(a.parts), ", ".join(b.parts))
    for one, two in zip(a.steps, b.steps, strict=False):
        values = one.out.get("tok"), two.out.get("tok")
        if one.id == two.id and None not in values and values[0] != values[1]:
            yield Difference("result", _place(a), one.part or "", *values)


def _named(call: Call | None) -> str | None:
    return None if call is None else _place(call)


def _place(call: Call) -> str:
    return f"{call.number} {call.name}"


def _value(params: Mapping[str, Any], key: str) -> Any:
    return readable(params[key]) if key in params else _MISSING


def _given(value: Any) -> str:
    return _MISSING if isinstance(value, str) and value == _MISSING else short(value)


def _packages(here: Provenance, there: Provenance) -> Iterator[Difference]:
    mine, others = _versions(here), _versions(there)
    for package in dict.fromkeys((*mine, *others)):
        if mine.get(package) != others.get(package) and package in mine and package in others:
            yield Difference("package", "", package, mine[package], others[package])


def _versions(history: Iterable[Step]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for step in history:
        for package, version in step.agents.items():
            found.setdefault(package, {})[version] = None
    return {package: ", ".join(versions) for package, versions in found.items()}
