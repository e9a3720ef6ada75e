"""Damaged files: how they are made, and what a reader makes of them, in processes with limits.

usage: fuzz.py ours|bare FOLDER BATCH < files, one a line
What came of file N is in ``FOLDER/N.json``.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import resource
import struct
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py
import numpy as np

from forks import limited

ROOM = 2**30
"""Address space that reading a damaged file may take on top of what the process has: the files are small."""

PROCESSOR, CLOCK = 5, 120
"""Seconds for a file: of the processor, where a good one takes a tenth; and by the clock, for what waits for ever."""

# HDF5 keeps its own records behind these; flips of numbers and text are seldom there, so half of all are aimed.
SIGNATURES = (
    b"OHDR",
    b"OCHK",
    b"TREE",
    b"SNOD",
    b"HEAP",
    b"GCOL",
    b"FRHP",
    b"FHDB",
    b"BTHD",
    b"BTLF",
    b"FADB",
    b"FAHD",
)
SIZES = (0, 1, 2, 8, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


class Mutator:
    """Damage a file in one of the ways that disks, networks and villains do.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.marks = [i for s in SIGNATURES for i in _places(content, s)]

    def mutant(self, seed: int) -> tuple[str, bytes]:
        """Return what was done, and the damaged content; the same for the same seed."""
        chance = random.Random(seed)
        data = bytearray(self.content)
        kind = chance.choice(["flips", "flips", "flips", "lengths", "lengths", "zeros", "copies", "cut", "text"])
        getattr(self, f"_{kind}")(data, chance)
        return kind, bytes(data)

    def _where(self, chance: random.Random) -> int:
        size = len(self.content)
        if self.marks and chance.random() < 0.6:
            return min(size - 1, chance.choice(self.marks) + chance.randrange(200))
        return chance.randrange(size)

    def _flips(self, data: bytearray, chance: random.Random) -> None:
        for _ in range(chance.choice([1, 2, 8, 30])):
            where = self._where(chance)
            data[where] = chance.choice([0, 255, chance.randrange(256), data[where] ^ (1 << chance.randrange(8))])

    def _lengths(self, data: bytearray, chance: random.Random) -> None:
        for _ in range(chance.choice([1, 1, 3])):
            form = chance.choice("HIQ")
            size = struct.calcsize(form)
            where = min(self._where(chance) & ~(size - 1), len(data) - size)
            data[where : where + size] = struct.pack(f"<{form}", chance.choice(SIZES) & (2 ** (8 * size) - 1))

    def _zeros(self, data: bytearray, chance: random.Random) -> None:
        where, length = self._where(chance), chance.choice([4, 64, 512, 4096])
        data[where : where + length] = bytes(len(data[where : where + length]))

    def _copies(self, data: bytearray, chance: random.Random) -> None:
        length = chance.choice([8, 64, 512, 4096])
        start, where = self._where(chance), self._where(chance)
        block = data[start : start + length]
        if chance.random() < 0.3:
            data[where:where] = block  # everything behind it moves
        else:
            data[where : where + len(block)] = block

    def _cut(self, data: bytearray, chance: random.Random) -> None:
        keep = chance.choice([self._where(chance), len(data) - chance.randrange(1, 64)])
        del data[keep:]
        if chance.random() < 0.3:
            data += bytes(len(self.content) - keep)  # the size is right, the rest was never written

    def _text(self, data: bytearray, chance: random.Random) -> None:
        """Change letters of names, attributes and records: to what JSON and UTF-8 do not have, too."""
        letters = [i for i in range(len(data)) if 32 <= data[i] < 127]
        start = chance.choice(letters) if letters else 0
        for i in range(start, min(start + chance.choice([1, 3, 20]), len(data))):
            data[i] = chance.choice(b'{}[]":,0123456789-/.\x00\xff\xc3 aZ')


