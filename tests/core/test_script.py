"""Histories as programs: they run, they say what is missing, and text of a file is never code in them."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import history, provenance
from sid_xarray.core.registry import FUNCTIONS
from sid_xarray.core.replay.plan import make_plan
from sid_xarray.errors import ProvenanceError
from sid_xarray.testing import assert_same


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


def forged(steps: list[dict[str, Any]], head: str) -> dict[str, str]:
    text = history.records.dumps({"v": 1, "head": head, "steps": steps})
    return {"sid_prov_" + history.hashlib.sha256(text.encode()).hexdigest()[:12]: text}


def with_history(*steps: dict[str, Any]) -> Any:
    return provenance.Provenance(history.read(forged(list(steps), steps[-1]["id"])), "unknown")


ROOT = {"id": "r", "op": "sid:input@1", "p": {"name": "raw"}}


def smooth(da, width=3, *, by=None):
    """Mean of neighbours."""
    out = da.rolling(energy=width, center=True, min_periods=1).mean()
    return out if by is None else out / by


# ---------------------------------------------------------------- scripts


def in_a_fresh_interpreter(text: str, folder: Any, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "script.py", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_script_runs_from_the_raw_file_to_a_file(tmp_path):
    shutil.copy(sid.datasets.bfo_iv_path(), tmp_path)
    raw = sid.datasets.bfo_iv()
    out = raw.sid.trace(lambda d: d - d.mean(("x", "y"))).sid.fit("linear")
    done = in_a_fresh_interpreter(out.sid.provenance.to_script(), tmp_path, "out.h5")
    assert done.returncode == 0, done.stderr
    (place,) = {key.rpartition("/")[0] for key in sid.ls(tmp_path / "out.h5")}
    found = sid.open(tmp_path / "out.h5")[place].to_dataset().load()
    assert_same(found, out)
    assert found.sid.provenance.status == "verified"
    assert in_a_fresh_interpreter(out.slope.sid.provenance.to_script(), tmp_path).stdout.startswith(
        "<xarray.DataArray 'slope'"
    )


def test_a_script_says_where_raw_files_are(tmp_path):
    view = sid.datasets.bfo_iv().sid.rebin(x=2).sid.provenance
    assert (
        "sid.open_dataarray('bfo_iv_final.hf5', signal='/Measurement_000/Channel_000/IV_BFO/IV_BFO')"
        in view.to_script()
    )
    for paths in (tmp_path, {"IV_BFO": tmp_path / "bfo_iv_final.hf5"}, {"bfo_iv_final": tmp_path / "bfo_iv_final.hf5"}):
        assert repr(str(tmp_path / "bfo_iv_final.hf5")) in view.to_script(paths)


def test_a_script_finds_arrays_of_ours_by_file_and_signal(tmp_path):
    one, two = (sid.datasets.peak_map(seed=s).rename(n) for s, n in ((0, "one"), (1, "two")))
    for da in (one, two):
        da.sid.to_nsid(tmp_path / "both.h5")
    out = one.sid.trace(lambda a, b: a - b, two)
    names = list(make_plan(out.sid.provenance).names.values())
    both = tmp_path / "both.h5"
    text = out.sid.provenance.to_script({names[0]: f"{both}::one", names[1]: f"{both}::two"})
    done = in_a_fresh_interpreter(text, tmp_path, "out.h5")
    assert done.returncode == 0, done.stderr
    assert sid.open_dataarray(tmp_path / "out.h5").load().equals(out)
    assert out.sid.provenance.to_script(tmp_path).count("raise SystemExit") == 2  # a folder names no file of ours


def test_a_script_stops_where_something_is_missing_and_says_what_to_write(raw, tmp_path):
    view = (raw.sid.apply(smooth) * 2).sid.rebin(x=2).sid.provenance
    text = view.to_script()
    assert "# | def smooth(da, width=3, *, by=None):" in text
    done = in_a_fresh_interpreter(text, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("open the array here: intensity = sid.open_dataarray(...), and delete this line")
    raw.sid.to_nsid(tmp_path / "raw.h5")
    done = in_a_fresh_interpreter(view.to_script(tmp_path / "raw.h5"), tmp_path)
    assert "step 2 ('apply'): write here apply = ..., the array made of intensity, and delete this line" in done.stderr
    text = view.to_script(tmp_path / "raw.h5")
    fixed = "\n".join(line for line in text.splitlines() if "SystemExit" not in line)
    fixed = fixed.replace("    rebin = ", "    apply = intensity * 1\n    unrecorded = apply * 2\n    rebin = ")
    assert in_a_fresh_interpreter(fixed, tmp_path).returncode == 0


def test_a_script_names_the_functions_that_it_needs(raw):
    try:
        sid.register_function("smooth for a script", smooth)
        text = raw.sid.apply("smooth for a script", by=2.0).sid.provenance.to_script("raw.h5")
    finally:
        for known in (FUNCTIONS._places, FUNCTIONS._loaded):
            known.pop("smooth for a script", None)
    assert "# The function 'smooth for a script' is " in text
    assert "apply = intensity.sid.apply('smooth for a script', by=2.0)" in text


HOSTILE = [
    "'); import os; os.system('touch pwned'); ('", '"""\nimport os\n"""', "a\nimport os\n", "a\r\nimport os", "\\",
    "{0}", "\\\'", "#", "a\u2028b", "\x00", "é", "\ud800", "a\x0cb", "__import__('os').system('touch pwned')", "${x}",
    "%s",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_text_from_a_file_is_never_code(text, tmp_path):
    """Wherever a history holds text, a script holds a literal: names, parameters, dimensions, sources, versions."""
    word = text if text.isprintable() else "what"  # an operation or a time of several lines is damaged
    steps = [
        {"id": "r", "op": "sid:open@1", "p": {"name": text, "h5path": text, "size": text, "sha256": text,
         "field": text}, "out": {"dims": [text], "shape": [text], "dtype": text}},
        {"id": "i", "op": "sid:input@1", "p": {"name": text}, "out": {"dims": [text], "shape": [3], "dtype": text}},
        {"id": "a", "op": "sid:rebin@1", "p": {"bins": {text: text}, "reduce": text}, "in": [["in", "r"]]},
        {"id": "b", "op": "xr:isel@1", "p": {"args": [text], "kwargs": {text: {"~": "slice", "v": [text, text, None]}}},
         "in": [["in", "a"]], "ag": {text: text}},
        {"id": "c", "op": "xr:sub@1", "p": {"args": [{"~": "in", "v": 1}], "options": {text: text}},
         "in": [["in0", "b"], ["in1", "i"]]},
        {"id": "u", "op": "sid:unrecorded@1", "p": {"what": text}, "in": [["in", "c"]]},
        {"id": "f", "op": "sid:apply@1", "p": {"source": text, "module": text, "name": text}, "in": [["in", "u"]]},
        {"id": "g", "op": word, "p": {text: text}, "in": [["in", "f"]], "part": text},
        {"id": "h", "op": "xr:rolling.mean@1", "p": {"of": [[], {text: 3}]}, "in": [["in", "g"]], "t": word,
         "ag": {text: text}},
    ]  # fmt: skip
    view = with_history(*steps)
    script = view.to_script({text: text})
    tree = ast.parse(script)
    allowed = (
        ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.Name, ast.Load, ast.Store, ast.Call,
        ast.Attribute, ast.Constant, ast.keyword, ast.Raise, ast.Return, ast.If, ast.Compare, ast.Eq, ast.Gt, ast.Expr,
        ast.Subscript, ast.BinOp, ast.Sub, ast.Dict, ast.With, ast.withitem, ast.Import, ast.alias,
    )  # fmt: skip
    for node in ast.walk(tree):
        assert isinstance(node, allowed), type(node)
        if isinstance(node, ast.Name | ast.Attribute):
            assert (node.id if isinstance(node, ast.Name) else node.attr).isascii()
    imported = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    assert set(imported) <= {"sys", "numpy", "xarray", "sid_xarray", "datetime"}
    called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called <= {
        "open_dataarray", "SystemExit", "rebin", "isel", "slice", "set_options", "rolling", "mean", "trace", "to_nsid",
        "print", "len",
    }  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_names_of_variables_are_names():
    from sid_xarray.core.replay.source import identifier

    for text in [*HOSTILE, "class", "match", "sum", "np", "1", "", "ß", "$\\sqrt E$", "A b-C", "x" * 100, "_a", "__"]:
        name = identifier(text)
        assert name.isidentifier()
        assert name.isascii()
        assert name not in ("np", "sum", "class", "match")


def test_values_are_written_so_that_they_come_back():
    import datetime as dt

    from sid_xarray.core.replay.source import literal

    values = [
        1, -2.5, True, None, "a'\n", b"\x00", 1 + 2j, complex(0, -1), float("inf"), -float("inf"), (), (1,), (1, 2),
        [1, [2]], {"a": {1: None}}, {1, 2}, set(), slice(1, None), ..., np.float32(1.1), np.int8(-3),
        np.datetime64("2024-01-01"), np.timedelta64(3, "ns"), dt.datetime(2024, 1, 2, 3), dt.date(2024, 1, 2),
        dt.time(3), dt.timedelta(1, 2, 3),
        np.linspace(0.1, 7, 9), np.array([1.5, np.nan]), np.arange(6).reshape(2, 3), np.array(["a", "ü"]),
        np.array([1 + 2j]), np.array([True]), np.zeros((0, 2), "f4"), np.array(["2024-01-01"], "M8[D]"),
        xr.DataArray([1.0, 2.0], {"x": ("x", [3, 4], {"units": "nm"})}, "x", "n", {"a": 1}),
    ]  # fmt: skip
    for value in values:
        text = literal(value, lambda _: "")
        back = eval(text, {"np": np, "xr": xr, "dt": dt})
        if isinstance(value, xr.DataArray):
            xr.testing.assert_identical(back, value)
        elif isinstance(value, np.ndarray | np.generic):
            assert np.asarray(back).dtype == np.asarray(value).dtype
            np.testing.assert_array_equal(back, value)
        else:
            assert back == value
            assert type(back) is type(value)
    with pytest.raises(ProvenanceError, match="cannot be written into a script"):
        literal(object(), lambda _: "")
    with pytest.raises(ProvenanceError, match="cannot be written into a script"):
        literal(np.array([object()]), lambda _: "")
