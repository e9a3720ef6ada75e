"""Garbage that holds arrays of HDF5, found while a file is written: it is closed before or after, never within."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from h5py._hl.base import phil

import sid_xarray as sid
from sid_xarray.io import _target
from sid_xarray.io._draft import Draft
from sid_xarray.io._seen import Seen


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was wrong whenever HDF5 called Python; the first entry says that it did."""
    seen: list[str] = []
    with ThreadPoolExecutor(1) as other:

        def watched(name: str) -> Callable[..., Any]:
            old = getattr(Draft, name)

            def new(self: Draft, *args: Any) -> Any:
                if not seen:
                    seen.append("called")
                if gc.isenabled():
                    seen.append(f"{name}: garbage may be searched for")
                if other.submit(phil.acquire, False).result():
                    other.submit(phil.release).result()
                    seen.append(f"{name}: another thread may call HDF5")
                return old(self, *args)

            return new

        for name in ("seek", "tell", "readinto", "write", "truncate", "flush"):
            monkeypatch.setattr(Draft, name, watched(name))
        yield seen


def searched(block: Any) -> Any:
    assert gc.isenabled(), "what is computed may leave garbage"
    return block


def cases() -> dict[str, xr.DataArray]:
    da = sid.datasets.peak_map(ny=6, nx=5, ne=16)
    return {
        "in memory": da,
        "lazy": da.chunk({"y": 2}).copy(data=da.chunk({"y": 2}).data.map_blocks(searched)),
        "other blocks than chunks": da.chunk({"y": 4, "x": 3}),
        "text": xr.DataArray(np.array(["a", "é"], object), dims="x", name="t"),
        "digits are lost": da.astype("f4"),
    }


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("added", [False, True])
def test_none_is_found_within_hdf5(
    tmp_path: Path, within: list[str], monkeypatch: pytest.MonkeyPatch, case: str, writer: str, added: bool
) -> None:
    da = cases()[case]
    how: dict[str, Any] = {"compression": {"scaleoffset": 3} if case == "digits are lost" else "gzip"}
    path = tmp_path / "a.h5"
    if added:  # where it is, behind its end
        sid.datasets.lattice_image(ny=8, nx=8).sid.to_nsid(path)
        monkeypatch.setattr(_target, "LARGE", 0)
    getattr(da.sid, writer)(path, **how)
    assert within == ["called"]
    assert gc.isenabled()


_LITTER = """
import gc, sys, threading, time
import h5py
import numpy as np
import sid_xarray as sid
from sid_xarray.io import _sink

class Circle:
    pass

def litter(dataset):
    circle = Circle()
    circle.me, circle.same = circle, [dataset.file[dataset.name], dataset.parent]
    other = h5py.File(f"{sys.argv[1]}/{time.monotonic_ns()}.h5", "w")
    other["x"] = np.arange(10.0)
    circle.other = [other, other["x"]]

write, done = _sink.Sink._write, False

def littering(self, found, *, chunk):
    with _sink.HDF5_LOCK:
        litter(self.dataset)
    write(self, found, chunk=chunk)

def search():
    while not done:
        gc.collect()
        time.sleep(0.0005)

_sink.Sink._write = littering
da = sid.datasets.peak_map(ny=8, nx=8, ne=16)
gc.collect()
gc.freeze()
thread = threading.Thread(target=search)
thread.start()
try:
    for i in range(8):
        for values in (da, da.chunk({"y": 2, "x": 3})):
            path = f"{sys.argv[1]}/a{i}.h5"
            values.sid.to_nsid(path, mode="w", encoding={da.name: {"chunks": (2, 2, 16)}}, compression="gzip")
            da.sid.to_nsid(path)
            found = sid.open(path)[f"Measurement_001/Channel_000/{da.name}/{da.name}"]
            assert found.load().identical(da)
finally:
    done = True
"""


def test_a_program_full_of_it(tmp_path: Path) -> None:
    """In a process of its own: HDF5 crashed, or waited forever."""
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _LITTER, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
@pytest.mark.parametrize("how", ["beside", "source", "overwrite", "tree"])
def test_writing_leaves_none_of_its_own(tmp_path: Path, writer: str, how: str) -> None:
    """What is looked for in the old file is closed with it, not whenever Python comes to it."""
    da = sid.datasets.peak_map(ny=4, nx=4, ne=8)
    path = tmp_path / "a.h5"
    getattr(da.sid, writer)(path)
    getattr(da.sid, writer)(path, group="Measurement_007")
    obj: Any = xr.DataTree.from_dict({"/A": da.to_dataset(), "/B": da.to_dataset()}) if how == "tree" else da
    more: dict[str, Any] = {
        "beside": {},
        "source": {"source": sid.open_dataarray(path, group="Measurement_000")},
        "overwrite": {"group": "Measurement_007", "overwrite": True},
        "tree": {"group": "Measurement_009"},
    }[how]
    gc.collect()
    gc.disable()
    try:
        getattr(obj.sid, writer)(path, **more)
        assert not [one for one in gc.get_objects() if isinstance(one, Seen)]
    finally:
        gc.enable()
