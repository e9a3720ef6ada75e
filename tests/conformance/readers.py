"""What a reader makes of files: each file in a process of its own, with limits, since a reader may hang or crash.

usage: readers.py READER FOLDER LIMIT < files, one a line
Run by an interpreter that has the reader. The reader is imported once, and forks for every file; what it saw comes
to FOLDER: ``N.json`` for file N, arrays beside it as ``N_M.npy``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
os.environ.setdefault("MPLBACKEND", "Agg")

import h5py  # noqa: E402
import numpy as np  # noqa: E402

MEMORY = 8 * 2**30


def plain(value: Any) -> Any:
    """Return what JSON can hold; text and bytes stay different."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, complex):
        return {"re": plain(value.real), "im": plain(value.imag)}
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return repr(value)


def axis(name: Any, values: Any, units: Any = None, quantity: Any = None, kind: Any = None, over: Any = ()) -> Any:
    values = np.asarray(values)
    known = values.dtype.kind in "biuf"
    return {
        "name": str(name),
        "size": int(values.size),
        "values": plain(values.astype(float)) if known else [str(v) for v in values.ravel()],
        "units": units,
        "quantity": quantity,
        "type": kind,
        "over": list(over) or [str(name)],
    }


def ours(path: str) -> list[Any]:
    import sid_xarray as sid

    def said_units(attrs: Any) -> Any:
        return attrs.get("sid_units_original", attrs.get("units"))

    out = []
    for da in sid.open(path).sid.signals.values():
        name = da.attrs.get("sid_name_original") if "sid_field" in da.encoding else None
        axes = [
            axis(
                k,
                c.values,
                said_units(c.attrs),
                c.attrs.get("long_name"),
                c.attrs.get("sid_dimension_type"),
                map(str, c.dims),
            )
            for k, c in da.coords.items()
            if c.dtype.kind in "biuf"
        ]
        out.append(
            {
                "path": da.encoding["sid_h5path"],
                "field": name,
                "dims": list(map(str, da.dims)),
                "axes": axes,
                "array": da.values,
                "units": said_units(da.attrs),
                "quantity": da.attrs.get("long_name"),
                "title": da.attrs.get("sid_title"),
                "metadata": plain(da.sid.metadata.to_dict()),
                "original_metadata": plain(da.sid.original_metadata.to_dict()),
            }
        )
    return out


def of_sidpy(d: Any, path: str | None = None) -> dict[str, Any]:
    axes = [axis(a.name, a.values, a.units, a.quantity, a.dimension_type.name) for _, a in sorted(d._axes.items())]
    return {
        "path": path,
        "field": None,
        "dims": [a["name"] for a in axes],
        "axes": axes,
        "array": np.asarray(d),
        "units": d.units,
        "quantity": d.quantity,
        "title": d.title,
        "metadata": plain(d.metadata),
        "original_metadata": plain(d.original_metadata),
    }


def scifireaders_nsid(path: str) -> list[Any]:
    import SciFiReaders

    reader = SciFiReaders.NSIDReader(path)
    try:
        return [of_sidpy(d) for d in reader.read().values()]
    finally:
        reader.close()


def pynsid(path: str) -> list[Any]:
    from pyNSID.io import hdf_utils

    with h5py.File(path) as file:
        return [of_sidpy(hdf_utils.read_h5py_dataset(main), main.name) for main in hdf_utils.get_all_main(file)]


def scifireaders_usid(path: str) -> list[Any]:
    import SciFiReaders

    reader = SciFiReaders.Usid_reader(path)
    try:
        found = reader.read()
        return [of_sidpy(d) for d in (found if isinstance(found, list) else [found])]
    finally:
        reader.close()


def pyusid(path: str) -> list[Any]:
    import pyUSID

    with h5py.File(path) as file:
        return [of_pyusid(main) for main in pyUSID.hdf_utils.get_all_main(file)]


def of_pyusid(main: Any) -> dict[str, Any]:
    from sidpy.hdf.hdf_utils import get_attr

    sides = [
        ("position", main.pos_dim_labels, main.h5_pos_inds, main.h5_pos_vals, main.get_pos_values),
        ("spectroscopic", main.spec_dim_labels, main.h5_spec_inds, main.h5_spec_vals, main.get_spec_values),
    ]
    axes, flat = [], []
    for i, (kind, labels, indices, values, getter) in enumerate(sides):
        units = [str(u) for u in get_attr(indices, "units")]
        table = np.asarray(values) if kind == "spectroscopic" else np.asarray(values).T
        for label, unit, row in zip(map(str, labels), units, table, strict=False):
            known: Any = ()
            with contextlib.suppress(Exception):
                known = getter(label)
            axes.append(axis(label, known, unit))
            along = label if len(labels) == 1 else kind
            flat.append(axis(label, row, unit, over=[along]))
        flat[-1]["dim"] = along if main.shape[i] else ""
    attrs = {}
    for key in main.attrs:
        with contextlib.suppress(Exception):  # it knows nothing of region references
            attrs[key] = plain(get_attr(main, key))
    said = {"path": main.name, "title": None, "metadata": attrs, "original_metadata": None, "units": None}
    try:
        array, dims = main.get_n_dim_form(), [str(n) for n in main.n_dim_labels]
    except Exception:  # noqa: BLE001 - it raises what its steps raise; rows and columns are what it offers then
        array, axes = main[()], flat
        dims = [a["dim"] for a in flat if "dim" in a]
    said |= {"units": get_attr(main, "units"), "quantity": get_attr(main, "quantity"), "dims": dims, "axes": axes}
    return {**said, "field": None, "array": array}


