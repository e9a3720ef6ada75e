"""Kill writers at random moments, and at every single step; after each, the file must be the old or the new one.

Run: python tests/io/kill_writers.py [--runs 200] [--seed 1] [--steps] [--folder FOLDER]

A run forks a writer, lets it live for a random part of the time that such a write takes, and sends SIGKILL. Then the
file is opened with plain h5py, then with this library (which may have to finish what was written down), all values are
compared and all checksums verified; at last somebody adds to it, which must work and leave nothing behind.
`--steps` kills at every call that changes something on the disk instead, before it and in the middle of it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

import sid_xarray as sid
from sid_xarray.io import _target
from sid_xarray.io.checksum import verify_file

FORMATS = ("nsid", "usid")
SOURCES = ("numpy", "dask")
ACTIONS = ("new", "replace", "add to a copy", "add in place", "overwrite in place")
STEPS = ("pwrite", "ftruncate", "fsync", "fdatasync", "rename", "replace", "unlink")
Scenario = tuple[str, str, str]


def array(seed: int, *, lazy: bool = False, small: bool = False) -> xr.DataArray:
    shape = (16, 16, 10) if small else (48, 48, 300)
    values = np.random.default_rng(seed).normal(size=shape).astype("f4")
    da = xr.DataArray(values, dims=("y", "x", "energy"), name=f"v{seed}")
    return da.chunk(y=8) if lazy else da


def save(da: xr.DataArray, path: Path, form: str, **options: Any) -> str:
    return str((da.sid.to_nsid if form == "nsid" else da.sid.to_usid)(path, **options))


def prepare(path: Path, scenario: Scenario) -> None:
    """Make the old file."""
    form, _, action = scenario
    for left in path.parent.iterdir():
        left.unlink()
    if action != "new":
        save(array(1), path, form, mode="w", group="old")


def work(path: Path, scenario: Scenario) -> None:
    """Do what will be killed."""
    form, source, action = scenario
    da = array(2, lazy=source == "dask")
    _target.LARGE = 0 if "in place" in action else 2**40
    if action == "overwrite in place":
        save(da, path, form, group="old", overwrite=True)
    else:
        save(da, path, form, group="new", mode="w" if action == "replace" else "a")


def forked(path: Path, scenario: Scenario, before: Callable[[], None] | None = None) -> int:
    """Start a writer and return its number."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if before is not None:
                before()
            os.write(go, b"1")
            work(path, scenario)
            code = 0
        except BaseException as error:  # noqa: BLE001 - reported, and the process ends
            print(f"{scenario}: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    os.close(go)
    os.read(ready, 1)
    os.close(ready)
    return child


def same(found: xr.DataArray, seed: int) -> bool:
    return np.array_equal(np.asarray(found.values), array(seed).values)


def seen_by_h5py(path: Path) -> str:
    """What a program that knows nothing of us finds: old, new, nothing, or that it cannot read it."""
    if not path.exists():
        return "nothing"
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, Any] = {}

            def visit(name: str, obj: Any) -> None:
                if isinstance(obj, h5py.Dataset) and obj.size > 100_000:
                    found[name] = obj[...]

            file.visititems(visit)
            values = [v.ravel() for v in found.values() if v.dtype == "f4"]
    except Exception:  # noqa: BLE001 - whatever HDF5 makes of it
        return "unreadable"
    which = {seed for seed in (1, 2) for v in values if np.array_equal(v, array(seed).values.ravel())}
    return "half" if len(which) < len(values) or not values else "new" if 2 in which else "old"


def verdict(path: Path, scenario: Scenario) -> str:
    """Which file there is: old, new, or what is wrong with it."""
    action = scenario[2]
    if not path.exists():
        return "old" if action == "new" else "the file is gone"
    try:
        with sid.open(path) as tree:
            found = {da.name: da for da in tree.sid.signals.values()}
            for name, da in found.items():
                if not same(da, int(str(name)[1:])):
                    return f"{name} has other values"
        bad = [str(f) for f in verify_file(path) if not f.ok]
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}: {error}"
    if bad:
        return f"checksums: {bad}"
    old, new = "v1" in found, "v2" in found
    allowed = {"new": {(False, True)}, "replace": {(True, False), (False, True)}}
    allowed |= {"overwrite in place": allowed["replace"]}
    if (old, new) not in allowed.get(action, {(True, False), (True, True)}):
        return f"holds {sorted(map(str, found))}"
    return "new" if new else "old"


