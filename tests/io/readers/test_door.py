"""The front door: paths, folders, archives, addresses, open files, bytes; xarray's own doors; a new reader."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from reader_files import FILES, PATTERN, gsf, nanoscope_force, npy, pifm, sxm

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.errors import AlignmentError, DimensionError, FormatError, SidWarning
from sid_xarray.io.door import READERS
from sid_xarray.io.readers import TABLE, Reader
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.testing import assert_same


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan_1.sxm"
    path.write_bytes(sxm())
    return path


def test_every_way_in_gives_the_same(scan: Path) -> None:
    wanted = sid.open(scan).to_dataset().load()
    with scan.open("rb") as file:
        ways = [
            sid.open(str(scan)),
            sid.open(scan.read_bytes()),
            sid.open(file),
            sid.open(io.BytesIO(scan.read_bytes())),
        ]
    ways += [sid.open(f"file://{scan}")]
    for tree in ways:
        for name in wanted.data_vars:
            np.testing.assert_array_equal(tree[name].values, wanted[name].values)
            assert tree[name].attrs["units"] == wanted[name].attrs["units"]


def test_an_address(scan: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.pipe("/data/scan.sxm", scan.read_bytes())
    for name, data in pifm().items():
        system.pipe(f"/data/{name}", data)
    np.testing.assert_array_equal(sid.open("memory://data/scan.sxm")["Z_forward"].values, PATTERN)
    assert "hyPIR" in sid.open("memory://data/a.txt").children  # with what lies beside it
    with pytest.raises(FileNotFoundError, match=r"no file memory://data/none"):
        sid.open("memory://data/none.sxm")


def test_a_chain_of_addresses(tmp_path: Path) -> None:
    """The name of a file in an archive counts, not that of the archive."""
    pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/a.csv", "x (nm),y (V)\n1,2\n")
        for name, data in pifm().items():
            archive.writestr(f"in/{name}", data)
    da = sid.open_dataarray(f"zip://in/a.csv::{tmp_path}/a.zip")
    assert da.attrs["units"] == "V"
    assert da.encoding["source"].endswith("a.zip/a.csv")
    assert "hyPIR" in sid.open(f"zip://in/a.txt::{tmp_path}/a.zip").children


def test_an_open_file_on_the_disk_is_as_good_as_its_path(scan: Path, tmp_path: Path) -> None:
    """Lazy, with what lies beside it, wherever it stands; what is unpacked on the way is read whole."""
    for name, data in pifm().items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "a.txt").open("rb") as file:
        file.seek(10)
        assert "hyPIR" in sid.open(file).children
        assert file.tell() == 10
    with scan.open("rb") as file:
        tree = sid.open(file)
    assert tree["Z_forward"].encoding["source"] == str(scan)
    with gzip.open(tmp_path / "scan.sxm.gz", "wb") as file:
        file.write(scan.read_bytes())
    with gzip.open(tmp_path / "scan.sxm.gz") as file:
        np.testing.assert_array_equal(sid.open(file)["Z_forward"].values, PATTERN)


@pytest.mark.parametrize("name", ["emd/Velox_HAADF.emd", "hspy/LSMO_linescan.hspy", "bcf/bcf_v2_50x50px.bcf",
                                  "spm/jpk/spot3-0192.jpk-force"])  # fmt: skip
def test_bytes_without_a_name(name: str, shared: Path) -> None:
    pytest.importorskip("rsciio")
    pytest.importorskip("afmformats")
    path = shared / "realdata" / name
    found = signals(sid.open(path.read_bytes(), reader="jpk" if "jpk" in name else None))
    for key, da in signals(sid.open(path)).items():
        np.testing.assert_array_equal(found[key].values, da.values)


def test_xarrays_own_doors(scan: Path, tmp_path: Path) -> None:
    if "sid" not in xr.backends.list_engines():
        pytest.skip("the package was installed before it had this engine: install it again")
    ds = xr.open_dataset(scan, engine="sid")
    np.testing.assert_array_equal(ds["Z_forward"].values, PATTERN)
    assert not xr.open_dataset(scan, engine="sid", drop_variables="Z_forward").get("Z_forward")
    assert set(xr.open_dataset(scan, engine="sid", group="Z_backward").data_vars) == {"Z_backward"}
    tree = xr.open_datatree(scan, engine="sid", chunks={"y": 1})
    assert tree["Z_forward"].chunks == ((1, 1, 1), (4,))
    guessed = xr.open_dataset(scan)  # the first bytes are ours
    np.testing.assert_array_equal(guessed["Z_forward"].values, PATTERN)
    (tmp_path / "a.axz").write_bytes(FILES["anasys"][1]())
    with pytest.raises(FormatError, match="holds 2 groups with arrays, name one: group='/Height 1'"):
        xr.open_dataset(tmp_path / "a.axz", engine="sid")
    assert "Frequency" in xr.open_dataset(tmp_path / "a.axz", engine="sid", group="Spectrum 1")
    with pytest.raises(FormatError, match=r"there is no such group\. There are /, /Height 1"):
        sid.open(tmp_path / "a.axz", group="none")
    (tmp_path / "b.npy").write_bytes(npy())
    assert xr.open_dataset(tmp_path / "b.npy", engine="sid", reader_options={"units": "nA"})["b"].units == "nA"


def test_one_signal(scan: Path) -> None:
    with pytest.raises(FormatError, match="holds 3 signals, name one: signal='Z_forward'"):
        sid.open_dataarray(scan)
    da = sid.open_dataarray(scan, "Z_backward")
    np.testing.assert_array_equal(da.values, PATTERN)
    assert sid.ls(scan) == {f"/{n}": {"y": 3, "x": 4} for n in ("Z_forward", "Z_backward", "Current_forward")}


def test_signals_of_one_name_are_told_by_their_paths(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.gsf").write_bytes(gsf())
    with pytest.raises(FormatError, match="holds 2 signals, name one: signal='/a/Current'"):
        sid.open_dataarray(tmp_path)
    assert sid.open_dataarray(tmp_path, "/a/Current").shape == (3, 4)
    with pytest.raises(FormatError, match="has 2 signals 'Current', give the path: /a/Current, /b/Current"):
        sid.open_dataarray(tmp_path, "Current")


def test_choosing_a_reader(scan: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no reader 'nanonis'. Did you mean 'nanonis_\w+'"):
        sid.open(scan, reader="nanonis")
    with pytest.raises(FormatError, match="does not start as a Gwyddion Simple Field"):
        sid.open(scan, reader="gsf")
    with pytest.raises(TypeError, match="reader 'nanonis_sxm' has no option 'dims'"):
        sid.open(scan, dims={})
    (tmp_path / "a.xyz").write_bytes(b"nothing that anybody knows")
    with pytest.raises(FormatError, match=r"no reader knows it, .* pass reader=\.\.\. There are: nanonis_sxm"):
        sid.open(tmp_path / "a.xyz")
    (tmp_path / "a.sxm").write_bytes(b"nothing that anybody knows")
    with pytest.raises(FormatError, match="has the suffix of Nanonis scan, but its content is not of that kind"):
        sid.open(tmp_path / "a.sxm")
    with pytest.raises(TypeError, match=r"got list\. Several files: sid\.open_many"):
        sid.open([scan])


@pytest.mark.parametrize("suffix", sorted({one.suffixes[0] for one in TABLE.values()} | {"", ".h5"}))
def test_a_file_of_nothing_and_one_of_a_byte(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="is empty"):
        sid.open(path)
    path.write_bytes(b"x")
    with pytest.raises((FormatError, ImportError), match=r"content is not|knows it|read as|HDF5|no lines|needs|start"):
        sid.open(path)


def test_a_folder_a_pattern_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    for i in (1, 2, 10):
        (folder / f"scan_{i}.sxm").write_bytes(sxm(i * PATTERN))
    (folder / "notes.md").write_text("# nothing")
    (folder / "a.gsf").write_bytes(gsf())
    tree = sid.open(folder)
    assert list(tree.children) == ["a", "scan_1", "scan_2", "scan_10"]
    np.testing.assert_array_equal(tree["scan_10/Z_forward"].values, 10 * PATTERN)
    assert list(sid.open(folder / "scan_*.sxm").children) == ["scan_1", "scan_2", "scan_10"]
    with zipfile.ZipFile(tmp_path / "session.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"session/{path.name}")
        for name, data in pifm().items():
            archive.writestr(f"pifm/{name}", data)
        archive.writestr("__MACOSX/session/._a.gsf", b"junk")
    packed = sid.open(tmp_path / "session.zip")
    np.testing.assert_array_equal(packed["session/scan_2/Z_backward"].values, 2 * PATTERN)
    np.testing.assert_allclose(packed["pifm/a/Topography_forward/Topography_forward"].values, PATTERN + 5)
    (folder / "broken.sxm").write_bytes(sxm()[:400])
    with pytest.warns(SidWarning, match=r"broken\.sxm"):
        tree = sid.open(folder)
    assert "broken.sxm" in tree.attrs["sid_problems"]
    with pytest.raises(FileNotFoundError):
        sid.open(tmp_path / "none_*.sxm")


def test_a_folder_with_links_and_locked_doors(scan: Path, tmp_path: Path) -> None:
    """One file that cannot be opened never hides the others."""
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "a.sxm").symlink_to(scan)
    (folder / "b.sxm").symlink_to(folder / "nowhere")
    (folder / "again").symlink_to(folder)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.sxm")
    with pytest.warns(SidWarning, match=r"b\.sxm, it is a link to nowhere"):
        tree = sid.open(folder)
    assert list(tree.children) == ["a"]
    table = sid.scan(folder, progress=False)
    assert "a link to nowhere" in table[table.file == "b.sxm"].problem.iloc[0]
    assert set(table.file) == {"a.sxm", "b.sxm"}


def test_files_come_in_natural_order(tmp_path: Path) -> None:
    names = ["a", "a1", "a1_x", "a1_y", "a2", "a10", "b1", "B2", "c"]
    for name in reversed(names):
        (tmp_path / f"{name}.gsf").write_bytes(gsf())
    assert list(sid.open(tmp_path).children) == names
    assert sid.scan(tmp_path, progress=False).file.tolist() == [f"{name}.gsf" for name in names]


def test_xarrays_doors_open_folders_and_archives(scan: Path, tmp_path: Path) -> None:
    if "sid" not in xr.backends.list_engines():
        pytest.skip("the package was installed before it had this engine: install it again")
    (tmp_path / "two").mkdir()
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a.sxm", "b.sxm"):
            archive.write(scan, name)
            (tmp_path / "two" / name).write_bytes(scan.read_bytes())
    for where in (tmp_path / "two", tmp_path / "two.zip", tmp_path / "two" / "*.sxm"):
        assert list(xr.open_datatree(where, engine="sid").children) == ["a", "b"]
        np.testing.assert_array_equal(xr.open_dataset(where, engine="sid", group="b")["Z_forward"].values, PATTERN)
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        pass
    with pytest.raises(FormatError, match="holds no file that a reader knows"):
        sid.open(tmp_path / "none.zip")


def test_many_files_become_one_array(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        (tmp_path / f"scan_{i}.sxm").write_bytes(sxm(i * PATTERN))
    da = sid.open_many(tmp_path / "scan_*.sxm", concat="frame", signal="Z_forward")
    assert da.dims == ("frame", "y", "x")
    assert da.chunks is not None
    np.testing.assert_array_equal(da.values, np.stack([PATTERN, 2 * PATTERN, 10 * PATTERN]))
    assert da["file"].values.tolist() == ["scan_1.sxm", "scan_2.sxm", "scan_10.sxm"]
    assert da["start_time"].values.tolist() == ["2023-03-31T14:38:44"] * 3
    assert da.sid.kind == "image_stack"
    assert len(da.sid.provenance.roots) == 3
    ds = sid.open_many([tmp_path / "scan_1.sxm", tmp_path / "scan_2.sxm"], concat="frame")
    assert set(ds.data_vars) == {"Z_forward", "Z_backward", "Current_forward"}
    assert list(sid.open_many(tmp_path / "scan_*.sxm").children) == ["scan_1", "scan_2", "scan_10"]
    (tmp_path / "scan_11.sxm").write_bytes(sxm(np.ones((2, 2))))
    with pytest.raises(AlignmentError, match=r"scan_11.sxm has the sizes \{'y': 2, 'x': 2\}"):
        sid.open_many(tmp_path / "scan_*.sxm", concat="frame")
    with pytest.raises(FormatError, match=r"has no signal 'Z_foward'\. Did you mean 'Z_forward'"):
        sid.open_many(tmp_path / "scan_1.sxm", concat="frame", signal="Z_foward")


def test_a_table_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.sxm").write_bytes(sxm())
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b.001").write_bytes(nanoscope_force())
    (tmp_path / "c.gsf").write_bytes(gsf()[:-8])
    (tmp_path / "readme.txt").write_text("nothing")
    sid.datasets.peak_map().sid.to_nsid(tmp_path / "d.h5")
    table = sid.scan(tmp_path, progress=False)
    assert set(table["file"]) == {"a.sxm", "inner/b.001", "c.gsf", "d.h5"}
    row = table[table.signal == "/Z_backward"].iloc[0]
    assert (row.reader, row.kind, row["shape"], row.units) == ("nanonis_sxm", "image", (3, 4), "m")
    assert row.dims == "y (m), x (m)"
    assert row.start_time == "2023-03-31T14:38:44"
    assert row.bias == 0.05
    assert "needs 48 bytes" in table[table.file == "c.gsf"].problem.iloc[0]
    assert table[table.file == "d.h5"].kind.iloc[0] == "spectral_image"


def test_bare_arrays_get_their_calibration(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy())
    options = {"dims": {"y": (0.5, "nm"), "x": (0.5, "nm")}, "units": "nA", "quantity": "current"}
    da = sid.open_dataarray(tmp_path / "a.npy", **options)
    assert (da.name, da.attrs["units"], da["x"].values.tolist()) == ("current", "nA", [0, 0.5, 1, 1.5])
    assert not da.variable._in_memory
    np.save(tmp_path / "f.npy", np.asfortranarray(PATTERN))
    np.testing.assert_array_equal(sid.open_dataarray(tmp_path / "f.npy").values, PATTERN)
    with pytest.raises(DimensionError, match="has 2 dimensions"):
        sid.open(tmp_path / "a.npy", dims={"x": 1})
    (tmp_path / "m.csv").write_text("1,2,3\n4,5,6\n")
    da = sid.open_dataarray(tmp_path / "m.csv", dims={"y": (1, "nm"), "x": (2, "nm")}, units="V")
    assert da.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="only plain numbers are read"):
        sid.open(tmp_path / "o.npy")


def test_pictures(tmp_path: Path) -> None:
    tifffile, iio = pytest.importorskip("tifffile"), pytest.importorskip("imageio.v3")
    iio.imwrite(tmp_path / "a.png", PATTERN.astype("u1"))
    da = sid.open_dataarray(tmp_path / "a.png", pixel_size=(2, "nm"))
    assert da.values.tolist() == PATTERN.tolist()
    assert da["x"].attrs["units"] == "nm"
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack([PATTERN, 2 * PATTERN]).astype("f4"), imagej=True,
        resolution=(4, 4), metadata={"axes": "ZYX", "unit": "um", "spacing": 0.5},
    )  # fmt: skip
    da = sid.open_dataarray(tmp_path / "a.tif")
    assert da.dims == ("z", "y", "x")
    assert not da.variable._in_memory
    np.testing.assert_array_equal(da.values[1], 2 * PATTERN)
    assert (float(da["z"][1]), float(da["x"][1]), da["x"].attrs["units"]) == (0.5, 0.25, "um")
    da = sid.open_dataarray(tmp_path / "a.tif", pixel_size={"x": (3, "nm")})
    assert (float(da["x"][1]), da["x"].attrs["units"]) == (3, "nm")


def test_what_was_opened_can_be_saved_with_its_results(scan: Path, tmp_path: Path) -> None:
    tree = sid.open(scan)
    tree.sid.to_nsid(tmp_path / "a.h5")
    back = sid.open(tmp_path / "a.h5")
    for name, da in tree.to_dataset().data_vars.items():
        found = next(node[name] for node in back.subtree if name in node.data_vars)
        assert_same(found.load(), da.copy().load())
    da = sid.open_dataarray(scan, "Z_forward")
    smaller = da.sid.rebin(x=2)
    assert [step.name for step in smaller.sid.provenance.steps] == ["open", "rebin"]
    place = smaller.sid.to_nsid(tmp_path / "b.h5", source=da)
    assert place
    assert smaller.sid.provenance.roots[0].params["reader"] == "nanonis_sxm"


def test_the_command_line(scan: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-c", "from sid_xarray.cli import main; main()"]
    told = subprocess.run([*run, "info", str(scan)], capture_output=True, text=True, check=True, timeout=120).stdout
    assert "Z_backward  image, float32  Z in m" in told
    subprocess.run([*run, "convert", str(scan), str(tmp_path / "a.h5")], check=True, timeout=120)
    assert len(sid.ls(tmp_path / "a.h5")) == 3


def test_a_new_reader_joins_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_reader.py").write_text(
        "import struct\n"
        "from sid_xarray.io.readers import Reader\n"
        "from sid_xarray.io.readers.signal import Signal, axis\n"
        "def read(source, *, gain: float = 1.0):\n"
        "    ny, nx = struct.unpack('<2H', source.read(4, 4))\n"
        "    data = source.array('<f4', (ny, nx), start=8, scale=gain)\n"
        "    yield Signal('height', data, [axis('y', ny, 2.0, units='nm'), axis('x', nx, 2.0, units='nm')], 'nm')\n"
        "READER = Reader('mine', 'My microscope', read, ('.mine',), magic=(b'MINE',))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("mine", "my_reader:READER", "sid_xarray.readers")
    monkeypatch.setattr("sid_xarray.core.registry.entry_points", lambda group: [point])
    monkeypatch.setattr(READERS, "_scanned", False)
    monkeypatch.setattr(READERS, "_places", dict(READERS._places))
    (tmp_path / "a.mine").write_bytes(b"MINE\x03\0\x04\0" + PATTERN.astype("<f4").tobytes())
    da = sid.open_dataarray(tmp_path / "a.mine", gain=2.0)
    np.testing.assert_array_equal(da.values, 2 * PATTERN)
    assert da["y"].attrs["units"] == "nm"


def test_a_reader_of_others_that_is_broken_stops_nobody(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sniff(head: bytes, path: str) -> bool:
        raise RuntimeError("I am broken")

    broken = Reader("broken", "Nobody's", lambda source: [], (".sxm",), sniffs=sniff)
    point = importlib.metadata.EntryPoint("gone", "package_that_is_gone:READER", "sid_xarray.readers")
    monkeypatch.setattr("sid_xarray.core.registry.entry_points", lambda group: [point])
    monkeypatch.setattr(READERS, "_scanned", False)
    monkeypatch.setattr(READERS, "_places", dict(READERS._places))
    monkeypatch.setattr(READERS, "_loaded", dict(READERS._loaded))
    READERS.register("broken", broken)
    with pytest.warns(SidWarning) as caught:
        assert "Z_forward" in sid.open(scan)
        assert "Z_forward" in sid.open(scan)
    said = sorted(str(one.message) for one in caught)
    assert len(said) == 2  # each once
    assert said[0].startswith("the reader 'broken' cannot be asked and is passed over: RuntimeError: I am broken")
    assert "package_that_is_gone" in said[1]
    with pytest.raises(ModuleNotFoundError):
        sid.open(scan, reader="gone")


def test_of_two_readers_the_suffix_decides(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: Any) -> Any:
        yield Signal("mine", np.zeros(3), [axis("x", 3)])

    monkeypatch.setattr(READERS, "_places", dict(READERS._places))
    monkeypatch.setattr(READERS, "_loaded", dict(READERS._loaded))
    READERS.register("mine", Reader("mine", "Mine", read, (".mine", ".sxm"), magic=(b":NANONIS_VERSION:",)))
    assert "Z_forward" in sid.open(scan)  # ours come first where both suit
    assert "mine" in sid.open(scan, reader="mine")
    (tmp_path / "a.mine").write_bytes(scan.read_bytes())
    assert "mine" in sid.open(tmp_path / "a.mine")
    assert "Z_forward" in sid.open(tmp_path / "a.mine", reader="nanonis_sxm")


def test_opening_brings_only_what_is_needed(scan: Path) -> None:
    """One file of our own format: neither h5py nor any library of another format."""
    code = f"""
import sys
import sid_xarray as sid
sid.open({str(scan)!r})["Z_forward"].load()
heavy = "rsciio igor2 spym afmformats NSFopen SurfaceTopography tifffile imageio matplotlib holoviews".split()
print([m for m in heavy if m in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a.ibw").write_bytes(FILES["igor"][1]())
    with pytest.raises(ImportError, match=r"reading this file \(Igor wave.*\) needs 'igor2'.*sid-xarray\[spm\]"):
        sid.open(tmp_path / "a.ibw")
