"""What has to be called to do a history again, in order, and what stands against it."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sid_xarray.core.history import Step
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.registry import VERBS, load
from sid_xarray.core.replay.values import Ref, decode, opaque
from sid_xarray.core.trace.steps import arguments, before, options, parse
from sid_xarray.core.trace.table import VERSION, Plain, find
from sid_xarray.errors import MetadataError, ProvenanceError, RegistryError

__all__ = ["Call", "Operand", "Plan", "aliases", "by_signature", "make_plan"]


@dataclass(frozen=True)
class Operand:
    """One input of a call: an array, or a Dataset of named ones.

    Attributes
    ----------
    ids : tuple of str
        Steps that made it.
    names : tuple of str
        Variables of the Dataset; empty for an array.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass
class Call:
    """One call; the steps of all its results.

    Attributes
    ----------
    number : int
        Of its first step, as the repr of the history counts.
    step : Step
        The first.
    parts : dict
        From id to the name of a result, None where there is only one.
    operands : tuple of Operand
    plain : Plain or None
        The operation of xarray; None for a verb.
    by_trace : bool
        Whether a trace recorded it, and no verb.
    args, kwargs, of
        Arguments, with a `Ref` in the place of every input.
    options : dict
        Of xarray, that counted.
    problem : str
        Why it cannot be done again; empty if it can.
    """

    number: int
    step: Step
    operands: tuple[Operand, ...]
    parts: dict[str, str | None] = field(default_factory=dict)
    plain: Plain | None = None
    by_trace: bool = False
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    of: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"step {self.number} ({self.step.name!r})"


