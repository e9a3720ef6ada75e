"""The table of dtypes in the documentation is what happens."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid

DOCS = Path(__file__).parents[2] / "docs/formats/nsid.md"
KINDS = {
    "`bool`": "?",
    "`int8` … `int64`, `uint8` … `uint64`": "i2",
    "`float16`": "f2",
    "`float32`": "f4",
    "`float64`": "f8",
    "big-endian numbers": ">f8",
    "`complex64`": "c8",
    "`complex128`": "c16",
    "text (`U`, `str` objects)": "U3",
    "bytes (`S`)": "S3",
    "`datetime64`": "M8[ns]",
    "`timedelta64`": "m8[ns]",
    "no points (an axis of length 0)": "empty",
}


def row(kind: str, dtype: str, path: Path) -> str:
    """Write an array and say what everybody makes of it."""
    values = np.zeros(0) if dtype == "empty" else np.ones(2).astype("i8").astype(dtype)
    place = xr.DataArray(values, dims="x", name="v").sid.to_nsid(path, mode="w")
    with h5py.File(path) as file:
        stored = file[place]["v"]
        text = h5py.check_string_dtype(stored.dtype)
        on_disk = "UTF-8 text" if text and text.length is None else f"`{stored.dtype}`"
        older = (
            "–" if "pyNSID_version" not in stored.attrs else "`complex64`" if stored.dtype.kind == "c" else "`float64`"
        )
    back = sid.open_dataarray(path).load()
    assert back.dtype.str == values.dtype.str
    with xr.open_dataset(path, engine="h5netcdf", group=place, decode_timedelta=True) as ds:
        engine = "text" if ds.v.dtype.kind in "OTU" else f"`{ds.v.dtype}`"
    shown = {"`|S3`": "bytes", "`object`": "text"}
    return f"| {kind} | {shown.get(on_disk, on_disk)} | the same | {older} | {shown.get(engine, engine)} |"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_table(tmp_path: Path) -> None:
    rows = [row(kind, dtype, tmp_path / "a.h5") for kind, dtype in KINDS.items()]
    missing = [r for r in rows if r not in DOCS.read_text(encoding="utf-8").splitlines()]
    assert not missing, "docs/formats/nsid.md lacks\n" + "\n".join(missing)
