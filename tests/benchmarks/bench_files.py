"""How long it takes to read a file, beside what others take; one run, everything in turn.

Type ``python tests/benchmarks/bench_files.py`` for the tables in ``docs/formats/speed-reading.md``. Every program has a
process of its own, so that none profits from what another one has in memory, and all are asked for the same in turn,
again and again: A B C A B C. With ``SID_PEERS_PYTHON`` set to a Python that has pyNSID, SciFiReaders and pyUSID, these
are asked, too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

GROUP = "Measurement_000/Channel_000/counts"
USID_MAIN = "Measurement_000/Channel_000/counts"
# What is read of an array (y, x, energy), by the name of the operation: a key of positions.
FULL = slice(None)


class Program:
    """Somebody who can read a file."""

    name = ""
    packages: tuple[str, ...] = ()

    def open(self, path: str) -> Any:
        """Open a file with all its signals."""
        raise NotImplementedError

    def array(self, opened: Any) -> Any:
        """Return the first signal of an open file."""
        raise NotImplementedError

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        """Read a part of a signal (y, x, energy) into memory."""
        raise NotImplementedError

    def close(self, opened: Any) -> None:
        """Close the file."""
        opened.close()


class RawNSID(Program):
    """h5py, which is told where the array is."""

    name, packages = "h5py", ("h5py",)

    def open(self, path: str) -> Any:
        import h5py

        return h5py.File(path)

    def array(self, opened: Any) -> Any:
        group = opened["Measurement_000/Channel_000"]
        found = group["counts"]
        return found["counts"] if hasattr(found, "keys") else found

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        return array[key]


class RawUSID(RawNSID):
    """h5py, for which the rows have been counted."""

    def open(self, path: str) -> Any:
        self.width = round(float(Path(path + ".width").read_text()))
        return super().open(path)

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        y, x, energy = key
        if y == FULL and x == FULL:
            return array[:, energy]
        return array[y * self.width + x, energy] if x != FULL else array[y * self.width : (y + 1) * self.width, energy]


class Netcdf(Program):
    """xarray with its own engine."""

    name, packages = "xarray + h5netcdf", ("xarray", "h5netcdf")

    def open(self, path: str) -> Any:
        import xarray as xr

        if "hundred" in path:
            return xr.open_datatree(path, engine="h5netcdf")
        return xr.open_dataset(path, engine="h5netcdf", group=GROUP)

    def array(self, opened: Any) -> Any:
        return opened["counts"] if "counts" in opened.data_vars else opened[f"{GROUP}/counts"]

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        return array[key].values


class Ours(Program):
    """This library."""

    name, packages = "sid-xarray", ("xarray", "sid_xarray.io.usid.both")

    def open(self, path: str) -> Any:
        import sid_xarray as sid

        return sid.open(path)

    def array(self, opened: Any) -> Any:
        return next(node["counts"] for node in opened.leaves if "counts" in node.data_vars)

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        return array[key].values


class PyNSID(Program):
    """pyNSID: reads everything when it opens."""

    name, packages = "pyNSID", ("pyNSID",)

    def open(self, path: str) -> Any:
        import h5py
        from pyNSID.io.hdf_utils import read_h5py_dataset

        file = h5py.File(path)
        mains: list[Any] = []
        file.visititems(lambda _, o: mains.append(o) if "main_data_name" in o.attrs else None)
        with contextlib.redirect_stdout(io.StringIO()):
            return file, [read_h5py_dataset(main) for main in mains]

    def array(self, opened: Any) -> Any:
        return opened[1][0]

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        import numpy as np

        return np.asarray(array[key])

    def close(self, opened: Any) -> None:
        opened[0].close()


class SciFiReaders(PyNSID):
    """The reader of SciFiReaders, which rests on pyNSID."""

    name, packages = "SciFiReaders", ("SciFiReaders",)

    def open(self, path: str) -> Any:
        import SciFiReaders

        with contextlib.redirect_stdout(io.StringIO()):
            reader = SciFiReaders.NSIDReader(path)
            return reader, list(reader.read().values())

    def close(self, opened: Any) -> None:
        with contextlib.suppress(Exception):
            opened[0]._h5_file.close()


class PyUSID(Program):
    """pyUSID, with the one name that NumPy 2 took away put back."""

    name, packages = "pyUSID", ("pyUSID",)

    def open(self, path: str) -> Any:
        import h5py
        import numpy as np

        if not hasattr(np, "product"):
            vars(np)["product"] = np.prod
        import pyUSID

        file = h5py.File(path)
        with contextlib.redirect_stdout(io.StringIO()):
            return file, [pyUSID.USIDataset(main) for main in pyUSID.hdf_utils.get_all_main(file)]

    def array(self, opened: Any) -> Any:
        return opened[1][0]

    def take(self, array: Any, key: tuple[Any, ...]) -> Any:
        import numpy as np

        chosen = {k: v for k, v in zip(("y", "x", "energy"), key, strict=True) if v != FULL}
        with contextlib.redirect_stdout(io.StringIO()):
            return np.asarray(array.slice(chosen)[0] if chosen else array[()])

    def close(self, opened: Any) -> None:
        opened[0].close()


PROGRAMS: dict[str, dict[str, type[Program]]] = {
    "nsid": {"h5py": RawNSID, "xarray": Netcdf, "ours": Ours, "pyNSID": PyNSID, "SciFiReaders": SciFiReaders},
    "usid": {"h5py": RawUSID, "ours": Ours, "pyUSID": PyUSID},
}
PEERS = ("pyNSID", "SciFiReaders", "pyUSID")


# -- in the process of a program ---------------------------------------------------------------------------------------


def work(kind: str, engine: str) -> None:
    """Do what is asked for on standard input, a line of JSON each, and say how long it took."""
    program = PROGRAMS[kind][engine]()
    for package in program.packages:
        __import__(package)
    held: dict[str, Any] = {}
    with contextlib.suppress(OSError):  # Linux: what the imports needed for a moment does not count
        Path("/proc/self/clear_refs").write_text("5")
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        task = json.loads(line)
        answers.write(json.dumps(answer(program, task, held)) + "\n")
        answers.flush()


def answer(program: Program, task: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    path, what = task["path"], task["do"]
    before = peak()
    if what in ("spectrum", "image", "point", "row", "every 16th", "four energies") and path not in held:
        held[path] = program.array(program.open(path))
    clock = time.process_time if task["clock"] == "cpu" else time.perf_counter
    start = clock()
    if what == "open":
        opened = program.open(path)
        seconds = clock() - start
        program.close(opened)
    elif what in ("first image", "all"):
        opened = program.open(path)
        program.take(program.array(opened), (FULL, FULL, 3) if what == "first image" else (FULL, FULL, FULL))
        seconds = clock() - start
        program.close(opened)
    else:
        program.take(held[path], decoded(task["key"]))
        seconds = clock() - start
    return {"seconds": seconds, "peak": peak() - before}


def decoded(key: list[Any]) -> tuple[Any, ...]:
    return tuple(slice(None, None, k["step"]) if isinstance(k, dict) else k for k in key)


def peak() -> float:
    """Return the most memory that this process ever had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage() begins with what the process had that started this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# -- in the process that asks ------------------------------------------------------------------------------------------


