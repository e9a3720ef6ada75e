"""A few random kills of writers, and a few at the steps that matter; by hand there were many more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_writers.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_killed_writers_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--runs", "12", "--seed", "2", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 killed, 0 wrong" in done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("form", ["nsid", "usid"])
def test_killed_at_any_of_the_last_steps(tmp_path: Path, form: str) -> None:
    command = [sys.executable, str(SCRIPT), "--steps", "--only", f"{form},add in place", "--last", "16"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "32 runs" in done.stdout
    assert " 0 wrong" in done.stdout
