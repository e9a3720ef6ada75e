"""One damaged neighbour never blocks the rest, and is told: by the tree, and by ``sid check``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import SidWarning

WRITERS = pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])


def signal(i: int) -> xr.DataArray:
    values = np.random.default_rng(i).random((8, 8, 16)).astype("f4")
    dims = {"y": (1.0, "nm"), "x": (1.0, "nm"), "energy": (1.0, "eV")}
    return sid.dataarray(values, dims, units="nA", quantity="current", name=f"s{i}")


def three(path: Path, writer: str) -> dict[str, str]:
    """Write three arrays, and return places of the second."""
    for i in range(3):
        getattr(signal(i).sid, writer)(path, compression="gzip")
    group = "/Measurement_001/Channel_000"
    if writer == "to_nsid":
        group += "/s1"
        return {"array": f"{group}/s1", "axis": f"{group}/x", "group": group, "model": f"{group}/_sid_xarray/model"}
    return {
        "array": f"{group}/s1",
        "axis": f"{group}/Position_Values",
        "group": group,
        "model": f"{group}/_sid_xarray/usid",
    }


def damage(path: Path, place: str) -> None:
    """Overwrite the header of an object."""
    with h5py.File(path) as file:
        at = h5py.h5o.get_info(file[place].id).addr
    raw = bytearray(path.read_bytes())
    raw[at : at + 8] = b"\xff" * 8
    path.write_bytes(raw)


_LOOK = """
import json, sys, warnings
import sid_xarray as sid
from sid_xarray.io.validate import check_file
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    tree = sid.open(sys.argv[1])
    found = {}
    for i in (0, 1, 2):
        for node in tree.subtree:
            if f"s{i}" in node.data_vars:
                try:
                    found[i] = float(node[f"s{i}"].sum())
                except sid.FormatError as error:
                    found[i] = str(error)
    errors = [[f.code, f.where] for f in check_file(sys.argv[1]) if f.level == "error"]
print(json.dumps({
    "found": found, "problems": tree.attrs.get("sid_problems", ""), "errors": errors,
    "warnings": [str(w.message) for w in said if issubclass(w.category, sid.SidWarning)],
}))
"""


def look(path: Path) -> dict[str, Any]:
    """Open in a process of its own: HDF5 keeps what it once read of a file."""
    run = subprocess.run([sys.executable, "-c", _LOOK, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@WRITERS
@pytest.mark.parametrize("kind", ["array", "axis", "group", "model"])
def test_a_damaged_header(tmp_path: Path, writer: str, kind: str) -> None:
    place = three(tmp_path / "a.h5", writer)[kind]
    damage(tmp_path / "a.h5", place)
    seen = look(tmp_path / "a.h5")
    for i in ("0", "2"):
        assert seen["found"][i] == pytest.approx(float(signal(int(i)).sum()), rel=1e-6)
    if kind in ("axis", "model"):  # what was lost is not the array
        assert seen["found"]["1"] == pytest.approx(float(signal(1).sum()), rel=1e-6)
    else:
        assert "1" not in seen["found"]
    assert f"{place}: " in seen["problems"]
    assert "bad object header version number" in seen["problems"]
    assert ["H05", place] in seen["errors"]
    assert any(place in text for text in seen["warnings"])


@WRITERS
def test_damaged_values_are_told_when_they_are_read(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.h5"
    place = three(path, writer)["array"]
    with h5py.File(path) as file:
        chunk = file[place].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset : chunk.byte_offset + 16] = b"\x00" * 16
    path.write_bytes(raw)
    seen = look(path)
    for i in ("0", "2"):
        assert seen["found"][i] == pytest.approx(float(signal(int(i)).sum()), rel=1e-6)
    assert f"[{place}]: values" in str(seen["found"]["1"])
    assert seen["problems"] == ""


@WRITERS
def test_links_that_lead_nowhere_are_listed_and_no_damage(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.h5"
    group = three(path, writer)["group"]
    with h5py.File(path, "r+") as file:
        file[group]["gone"] = h5py.SoftLink("/nowhere")
        file["outside"] = h5py.ExternalLink("other.h5", "/x")
    tree = sid.open(path)
    said = tree.attrs["sid_not_shown"].splitlines()
    assert f"{group}/gone: leads to /nowhere, where nothing is" in said
    assert "/outside: leads out of the file, to /x of other.h5" in said
    assert "sid_problems" not in tree.attrs


@WRITERS
def test_a_file_of_which_nothing_is_left(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.h5"
    getattr(signal(0).sid, writer)(path)
    damage(path, "/Measurement_000")
    code = f"import sid_xarray as sid; sid.open({str(path)!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = run.stderr.splitlines()[-1]
    assert "FormatError" in last
    assert "Damaged: /Measurement_000: cannot be opened: bad object header version number" in last


def test_damage_in_the_metadata_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    signal(0).sid.with_metadata(a={"b": {"c": 1}}, d=2).sid.to_nsid(path)
    with h5py.File(path, "r+") as file:
        group = file["Measurement_000/Channel_000/s0"]
        del group["_sid_xarray"]
        for name in [n for n in group["s0"].attrs if n.startswith("sid_")]:
            del group["s0"].attrs[name]
    damage(path, "Measurement_000/Channel_000/s0/metadata/a/b")
    code = f"import sid_xarray as sid; da = sid.open_dataarray({str(path)!r}); print(da.sid.metadata.to_dict())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "{'d': 2, 'a': {}}", run.stderr
    assert "/Measurement_000/Channel_000/s0/metadata/a/b: cannot be opened" in run.stderr


def test_problems_of_the_file_are_warned_of_once(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    places = three(path, "to_nsid")
    with h5py.File(path, "r+") as file:
        del file[places["group"]]["_sid_xarray/model"]
        file[places["group"]]["_sid_xarray/model"] = "{"
    with pytest.warns(SidWarning, match="is damaged") as said:
        tree = sid.open(path)
    assert len(said) == 1
    assert len(tree.attrs["sid_problems"].splitlines()) == 1


@pytest.mark.parametrize("name", ["", "a/b"])
@pytest.mark.parametrize("what", ["group", "dataset"])
def test_links_that_no_path_leads_to(tmp_path: Path, name: str, what: str) -> None:
    """A tree cannot hold a node without a name; the signals beside it are shown, and the link is told."""
    sid.datasets.peak_map(ny=2, nx=2, ne=4).sid.to_nsid(tmp_path / "a.h5", group="/Measurement_000/Channel_000")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        outer = file.create_group("Old")  # its names lie in a heap
        if what == "group":
            file.copy("/Measurement_000/Channel_000", outer, name="qwertzui")
        else:
            outer["qwertzui"] = np.arange(3.0)
    raw = (tmp_path / "a.h5").read_bytes()
    assert raw.count(b"qwertzui\0") == 1
    (tmp_path / "a.h5").write_bytes(raw.replace(b"qwertzui\0", name.encode().ljust(9, b"\0")))
    with pytest.warns(SidWarning, match="/Old"):
        tree = sid.open(tmp_path / "a.h5")
    assert "/Old" in tree.attrs["sid_problems"]
    assert [node.path for node in tree.subtree if node.data_vars] == ["/Measurement_000/Channel_000"]
    tree.close()
