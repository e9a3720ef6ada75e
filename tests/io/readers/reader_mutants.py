"""Mutants of a file: cut off, and with bytes turned over. Run as a script, it opens them under watch."""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path


def mutants(data: bytes, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield 17 mutants with their names."""
    rng = random.Random(seed)
    yield "empty", b""
    yield "first kB", data[:1024]
    yield "half", data[: len(data) // 2]
    yield "90 %", data[: len(data) * 9 // 10]
    yield "minus 16 bytes", data[:-16]
    for i in range(8):
        yield f"head {i}", _flipped(data, rng, 6, min(2048, len(data)))
    for i in range(4):
        yield f"anywhere {i}", _flipped(data, rng, 6, len(data))


def _flipped(data: bytes, rng: random.Random, count: int, end: int) -> bytes:
    out = bytearray(data)
    for _ in range(count if end else 0):
        out[rng.randrange(end)] = rng.randrange(256)
    return bytes(out)


def main(path: str, folder: str) -> None:
    import sid_xarray as sid
    from sid_xarray.core.trees import signals
    from sid_xarray.errors import FormatError, MissingDependencyError

    warnings.simplefilter("ignore")
    data = Path(path).read_bytes()
    # Libraries are imported, and code is compiled, by the file as it is: that is not what is measured.
    tree = sid.open(path)
    for da in signals(tree).values():
        da.load()
    tree.close()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out = []
    for i, (name, mutant) in enumerate(mutants(data)):
        here = Path(folder) / str(i)
        here.mkdir()
        for beside in Path(path).parent.iterdir():
            if beside.stem.split("_")[0] == Path(path).stem.split("_")[0] and beside.name != Path(path).name:
                (here / beside.name).write_bytes(beside.read_bytes())
        target = here / Path(path).name
        target.write_bytes(mutant)
        start = time.process_time()
        try:
            tree = sid.open(target)
            for da in signals(tree).values():
                if da.size < 2**24:
                    da.load()
            said = "opened"
        except FormatError as error:
            said = f"FormatError {error.why}"
        except MissingDependencyError as error:
            said = f"FormatError {error}"
        except MemoryError:
            said = "MemoryError"
        except Exception as error:  # noqa: BLE001 - it is what this looks for
            said = f"LEAK {type(error).__name__}: {error}"
        out.append((name, said, time.process_time() - start))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    print(json.dumps({"results": out, "peak": peak}))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
    main(*sys.argv[1:])