class Worker:
    """A process with one program."""

    def __init__(self, kind: str, engine: str) -> None:
        python = os.environ["SID_PEERS_PYTHON"] if engine in PEERS else sys.executable
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [python, __file__, "--worker", kind, engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            # SciFiReaders opens for writing what it only reads.
            env={**os.environ, "OMP_NUM_THREADS": "1", "HDF5_USE_FILE_LOCKING": "FALSE"},
        )

    def ask(self, **task: Any) -> dict[str, Any]:
        """Have something done; returns seconds and MiB."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError(f"{self.process.args} ended: {self.said.read()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.said.close()


def make_files(folder: Path, mib: int, signals: int) -> tuple[int, int, int]:
    """Write one large array, and many small ones, in both formats."""
    import numpy as np
    import xarray as xr

    import sid_xarray as sid

    dims = {"y": (1, "nm"), "x": (1, "nm"), "energy": (0.5, "eV")}
    n = 128 if mib >= 8 else 16
    shape = (n, n, max(32, mib * 2**20 // (4 * n * n)))
    values = np.random.default_rng(0).normal(size=shape).astype("f4")
    one = sid.dataarray(values, dims, units="count", quantity="counts").rename("counts")
    small = sid.dataarray(values[:8, :8, :32], dims, units="count", quantity="counts").rename("counts").to_dataset()
    many = xr.DataTree.from_dict({f"/Measurement_{i:03d}/Channel_000/counts": small for i in range(signals)})
    one.to_dataset().sid.to_nsid(folder / "one.nsid.h5", group=GROUP)
    one.to_dataset().sid.to_usid(folder / "one.usid.h5")
    many.sid.to_nsid(folder / "hundred.nsid.h5")
    many.sid.to_usid(folder / "hundred.usid.h5")
    for name, width in (("one", n), ("hundred", 8)):
        (folder / f"{name}.usid.h5.width").write_text(str(width))
    return shape


def keys(shape: tuple[int, int, int], turn: int) -> dict[str, list[Any]]:
    """Return what is read in one turn: another place every time."""
    y, x, energy = ((turn * 37) % shape[0], (turn * 53) % shape[1], (turn * 1009) % shape[2])
    everything: dict[str, Any] = {"step": None}
    return {
        "spectrum": [y, x, everything],
        "image": [everything, everything, energy],
        "point": [y, x, energy],
        "row": [y, everything, everything],
        "every 16th": [everything, everything, {"step": 16}],
        "four energies": [everything, everything, sorted((energy + k * shape[2] // 5) % shape[2] for k in range(4))],
    }


def measure(
    folder: Path, shape: tuple[int, int, int], turns: int, report: Callable[[str], None], clock: str = "wall"
) -> None:
    """Measure everything, and report tables."""
    peers = bool(os.environ.get("SID_PEERS_PYTHON"))
    for kind, programs in PROGRAMS.items():
        engines = [e for e in programs if peers or e not in PEERS]
        workers = {e: Worker(kind, e) for e in engines}
        seconds: dict[str, dict[str, list[float]]] = {}
        for turn in range(turns + 1):
            for label, task in tasks(folder, kind, shape, turn):
                rounds = 1 if label.startswith(("read all", "every")) and turn % 3 else 0
                for engine, worker in [] if rounds else workers.items():
                    if engine in PEERS and turn > 2 and "hundred" not in task["path"]:
                        continue  # tens of seconds each
                    took = worker.ask(**task, clock=clock)["seconds"]
                    if turn:  # the first turn warms all caches
                        seconds.setdefault(label, {}).setdefault(engine, []).append(took)
        for worker in workers.values():
            worker.end()
        report(table(kind, [programs[e].name for e in engines], engines, seconds))
        report(memory(folder, kind, engines))


def tasks(folder: Path, kind: str, shape: tuple[int, int, int], turn: int) -> Iterator[tuple[str, dict[str, Any]]]:
    one, many = (str(folder / f"{name}.{kind}.h5") for name in ("one", "hundred"))
    yield "open, 100 signals", {"path": many, "do": "open"}
    yield "open and first image, 100 signals", {"path": many, "do": "first image"}
    yield "open, one large array", {"path": one, "do": "open"}
    yield "open and first image, one large array", {"path": one, "do": "first image"}
    for name, key in keys(shape, turn).items():
        yield name, {"path": one, "do": name, "key": key}
    yield "read all", {"path": one, "do": "all"}


def table(kind: str, names: list[str], engines: list[str], seconds: dict[str, dict[str, list[float]]]) -> str:
    lines = [f"\n{kind.upper()}, milliseconds: median (least to most)\n", f"| | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for label, found in seconds.items():
        cells = []
        for engine in engines:
            ms = sorted(1e3 * s for s in found.get(engine, []))
            cells.append(f"{statistics.median(ms):.3g} ({ms[0]:.3g} to {ms[-1]:.3g})" if ms else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def memory(folder: Path, kind: str, engines: Iterable[str]) -> str:
    """Measure how much memory a fresh process needs above what it has after its imports."""
    lines = [
        f"\n{kind.upper()}, MiB above a process that has imported everything\n",
        "| | first image | read all |",
        "|---|---|---|",
    ]
    for engine in engines:
        cells = []
        for what in ("first image", "all"):
            worker = Worker(kind, engine)
            cells.append(f"{worker.ask(path=str(folder / f'one.{kind}.h5'), do=what, clock='wall')['peak']:.0f}")
            worker.end()
        lines.append(f"| {PROGRAMS[kind][engine].name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def about(shape: tuple[int, int, int]) -> str:
    import h5netcdf
    import h5py
    import numpy as np
    import xarray as xr

    hdf5 = f"h5py {h5py.__version__} (HDF5 {h5py.version.hdf5_version})"
    versions = f"xarray {xr.__version__}, {hdf5}, h5netcdf {h5netcdf.__version__}, NumPy {np.__version__}"
    mib = np.prod(shape) * 4 // 2**20
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}. "
        f"One large array: {shape} float32, {mib} MiB."
    )


def bench_reading(tmp_path: Path) -> None:
    """The whole run, as small as it can be: that it works."""
    said: list[str] = []
    measure(tmp_path, make_files(tmp_path, 1, 3), 1, said.append)
    assert "open, 100 signals" in "".join(said)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", nargs=2)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: where others use the machine")
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            sizes = make_files(Path(temporary), arguments.mib, 100)
            print(about(sizes))
            measure(Path(temporary), sizes, arguments.turns, print, arguments.clock)
