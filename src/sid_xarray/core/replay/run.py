"""Do a history again, on the same arrays or on others."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from sid_xarray.core.history import History, Step, encode, read
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.registry import VERBS, load
from sid_xarray.core.replay.plan import Call, Operand, Plan, make_plan
from sid_xarray.core.replay.roots import assign
from sid_xarray.core.replay.values import resolve
from sid_xarray.core.stamping import HEAD
from sid_xarray.core.trace.steps import do, parse
from sid_xarray.errors import ProvenanceError
from sid_xarray.schema import attrs as names

__all__ = ["replay"]


def replay(
    view: Provenance,
    new: Any = None,
    /,
    *,
    path: str | os.PathLike[str] | None = None,
    any_version: bool = False,
    progress: Callable[[Call], None] | None = None,
    named: Mapping[str, Any] | None = None,
) -> xr.DataArray | xr.Dataset:
    """Do a history again; see `Provenance.replay`.

    Parameters
    ----------
    view : Provenance
    new, path, any_version
        As there.
    progress : callable, optional
        Told of every call before it is made.
    named : mapping, optional
        Arrays by the names of roots.

    Raises
    ------
    ProvenanceError
        If a step left no record that would do, or an array is missing.
    """
    plan = make_plan(view, any_version=any_version)
    if plan.problems:
        several = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
        raise ProvenanceError(f"the history cannot be replayed{several}: {plan.problems[0]}")
    arrays = assign(plan, new, named or {}, path)
    return _Run(plan, arrays).result(progress)


class _Run:
    """Arrays and results while they are needed."""

    def __init__(self, plan: Plan, arrays: dict[str, xr.DataArray]) -> None:
        self.plan = plan
        self.arrays: dict[str, xr.DataArray] = dict(arrays)
        self.results: dict[str, xr.Dataset] = {}  # by the ids of their variables
        self.uses = Counter(plan.wanted.values())
        self.uses.update(key for call in plan.calls for operand in call.operands for key in operand.ids)

    def result(self, progress: Callable[[Call], None] | None) -> xr.DataArray | xr.Dataset:
        for call in self.plan.calls:
            if progress is not None:
                progress(call)
            try:
                self._make(call)
            except Exception as error:
                error.add_note(f"while replaying {call.title}")
                raise
        wanted = self.plan.wanted
        if None in wanted:
            return self.arrays[wanted[None]]
        return self._dataset(Operand(tuple(wanted.values()), tuple(str(n) for n in wanted)))

    def _called(self, call: Call) -> Any:
        inputs = [self._dataset(o) if o.names else self.arrays[o.ids[0]] for o in call.operands]
        if call.by_trace:
            return do(call.step.op, inputs, call.step.params)
        args, kwargs = (resolve(a, lambda ref: inputs[ref.index]) for a in (call.args, call.kwargs))
        return load(VERBS[parse(call.step.op)[1]].place)(*args, **kwargs)

    def _make(self, call: Call) -> None:
        out = self._called(call)
        for part in call.parts.values():
            if part is not None and (not isinstance(out, xr.Dataset) or part not in out.data_vars):
                raise ProvenanceError(f"{call.title} gave no {part!r}, which is in the history")
            if part is None and isinstance(out, xr.Dataset):
                raise ProvenanceError(f"{call.title} gave a Dataset, in the history it is an array")
        kept = self._as_recorded(out)
        for key, part in call.parts.items():
            self.arrays[key] = kept if part is None else kept[part]
            if part is not None:
                self.results[key] = kept
        for operand in call.operands:
            self._release(operand)

    def _release(self, operand: Operand) -> None:
        """Forget what is not needed any more."""
        self.uses.subtract(operand.ids)
        for key in operand.ids:
            if self.uses[key] <= 0:
                self.arrays.pop(key, None)
                self.results.pop(key, None)

    def _dataset(self, operand: Operand) -> xr.Dataset:
        """Return a Dataset of named variables; as it came out of its call, where all come from one."""
        origins = {id(self.results.get(key)) for key in operand.ids}
        first = self.results.get(operand.ids[0])
        if len(origins) == 1 and first is not None:
            steps = self.plan.view._history.steps
            parts = [str(steps[key].part) for key in operand.ids]
            renames = {p: n for p, n in zip(parts, operand.names, strict=True) if p != n}
            return first[parts].rename(renames) if renames else first[parts]
        return xr.Dataset({name: self.arrays[key] for name, key in zip(operand.names, operand.ids, strict=True)})

    def _as_recorded(self, out: Any) -> Any:
        """Return a result with the very steps that were recorded, where they say the same but for the time.

        Done again with the same versions on the same arrays, a history is the same: the result is identical.
        """
        recorded = self.plan.view._history.steps
        for da in out.data_vars.values() if isinstance(out, xr.Dataset) else (out,):
            found = read(da.attrs)
            if len(found.heads) != 1:
                continue
            steps = {k: _same(s, recorded.get(k)) for k, s in found.steps.items()}
            if any(steps[k] is not s for k, s in found.steps.items()):
                rest = names.without_provenance(da.variable.attrs)
                da.variable.attrs = {**rest, **encode(History(steps, found.heads))}
                da.variable.encoding = {**da.variable.encoding, HEAD: found.heads[0]}
        return out


def _same(now: Step, then: Step | None) -> Step:
    if then is not None and now.is_root and then.is_root:
        return then  # the same content, whatever the file is called today
    if then is None or then.time == now.time or dataclasses.replace(now, time=then.time) != then:
        return now
    return then