def hyperspy(path: str, reader: str) -> list[Any]:
    import hyperspy.api as hs

    found = hs.load(path, reader=reader)
    out = []
    for s in found if isinstance(found, list) else [found]:
        axes = [axis(a.name, a.axis, text(a.units)) for a in s.axes_manager._axes]
        array = np.asarray(s.data)
        sizes = tuple(a["size"] for a in axes)
        fits = array.size == np.prod(sizes, dtype=int)  # of a signal without axes it knows the shape only
        quantity, _, units = str(s.metadata.get_item("Signal.quantity", "")).partition(" (")
        original = plain(s.original_metadata.as_dictionary())
        out.append(
            {
                "path": original.get("dataset_path"),
                "field": None,
                "dims": [a["name"] for a in axes] if fits else [f"axis {i}" for i in range(array.ndim)],
                "axes": axes,
                "array": array.reshape(sizes) if fits else array,
                "units": units.rstrip(")") or original.get("units"),
                "quantity": quantity or original.get("quantity"),
                "title": s.metadata.get_item("General.title", None),
                "metadata": None,
                "original_metadata": original,
            }
        )
    return out


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def hyperspy_nsid(path: str) -> list[Any]:
    return hyperspy(path, "nexus")


def hyperspy_usid(path: str) -> list[Any]:
    return hyperspy(path, "USID")


READERS: dict[str, tuple[Callable[[str], list[Any]], tuple[str, ...]]] = {
    "ours": (ours, ("sid_xarray", "sid_xarray.io.backends", "dask.array")),
    "pyNSID": (pynsid, ("pyNSID.io.hdf_utils",)),
    "NSIDReader": (scifireaders_nsid, ("SciFiReaders",)),
    "HyperSpy, NeXus": (hyperspy_nsid, ("hyperspy.api", "rsciio.nexus")),
    "pyUSID": (pyusid, ("pyUSID",)),
    "Usid_reader": (scifireaders_usid, ("SciFiReaders",)),
    "HyperSpy, USID": (hyperspy_usid, ("hyperspy.api", "rsciio.usid")),
}


def attempt(read: Callable[[str], list[Any]], path: str, out: Path) -> None:
    """Read one file and write down what was seen; in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder) / Path(path).name)  # one of them opens for writing
        shutil.copyfile(path, copy)
        os.chdir(folder)
        try:
            found = read(copy)
        except BaseException as error:  # noqa: BLE001 - a peer may raise anything, even Warning
            said = {"error": type(error).__name__, "traceback": traceback.format_exc(limit=-3)}
            out.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
            return
        signals = [field for one in found for field in fields(one)]
        for i, one in enumerate(signals):
            array = np.asarray(one.pop("array"))
            np.save(f"{out}_{i}.npy", array if array.dtype.kind in "biufcSU" else array.astype(str), allow_pickle=False)
        out.with_suffix(".json").write_text(json.dumps(signals), encoding="utf-8")


def fields(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Split a compound array; its fields carry their units in their names."""
    array = np.asarray(one["array"])
    out = []
    for name in array.dtype.names or ():
        short, _, unit = name.partition(" [")
        out.append({**one, "field": name, "array": array[name], "units": unit.rstrip("]"), "quantity": short})
    return out or [one]


def limited(work: Callable[[], None], seconds: float) -> str:
    """Do something in a forked process, and tell how that ended: empty, or "hangs", or the name of a signal."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            work()
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


def main() -> None:
    name, folder, seconds = sys.argv[1:]
    read, modules = READERS[name]
    with contextlib.redirect_stdout(sys.stderr):
        if not hasattr(np, "product"):
            np.product = np.prod  # pyUSID 0.0.12 needs it, and numpy 2 dropped it
        for module in modules:
            importlib.import_module(module)
    for i, path in enumerate(sys.stdin.read().splitlines()):
        out = Path(folder) / str(i)
        end = limited(lambda path=path, out=out: attempt(read, path, out), float(seconds))
        if end or not out.with_suffix(".json").exists():
            out.with_suffix(".json").write_text(json.dumps({"error": end or "nothing"}), encoding="utf-8")


if __name__ == "__main__":
    main()