def goes_on(path: Path, scenario: Scenario) -> str:
    """Add to the file; empty if that works and leaves nothing behind."""
    try:
        save(array(3, small=True), path, scenario[0], group="after")
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"the next writer fails: {type(error).__name__}: {error}"
    left = sorted(p.name for p in path.parent.iterdir() if p != path)
    return f"leaves {left}" if left else ""


def judged(path: Path, scenario: Scenario) -> tuple[str, str]:
    plain = seen_by_h5py(path)
    found = verdict(path, scenario)
    if found in ("old", "new"):
        after = goes_on(path, scenario)
        found = f"{found}, but {after}" if after else found
    return plain, found


def duration(path: Path, scenario: Scenario) -> float:
    """How long such a writer lives if it is let."""
    prepare(path, scenario)
    start = time.perf_counter()
    child = forked(path, scenario)
    os.waitpid(child, 0)
    return time.perf_counter() - start


def random_kills(folder: Path, runs: int, seed: int) -> Iterator[tuple[Scenario, str, str, bool]]:
    chance = random.Random(seed)
    path = folder / "a.h5"
    scenarios = list(itertools.product(FORMATS, SOURCES, ACTIONS))
    times = {s: min(duration(path, s) for _ in range(3)) for s in scenarios}
    landed = 0
    for scenario in itertools.cycle(scenarios):
        if landed == runs:
            return
        prepare(path, scenario)
        child = forked(path, scenario)
        time.sleep(chance.uniform(0, times[scenario]))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        landed += killed
        yield scenario, *judged(path, scenario), killed


def stopper(step: int, *, torn: bool) -> Callable[[], None]:
    """Return what makes a process kill itself at a certain step, before it or in the middle of it."""

    def install() -> None:
        count = itertools.count()
        real = {name: getattr(os, name) for name in STEPS}

        def wrapped(name: str) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                if next(count) == step:
                    if torn and name == "pwrite":
                        fd, data, place = args
                        real["pwrite"](fd, memoryview(data)[: len(data) // 2], place)
                    elif torn:
                        real[name](*args, **kwargs)
                    os.kill(os.getpid(), signal.SIGKILL)
                return real[name](*args, **kwargs)

            return call

        for name in STEPS:
            setattr(os, name, wrapped(name))

    return install


def count_of(path: Path, scenario: Scenario) -> int:
    """How many steps there are."""
    prepare(path, scenario)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                return real(*args, **kwargs)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        write = os.write
        work(path, scenario)
        write(writer, str(count).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return int(pipe.read())


def chosen(count: int, chance: random.Random) -> list[int]:
    """All steps; of very many, those at both ends and some between."""
    if count <= 150:
        return list(range(count))
    return [*range(30), *sorted(chance.sample(range(30, count - 60), 60)), *range(count - 60, count)]


def every_step(folder: Path, seed: int, only: str, last: int) -> Iterator[tuple[Scenario, str, str, bool]]:
    path = folder / "a.h5"
    chance = random.Random(seed)
    for scenario in itertools.product(FORMATS, ("numpy",), ACTIONS):
        if only not in f"{scenario[0]},{scenario[2]}":
            continue
        count = count_of(path, scenario)
        steps = range(count - last, count) if last else chosen(count, chance)
        for torn in (False, True):
            for step in steps:
                prepare(path, scenario)
                child = forked(path, scenario, stopper(step, torn=torn))
                _, status = os.waitpid(child, 0)
                yield scenario, *judged(path, scenario), os.WIFSIGNALED(status)
        print(f"{scenario}: {count} steps", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="kills that hit a living writer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--only", default="", help="format,action of the steps")
    parser.add_argument("--last", type=int, default=0, help="only so many steps, the last ones")
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    warnings.simplefilter("error")
    counts: dict[tuple[str, str], Counter[str]] = {}
    wrong: list[str] = []
    total = killed = 0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        runs = every_step(Path(folder), args.seed, args.only, args.last) if args.steps else None
        runs = runs or random_kills(Path(folder), args.runs, args.seed)
        for scenario, plain, found, was_killed in runs:
            total, killed = total + 1, killed + was_killed
            row = counts.setdefault((scenario[0], scenario[2]), Counter())
            row[found if found in ("old", "new") else "WRONG"] += 1
            row[f"h5py: {plain}"] += 1
            if found not in ("old", "new"):
                wrong.append(f"{scenario}: {found}")
    for (form, action), row in sorted(counts.items()):
        print(f"{form}, {action}: " + ", ".join(f"{k} {v}" for k, v in sorted(row.items())))
    print(f"{total} runs, {killed} killed, {len(wrong)} wrong")
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
