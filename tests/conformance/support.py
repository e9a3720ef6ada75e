"""Arrays of every dtype and shape, written by us and read by everybody: what each reader can hold.

`docs/formats/support.md` and `support.json` are made from these runs by `make_support_table.py`. The second is what
other tests ask: `holds` tells whether a reader is known to show an array.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import truth
import verdict
import xarray as xr

import sid_xarray as sid

HERE = Path(__file__).parent
RECORD = HERE / "support.json"
SECONDS = 60

DTYPES = {
    "bool": "?",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "big-endian int16": ">i2",
    "big-endian float32": ">f4",
    "big-endian float64": ">f8",
    "complex64": "c8",
    "complex128": "c16",
    "big-endian complex64": ">c8",
    "big-endian complex128": ">c16",
    "longdouble": "g",
    "text (`U`)": "U3",
    "text (objects)": "O",
    "bytes (`S`)": "S3",
    "datetime64[s]": "M8[s]",
    "datetime64[ns]": "M8[ns]",
    "timedelta64[ns]": "m8[ns]",
    "fields, as `i4,f4`": "i4,f4",
}
SHAPES = {
    "0-d": {},
    "1-d, spatial": {"x": 5},
    "1-d, spectral": {"energy": 5},
    "2-d, spatial": {"y": 3, "x": 5},
    "2-d, spectral": {"time": 3, "energy": 5},
    "2-d, mixed": {"x": 3, "energy": 5},
    "3-d": {"y": 2, "x": 3, "energy": 4},
    "3-d, spatial last": {"time": 4, "y": 3, "x": 2},
    "4-d": {"y": 2, "x": 3, "ky": 4, "kx": 5},
    "5-d": {"z": 2, "y": 3, "x": 2, "energy": 3, "time": 2},
    "6-d": {"z": 2, "y": 3, "x": 2, "energy": 3, "time": 2, "bias": 2},
    "7-d": {"z": 2, "y": 3, "x": 2, "energy": 3, "time": 2, "bias": 2, "cycle": 2},
    "one point, spatial": {"x": 1},
    "one point, spectral": {"energy": 1},
    "one pixel": {"y": 1, "x": 1},
    "one pixel, a spectrum": {"y": 1, "x": 1, "energy": 5},
    "one line": {"y": 1, "x": 5},
    "an image, one energy": {"y": 3, "x": 4, "energy": 1},
    "no points, 1-d": {"energy": 0},
    "no points, 2-d": {"y": 3, "x": 0},
}
PLAIN = [s for s, sizes in SHAPES.items() if min(sizes.values(), default=2) > 1 and sizes]
ZARR = "zarr"
READERS = {
    "nsid": ("ours", "h5netcdf", "pyNSID", "NSIDReader", "HyperSpy, NeXus"),
    "usid": ("ours", "pyUSID", "Usid_reader", "HyperSpy, USID"),
}
OURS = ("ours", "h5netcdf")
UNITS = {"x": "nm", "y": "nm", "z": "nm", "energy": "eV", "time": "s", "ky": "1/nm", "kx": "1/nm", "bias": "V"}
SPATIAL = ("x", "y", "z")

RIGHT, NOTHING, REFUSED = "right", "not shown", "refused"


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return values that a reader which is not careful changes."""
    count = math.prod(shape)
    kind = np.dtype(dtype)
    some: Any
    if kind.kind in "iu":
        info = np.iinfo(kind)
        some = [info.max, info.min, 0, 1, 2, info.max - 1]
    elif kind.kind == "b":
        some = [True, False, False]
    elif kind.kind == "f":
        some = [1 / 3, np.nan, -np.inf, -0.0, 7, 6e4, 1e-3]
    elif kind.kind == "c":
        some = [1 / 3 + 2j, complex(np.nan, 1), -1j, 0, complex(5, np.inf)]
    elif kind.kind in "UO":
        some = ["µ", "", "abc", "b c"]
    elif kind.kind == "S":
        some = [b"a", b"", b"abc"]
    elif kind.kind in "Mm":
        some = [1, 10**9, "NaT", -5]
        some = [np.array(v, kind) for v in some]
    else:
        some = [(1, 2.5), (3, 4.5)]
    out = np.empty(count, kind)
    for i in range(count):
        out[i] = some[i % len(some)]
    return out.reshape(shape)


def example(dtype: str, shape: str) -> xr.DataArray:
    """Return an array of a row and a column of the table."""
    sizes = SHAPES[shape]
    coords = {
        d: (
            d,
            np.linspace(1, 2, n),
            {"units": UNITS.get(d, "1")} | ({"sid_dimension_type": "spatial"} if d in SPATIAL else {}),
        )
        for d, n in sizes.items()
    }
    attrs = {"long_name": "current", "units": "nA"} if np.dtype(DTYPES[dtype]).kind not in "OMmSUV" else {}
    return xr.DataArray(values(DTYPES[dtype], tuple(sizes.values())), coords, tuple(sizes), "current", attrs)


