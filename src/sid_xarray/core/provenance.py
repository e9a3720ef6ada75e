"""Provenance of an array: stamped by every verb, read as a view, checked against the data."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping
from typing import Any

import xarray as xr

from sid_xarray.core import history as _history
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.history import History, Step
from sid_xarray.core.metadata import from_plain
from sid_xarray.core.stamping import GAP, GRAPH, HEAD, check_state, departed, descend, root, stamp, state_of, strip
from sid_xarray.errors import MetadataError

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

    def parameters(self, step: int | str = -1) -> dict[str, Any]:
        """Parameters of one step, by position or by id."""
        chosen = self._history.steps[step] if isinstance(step, str) else self.steps[step]
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
        new : DataArray, str or mapping, optional
            What to start from: an array, or the path of a file (``"new.h5::signal"`` names one of several signals).
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
        number = {step.id: i for i, step in enumerate(self.steps, 1)}
        lines = [f"<provenance: {self.status} ({self.reason})>"]
        for step in self.steps:
            source = ", ".join(str(number.get(key, "?")) for _, key in step.inputs)
            line = f"{number[step.id]:>3}. {_call(step, number)}{f'   from {source}' if source else ''}   {step.time}"
            lines.append(line.rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _call(step: Step, number: Mapping[str, int]) -> str:
    if step.op.startswith(("xr:", "np:")):
        return _plain_call(step, [f"<{number.get(key, '?')}>" for _, key in step.inputs])
    if step.op.startswith("sid:open"):
        place = step.params.get("h5path")
        return f"open({step.params.get('name')!r}{f', {place!r}' if place else ''})"
    shown = ", ".join(f"{k}={_short(_readable(v))}" for k, v in step.params.items() if v is not None)
    return f"{step.name}({shown}){f'.{step.part}' if step.part else ''}"


def _plain_call(step: Step, inputs: list[str]) -> str:
    """Return a traced step as ``rolling(x=3).mean()``; other inputs stand in it by their numbers."""

    def text(value: Any) -> str:
        if isinstance(value, dict) and value.get("~") == "in":
            return inputs[value["v"]] if value.get("v") in range(len(inputs)) else "<?>"
        return _short(_readable(value))

    def inside(args: Any, kwargs: Any) -> str:
        plain = [text(a) for a in args] if isinstance(args, list) else []
        if isinstance(kwargs, dict) and kwargs.get("~") == "dict":  # in an order that means something
            pairs = kwargs.get("v", ())
            kwargs = {str(p[0]): p[1] for p in pairs if isinstance(p, list) and len(p) == 2}
        return ", ".join(plain + [f"{k}={text(v)}" for k, v in kwargs.items()] if isinstance(kwargs, dict) else plain)

    via, _, last = step.name.rpartition(".")
    of = step.params.get("of")
    before = f"{via}({inside(*of)})." if isinstance(of, list) and len(of) == 2 else f"{via}." if via else ""
    return f"{before}{last}({inside(step.params.get('args'), step.params.get('kwargs'))})"


def _readable(value: Any) -> Any:
    try:
        return from_plain(value)
    except MetadataError:  # a damaged parameter is shown as it is
        return value


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


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
