"""Variables on one grid as the fields of one main."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.io.validate import check_file

PEERS = os.environ.get("SID_PEERS_PYTHON")
RNG = np.random.default_rng(0)


def parameters(dims: str = "yxc") -> xr.Dataset:
    sizes = {"y": 3, "x": 4, "cycle": 2}
    coords = {
        "y": ("y", np.arange(3) * 0.5, {"units": "nm", "sid_dimension_type": "spatial"}),
        "x": ("x", np.arange(4) * 0.5, {"units": "nm", "sid_dimension_type": "spatial"}),
        "cycle": ("cycle", np.arange(2.0), {"units": "1", "sid_dimension_type": "channel"}),
    }
    shape = tuple(sizes.values())
    ds = xr.Dataset(
        {
            "amplitude": (tuple(sizes), RNG.normal(size=shape).astype("f4"), {"units": "V", "long_name": "Amplitude"}),
            "q": (("cycle", "x", "y"), RNG.normal(size=shape[::-1]), {"units": "1", "odd": (1, None)}),
            "status": (tuple(sizes), RNG.integers(0, 3, shape).astype("i1")),
            "good": (tuple(sizes), RNG.integers(0, 2, shape).astype("?")),
            "half": (tuple(sizes), RNG.normal(size=shape).astype("f2"), {"units": "m/s^2 (SI)"}),
            "big": (tuple(sizes), RNG.normal(size=shape).astype(">f8")),
            "phase": (tuple(sizes), RNG.normal(size=shape) + 1j, {"units": "rad"}),
        },
        coords=coords,
        attrs={"who": "me"},
    )
    return ds.assign_coords(note=("x", list("abcd")))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("compression", ["auto", "gzip"])
def test_what_is_written_comes_back(tmp_path: Path, lazy: bool, compression: str) -> None:
    ds = parameters()
    given = ds.chunk(y=2, x=3) if lazy else ds
    place = given.sid.to_usid(tmp_path / "a.h5", compound="SHO_Fit", compression=compression)
    assert place == "/Measurement_000"
    with h5py.File(tmp_path / "a.h5") as file:
        main = file["Measurement_000/Channel_000/SHO_Fit"]
        assert main.shape == (12, 2)
        assert list(main.dtype.names) == [
            "amplitude [V]",
            "q",
            "status",
            "good",
            "half [m/s^2 (SI)]",
            "big",
            "phase [rad]",
        ]
        assert main.dtype["big"] == np.dtype(">f8")
        assert main.attrs["quantity"] == "SHO_Fit"
        assert main.attrs["units"] == "compound"
        np.testing.assert_array_equal(main["amplitude [V]"][:, 1], ds.amplitude.values[..., 1].ravel())
    found = sid.open(tmp_path / "a.h5")[place].to_dataset()
    assert not found.q.variable._in_memory
    xr.testing.assert_identical(found, ds)
    assert {k: v.dtype.str for k, v in found.variables.items()} == {k: v.dtype.str for k, v in ds.variables.items()}
    assert found.q.attrs["odd"] == (1, None)
    xr.testing.assert_identical(found.q.isel(x=[2, 0], y=1), ds.q.isel(x=[2, 0], y=1))


def test_a_result_of_a_fit_beside_its_source(tmp_path: Path) -> None:
    da = sid.datasets.peak_map(ny=3, nx=4, ne=16)
    da.sid.to_usid(tmp_path / "a.h5")
    fit = da.sid.fit("gaussian + constant")
    place = fit.sid.to_usid(tmp_path / "a.h5", source=da, compound="Fit", encoding={"Fit": {"compression": "gzip"}})
    with h5py.File(tmp_path / "a.h5") as file:
        main = file["Measurement_000/Channel_000/intensity-Fit_000/Fit"]
        assert main.compression == "gzip"
        assert set(main.dtype.names) >= {"center [eV]", "status"}
    found = sid.open(tmp_path / "a.h5")[place].to_dataset()
    xr.testing.assert_identical(found, fit)
    assert found.center.sid.provenance.operations == ("input", "fit")
    assert sid.results(da, tmp_path / "a.h5").find("fit", model="gaussian + constant") is not None
    assert not [f for f in check_file(tmp_path / "a.h5") if f.level == "error"]


def test_another_program_reads_fields(tmp_path: Path) -> None:
    ds = parameters().drop_vars(["half", "note"])
    ds.sid.to_usid(tmp_path / "a.h5", compound=True)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["Measurement_000/_sid_xarray"]
    found = sid.open(tmp_path / "a.h5")["Measurement_000/Channel_000"].to_dataset()
    assert list(found) == list(ds)
    assert found.amplitude.attrs["units"] == "V"
    for key in ds:
        np.testing.assert_array_equal(found[key].transpose(*ds[key].dims), ds[key])


def test_what_does_not_fit_into_one(tmp_path: Path) -> None:
    ds = parameters()
    with pytest.raises(
        sid.FormatError, match=r"\[mean\]: lies on .*: they cannot be fields of one main. Type: ds.drop_vars"
    ):
        ds.assign(mean=ds.q.mean("cycle")).sid.to_usid(tmp_path / "a.h5", compound=True)
    with pytest.raises(sid.FormatError, match="needs a Dataset of numbers"):
        xr.Dataset({"a": ("x", ["b"])}).sid.to_usid(tmp_path / "a.h5", compound=True)
    with pytest.raises(sid.FormatError, match="encoding names no main; there are 'Parameters'"):
        ds.sid.to_usid(tmp_path / "a.h5", compound=True, encoding={"q": {"chunks": (1, 1)}})
    assert not list(tmp_path.iterdir())
    # Text is no field: it lies beside them.
    with_text = ds.assign(word=("x", list("wxyz")))
    place = with_text.sid.to_usid(tmp_path / "a.h5", compound=True)
    xr.testing.assert_identical(sid.open(tmp_path / "a.h5")[place].to_dataset(), with_text)


def test_a_large_one_is_put_together_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sid_xarray.io.usid import compound

    monkeypatch.setattr(compound, "_LARGE", 0)
    ds = parameters()
    place = ds.sid.to_usid(tmp_path / "a.h5", compound=True)
    xr.testing.assert_identical(sid.open(tmp_path / "a.h5")[place].to_dataset(), ds)


_SEE = """
import sys, json, h5py, numpy as np, pyUSID
with h5py.File(sys.argv[1]) as file:
    (main,) = pyUSID.hdf_utils.get_all_main(file)
    nd = main.get_n_dim_form()
    names = list(main.n_dim_labels)
    nd = nd.transpose([names.index(n) for n in ("y", "x", "cycle")])
    print(json.dumps({"shape": list(nd.shape), "fields": list(nd.dtype.names), "q": nd["q"].tolist()}))
