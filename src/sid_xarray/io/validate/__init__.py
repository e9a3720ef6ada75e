"""Check files: what does not hold, what each older reader makes of it, and how to repair it."""

from __future__ import annotations

from sid_xarray.io.validate.check import check_file, run
from sid_xarray.io.validate.rule import FileFinding, Rule

__all__ = ["FileFinding", "Rule", "check_file", "run"]
