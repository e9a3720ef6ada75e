"""Importing the library costs little and loads nothing that is not used yet."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys

import pytest

HEAVY = [
    "scipy",
    "dask",
    "h5py",
    "h5netcdf",
    "netCDF4",
    "holoviews",
    "hvplot",
    "panel",
    "bokeh",
    "matplotlib",
    "sklearn",
    "pint",
    "typer",
    "rich",
    "zarr",
    "numba",
    "cf_xarray",
]


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )


def test_import_loads_nothing_heavy():
    code = "import sys, {}; print(*[m for m in {!r} if m in sys.modules])"
    before, after = (python(code.format(name, HEAVY)).stdout.split() for name in ("xarray", "sid_xarray"))
    assert after == before  # xarray itself loads some, depending on its version


def test_looking_at_an_array_loads_no_files_and_no_pictures():
    # dask, and what it brings along, is asked for by xarray itself.
    ours = [m for m in HEAVY if m not in ("scipy", "dask", "pint", "numba")]
    code = f"""
import sys
import numpy as np, xarray as xr, sid_xarray as sid
da = sid.dataarray(np.zeros((3, 4)), dims={{"y": (0.5, "nm"), "x": (0.5, "nm")}}, units="nA", quantity="current")
da.sid.kind, da.sid.dimension_types, da.sid.provenance, da.sid.check(), repr(da.sid), repr(da.to_dataset().sid)
dir(sid), dir(da.sid), xr.DataTree().sid
print([m for m in {ours!r} if m in sys.modules])
"""
    assert python(code).stdout.strip() == "[]"


def test_no_pool_of_threads_and_no_warning_at_import():
    code = "import threading, sid_xarray; print(threading.active_count())"
    found = python(code, "-W", "error::DeprecationWarning:sid_xarray")
    assert found.stdout.strip() == "1"
    assert found.stderr == ""


def total(modules: str) -> float:
    """Milliseconds that `modules` take to import."""
    lines = python(f"import {modules}", "-X", "importtime").stderr.splitlines()
    tops = [m for line in lines if (m := re.match(r"import time:\s*\d+ \|\s*(\d+) \| (\S+)$", line))]
    wanted = {name.strip() for name in modules.split(",")}
    return sum(int(m[1]) for m in tops if m[2] in wanted) / 1000


@pytest.mark.slow
def test_what_the_import_adds(record_property, capsys):
    pairs = [(total("xarray"), total("xarray, sid_xarray")) for _ in range(7)]
    added = [both - alone for alone, both in pairs]
    median = statistics.median(added)
    record_property("added_ms", median)
    with capsys.disabled():
        print(
            f"\n  import sid_xarray adds {median:.0f} ms to {statistics.median(a for a, _ in pairs):.0f} ms of xarray"
        )
    assert median < 1000  # a machine that is busy says nothing about 50 ms; CI looks at the number above
