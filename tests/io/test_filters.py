"""Compression: what may be asked for, what is stored, and what is read without asking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError, MissingDependencyError
from sid_xarray.io import _filters
from sid_xarray.testing import assert_roundtrip

PLUGINS = ["bitshuffle", "blosc", "blosc2", "bzip2", "lz4", "zstd"]
WRITERS = pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])


@pytest.fixture
def plugins() -> None:
    pytest.importorskip("hdf5plugin")


def cube(dtype: str = "f4") -> xr.DataArray:
    values = np.random.default_rng(0).normal(size=(16, 16, 300)) * 10
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm"), "energy": (1.0, "eV")}
    return sid.dataarray(values.astype(dtype), dims, units="nA", quantity="current", name="signal")


def main_of(path: Path) -> dict[str, Any]:
    """How the largest dataset of a file is stored."""
    with h5py.File(path) as file:
        found: list[h5py.Dataset] = []
        file.visititems(
            lambda _, o: found.append(o) if isinstance(o, h5py.Dataset) and o.dtype.kind in "biufc" else None
        )
        main = max(found, key=lambda d: d.size)
        plist = main.id.get_create_plist()
        codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        return {
            "codes": codes,
            "chunks": main.chunks,
            "stored": main.id.get_storage_size(),
            "opts": main.compression_opts,
        }


@WRITERS
@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("dtype", ["i2", "f4", "c8"])
def test_filters_of_hdf5plugin_by_name(plugins: None, tmp_path: Path, name: str, writer: str, dtype: str) -> None:
    da = cube(dtype)
    getattr(da.sid, writer)(tmp_path / "a.h5", compression=name)
    xr.testing.assert_identical(sid.open_dataarray(tmp_path / "a.h5"), da)
    found = main_of(tmp_path / "a.h5")
    assert {code for code, n in _filters._NAMES.items() if n == name} <= set(found["codes"])
    if dtype == "i2":
        assert found["stored"] < 0.8 * da.nbytes


@WRITERS
def test_lazy_data_go_through_filters(plugins: None, tmp_path: Path, writer: str) -> None:
    da = cube().chunk(y=4)
    getattr(da.sid, writer)(tmp_path / "a.h5", compression="blosc")
    xr.testing.assert_identical(sid.open_dataarray(tmp_path / "a.h5", chunks={}).compute(), da.compute())


@pytest.mark.parametrize(
    ("own", "codes"),
    [
        ({"compression": "zstd", "clevel": 9}, [2, 32015]),
        ({"compression": "zstd", "shuffle": False}, [32015]),
        ({"compression": "blosc", "cname": "lz4", "shuffle": 1}, [32001]),
        ({"compression": "gzip", "complevel": 2, "chunksizes": (4, 4, 100)}, [2, 1]),
        ({"zlib": True, "complevel": 4}, [2, 1]),
        ({"compression": 3, "fletcher32": True}, [2, 1, 3]),
        ({"compression": None}, []),
        ({"shuffle": False}, [1]),
        ({"compression": "gzip", "compression_opts": 1, "scaleoffset": 0}, [6, 1]),
    ],
    ids=str,
)
@WRITERS
def test_encoding_of_one_variable(
    plugins: None, tmp_path: Path, own: dict[str, Any], codes: list[int], writer: str
) -> None:
    if writer == "to_usid":
        own = {k: v for k, v in own.items() if k != "chunksizes"}
    da = cube("i4")
    getattr(da.sid, writer)(tmp_path / "a.h5", encoding={"signal": own})
    found = main_of(tmp_path / "a.h5")
    assert sorted(found["codes"]) == sorted(codes)
    if "chunksizes" in own:
        assert found["chunks"] == (4, 4, 100)
    xr.testing.assert_identical(sid.open_dataarray(tmp_path / "a.h5"), da)


def test_objects_of_hdf5plugin(plugins: None, tmp_path: Path) -> None:
    import hdf5plugin

    da = cube()
    da.sid.to_nsid(tmp_path / "a.h5", compression=hdf5plugin.Zfp(reversible=True))
    assert main_of(tmp_path / "a.h5")["codes"] == [32013]
    da.sid.to_nsid(tmp_path / "a.h5", encoding={"signal": hdf5plugin.LZ4()}, mode="w")
    assert main_of(tmp_path / "a.h5")["codes"] == [32004]
    xr.testing.assert_identical(sid.open_dataarray(tmp_path / "a.h5"), da)


def test_chunks_by_dimension(tmp_path: Path) -> None:
    da = cube()
    da.sid.to_nsid(tmp_path / "a.h5", encoding={"signal": {"chunks": {"y": 2, "energy": -1}}})
    assert main_of(tmp_path / "a.h5")["chunks"] == (2, 16, 300)
    da.sid.to_usid(tmp_path / "b.h5", encoding={"signal": {"chunks": {"y": 2, "energy": 100}}})
    assert main_of(tmp_path / "b.h5")["chunks"] == (32, 100)
    with pytest.raises(FormatError, match="chunks name the dimension 'z'; there are 'y', 'x', 'energy'"):
        da.sid.to_nsid(tmp_path / "c.h5", encoding={"signal": {"chunks": {"z": 2}}})
    with pytest.raises(FormatError, match="a main has rows and columns"):
        da.sid.to_usid(tmp_path / "c.h5", encoding={"signal": {"chunks": 5}})
    assert not (tmp_path / "c.h5").exists()


@WRITERS
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("zst", r"got 'zst'\. Did you mean 'zstd'\?"),
        (12, "levels of gzip are 0"),
        (True, "compression is one of 'auto', 'gzip'"),
        ({"cname": "lz4"}, "compression has 'cname'; without a filter of hdf5plugin it can have compression"),
        ({"compression": "zstd", "level": 9}, "zstd has no 'level'; it has clevel"),
    ],
    ids=str,
)
def test_what_is_no_filter(plugins: None, tmp_path: Path, wrong: Any, message: str, writer: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(cube().sid, writer)(tmp_path / "a.h5", compression=wrong)
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(MissingDependencyError, match=r"compression='zstd' needs 'hdf5plugin'.*sid-xarray\[filters\]"):
        cube().sid.to_nsid(tmp_path / "a.h5", compression="zstd")


READ = """
import sys, warnings
if {block}:
    sys.modules["hdf5plugin"] = None
