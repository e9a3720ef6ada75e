"""What a reader makes of files: each file in a process of its own, with limits, since a reader may hang or crash.

usage: readers.py READER FOLDER SECONDS BATCH < files, one a line
Run by an interpreter that has the reader. The reader is imported once, and forks for every BATCH of files; what it
saw comes to FOLDER: ``N.json`` for file N, arrays beside it as ``N_M.npy``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
os.environ.setdefault("MPLBACKEND", "Agg")

sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py  # noqa: E402
import numpy as np  # noqa: E402

from forks import limited  # noqa: E402


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


def h5netcdf(path: str) -> list[Any]:
    import xarray as xr

    out = []
    tree = xr.open_datatree(path, engine="h5netcdf", decode_timedelta=True)
    for node in tree.subtree:
        if "_sid_xarray" in node.path:
            continue
        for name, da in node.data_vars.items():
            axes = [
                axis(k, c.values, c.attrs.get("units"), c.attrs.get("long_name"), over=map(str, c.dims))
                for k, c in da.coords.items()
            ]
            out.append(
                {
                    "path": None,
                    "field": None,
                    "dims": list(map(str, da.dims)),
                    "axes": axes,
                    "array": da.values,
                    "units": da.attrs.get("units"),
                    "quantity": da.attrs.get("long_name"),
                    "title": str(name),
                    "metadata": None,
                    "original_metadata": None,
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
    "h5netcdf": (h5netcdf, ("xarray", "h5netcdf", "dask.array")),
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
            signals = [field for one in read(copy) for field in fields(one)]
            arrays = [storable(one.pop("array")) for one in signals]
        except BaseException as error:  # noqa: BLE001 - a peer may raise anything, even Warning
            said = {"error": type(error).__name__, "traceback": traceback.format_exc(limit=-3)}
            note(out, said)
            return
        for i, (one, (array, dtype)) in enumerate(zip(signals, arrays, strict=True)):
            one["dtype"] = dtype
            np.save(f"{out}_{i}.npy", array, allow_pickle=False)
        note(out, signals)


def storable(values: Any) -> tuple[np.ndarray[Any, Any], str]:
    """Return an array that a file can hold, and the dtype that it had."""
    array = np.asarray(values)
    if array.dtype.kind in "biufcSUMm":
        return array, array.dtype.str
    flat = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in array.ravel().tolist()]
    return np.array(flat, dtype=str).reshape(array.shape), array.dtype.str


def note(out: Path, content: Any) -> None:
    """Write a file whole or not at all."""
    part = out.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(out.with_suffix(".json"))


def fields(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Split a compound array; its fields carry their units in their names."""
    array = np.asarray(one["array"])
    out = []
    for name in array.dtype.names or ():
        short, _, unit = name.partition(" [")
        out.append({**one, "field": name, "array": array[name], "units": unit.rstrip("]"), "quantity": short})
    return out or [one]


def main() -> None:
    name, folder, seconds, batch = sys.argv[1:]
    read, modules = READERS[name]
    with contextlib.redirect_stdout(sys.stderr):
        if not hasattr(np, "product"):
            setattr(np, "product", np.prod)  # noqa: B010 - pyUSID 0.0.12 needs it, and numpy 2 dropped it
        for module in modules:
            importlib.import_module(module)
    outs = [(path, Path(folder) / str(i)) for i, path in enumerate(sys.stdin.read().splitlines())]
    while outs:
        part = outs[: int(batch)]
        done, end = limited([functools.partial(attempt, read, *job) for job in part], float(seconds))
        if end:
            note(part[done][1], {"error": end})
        outs = outs[done + bool(end) :]


if __name__ == "__main__":
    main()