def _places(content: bytes, signature: bytes) -> list[int]:
    out, here = [], content.find(signature)
    while here >= 0:
        out.append(here)
        here = content.find(signature, here + 1)
    return out


def ours(path: str) -> str:
    """Open a file with everything that opens files, and look into everything, a little."""
    import sid_xarray as sid
    from sid_xarray.errors import FormatError, MetadataError, ProvenanceError
    from sid_xarray.io.validate import check_file

    warnings.simplefilter("ignore")
    with contextlib.suppress(FormatError):
        repr(check_file(path))
    with contextlib.suppress(FormatError):
        sid.open_dataarray(path)
    try:
        tree = sid.open(path)
    except FormatError as error:
        if path not in str(error):
            raise
        return "refused"
    repr(tree)
    for da in tree.sid.signals.values():
        for array in (da, *da.coords.values()):
            with contextlib.suppress(FormatError):
                np.asarray(array[tuple(slice(0, 3) for _ in array.dims)].values)
        with contextlib.suppress(MetadataError):
            da.sid.metadata.to_dict()
        with contextlib.suppress(MetadataError):
            da.sid.original_metadata.to_dict()
        with contextlib.suppress(ProvenanceError, MetadataError):
            da.sid.provenance
        repr(da.sid.kind)
    tree.close()
    return "data"


def bare(path: str) -> str:
    """Do the same with h5py alone: where this ends the process, nobody who uses HDF5 can do better."""
    found: list[Any] = []

    def look(_: str, obj: Any) -> None:
        with contextlib.suppress(Exception):
            found.extend(obj.attrs.items())
        for name in _tried(lambda: list(obj.attrs)):
            _tried(lambda name=name: obj.attrs[name])
        if isinstance(obj, h5py.Dataset):
            _tried(lambda: (obj.shape, obj.dtype, obj.chunks, obj.external, obj.is_virtual, obj.id.get_storage_size()))
            _tried(lambda: [list(d.items()) for d in obj.dims])
            part = _tried(lambda: tuple(slice(0, 3) for _ in obj.shape))
            _tried(lambda: obj[tuple(part)])
            if _tried(lambda: [1] if obj.size < 2**20 else []):
                _tried(lambda: obj[()])
        else:
            _tried(lambda: [obj.get(k, getlink=True) for k in obj])
            _tried(lambda: [obj.get(k) for k in obj])

    def walk() -> list[Any]:
        with h5py.File(path) as file:
            look("/", file)
            file.visititems(look)
        return []

    _tried(walk)
    return "walked"


def _tried(work: Any) -> Any:
    try:
        return work()
    except Exception:  # noqa: BLE001 - only what ends the process matters here
        return []


def attempt(look: Any, path: str, out: Path) -> None:
    """Look at a file and write down what came of it."""
    text = ""
    try:
        end = look(path)
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        end, text = f"leaks {type(error).__name__}", traceback.format_exc(limit=-12)
    note(out, end, text)


def note(out: Path, end: str, text: str = "") -> None:
    out.write_text(json.dumps({"end": end, "text": text}), encoding="utf-8")


def main() -> None:
    name, folder, batch = sys.argv[1:]
    look = {"ours": ours, "bare": bare}[name]
    import dask.array
    import xarray.backends.api

    import sid_xarray.api
    import sid_xarray.io.usid.both
    import sid_xarray.io.validate

    assert dask.array, xarray.backends.api  # what is imported here is imported once
    assert sid_xarray.api, sid_xarray.io.validate
    memory = _address_space() + ROOM
    jobs = [(path, Path(folder) / f"{i}.json") for i, path in enumerate(sys.stdin.read().splitlines())]
    while jobs:
        part = jobs[: int(batch)]
        done, end = limited(
            [functools.partial(attempt, look, *job) for job in part], CLOCK, processor=PROCESSOR, memory=memory
        )
        if end:
            note(part[done][1], end)
        jobs = jobs[done + bool(end) :]


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
