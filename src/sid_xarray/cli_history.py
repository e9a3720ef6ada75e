"""What ``sid history`` and ``sid verify`` print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

import sid_xarray as sid
from sid_xarray.core.calls import Call, joined, line
from sid_xarray.core.history import History, read
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, nearest
from sid_xarray.verify import Verification

__all__ = ["as_json", "as_prov", "as_tree", "chosen", "report"]

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}


def chosen(file: Path, signal: str | None) -> dict[str, Any]:
    """Return the arrays of a file whose history is asked for, by path.

    Parameters
    ----------
    file : Path
    signal : str, optional
        Path of an array or of a group, or name of an array; all by default.

    Raises
    ------
    FormatError
        If there is none of that name.
    """
    found = signals(sid.open(file))
    if signal is None:
        return found
    wanted = "/" + signal.strip("/")
    some = {
        key: da
        for key, da in found.items()
        if key == wanted or key.startswith(f"{wanted}/") or key.rpartition("/")[2] == signal
    }
    if not some:
        raise FormatError(
            file, "", f"has no signal {signal!r}.{nearest(signal, [k.rpartition('/')[2] for k in found])}"
        )
    return some


def as_json(arrays: Mapping[str, Any]) -> str:
    """Return the steps of every array as JSON."""
    plain = {key: [{**s.to_plain(), "ag": s.agents} for s in da.sid.provenance] for key, da in arrays.items()}
    return json.dumps(plain, indent=1)


def as_prov(arrays: Mapping[str, Any]) -> str:
    """Return the histories of all arrays as one PROV-JSON document."""
    return _together(arrays.values()).to_prov_json()  # type: ignore[no-any-return]


def _together(arrays: Iterable[Any]) -> Provenance:
    """Return all steps of several arrays; their status is left out, since no values are read."""
    found = History()
    for da in arrays:
        found = found.union(read(da.attrs))
    return Provenance(found, "unknown" if found else "none")


def as_tree(file: Path, arrays: Mapping[str, Any]) -> Tree:
    """Return the histories as a tree: a branch for the arrays that one call made, a line for every step."""
    root = Tree(f"[bold]{escape(str(file))}[/]")
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for key, da in arrays.items():
        view = da.sid.provenance
        place, _, name = key.rpartition("/")
        made = view.calls[-1].id if view and view.calls[-1].parts else key
        groups.setdefault((place or "/", made, _said(view)), {})[name] = da
    for (place, _, said), members in groups.items():
        branch = root.add(f"[dim]{escape(place)}[/] [bold cyan]{escape(joined(members, 6))}[/]{said}")
        view = _together(members.values())
        if view.steps:
            _add(branch, view)
    return root


def _said(view: Provenance) -> str:
    if not view:
        return "  [dim]no history[/]"
    # Values are not read here, so a history can be contradicted and not confirmed.
    return "" if view.status == "unknown" else f"  [yellow]{view.status}[/]: {escape(view.reason)}"


def _add(branch: Tree, view: Provenance) -> None:
    """Add the steps: a chain of them is a list; what joins it is a branch of the step that it joins."""
    maker = {step.id: call for call in view.calls for step in call.steps}
    number = {key: call.number for key, call in maker.items()}
    told: set[str] = set()

    def inputs(call: Call) -> list[Call]:
        return list({maker[k].step.id: maker[k] for _, k in call.step.inputs if k in maker}.values())

    def chain(branch: Tree, end: Call) -> None:
        links = [end]
        while (below := inputs(links[0])) and below[0].step.id not in told:
            links.insert(0, below[0])
        told.update(link.step.id for link in links)
        for i, call in enumerate(links):
            below = inputs(call)
            node = branch.add(_line(call, below[0] if below and i == 0 else None, number))
            for other in below[1:]:
                if other.step.id in told:
                    node.add(f"[dim]and step {other.number}[/]")
                else:
                    chain(node, other)

    for head in view.heads:
        if maker[head].step.id not in told:
            chain(branch, maker[head])


def _line(call: Call, after: Call | None, number: Mapping[str, str]) -> str:
    text = escape(line(call, number))
    goes_on = f"  [dim]from step {after.number}[/]" if after is not None else ""
    time = f"  [dim]{escape(call.step.time)}[/]" if call.step.time else ""
    return f"{call.number}. {text if call.is_repeatable else f'[yellow]{text}[/]'}{goes_on}{time}"


def report(console: Console, checks: Verification) -> int:
    """Print what was verified, the sound arrays of a group on one line, and return the exit code."""
    for level, where, texts in _rows(checks):
        colour = _COLOURS[level]
        console.print(f"[{colour}]{level:>7}[/]  {escape(where)}: {escape(texts)}")
    count = {level: len(checks.of(level)) for level in ("error", "warning", "note")}
    if not checks:
        console.print("nothing to verify: the file holds no arrays")
    elif count["error"]:
        n = count["error"]
        console.print(f"[red]{n} thing{'s are' if n > 1 else ' is'} not what {'they were' if n > 1 else 'it was'}[/]")
    elif not checks.of("ok", "warning"):
        console.print(
            "[yellow]nothing could be compared[/]: the file holds no checksums, and no history with fingerprints"
        )
    else:
        rest = ", ".join(f"{n} {level}{'s' if n > 1 else ''}" for level, n in count.items() if n)
        console.print(f"[green]nothing contradicts what was saved[/]{f' ({rest})' if rest else ''}")
    return int(not checks.ok)


def _rows(checks: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Join neighbours of one group of which the same is said."""
    rows: list[tuple[str, str, str]] = []
    groups: list[tuple[str, str, str, list[str]]] = []
    for check in checks:
        place, _, name = check.where.rpartition("/")
        key = (check.level, place, check.text)
        if groups and groups[-1][:3] == key and check.what == "array":
            groups[-1][3].append(name)
        else:
            groups.append((*key, [name]))
    for level, place, text, names in groups:
        rows.append((level, f"{place}/{joined(names, 8)}" if place or len(names) > 1 else names[0], text))
    return rows
