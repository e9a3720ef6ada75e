"""How fast, and in how much memory, an array is written: here, by plain h5py, by xarray, by the older package.

Run: python tests/benchmarks/bench_write.py [--gb 0.5] [--rounds 5] [--folder FOLDER] [--only WORD]

Every number comes from a process of its own, with imports and a small file before the clock starts; the engines take
turns, so that a busy machine hits all of them. What is timed ends with the data on the disk (fsync). The peak is what
the process took at most above what it had before. The older package runs if SID_PEERS_PYTHON names an interpreter
that has it. Nothing here fails on a number.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DIMS = ("y", "x", "bias", "energy")
PEER = "pyNSID"


def shape_of(gb: float) -> tuple[int, ...]:
    return (128, 128, max(1, int(64 * gb)), 256)


def numbers(gb: float, dtype: str) -> np.ndarray:
    """Noise for floats; counts, which shrink, for integers."""
    shape = shape_of(gb)
    rng = np.random.default_rng(0)
    few = (1, 16, *shape[2:])
    base = rng.standard_normal(few, dtype="f4") if dtype[0] == "f" else rng.poisson(20.0, few).astype(dtype)
    return np.ascontiguousarray(np.broadcast_to(base[:, :, np.newaxis], (128, 16, 8, *shape[2:])).reshape(shape))


def blocks(gb: float, dtype: str, width: int) -> Any:
    """A dask array that is made block by block and is nowhere as a whole."""
    import dask.array as da

    shape = shape_of(gb)
    rng = da.random.default_rng(0)
    chunks = (16, width, *shape[2:])
    if dtype[0] == "f":
        return rng.standard_normal(shape, dtype=np.float32, chunks=chunks)
    return rng.poisson(20.0, shape, chunks=chunks).astype(dtype)


def synced(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def by_h5py(data: Any, path: str, how: dict[str, Any]) -> None:
    """Plain h5py, with the chunks and filters that we choose; rows and columns for USID."""
    import h5py

    options = {k: v for k, v in how["options"].items() if k != "chunks"}
    with h5py.File(path, "w") as file:
        chunks = tuple(how["options"]["chunks"]) if how["options"].get("chunks") else None
        dataset = file.create_dataset("data", tuple(how["shape"]), data.dtype, chunks=chunks, **options)
        if isinstance(data, np.ndarray):
            dataset[...] = data.reshape(how["shape"])
        else:
            import dask.array as da

            da.store(data.reshape(how["shape"]), dataset, lock=True)
    synced(path)


def by_xarray(data: Any, path: str, how: dict[str, Any]) -> None:
    """xarray with h5netcdf, with the chunks and filters that we choose."""
    import xarray as xr

    names = {"chunks": "chunksizes", "compression": "zlib", "compression_opts": "complevel", "shuffle": "shuffle"}
    encoding = {names[k]: tuple(v) if k == "chunks" else v for k, v in how["options"].items()}
    if "zlib" in encoding:
        encoding["zlib"] = True
    coords = {d: np.arange(float(n)) for d, n in zip(DIMS, data.shape, strict=True)}
    ds = xr.Dataset({"data": (DIMS, data)}, coords=coords)
    ds.to_netcdf(path, engine="h5netcdf", encoding={"data": encoding})
    synced(path)


def _ours(data: Any) -> Any:
    import sid_xarray as sid

    return sid.dataarray(
        data, dict.fromkeys(DIMS, (1, "nm")), units="nA", quantity="current", name="data"
    ).sid.set_dims(bias="spectral", energy="spectral")


def by_nsid(data: Any, path: str, how: dict[str, Any]) -> None:
    """Ours."""
    _ours(data).sid.to_nsid(path, mode="w")


def by_usid(data: Any, path: str, how: dict[str, Any]) -> None:
    """Ours, as USID."""
    _ours(data).sid.to_usid(path, mode="w")


def by_pynsid(data: Any, path: str, how: dict[str, Any]) -> None:
    """The older package."""
    import h5py
    import pyNSID
    import sidpy

    ds = sidpy.Dataset.from_array(data, title="data")
    ds.units, ds.quantity, ds.data_type = "nA", "current", "SPECTRAL_IMAGE"
    for i, (n, t) in enumerate(zip(DIMS, ("spatial", "spatial", "spectral", "spectral"), strict=True)):
        axis = sidpy.Dimension(np.arange(data.shape[i]), name=n, units="nm", quantity=n, dimension_type=t)
        ds.set_dimension(i, axis)
    with h5py.File(path, "w") as file:
        group = file.create_group("Measurement_000/Channel_000")
        pyNSID.hdf_io.write_nsid_dataset(ds, group, main_data_name="data")
    synced(path)


ENGINES: dict[str, Callable[[Any, str, dict[str, Any]], None]] = {
    "h5py": by_h5py,
    "NSID": by_nsid,
    "h5py rows": by_h5py,
    "USID": by_usid,
    "xarray+h5netcdf": by_xarray,
    PEER: by_pynsid,
}


def in_memory() -> float:
    """Return the memory of this process in MB; the highest since `forget`."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget() -> float:
    """Start to look for the highest memory anew, and return what there is now."""
    Path("/proc/self/clear_refs").write_text("5")
    return in_memory()


