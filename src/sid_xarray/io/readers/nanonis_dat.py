"""Nanonis spectroscopy at one point (``.dat``): columns of text, several sweeps, forward and backward."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers import _nanonis, _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read", "sniff"]

_DATA = "[DATA]"


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file starts as the program starts all of its text files."""
    return head.startswith(b"Experiment\t")


def read(source: Source) -> Iterator[Signal]:
    """Read the columns: one variable a quantity and direction, the sweeps along one dimension.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        ``Current`` over (sweep, bias), ``Current_average`` over (bias), ``Current_backward`` …

    Raises
    ------
    FormatError
        If there is no table, or a line of it is not whole.
    """
    text = source.text()
    head, mark, body = text.partition(_DATA)
    if not mark:
        raise source.error("has no [DATA]. It is cut off, or no Nanonis spectroscopy")
    header = {k.strip(): v.strip() for k, _, v in (line.partition("\t") for line in head.splitlines()) if k.strip()}
    titles, _, rows = body.lstrip("\r\n").partition("\n")
    columns = titles.rstrip("\r").split("\t")
    table = _table(source, rows, len(columns))
    sweep, taken = _sweep(columns, table)
    groups: dict[tuple[str, str], dict[int, np.ndarray[Any, Any]]] = {}
    for title, values in zip(columns[taken:], table.T[taken:], strict=True):
        name, units, number = _column(title)
        known = groups.setdefault((name, units), {})
        if number in known:
            number = max(known) + 1
        known[number] = values
    kept: dict[str, Any] = {
        "metadata": _metadata(header),
        "original": _nanonis.nested(header),
        "group": "sweeps",
        "modality": "SPM",
    }
    for (name, units), sweeps in groups.items():
        quantity = re.sub(r"(_average|_backward|_filtered)+$", "", name)
        if set(sweeps) == {0}:
            yield Signal(name, sweeps[0], [sweep], units, quantity=quantity, **kept)
        else:
            order = sorted(sweeps)
            runs = axis("sweep", len(order), np.array(order, float), kind="temporal")
            yield Signal(name, np.stack([sweeps[k] for k in order]), [runs, sweep], units, quantity=quantity, **kept)


def _table(source: Source, rows: str, width: int) -> np.ndarray[Any, Any]:
    lines = [line for line in rows.splitlines() if line.strip()]
    if not lines:
        return np.empty((0, width))
    try:
        table = np.loadtxt(io.StringIO("\n".join(lines)), delimiter="\t", ndmin=2)
    except ValueError as error:
        raise source.error(f"has a damaged table: {error}", _DATA) from None
    if table.shape[1] != width:
        raise source.error(f"has {table.shape[1]} columns of numbers under {width} titles", _DATA)
    if rows and not rows.endswith(("\n", "\r")):
        raise source.error("ends in the middle of a line: it is cut off", _DATA)
    return table


def _column(title: str) -> tuple[str, str, int]:
    """Return name, units and number of the sweep of a title such as ``"Current [00001] [bwd] (A)"``."""
    marks = re.findall(r"\[([^\]]*)\]", title)
    name, units = _text.split_unit(" ".join(re.sub(r"\[[^\]]*\]", " ", title).split()))
    number = 0
    for mark in marks:
        if mark.isdigit():
            number = int(mark)
        elif mark == "AVG":
            name += "_average"
        elif mark == "bwd":
            name += "_backward"
        elif mark == "filt":
            name += "_filtered"
        else:
            name += f"_{mark}"
    return name, units, number


def _sweep(columns: list[str], table: np.ndarray[Any, Any]) -> tuple[Any, int]:
    """Return the axis, and how many columns it takes: the first one, if it goes one way."""
    values = table[:, 0] if table.shape[1] else np.empty(0)
    steps = np.diff(values)
    if len(columns) > 1 and np.isfinite(values).all() and ((steps > 0).all() or (steps < 0).all()):
        name, units, _ = _column(columns[0])
        dim = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "sweep_axis"
        dim = {"bias_calc": "bias", "z_rel": "z"}.get(dim, dim)
        return axis(dim, len(values), values, units=units, label=name, kind="spectral"), 1
    return axis("point", len(table), label="point", kind="unknown"), 0


def _metadata(header: dict[str, str]) -> dict[str, Any]:
    kind = header.get("Experiment", "")
    date, _, time = (header.get("Start time") or header.get("Date", "") or header.get("Saved Date", "")).partition(" ")
    sweeps = _nanonis.number(header.get(f"{kind.title()}>Number of sweeps"))
    held = header.get("Z-Ctrl hold")
    return {
        **_nanonis.common(header),
        "instrument/technique": kind,
        "acquisition/start_time": _nanonis.start_time(date, time),
        "acquisition/operator": header.get("User"),
        "acquisition/comment": header.get("Comment01"),
        "acquisition/settling_time": _nanonis.number(header.get("Settling time (s)")),
        "acquisition/dwell_time": _nanonis.number(header.get("Integration time (s)")),
        "acquisition/sweeps": sweeps,
        "acquisition/feedback": None if held is None else "off" if held == "TRUE" else "on",
        "stage/x": _nanonis.number(header.get("X (m)")),
        "stage/y": _nanonis.number(header.get("Y (m)")),
        "probe/z": _nanonis.number(header.get("Z (m)")),
    }
