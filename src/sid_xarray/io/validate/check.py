"""Check a file against the rules of NSID and USID, and say what each older reader would do with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from sid_xarray.core.check import Finding, Report
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io.validate import hdf5, nsid, usid
from sid_xarray.io.validate.rule import FileFinding, Rule, Table
from sid_xarray.io.validate.scan import Scan, scan

__all__ = ["TABLES", "check_file", "run"]

TABLES: tuple[Table, ...] = (hdf5.FILE, nsid.FILE, nsid.MAIN, usid.MAIN)
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
        try:
            with _h5.opened(source, path) as file:
                found = list(_findings(scan(file, path)))
        finally:
            source.close()
    except (FormatError, FileNotFoundError):
        raise
    except Exception as error:
        # No permission, locked by another program, out of memory on a size that was made up.
        raise FormatError(path, "", f"cannot be read: {_h5.first_line(error)}") from error
    return Report(sorted(found, key=lambda f: (_ORDER[f.level], f.where)))


def run(path: str | os.PathLike[str]) -> tuple[Report, int]:
    """Check a file for a script: 0 if it is fine, 1 if there are errors, 2 if it cannot be read.

    Parameters
    ----------
    path : str

    Returns
    -------
    report : Report
    code : int
        Warnings and notes leave it 0.
    """
    try:
        report = check_file(path)
    except FileNotFoundError as error:
        return Report([Finding("error", os.fspath(path), str(error))]), 2
    except FormatError as error:
        return Report([Finding("error", error.where or os.fspath(path), error.why)]), 2
    return report, int(any(f.level == "error" for f in report))


def _findings(scene: Scan) -> Iterator[FileFinding]:
    yield from _asked(hdf5.FILE.values(), scene)
    if scene.nsid:
        yield from _asked(nsid.FILE.values(), scene)
    for main in scene.nsid:
        yield from _staged(nsid.MAIN, main)
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
