"""Someone edits a file: what ``sid verify`` says, and what cannot be seen without a signature."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import history as _history
from sid_xarray.core.stamping import state_of, strip
from sid_xarray.schema import records

RAW = "bfo_iv_final.hf5"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a raw file, and an analysis of it in another file."""
    folder = tmp_path_factory.mktemp("saved")
    shutil.copy(sid.datasets.bfo_iv_path(), folder / RAW)
    raw = sid.open_dataarray(folder / RAW)
    background = raw.sid.remove_background("offset", fit_range=(8500, 8800))
    fit = background.signal.sid.fit("linear")
    raw.sid.to_nsid(folder / "out.h5")
    background.sid.to_nsid(folder / "out.h5", source=raw)
    fit.sid.to_nsid(folder / "out.h5", source=raw)
    return folder


@pytest.fixture
def file(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy" / "out.h5"


FIT = "/Measurement_000/Channel_000/IV_BFO-Fit_000"
BACK = "/Measurement_000/Channel_000/IV_BFO-Remove_Background_000"


def key_of(dataset: h5py.Dataset) -> str:
    return next(k for k in dataset.attrs if k.startswith("sid_prov_"))


def errors(path: Path, **opts: Any) -> dict[str, str]:
    """Return what is wrong, by the last part of the place."""
    found: dict[str, str] = {}
    for check in sid.verify(path, **opts).of("error"):
        where = check.where.rpartition("/")[2]
        found[where] = f"{found[where]}; {check.text}" if where in found else check.text
    return found


def test_what_was_saved_is_sound(file):
    found = sid.verify(file)
    assert found.ok
    assert not found.of("error", "warning", "note")
    said = {check.where.rpartition("/")[2]: check.text for check in found}
    assert said["slope"] == "what the last step, fit, produced"
    assert said["IV_BFO"] == "the values were lazy when the step was recorded; it is what was saved"
    assert said[RAW].endswith("is the file that it was")
    assert len(found) == 1 + 4 + 8 + 1


# ---------------------------------------------------------------- edits


def edit(path: Path, work: Any) -> None:
    with h5py.File(path, "r+") as file:
        work(file)


def replace_history(dataset: h5py.Dataset, text: str) -> None:
    """Put another text there, under the name that belongs to it."""
    del dataset.attrs[key_of(dataset)]
    dataset.attrs["sid_prov_" + hashlib.sha256(text.encode()).hexdigest()[:12]] = text


def steps_of(dataset: h5py.Dataset) -> dict[str, Any]:
    return records.loads(dataset.attrs[key_of(dataset)])


def swap(one: h5py.Dataset, other: h5py.Dataset) -> None:
    (k, v), (k2, v2) = ((key_of(d), d.attrs[key_of(d)]) for d in (one, other))
    del one.attrs[k], other.attrs[k2]
    one.attrs[k2], other.attrs[k] = v2, v


def test_one_pixel_is_seen(file):
    edit(file, lambda f: f[f"{FIT}/slope"].write_direct(np.array([[1.0]]), dest_sel=np.s_[3:4, 7:8]))
    found = errors(file)
    assert set(found) == {"slope"}
    assert "the values are not those that were saved" in found["slope"]
    assert "the values were changed after the last step: it is not what the last step produced" in found["slope"]


def test_one_pixel_that_no_fingerprint_sees_is_seen_by_the_checksum(tmp_path):
    values = np.random.default_rng(0).normal(size=(1000, 1000))
    da = sid.dataarray(values, dims={"y": (1.0, "nm"), "x": (1.0, "nm")}, units="nA", quantity="current")
    da = da.sid.rebin(x=2)
    place = da.sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as f:
        f[place]["current"].write_direct(np.array([[1.0]]), dest_sel=np.s_[10:11, 0:1])
    assert sid.open_dataarray(tmp_path / "a.h5").load().sid.provenance.status == "verified"
    assert errors(tmp_path / "a.h5") == {"current": "the values are not those that were saved"}


@pytest.mark.parametrize(("name", "value"), [("units", "kV"), ("long_name", "other"), ("note", "new"), ("title", "x")])
def test_attributes_are_seen(file, name, value):
    edit(file, lambda f: f[f"{FIT}/slope"].attrs.modify(name, value))
    found = errors(file)
    assert set(found) == {"slope"}
    assert "attributes are not those that were saved" in found["slope"]


def test_positions_are_seen(file):
    def shift(f):
        f[f"{FIT}/x"][...] = f[f"{FIT}/x"][...] * 2

    edit(file, shift)
    found = errors(file)
    assert found["x"] == "positions are not those that were saved"
    assert "positions along the dimensions were changed" in found["slope"]


def test_an_edited_text_is_seen(file):
    def work(f):
        d = f[f"{FIT}/slope"]
        d.attrs.modify(key_of(d), d.attrs[key_of(d)].replace("8800", "8801"))

    edit(file, work)
    assert "was edited" in errors(file)["slope"]


def test_an_edited_text_with_the_right_name_is_seen(file):
    def work(f):
        d = f[f"{FIT}/slope"]
        replace_history(d, d.attrs[key_of(d)].replace("8800", "8801"))

    edit(file, work)
    found = errors(file)
    assert set(found) == {"slope"}
    assert "step 2 (remove_background) was edited: its address is not that of its parameters" in found["slope"]
    assert "attributes are not those that were saved" in found["slope"]


def test_swapped_histories_are_seen(file):
    edit(file, lambda f: swap(f[f"{FIT}/slope"], f[f"{FIT}/intercept"]))
    found = errors(file)
    assert set(found) == {"slope", "intercept"}
    assert all("carries a history that was not saved with it" in text for text in found.values())


def test_swapped_histories_are_seen_without_checksums(file):
    def work(f):
        swap(f[f"{FIT}/slope"], f[f"{FIT}/intercept"])
        forget(f)

    edit(file, work)
    assert set(errors(file)) == {"slope", "intercept"}


def forget(f: h5py.File) -> None:
    """Take the checksums out, as in a file of an older release."""

    def work(name: str, obj: Any) -> None:
        for key in [k for k in obj.attrs if k.startswith("checksums")]:
            del obj.attrs[key]
        if isinstance(obj, h5py.Group) and "checksums" in obj:
            del obj["checksums"]

    f.visititems(work)


def test_swapped_histories_of_lazy_results_are_seen(tmp_path):
    """There is no fingerprint to compare with: what was saved with which history is in the model."""
    da = sid.datasets.peak_map().chunk()
    ds = da.sid.fit("gaussian + constant")[["center", "sigma"]]
    place = ds.sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as f:
        swap(f[place]["center"], f[place]["sigma"])
        forget(f)
    assert set(errors(tmp_path / "a.h5")) == {"center", "sigma"}


def test_a_history_that_is_gone_is_seen(file):
    def work(f):
        d = f[f"{FIT}/slope"]
        del d.attrs[key_of(d)]
        forget(f)

    edit(file, work)
    assert "its history was taken away: it was saved as the result of step" in errors(file)["slope"]


@pytest.mark.parametrize("keep", ["end", "start", "middle"])
def test_a_truncated_history_is_seen(file, keep):
    def work(f):
        d = f[f"{FIT}/slope"]
        plain = steps_of(d)
        if keep == "end":
            plain["steps"] = plain["steps"][1:]
        elif keep == "start":
            plain["steps"] = plain["steps"][:2]
            plain["head"] = plain["steps"][-1]["id"]
        else:
            plain["steps"][2]["in"] = [["in", plain["steps"][0]["id"]]]
            del plain["steps"][1]
        replace_history(d, records.dumps(plain))
        forget(f)

    edit(file, work)
    said = errors(file)["slope"]
    expected = {
        "end": "which was cut from the history",
        "start": "carries a history that was not saved with it",
        "middle": "step 2 (fit) was edited",
    }
    assert expected[keep] in said


def test_a_renamed_variable_is_seen(file):
    edit(file, lambda f: f.move(f"{FIT}/slope", f"{FIT}/steepness"))
    assert "was saved and is not there: removed, or renamed" in errors(file)["slope"]


def test_a_renamed_group_is_still_what_was_saved(file):
    edit(file, lambda f: f.move(FIT, "/Measurement_000/Channel_000/IV_BFO-Fit_007"))
    assert sid.verify(file).ok


def test_a_removed_variable_is_seen(file):
    edit(file, lambda f: f[FIT].__delitem__("redchi"))
    assert "redchi" in errors(file)


def test_an_added_array_has_no_checksum(file):
    def work(f):
        f.copy(f[f"{FIT}/slope"], f[FIT], "forged")
        f[f"{FIT}/forged"].attrs["main_data_name"] = "forged"

    edit(file, work)
    found = {c.where.rpartition("/")[2]: c for c in sid.verify(file)}
    assert found["slope"].level == "ok"
    assert found["forged"].level == "ok"  # it is what it says: a copy
    assert found["forged"].text.endswith("; there is no checksum to compare with")


def test_an_array_that_left_no_record_before_it_was_saved_is_a_warning(file):
    fit = sid.open(file)[FIT].to_dataset().load()
    (fit.slope * 2).sid.to_nsid(file, group="Measurement_009/Channel_000/twice")
    (fit.slope - fit.intercept).rename("mix").sid.to_nsid(file, group="Measurement_010/Channel_000/mix")
    found = sid.verify(file)
    assert found.ok
    (warning,) = found.of("warning")
    assert "by something that left no record, before it was saved; it is what was saved" in warning.text
    mix = next(c for c in found if c.where.endswith("mix"))
    assert (mix.level, mix.text[:40]) == ("ok", "plain arithmetic made it of 2 recorded a")


def test_files_without_checksums_are_judged_by_fingerprints(file):
    edit(file, forget)
    found = sid.verify(file)
    assert found.ok
    said = {c.where.rpartition("/")[2]: c for c in found}
    assert said["slope"].level == "ok"
    assert said["IV_BFO"].level == "note"
    assert "there is no checksum to compare with" in said["IV_BFO"].text


@pytest.mark.parametrize("how", ["to_nsid", "to_usid"])
def test_both_formats(tmp_path, how):
    ds = sid.datasets.peak_map().sid.fit("gaussian + constant")
    getattr(ds.sid, how)(tmp_path / "a.h5")
    assert sid.verify(tmp_path / "a.h5").ok
    with h5py.File(tmp_path / "a.h5", "r+") as f:
        places: list[str] = []

        def look(name: str, obj: Any) -> None:
            if isinstance(obj, h5py.Dataset) and any(k.startswith("sid_prov_") for k in obj.attrs):
                places.append(name)

        f.visititems(look)
        changed = places[0]
        f[changed][...] = 1
    assert len(errors(tmp_path / "a.h5")) == 1


def test_names_that_a_tree_cannot_hold(tmp_path):
    da = sid.datasets.peak_map().rename(energy="energy/eV").sid.rebin({"energy/eV": 2})
    da.sid.to_nsid(tmp_path / "a.h5")
    assert [c.text for c in sid.verify(tmp_path / "a.h5") if c.what == "array"] == [
        "what the last step, rebin, produced"
    ]


# ---------------------------------------------------------------- raw files


def test_a_raw_file_that_grew_or_changed(file):
    raw = file.with_name(RAW)
    raw.write_bytes(raw.read_bytes() + b"more")
    assert "is not the file that it was: 1074656 bytes then, 1074660 now" in errors(file)[RAW]
    raw.write_bytes(raw.read_bytes()[:-8] + b"otherend"[:4])
    assert "is not the file that it was: other content" in errors(file)[RAW]


def test_a_raw_file_that_is_not_there(file):
    file.with_name(RAW).unlink()
    found = sid.verify(file)
    assert found.ok
    (note,) = found.of("note")
    assert note.text == "not found beside out.h5. Say where it is: sid verify FILE --raw PATH"


def test_a_raw_file_elsewhere_and_under_another_name(file, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    shutil.move(file.with_name(RAW), there / RAW)
    assert not sid.verify(file, raw=there).of("note")
    shutil.move(there / RAW, there / "renamed.h5")
    assert not sid.verify(file, raw=there / "renamed.h5").of("note")
    assert not sid.verify(file, raw=[tmp_path, there / "renamed.h5"]).of("note")
    other = tmp_path / "other.h5"
    sid.datasets.lattice_image().sid.to_nsid(other)
    assert f"{other} is not the file that it was" in errors(file, raw=other)[RAW]


def test_a_raw_file_that_the_results_were_written_into(saved, tmp_path):
    path = tmp_path / RAW
    shutil.copy(saved / RAW, path)
    raw = sid.open_dataarray(path)
    raw.sid.fit("linear").sid.to_nsid(path, source=raw)
    (note,) = [c for c in sid.verify(path) if c.what == "raw"]
    assert (note.level, note.text) == (
        "note",
        "it is this file, which was added to since: it cannot be compared as a whole",
    )


def test_a_raw_file_that_the_result_names(tmp_path):
    (tmp_path / "data").mkdir()
    shutil.copy(sid.datasets.bfo_iv_path(), tmp_path / "data" / RAW)
    raw = sid.open_dataarray(tmp_path / "data" / RAW)
    raw.sid.rebin(x=2).sid.to_nsid(tmp_path / "out.h5", source=raw)
    assert [c.level for c in sid.verify(tmp_path / "out.h5") if c.what == "raw"] == ["ok"]


def test_arrays_in_memory_have_no_file(tmp_path):
    sid.datasets.peak_map().sid.rebin(x=2).sid.to_nsid(tmp_path / "a.h5")
    (note,) = [c for c in sid.verify(tmp_path / "a.h5") if c.what == "raw"]
    assert note.text == "1 array was given in memory: there is no file to compare with"


# ---------------------------------------------------------------- what cannot be seen


def test_who_writes_everything_anew_is_not_found_out(file):
    """A consistent forgery: other values with a history of their own making. Only a signature would tell."""
    slope = sid.open(file)[FIT]["slope"].load()
    found = _history.read(slope.attrs)
    head = found.steps[found.heads[0]]
    forged = strip(slope * 0 + 42.0)
    lie = _history.make_step(head.op, head.params, head.inputs, state_of(forged), part=head.part)
    forged.attrs |= _history.encode(_history.History({**found.steps, lie.id: lie}, (lie.id,)))
    forged.to_dataset(name="slope").sid.to_nsid(file, group="Measurement_005/Channel_000/forged")
    checks = sid.verify(file)
    assert checks.ok
    assert next(c for c in checks if "forged" in c.where).text == "what the last step, fit, produced"


def test_a_change_in_the_middle_of_a_large_raw_file_is_not_covered(tmp_path):
    values = np.zeros((600, 1000))
    with h5py.File(tmp_path / "raw.h5", "w") as f:
        f.create_dataset("pad", data=values)
    shutil.copy(sid.datasets.bfo_iv_path(), tmp_path / "small.h5")
    with h5py.File(tmp_path / "raw.h5", "r+") as f, h5py.File(tmp_path / "small.h5") as g:
        g.copy(g["Measurement_000"], f)
    raw = sid.open_dataarray(tmp_path / "raw.h5")
    raw.sid.rebin(x=2).sid.to_nsid(tmp_path / "out.h5", source=raw)
    content = bytearray((tmp_path / "raw.h5").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "raw.h5").write_bytes(bytes(content))
    (ok,) = [c for c in sid.verify(tmp_path / "out.h5") if c.what == "raw"]
    assert ok.level == "ok"
    assert "what lies between the first and the last MiB is not covered" in ok.text


# ---------------------------------------------------------------- nothing is executed

EVIL = "__import__('os').system('touch OWNED')"


def found(file):
    """Paths of all that lies in a file."""
    out = []
    file.visit(out.append)
    return out


def test_a_file_that_lost_its_checksums_still_has_its_histories(tmp_path):
    made = sid.datasets.peak_map().sid.rebin(x=2)
    made.sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        (place,) = [k for k in found(file) if k.endswith("/intensity/intensity")]
        del file[place].parent["_sid_xarray"]
    back = sid.open_dataarray(tmp_path / "a.h5").load()
    assert back.sid.provenance.status == "verified"
    assert back.sid.provenance.heads == made.sid.provenance.heads
    (check, _) = sid.verify(tmp_path / "a.h5")
    assert check.level == "ok"
    assert check.text == "what the last step, rebin, produced; there is no checksum to compare with"
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file[place][0, 0, 0] += 1
    (error,) = sid.verify(tmp_path / "a.h5").of("error")
    assert "it is not what the last step produced" in error.text


@pytest.mark.parametrize(
    "step",
    [
        {"op": f"sid:{EVIL}@1"},
        {"op": "os:system@1", "p": {"command": "touch OWNED"}},
        {"op": "sid:fit@1", "p": {"model": EVIL, "dim": EVIL}},
        {"op": "sid:rebin@1", "p": {"bins": {EVIL: EVIL}}},
        {"op": "sid:sel@1", "p": {"indexers": EVIL, "width": [EVIL], "reduce": {"~": "slice", "v": [EVIL] * 3}}},
        {"op": "sid:calibrate@1", "p": {"axes": {"x": {"points": EVIL, "scale": "1 nm; " + EVIL}}}},
        {"op": "sid:apply@1", "p": {"function": EVIL, "module": "os", "name": "system", "source": EVIL}},
        {"op": "xr:mean.__class__@1", "p": {"args": [EVIL], "kwargs": {EVIL: EVIL}, "of": [[EVIL], {}]}},
        {"op": "np:system@1", "p": {"args": [{"~": "in", "v": 10**9}]}},
        {"op": "sid:concat@1", "p": {"dim": [EVIL]}},
        {"op": "sid:x@1", "p": {"~": "opaque", "v": "os:system"}, "part": EVIL, "t": EVIL, "ag": {EVIL: EVIL}},
        {"op": "sid:x@1", "p": {"a": {"~": "array", "dtype": "O", "shape": [1], "v": "AA=="}}, "out": {"dims": EVIL}},
        {"op": "sid:x@1", "p": {"q": "[@numpy] {0.__class__}"}, "out": {"units": {"": "<script>"}, "shape": [EVIL]}},
    ],
)  # fmt: skip
def test_nothing_in_a_history_is_executed(step, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = {"id": "a", "op": "sid:open@1", "p": {"name": "../../etc/passwd", "size": 3, "sha256": EVIL, "h5path": EVIL}}
    text = json.dumps({"v": 1, "head": "b", "steps": [root, {"id": "b", "in": [["in", "a"]], **step}]})
    da = xr.DataArray(np.ones(3), dims="x", attrs={"sid_prov_" + hashlib.sha256(text.encode()).hexdigest()[:12]: text})
    da.name = "evil"
    p = da.sid.provenance
    assert repr(p)
    assert "<script" not in p._repr_html_()
    for call in (p.methods_text, p.to_prov_json, p.environment, p.references, lambda: p.diff(da)):
        assert call() is not None
    if importlib.util.find_spec("holoviews"):
        assert p.graph() is not None
    for call in (p.to_script, p.to_notebook, p.replay, lambda: p.to_rocrate("crate")):
        with contextlib.suppress(sid.SidError):
            call()
    da.sid.to_nsid("a.h5")
    sid.verify("a.h5")
    assert not Path("OWNED").exists()
