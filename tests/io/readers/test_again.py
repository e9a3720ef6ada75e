"""What was made of a vendor's file is verified against it, and made again from it."""

from __future__ import annotations

import os
import runpy
import warnings
from pathlib import Path

import pytest
import xarray as xr
from reader_files import FILES

import sid_xarray as sid
from sid_xarray.core.history import is_genuine, read
from sid_xarray.core.trees import signals
from sid_xarray.errors import MissingDependencyError


def numbers(path: Path) -> list[xr.DataArray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [da for da in signals(sid.open(path)).values() if da.dtype.kind in "iufc" and da.ndim]


@pytest.mark.parametrize("kind", FILES)
def test_a_result_is_verified_against_the_file_and_made_again_from_it(kind, tmp_path):
    name, make = FILES[kind]
    raw = tmp_path / name
    raw.write_bytes(make())
    try:
        first, *_ = numbers(raw)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    made = first.sid.trace(lambda d: abs(d - d.mean(d.dims[0]))).load()
    view = made.sid.provenance
    made.rename("made").sid.to_nsid(tmp_path / "made.h5")

    checks = sid.verify(tmp_path / "made.h5")
    assert [c.level for c in checks] == ["ok", "ok"], checks
    back = sid.open_dataarray(tmp_path / "made.h5").load()
    assert back.sid.provenance.status in ("verified", "unknown")
    assert view.replay(path=tmp_path).equals(made)
    (tmp_path / "again.py").write_text(view.to_script(tmp_path), encoding="utf-8")
    again = runpy.run_path(str(tmp_path / "again.py"))["result"]
    assert again.equals(made)
    assert again.sid.provenance.heads == view.heads

    raw.rename(tmp_path / f"renamed{raw.suffix}")
    if kind != "npy":  # whose array has the name of the file
        assert view.replay(path=tmp_path).equals(made)
    (note,) = sid.verify(tmp_path / "made.h5").of("note")
    assert "not found" in note.text
    assert sid.verify(tmp_path / "made.h5", raw=tmp_path / f"renamed{raw.suffix}").ok
    raw.write_bytes(os.urandom(len(make())))
    (error,) = sid.verify(tmp_path / "made.h5").of("error")
    assert "other content" in error.text


def test_every_history_of_every_real_file_is_genuine(shared):
    """As another process finds it, which made none of these steps."""
    files = [path for path in sorted((shared / "realdata").rglob("*")) if path.is_file()]
    seen = 0
    for path in files:
        try:
            arrays = numbers(path)
        except (sid.SidError, OSError, ValueError):
            continue
        for da in arrays:
            steps = read(da.attrs).steps.values()
            assert steps
            assert not [step for step in steps if not is_genuine(step)], path
            seen += 1
    assert seen > 40 or not files
