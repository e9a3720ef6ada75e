"""Every rule finds what breaks it, and good files pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.io.validate import check_file, run
from sid_xarray.io.validate.check import RULES
from sid_xarray.io.validate.grid import grid_of
from sid_xarray.io.validate.rule import EFFECTS

G = "Measurement_000/Channel_000/iv"
M = f"{G}/iv"
C = "Measurement_000/Channel_000"
R = f"{C}/Raw_Data"
SHARED = Path(__file__).parents[3] / "shared"


def good_nsid(path: Path) -> Path:
    """The smallest file that every reader of NSID takes, with metadata."""
    with h5py.File(path, "w") as file:
        main = file.create_dataset(M, data=np.arange(24.0).reshape(2, 3, 4))
        main.attrs.update(quantity="Current", units="nA", main_data_name="iv", title="iv", pyNSID_version="0.0.7.2")
        main.attrs.update(data_type="SPECTRAL_IMAGE", modality="STM", source="Nanonis")
        for i, (label, kind) in enumerate((("y", "SPATIAL"), ("x", "SPATIAL"), ("bias", "SPECTRAL"))):
            scale = file[G].create_dataset(label, data=np.arange(float(main.shape[i])))
            scale.attrs.update(name=label, units="nm", quantity="Length", dimension_type=kind)
            scale.make_scale(label)
            main.dims[i].label = label
            main.dims[i].attach_scale(scale)
        file[G].create_group("metadata/tip").attrs["material"] = "W"
    return path


def good_usid(path: Path) -> Path:
    """The smallest file that every reader of USID takes: (y, x) positions, (cycle, bias) columns."""
    with h5py.File(path, "w") as file:
        main = file.create_dataset(R, data=np.arange(48.0).reshape(6, 8))
        main.attrs.update(quantity="Current", units="nA")
        for side, sizes, labels in (("Position", (2, 3), ("Y", "X")), ("Spectroscopic", (2, 4), ("Cycle", "Bias"))):
            indices = np.indices(sizes).reshape(2, -1)
            for what, table in (("Indices", indices.astype("u4")), ("Values", indices * 0.5)):
                anc = file[C].create_dataset(f"{side}_{what}", data=table.T if side == "Position" else table)
                anc.attrs["labels"] = np.array([word.encode() for word in labels])
                anc.attrs["units"] = np.array([b"nm", b"nm"])
                main.attrs[f"{side}_{what}"] = anc.ref
    return path


def replace(file: h5py.File, path: str, data: Any) -> h5py.Dataset:
    """Put other values at the place of a dataset, with its attributes and links to it."""
    old = file[path]
    attrs = {k: v for k, v in old.attrs.items() if k not in ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST")}
    del file[path]
    new = file.create_dataset(path, data=data)
    new.attrs.update(attrs)
    if R in file and path != R:
        file[R].attrs[path.rpartition("/")[2]] = new.ref
    return new


def relabel(file: h5py.File, i: int, name: str) -> None:
    old = file[M].dims[i].label
    file[f"{G}/{name}"] = file[f"{G}/{old}"]
    del file[f"{G}/{old}"]
    file[M].dims[i].label = name


def both(file: h5py.File, side: str, name: str, value: Any) -> None:
    for what in ("Indices", "Values"):
        file[f"{C}/{side}_{what}"].attrs[name] = value


def hdf5_elsewhere(file: h5py.File) -> None:
    file.create_dataset("far", shape=(4,), dtype="f8", external=[("elsewhere.bin", 0, 32)])


def n03(file: h5py.File) -> None:
    links = np.empty(3, dtype=object)
    for i in range(3):
        links[i] = np.array([h5py.Reference()], dtype=h5py.ref_dtype)
    del file[M].attrs["DIMENSION_LIST"]
    file[M].attrs.create("DIMENSION_LIST", links, dtype=h5py.vlen_dtype(h5py.ref_dtype))


def n12(file: h5py.File) -> None:
    file[M].dims[1].detach_scale(file[f"{G}/x"])


def n13(file: h5py.File) -> None:
    replace(file, f"{G}/y", np.zeros(0)).make_scale("y")
    attach(file, replace(file, M, np.zeros((0, 3, 4))))


def n21(file: h5py.File) -> None:
    del file[f"{G}/x"].attrs["quantity"]


def n34(file: h5py.File) -> None:
    values = np.zeros((2, 3, 4), dtype=[("amplitude", "f4"), ("phase", "f4")])
    attach(file, replace(file, M, values))


def attach(file: h5py.File, main: h5py.Dataset) -> None:
    for i, label in enumerate(("y", "x", "bias")):
        main.dims[i].label = label
        main.dims[i].attach_scale(file[f"{G}/{label}"])


def n40(file: h5py.File) -> None:
    extra = file[G].create_dataset("x2", data=np.arange(3.0))
    extra.attrs.update(name="x2", units="nm", quantity="Length", dimension_type="SPATIAL")
    extra.make_scale("x2")
    file[M].dims[1].attach_scale(extra)


def n42(file: h5py.File) -> None:
    file[M].dims[1].detach_scale(file[f"{G}/x"])
    scale = replace(file, f"{G}/x", np.array([b"a", b"b", b"c"]))
    scale.make_scale("x")
    file[M].dims[1].attach_scale(scale)


def n43(file: h5py.File) -> None:
    main = file[M]
    main.dims[2].detach_scale(file[f"{G}/bias"])
    values = main[()][:, :, :3]
    main = replace(file, M, values)
    for i, label in enumerate(("y", "x", "x")):
        main.dims[i].label = label
        main.dims[i].attach_scale(file[f"{G}/{label}"])


def n52(file: h5py.File) -> None:
    group = file[f"{G}/metadata"]
    for i in range(4000):
        group.attrs[f"key{i}"] = i


def n54(file: h5py.File) -> None:
    file.create_group(f"{G}/Structure_000/crystal").attrs["elements"] = "SrTiO3"


def u04(file: h5py.File) -> None:
    replace(file, f"{C}/Spectroscopic_Indices", np.arange(8))


def u10(file: h5py.File) -> None:
    replace(file, f"{C}/Position_Values", np.zeros((5, 2)))


def u21(file: h5py.File) -> None:
    for what in ("Indices", "Values"):
        replace(file, f"{C}/Spectroscopic_{what}", np.zeros((2, 1)) if what == "Values" else np.zeros((2, 1), "u4"))
    replace(file, R, np.zeros((6, 1)))
    both(file, "Spectroscopic", "labels", np.array([b"Cycle", b"Bias"]))


def u22(file: h5py.File) -> None:
    indices = file[f"{C}/Position_Indices"]
    indices[3:] = indices[3:][::-1]  # to and fro


def u22_twice(file: h5py.File) -> None:
    file[f"{C}/Position_Indices"][5] = (1, 1)


def u23(file: h5py.File) -> None:
    for name in (R, f"{C}/Position_Indices", f"{C}/Position_Values"):
        replace(file, name, file[name][:5])


def u24(file: h5py.File) -> None:
    u23(file)
    both(file, "Position", "incomplete_dimensions", np.array([b"Y", b"X"]))


def u25(file: h5py.File) -> None:
    file[f"{C}/Position_Values"][3:, 1] += 0.1


def u26(file: h5py.File) -> None:
    table = file[f"{C}/Position_Values"][()] + 1.6e9
    replace(file, f"{C}/Position_Values", table.astype("f4"))


def u33(file: h5py.File) -> None:
    values = file[f"{C}/Spectroscopic_Values"]
    values[1] = np.tile([0.0, 1.0, 0.0, -1.0], 2)


Mutation = Callable[[h5py.File], Any]
NSID: list[tuple[str, Mutation]] = [
    ("H02", hdf5_elsewhere),
    ("N01", lambda f: f.create_dataset("empty", data=h5py.Empty("f8"))),
    ("N03", n03),
    ("N20", lambda f: f.__delitem__(f"{G}/x")),
    ("N10", lambda f: f[M].attrs.pop("modality")),
    ("N10", lambda f: (f[M].attrs.pop("pyNSID_version"), f[M].attrs.update(nsid_version="0.0.1"))),
    ("N11", lambda f: f[M].attrs.update(units=["nA"])),
    ("N12", n12),
    ("N13", n13),
    ("N20", lambda f: setattr(f[M].dims[1], "label", "nowhere")),
    ("N20", lambda f: setattr(f[M].dims[1], "label", "")),
    ("N20", lambda f: setattr(f[M].dims[1], "label", "metadata")),
    ("N21", n21),
    ("N30", lambda f: f[M].attrs.update(units=np.bytes_(b"nA"))),
    ("N30", lambda f: f[f"{G}/x"].attrs.update(units=np.bytes_(b"nm"))),
    ("N31", lambda f: f[M].attrs.update(data_type="MOVIE")),
    ("N32", lambda f: f[M].attrs.update(title=np.bytes_(b"iv"))),
    ("N33", lambda f: f[M].attrs.pop("title")),
    ("N34", n34),
    ("N35", lambda f: attach(f, replace(f, M, np.zeros((2, 3, 4), "u1")))),
    ("N40", n40),
    ("N41", lambda f: f[f"{G}/x"].attrs.update(units=" ")),
    ("N42", n42),
    ("N43", n43),
    ("N44", lambda f: f[f"{G}/x"].attrs.update(dimension_type="position")),
    ("N45", lambda f: relabel(f, 2, "T")),
    ("N46", lambda f: relabel(f, 2, "source")),
    ("N46", lambda f: relabel(f, 0, "b")),
    ("N50", lambda f: f.create_dataset(f"{G}/iv-Fit_000/result", data=np.zeros(3))),
    ("N51", lambda f: f.create_group(f"{G}/size")),
    ("N52", n52),
    ("N53", lambda f: f[G].__setitem__("gone", h5py.SoftLink("/nowhere"))),
    ("N53", lambda f: f[f"{G}/metadata"].__setitem__("out", h5py.ExternalLink("other.h5", "/x"))),
    ("N54", n54),
    ("N55", lambda f: f.create_dataset(f"{G}/_metadata/tip", data="W")),
]
USID: list[tuple[str, Mutation]] = [
    ("U01", lambda f: replace(f, R, np.zeros((6, 2, 4)))),
    ("U02", lambda f: f[R].attrs.pop("Position_Values")),
    ("U02", lambda f: f[R].attrs.update(Position_Values="nowhere")),
    ("U03", lambda f: f[R].attrs.pop("units")),
    ("U04", u04),
    ("U10", u10),
    ("U11", lambda f: f[f"{C}/Position_Values"].attrs.pop("labels")),
    ("U12", lambda f: both(f, "Position", "labels", np.array([b"Y"]))),
    ("U12", lambda f: f[f"{C}/Position_Values"].attrs.update(units=np.array([b"nm", b"m"]))),
    ("U20", lambda f: both(f, "Spectroscopic", "labels", np.array([b"X", b"Bias"]))),
    ("U21", u21),
    ("U22", u22),
    ("U22", u22_twice),
    ("U23", u23),
    ("U24", u24),
    ("U25", u25),
    ("U26", u26),
    ("U30", lambda f: both(f, "Spectroscopic", "labels", np.array([b"T", b"Bias"]))),
    ("U30", lambda f: both(f, "Spectroscopic", "labels", np.array([b"Cycle", b" Bias"]))),
    ("U30", lambda f: both(f, "Spectroscopic", "labels", np.array([b"Cycle", b""]))),
    ("U30", lambda f: both(f, "Position", "labels", np.array([b"b", b"X"]))),
    ("U31", lambda f: both(f, "Spectroscopic", "labels", np.array([b"Cycle", b"Bias (V)"]))),
    ("U31", lambda f: f[R].attrs.update(units="V/Hz^(1/2)")),
    ("U32", lambda f: f[R].attrs.update(temperature=4.2)),
    ("U33", u33),
]
CASES = [(code, mutate, "n") for code, mutate in NSID] + [(code, mutate, "u") for code, mutate in USID]


def build(path: Path, kind: str, mutate: Mutation | None = None) -> Path:
    """Write a good file, and break it."""
    (good_nsid if kind == "n" else good_usid)(path)
    if mutate is not None:
        with h5py.File(path, "a") as file:
            mutate(file)
    return path


@pytest.mark.parametrize("kind", ["n", "u"])
def test_a_good_file_has_no_findings(tmp_path: Path, kind: str) -> None:
    report, code = run(build(tmp_path / "good.h5", kind))
    assert (list(report), code) == ([], 0)
    assert report.ok


@pytest.mark.parametrize(("code", "mutate", "kind"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_what_breaks_a_rule_is_found(tmp_path: Path, code: str, mutate: Mutation, kind: str) -> None:
    report, status = run(build(tmp_path / "bad.h5", kind, mutate))
    found = [f for f in report if f.code == code]
    assert found, f"{code} is not among {[str(f) for f in report]}"
    rule = RULES[code]
    assert {(f.level, f.effect) for f in found} == {(rule.level, rule.effect)}
    assert status == any(f.level == "error" for f in report)
    assert rule.readers in found[0].text
    assert found[0].text.endswith(f"[{code}]")


@pytest.mark.parametrize(("code", "mutate", "kind"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_nothing_else_is_blamed(tmp_path: Path, code: str, mutate: Mutation, kind: str) -> None:
    others = {f.code for f in check_file(build(tmp_path / "bad.h5", kind, mutate)) if f.level == "error"} - {code}
    assert others <= {"N03": {"N12"}}.get(code, set())


def test_every_rule_has_a_test_or_a_reason() -> None:
    # H01: needs a damaged header; H03: a filter that is not installed; N02: not for root, who may always write.
    assert set(RULES) - {code for code, *_ in CASES} == {"H01", "H03", "H04", "H05", "N02"}


def test_rules_speak_in_whole_sentences() -> None:
    for rule in RULES.values():
        assert rule.level in ("error", "warning", "note")
        assert rule.effect in EFFECTS
        for text in (rule.means, rule.readers, rule.repair):
            assert text[0].isupper() or text.startswith(
                ("pyNSID", "pyUSID", "data_type", "dimension_type", "labels", "quantity", "title", "units")
            ), text
            assert text.endswith((".", ")")), text


def test_a_file_without_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.zeros(3)
    report, code = run(tmp_path / "other.h5")
    assert [f.code for f in report] == ["H04"]
    assert code == 1


def test_what_is_not_readable_is_2(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no HDF5")
    assert run(text)[1] == 2
    assert run(tmp_path / "missing.h5")[1] == 2
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "missing.h5")
    with pytest.raises(sid.FormatError, match="not an HDF5 file"):
        check_file(text)


def test_the_file_is_not_touched_and_not_held(tmp_path: Path) -> None:
    path = good_nsid(tmp_path / "good.h5")
    before = path.read_bytes()
    os.chmod(path, 0o444)
    check_file(path)
    os.chmod(path, 0o644)
    assert path.read_bytes() == before
    with h5py.File(path, "r+"):
        pass


def test_what_sid_cannot_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ours.h5"
    sid.datasets.lattice_image().sid.to_nsid(path, group="/a/fringes")
    with h5py.File(path, "a") as file:
        model = file["a/fringes/_sid_xarray/model"]
        model[()] = "{"
    report, code = run(path)
    assert "H05" in {f.code for f in report}
    assert code == 1


def test_a_link_out_of_the_file_is_not_followed(tmp_path: Path) -> None:
    good_usid(tmp_path / "other.h5")
    with h5py.File(tmp_path / "outer.h5", "w") as file:
        file["there"] = h5py.ExternalLink("other.h5", "/")
    assert [f.code for f in check_file(tmp_path / "outer.h5")] == ["H04"]


def test_results_of_ours_pass(tmp_path: Path) -> None:
    path = tmp_path / "ours.h5"
    da = sid.datasets.peak_map(ny=3, nx=4, ne=16)
    da.sid.with_metadata(tip={"material": "Pt"}).sid.to_nsid(path)
    da.sid.fit("gaussian + constant", dim="energy").sid.to_nsid(path, source=da)
    report, code = run(path)
    assert code == 0, report
    assert report.ok, report


def test_damaged_files_never_raise(tmp_path: Path) -> None:
    script = tmp_path / "many.py"
    script.write_text(
        "import sys\nfrom sid_xarray.io.validate import run\n"
        "for path in sys.argv[1:]:\n    report, code = run(path)\n    assert code in (0, 1, 2)\n"
    )
    rng = np.random.default_rng(0)
    for kind in ("n", "u"):
        whole = bytearray(build(tmp_path / "good.h5", kind).read_bytes())
        paths = []
        for i in range(25):
            bad = bytearray(whole)
            for where in rng.integers(8, len(bad), size=rng.integers(1, 12)):
                bad[where] = rng.integers(256)
            if i % 5 == 0:
                bad = bad[: rng.integers(100, len(bad))]
            paths.append(tmp_path / f"{kind}{i}.h5")
            paths[-1].write_bytes(bad)
        # In a process of its own: what HDF5 does to a damaged file should not end this one.
        command = [sys.executable, str(script), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


def test_a_process_of_its_own_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path / "bad.h5", "u", u22)
    assert run(path, isolated=True) == run(path)
    assert run(tmp_path / "missing.h5", isolated=True)[1] == 2
    report, code = run(path, isolated=True, timeout=0.01)
    assert code == 2
    assert "hangs" in report[0].text
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.path.exists("/bin/false") else "false")
    report, code = run(path, isolated=True)
    assert code == 2
    assert "crashes" in report[0].text


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[0, 0, 1, 1], [0, 1, 0, 1]], "raster"),
        ([[0, 1, 0, 1], [0, 0, 1, 1]], "raster"),
        ([[0, 0, 1, 1], [0, 1, 1, 0]], "permuted"),
        ([[1, 1, 0, 0], [0, 1, 0, 1]], "permuted"),
        ([[0, 1, 2], [0, 1, 2]], "none"),
        ([[0, 0, 1], [0, 1, 0]], "none"),
        ([[0, 0, 0, 0], [0, 1, 1, 1]], "none"),
        ([[0, 0, 1, 1], [0, 1, 1, 1]], "repeated"),
        ([[0]], "raster"),
    ],
)
def test_grids(rows: list[list[int]], kind: str) -> None:
    assert grid_of(np.array(rows)).kind == kind


EXPECTED = {
    "ok": set(),
    "read-crash": {"read-crash"},
    "no-nd-form": {"no-nd-form"},
    "wrong-nd-form": {"wrong-array"},
    "values-of-first-tile-only": {"first-tile"},
    "ok-but-metadata-not-read": {"lost"},
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared files is not here")
@pytest.mark.parametrize("name", sorted(p.stem for p in (SHARED / "corpus").glob("*.json")))
def test_findings_are_what_the_peers_do(name: str) -> None:
    expected = json.loads((SHARED / f"corpus/{name}.json").read_text())["peer_expectation"]
    report = check_file(SHARED / f"corpus/{name}.h5")
    serious = {f.effect for f in report if f.level != "note"}
    assert serious == EXPECTED[expected]


def test_the_docs_list_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs/formats/check.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith(("| H", "| N", "| U"))]
    listed = {row[1].strip(): (row[2].strip(), row[3].strip()) for row in rows}
    assert listed == {rule.code: (rule.level, rule.means) for rule in RULES.values()}
