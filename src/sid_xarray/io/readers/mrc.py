"""MRC (``.mrc``, ``.ccp4``, ``.map``): images, stacks and volumes, with headers read by mrcfile."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read", "sniff"]


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file starts with sizes and a mode that make sense; older files have no other mark."""
    if len(head) < 1024 or not path.lower().endswith((".mrc", ".ccp4", ".map", ".ali", ".rec")):
        return False
    for order in "<>":
        nx, ny, nz, mode = struct.unpack(f"{order}4i", head[:16])
        if all(0 < n < 2**24 for n in (nx, ny, nz)) and mode in (0, 1, 2, 3, 4, 6, 12, 101):
            return True
    return False


def read(source: Source) -> Iterator[Signal]:
    """Read the values over (y, x), (z, y, x) or (frame, y, x). Rows are as they are stored, y runs with them.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    import mrcfile
    from mrcfile import utils

    source.check(0, 1024, "header")
    with source.on_disk() as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mrcfile.open(path, header_only=True, permissive=True) as file:
            header = file.header
            if header is None:
                raise source.error("has no header that mrcfile can read")
            dtype = utils.data_dtype_from_header(header)
            shape = tuple(int(n) for n in utils.data_shape_from_header(header))
            extra, stack = int(header.nsymbt), int(header.ispg) == 0
            voxel = {d: float(getattr(file.voxel_size, d)) for d in "xyz"}
            labels = [str(line) for line in file.get_labels()]
            said = {name: _plain(header[name]) for name in header.dtype.names if name != "label"}
    if not 0 <= extra <= source.size:
        raise source.error(f"says that its extended header has {extra} bytes", "header")
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    data = source.array(dtype, shape, start=1024 + extra, where="values")
    names = ["volume", "z", "y", "x"][-len(shape) :]
    if stack and len(shape) == 3 and not voxel["z"]:
        names[0] = "frame"
    axes = []
    for name, size in zip(names, shape, strict=True):
        step = voxel.get(name, 0.0)
        # Lengths are in ångström; zero means that nobody said.
        axes.append(axis(name, size, step / 10 or 1.0, units="nm" if step > 0 else "1",
                         kind="spatial" if name in "zyx" else None))  # fmt: skip
    yield Signal("intensity", data, axes, "1", modality="TEM", metadata={"acquisition/comment": "\n".join(labels)},
                 original={"header": said, "labels": labels})  # fmt: skip


def _plain(value: Any) -> Any:
    if getattr(value, "dtype", None) is not None and value.dtype.names:
        return {name: _plain(value[name]) for name in value.dtype.names}
    if isinstance(value, np.void):
        return value.tobytes()
    return value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