import sid_xarray as sid
da = sid.open_dataarray({path!r})
assert "hdf5plugin" not in sys.modules or sys.modules["hdf5plugin"] is None, "imported before it was needed"
try:
    print(float(da.isel(y=1, x=2, energy=3)))
except sid.FormatError as error:
    print(error)
"""


@WRITERS
def test_a_filter_is_found_when_it_is_needed(plugins: None, tmp_path: Path, writer: str) -> None:
    da = cube()
    path = tmp_path / "a.h5"
    getattr(da.sid, writer)(path, compression="blosc2")

    def run(block: bool) -> str:
        code = READ.format(block=block, path=str(path))
        # netCDF4 tells HDF5 of filters of its own by the environment.
        env = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        return done.stdout.strip()

    assert float(run(False)) == float(da[1, 2, 3])
    said = run(True)
    assert "is compressed by the filter blosc2 (32026), which is not installed. Type: pip install" in said
    assert "sid-xarray[filters]" in said


def test_tables_and_scales_of_others_may_be_compressed(plugins: None, tmp_path: Path) -> None:
    import hdf5plugin

    path = tmp_path / "a.h5"
    cube().sid.to_usid(path)
    with h5py.File(path, "r+") as file:
        group = file["Measurement_000/Channel_000"]
        del group["_sid_xarray"]
        for name in ("Position_Values", "Spectroscopic_Values"):
            values, attrs = group[name][()], dict(group[name].attrs)
            del group[name]
            group.create_dataset(name, data=values, chunks=True, **hdf5plugin.Blosc())
            group[name].attrs.update(attrs)
            group["signal"].attrs[name] = group[name].ref
    code = f"import sid_xarray as sid; print(sid.open_dataarray({str(path)!r}).x.values[3])"
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert float(out.stdout) == 1.5


def test_an_unknown_filter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    cube("i2").sid.to_nsid(path, compression="gzip")
    raw = path.read_bytes()
    with h5py.File(path) as file:
        deflate = file["Measurement_000/Channel_000/signal/signal"]
        assert deflate.compression == "gzip"
    # The message of the filter pipeline: number 1 with the name "deflate" becomes a number that nobody has.
    at = raw.index(b"deflate\x00")
    damaged = raw[: at - 8] + (40123).to_bytes(2, "little") + raw[at - 6 :]
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=r"by the filter deflate \(40123\), which is not installed. Install its HDF5"):
        sid.open_dataarray(path).load()


@pytest.mark.parametrize("compression", ["blosc", "zstd"])
def test_roundtrip_of_everything_with_plugins(plugins: None, compression: str) -> None:
    ds = cube("u2").to_dataset(name="a").assign(b=("t", ["x", "y"]), c=("y", np.arange(16)))
    assert_roundtrip(ds, compression=compression)
