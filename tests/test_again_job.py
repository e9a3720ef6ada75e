"""An analysis of two inputs, done again on other real files by the command line, and as a script."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.cli import main
from sid_xarray.core.registry import FUNCTIONS
from sid_xarray.testing import assert_same

FIELD = "$\\sqrt E$"


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sid", *map(str, words)])
    with pytest.raises(SystemExit) as found:
        main()
        sys.exit(0)
    return int(found.value.code or 0)


def fresh(text: str, folder: Path, *words: object) -> None:
    """Run a script in an interpreter of its own."""
    (folder / "again.py").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "again.py", *map(str, words)], cwd=folder, check=True, timeout=300)


def only(path: Path) -> Any:
    """The one array of a file, or its one Dataset."""
    (group,) = {key.rpartition("/")[0] for key in sid.ls(path)}
    ds = sid.open(path)[group].to_dataset().load()
    return ds if len(ds) > 1 else next(iter(ds.data_vars.values()))


# ---------------------------------------------------------------- curves, with the data of the package


def curves(iv: xr.DataArray, leak: xr.DataArray) -> xr.Dataset:
    """Subtract a leak, a background and the mean; keep the main components; fit lines."""
    corrected = iv.sid.trace(lambda d, k: (d - k * k.max() ** -1 * 1e-3).clip(max=1e9), leak)
    coarse = corrected.sid.rebin(x=2, reduce="mean")
    base = coarse.sid.remove_background("offset", fit_range=(8500, 8800))
    flat = base.signal.sid.trace(lambda d: (d - d.mean(("x", "y"))).rolling(x=3, center=True, min_periods=1).mean())
    main = flat.sid.decompose(4).sid.reconstruct(3)
    return main.sid.fit("linear")


@pytest.fixture
def measured(tmp_path: Path) -> dict[str, Path]:
    """The measurement of the package, a leak; and the same again on another day: other values, other sizes."""
    raw = sid.datasets.bfo_iv()
    shutil.copy(sid.datasets.bfo_iv_path(), tmp_path / "monday.hf5")
    rng = np.random.default_rng(0)
    paths = {"monday": tmp_path / "monday.hf5", "tuesday": tmp_path / "tuesday.h5"}
    later = raw.load().isel(y=slice(0, 30)) * 1.1
    sid.dataarray(
        later.values,
        {d: (later[d].values, later[d].attrs["units"]) for d in later.dims},
        units="A/m^2",
        quantity=raw.attrs["long_name"],
        name="IV",
    ).sid.set_dims({FIELD: "spectral"}).sid.to_nsid(paths["tuesday"])
    for day in ("monday", "tuesday"):
        leak = sid.dataarray(
            rng.normal(1, 0.1, raw.sizes[FIELD]), {FIELD: (raw[FIELD].values, "1")}, units="A/m^2", name="leak"
        )
        paths[f"leak_{day}"] = tmp_path / f"leak_{day}.h5"
        leak.sid.to_nsid(paths[f"leak_{day}"])
    return paths


def opened(paths: dict[str, Path], day: str) -> tuple[xr.DataArray, xr.DataArray]:
    return sid.open_dataarray(paths[day]), sid.open_dataarray(paths[f"leak_{day}"])


def test_an_analysis_of_two_inputs_is_done_again_on_another_day(measured, tmp_path, monkeypatch, capsys):
    fit = curves(*opened(measured, "monday"))
    view = fit.slope.sid.provenance
    assert view.status == "verified"
    assert len(view) - len(view.roots) >= 8
    assert len(view.roots) == 2
    analysis = tmp_path / "analysis.h5"
    fit.sid.to_nsid(analysis)

    given = [f"{n}={p}" for n, p in (("IV_BFO", measured["tuesday"]), ("leak", measured["leak_tuesday"]))]
    assert run(monkeypatch, "replay", analysis, *given, "-o", tmp_path / "out.h5") == 0
    out = capsys.readouterr().out
    assert re.search(r"remove_background = .*\.sid\.remove_background\(.*fit_range=\(8500, 8800\)", out)
    assert "wrote" in out
    found, expected = only(tmp_path / "out.h5"), curves(*opened(measured, "tuesday"))
    assert_same(found, expected)
    assert found.sid.provenance.status == "verified"

    given = [f"{n}={p}" for n, p in (("IV_BFO", measured["monday"]), ("leak", measured["leak_monday"]))]
    assert run(monkeypatch, "replay", analysis, *given, "-o", tmp_path / "same.h5") == 0
    xr.testing.assert_identical(only(tmp_path / "same.h5"), fit)

    paths = {"IV_BFO": measured["monday"], "leak": measured["leak_monday"]}
    fresh(view.to_script(paths), tmp_path, "script.h5")
    assert_same(only(tmp_path / "script.h5"), fit.slope)
    fresh(fit.sid.provenance.to_script(paths), tmp_path, "whole.h5")
    assert_same(only(tmp_path / "whole.h5"), fit)


# ---------------------------------------------------------------- two real files of two instruments


def piezo(amplitude: xr.DataArray, phase: xr.DataArray) -> xr.DataArray:
    """Where the power of the piezoresponse lies: signed response, levelled, coarse, in reciprocal space."""
    signed = amplitude.sid.trace(lambda a, p: a * np.cos(np.deg2rad(p)), phase)
    level = signed.sid.trace(lambda d: (d - d.median("x")) / (d.quantile(0.95) - d.quantile(0.05)))
    coarse = level.sid.rebin(x=2, y=2, reduce="mean")
    spectrum = coarse.sid.calibrate(data={"scale": 1.0, "units": "1"}).sid.fft(window="hann")
    return spectrum.sid.trace(lambda d: np.log10(abs(d) ** 2 + 1e-12).where(abs(d.kx) < 5e7, drop=True))


@pytest.fixture
def instruments(shared: Path) -> dict[str, Path]:
    paths = {
        "one": shared / "realdata" / "nsid" / "PTO_Funakubo0001.h5",
        "other": shared / "realdata" / "usid" / "SingFreqPFM_0003.h5",
    }
    for path in paths.values():
        if not path.exists():
            pytest.skip(f"the real file {path.name} is not here")
    return paths


def test_an_analysis_of_one_instrument_is_done_again_on_a_file_of_another(instruments, tmp_path, monkeypatch, capsys):
    amplitude, phase = (sid.open_dataarray(instruments["one"], f"Channel_{i}") for i in (1, 3))
    result = piezo(amplitude, phase)
    view = result.sid.provenance
    assert view.status == "verified"
    assert len(view) - len(view.roots) >= 8
    result.rename("power").sid.to_nsid(tmp_path / "analysis.h5", source=amplitude)

    new = instruments["other"]
    words = ["replay", tmp_path / "analysis.h5", "-o", tmp_path / "out.h5", "--rename", "X=x", "--rename", "Y=y"]
    given = [f"Channel_1={new}::AmplitudeRetrace", f"Channel_3={new}::PhaseRetrace"]
    assert run(monkeypatch, *words, *given) == 0, capsys.readouterr()
    assert "fft = calibrate.sid.fft(" in capsys.readouterr().out
    tree = sid.open(new)
    a, p = (
        tree[f"Measurement_000/Channel_{i}/Raw_Data"].sid.trace(lambda d: d.rename(X="x", Y="y"))
        for i in ("001", "003")
    )
    found = only(tmp_path / "out.h5")
    # To the last digits: the other file has y before x, and the recipe transforms x before y.
    xr.testing.assert_allclose(found, piezo(a, p).transpose(*found.dims), rtol=1e-9)
    assert found.sid.provenance.status == "verified"
    assert np.isfinite(found).all()

    fresh(view.to_script(instruments["one"]), tmp_path, "script.h5")
    again = only(tmp_path / "script.h5")
    assert_same(again, result.rename(again.name))
    xr.testing.assert_identical(view.replay(path=instruments["one"]), result)


# ---------------------------------------------------------------- the command


@pytest.fixture
def analysed(tmp_path: Path) -> Path:
    raw = sid.datasets.peak_map()
    raw.sid.to_nsid(tmp_path / "a.h5")
    raw.sid.rebin(x=2).sid.fit("gaussian + constant").sid.to_nsid(tmp_path / "a.h5", source=raw)
    raw.sid.rebin(energy=2).sid.to_nsid(tmp_path / "a.h5", source=raw)
    sid.datasets.peak_map(seed=1).sid.to_nsid(tmp_path / "new.h5")
    return tmp_path / "a.h5"


def test_which_result_is_asked_for(analysed, monkeypatch, capsys):
    new, out = analysed.with_name("new.h5"), analysed.with_name("out.h5")
    assert run(monkeypatch, "replay", analysed, new, "-o", out) == 1
    err = capsys.readouterr().err
    assert "holds 2 results. Name one" in err
    assert "intensity-Fit_000" in err
    assert run(monkeypatch, "replay", analysed, new, "-o", out, "--signal", "intensity-Fit_000") == 0
    assert_same(only(out), sid.datasets.peak_map(seed=1).sid.rebin(x=2).sid.fit("gaussian + constant"))
    assert "intensity-Fit_000" in capsys.readouterr().out
    assert run(monkeypatch, "replay", analysed, new, "-o", out, "--signal", "center") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run(monkeypatch, "replay", analysed, new, "-o", out, "--signal", "center", "--overwrite", "--lazy") == 0
    assert list(sid.ls(out)) == ["/Measurement_000/Channel_000/intensity-Fit_000/center"]
    assert run(monkeypatch, "replay", analysed, new, "-o", analysed.with_name("b.h5"), "--signal", "middle") == 1
    assert "no results 'middle'" in capsys.readouterr().err
    assert run(monkeypatch, "replay", new, new, "-o", analysed.with_name("b.h5")) == 1
    assert "holds nothing that recorded steps made" in capsys.readouterr().err


def test_what_a_function_of_the_user_raises_is_one_message(monkeypatch, capsys, tmp_path):
    def fragile(da):
        return da * {"nA": 1.0}[da.attrs["units"]]

    FUNCTIONS.register("fragile for a test", fragile)
    try:
        raw = sid.datasets.peak_map().assign_attrs(units="nA")
        raw.sid.apply("fragile for a test").sid.to_nsid(tmp_path / "a.h5")
        sid.datasets.peak_map().sid.to_nsid(tmp_path / "b=c.h5")
        assert run(monkeypatch, "replay", tmp_path / "a.h5", tmp_path / "b=c.h5", "-o", tmp_path / "o.h5") == 1
    finally:
        del FUNCTIONS._places["fragile for a test"], FUNCTIONS._loaded["fragile for a test"]
    err = capsys.readouterr().err
    assert "KeyError: 'count'; while replaying step 2 ('apply')" in err
    assert "Traceback" not in err


def test_what_goes_wrong_in_a_step_is_one_message(analysed, monkeypatch, capsys, tmp_path):
    sid.datasets.lattice_image().sid.to_nsid(tmp_path / "image.h5")
    words = ("replay", analysed, tmp_path / "image.h5", "-o", tmp_path / "o.h5", "--signal", "intensity-Fit_000")
    assert run(monkeypatch, *words) == 1
    err = capsys.readouterr().err
    assert "while replaying step 3 ('fit')" in err
    assert "--rename here=recorded" in err
    assert "Traceback" not in err
    assert not (tmp_path / "o.h5").exists()


# ---------------------------------------------------------------- every real file


def test_every_array_of_every_real_file_is_found_again_by_script_and_replay(shared, tmp_path):
    files = sorted((shared / "realdata").glob("[nu]sid/*.h*5"))
    seen = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in files:
            for key, da in sid.open(path).sid.signals.items():
                view = da.sid.trace(lambda d: d.isel({d.dims[0]: slice(None, 3)})).sid.provenance
                text = view.to_script(path.parent)
                (opened,) = [line for line in text.splitlines() if "= sid.open_dataarray(" in line]
                place, signal = re.findall(r"open_dataarray\('([^']*)', signal='([^']*)'\)", opened)[0]
                again = sid.open_dataarray(place, signal)
                assert again.sid.provenance.heads == da.sid.provenance.heads, (path, key)
                assert view.replay(path=path).equals(da.isel({da.dims[0]: slice(None, 3)}))
                seen += 1
    assert seen > 15 or not files
