"""Files of ours in the hands of other programs: pyNSID, SciFiReaders, HyperSpy, and xarray's own engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid

sys.path.insert(0, str(Path(__file__).parent))
from peers import checksum

RNG = np.random.default_rng(0)
PEERS = os.environ.get("SID_PEERS_PYTHON")
SHARED = Path(os.environ.get("SID_SHARED", Path(__file__).parents[3] / "shared"))


def make(dims: dict[str, Any], dtype: str = "f4", **options: Any) -> xr.DataArray:
    shape = tuple(len(v[0]) for v in dims.values())
    values = RNG.normal(size=shape) * 100
    if dtype.startswith("c"):
        values = values + 1j * RNG.normal(size=shape)
    elif dtype == "?":
        values = values > 0
    elif dtype.startswith("u"):
        values = np.abs(values)
    return sid.dataarray(values.astype(dtype), dims=dims, **{"units": "nA", "quantity": "Current", **options})


X = (np.arange(5) * 0.5, "nm")
Y = (np.arange(4) * 0.25 + 1, "nm")
ENERGY = (np.linspace(100, 110, 6), "eV")
K = (np.linspace(-1, 1, 3), "1/nm")


def spectrum() -> xr.Dataset:
    return make({"energy": ENERGY}).to_dataset()


def image() -> xr.Dataset:
    return make({"y": Y, "x": X}, title="an image", modality="cAFM", source="a microscope").to_dataset(name="topo")


def spectral_image() -> xr.Dataset:
    return make(
        {"y": Y, "x": X, "energy": ENERGY},
        "f8",
        metadata={"beam": {"energy": 200.0, "unit": "kV"}, "n": 3, "list": [1, 2]},
    ).to_dataset()


def four_d() -> xr.Dataset:
    return make({"y": Y, "x": X, "ky": K, "kx": K}, "u2").to_dataset()


def stack() -> xr.Dataset:
    return make({"time": (np.arange(3.0), "s"), "y": Y, "x": X}, "i2").to_dataset()


def complex_() -> xr.Dataset:
    return make({"frequency": (np.arange(7.0), "kHz")}, "c16").to_dataset()


def boolean() -> xr.Dataset:
    return make({"y": Y, "x": X}, "?").to_dataset()


def small_integers() -> xr.Dataset:
    return make({"y": Y, "x": X}, "u1").to_dataset()


def half() -> xr.Dataset:
    return make({"y": Y, "x": X}, "f2").to_dataset()


def big_endian() -> xr.Dataset:
    return make({"y": Y, "x": X}, ">f8").to_dataset()


def unicode_() -> xr.Dataset:
    return make(
        {"Höhe": (np.arange(3.0), "µm"), "$\\sqrt E$": (np.arange(4.0) ** 2, "eV")}, quantity="Größe", title="名前 α"
    ).to_dataset(name="Größe")


def unlucky_names() -> xr.Dataset:
    dims = dict(zip(("b", "T", "size", "real", "name"), [(np.arange(2.0), "1")] * 5, strict=True))
    return make(dims).to_dataset(name="title")


def without_coordinates() -> xr.Dataset:
    return xr.Dataset({"v": (("a", "b"), RNG.normal(size=(2, 3)))})


def coordinates() -> xr.Dataset:
    ds = make({"y": Y, "x": X}).to_dataset(name="v")
    return ds.assign_coords(
        temperature=300.0,
        when=np.datetime64("2020-01-02T03:04:05", "ns"),
        label=("x", list("abcde")),
        lat=(("y", "x"), RNG.normal(size=(4, 5))),
    )


def text_axis() -> xr.Dataset:
    return xr.Dataset(
        {"v": (("element", "x"), RNG.normal(size=(3, 5)))}, coords={"element": ["Sr", "Ti", "O"], "x": X[0]}
    )


def time_axis() -> xr.Dataset:
    times = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "s")
    return xr.Dataset({"v": (("t", "x"), RNG.normal(size=(4, 5)))}, coords={"t": times, "x": X[0]})


def uneven_axis() -> xr.Dataset:
    return make({"x": X, "bias": ([0.0, 1.0, 0.5, -1.0, 7.0], "V")}).to_dataset(name="iv")


def point_cloud() -> xr.Dataset:
    da = make({"point": (np.arange(6.0), "1", "point_cloud"), "energy": ENERGY})
    return da.assign_coords(
        x=("point", RNG.normal(size=6), {"units": "nm"}), y=("point", RNG.normal(size=6), {"units": "nm"})
    ).to_dataset()


def variables() -> xr.Dataset:
    one = make({"y": Y, "x": X, "energy": ENERGY}, title="the signal")
    ds = one.to_dataset(name="signal")
    ds["signal_variance"] = abs(one) ** 2
    ds.signal.attrs["ancillary_variables"] = "signal_variance"
    ds["mask"] = (("y", "x"), RNG.normal(size=(4, 5)) > 0)
    ds["names"] = ("x", list("abcde"))
    ds["number"] = 5.0
    return ds


def attributes() -> xr.Dataset:
    ds = image()
    every = {
        "s": "text",
        "e": "",
        "i": 3,
        "f": 2.5,
        "b": True,
        "c": 1j,
        "n": None,
        "l": [1, 2],
        "t": ["a", "é"],
        "m": [1, "a"],
    }
    every |= {
        "a": np.arange(6).reshape(2, 3),
        "z": np.zeros(0),
        "h": np.float16(1),
        "nb": np.bool_(True),
        "u": np.uint64(2**64 - 1),
        "d": {"x": 1},
    }
    every |= {
        "o": b"bytes",
        "w": "x" * 100_000,
        "_FillValue": 3.0,
        "scale_factor": 2.0,
        "coordinates": "x y",
        "a/b": 1,
        "é": 2,
        "NAME": "x",
        "big": np.arange(9000.0),
    }
    ds.topo.attrs |= every
    ds.x.attrs |= every
    ds.attrs |= every
    return ds


CASES: dict[str, Callable[[], xr.Dataset]] = {
    f.__name__.strip("_"): f
    for f in (
        *(
            spectrum,
            image,
            spectral_image,
            four_d,
            stack,
            complex_,
            boolean,
            small_integers,
            half,
            big_endian,
            unicode_,
            unlucky_names,
        ),
        *(without_coordinates, coordinates, text_axis, time_axis, uneven_axis, point_cloud, variables, attributes),
    )
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, xr.Dataset]]:
    folder = tmp_path_factory.mktemp("peers")
    out: dict[str, tuple[Path, str, xr.Dataset]] = {}
    for name, build in CASES.items():
        ds = build()
        out[name] = (folder / f"{name}.h5", ds.sid.to_nsid(folder / f"{name}.h5"), ds)
    path, place, ds = out["variables"]
    result = ds.signal.mean("energy").rename("mean")
    result.sid.to_nsid(path, source=place, tool="mean")
    return out


@pytest.fixture(scope="module")
def seen(written: dict[str, tuple[Path, str, xr.Dataset]]) -> dict[str, dict[str, Any]]:
    if PEERS is None:
        pytest.skip(  # the lane `peers` of noxfile.py sets it
            "SID_PEERS_PYTHON is not set to the interpreter of an environment with the older packages"
        )
    paths = {str(path): name for name, (path, _, _) in written.items()}
    command = [PEERS, str(Path(__file__).parent / "peers.py")]
    check = SHARED / "corpus/peer_check.py"
    if check.exists():
        command += ["--script", str(check)]
    run = subprocess.run([*command, *paths], capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    return {paths[path]: found for path, found in json.loads(run.stdout).items()}


def numeric(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    return {str(k): v for k, v in ds.data_vars.items() if v.dtype.kind in "biufc"}


@pytest.mark.peers
@pytest.mark.parametrize("reader", ["NSIDReader", "pyNSID"])
@pytest.mark.parametrize("case", CASES)
def test_nsid_peers(case: str, reader: str, seen: dict[str, Any], written: dict[str, Any]) -> None:
    found = seen[case][reader]
    assert isinstance(found, list), found["error"]
    ds = written[case][2]
    wanted = numeric(ds)
    if case == "variables":
        wanted["mean"] = ds.signal.mean("energy")
    assert len(found) == len(wanted)
    by_values = {d["values"]: d for d in found}
    for name, da in wanted.items():
        got = by_values[checksum(da.values)]
        assert got["shape"] == list(da.shape)
        assert got["title"] == da.attrs.get("sid_title", name)
        assert got["units"] == da.attrs.get("units", "generic")
        assert got["quantity"] == da.attrs.get("long_name", name)
        assert got["modality"] == da.attrs.get("sid_modality", "generic")
        assert got["source"] == da.attrs.get("source", "generic")
        dims(da, got["dims"])
    if case == "spectral_image":
        assert found[0]["metadata"] == {"beam": {"energy": 200.0, "unit": "kV"}, "n": "3", "list": "[1 2]"}


def dims(da: xr.DataArray, found: list[dict[str, Any]]) -> None:
    assert len(found) == da.ndim
    for dim, got in zip(da.dims, found, strict=True):
        coord = da[dim] if dim in da.coords else None
        readable = coord is None or coord.dtype.kind in "biuf"
        if readable:
            assert got["name"].rstrip("_") == dim
        values = np.arange(da.sizes[dim], dtype=float) if coord is None else coord.values
        if readable:
            assert got["values"] == checksum(values)
        if coord is not None and readable and "sid_dimension_type" in coord.attrs:
            assert got["units"] == coord.attrs["units"]
            assert got["type"] == coord.attrs["sid_dimension_type"].upper()


@pytest.mark.peers
@pytest.mark.parametrize("case", CASES)
def test_hyperspy(case: str, seen: dict[str, Any], written: dict[str, Any]) -> None:
    found = seen[case]["hyperspy"]
    assert isinstance(found, list), found["error"]
    wanted = numeric(written[case][2])
    signal = next(iter(wanted.values()))
    by_values = {d["values"]: d for d in found}
    got = by_values[checksum(signal.values)]
    assert got["shape"] == list(signal.shape)
    for dim, axis in zip(signal.dims, got["dims"], strict=True):
        if dim in signal.coords and signal[dim].dtype.kind not in "biuf":
            continue
        assert axis["name"].rstrip("_") == dim
        # Its reader makes an even axis of an uneven one.
        if dim in signal.coords and signal[dim].dtype.kind == "f" and np.allclose(np.diff(signal[dim], 2), 0):
            np.testing.assert_allclose(axis["values"], signal[dim].values, atol=1e-6)
            assert axis["units"] == signal[dim].attrs.get("units", "generic")


@pytest.mark.peers
@pytest.mark.parametrize("case", CASES)
def test_script_of_the_corpus(case: str, shared: Path, seen: dict[str, Any]) -> None:
    assert shared
    assert seen[case]["script"] == [0]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("case", CASES)
def test_stock_engines(case: str, engine: str, written: dict[str, Any]) -> None:
    path, place, ds = written[case]
    options = {"auto_complex": True} if engine == "netcdf4" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = xr.open_dataset(path, engine=engine, group=place, decode_timedelta=False, **options).load()
    assert set(found.data_vars) == {rename(k) for k in ds.data_vars}
    for key, var in ds.variables.items():
        got = found[rename(key)]
        assert [str(d).rstrip("_") for d in got.dims] == list(var.dims)
        assert (key in ds.coords) == (rename(key) in found.coords)
        values = got.values.astype(bool) if var.dtype == bool else got.values
        np.testing.assert_array_equal(values.astype(var.dtype), var.values)
        if var.dtype.kind not in "Mm":
            assert got.attrs.get("units", "generic") == var.attrs.get("units", "generic")
            assert got.attrs.get("long_name") == var.attrs.get("long_name")
        if var.dtype.kind in "iufcM" and var.dtype.itemsize != 2:
            assert got.dtype == var.dtype.newbyteorder("=")
    xr.open_datatree(path, engine=engine, decode_timedelta=False, **options).close()


def rename(key: Any) -> str:
    return f"{key}_" if key in ("b", "T", "size", "real", "name", "a") else str(key)
