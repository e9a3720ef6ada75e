"""Provenance of an array: stamped by every verb, read as a view, checked against the data."""

from __future__ import annotations

import html
import secrets
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

import xarray as xr

from sid_xarray.core import history as _history
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.fingerprint import token
from sid_xarray.core.history import History, Step
from sid_xarray.core.metadata import from_plain, to_plain
from sid_xarray.errors import MetadataError
from sid_xarray.options import OPTIONS
from sid_xarray.schema import attrs as names

__all__ = ["Provenance", "provenance", "root", "stamp", "strip"]

T = TypeVar("T", xr.DataArray, xr.Dataset)
_HEAD = "sid_head"  # in `encoding`: arithmetic drops it, so it tells whether lazy values are still a step's result
_UNRECORDED = "sid:unrecorded@1"

STATUS: dict[str, str] = {
    "verified": "the values are those that the last step produced",
    "modified": "the values, dims or text were changed after the last step, by something that left no record",
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

    __slots__ = ("_history", "reason", "status")

    def __init__(self, history: History, status: str, reason: str = "") -> None:
        self._history = history
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
            lines.append(f"{number[step.id]:>3}. {_call(step)}{f'   from {source}' if source else ''}   {step.time}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _call(step: Step) -> str:
    if step.op.startswith("sid:open"):
        place = step.params.get("h5path")
        return f"open({step.params.get('name')!r}{f', {place!r}' if place else ''})"
    shown = ", ".join(f"{k}={_short(from_plain(v))}" for k, v in step.params.items() if v is not None)
    return f"{step.name}({shown}){f'.{step.part}' if step.part else ''}"


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
    The check is a fingerprint: full below 1 MiB, sampled above, not possible for lazy values. It does not
    protect against someone who rewrites values and history together.
    """
    if isinstance(obj, xr.Dataset):
        views = [provenance(v) for v in obj.data_vars.values()]
        found = History()
        for view in views:
            found = found.union(view._history)
        for status in ("modified", "merged", "unknown", "verified"):
            bad = [str(n) for n, v in zip(obj.data_vars, views, strict=True) if v.status == status]
            if bad:
                reason = "" if len(bad) == len(views) else f"{', '.join(bad[:5])}: {STATUS[status]}"
                return Provenance(found, status, reason)
        return Provenance(found, "none")
    found = _history.read(obj.attrs)
    status, reason = _check(obj, found)
    return Provenance(found, status, reason)


def _check(da: xr.DataArray, found: History) -> tuple[str, str]:
    if not found:
        return "none", ""
    if found.damaged:
        return "modified", f"the text of {', '.join(found.damaged)} was changed"
    if len(found.heads) > 1:
        return "merged", ""
    out = found.steps[found.heads[0]].out
    here = _describe(da)
    for key in ("dims", "shape", "dtype"):
        if key in out and out[key] != here[key]:
            return "modified", f"{key} were {out[key]} and are {here[key]}"
    if is_lazy(da):
        return "unknown", ""
    if out.get("tok") is None:
        return "unknown", "the values were lazy when the step was recorded"
    if out["tok"] == token(da):
        return "verified", ""
    return "modified", "the values were changed after the last step"


def _describe(da: xr.DataArray) -> dict[str, Any]:
    dtype = da.dtype
    return {
        "dims": [str(d) for d in da.dims],
        "shape": list(da.shape),
        "dtype": dtype.newbyteorder("=").str.lstrip("<>=|") if dtype.names is None else str(dtype),
    }


def root(da: xr.DataArray, op: str, *, lazy: bool = False, identity: Mapping[str, Any], **shown: Any) -> xr.DataArray:
    """Return the array with a history that starts here; unchanged if it has one already.

    Parameters
    ----------
    da : DataArray
    op : str
        For instance ``"sid:open@1"``.
    lazy : bool
        Do not look at the values.
    identity : mapping
        What makes the root the same root: content hash, place in the file. Enters the id.
    **shown
        What is worth knowing besides, such as the name of the file. Does not enter the id.
    """
    if not OPTIONS["record_provenance"] or _history.read(da.attrs):
        return da
    out = _describe(da) | {"tok": None if lazy else token(da)}
    step = _history.make_step(op, {**shown, **identity}, (), out)
    # A file that was renamed is the same root: the address is made of the identity alone.
    step = Step(**{**step.__dict__, "id": _history.recipe_id(op, identity, ())})
    return _with_history(da, History().add(step))


def strip(obj: T) -> T:
    """Return the array without its history."""
    out = obj.copy(deep=False)
    out.attrs = names.without_provenance(out.attrs)
    if isinstance(out, xr.Dataset):
        for var in out.variables.values():
            var.attrs = names.without_provenance(var.attrs)
    return out


def stamp(result: T, op: str, *inputs: xr.DataArray | xr.Dataset, version: int = 1, **params: Any) -> T:
    """Return the result of a verb with one more step in its history; the last line of every verb.

    The history is that of the inputs, so a verb that calls verbs stamps once.

    Parameters
    ----------
    result : DataArray or Dataset
        Every variable of a Dataset is stamped, as one part of the result.
    op : str
        Name of the verb.
    *inputs : DataArray or Dataset
        What it worked on.
    version : int
        Version of the verb: a higher one, when the same parameters give other numbers.
    **params
        Everything that is needed to do it again.
    """
    result = strip(result).drop_encoding()
    if not OPTIONS["record_provenance"]:
        return result
    found, ids = _of_inputs(inputs)
    plain = {k: _param(v) for k, v in params.items()}
    name = f"sid:{op}@{version}"
    if isinstance(result, xr.DataArray):
        return _stamped(result, name, plain, ids, found, None)
    for key in result.data_vars:
        result[key] = _stamped(result[key], name, plain, ids, found, str(key))
    return result


def _stamped(
    da: xr.DataArray, op: str, params: dict[str, Any], ids: list[tuple[str, str]], found: History, part: str | None
) -> xr.DataArray:
    step = _history.make_step(op, params, ids, _describe(da) | {"tok": token(da)}, part=part)
    return _with_history(da, found.add(step))


def _with_history(da: xr.DataArray, found: History) -> xr.DataArray:
    out = da.copy(deep=False)
    out.attrs = {**names.without_provenance(da.attrs), **_history.encode(found)}
    out.variable.encoding = {**da.encoding, _HEAD: found.heads[0]}
    return out


def _param(value: Any) -> Any:
    if isinstance(value, xr.DataArray | xr.Dataset):
        variables = value.data_vars.values() if isinstance(value, xr.Dataset) else (value,)
        return {"~": "xarray", "tok": [token(v) for v in variables]}
    try:
        return to_plain(value)
    except MetadataError:
        place = f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', type(value).__name__)}"
        return {"~": "opaque", "v": place}


def _of_inputs(inputs: tuple[xr.DataArray | xr.Dataset, ...]) -> tuple[History, list[tuple[str, str]]]:
    found = History()
    ids: list[tuple[str, str]] = []
    for i, obj in enumerate(inputs):
        role = "in" if len(inputs) == 1 else f"in{i}"
        parts: Mapping[Hashable, xr.DataArray] = obj.data_vars if isinstance(obj, xr.Dataset) else {"": obj}
        for part, da in parts.items():
            one = _settled(da)
            found = found.union(one)
            ids.append((f"{role}.{part}" if part != "" else role, one.heads[0]))
    return found, ids


def _settled(da: xr.DataArray) -> History:
    """Return a history with one head that is true of the array: gaps are filled by an explicit step."""
    found = _history.read(da.attrs)
    out = _describe(da) | {"tok": token(da)}
    if not found.heads:
        salt = out["tok"] or secrets.token_hex(8)
        params = {"name": None if da.name is None else str(da.name), "verifiable": out["tok"] is not None}
        return History().add(_history.make_step("sid:input@1", params, (), out, salt=salt))
    status, reason = _check(da, found)
    if status in ("verified",) or (status == "unknown" and not _departed(da, found)):
        return found
    if status == "unknown":
        reason = "lazy values went through an operation that left no record"
    params = {"what": "plain arithmetic" if status == "merged" else reason, "status": status}
    # Two different unrecorded changes must not share an address.
    salt = out["tok"] or secrets.token_hex(8)
    inputs = [(f"in{i}" if len(found.heads) > 1 else "in", head) for i, head in enumerate(found.heads)]
    return found.add(_history.make_step(_UNRECORDED, params, inputs, out, salt=salt))


def _departed(da: xr.DataArray, found: History) -> bool:
    return da.variable.encoding.get(_HEAD) != found.heads[0]


