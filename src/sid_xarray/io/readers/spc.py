"""Galactic SPC (``.spc``), by spc-io: spectra of any kind."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

# What the number of a type of axis means, as the format numbers them.
_X = {1: ("wavenumber", "1/cm"), 2: ("wavelength", "um"), 3: ("wavelength", "nm"), 4: ("time", "s"),
      5: ("time", "min"), 6: ("frequency", "Hz"), 7: ("frequency", "kHz"), 8: ("frequency", "MHz"), 9: ("mz", "u"),
      10: ("chemical_shift", "ppm"), 11: ("time", "day"), 13: ("raman_shift", "1/cm"),
      14: ("energy", "eV")}  # fmt: skip
_Y = {1: ("interferogram", "1"), 2: ("absorbance", "1"), 4: ("counts", "count"), 5: ("voltage", "V"),
      7: ("current", "mA"), 11: ("percent", "percent"), 12: ("intensity", "1"), 128: ("transmittance", "1"),
      129: ("reflectance", "1")}  # fmt: skip


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file is SPC of the newer kind, little-endian; EDAX uses the suffix, too."""
    return len(head) > 512 and head[1:2] == b"\x4b" and path.lower().endswith(".spc")


def read(source: Source) -> Iterator[Signal]:
    """Read the spectra: one, or several on one axis over (spectrum, axis).

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        In memory.

    Raises
    ------
    FormatError
        If the file is damaged or cut off.
    """
    import spc_io

    head = source.read(0, 512, "header")
    (points,) = struct.unpack("<I", head[4:8])
    (count,) = struct.unpack("<I", head[24:28])
    if not 0 < count < 2**20 or ((head[0] & 0x40) == 0 and points * (2 if head[0] & 1 else 4) > source.size):
        raise source.error(f"says that it holds {count} spectra of {points} points. It is cut off, or damaged")
    file = spc_io.SPC.from_bytes_io(io.BytesIO(source.read()))
    name, units = _X.get(head[28], ("x", "1"))
    quantity, of = _Y.get(head[29], ("intensity", "1"))
    comment = head[88:218].partition(b"\0")[0].decode("latin-1").strip()
    when = getattr(file, "date", None)
    kept: dict[str, Any] = {
        "modality": "Raman" if name == "raman_shift" else None,
        "metadata": {
            "acquisition/start_time": when.isoformat() if when else None,
            "acquisition/comment": comment,
            "instrument/model": head[45:54].partition(b"\0")[0].decode("latin-1").strip(),
        },
        "original": {"comment": comment, "log": str(getattr(getattr(file, "log_book", None), "text", "") or "")},
    }
    spectra = [
        (np.asarray(one.xarray, float), np.asarray(one.yarray, float)) for one in (file[i] for i in range(len(file)))
    ]
    if not spectra:
        raise source.error("holds no spectra")
    units = _units.normalise(units).canonical
    label = name.replace("_", " ").capitalize() if "_" in name else None
    same = all(x.shape == spectra[0][0].shape and np.array_equal(x, spectra[0][0]) for x, _ in spectra)
    if len(spectra) == 1 or not same:
        for number, (x, y) in enumerate(spectra):
            group = "" if len(spectra) == 1 else f"spectrum_{number}"
            along = axis(name, len(x), x, units=units, kind="spectral", label=label)
            yield Signal(quantity, y, [along], of, group=group, **kept)
        return
    axes = [axis("spectrum", len(spectra), kind="unknown"),
            axis(name, len(spectra[0][0]), spectra[0][0], units=units, kind="spectral", label=label)]  # fmt: skip
    yield Signal(quantity, np.stack([y for _, y in spectra]), axes, of, **kept)
