"""MRC (``.mrc``, ``.ccp4``, ``.map``): images, stacks and volumes, with headers read by mrcfile."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read", "sniff"]


def _order(raw: bytes) -> str:
    """Return the byte order: by the stamp of the machine, or by what makes the mode a mode."""
    stamp = raw[212:214]
    if stamp in (b"\x44\x44", b"\x44\x41"):
        return "<"
    return ">" if stamp == b"\x11\x11" or struct.unpack("<i", raw[12:16])[0] > 255 else "<"


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
    from mrcfile import dtypes, utils

    # The header only, and not by opening: a damaged one makes the library ask for gigabytes.
    raw = source.read(0, 1024, "header")
    header = np.frombuffer(raw, dtypes.HEADER_DTYPE.newbyteorder(_order(raw)), 1).view(np.recarray)[0]
    dtype = utils.data_dtype_from_header(header)
    shape = tuple(int(n) for n in utils.data_shape_from_header(header))
    extra, stack = int(header.nsymbt), int(header.ispg) == 0
    cells = {"x": (header.cella.x, header.mx), "y": (header.cella.y, header.my), "z": (header.cella.z, header.mz)}
    voxel = {d: float(length) / int(count) if count > 0 else 0.0 for d, (length, count) in cells.items()}
    lines = header.label[: max(0, min(int(header.nlabl), 10))].tolist()
    labels = [bytes(line).decode("latin-1").strip() for line in lines]
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
