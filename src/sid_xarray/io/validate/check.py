"""Check a file against the rules of NSID and USID, and say what each older reader would do with it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from sid_xarray.core.check import Finding, Report
from sid_xarray.errors import FormatError, SidWarning
from sid_xarray.io import _h5
from sid_xarray.io.usid.both import open_groups
from sid_xarray.io.validate import hdf5, nsid, nsid_axes, nsid_beside, usid
from sid_xarray.io.validate.rule import FileFinding, Rule, Table
from sid_xarray.io.validate.scan import Scan, scan

__all__ = ["RULES", "check_file", "run"]

NSID = Table({**nsid.MAIN, **nsid_axes.MAIN, **nsid_beside.MAIN})
RULES = Table({**hdf5.FILE, **nsid.FILE, **NSID, **usid.MAIN})
"""All rules; the documentation is made from them."""

_ORDER = {"error": 0, "warning": 1, "note": 2}


def check_file(path: str | os.PathLike[str]) -> Report:
    """Check an NSID or USID file; it is opened for reading only, and no link is followed out of it.

    Parameters
    ----------
    path : str

    Returns
    -------
    Report
        Findings, the worst first. Each says what is there, what the older readers do with it, and how to repair it;
        ``finding.code`` names the rule, ``finding.effect`` what becomes of the data.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it cannot be read as HDF5 at all.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> from sid_xarray.io.validate import check_file
    >>> [f.code for f in check_file(sid.datasets.bfo_iv_path()) if f.level == "error"]
    []
    """
    path = os.fspath(path)
    try:
        source = _h5.manager(path)
        problems = _problems(path)  # before the file is opened here: the lock of HDF5 is held by one
        try:
            with _h5.opened(source, path) as file:
                found = list(_findings(scan(file, path, problems=problems)))
        finally:
            source.close()
    except (FormatError, FileNotFoundError):
        raise
    except Exception as error:
        # No permission, locked by another program, out of memory on a size that was made up.
        raise FormatError(path, "", f"cannot be read: {_h5.first_line(error)}") from error
    # What our reader says of a place that a rule blames already is the same once more.
    blamed = {f.where for f in found if f.level == "error" and f.code != "H05"}
    found = [f for f in found if f.code != "H05" or f.where not in blamed]
    return Report(sorted(found, key=lambda f: (_ORDER[f.level], f.where)))


def _problems(path: str) -> list[str]:
    """Return what our own reader says about a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        try:
            found = open_groups(path)
        except FormatError:  # there is no array, or nothing can be read: the rules tell which
            return []
    return str(found["/"].attrs.get("sid_problems", "")).splitlines() if "/" in found else []


def run(path: str | os.PathLike[str], *, isolated: bool = False, timeout: float = 60.0) -> tuple[Report, int]:
    """Check a file for a script: 0 if it is fine, 1 if there are errors, 2 if it cannot be read.

    Parameters
    ----------
    path : str
    isolated : bool, default: False
        Look at the file in a process of its own: HDF5 itself can hang or crash on a damaged file.
    timeout : float, default: 60
        Seconds that this process may take.

    Returns
    -------
    report : Report
    code : int
        Warnings and notes leave it 0.
    """
    if isolated:
        return _apart(os.fspath(path), timeout)
    try:
        report = check_file(path)
    except FileNotFoundError as error:
        return Report([Finding("error", os.fspath(path), str(error))]), 2
    except FormatError as error:
        return Report([Finding("error", error.where or os.fspath(path), error.why)]), 2
    return report, int(any(f.level == "error" for f in report))


def _apart(path: str, timeout: float) -> tuple[Report, int]:
    program = "import sys; from sid_xarray.io.validate.check import _child; _child(sys.argv[1])"
    command = [sys.executable, "-c", program, path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        rows, code = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        why = f"HDF5 hangs on it (stopped after {timeout:g} s): the file is damaged. Restore it from a copy"
        return Report([Finding("error", path, why)]), 2
    except ValueError:
        why = f"HDF5 crashes on it (status {done.returncode}): the file is damaged. Restore it from a copy"
        return Report([Finding("error", path, why)]), 2
    return Report(FileFinding(**row) if "code" in row else Finding(**row) for row in rows), int(code)


def _child(path: str) -> None:
    report, code = run(path)
    sys.stdout.write(json.dumps([[dataclasses.asdict(finding) for finding in report], code]))


def _findings(scene: Scan) -> Iterator[FileFinding]:
    yield from _asked(hdf5.FILE.values(), scene)
    if scene.nsid:
        yield from _asked(nsid.FILE.values(), scene)
    for main in scene.nsid:
        yield from _staged(NSID, main)
    for other in scene.usid:
        yield from _staged(usid.MAIN, other)


def _staged(table: Table, main: Any) -> Iterator[FileFinding]:
    """Ask about one array, stage by stage: a reader that does not see it cannot fall over it."""
    for stage in sorted({rule.stage for rule in table.values()}):
        found = list(_asked((rule for rule in table.values() if rule.stage == stage), main))
        yield from found
        if any(f.level == "error" for f in found):
            return


def _asked(rules: Iterable[Rule], thing: Any) -> Iterator[FileFinding]:
    for rule in rules:
        try:
            found = list(rule.look(thing))
        except Exception as error:  # noqa: BLE001 - what is damaged in one place must not hide the rest
            where = getattr(thing, "path", "/") if not isinstance(thing, Scan) else "/"
            damage = f"rule {rule.code} cannot be checked, the file is damaged here: {_h5.first_line(error)}"
            yield hdf5.FILE["H01"].finding(where, damage)
            continue
        yield from (rule.finding(where, what) for where, what in found)
