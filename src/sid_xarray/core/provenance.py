"""Provenance of an array: stamped by every verb, read as a view, checked against the data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import xarray as xr

from sid_xarray.core import history as _history
from sid_xarray.core.calls import Call, calls, line
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.entry import Entry
from sid_xarray.core.history import History, Step
from sid_xarray.core.metadata import from_plain
from sid_xarray.core.stamping import GAP, GRAPH, HEAD, check_state, departed, descend, root, stamp, state_of, strip
from sid_xarray.errors import ProvenanceError, nearest

__all__ = ["GRAPH", "HEAD", "Provenance", "descend", "history", "provenance", "root", "stamp", "strip"]

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
        """Parameters of one step, by position, by id, or by the name of a verb: then of its last call.

        Raises
        ------
        ProvenanceError
            If there is no such step.
        """
        if isinstance(step, str):
            named = [s for s in self.steps if s.name == step]
            chosen = self._history.steps.get(step, named[-1] if named else None)
        else:
            chosen = self.steps[step] if -len(self) <= step < len(self) else None
        if chosen is None:
            known = nearest(step, dict.fromkeys(self.operations)) if isinstance(step, str) else ""
            raise ProvenanceError(f"no step {step!r} among {len(self)}.{known}")
        return {k: from_plain(v) for k, v in chosen.params.items()}

    def replay(
        self,
        new: Any = None,
        /,
        *,
        path: str | os.PathLike[str] | None = None,
        any_version: bool = False,
        **arrays: Any,
    ) -> xr.DataArray | xr.Dataset:
        """Do the same again, on another array or on the same: every step by its verb, with its parameters.

        Parameters
        ----------
        new : DataArray, Dataset, DataTree, str or mapping, optional
            What to start from: an array, or the path of a file (``"new.h5::signal"`` names one of several signals).
            Of a Dataset or an open file the array that is called as it was then.
            For a history that starts from several arrays, a mapping from their names, or ids.
        path : str, optional
            Where to find the raw files of arrays that are not given: the file, or the folder; the working directory by
            default. Only the very same array is taken, going by the hash of the file.
        any_version : bool, default: False
            Take verbs of other versions than recorded, which may give other numbers.
        **arrays
            By name: ``replay(sample=..., reference=...)``.

        Returns
        -------
        DataArray or Dataset
            With a history of its own. On the same arrays it is identical: the same recipe has the same id.

        Raises
        ------
        ProvenanceError
            If a step left no record that would do (``unrecorded``, or a function that nobody registered), naming it;
            if the values were changed after the last step; if an array is missing.

        Examples
        --------
        >>> import sid_xarray as sid
        >>> one, other = sid.datasets.peak_map(), sid.datasets.peak_map(seed=1)
        >>> center = one.sid.rebin(x=2).sid.fit("gaussian + constant").center
        >>> again = center.sid.provenance.replay(other)
        >>> again.equals(other.sid.rebin(x=2).sid.fit("gaussian + constant").center)
        True
        """
        from sid_xarray.core.replay.run import replay

        return replay(self, new, path=path, any_version=any_version, named=arrays)

    def to_script(self, paths: Any = None) -> str:
        """Write the history down as a Python file that makes the array again, from the raw file.

        Parameters
        ----------
        paths : str or mapping, optional
            Where the raw files are: the file, or the folder; a mapping from the names of the arrays that the history
            starts from. ``"raw.h5::signal"`` names one of several signals. By default the names that the files had.

        Returns
        -------
        str
            A program: it leaves the array in ``result``, and writes it to the file that is named when it is run. Where
            a step cannot be done again, it says what to write there.

        Raises
        ------
        ProvenanceError
            If there is no history, or the values were changed after its last step.
        """
        from sid_xarray.core.replay.script import to_script

        return to_script(self, paths)

    def __len__(self) -> int:
        return len(self._history.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __bool__(self) -> bool:
        return bool(self._history)

    def __repr__(self) -> str:
        if not self:
            return "<no provenance>"
        told = self.calls
        number = {step.id: call.number for call in told for step in call.steps}
        lines = [f"<provenance: {self.status} ({self.reason})>"]
        for call in told:
            source = ", ".join(dict.fromkeys(number.get(key, "?") for _, key in call.step.inputs))
            said = f"{line(call, number)}{f'   from {source}' if source else ''}   {call.step.time}"
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


def history(obj: xr.DataArray | xr.Dataset, *, buf: IO[str] | None = None) -> None:
    """Print the steps that made an array, as ``print(da.sid.provenance)`` does.

    Parameters
    ----------
    obj : DataArray or Dataset
    buf : file, optional
        Where to; standard output by default.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> sid.datasets.peak_map().sid.history()
    <provenance: verified (the values are those that the last step produced)>
      1. input(name='intensity')
    """
    (sys.stdout if buf is None else buf).write(f"{provenance(obj)!r}\n")


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