"""


@pytest.mark.peers
@pytest.mark.skipif(PEERS is None, reason="SID_PEERS_PYTHON names no interpreter with the older packages")
def test_pyusid_sees_the_same(tmp_path: Path) -> None:
    ds = parameters()
    ds.sid.to_usid(tmp_path / "a.h5", compound=True)
    run = subprocess.run([str(PEERS), "-c", _SEE, str(tmp_path / "a.h5")], check=True, capture_output=True, text=True)
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen["shape"] == [3, 4, 2]
    np.testing.assert_array_equal(seen["q"], ds.q.transpose("y", "x", "cycle"))


@pytest.mark.parametrize("lazy", [False, True])
def test_fields_have_checksums(tmp_path: Path, lazy: bool) -> None:
    from sid_xarray.io.checksum import verify_file

    ds = parameters()
    (ds.chunk(y=2) if lazy else ds).sid.to_usid(tmp_path / "a.h5", compound=True)
    assert {finding.status for finding in verify_file(tmp_path / "a.h5")} == {"ok"}
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        main = file["Measurement_000/Channel_000/Parameters"]
        values = main[0, 0]
        values["q"] += 1
        main[0, 0] = values
    bad = [finding for finding in verify_file(tmp_path / "a.h5") if finding.bad]
    assert {finding.status for finding in bad} == {"values changed"}
