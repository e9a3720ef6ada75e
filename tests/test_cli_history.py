"""``sid history`` and ``sid verify``, as a stranger types them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

import sid_xarray as sid
from sid_xarray.cli import main

FIT = "/Measurement_000/Channel_000/IV_BFO-Fit_000"


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sid", *map(str, words)])
    with pytest.raises(SystemExit) as found:
        main()
        sys.exit(0)
    return int(found.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("cli")
    shutil.copy(sid.datasets.bfo_iv_path(), where / "bfo_iv_final.hf5")
    raw = sid.open_dataarray(where / "bfo_iv_final.hf5")
    fit = raw.sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")
    raw.sid.to_nsid(where / "out.h5")
    fit.sid.to_nsid(where / "out.h5", source=raw)
    (fit.slope - fit.intercept).rename("mix").sid.to_nsid(where / "mix.h5")
    (fit.slope - fit.intercept).rename("mix").sid.rebin(x=2).sid.to_nsid(where / "joined.h5")
    return where


def test_history_prints_the_steps_once_for_all_results(monkeypatch, capsys, folder):
    assert run(monkeypatch, "history", folder / "out.h5") == 0
    out = capsys.readouterr().out
    assert "slope, slope_stderr, intercept, intercept_stderr, redchi, rsquared, … 2 more" in out
    assert "2. remove_background(dim='$\\\\sqrt E$', fit_range=(8500, 8800), model='offset').signal" in out
    assert "3–10. fit(dim='$\\\\sqrt E$', model='linear') → slope, slope_stderr" in out
    assert out.count("fit(dim=") == 1
    assert "sid verify FILE" in out


def test_history_of_one_signal(monkeypatch, capsys, folder):
    for signal in ("slope", f"{FIT}/slope", FIT.strip("/")):
        assert run(monkeypatch, "history", folder / "out.h5", "--signal", signal) == 0
        out = capsys.readouterr().out
        assert "fit(" in out
        assert "IV_BFO IV_BFO" not in out
    assert run(monkeypatch, "history", folder / "out.h5", "--signal", "slop") == 1
    assert "has no signal 'slop'. Did you mean 'slope'?" in capsys.readouterr().err


def test_history_shows_what_is_joined(monkeypatch, capsys, folder):
    assert run(monkeypatch, "history", folder / "mix.h5") == 0
    out = capsys.readouterr().out
    assert "merged" in out
    assert "3–4. fit(" in out
    assert run(monkeypatch, "history", folder / "joined.h5") == 0
    out = capsys.readouterr().out
    assert "unrecorded(status='merged', what='plain arithmetic')" in out
    assert out.count("remove_background(") == 1


def test_history_as_json_and_as_prov(monkeypatch, capsys, folder):
    assert run(monkeypatch, "history", folder / "out.h5", "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert [s["op"] for s in plain[f"{FIT}/slope"]] == ["sid:open@1", "sid:remove_background@1", "sid:fit@1"]
    assert plain[f"{FIT}/slope"][-1]["ag"]["numpy"]
    assert run(monkeypatch, "history", folder / "out.h5", "--prov") == 0
    prov = json.loads(capsys.readouterr().out)
    assert len([k for k in prov["entity"] if k.startswith("sid:array_")]) == 1 + 1 + 8


def test_text_of_a_history_is_no_markup(monkeypatch, capsys, tmp_path):
    da = sid.datasets.peak_map().rename(energy="[red]e[/]").sid.rebin({"[red]e[/]": 2}).rename("q")
    da.rename({"[red]e[/]": "energy"}).sid.to_nsid(tmp_path / "a.h5")
    assert run(monkeypatch, "history", tmp_path / "a.h5") == 0
    assert "[red]e[/]" in capsys.readouterr().out


def test_files_without_history(monkeypatch, capsys, tmp_path):
    sid.datasets.peak_map().drop_attrs(deep=False).sid.to_nsid(tmp_path / "a.h5")
    assert run(monkeypatch, "history", tmp_path / "a.h5") == 0
    assert "no history" in capsys.readouterr().out
    assert run(monkeypatch, "verify", tmp_path / "a.h5") == 0
    assert "no history; it is what was saved" in capsys.readouterr().out


def test_verify_says_yes(monkeypatch, capsys, folder):
    assert run(monkeypatch, "verify", folder / "out.h5") == 0
    out = capsys.readouterr().out
    assert f"{FIT}/slope, slope_stderr, intercept" in out
    assert "what the last step, fit, produced" in out
    assert "nothing contradicts what was saved" in out
    assert out.count(FIT) == 1


def test_verify_of_a_file_of_another_program_does_not_say_that_all_is_well(monkeypatch, capsys, folder):
    assert run(monkeypatch, "verify", folder / "bfo_iv_final.hf5") == 0
    out = capsys.readouterr().out
    assert "nothing could be compared: the file holds no checksums" in out
    assert "contradicts" not in out


def test_verify_says_no_with_an_exit_code(monkeypatch, capsys, folder, tmp_path):
    shutil.copy(folder / "out.h5", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5", "r+") as file:
        file[f"{FIT}/slope"][0, 0] = 1.0
    assert run(monkeypatch, "verify", tmp_path / "out.h5") == 1
    out = capsys.readouterr().out
    assert "error" in out
    assert "slope: the values are not those that were saved" in out
    assert "2 things are not what they were" in out
    assert "not found beside out.h5" in out


def test_verify_finds_the_raw_file_where_it_is_told(monkeypatch, capsys, folder, tmp_path):
    shutil.copy(folder / "out.h5", tmp_path / "out.h5")
    for raw in (folder, folder / "bfo_iv_final.hf5"):
        assert run(monkeypatch, "verify", tmp_path / "out.h5", "--raw", raw) == 0
        assert "is the file that it was" in capsys.readouterr().out
    assert run(monkeypatch, "verify", tmp_path / "out.h5", "--raw", folder / "mix.h5") == 1
    assert "is not the file that it was" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x89HDF\r\n\x1a\n"])
def test_verify_of_what_is_no_file(monkeypatch: Any, capsys: Any, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    assert run(monkeypatch, "verify", path) == 2
    err = capsys.readouterr().err
    assert err.startswith("error:")
    assert "Traceback" not in err