def known(da: xr.DataArray, form: str) -> list[truth.Known]:
    """Return what is known of an array that we wrote, for the judge."""
    axes = [truth.Axis(str(d), n, da[d].attrs.get("units"), values=da[d].values.tolist()) for d, n in da.sizes.items()]
    if form == "usid":
        there = {d in SPATIAL for d in da.dims}
        axes += [
            truth.Axis(f"arb_{s}", 1, placeholder=True) for s, b in (("pos", True), ("spec", False)) if b not in there
        ]
    raw = np.ascontiguousarray(da.values)
    casts = ["native", *(["<f8"] if raw.dtype.kind in "biuf" else []), *(["<c8"] if raw.dtype.kind == "c" else [])]
    sums = {}
    if raw.dtype.kind in "biufc":
        with np.errstate(all="ignore"):
            for cast in casts:
                dtype = np.dtype(raw.dtype if cast == "native" else cast).newbyteorder("<")
                sums[cast] = hashlib.sha256(raw.astype(dtype).tobytes()).hexdigest()
    return [truth.Known("", None, axes, [], raw.dtype.str, sums, "sha256", da.attrs.get("units"), None, raw=raw)]


def written(folder: Path, form: str, cells: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Path | None]:
    """Write a file for every cell; None where we refuse to."""
    out: dict[tuple[str, str], Path | None] = {}
    for i, cell in enumerate(cells):
        path = folder / f"{form}{i}.h5"
        da = example(*cell)
        try:
            da.sid.to_nsid(path, mode="w") if form == "nsid" else da.sid.to_usid(path, mode="w")
        except sid.FormatError:
            path = None
        out[cell] = path
    return out


