"""Notebooks from scripts: valid, one cell a step, and they run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.publish.notebook import cells

nbformat = pytest.importorskip("nbformat")


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    monkeypatch.chdir(tmp_path)
    shutil.copy(sid.datasets.bfo_iv_path(), "bfo_iv_final.hf5")
    raw = sid.open_dataarray("bfo_iv_final.hf5")
    return raw.sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")


def read(text: str):
    found = nbformat.reads(text, as_version=4)
    nbformat.validate(found)
    return found


def test_one_cell_a_step_with_its_sentence(fit):
    found = read(fit.slope.sid.provenance.to_notebook("a.ipynb")).cells
    assert read(Path("a.ipynb").read_text(encoding="utf-8")).cells == found
    kinds = [(c.cell_type, c.source.partition("\n")[0][:40]) for c in found]
    assert kinds[0] == ("markdown", "# Analysis")
    sources = [c.source for c in found]
    at = next(i for i, s in enumerate(sources) if ".sid.remove_background(" in s)
    assert sources[at - 1].startswith("A constant was fitted in the range 8500 to 8800")
    assert ".sid.fit(" in sources[at + 2]
    assert sources[-1] == "result = fit['slope']\nresult"
    assert not any("SystemExit" in s or "sys.argv" in s or "def analysis" in s for s in sources)


def run(text: str) -> dict:
    """Run the cells as a kernel would, without its start-up time."""
    scope: dict = {}
    for cell in read(text).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, "<cell>", "exec"), scope)  # a notebook of our own making
    return scope


def same(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Tell whether values and recipe are equal; the times in the histories are not."""
    return one.equals(other) and one.sid.provenance.id == other.sid.provenance.id


def test_it_runs_and_gives_the_same(fit):
    assert same(run(fit.slope.sid.provenance.to_notebook())["result"], fit.slope)
    assert same(run(fit.sid.provenance.to_notebook())["result"].slope, fit.slope)


def test_it_says_where_the_raw_files_are(fit, tmp_path):
    (tmp_path / "data").mkdir()
    shutil.move("bfo_iv_final.hf5", "data/monday.hf5")
    assert same(run(fit.slope.sid.provenance.to_notebook(paths="data/monday.hf5"))["result"], fit.slope)


def test_traces_stay_functions_and_run(fit):
    raw = sid.open_dataarray("bfo_iv_final.hf5")
    out = raw.sid.trace(lambda d: d - d.mean("x"))
    text = out.sid.provenance.to_notebook()
    sources = [c.source for c in read(text).cells]
    assert any(s.startswith("def analysis(") for s in sources)
    assert sum("sid.open_dataarray(" in s for s in sources) == 1
    assert same(run(text)["result"], out)


def test_a_gap_stops_the_notebook_and_says_what_is_missing(fit):
    out = (fit.slope * 2).sid.rebin(x=2)
    text = out.sid.provenance.to_notebook()
    assert any("raise SystemExit(" in c.source for c in read(text).cells)
    with pytest.raises(SystemExit):
        run(text)


def test_no_history_no_notebook():
    with pytest.raises(sid.SidError):
        xr.DataArray(1.0).sid.provenance.to_notebook()


def test_marks_and_text_inside_of_strings_are_left_alone():
    body = 'def analysis(raw):\n    a = raw["""# %%\n  x"""]\n    return a\n\nraw = 1\nresult = analysis(raw)\n'
    found = cells(f"# head\n\nimport numpy as np\n\n{body}")
    assert ("code", 'a = raw["""# %%\n  x"""]') in found
