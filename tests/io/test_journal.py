"""Writing that was interrupted goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.testing import assert_same

SCRIPT = """
import os, signal, sys
import sid_xarray as sid
from sid_xarray.kernels import lsq

fit_batch, last = lsq.fit_batch, int(sys.argv[1])

def counted(*args, **kwargs):
    if args[0].size and max(args[0].shape) > 1:
        with open("calls.txt", "a") as file:
            file.write("x")
        if os.path.getsize("calls.txt") == last:
            os.kill(os.getpid(), signal.SIGKILL)
    return fit_batch(*args, **kwargs)

lsq.fit_batch = counted
import dask
with dask.config.set(scheduler="synchronous"):
    da = sid.open_dataarray("scan.h5", chunks={"y": 1})
    fit = da.sid.fit("gaussian + constant", bounds={"sigma": (0, 3)})
    with open("names.txt", "a") as file:
        print(fit.center.data.name, file=file)
    fit.sid.TO("fit.h5", mode="w", resume=True)
"""


def run(folder, last, to):
    (folder / "job.py").write_text(SCRIPT.replace("TO", to), encoding="utf-8")
    (folder / "calls.txt").unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "job.py", str(last)], cwd=folder, timeout=120, check=False)
    return done.returncode, (folder / "calls.txt").stat().st_size


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("to", ["to_nsid", "to_usid"])
def test_goes_on_after_a_kill(tmp_path, to):
    da = sid.datasets.peak_map()
    da.sid.to_nsid(tmp_path / "scan.h5")
    rows = da.sizes["y"]
    code, calls = run(tmp_path, 4, to)
    assert code == -signal.SIGKILL
    assert calls == 4
    assert not (tmp_path / "fit.h5").exists()
    journal = tmp_path / ".fit.h5.sidjob"
    # What is half there is no block.
    blocks = [path for path in journal.rglob("*") if path.is_file()]
    torn = min(path.name for path in blocks)
    for path in blocks:
        if path.name == torn:
            path.write_bytes(path.read_bytes()[:-3])
    code, calls = run(tmp_path, -1, to)
    # Older versions of dask name the same work anew in every process: then all of it is done again.
    first, second = (tmp_path / "names.txt").read_text().split()
    assert (code, calls) == (0, rows - 2 if first == second else rows)
    assert not journal.exists()
    fit = da.sid.fit("gaussian + constant", bounds={"sigma": (0, 3)})
    tree = sid.open(tmp_path / "fit.h5").load()
    found = next(node.to_dataset() for node in tree.subtree if "center" in node.data_vars)
    for name in fit:
        np.testing.assert_allclose(found[name].values, fit[name].values, rtol=1e-12)


def test_other_data_are_other_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = []

    def double(block):
        calls.append(block.size)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return block * 2

    def lazy(factor):
        da = xr.DataArray(np.arange(12.0) * factor, dims="x", name="a").chunk(x=3)
        return da.copy(data=da.data.map_blocks(double, dtype=float))

    stop = 10**9
    lazy(1).sid.to_nsid("whole.h5")
    stop = len(calls) + 3
    with pytest.raises(KeyboardInterrupt):
        lazy(1).sid.to_nsid("a.h5", resume=True)
    stop = 10**9
    lazy(3).sid.to_nsid("a.h5", resume=True)
    with sid.open_dataarray("a.h5") as found:
        np.testing.assert_array_equal(found, np.arange(12.0) * 6)


def test_says_nothing_where_nothing_is_lazy(tmp_path):
    da = sid.datasets.peak_map()
    da.sid.to_nsid(tmp_path / "a.h5", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    with sid.open_dataarray(tmp_path / "a.h5") as found:
        assert_same(found.compute(), da)
