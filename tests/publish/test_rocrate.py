"""An RO-Crate is what the rocrate package reads, with files, actions and software."""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import sid_xarray as sid

rocrate = pytest.importorskip("rocrate.rocrate")
RAW = "bfo_iv_final.hf5"


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    monkeypatch.chdir(tmp_path)
    shutil.copy(sid.datasets.bfo_iv_path(), RAW)
    fit = sid.open_dataarray(RAW).sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")
    fit.sid.to_nsid("out.h5")
    return fit


def crate(obj: Any, **opts: Any) -> Any:
    obj.sid.provenance.to_rocrate("crate", **opts)
    return rocrate.ROCrate("crate")


def graph() -> dict[str, dict[str, Any]]:
    plain = json.loads(Path("crate/ro-crate-metadata.json").read_text())
    return {e["@id"]: e for e in plain["@graph"]}


def many(value: Any) -> list[dict[str, str]]:
    return value if isinstance(value, list) else [value]


def test_it_is_read(fit):
    found = crate(fit, files=["out.h5", RAW], name="Bismuth ferrite", authors={"A. B.": "0000-0002-1825-0097"})
    assert found.name == "Bismuth ferrite"
    assert {e.id for e in found.data_entities} == {"out.h5", RAW, "analysis.py", "history.prov.json"}
    assert found.root_dataset["author"]["name"] == "A. B."
    assert "was fitted along" in found.description
    found.write("again")
    assert Path("again/out.h5").exists()


def test_actions_tell_what_was_made_of_what_by_what(fit):
    crate(fit, files=["out.h5", RAW])
    known = graph()
    actions = [known[a["@id"]] for a in many(known["./"]["mentions"])]
    assert [a["@type"] for a in actions] == ["CreateAction"] * 2
    first, last = actions
    assert {"@id": RAW} in first["object"]
    assert last["result"] == {"@id": "out.h5"}
    assert first["result"] in last["object"]
    assert known[last["instrument"][0]["@id"]]["name"] == "sid-xarray"
    assert known[last["instrument"][0]["@id"]]["softwareVersion"] == sid.__version__
    assert last["endTime"].endswith("+00:00")
    values = [known[o["@id"]] for o in many(last["object"]) if known[o["@id"]]["@type"] == "PropertyValue"]
    assert {v["name"] for v in values} == {"model", "dim"}


def test_every_name_is_described(fit):
    crate(fit, files=["out.h5"], license="CC-BY-4.0")
    known = graph()

    def names(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["@id"]] if set(value) == {"@id"} else [n for v in value.values() for n in names(v)]
        return [n for v in value for n in names(v)] if isinstance(value, list) else []

    outside = {"https://w3id.org/ro/crate/1.1"}
    assert set(names(list(known.values()))) <= set(known) | outside
    assert known["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    raw = [e for e in known.values() if e.get("description") == "Raw data that are not part of this crate"]
    assert [e["name"] for e in raw] == [RAW]


def test_files_are_copied_once_and_have_their_hash(fit):
    crate(fit, files=["out.h5", RAW])
    before = Path("crate/out.h5").stat().st_mtime_ns
    for name in ("out.h5", RAW, "analysis.py", "history.prov.json"):
        assert graph()[name]["sha256"] == hashlib.sha256(Path("crate", name).read_bytes()).hexdigest()
    crate(fit, files=["crate/out.h5"], overwrite=True)
    assert Path("crate/out.h5").stat().st_mtime_ns == before
    assert Path("out.h5").exists()


def test_the_script_makes_the_result_again(fit):
    import os
    import subprocess
    import sys

    crate(fit, files=["out.h5", RAW])
    env = {**os.environ, "PYTHONPATH": str(Path(sid.__file__).parents[1])}
    subprocess.run([sys.executable, "analysis.py", "again.h5"], cwd="crate", check=True, capture_output=True, env=env)
    again = next(n.to_dataset() for n in sid.open("crate/again.h5").subtree if n.data_vars)
    assert again.slope.load().equals(fit.slope)
    assert again.slope.sid.provenance.id == fit.slope.sid.provenance.id


def test_without_a_script_it_says_why(fit):
    changed = fit.slope * 2
    crate(changed)
    known = graph()
    assert "analysis.py" not in known
    assert not Path("crate/analysis.py").exists()
    assert "There is no script: " in known["./"]["description"]


def test_nothing_is_overwritten_unasked(fit):
    crate(fit)
    before = Path("crate/ro-crate-metadata.json").read_bytes()
    with pytest.raises(FileExistsError, match="Take another folder, or replace it: overwrite=True"):
        crate(fit)
    assert Path("crate/ro-crate-metadata.json").read_bytes() == before
    with pytest.raises(FileNotFoundError, match="there is no file nowhere"):
        fit.sid.provenance.to_rocrate("other", files=["nowhere"])
    assert not Path("other").exists()
    Path("sub").mkdir()
    shutil.copy("out.h5", "sub/out.h5")
    with pytest.raises(FileExistsError, match=r"two files of the crate would be out\.h5"):
        fit.sid.provenance.to_rocrate("other", files=["out.h5", "sub/out.h5"])
    with pytest.raises(sid.SidError, match="there is no history to publish"):
        fit.drop_attrs().sid.provenance.to_rocrate("other")


def test_any_file_may_be_part_of_it(fit):
    Path("notes and more.txt").write_text("a")
    found = crate(fit, files=["notes and more.txt"], authors=["A", "B"])
    assert "notes%20and%20more.txt" in {e.id for e in found.data_entities}
    assert [p["name"] for p in found.root_dataset["author"]] == ["A", "B"]


def test_the_script_opens_the_files_that_lie_in_the_crate(fit, monkeypatch):
    shutil.move(RAW, "renamed.hf5")
    crate(fit, files=["renamed.hf5", "out.h5"])
    monkeypatch.chdir("crate")
    assert runpy.run_path("analysis.py")["result"].slope.equals(fit.slope)


def test_arrays_of_memory_are_opened_where_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = (sid.datasets.peak_map(seed=i).rename(name) for i, name in enumerate("ab"))
    for one in (a, b):
        one.sid.to_nsid("raw.h5")
    made = a.sid.trace(lambda d, r: d - r, b)
    made.rename("made").sid.to_nsid("made.h5")
    crate(made, files=["raw.h5", "made.h5"])
    assert "SystemExit" not in Path("crate/analysis.py").read_text()
    monkeypatch.chdir("crate")
    xr.testing.assert_equal(runpy.run_path("analysis.py")["result"], made)
