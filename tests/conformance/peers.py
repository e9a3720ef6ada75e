"""What the older packages see in NSID files; run by the interpreter of their environment, prints JSON.

usage: peers.py [--script CHECK.py] FILE...
The script is run on every file, too, as `CHECK.py --strict FILE`; its exit code is among the results.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import runpy
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

import h5py  # noqa: E402
import numpy as np  # noqa: E402


def checksum(values: Any) -> str:
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":
        return f"{array.dtype}"
    array = np.ascontiguousarray(array.astype("<c8" if array.dtype.kind == "c" else "<f8"))
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def of_sidpy(d: Any) -> dict[str, Any]:
    dims = [
        {
            "name": a.name,
            "units": a.units,
            "quantity": a.quantity,
            "type": a.dimension_type.name,
            "values": checksum(a.values),
        }
        for _, a in sorted(d._axes.items())
    ]
    return {
        "title": d.title,
        "shape": list(d.shape),
        "units": d.units,
        "quantity": d.quantity,
        "data_type": d.data_type.name,
        "modality": d.modality,
        "source": d.source,
        "dims": dims,
        "values": checksum(np.asarray(d)),
        "metadata": json.loads(json.dumps(d.metadata, default=str)),
        "original_metadata": json.loads(json.dumps(d.original_metadata, default=str)),
    }


def nsid_reader(path: str) -> list[Any]:
    import SciFiReaders

    reader = SciFiReaders.NSIDReader(path)
    try:
        return [of_sidpy(d) for d in reader.read().values()]
    finally:
        reader.close()


def pynsid(path: str) -> list[Any]:
    from pyNSID.io import hdf_utils

    with h5py.File(path) as file:
        return [of_sidpy(hdf_utils.read_h5py_dataset(main)) for main in hdf_utils.get_all_main(file)]


def hyperspy(path: str) -> list[Any]:
    import hyperspy.api as hs

    found = hs.load(path, reader="nexus")
    out = []
    for signal in found if isinstance(found, list) else [found]:
        axes = signal.axes_manager._axes
        dims = [
            {"name": str(a.name), "units": str(a.units), "values": np.asarray(a.axis, float).round(9).tolist()}
            for a in axes
        ]
        out.append(
            {
                "title": signal.metadata.General.title,
                "shape": list(signal.data.shape),
                "dims": dims,
                "values": checksum(signal.data),
            }
        )
    return out


def quietly(work: Callable[[str], list[Any]], path: str) -> Any:
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        copy = str(Path(folder) / Path(path).name)  # one of them opens for writing
        shutil.copyfile(path, copy)
        try:
            return work(copy)
        except BaseException:  # noqa: BLE001 - a peer may raise anything, even Warning
            return {"error": traceback.format_exc(limit=-3)}


def script(check: str, path: str) -> list[Any]:
    sys.argv = [check, "--strict", path]
    try:
        runpy.run_path(check, run_name="__main__")
    except SystemExit as end:
        return [end.code]
    return [0]


def main() -> None:
    readers: dict[str, Callable[[str], list[Any]]] = {"NSIDReader": nsid_reader, "pyNSID": pynsid, "hyperspy": hyperspy}
    paths = sys.argv[1:]
    if paths[0] == "--script":
        readers["script"] = functools.partial(script, paths[1])
        paths = paths[2:]
    json.dump({path: {name: quietly(work, path) for name, work in readers.items()} for path in paths}, sys.stdout)


if __name__ == "__main__":
    main()
