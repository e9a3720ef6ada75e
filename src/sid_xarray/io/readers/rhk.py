"""RHK (``.sm4``), by spym: images and spectra."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import MissingDependencyError
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read", "sniff"]

_MAX_OBJECTS = 1024
_FLOATS = {1, 6, 9, 10, 11, 13, 18, 19, 21, 22}
_MARK = "STiMage".encode("utf-16-le")


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file has the signature of RHK, which stands behind two bytes."""
    return head[2 : 2 + len(_MARK)] == _MARK


def read(source: Source) -> Iterator[Signal]:
    """Read every page: images over (y, x), spectra over (curve, bias).

    spym finds the pages and what is said about them; values stay in the file. Row 0 is the top, x runs to the right.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Lazy, except for spectra of uneven steps.

    Raises
    ------
    FormatError
        If a page is damaged or the file is cut off.
    """
    with source.on_disk() as path:
        file = _parser().RHKsm4(path)
        try:
            pages = list(file)
        finally:
            close = getattr(getattr(file, "_file", None), "close", None)
            if close is not None:
                close()
    count = 0
    for page in pages:
        for signal in _page(source, page):
            count += 1
            yield signal
    if not count:
        raise source.error("holds no images and no spectra")


def _parser() -> Any:
    """Import the one module of spym that reads files: the package would bring all it draws with.

    It is a copy of our own, so that a damaged list of objects can be stopped.
    """
    found = importlib.util.find_spec("spym")
    place = os.path.join((found.submodule_search_locations or [""])[0], "io", "rhksm4", "_sm4.py") if found else ""
    spec = importlib.util.spec_from_file_location("_sid_spym_sm4", place)
    if spec is None or spec.loader is None or not os.path.exists(place):
        raise MissingDependencyError("spym", "spm", "reading RHK files")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    read_list = module.RHKObjectContainer._read_object_list

    def bounded(self: Any, sm4: Any) -> None:
        if self._object_list_count > _MAX_OBJECTS:
            raise ValueError(f"a list of {self._object_list_count} objects makes no sense")
        read_list(self, sm4)

    module.RHKObjectContainer._read_object_list = bounded
    return module


def _page(source: Source, page: Any) -> Iterator[Signal]:
    said = page.attrs
    nx, ny = int(said["RHK_Xsize"]), int(said["RHK_Ysize"])
    label = str(said.get("RHK_Label") or page.label).strip()
    start = int(page._get_offset("RHK_OBJECT_PAGE_DATA"))
    scale, offset = float(said["RHK_Zscale"]), float(said["RHK_Zoffset"])
    floating = int(said["RHK_LineType"]) in _FLOATS
    kept: dict[str, Any] = {
        "scale": 1.0 if floating else scale,
        "offset": 0.0 if floating else offset,
        "where": label,
    }
    dtype = "<f4" if floating else "<i4"
    both: dict[str, Any] = {"quantity": label, "modality": "SPM", "original": _plain(said)}
    units = _unit(said.get("RHK_Zunits"))
    if int(said["RHK_PageDataType"]) == 0 and min(nx, ny) > 0:
        word = {0: "forward", 1: "backward"}.get(int(said["RHK_ScanType"]), "")
        flip_x, flip_y = float(said["RHK_Xscale"]) < 0, float(said["RHK_Yscale"]) > 0
        data = source.array(
            dtype,
            (ny, nx),
            start=start + 4 * (nx * (ny - 1) if flip_y else 0) + 4 * (nx - 1 if flip_x else 0),
            strides=(-4 * nx if flip_y else 4 * nx, -4 if flip_x else 4),
            **kept,
        )
        metadata = _metadata(said) | {"acquisition/line_direction": word}
        yield Signal(f"{label}_{word}" if word else label, data, _plane(said, nx, ny), units, metadata=metadata, **both)
    elif int(said["RHK_PageDataType"]) == 1 and min(nx, ny) > 0:
        yield _lines(source, page, label, units, nx, ny, source.array(dtype, (ny, nx), start=start, **kept), both)


def _plane(said: dict[str, Any], nx: int, ny: int) -> list[xr.Variable]:
    """Return y, falling, and x, rising; the offset is the position of the first stored point."""
    out = []
    for d, count in (("Y", ny), ("X", nx)):
        step, start = float(said[f"RHK_{d}scale"]), float(said[f"RHK_{d}offset"])
        turned = step > 0 if d == "Y" else step < 0
        positions = start + step * np.arange(count)
        out.append(axis(d.lower(), count, positions[::-1] if turned else positions,
                        units=_unit(said.get(f"RHK_{d}units")), kind="spatial"))  # fmt: skip
    return out


def _lines(
    source: Source, page: Any, label: str, units: str, nx: int, ny: int, data: Any, both: dict[str, Any]
) -> Signal:
    said = page.attrs
    x_units = _unit(said.get("RHK_Xunits"))
    kind = _units.dimensionality(x_units) or ""
    dim = {"voltage": "bias", "time": "time", "frequency": "frequency", "length": "z"}.get(kind, "sweep")
    positions: Any = float(said["RHK_Xoffset"]) + float(said["RHK_Xscale"]) * np.arange(nx)
    if int(said["RHK_LineType"]) == 22:  # steps of any width: the first line holds the positions
        positions, data = np.asarray(page.coords[1][1], float), np.ascontiguousarray(page.data.T)
    sweep = axis(dim, nx, positions, units=x_units, kind="spectral")
    if ny == 1 and not isinstance(data, np.ndarray):
        data.shape, data.strides = data.shape[1:], data.strides[1:]
        return Signal(label, data, [sweep], units, metadata=_metadata(said), **both)
    curves = axis("curve", ny, 1.0, 0.0, kind="unknown")
    coords = {}
    for d in "xy":
        where = np.atleast_1d(said.get(f"RHK_SpecDrift_{d.upper()}coord", []))
        if where.size == ny:
            coords[f"{d}_position"] = xr.Variable(("curve",), where.astype(float), {"units": "m"})
    return Signal(label, data, [curves, sweep], units, metadata=_metadata(said), coords=coords, **both)


def _unit(text: Any) -> str:
    return _units.normalise(str(text or "").strip() or "1").canonical


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for key, value in said.items():
        if isinstance(value, np.ndarray) and value.size > 1024:
            continue
        out[key] = value if isinstance(value, str | int | float | np.generic | np.ndarray | bytes) else str(value)
    return out


def _metadata(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "instrument/vendor": "RHK",
        "instrument/technique": "STM",
        "acquisition/start_time": said.get("RHK_DateTime"),
        "acquisition/comment": said.get("RHK_UserText"),
        "acquisition/scan_angle": said.get("RHK_Angle"),
        "acquisition/scan_size_x": abs(float(said["RHK_Xscale"])) * int(said["RHK_Xsize"])
        if said.get("RHK_Xunits") == "m"
        else None,
        "acquisition/scan_size_y": abs(float(said["RHK_Yscale"])) * int(said["RHK_Ysize"])
        if said.get("RHK_Yunits") == "m"
        else None,
        "acquisition/dwell_time": said.get("RHK_Period"),
        "probe/bias": said.get("RHK_Bias"),
        "probe/current": said.get("RHK_Current"),
    }
