"""Whether a file still holds what was saved, what its histories say, and what they started from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from sid_xarray.core.fingerprint import file_fingerprint, token_of_stored
from sid_xarray.core.history import History, Step
from sid_xarray.core.history import read as read_history
from sid_xarray.core.history_checks import contradictions
from sid_xarray.core.stamping import HEAD, check_state, state_of
from sid_xarray.io import _sources
from sid_xarray.io.checksum import Finding, verify_file
from sid_xarray.io.usid.both import open_groups

__all__ = ["Check", "Verification", "verify"]

_COVERED = 2 * 2**20  # of a raw file: first and last MiB


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    level : {"ok", "note", "warning", "error"}
        ``"note"``: cannot be told. ``"warning"``: the array is what was saved, and that was not what its history says.
    where : str
        Path of an array, or name of a raw file.
    what : {"array", "coordinate", "values", "attributes", "history", "raw"}
    text : str
    """

    level: str
    where: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.text}"


class Verification(tuple[Check, ...]):
    """All that was looked at, in the order of the file."""

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not self.of("error")

    def of(self, *levels: str) -> Verification:
        """Return the checks of some levels."""
        return Verification(check for check in self if check.level in levels)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "nothing to verify"


def verify(
    path: str | os.PathLike[str], *, raw: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = ()
) -> Verification:
    """Read a file again and compare it with what was written down when it was saved.

    Parameters
    ----------
    path : str
        An NSID or USID file.
    raw : path or iterable of paths, optional
        The files that its histories start from, or folders where they lie. Without, they are looked for beside the
        file, and where it says that they are.

    Returns
    -------
    Verification
        One check for every array and raw file, more where something is wrong. ``ok`` is False if the values,
        attributes or history of an array are not those that were saved; if a history contradicts itself; if the values
        are not those of its last step; or if a raw file is not the one that it was.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is neither NSID nor USID.

    Notes
    -----
    All values are read, one tile after the other. Nothing here is a signature: who changes values and writes
    checksums, fingerprints and addresses anew, is not found out.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> sid.datasets.peak_map().sid.rebin(energy=2).sid.to_nsid("rebinned.h5", mode="w")
    '/Measurement_000/Channel_000/intensity'
    >>> sid.verify("rebinned.h5").ok
    True
    """
    file = os.fspath(path)
    groups = open_groups(file, exact=True)
    try:
        checks, roots = _arrays(groups, verify_file(file), file_fingerprint(file))
    finally:
        for ds in groups.values():
            ds.close()
    given = [raw] if isinstance(raw, str | os.PathLike) else list(raw)
    return Verification([*checks, *_raw_files(roots, file, [os.fspath(one) for one in given])])


def _arrays(
    groups: Mapping[str, xr.Dataset], said: Iterable[Finding], here: Mapping[str, Any]
) -> tuple[list[Check], list[Step]]:
    """Return the checks of all arrays, and the steps that their histories start from."""
    findings: dict[tuple[str, str], list[Finding]] = {}
    for finding in said:
        findings.setdefault((finding.group, finding.variable), []).append(finding)
    checks: list[Check] = []
    roots: dict[str, Step] = {}
    done: set[tuple[str, str]] = set()
    for place, ds in groups.items():
        for name, da in ds.data_vars.items():
            own = findings.get((place, str(name)), [])
            axes = [f for dim in da.dims for f in findings.get((place, str(dim)), []) if f.bad]
            history = read_history(da.attrs)
            if _is_foreign(history, here):  # of another program, which saved none
                history, da = History(), da.drop_encoding()
            roots |= {step.id: step for step in history.steps.values() if step.is_root}
            checks += _array(f"{place.rstrip('/')}/{name}", da, history, own, axes)
            done.add((place, str(name)))
    rest = [(key, f) for key, many in findings.items() if key not in done for f in many if f.bad]
    return [*checks, *(_other(place, name, f) for (place, name), f in rest)], list(roots.values())


def _is_foreign(history: History, here: Mapping[str, Any]) -> bool:
    """Tell whether a history starts, and ends, with this very file as it is now: reading has just given it."""
    steps = list(history.steps.values())
    return len(steps) == 1 and all(steps[0].params.get(key) == here[key] for key in ("size", "sha256"))


def _array(where: str, da: xr.DataArray, history: History, findings: list[Finding], axes: list[Finding]) -> list[Check]:
    bad = [*_saved(where, findings), *_told(where, da, history)]
    known = bool(findings) and all(f.ok for f in findings) and not axes
    last = _last_step(where, da, history, known=known)
    if last.level == "error" or not bad:
        bad.append(last)
    return bad


def _saved(where: str, findings: list[Finding]) -> Iterator[Check]:
    """Compare with the checksums."""
    for f in findings:
        more = f" ({f.detail})" if f.detail else ""
        if f.status == "values changed":
            yield Check("error", where, "values", f"the values are not those that were saved{more}")
        elif f.status == "attrs changed":
            text = "attributes are not those that were saved: names, units, metadata or history were edited"
            yield Check("error", where, "attributes", text + more)
        elif f.bad:
            yield Check("error", where, "values", f"{f.status}{more}")


