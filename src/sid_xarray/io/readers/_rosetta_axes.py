"""Axes of rosettasciio, with what is known to be wrong in them put right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io.readers.signal import axis
from sid_xarray.schema import kinds
from sid_xarray.schema import units as _units

__all__ = ["axes_of"]

_NAMES = {
    "height": "y", "width": "x", "dx": "kx", "dy": "ky", "image_x": "kx", "image_y": "ky", "scan_x": "x", "scan_y": "y",
    "energy_loss_ev": "energy_loss", "wavelength_nm": "wavelength", "abs_distance": "distance",
    "x_ray_energy": "energy",
}  # fmt: skip
_SPECTRAL = re.compile(r"energy|wavelength|raman|wavenumber|frequency|mass|m/z|loss|bias|voltage", re.IGNORECASE)
_UNITS = {
    "n_m": "nm", "[n_m]": "nm", "p_m": "pm", "u_m": "um", "µ_m": "um", "Seconds": "s", "Angle": "1", "points": "1",
    "channels": "1", "pix": "1", "px": "1", "[]": "1", "test_units": "1", "Energy Loss (eV)": "eV", "m/z": "u",
}  # fmt: skip


def axes_of(
    given: Sequence[Mapping[str, Any]], shape: Sequence[int], plugin: str
) -> tuple[list[xr.Variable], tuple[int, ...]]:
    """Return the axes in the order to show them in, and that order: signal axes last.

    Parameters
    ----------
    given : sequence of dict
        As the plug-in gave them, in any order, or none.
    shape : sequence of int
        Of the values.
    plugin : str
    """
    found = _in_order(given, shape)
    units = [_unit(one.get("units"), plugin) for one in found]
    names = _names(found, units, len(shape))
    types = [_type(name, unit, i, units, names) for i, (name, unit) in enumerate(zip(names, units, strict=True))]
    axes = [
        _axis(name, size, one, unit, kind)
        for name, size, one, unit, kind in zip(names, shape, found, units, types, strict=True)
    ]
    order = sorted(range(len(shape)), key=lambda i: types[i] in ("spectral", "reciprocal", "channel"))
    for x, y in (("x", "y"), ("kx", "ky")):  # lines are rows, in whichever order a file keeps them
        if x in names and y in names:
            i, j = (order.index(names.index(d)) for d in (x, y))
            if i < j:
                order[i], order[j] = order[j], order[i]
    return [axes[i] for i in order], tuple(order)


def _in_order(given: Sequence[Mapping[str, Any]], shape: Sequence[int]) -> list[Mapping[str, Any]]:
    """Return one axis a dimension, in the order of the values.

    ``index_in_array`` transposes labels in some files: it counts only if every size then fits, as the list does not.
    """
    if len(given) != len(shape):
        return [{} for _ in shape]
    sizes = [_size(one) for one in given]
    if all(a in (None, b) for a, b in zip(sizes, shape, strict=True)):
        by_list = list(given)
    else:
        by_list = None
    indices = [one.get("index_in_array") for one in given]
    if all(i is not None for i in indices) and sorted(int(i) for i in indices if i is not None) == list(
        range(len(shape))
    ):
        turned = sorted(range(len(given)), key=lambda k: int(indices[k] or 0))
        if all(sizes[k] in (None, n) for k, n in zip(turned, shape, strict=True)):
            return [given[k] for k in turned]
    return by_list if by_list is not None else list(given)


def _size(one: Mapping[str, Any]) -> int | None:
    if one.get("size") is not None:
        return int(one["size"])
    return len(one["axis"]) if one.get("axis") is not None else None


def _unit(text: Any, plugin: str) -> str:
    word = "" if text is None else str(text).strip()
    if word in ("<undefined>", "", "None"):
        return "1"
    word = _UNITS.get(word, word)
    # Microscopists mean the ångström; nobody scans over a current.
    if word in ("A", "1/A"):
        word = word.replace("A", "angstrom")
    return _units.normalise(word).canonical


def _names(found: Sequence[Mapping[str, Any]], units: Sequence[str], ndim: int) -> list[str]:
    default = {1: ["x"], 2: ["y", "x"], 3: ["frame", "y", "x"], 4: ["y", "x", "ky", "kx"]}.get(ndim)
    default = default or [f"d{i}" for i in range(ndim - 4)] + ["y", "x", "ky", "kx"]
    out: list[str] = []
    for i, one in enumerate(found):
        text = one.get("name")
        text = "" if text is None or str(text) == "<undefined>" else str(text)
        word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
        word = _NAMES.get(word, word) or default[i]
        if not text and ndim == 1 and _units.dimensionality(units[i]) == "energy":
            word = "energy"
        if word in out:  # a scan and its patterns are both called x and y in some files
            word = {"x": "kx", "y": "ky"}.get(word, f"{word}_1") if text else f"d{i}"
        while word in out:
            word += "_1"
        out.append(word)
    return out


def _type(name: str, unit: str, i: int, units: Sequence[str], names: Sequence[str]) -> str | None:
    """Return what an axis is: from its name, where units may mean several things, then from its units."""
    measured = _units.dimensionality(unit) or ""
    if name in ("kx", "ky") and len(names) >= 3:  # of a detector, whatever its pixels are measured in
        return "reciprocal"
    if _SPECTRAL.search(name) or measured in ("energy", "voltage", "frequency"):
        return "spectral"
    if measured == "length":
        return "spatial"
    if unit == "1/cm":
        return "spectral"
    if measured in ("inverse_length", "angle"):
        return "reciprocal"
    if measured == "time":
        return "temporal"
    by_name = kinds.dimension_type_from_name(name)
    if by_name == "reciprocal" and len(names) != 4:
        return None
    return by_name


def _axis(name: str, size: int, one: Mapping[str, Any], unit: str, kind: str | None) -> xr.Variable:
    label = one.get("name")
    label = str(label) if isinstance(label, str) and label not in ("", "<undefined>") else None
    positions = one.get("axis")
    if positions is not None and len(positions) == size:
        return axis(name, size, np.asarray(positions, float), units=unit, kind=kind, label=label)
    try:
        scale, offset = float(one.get("scale", 1.0)), float(one.get("offset", 0.0))
    except (TypeError, ValueError):
        scale, offset = 1.0, 0.0
    if scale == 0:
        scale, offset, unit = 1.0, 0.0, "1"
    return axis(name, size, scale, offset, units=unit, kind=kind, label=label)
