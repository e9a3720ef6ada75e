"""Provenance of an array: stamped by every verb, read as a view, checked against the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import xarray as xr

from sid_xarray.core import history as _history
from sid_xarray.core.calls import Call, calls, line
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.entry import Entry
from sid_xarray.core.history import History, Step
from sid_xarray.core.metadata import from_plain
from sid_xarray.core.stamping import GAP, GRAPH, HEAD, check_state, departed, descend, root, stamp, state_of, strip

__all__ = ["GRAPH", "HEAD", "Provenance", "descend", "provenance", "root", "stamp", "strip"]

STATUS: dict[str, str] = {
    "verified": "the values are those that the last step produced",
    "modified": "values, axes or text were changed after the last step, by something that left no record",
    "merged": "made by plain arithmetic from several recorded arrays",
    "unknown": "nothing contradicts the history, but lazy values cannot be checked",
    "none": "no history",
}


class Provenance:
    """Where an array came from.

    Attributes
    ----------
    status : {"verified", "modified", "merged", "unknown", "none"}
    reason : str
        What the status means here.
    steps : tuple of Step
        Inputs first.
    heads : tuple of str
        Ids of the steps that the array is the result of.
    """

    __slots__ = ("_history", "_parts", "reason", "status")

    def __init__(
        self, history: History, status: str, reason: str = "", *, parts: Mapping[str, Provenance] | None = None
    ) -> None:
        self._history = history
        self._parts = parts  # of a Dataset: the view of each variable
        self.status = status
        self.reason = reason or STATUS[status]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, inputs first."""
        return tuple(self._history.steps.values())

    @property
    def heads(self) -> tuple[str, ...]:
        """Ids of the last steps."""
        return self._history.heads

    @property
    def id(self) -> str | None:
        """Id of the recipe that made the array; None unless there is exactly one."""
        return self.heads[0] if len(self.heads) == 1 else None

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations, inputs first."""
        return tuple(step.name for step in self.steps)

    @property
    def roots(self) -> tuple[Step, ...]:
        """Steps that the history starts from: files opened and arrays given."""
        return tuple(step for step in self.steps if step.is_root)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Steps as one would tell them: a verb with several results once, and not once for each of them."""
        return calls(self.steps)

    def parameters(self, step: int | str = -1) -> dict[str, Any]:
        """Parameters of one step, by position or by id."""
        chosen = self._history.steps[step] if isinstance(step, str) else self.steps[step]
        return {k: from_plain(v) for k, v in chosen.params.items()}

    def __len__(self) -> int:
        return len(self._history.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __bool__(self) -> bool:
        return bool(self._history)

    def __repr__(self) -> str:
        if not self:
            return "<no provenance>"
        number = {step.id: call.number for call in self.calls for step in call.steps}
        lines = [f"<provenance: {self.status} ({self.reason})>"]
        for call in self.calls:
            source = ", ".join(dict.fromkeys(number.get(key, "?") for _, key in call.step.inputs))
            said = f"{line(call)}{f'   from {source}' if source else ''}   {call.step.time}"
            lines.append(f"{call.number:>3}. {said}".rstrip())
        return "\n".join(lines)

    # Elsewhere, since pictures and texts need storeys that lie above this one.
    _repr_html_ = Entry("sid_xarray.viz.history_card:html")
    graph = Entry("sid_xarray.viz.history_graph:graph")
    diff = Entry("sid_xarray.core.history_diff:diff")
    environment = Entry("sid_xarray.core.environment:environment")
    methods_text = Entry("sid_xarray.publish.methods:methods_text")
    references = Entry("sid_xarray.publish.methods:references")
    to_prov_json = Entry("sid_xarray.publish.prov_json:to_prov_json")
    to_rocrate = Entry("sid_xarray.publish.rocrate:to_rocrate")
    to_notebook = Entry("sid_xarray.publish.notebook:to_notebook")


def provenance(obj: xr.DataArray | xr.Dataset) -> Provenance:
    """Provenance of an array: every step, checked against the data.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    Provenance
        Truthy if there is a history; its repr lists the steps.

    Notes
    -----
    The check is a fingerprint of values and positions along the dimensions: full below 1 MiB, sampled above, not
    possible for lazy values. Units and other text are not part of it. It does not protect against someone who
    rewrites values and history together.
    """
    if isinstance(obj, xr.Dataset):
        return _of_dataset(obj)
    found, lazy = _history.read(obj.attrs), is_lazy(obj)
    status, reason = check_state(found, state_of(obj), lazy=lazy)
    # What a file gave has an encoding of its own; arithmetic leaves none.
    if status == "unknown" and (HEAD in obj.encoding or not obj.encoding) and departed(obj, found.heads[0], lazy=lazy):
        reason = GAP
    return Provenance(found, status, reason)


def _of_dataset(ds: xr.Dataset) -> Provenance:
    views = {str(name): provenance(da) for name, da in ds.data_vars.items()}
    found = History()
    for view in views.values():
        found = found.union(view._history)
    if not found:
        return Provenance(found, "none", parts=views)
    # The worst of all; a variable without history is as good as one that cannot be checked.
    for status, also in (("modified", ""), ("merged", ""), ("unknown", "none"), ("verified", "")):
        bad = [name for name, view in views.items() if view.status in (status, also)]
        if bad:
            reason = "" if len(bad) == len(views) else f"{', '.join(bad[:5])}: {views[bad[0]].reason}"
            return Provenance(found, status, reason, parts=views)
    return Provenance(found, "modified", parts=views)  # every history is damaged
