"""Read from worker processes and write from them, again and again: the same file as one process writes, and no hang.

Run: python tests/io/run_cluster.py [--runs 20] [--workers 4]

Every run starts a cluster of its own, reads a file on its workers, writes what they made of it as NSID and as USID,
and adds a result beside its source. All is compared with what threads of one process write.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import h5py
import numpy as np
import xarray as xr

import sid_xarray as sid
from sid_xarray.io.checksum import verify_file

PASSING = ("timestamp", "id", "DIMENSION_LIST", "REFERENCE_LIST", "sid_prov_", "checksums", "history")
"""Attributes that hold the time, or what the order of writing is."""


def content(path: Path) -> dict[str, Any]:
    """Return all of a file that does not change from second to second: values, chunks, filters, attributes."""
    out: dict[str, Any] = {}

    def visit(name: str, obj: Any) -> None:
        found: dict[str, Any] = {k: _plain(v, obj.file) for k, v in obj.attrs.items() if not k.startswith(PASSING)}
        if isinstance(obj, h5py.Dataset) and "_sid_xarray" not in name:
            found["-"] = [obj.shape, str(obj.dtype), obj.chunks, obj.compression, obj.shuffle]
            found["values"] = obj[()].tolist() if obj.dtype.kind == "O" else np.asarray(obj[()]).tobytes()
        out[name] = found

    with h5py.File(path) as file:
        file.visititems(visit)
    return out


def _plain(value: Any, file: h5py.File) -> Any:
    if isinstance(value, h5py.Reference):
        return file[value].name
    if isinstance(value, np.ndarray) and h5py.check_ref_dtype(value.dtype) is not None:
        return [file[v].name for v in value.ravel()]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def sample() -> xr.Dataset:
    """Blocks that fit the chunks of the file, and blocks that do not; floats, integers, text."""
    rng = da.random.default_rng(0)
    dims = ("y", "x", "energy")
    values = rng.standard_normal((48, 40, 200), chunks=(16, 20, 200), dtype="f4")
    counts = rng.integers(0, 200, (48, 40, 200), chunks=(10, 16, 70)).astype("u2")
    words = da.from_array(np.array([f"ü{i}" for i in range(48)]), chunks=20)
    return xr.Dataset(
        {"v": (dims, values), "n": (dims, counts), "t": ("y", words), "m": (("y", "x"), values.mean(axis=2))}
    )


def everything(source: Path, folder: Path) -> list[dict[str, Any]]:
    """Write all there is to write, with whatever scheduler there is, and return what came out."""
    folder.mkdir()
    lazy = sid.open_dataarray(source, "v", chunks={"y": 12})
    twice = (lazy * 2).rename("twice")
    paths = [folder / name for name in ("made.h5", "made_usid.h5", "read.h5", "read_usid.h5", "beside.h5")]
    ds = sample()
    ds.sid.to_nsid(paths[0])
    ds.sid.to_usid(paths[1])
    twice.sid.to_nsid(paths[2])
    twice.sid.to_usid(paths[3])
    lazy.rename("v").sid.to_nsid(paths[4])
    again = sid.open_dataarray(paths[4], chunks={"y": 12})
    (again.mean("energy").rename("mean")).sid.to_nsid(paths[4], source=again, tool="mean")
    for path in paths:
        bad = [str(f) for f in verify_file(path) if not f.ok]
        assert not bad, bad
    assert float(lazy.sum().compute()) == float(
        sid.open_dataarray(source, "v").astype("f4").chunk(y=12).sum().compute()
    )
    return [content(path) for path in paths]


def compare(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[str]:
    """Return what differs."""
    pairs = enumerate(zip(left, right, strict=True))
    return [f"file {i}: {name}" for i, (a, b) in pairs for name in {*a, *b} if a.get(name) != b.get(name)]


def main() -> int:
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.h5"
        sample().sid.to_nsid(source)
        with dask.config.set(scheduler="threads"):
            expected = everything(source, folder / "threads")
        for run in range(args.runs):
            start = time.perf_counter()
            cluster = LocalCluster(args.workers, threads_per_worker=1, processes=True, dashboard_address=":0")
            with cluster, Client(cluster):
                found = everything(source, folder / f"run{run}")
            different = compare(expected, found)
            print(
                f"run {run}: {time.perf_counter() - start:.1f} s, {len(different)} differences", *different, flush=True
            )
            if different:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