def one(job: dict[str, Any]) -> dict[str, float]:
    """Write once, in a process that does nothing else."""
    import dask

    dask.config.set(num_workers=2)
    engine, path = ENGINES[job["engine"]], job["path"]
    warm = {**job["how"], "shape": job["small"]}
    small = blocks(1 / 64, job["dtype"], 32) if job["dask"] else numbers(1 / 64, job["dtype"])
    warm["options"] = {k: v for k, v in warm["options"].items() if k != "chunks"}
    engine(small, path, warm)
    data = blocks(job["gb"], job["dtype"], job["width"]) if job["dask"] else numbers(job["gb"], job["dtype"])
    Path(path).unlink()
    os.sync()
    dask.config.set({"num_workers": None})
    before, start, cpu = forget(), time.perf_counter(), time.process_time()
    engine(data, path, job["how"])
    seconds = time.perf_counter() - start
    out = {"seconds": seconds, "cpu": time.process_time() - cpu, "peak": in_memory() - before}
    Path(path).unlink()
    return out


def options_of(folder: Path, gb: float, dtype: str, lazy: bool, width: int) -> dict[str, dict[str, Any]]:
    """Return how we lay an array out: its shape on disk, chunks and filters, for both formats."""
    from sid_xarray.io.nsid import plan as nsid
    from sid_xarray.io.usid import plan as usid

    data = blocks(gb, dtype, width) if lazy else np.broadcast_to(np.zeros((), dtype), shape_of(gb))
    da = _ours(data)
    first = nsid.plan_group(da, "x.h5", "auto", {}).options["data"]
    other = usid.plan_group(da, "x.h5", "auto", {})
    second = other.mains["data"].options
    rows = tuple(side.count for side in other.sides)
    plain = lambda o: {k: (list(map(int, v)) if k == "chunks" else v) for k, v in o.items()}  # noqa: E731
    return {
        "NSID": {"shape": list(shape_of(gb)), "options": plain(first)},
        "USID": {"shape": list(rows), "options": plain(second)},
    }


def compare(args: argparse.Namespace, folder: Path, dtype: str, lazy: bool, gb: float) -> None:
    layouts = options_of(folder, gb, dtype, lazy, args.width)
    small = options_of(folder, 1 / 64, dtype, lazy, 32)
    pythons = dict.fromkeys(ENGINES, sys.executable)
    peers = os.environ.get("SID_PEERS_PYTHON")
    pythons[PEER] = peers or ""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        for engine, python in pythons.items():
            if not python or (args.only and args.only not in engine):
                continue
            kind = "USID" if engine in ("h5py rows", "USID") else "NSID"
            job = {
                "engine": engine,
                "path": str(folder / "bench.h5"),
                "how": layouts[kind],
                "small": small[kind]["shape"],
            }
            job |= {"dtype": dtype, "dask": lazy, "gb": gb, "width": args.width}
            command = [python, __file__, "--one", json.dumps(job)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{engine}: {done.stderr.strip().splitlines()[-1:]}")
                continue
            found.setdefault(engine, []).append(json.loads(done.stdout.splitlines()[-1]))
    size = gb * 1024 * np.dtype(dtype).itemsize / 4
    print(f"\n{dtype}, {size:.0f} MiB, {'dask' if lazy else 'numpy'}; NSID {layouts['NSID']}, USID {layouts['USID']}")
    print("| engine | MB/s | seconds: median (range) | ratio to h5py | CPU s | peak MB |\n|---|---|---|---|---|---|")
    for engine, runs in found.items():
        seconds = [r["seconds"] for r in runs]
        beside = found.get("h5py rows" if engine == "USID" else "h5py", [])
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(runs, beside, strict=False)]
        ratio = f"{statistics.median(seconds) / statistics.median(b['seconds'] for b in beside):.2f}" if ratios else ""
        middle = statistics.median(seconds)
        spread = f"{middle:.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
        print(
            f"| {engine} | {size * 1.048576 / middle:.0f} | {spread} | {ratio} | "
            f"{statistics.median(r['cpu'] for r in runs):.2f} | {statistics.median(r['peak'] for r in runs):.0f} |"
        )
    sys.stdout.flush()


def append(args: argparse.Namespace, folder: Path) -> None:
    """Add a map to a file of some size: where it is, and by a copy of it."""
    import sid_xarray as sid
    from sid_xarray.io import _target

    path = folder / "bench.h5"
    source = _ours(numbers(args.append_gb, "f4"))
    source.sid.to_nsid(path, mode="w")
    result = sid.dataarray(np.zeros((1024, 1024)), {"y": (1, "nm"), "x": (1, "nm")}, name="map")
    found: dict[str, list[float]] = {"in place": [], "by a copy": []}
    for _ in range(args.rounds):
        for how, times in found.items():
            _target.LARGE = 0 if how == "in place" else 2**60
            os.sync()
            start = time.perf_counter()
            result.sid.to_nsid(path)
            times.append(time.perf_counter() - start)
    print(f"\n8 MiB added to a file of {source.nbytes / 2**20:.0f} MiB\n| how | seconds: median (range) |\n|---|---|")
    for how, times in found.items():
        print(f"| {how} | {statistics.median(times):.3f} ({min(times):.3f}–{max(times):.3f}) |")
    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--gb", type=float, default=0.5)
    parser.add_argument("--dask-gb", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=32, help="of a dask block along x")
    parser.add_argument("--append-gb", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", default="f4 numpy,f4 dask,u2 numpy,u2 dask")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(json.loads(args.one))))
        return
    if args.append_gb:
        append(args, args.folder.resolve())
    for case in filter(None, args.cases.split(",")):
        dtype, kind = case.split()
        compare(args, args.folder.resolve(), dtype, kind == "dask", args.dask_gb if kind == "dask" else args.gb)


if __name__ == "__main__":
    main()
