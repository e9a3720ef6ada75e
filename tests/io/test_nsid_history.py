"""Histories in NSID files, for programs that do not know ours: provenance groups, and ``history`` of CF."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import h5py
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.metadata import pack
from sid_xarray.testing import assert_roundtrip

PEERS = os.environ.get("SID_PEERS_PYTHON")
LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ )?sid-xarray \S+: \w+\(.*")


@pytest.fixture
def fit() -> xr.Dataset:
    si = sid.datasets.bfo_iv()
    return si.sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")


def group_of(path, place):
    with h5py.File(path) as file:
        group = file[place]
        steps = {k: dict(v.attrs) for k, v in group["provenance"].items()} if "provenance" in group else None
        return group.attrs.get("history"), steps


def test_steps_are_groups_as_sidpy_has_them(fit, tmp_path):
    history, steps = group_of(tmp_path / "a.h5", fit.sid.to_nsid(tmp_path / "a.h5"))
    assert list(steps) == ["001_open", "002_remove_background", "003_fit"]
    assert steps["001_open"]["linked_data"] == "bfo_iv_final.hf5"
    assert steps["003_fit"]["linked_data"] == "step 2"
    assert {s["package"] for s in steps.values()} == {"sid-xarray"}
    assert steps["003_fit"]["version"] == sid.__version__
    assert steps["003_fit"]["call"].startswith("fit(dim=")
    lines = history.splitlines()
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines)


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_programs_that_read_netcdf_see_history(fit, tmp_path, engine):
    pytest.importorskip("netCDF4" if engine == "netcdf4" else engine)
    place = fit.sid.to_nsid(tmp_path / "a.h5")
    with xr.open_dataset(tmp_path / "a.h5", engine=engine, group=place) as ds:
        assert "fit(dim=" in ds.attrs["history"].splitlines()[-1]


def test_what_comes_back_is_what_was_given(fit, tmp_path):
    assert_roundtrip(fit, str(tmp_path / "a.h5"))
    mine = fit.assign_attrs(history="mine")
    back = assert_roundtrip(mine, str(tmp_path / "b.h5"))
    assert back.attrs["history"] == "mine"
    assert_roundtrip(fit.assign_attrs(history=3), str(tmp_path / "c.h5"))


def test_a_history_of_the_user_stays_as_it_is(fit, tmp_path):
    place = fit.assign_attrs(history="mine").sid.to_nsid(tmp_path / "a.h5")
    assert group_of(tmp_path / "a.h5", place)[0] == "mine"


def test_an_edit_of_the_history_of_the_user_is_seen(fit, tmp_path):
    place = fit.assign_attrs(history="mine").sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file[place].attrs["history"] = "mine, and more"
    assert sid.open(tmp_path / "a.h5")[place].attrs["history"] == "mine, and more"


def test_without_a_history_there_is_nothing(tmp_path):
    da = sid.datasets.peak_map().drop_attrs(deep=False)
    history, steps = group_of(tmp_path / "a.h5", da.sid.to_nsid(tmp_path / "a.h5"))
    assert history is None
    assert steps is None


def test_provenance_of_another_program_is_kept_beside_ours(tmp_path):
    theirs = {"sidpy": "init_1_2024-01-01", "sum_2024": {"package": "sidpy", "version": "1"}}
    da = sid.datasets.peak_map().assign_attrs(sid_other_groups=pack({"provenance": theirs}))
    place = da.sid.rebin(x=2).assign_attrs(da.attrs).sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        found = file[place]["provenance"]
        assert found.attrs["sidpy"] == "init_1_2024-01-01"
        assert found["sum_2024"].attrs["package"] == "sidpy"


def test_a_long_history_is_cut_in_groups_and_whole_in_the_attribute(tmp_path):
    da = sid.datasets.peak_map()
    for i in range(70):
        da = da.sid.calibrate(x={"offset": float(i)})
    history, steps = group_of(tmp_path / "a.h5", da.sid.to_nsid(tmp_path / "a.h5"))
    assert len(steps) == 50
    assert list(steps)[-1] == "071_calibrate"
    assert len(history.splitlines()) == 50
    assert len(sid.open_dataarray(tmp_path / "a.h5").sid.provenance) == 71


def test_the_file_is_sound(fit, tmp_path):
    from sid_xarray.io.validate import run

    fit.sid.to_nsid(tmp_path / "a.h5")
    assert not [f for f in run(tmp_path / "a.h5")[0] if f.level == "error"]
    assert sid.verify(tmp_path / "a.h5").ok
    assert "sid_problems" not in sid.open(tmp_path / "a.h5").attrs


PROGRAM = """
import sys, json, warnings, contextlib, io
warnings.simplefilter("ignore")
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    import SciFiReaders, h5py
    from pyNSID.io import hdf_utils
    reader = SciFiReaders.NSIDReader(sys.argv[1])
    found = {"NSIDReader": [d.provenance for d in reader.read().values()]}
    reader.close()
    with h5py.File(sys.argv[1]) as file:
        found["pyNSID"] = [hdf_utils.read_h5py_dataset(m).provenance for m in hdf_utils.get_all_main(file)]
json.dump(found, sys.stdout, default=str)
"""


@pytest.mark.peers
def test_sidpy_shows_the_steps(fit, tmp_path):
    if not PEERS:
        pytest.skip("SID_PEERS_PYTHON names no interpreter with the older packages")
    fit[["slope", "intercept"]].sid.to_nsid(tmp_path / "a.h5")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [PEERS, "-c", PROGRAM, str(tmp_path / "a.h5")], capture_output=True, text=True, check=True, env=env
    )
    found = json.loads(done.stdout)
    assert set(found) == {"NSIDReader", "pyNSID"}
    for views in found.values():
        assert len(views) == 2
        for view in views:
            assert list(view) == ["001_open", "002_remove_background", "003_fit"]
            assert view["003_fit"]["package"] == "sid-xarray"
            assert "model='linear'" in view["003_fit"]["call"]
    assert sys.version_info >= (3, 11)


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
def test_every_format_tells_of_the_steps_and_never_twice(fit, tmp_path, writer):
    place = getattr(fit.sid, writer)(tmp_path / "a.h5")
    first = group_of(tmp_path / "a.h5", place)[0]
    assert [line.partition(": ")[2].partition("(")[0] for line in first.splitlines()] == [
        "open",
        "remove_background",
        "fit",
    ]
    found = sid.open(tmp_path / "a.h5")[place].to_dataset()
    xr.testing.assert_identical(found, fit)
    assert "history" not in found.attrs
    again = getattr(found.load().sid, writer)(tmp_path / "b.h5")
    assert group_of(tmp_path / "b.h5", again)[0] == first


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
def test_what_another_program_wrote_into_the_history_is_seen(fit, tmp_path, writer):
    place = getattr(fit.sid, writer)(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        text = "2026-11-25T00:00:00Z ncks -A in.nc out.nc\n" + file[place].attrs["history"]
        file[place].attrs["history"] = text
    found = sid.open(tmp_path / "a.h5")[place].to_dataset()
    assert found.attrs["history"] == text
    again = getattr(found.load().sid, writer)(tmp_path / "b.h5")
    assert group_of(tmp_path / "b.h5", again)[0] == text, "no line is written twice"