@dataclass
class Plan:
    """A history in the order of its calls.

    Attributes
    ----------
    view : Provenance
    roots : dict
        From id to the step of an array that the history starts from.
    names : dict
        From id of a root to what it is called.
    calls : list of Call
    wanted : dict
        From the name of a variable to the id of its step; the name is None for a single array.
    """

    view: Provenance
    roots: dict[str, Step] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    wanted: dict[str | None, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Why it cannot be done again, one text a step."""
        return [f"{call.title}: {call.problem}" for call in self.calls if call.problem]


def make_plan(view: Provenance, *, any_version: bool = False) -> Plan:
    """Return how a history is done again.

    Parameters
    ----------
    view : Provenance
    any_version : bool
        Take a verb of another version than the one that was recorded.

    Raises
    ------
    ProvenanceError
        If there is no history, or it is not the history of the values that are there.
    """
    plan = Plan(view, wanted=_wanted(view))
    steps, number = view._history.steps, {step.id: i for i, step in enumerate(view.steps, 1)}
    needed: set[str] = set()
    for head in plan.wanted.values():
        needed |= view._history.lineage(head).keys()
    calls: dict[str, Call] = {}
    for key in steps:
        step = steps[key]
        if key not in needed:
            continue
        if step.is_root:
            plan.roots[key] = step
            continue
        same = json.dumps([step.op, step.params, step.inputs], sort_keys=True)
        if same not in calls:
            calls[same] = _call(step, number[key], steps, any_version=any_version)
            plan.calls.append(calls[same])
        calls[same].parts[key] = step.part
    plan.names = root_names(plan.roots)
    return plan


def _wanted(view: Provenance) -> dict[str | None, str]:
    if not view:
        raise ProvenanceError("there is no history to do again. Verbs of .sid record one, and da.sid.trace(...)")
    if view._parts is not None:
        wanted: dict[str | None, str] = {}
        for name, part in view._parts.items():
            try:
                wanted[name] = _wanted(part)[None]
            except ProvenanceError as error:
                error.add_note(f"in the variable {name!r}")
                raise
        return wanted
    if view.status == "merged":
        raise ProvenanceError(
            f"{len(view.heads)} histories were joined by plain arithmetic, which left no record. Record it: "
            "a.sid.trace(lambda a, b: a - b, b)"
        )
    gap = view.status == "unknown" and "no record" in view.reason
    if view.status == "modified" or gap or len(view.heads) != 1:
        raise ProvenanceError(
            f"the history is not that of these values: {view.reason}. Do the last part with "
            "da.sid.trace(lambda d: ...), or take the array as the last verb returned it"
        )
    return {None: view.heads[0]}


def root_names(roots: Mapping[str, Step]) -> dict[str, str]:
    """Return what the roots are called: by their array, or their file where that tells them apart."""
    names = {key: aliases(step) for key, step in roots.items()}
    longest = max((len(n) for n in names.values()), default=0)
    for level in range(longest):
        chosen = {key: n[min(level, len(n) - 1)] for key, n in names.items()}
        if len(set(chosen.values())) == len(chosen):
            return chosen
    count: Counter[str] = Counter()
    out = {}
    for key, n in names.items():
        count[n[0]] += 1
        out[key] = n[0] if count[n[0]] == 1 else f"{n[0]}_{count[n[0]]}"
    return out


def aliases(step: Step) -> list[str]:
    """Return all that a root may be called, best first."""
    p = step.params
    if step.op.startswith("sid:open"):
        file = str(p.get("name", "file"))
        place = str(p.get("h5path", ""))
        parts = [w for w in place.split("/") if w]
        last = str(p.get("field") or (parts[-1] if parts else ""))
        return [w for w in (last, file.rpartition(".")[0], file, place, f"{file}:{place}") if w]
    return [str(p.get("name") or "input")]


def _operands(step: Step) -> tuple[Operand, ...]:
    out: list[Operand] = []
    before_ = None
    for role, key in step.inputs:
        base, dot, part = role.partition(".")
        if dot and base == before_ and out[-1].names:
            out[-1] = Operand((*out[-1].ids, key), (*out[-1].names, part))
        else:
            out.append(Operand((key,), (part,) if dot else ()))
        before_ = base
    return tuple(out)


def _call(step: Step, number: int, steps: Mapping[str, Step], *, any_version: bool) -> Call:
    call = Call(number, step, _operands(step))
    try:
        _understand(call, any_version=any_version)
    except (ProvenanceError, RegistryError, MetadataError) as error:
        call.problem = str(error.args[0])
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        call.problem = f"its parameters are damaged: {error!r}"
    lost = next((key for _, key in step.inputs if key not in steps), None)
    if lost is not None:
        call.problem = f"it was made of step {lost}, which is not in the history: the text was edited"
    return call


def _understand(call: Call, *, any_version: bool) -> None:
    step = call.step
    space, name, version = parse(step.op)
    if name == "unrecorded":
        raise ProvenanceError(
            f"left no record ({step.params.get('what', 'nobody knows what')}). Do that part with "
            "da.sid.trace(lambda d: ...)"
        )
    hidden = opaque(step.params)
    if hidden:
        raise ProvenanceError(f"worked with {hidden}, of which the history holds only the name")
    refs = [Ref(i) for i in range(len(call.operands))]
    call.plain = find(space, name) if space in ("xr", "np") else None
    if space == "sid":
        row = VERBS[name]
        current = row.version
        if row.stamps:
            call.args, call.kwargs = _recall(row)(refs, {k: decode(v, refs) for k, v in step.params.items()})
        else:
            call.by_trace = True
            call.args, call.kwargs = arguments(space, step.params, refs)
    elif call.plain is not None:
        current, call.by_trace = VERSION, True
        call.args, call.kwargs = arguments(space, step.params, refs)
        call.of = before(step.params, refs) if "of" in step.params else None
        call.options = options(step.params)
        if call.plain.arguments not in (None, len(call.args) - 1):
            raise ProvenanceError(f"its parameters are damaged: it takes {call.plain.arguments} argument(s)")
    else:
        raise ProvenanceError(f"{step.op!r} is no operation that can be done again")
    if version != current and not any_version:
        made = step.agents.get("sid-xarray", "another version")
        raise ProvenanceError(
            f"was recorded by version {version} of {name!r}; here is version {current}, which may give other numbers. "
            f"Install sid-xarray {made}, or take what is here: any_version=True"
        )


def _recall(row: Any) -> Callable[..., Any]:
    if row.recall:
        return load(row.recall)  # type: ignore[no-any-return]
    function = load(row.place)

    def by_name(refs: Sequence[Ref], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return by_signature(function, refs, params)

    return by_name


def by_signature(
    function: Callable[..., Any], inputs: Sequence[Any], params: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments of a verb: inputs first, parameters by the names that it gives them.

    Raises
    ------
    ProvenanceError
        If it has no such parameter, or does not take so many arrays.
    """
    args, kwargs, rest = list(inputs), {}, dict(params)
    parameters = list(inspect.signature(function).parameters.values())
    arrays, others = parameters[: len(args)], parameters[len(args) :]
    taken = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in arrays)
    for p in others:
        if p.name not in rest or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        if p.kind is p.POSITIONAL_ONLY:
            args.append(rest.pop(p.name))
        else:
            kwargs[p.name] = rest.pop(p.name)
    if rest or taken < len(inputs):
        raise ProvenanceError(
            f"{function.__name__!r} does not take {', '.join(map(repr, rest)) or f'{len(inputs)} arrays'}: "
            "its row in the table of verbs lacks `recall`"
        )
    return tuple(args), kwargs
