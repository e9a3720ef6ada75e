"""Mutated files, each read in a process with limits: data or a `FormatError`, and nothing else.

``SID_MUTANTS`` is the number of files, ``SID_SEED`` chooses others, ``SID_KEEP`` is a folder for those of interest.
Where HDF5 itself hangs or crashes, so must a plain walk by h5py: that is counted and passes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid

sys.path.insert(0, str(Path(__file__).parent))
import fuzz

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc/self/statm").exists(), reason="needs Linux")
COUNT = int(os.environ.get("SID_MUTANTS", "400"))
SEED = int(os.environ.get("SID_SEED", "0"))
SHARED = Path(os.environ.get("SID_SHARED", Path(__file__).parents[3] / "shared"))
LARGEST = 400_000
BATCH = 25


def written(folder: Path) -> Iterator[Path]:
    """Write files of ours with everything in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        da = sid.dataarray(
            np.arange(60.0).reshape(3, 4, 5),
            dims={"y": (1, "nm"), "x": (1, "nm"), "bias": (1, "V")},
            quantity="current",
            metadata={"a": {"b": [1, 2, {"c": None}]}, "größe": 3},
        )
        da = da.assign_coords(
            t=("x", ["a", "b", "c", "µ"]), when=("y", np.arange(3).astype("M8[ns]")), z=(("y", "x"), np.ones((3, 4)))
        )
        ds = da.to_dataset().assign(odd=da > 3, counts=(da * 10).astype("u2"), wave=da.astype(complex))
        points = xr.DataArray(np.ones((6, 2)), dims=("point", "bias"), name="p").assign_coords(
            x=("point", np.arange(6.0)), y=("point", np.arange(6.0) ** 2)
        )
        for form in ("nsid", "usid"):
            save = f"to_{form}"
            path = folder / f"ours.{form}.h5"
            getattr(ds.sid, save)(path)
            getattr(da.sid.rebin(x=2).sid, save)(path, source="/Measurement_000/Channel_000/current")
            yield path
            getattr(da.chunk(x=2).sid, save)(folder / f"packed.{form}.h5", compression="gzip")
            yield folder / f"packed.{form}.h5"
            getattr(points.sid, save)(folder / f"points.{form}.h5")
            yield folder / f"points.{form}.h5"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[fuzz.Mutator]:
    folder = tmp_path_factory.mktemp("sources")
    found = list(written(folder))
    if SHARED.is_dir():
        for part in ("corpus", "realdata/nsid", "realdata/usid"):
            found += [p for p in sorted((SHARED / part).iterdir()) if p.suffix in (".h5", ".hf5")]
    return [fuzz.Mutator(p.read_bytes()) for p in found if p.stat().st_size <= LARGEST]


def run(how: str, paths: list[Path], folder: Path, batch: int = BATCH) -> list[dict[str, str]]:
    """Look at files in processes with limits, and return what came of each."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(Path(fuzz.__file__)), how, str(folder), str(batch)],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{i}.json").read_text(encoding="utf-8")) for i in range(len(paths))]


def test_mutated_files(sources: list[fuzz.Mutator], tmp_path: Path, record_property: Any) -> None:
    chance = random.Random(SEED)
    kinds: dict[Path, str] = {}
    for i in range(COUNT):
        kind, content = chance.choice(sources).mutant(SEED * 10**6 + i)
        path = tmp_path / f"{i}.h5"
        path.write_bytes(content)
        kinds[path] = kind
    ends = dict(zip(kinds, run("ours", list(kinds), tmp_path / "out"), strict=True))
    leaks = {p: e for p, e in ends.items() if e["end"].startswith("leaks")}
    broken = [p for p, e in ends.items() if e["end"] not in ("data", "refused") and p not in leaks]
    plain = dict(zip(broken, run("bare", broken, tmp_path / "bare", 1), strict=True))
    counted = Counter(e["end"] for e in ends.values())
    libraries = [p for p in broken if plain[p]["end"] != "walked"]
    print(f"{COUNT} mutants: {dict(counted)}; {len(libraries)} of them end h5py alone, too")
    record_property("ends", dict(counted))
    keep = os.environ.get("SID_KEEP")  # a folder for those that are of interest
    for p in [*leaks, *broken] if keep else ():
        (Path(str(keep)) / f"{SEED}-{p.name}").write_bytes(p.read_bytes())
    told = {e["text"].splitlines()[-4:][0] + e["end"]: f"{p.name} ({kinds[p]}): {e['text']}" for p, e in leaks.items()}
    assert not leaks, f"{len(leaks)} leaks, of {len(told)} kinds\n\n" + "\n\n".join(told.values())
    ours = {p.name: (kinds[p], ends[p]["end"]) for p in broken if p not in libraries}
    assert not ours, f"h5py alone survives these: {ours}"


def test_the_same_seed_gives_the_same_file(sources: list[fuzz.Mutator]) -> None:
    for source in sources[:3]:
        assert [source.mutant(i) for i in range(20)] == [source.mutant(i) for i in range(20)]


def test_limits_end_what_does_not_end(tmp_path: Path) -> None:
    """The trap works: a job that loops is ended, one that crashes is told, and those behind them are done."""
    code = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from forks import limited
print(limited([lambda: None, lambda: time.sleep(60), lambda: None], 0.5))
print(limited([lambda: None, lambda: os.abort()], 30))
print(limited([lambda: bytearray(2**33)], 30, memory=2**32))
print(limited([lambda: None, lambda: sum(iter(int, 1))], 600, processor=1))
print(limited([lambda: None] * 3, 30))
"""
    where = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, where], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(1, 'hangs')", "(1, 'SIGABRT')", "(0, 'nothing')", "(1, 'hangs')", "(3, '')"]
