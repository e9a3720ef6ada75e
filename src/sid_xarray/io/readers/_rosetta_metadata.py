"""What rosettasciio says about a signal, in the common words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from sid_xarray.io.readers._text import moment, split_unit

__all__ = ["Said", "original", "said"]

_MAX_ARRAY = 4096


@dataclass
class Said:
    """Title, quantity, units, kind of signal and metadata."""

    title: str = ""
    quantity: str = ""
    units: str = "1"
    modality: str = ""
    common: dict[str, Any] = field(default_factory=dict)


def said(found: Mapping[str, Any], plugin: str) -> Said:
    """Return what is said about a signal.

    Parameters
    ----------
    found : mapping
        As a plug-in gave it.
    plugin : str
        Which one.
    """
    tree = _translated(found)
    out = Said()
    title = _leaf(tree, "General", "title")
    out.title = str(title).strip() if title not in (None, "None") else ""
    quantity = _leaf(tree, "Signal", "quantity")
    if isinstance(quantity, str) and quantity.strip():
        out.quantity, out.units = split_unit(quantity)
    kind = _leaf(tree, "Signal", "signal_type")
    instruments = _leaf(tree, "Acquisition_instrument")
    scope = next((v for v in instruments.values() if isinstance(v, Mapping)), {}) if instruments else {}
    mode = next((k for k, v in (instruments or {}).items() if isinstance(v, Mapping)), "")
    out.modality = str(kind or "") or {"TEM": "TEM", "SEM": "SEM"}.get(mode, "")
    out.common = _common(tree, scope, str(kind or "") or mode) | _lengths(found, scope, plugin)
    return out


def _lengths(found: Mapping[str, Any], scope: Any, plugin: str) -> dict[str, Any]:
    """Return lengths that some plug-ins leave in metres, where the common tree has millimetres."""
    out: dict[str, Any] = {}
    if plugin == "blockfile":
        out["beam/camera_length"] = (_number(_leaf(scope, "camera_length")), "m")
    if plugin == "emd":  # the plug-in rounds to a micrometre
        place = _leaf(found.get("original_metadata"), "Stage", "Position")
        out |= {f"stage/{d}": (_number(_leaf(place, d)), "m") for d in "xyz"}
    return {k: v for k, v in out.items() if v[0] is not None}


def _translated(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata, with what the plug-in knows how to translate from the vendor's own words."""
    out = _copied(found.get("metadata") or {})
    own = found.get("original_metadata") or {}
    for path, (place, translate) in (found.get("mapping") or {}).items():
        value = _leaf(own, *path.split("."))
        try:
            value = translate(value) if translate is not None and value is not None else value
        except Exception:  # noqa: BLE001 - it is code of others, on words that may be anything
            continue
        if value is None or value == "":
            continue
        *above, last = place.split(".")
        here = out
        for key in above:
            inner = here.setdefault(key, {})
            here = inner if isinstance(inner, dict) else {}
        here[last] = value
    return out


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {str(k): _copied(v) if isinstance(v, Mapping) else v for k, v in tree.items()}


def _common(tree: Mapping[str, Any], scope: Any, technique: str) -> dict[str, Any]:
    day, time = str(_leaf(tree, "General", "date") or ""), str(_leaf(tree, "General", "time") or "")
    day = (moment(day, "%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d") or day).partition("T")[0]
    detector = _leaf(scope, "Detector") or {}
    eels, eds, camera = (_leaf(detector, key) or {} for key in ("EELS", "EDS", "Camera"))
    mode = _leaf(scope, "acquisition_mode")
    entries: dict[str, Any] = {
        "instrument/model": _leaf(scope, "microscope"),
        "instrument/technique": technique,
        "acquisition/start_time": "T".join(filter(None, (day, time))) or None,
        "acquisition/operator": _leaf(tree, "General", "authors"),
        "acquisition/comment": _leaf(tree, "General", "notes"),
        "beam/energy": (_number(_leaf(scope, "beam_energy")), "keV"),
        "beam/current": (_number(_leaf(scope, "beam_current")), "nA"),
        "beam/convergence_angle": (_number(_leaf(scope, "convergence_angle")), "mrad"),
        "beam/magnification": _number(_leaf(scope, "magnification")),
        "beam/camera_length": (_number(_leaf(scope, "camera_length")), "mm"),
        "beam/mode": mode if isinstance(mode, str) else None,
        "acquisition/dwell_time": _number(_leaf(scope, "dwell_time") or _leaf(eels, "dwell_time")),
        "detector/name": _leaf(tree, "Signal", "Detector", "name") or _leaf(eds, "model"),
        "detector/exposure": _number(_leaf(eels, "exposure") or _leaf(camera, "exposure")),
        "detector/collection_angle": (_number(_leaf(eels, "collection_angle")), "mrad"),
        "detector/elevation_angle": _number(_leaf(eds, "elevation_angle")),
        "detector/azimuth_angle": _number(_leaf(eds, "azimuth_angle")),
        "detector/live_time": _number(_leaf(eds, "live_time")),
        "detector/real_time": _number(_leaf(eds, "real_time")),
        "detector/energy_resolution": _number(_leaf(eds, "energy_resolution_MnKa")),
    }
    for key, there in (("x", "x"), ("y", "y"), ("z", "z")):
        entries[f"stage/{key}"] = (_number(_leaf(scope, "Stage", there)), "mm")
    for key, there in (("alpha", "tilt_alpha"), ("beta", "tilt_beta")):
        entries[f"stage/{key}"] = _number(_leaf(scope, "Stage", there))
    laser = _leaf(scope, "Laser") or _leaf(tree, "Acquisition_instrument", "Laser") or {}
    entries["beam/wavelength"] = (_number(_leaf(laser, "wavelength")), "nm")
    entries["sample/name"] = _leaf(tree, "Sample", "name")
    entries["sample/description"] = _leaf(tree, "Sample", "description")
    return {k: v for k, v in entries.items() if v is not None and not (isinstance(v, tuple) and v[0] is None)}


def _leaf(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _number(value: Any) -> float | None:
    try:
        return float(np.asarray(value, dtype=float).ravel()[0]) if value is not None else None
    except (TypeError, ValueError, IndexError):
        return None


def original(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vendor's own tree; long arrays, which are values and no words, are named by their shape."""
    plain = _plain(found.get("original_metadata") or {})
    return plain if isinstance(plain, dict) else {"value": plain}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > 30:
        return "…"
    if isinstance(value, Mapping):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > _MAX_ARRAY:
            return f"list of {len(value)} items"
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.size > _MAX_ARRAY or array.dtype.names or array.dtype.kind == "V":
            return f"array of shape {array.shape} of {array.dtype}"
        if array.dtype.kind == "O":
            return _plain(array.tolist(), depth + 1)
        return value
    if isinstance(value, bytes):
        return value if len(value) <= _MAX_ARRAY else f"{len(value)} bytes"
    known = str | int | float | complex | bool | dt.datetime | dt.date | dt.time
    return value if value is None or isinstance(value, known) else str(value)
