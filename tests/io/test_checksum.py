"""What `verify_file` finds: nothing where nothing happened, and every change that somebody made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.io import _checksums
from sid_xarray.io.checksum import Finding, attrs_digest, combine, tile_digest, verify_file, verify_group

FORMATS = {"nsid": "/g", "usid": "/g"}


@pytest.fixture(params=list(FORMATS))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sample() -> xr.Dataset:
    rng = np.random.default_rng(0)
    dims = ("y", "x", "energy")
    ds = xr.Dataset(
        {
            "big": (dims, rng.normal(size=(40, 40, 100)).astype("f4"), {"units": "nA", "long_name": "current"}),
            "count": (dims[:2], rng.poisson(9, (40, 40)).astype(">u2")),
            "half": ("y", rng.normal(size=40).astype("f2")),
            "words": ("y", np.array([f"ö{i}" for i in range(40)])),
            "when": ("y", np.arange(40).astype("M8[s]")),
            "one": ((), 3.5, {"n": 1, "list": [1, 2.5], "array": np.arange(3)}),
        },
        coords={"y": ("y", np.linspace(0, 1, 40), {"units": "nm"}), "energy": np.arange(100)},
    )
    ds["big"].attrs["sid_metadata"] = '{"a":1}'
    return ds


def saved(tmp_path: Path, form: str, ds: xr.Dataset | None = None) -> Path:
    ds = sample() if ds is None else ds
    path = tmp_path / "a.h5"
    (ds.sid.to_nsid if form == "nsid" else ds.sid.to_usid)(path, group="g")
    return path


def statuses(path: Path) -> dict[str, str]:
    return {f.variable: f.status for f in verify_file(path)}


def place_of(path: Path, name: str) -> str:
    """Return where a variable lies in the file."""
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda n, o: found.append(n) if n.endswith(f"/{name}") and isinstance(o, h5py.Dataset) else None
        )
    return found[0]


def test_all_is_well(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    before = path.read_bytes()
    found = verify_file(path)
    assert {f.variable for f in found} == {str(k) for k in sample().variables}
    assert {f.status for f in found} == {"ok"}
    assert all(f.ok and not f.bad for f in found)
    assert path.read_bytes() == before
    assert verify_group(path, "g") == found


def test_what_is_stored(tmp_path: Path) -> None:
    path = saved(tmp_path, "nsid")
    ds = sample()
    with h5py.File(path) as file:
        entries = json.loads(file["g/_sid_xarray"].attrs["checksums"])
        chunks = file["g/big"].chunks
    big = entries["big"]
    assert list(entries) == sorted(map(str, ds.variables))
    assert (big["algorithm"], big["dtype"], big["shape"]) == ("sha256", "<f4", [40, 40, 100])
    assert big["tile"] == list(chunks)
    assert entries["count"]["dtype"] == "<u2"
    assert entries["half"]["dtype"] == "<f4"
    assert entries["when"]["dtype"] == "<i8"
    assert entries["words"]["dtype"] == "text"
    assert entries["count"]["tile"] == [40, 40]
    # By hand, from what is written in the docs.
    count = hashlib.sha256(ds["count"].values.astype("<u2").tobytes()).digest()
    assert entries["count"]["values"] == hashlib.sha256(count).hexdigest()
    words = json.dumps(ds["words"].values.tolist(), ensure_ascii=False, separators=(",", ":")).encode()
    assert entries["words"]["values"] == hashlib.sha256(hashlib.sha256(words).digest()).hexdigest()
    whole = hashlib.sha256()
    values = ds["big"].values
    for i in range(0, 40, chunks[0]):
        for j in range(0, 40, chunks[1]):
            for k in range(0, 100, chunks[2]):
                part = values[i : i + chunks[0], j : j + chunks[1], k : k + chunks[2]]
                whole.update(hashlib.sha256(part.tobytes()).digest())
    assert big["values"] == whole.hexdigest()
    assert big["attrs"] == attrs_digest(sid.open(path)["/g"]["big"].attrs)
    assert combine([tile_digest(ds["half"].values.astype("f4"))]) == entries["half"]["values"]


@pytest.mark.parametrize("name", ["big", "count"])
def test_one_bit_of_the_values(tmp_path: Path, form: str, name: str) -> None:
    path = saved(tmp_path, form)
    with h5py.File(path, "r+") as file:
        dataset = file[place_of(path, name)]
        where = (0,) * dataset.ndim
        raw = np.array(dataset[where]).view(f"u{dataset.dtype.itemsize}")
        dataset[where] = (raw ^ 1).view(dataset.dtype)
    found = statuses(path)
    assert found.pop(name) == "values changed"
    assert set(found.values()) == {"ok"}
    with pytest.raises(AssertionError):
        assert {str(f) for f in verify_file(path) if f.bad} == set()


def test_attributes(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    with h5py.File(path, "r+") as file:
        file[place_of(path, "big")].attrs["units"] = "pA"
        file[place_of(path, "count")].attrs["note"] = "mine"
    found = statuses(path)
    assert {k for k, v in found.items() if v == "attrs changed"} == {"big", "count"}
    assert set(found.values()) == {"ok", "attrs changed"}


def test_both(tmp_path: Path) -> None:
    path = saved(tmp_path, "nsid")
    with h5py.File(path, "r+") as file:
        file["g/big"].attrs["units"] = "pA"
        file["g/big"][3, 4, 5] = 7
        file["g/words"][3] = "other"
        file["g/y"][3] = 0.77
    found = [str(f) for f in verify_file(path) if f.bad]
    assert sorted(found) == [
        "/g/big: attrs changed",
        "/g/big: values changed",
        "/g/words: values changed",
        "/g/y: values changed",
    ]


def test_gone_and_new(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    with h5py.File(path, "r+") as file:
        del file[place_of(path, "count")]
    found = statuses(path)
    assert found.pop("count") == "missing"
    assert set(found.values()) == {"ok"}


def test_another_shape_or_dtype(tmp_path: Path) -> None:
    path = saved(tmp_path, "nsid")
    with h5py.File(path, "r+") as file:
        values, attrs = file["g/count"][...], dict(file["g/count"].attrs)
        scales = [file["g/y"], file["g/x"]]
        del file["g/count"]
        new = file.create_dataset("g/count", data=values.astype("i8"))
        new.attrs.update({k: v for k, v in attrs.items() if k != "DIMENSION_LIST"})
        for i, scale in enumerate(scales):
            new.dims[i].attach_scale(scale)
    (finding,) = [f for f in verify_file(path) if f.variable == "count"]
    assert (finding.status, finding.detail) == ("values changed", "the dtype was <u2, it is <i8")


def test_of_other_programs(tmp_path: Path, form: str) -> None:
    """No checksum is no fault."""
    path = saved(tmp_path, form)
    with h5py.File(path, "r+") as file:
        place = "g/_sid_xarray"
        del file[place].attrs["checksums"]
    found = verify_file(path)
    assert {f.status for f in found} == {"no checksum"}
    assert not any(f.ok or f.bad for f in found)


def test_an_array_that_another_program_added(tmp_path: Path) -> None:
    path = saved(tmp_path, "nsid")
    with h5py.File(path, "r+") as file:
        new = file.create_dataset("g/extra", data=np.arange(40.0))
        new.attrs.update({k: v for k, v in file["g/big"].attrs.items() if k not in ("DIMENSION_LIST",)})
        new.dims[0].attach_scale(file["g/y"])
        new.dims[0].label = "y"
    assert statuses(path)["extra"] == "no checksum"


def test_damage(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    with h5py.File(path, "r+") as file:
        dataset = file[place_of(path, "big")]
        info = dataset.id.get_chunk_info(0) if dataset.chunks else None
        inner = file["g/_sid_xarray"]
        entries = json.loads(inner.attrs["checksums"])
        entries["half"]["tile"] = [0]
        entries["when"]["tile"] = "all"
        entries["one"] = 3
        entries["words"]["algorithm"] = "crc32"
        inner.attrs["checksums"] = json.dumps(entries)
    assert info is not None
    with open(path, "r+b") as raw:
        raw.seek(info.byte_offset + 1000)
        raw.write(b"rust")
    found = statuses(path)
    assert found["big"] == "values changed"
    assert found["half"] == found["when"] == "values changed"
    assert found["one"] == found["words"] == "no checksum"
    with h5py.File(path, "r+") as file:
        file["g/_sid_xarray"].attrs["checksums"] = "{"
    bad = [f for f in verify_file(path) if f.bad]
    assert [(f.variable, f.status) for f in bad] == [("", "unreadable")]


def test_a_compressed_chunk_that_cannot_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    xr.DataArray(np.arange(10**6).reshape(1000, 1000), dims=("y", "x"), name="v").sid.to_nsid(path, group="g")
    with h5py.File(path) as file:
        info = file["g/v"].id.get_chunk_info(2)
    with open(path, "r+b") as raw:
        raw.seek(info.byte_offset + 20)
        raw.write(b"rust" * 10)
    found = {f.variable: f for f in verify_file(path)}
    assert found["v"].status in ("unreadable", "values changed")
    assert found["v"].bad


def test_a_size_that_is_made_up(tmp_path: Path) -> None:
    path = saved(tmp_path, "nsid")
    with h5py.File(path, "r+") as file:
        attrs = dict(file["g/count"].attrs)
        del file["g/count"]
        new = file.create_dataset("g/count", (2**40, 2**10), ">u2", chunks=(2**10, 2**10))
        new.attrs.update({k: v for k, v in attrs.items() if k != "DIMENSION_LIST"})
        entries = json.loads(file["g/_sid_xarray"].attrs["checksums"])
        entries["count"] |= {"shape": [2**40, 2**10], "tile": [2**10, 2**10]}
        file["g/_sid_xarray"].attrs["checksums"] = json.dumps(entries)
    assert [f for f in verify_file(path) if f.bad]


def test_names_of_any_kind(tmp_path: Path) -> None:
    names: list[Any] = ["1", 1, "~1", (1, "a"), ("1", "a"), 2.5]
    assert len({_checksums.key_of(n) for n in names}) == len(names)
    ds = xr.Dataset({n: ("x", np.arange(3.0) + i) for i, n in enumerate(["1", 1, "~1", 2.5])})
    ds.sid.to_nsid(tmp_path / "a.h5")
    assert [f.status for f in verify_file(tmp_path / "a.h5")] == ["ok"] * 4


def test_more_variables_than_an_attribute_holds(tmp_path: Path) -> None:
    ds = xr.Dataset({f"a_rather_long_name_of_a_variable_{i}": ("x", np.arange(3.0) + i) for i in range(300)})
    path = tmp_path / "a.h5"
    ds.sid.to_nsid(path)
    assert {f.status for f in verify_file(path)} == {"ok"}
    xr.testing.assert_identical(
        sid.open(path)["/Measurement_000/Channel_000/a_rather_long_name_of_a_variable_0"].to_dataset().load(), ds
    )


def test_history_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    place = sid.datasets.peak_map().sid.rebin(energy=2).sid.to_nsid(path)
    with h5py.File(path, "r+") as file:
        main = file[f"{place}/intensity"]
        (key,) = (k for k in main.attrs if k.startswith("sid_prov_"))
        main.attrs[key] = main.attrs[key].replace("rebin", "remix")
    assert statuses(path)["intensity"] == "attrs changed"


def test_results_do_not_touch_their_source(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.h5"
    si = sid.datasets.peak_map()
    save = "to_nsid" if form == "nsid" else "to_usid"
    getattr(si.sid, save)(path)
    getattr(si.mean("energy").rename("mean").sid, save)(path, source=si, tool="mean")
    assert set(statuses(path).values()) == {"ok"}


def test_no_file_and_no_group(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        verify_file(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("a table")
    with pytest.raises(FormatError, match="is not an HDF5 file"):
        verify_file(tmp_path / "text.h5")
    path = saved(tmp_path, "nsid")
    with pytest.raises(FormatError, match="there is no such group with arrays"):
        verify_group(path, "h")


def test_words() -> None:
    assert str(Finding("/g", "v", "missing")) == "/g/v: missing"
    assert str(Finding("/", "v", "values changed", "why")) == "/v: values changed (why)"
    assert str(Finding("/g", "", "unreadable")) == "/g: unreadable"