def seen(reader: str, paths: list[Path], python: str) -> list[Any]:
    """Return what a reader saw in files."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [python, str(HERE / "readers.py"), reader, folder, str(SECONDS), "50"],
            input="\n".join(map(str, paths)),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(f"{reader}: {run.stderr[-2000:]}")
        return [verdict.seen_in(Path(folder), i) for i in range(len(paths))]


def said(da: xr.DataArray, form: str, found: Any) -> str:
    """Return the entry of a cell."""
    if isinstance(found, dict):
        return f"raises {found['error']}"
    (want,) = known(da, form)
    candidates = [f for f in found if f["array"].size == da.size and not _is_scale(f, da)]
    judged = []
    for one in candidates:
        if not want.sums:
            judged.append((_text(da, one), one))
            continue
        defects = verdict.judge(want, {**one, "quantity": None})
        judged.append(([d for d in defects if d not in (verdict.METADATA, verdict.TITLE)], one))
    best = min(judged, key=lambda j: verdict._badness(j[0]), default=None)
    if best is None:
        return NOTHING
    defects, one = best
    words = [d for d in defects if d != verdict.DTYPE]
    if verdict.DTYPE in defects and verdict.VALUES not in defects:
        words.insert(0, f"{_name(one['dtype'])}{_rounding(da.values, one['array'])}")
    return ", ".join(words) or RIGHT


def _is_scale(found: Mapping[str, Any], da: xr.DataArray) -> bool:
    # One reader shows the axes as arrays, too.
    return bool(found["title"]) and str(found["title"]).rpartition("_")[2] in da.dims and da.ndim > 0


def _name(dtype: str) -> str:
    kind = np.dtype(dtype)
    return {"O": "objects", "U": "text", "S": "bytes"}.get(kind.kind, str(kind.newbyteorder("=")))


def _rounding(wanted: Any, got: Any) -> str:
    if wanted.dtype.kind not in "biufc":
        return ""
    with np.errstate(all="ignore"):
        back = np.sort(got.ravel()).astype(wanted.dtype)
    return "" if np.array_equal(np.sort(wanted.ravel()), back, equal_nan=wanted.dtype.kind in "fc") else ", rounded"


def _text(da: xr.DataArray, found: Mapping[str, Any]) -> list[str]:
    """Judge text and times."""
    wanted, got = np.asarray(da.values).ravel(), np.asarray(found["array"]).ravel()
    kind = np.dtype(found["dtype"]).kind
    times = wanted.dtype.kind in "Mm"
    same = (
        np.array_equal(wanted, got, equal_nan=True)
        if times and kind == wanted.dtype.kind
        else (not times and got.dtype.kind in "SU" and np.array_equal(wanted.astype(got.dtype), got))
    )
    if not same:
        return [verdict.VALUES]
    return [] if kind == wanted.dtype.kind and (not times or found["dtype"] == wanted.dtype.str) else [verdict.DTYPE]


Table = dict[str, dict[str, dict[str, str]]]
"""From reader to dtype to shape to what was seen."""


def through_zarr() -> Table:
    """Run: what comes back from zarr, by xarray alone."""
    import zarr

    out: dict[str, dict[str, str]] = {}
    for dtype in DTYPES:
        for shape in SHAPES:
            da = example(dtype, shape)
            store = zarr.storage.MemoryStore()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # dtypes that zarr has no specification of
                try:
                    da.to_dataset().to_zarr(store)
                except ValueError:
                    out.setdefault(dtype, {})[shape] = REFUSED
                    continue
                back = xr.open_zarr(store, consolidated=False, chunks=None)[da.name].load()
            one = {"array": back.values, "dtype": back.dtype.str}
            same = not _text(da, one) if back.dtype.kind in "SUMm" else back.variable.equals(da.variable)
            kind = "StringDType" if back.dtype.kind == "T" else f"{_name(back.dtype.str)}{_order(da.dtype, back.dtype)}"
            alike = back.dtype == da.dtype or (da.dtype.kind in "SU" and back.dtype.kind == da.dtype.kind)
            out.setdefault(dtype, {})[shape] = RIGHT if same and alike else kind
    return {ZARR: out}


def _order(wanted: np.dtype[Any], got: np.dtype[Any]) -> str:
    return ", byte order lost" if wanted != got and wanted.newbyteorder("=") == got else ""


def table(form: str, readers: Iterable[str], python: str) -> Table:
    """Run: what readers see in files of a format that we wrote."""
    cells = [(d, s) for d in DTYPES for s in SHAPES]
    out: Table = {}
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder), form, cells)
        there = {cell: path for cell, path in files.items() if path is not None}
        for reader in readers:
            found = dict(
                zip(
                    there, seen(reader, list(there.values()), sys.executable if reader in OURS else python), strict=True
                )
            )
            rows: dict[str, dict[str, str]] = {}
            for dtype, shape in cells:
                cell = (dtype, shape)
                what = said(example(*cell), form, found[cell]) if cell in found else REFUSED
                rows.setdefault(dtype, {})[shape] = what
            out[reader] = rows
    return out


# -- what other tests ask ----------------------------------------------------------------------------------------------


def pack(table: Table) -> dict[str, dict[str, dict[str, str]]]:
    """Return a table with the most frequent entry of a row under ``*``."""
    out: dict[str, dict[str, dict[str, str]]] = {}
    for reader, rows in table.items():
        for dtype, row in rows.items():
            ((most, _),) = Counter(row.values()).most_common(1)
            out.setdefault(reader, {})[dtype] = {"*": most, **{s: v for s, v in row.items() if v != most}}
    return out


def unpack(packed: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Table:
    """Undo `pack`."""
    return {
        reader: {d: {s: row.get(s, row["*"]) for s in SHAPES} for d, row in rows.items()}
        for reader, rows in packed.items()
    }


@functools.cache
def record() -> dict[str, Table]:
    """Return the tables as they were made, by format."""
    return {form: unpack(t) for form, t in json.loads(RECORD.read_text(encoding="utf-8")).items()}


def holds(form: str, reader: str, da: xr.DataArray) -> bool:
    """Tell whether the table says that a reader shows an array of this dtype and shape, with its axes.

    The shape in the table that is asked is that of the same kind: as many axes, or also without points, or
    also with axes of a single one.
    """
    rows = record()[form][reader]
    # A row of the very dtype goes before one that is like it but for the order of bytes.
    known = {name: np.dtype(dtype) for name, dtype in DTYPES.items()}
    alike = [name for name, dtype in known.items() if _alike(dtype, da.dtype)]
    row = next((rows[name] for name in sorted(alike, key=lambda name: known[name] != da.dtype)), None)
    if row is None:
        return False
    cells = [row[shape] for shape, sizes in SHAPES.items() if _class(sizes.values()) == _class(da.shape)]
    return bool(cells) and not any(c.startswith(_BAD) or AXES_LOST in c for c in cells)


_BAD = (NOTHING, REFUSED, "raises", "crashes", "hangs", verdict.VALUES, verdict.ORDER, verdict.FORM)
AXES_LOST = verdict.AXES


def _alike(a: np.dtype[Any], b: np.dtype[Any]) -> bool:
    return a == b or (a.kind == b.kind and a.kind in "UOSMm") or (a.isnative != b.isnative and a.newbyteorder() == b)


def _class(sizes: Iterable[int]) -> str:
    sizes = list(sizes)
    return "empty" if 0 in sizes else "one point" if 1 in sizes else str(len(sizes))
