"""Plain images: TIFF by tifffile, PNG and others by imageio, with the calibration of the file or that you give."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers._text import moment, plain
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "read_tiff"]

_AXES = {"Y": "y", "X": "x", "Z": "z", "T": "time", "C": "channel", "S": "channel", "I": "frame", "Q": "frame",
         "R": "frame"}  # fmt: skip
_MAX_VALUES = 2**30
PixelSize = tuple[float, str] | Mapping[str, tuple[float, str]]


def read_tiff(source: Source, *, pixel_size: PixelSize | None = None) -> Iterator[Signal]:
    """Read every series of a TIFF file over (…, y, x). Row 0 is the top, y runs down.

    Parameters
    ----------
    source : Source
    pixel_size : tuple or dict, optional
        ``(0.5, "nm")``, or one entry a dimension. It counts for more than what the file says.

    Yields
    ------
    Signal
        Lazy, if the file is not packed.

    Raises
    ------
    FormatError
        If the file is damaged or cut off.
    """
    import tifffile

    with source.on_disk() as path, tifffile.TiffFile(path) as file:
        series = list(file.series)
        if not series:
            raise source.error("holds no images")
        found = _calibration(file)
        for number, one in enumerate(series):
            yield _series(source, file, one, number, len(series), found, pixel_size)


def _series(
    source: Source, file: Any, one: Any, number: int, count: int, found: dict[str, Any], pixel_size: PixelSize | None
) -> Signal:
    shape, letters = tuple(int(n) for n in one.shape), str(one.axes)
    if int(np.prod(shape, dtype=object)) > _MAX_VALUES * 8:
        raise source.error(f"has a series of shape {shape}", f"series {number}")
    start = one.dataoffset
    data: Any
    if start is not None and one.dtype is not None:
        data = source.array(np.dtype(one.dtype).newbyteorder(file.byteorder), shape, start=int(start),
                            where=f"series {number}")  # fmt: skip
    else:
        data = one.asarray()
        if data.shape != shape:
            raise source.error(f"gives values of shape {data.shape}, says {shape}", f"series {number}")
    names = _named(letters, len(shape))
    steps = dict(found["steps"])
    steps |= _given(pixel_size, names)
    axes = [_axis(name, size, steps) for name, size in zip(names, shape, strict=True)]
    name = str(one.name or "").strip() or ("image" if count == 1 else f"image_{number}")
    return Signal(name, data, axes, "1", modality=found["modality"], metadata=found["metadata"],
                  original=found["original"])  # fmt: skip


def _named(letters: str, ndim: int) -> list[str]:
    out: list[str] = []
    for letter in letters if len(letters) == ndim else "QQQQQYX"[-ndim:]:
        name = _AXES.get(letter, letter.lower())
        while name in out:
            name += "_1"
        out.append(name)
    return out


def _given(pixel_size: PixelSize | None, names: list[str]) -> dict[str, tuple[float, str]]:
    if pixel_size is None:
        return {}
    if isinstance(pixel_size, Mapping):
        for name in pixel_size:
            if name not in names:
                raise ValueError(f"pixel_size names {name!r}; the dimensions are {names}")
        return dict(pixel_size)
    return dict.fromkeys(("y", "x"), (float(pixel_size[0]), str(pixel_size[1])))


def _axis(name: str, size: int, steps: Mapping[str, tuple[float, str]]) -> xr.Variable:
    step, unit = steps.get(name, (1.0, "1"))
    kind = "spatial" if name in ("x", "y", "z") else "channel" if name == "channel" else "temporal"
    return axis(name, size, step, units=_units.normalise(unit).canonical, kind=kind)


def _calibration(file: Any) -> dict[str, Any]:
    """Return steps, metadata and words of the microscopes that write them into TIFF."""
    steps: dict[str, tuple[float, str]] = {}
    metadata: dict[str, Any] = {}
    original: dict[str, Any] = {}
    modality = None
    fei, zeiss, imagej = file.fei_metadata, file.sem_metadata, file.imagej_metadata
    if fei:
        original, modality = {"fei": plain(fei)}, "SEM"
        scan = fei.get("Scan") or fei.get("EScan") or {}
        for d, key in (("x", "PixelWidth"), ("y", "PixelHeight")):
            if _positive(scan.get(key)):
                steps[d] = (float(scan[key]), "m")
        metadata = _fei(fei)
    elif zeiss:
        original, modality = {"zeiss": plain(zeiss)}, "SEM"
        size = zeiss.get("ap_image_pixel_size") or zeiss.get("ap_pixel_size")
        if size and len(size) > 2 and _positive(size[1]):
            steps = dict.fromkeys(("x", "y"), (float(size[1]), str(size[2])))
        energy = zeiss.get("ap_actualkv") or zeiss.get("ap_manualkv")
        if energy and len(energy) > 2 and _positive(energy[1]):
            metadata["beam/energy"] = (float(energy[1]), "keV" if str(energy[2]).lower() == "kv" else "eV")
        metadata["instrument/vendor"] = "Zeiss"
    elif imagej:
        original = {"imagej": plain(imagej)}
        steps = _resolution(file.pages[0], str(imagej.get("unit") or ""))
        if _positive(imagej.get("spacing")):
            steps["z"] = (float(imagej["spacing"]), str(imagej.get("unit") or "1"))
        if _positive(imagej.get("finterval")):
            steps["time"] = (float(imagej["finterval"]), "s")
    return {"steps": steps, "metadata": metadata, "original": original, "modality": modality}


def _resolution(page: Any, unit: str) -> dict[str, tuple[float, str]]:
    out = {}
    for d, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = page.tags.get(tag)
        if value is not None and value.value[0] and unit not in ("", "pixel", "inch"):
            out[d] = (value.value[1] / value.value[0], unit.replace("\\u00B5", "u"))
    return out


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < 1e30


def _fei(tree: Mapping[str, Any]) -> dict[str, Any]:
    beam, system, stage = (tree.get(key) or {} for key in ("Beam", "System", "Stage"))
    user, detectors = tree.get("User") or {}, tree.get("Detectors") or {}
    energy = beam.get("HV") or (tree.get("EBeam") or {}).get("HV")
    entries = {
        "instrument/vendor": "Thermo Fisher (FEI)",
        "instrument/model": system.get("SystemType"),
        "instrument/software": system.get("Software"),
        "instrument/technique": "SEM",
        "acquisition/start_time": moment(f"{user.get('Date')} {user.get('Time')}", "%m/%d/%Y %I:%M:%S %p"),
        "acquisition/operator": user.get("User"),
        "acquisition/dwell_time": (tree.get("Scan") or {}).get("Dwelltime"),
        "beam/energy": energy,
        "detector/name": detectors.get("Name"),
    }
    entries |= {f"stage/{d}": stage.get(f"Stage{d.upper()}") for d in "xyz"}
    return {k: v for k, v in entries.items() if v not in (None, "")}


def read(source: Source, *, pixel_size: PixelSize | None = None) -> Iterator[Signal]:
    """Read a picture (PNG, JPEG, BMP …) over (y, x), with a channel for every colour. Row 0 is the top.

    Parameters
    ----------
    source : Source
    pixel_size : tuple or dict, optional
        ``(0.5, "nm")``, or one entry a dimension.

    Yields
    ------
    Signal
        In memory.

    Raises
    ------
    FormatError
        If the picture is damaged, or has more than 2³⁰ values.
    """
    import imageio.v3 as iio

    raw = source.read()
    said = iio.improps(io.BytesIO(raw), extension=source.suffix or None)
    if int(np.prod(said.shape, dtype=object)) > _MAX_VALUES:
        raise source.error(f"has the shape {said.shape}: refused")
    values = np.asarray(iio.imread(io.BytesIO(raw), extension=source.suffix or None))
    names = {2: ["y", "x"], 3: ["y", "x", "channel"], 4: ["frame", "y", "x", "channel"]}.get(values.ndim)
    if names is None:
        raise source.error(f"has values of shape {values.shape}")
    steps = _given(pixel_size, names)
    yield Signal("image", values, [_axis(n, s, steps) for n, s in zip(names, values.shape, strict=True)], "1")
