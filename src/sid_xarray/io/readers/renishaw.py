"""Renishaw WiRE (``.wdf``), by renishawWiRE: spectra, series, lines and maps."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers._text import plain
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read"]

_AXES = {"RamanShift": ("raman_shift", "1/cm"), "Nanometre": ("wavelength", "nm"), "Wavenumber": ("wavenumber", "1/cm"),
         "ElectronVolt": ("energy", "eV"), "Arbitrary": ("channel", "1")}  # fmt: skip
_MOST_PIXELS = 2**26
_LENGTHS = {"Micron": "um", "Millimetre": "mm", "Metre": "m", "Nanometre": "nm"}


def read(source: Source, *, picture: bool = False) -> Iterator[Signal]:
    """Read the spectra: over (y, x, shift) for a map, (distance, shift) for a line, (point, shift) otherwise.

    Lines of a map stay in the order in which they were measured; the coordinates say where they lie.

    Parameters
    ----------
    source : Source
    picture : bool, default: False
        Read the white-light picture of the place, too, over (y, x, channel). It needs pillow.

    Yields
    ------
    Signal
        Lazy.

    Raises
    ------
    FormatError
        If the file is damaged or cut off.
    """
    from renishawWiRE import WDFReader

    start, size = _blocks(source)
    with source.on_disk() as path:
        file = WDFReader(path)
        jpeg = file.img.getvalue() if hasattr(file, "img") else b""
        file.close()
    count, points = int(file.count), int(file.point_per_spectrum)
    if count < 1 or points < 1 or size < 4 * count * points:
        raise source.error(f"should hold {count} spectra of {points} points, its block of data has {size} bytes")
    name, units = _AXES.get(getattr(file.xlist_unit, "name", ""), ("spectral", "1"))
    label = "Raman shift" if name == "raman_shift" else None
    spectral = axis(name, points, np.asarray(file.xdata, float), units=units, kind="spectral", label=label)
    metadata, original = _metadata(file), _original(file)
    before, shape, coords = _positions(file, count)
    data = source.array("<f4", (*shape, points), start=start, where="DATA")
    yield Signal("intensity", data, [*before, spectral], "count", title=str(file.title or "").strip() or None,
                 modality="Raman", metadata=metadata, original=original, coords=coords)  # fmt: skip
    if picture:
        yield _picture(source, file, jpeg)


def _picture(source: Source, file: Any, jpeg: bytes) -> Signal:
    if not jpeg or getattr(file, "img_dimensions", None) is None:
        raise source.error("has no picture that pillow reads. Leave picture=True away", "block b'WHTL'")
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as found:
        if found.width * found.height > _MOST_PIXELS:
            raise source.error(f"has a picture of {found.width} × {found.height} pixels: refused", "block b'WHTL'")
        values = np.asarray(found.convert("RGB"))
    unit = _LENGTHS.get(getattr(file.img_dimension_unit, "name", ""), "um")
    sizes, starts = (dict(zip("xy", map(float, pair), strict=True)) for pair in (file.img_dimensions, file.img_origins))
    axes = [
        axis(d, n, sizes[d] / n, starts[d], units=unit, kind="spatial")
        for d, n in zip("yx", values.shape[:2], strict=True)
    ]
    colours = axis("channel", 3, kind="channel", label="red, green, blue")
    return Signal("white_light", values, [*axes, colours], "1", group="picture", modality="Raman",
                  metadata={"instrument/vendor": "Renishaw"})  # fmt: skip


def _blocks(source: Source) -> tuple[int, int]:
    """Return where the spectra start and how many bytes they have, having walked over all blocks."""
    here, found = 0, (0, 0)
    while here + 16 <= source.size:
        raw = source.read(here, 16, "block")
        name, size = raw[:4], struct.unpack("<Q", raw[8:])[0]
        if size < 16 or here + size > source.size:
            said = f"says that it has {size} bytes, there are {source.size - here}"
            raise source.error(f"{said}. It is cut off, or damaged", f"block {name!r}")
        if name == b"DATA":
            found = (here + 16, size - 16)
        here += size
    if not found[0]:
        raise source.error("has no block of spectra (DATA)")
    return found


def _positions(file: Any, count: int) -> tuple[list[xr.Variable], tuple[int, ...], dict[str, xr.Variable]]:
    unit = _LENGTHS.get(getattr(getattr(file, "xpos_unit", None), "name", ""), "um")
    x, y = (np.atleast_1d(np.asarray(getattr(file, f"{d}pos", []), float)) for d in "xy")
    width, height = (int(n) for n in getattr(file, "map_shape", None) or (0, 0))
    if count == 1:
        return [], (), {}
    if width > 1 and height > 1 and width * height == count and x.size == y.size == count:
        grid_x, grid_y = x.reshape(height, width), y.reshape(height, width)
        if np.allclose(grid_x, grid_x[:1]) and np.allclose(grid_y, grid_y[:, :1]):
            axes = [
                axis("y", height, grid_y[:, 0], units=unit, kind="spatial"),
                axis("x", width, grid_x[0], units=unit, kind="spatial"),
            ]
            return axes, (height, width), {}
    coords: dict[str, xr.Variable] = {}
    along = axis("point", count, kind="unknown")
    if x.size == y.size == count and (np.ptp(x) or np.ptp(y)):
        distance = np.hypot(x - x[0], y - y[0])
        if (np.diff(distance) > 0).all():
            along = axis("distance", count, distance, units=unit, kind="spatial")
        dim = along.dims[0]
        coords = {f"{d}_position": xr.Variable((dim,), v, {"units": unit}) for d, v in (("x", x), ("y", y))}
    return [along], (count,), coords


def _original(file: Any) -> dict[str, Any]:
    names = ("title", "username", "measurement_type", "scan_type", "laser_length", "count", "spectral_unit",
             "xlist_type", "xlist_unit", "point_per_spectrum", "accumulation_count", "application_name",
             "application_version", "map_shape", "map_info", "is_completed")  # fmt: skip
    return {name: plain(getattr(file, name, None)) for name in names}


def _metadata(file: Any) -> dict[str, Any]:
    version = ".".join(str(n) for n in getattr(file, "application_version", []) or [])
    return {
        "instrument/vendor": "Renishaw",
        "instrument/software": f"{getattr(file, 'application_name', '')} {version}",
        "instrument/technique": "Raman",
        "acquisition/operator": getattr(file, "username", None),
        "beam/wavelength": (getattr(file, "laser_length", None), "nm"),
    }
