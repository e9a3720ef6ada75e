"""Damaged files: a FormatError that names the file, at once, and without making room for what is not there."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from reader_files import FILES, anasys, grid_3ds, gwy, nanoscope, npy, pifm, sxm
from reader_mutants import mutants
from reader_truth import real_files

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, MissingDependencyError, SidWarning
from sid_xarray.io.door import READERS

SCRIPT = Path(__file__).parent / "reader_mutants.py"


@pytest.mark.parametrize("kind", FILES)
def test_mutants_of_small_files(kind: str, tmp_path: Path) -> None:
    name, make = FILES[kind]
    if not READERS[kind.split()[0]].is_installed:
        pytest.skip("the package that reads it is not installed")
    data = make()
    path = tmp_path / name
    path.write_bytes(data)
    signals(sid.open(path))  # what is imported at the first time counts for nobody
    cut = 0
    tracemalloc.start()
    for seed in range(3):
        for what, mutant in mutants(data, seed):
            path.write_bytes(mutant)
            start = time.process_time()
            try:
                for da in signals(sid.open(path)).values():
                    if da.size < 2**20:
                        da.load()
            except FormatError as error:
                cut += what in ("empty", "half")
                assert name in str(error)
            assert time.process_time() - start < 5, what
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20
    assert cut == 6  # no half of a file is taken for a whole one


@pytest.mark.slow
@pytest.mark.parametrize("name", real_files("nsid", "usid"))
def test_mutants_of_real_files(name: str, shared: Path, tmp_path: Path) -> None:
    """In a process of its own: libraries may end it. 5 s and 500 MB a mutant, and no exception but ours."""
    path = shared / "realdata" / name
    try:
        sid.open(path).close()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    run = subprocess.run(
        [sys.executable, str(SCRIPT), str(path), str(tmp_path)], capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.strip().splitlines()[-1])
    assert not [r for r in found["results"] if r[1].startswith(("LEAK", "MemoryError"))]
    assert found["peak"] < 500
    assert max(r[2] for r in found["results"]) < 5  # of the processor: a machine that runs other things is slow


def refused(tmp_path: Path, name: str, data: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FormatError, match=match):
        sid.open(tmp_path / name)


def test_sizes_that_lie(tmp_path: Path) -> None:
    """A header that declares terabytes, or less than nothing."""
    huge = sxm().replace(b"       4       3\n", b"   99999   99999\n")
    refused(tmp_path, "a.sxm", huge, r"needs \d+ bytes from byte \d+ on, but the file has \d+")
    refused(tmp_path, "a.sxm", sxm().replace(b"       4       3\n", b"      -4       3\n"), "-4 × 3 pixels")
    refused(tmp_path, "a.sxm", sxm().replace(b"4.0E-9", b"nan   "), "makes no sense")
    refused(tmp_path, "a.sxm", sxm().replace(b":SCANIT_END:", b":SCANIT_XXX:"), "no end of the header")
    refused(tmp_path, "a.3ds", grid_3ds().replace(b"4 x 3", b"9999 x 9999"), "the grid is not complete")
    refused(tmp_path, "a.3ds", grid_3ds().replace(b"Points=5", b"Points=x"), "Points.*should be a whole number")
    data = nanoscope().replace(b"Number of lines: 3", b"Number of lines: 9").replace(b"Lines: 3", b"Lines: 9")
    refused(tmp_path, "a.spm", data, "its sizes need 72")
    data = gwy().replace(b"xres\0i\x04", b"xres\0i\x7f")
    refused(tmp_path, "a.gwy", data, r"should have 381 values, found 12")
    refused(tmp_path, "a.gwy", gwy()[:-8], "should have .* bytes, there are .* It is cut off")
    refused(tmp_path, "a.npy", npy().replace(b"(3, 4)", b"(3, 9)"), "needs 216 bytes")
    refused(tmp_path, "a.npy", npy().replace(b"<f8", b"|O8"), "damaged header|only plain numbers")


def test_a_grid_that_was_stopped(tmp_path: Path) -> None:
    data = grid_3ds()
    (tmp_path / "a.3ds").write_bytes(data[:-100])
    with pytest.raises(FormatError, match="incomplete=True reads the 2 lines that are complete"):
        sid.open(tmp_path / "a.3ds")
    tree = sid.open(tmp_path / "a.3ds", incomplete=True)
    assert tree["X"].values.tolist() == [[11, 12, 13, 14], [21, 22, 23, 24]]  # the two lines at the bottom
    whole = tmp_path / "whole.3ds"
    whole.write_bytes(data)
    np.testing.assert_allclose(tree["y"].values, sid.open(whole)["y"].values[1:])


def test_a_series_of_frames_that_was_stopped(shared: Path, tmp_path: Path) -> None:
    """Other readers give what is there the shape that fits, without a word."""
    pytest.importorskip("rsciio")
    name = "001_4x2_6bit"
    data = (shared / f"realdata/4dstem/{name}.mib").read_bytes()
    (tmp_path / f"{name}.hdr").write_bytes((shared / f"realdata/4dstem/{name}.hdr").read_bytes())
    refused(tmp_path, f"{name}.mib", data[:-16], "no whole number of frames of 65920. It is cut off")
    (tmp_path / f"{name}.mib").write_bytes(data[: len(data) // 2])
    with pytest.warns(SidWarning, match="holds 4 frames of 8 that were asked for"):
        assert sid.open_dataarray(tmp_path / f"{name}.mib").size == 4 * 256 * 256


def test_loops_and_depths(tmp_path: Path) -> None:
    """A container in itself, and one that is a thousand deep."""
    body = b""
    for _ in range(1000):
        body = b"a\0oGwyContainer\0" + struct.pack("<I", len(body)) + body
    data = b"GWYPGwyContainer\0" + struct.pack("<I", len(body)) + body
    refused(tmp_path, "a.gwy", data, "nested more than 16 deep")


def test_packed_bombs(tmp_path: Path) -> None:
    import gzip
    import zipfile

    bomb = gzip.compress(anasys(packed=False)[:400] + b" " * 2**20)
    refused(tmp_path, "a.axz", bomb, "damaged XML")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.sxm", b"\0" * (64 * 2**20))
    with pytest.raises(FormatError, match=r"unpack to .* refused"):
        sid.open(tmp_path / "a.zip")
    xml = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'anasysinstruments'>]><Document/>"
    refused(tmp_path, "b.axd", xml, "declares a document type")


def test_companions_that_are_missing_or_short(tmp_path: Path) -> None:
    files = pifm()
    (tmp_path / "a.txt").write_bytes(files["a.txt"])
    with pytest.raises(FormatError, match="names 4 files of numbers, none of them is beside it"):
        sid.open(tmp_path / "a.txt")
    (tmp_path / "aTopographyFwd.int").write_bytes(files["aTopographyFwd.int"][:-4])
    with pytest.raises(FormatError, match=r"aTopographyFwd\.int.*needs 48 bytes"):
        sid.open(tmp_path / "a.txt")


def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.int").write_bytes(bytes(48))
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.txt").write_bytes(pifm()["a.txt"].replace(b"aTopographyFwd.int", b"../secret.int"))
    with pytest.raises(FormatError, match="none of them is beside it"):
        sid.open(inner / "a.txt")