def _told(where: str, da: xr.DataArray, history: History) -> Iterator[Check]:
    """Check the history by itself, and that it is the one that was saved with the array."""
    for key in history.damaged:
        yield Check("error", where, "history", f"the text of its history ({key}) was edited")
    for text in contradictions(history):
        yield Check("error", where, "history", text)
    head = da.encoding.get(HEAD)
    if head is None or head in history.heads or history.damaged:
        return
    if not history:
        yield Check("error", where, "history", f"its history was taken away: it was saved as the result of step {head}")
        return
    now = ", ".join(f"{history.steps[h].name} {h}" for h in history.heads)
    text = f"carries a history that was not saved with it: it was the result of step {head}, and says {now}"
    yield Check("error", where, "history", text)


def _last_step(where: str, da: xr.DataArray, history: History, *, known: bool) -> Check:
    """Compare with the fingerprint of the last step; ``known``: the checksums say that it is what was saved."""
    saved = "it is what was saved" if known else "there is no checksum to compare with"
    if not history:
        return Check("ok" if known else "note", where, "array", f"no history; {saved}")
    try:
        here = {**state_of(da, lazy=True), "tok": token_of_stored(da)}
    except (OSError, RuntimeError, ValueError) as error:
        return Check("error", where, "values", f"the values cannot be read: {str(error).splitlines()[0]}")
    status, reason = check_state(history, here, lazy=False)
    if status == "verified":
        name = history.steps[history.heads[0]].name
        return Check("ok", where, "array", f"what the last step, {name}, produced{'' if known else f'; {saved}'}")
    if status == "merged":
        text = f"plain arithmetic made it of {len(history.heads)} recorded arrays: no step to compare with; {saved}"
        return Check("ok" if known else "note", where, "array", text)
    if status == "unknown":
        return Check("ok" if known else "note", where, "array", f"{reason}; {saved}")
    if known:
        return Check(
            "warning", where, "array", f"{reason}, by something that left no record, before it was saved; {saved}"
        )
    return Check("error", where, "values", f"{reason}: it is not what the last step produced")


def _other(place: str, name: str, finding: Finding) -> Check:
    """Return what is wrong with a coordinate, or with a group as a whole."""
    what = {"values changed": "positions are not those that were saved", "attrs changed": "attributes were edited"}
    text = what.get(finding.status, finding.status)
    if finding.status == "missing":
        text = "was saved and is not there: removed, or renamed"
    more = f" ({finding.detail})" if finding.detail else ""
    return Check("error", f"{place.rstrip('/')}/{name}", "coordinate", text + more)


def _raw_files(roots: Iterable[Step], file: str, given: list[str]) -> Iterator[Check]:
    known: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    others = 0
    for step in roots:
        p = step.params
        if isinstance(p.get("sha256"), str) and isinstance(p.get("size"), int):
            known.setdefault((p["sha256"], p["size"]), p)
        else:
            others += 1
    for about in known.values():
        yield _raw_file(about, file, given)
    if others:
        text = f"{others} array{'s were' if others > 1 else ' was'} given in memory: there is no file to compare with"
        yield Check("note", "raw data", "raw", text)


def _raw_file(p: Mapping[str, Any], file: str, given: list[str]) -> Check:
    name = os.path.basename(str(p.get("name", "")))
    wanted = {"size": p["size"], "sha256": p["sha256"]}
    others = []
    for candidate in _candidates(name, file, given):
        found = file_fingerprint(candidate)
        if all(found[k] == v for k, v in wanted.items()):
            more = "" if p["size"] <= _COVERED else "; what lies between the first and the last MiB is not covered"
            return Check("ok", name, "raw", f"{candidate} is the file that it was{more}")
        others.append((candidate, found))
    mine = [c for c, _ in others if os.path.samefile(c, file)]
    if others and len(mine) == len(others):
        return Check("note", name, "raw", "it is this file, which was added to since: it cannot be compared as a whole")
    for candidate, found in others:
        if candidate not in mine:
            change = f"{p['size']} bytes then, {found['size']} now" if found["size"] != p["size"] else "other content"
            return Check("error", name, "raw", f"{candidate} is not the file that it was: {change}")
    looked = "where it should be" if given else f"beside {os.path.basename(file)}"
    return Check("note", name, "raw", f"not found {looked}. Say where it is: sid verify FILE --raw PATH")


def _candidates(name: str, file: str, given: list[str]) -> list[str]:
    """Return the files that may be it: those named by the user, or those beside and recorded."""
    if given:
        found = [Path(one) / name if Path(one).is_dir() else Path(one) for one in given]
    else:
        found = [Path(file).parent / name, *(Path(p) for p in _sources.elsewhere(file) if Path(p).name == name)]
    return [str(p) for p in dict.fromkeys(found) if name and p.is_file()]
