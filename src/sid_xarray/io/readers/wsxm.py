"""WSxM (Nanotec Electronica): images (``.top``, ``.tom`` …) and force curves (``.curves``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers import _text
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read"]

_DTYPES = {"short": "<i2", "integer": "<i4", "float": "<f4", "double": "<f8"}
_MAX_HEADER = 2**20
_MAX_CURVES = 100_000
Header = dict[str, dict[str, str]]


def read(source: Source) -> Iterator[Signal]:
    """Read the image over (y, x), or the curves over (curve, point).

    Files keep images turned by 180 degrees; row 0 is the top here.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        Images are lazy.

    Raises
    ------
    FormatError
        If the header is damaged or the file is cut off.
    """
    kind = source.head[:200].splitlines()[1:2]
    header, start = _header(source, 0)
    if kind and b"curves" in kind[0].lower():
        yield from _curves(source, header, start)
    else:
        yield _image(source, header, start)


def _header(source: Source, start: int) -> tuple[Header, int]:
    head = source.read(start, min(source.size - start, _MAX_HEADER), "header")
    size = re.search(rb"Image header size:\s*(\d{1,7})", head[:400])
    if size is None:
        raise source.error("has no 'Image header size'", f"byte {start}")
    length = int(size[1])
    source.check(start, length, "header")
    if b"[Header end]" not in head[:length]:
        raise source.error("has no end of the header. It is cut off, or damaged", f"byte {start}")
    out: Header = {}
    section = ""
    for raw in head[:length].decode("latin-1").splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            out.setdefault(section, {})
        elif section and ":" in line:
            key, _, value = line.partition(":")
            out[section][key.strip()] = value.strip()
    return out, start + length


def _get(header: Header, section: str, key: str) -> str:
    return header.get(section, {}).get(key, "")


def _quantity(text: str) -> tuple[float, str] | None:
    found = _text.quantity(text)
    return None if found is None else (found[0], _units.normalise(found[1] or "1").canonical)


def _whole(source: Source, header: Header, section: str, key: str) -> int:
    text = _get(header, section, key)
    if not re.fullmatch(r"\d{1,9}", text):
        raise source.error(f"{key!r} should be a whole number, found {text!r}", section)
    return int(text)


def _image(source: Source, header: Header, start: int) -> Signal:
    nx = _whole(source, header, "General Info", "Number of columns")
    ny = _whole(source, header, "General Info", "Number of rows")
    if min(nx, ny) < 1:
        raise source.error(f"says that it has {nx} × {ny} pixels", "General Info")
    kind = _get(header, "General Info", "Image Data Type") or "short"
    if kind not in _DTYPES:
        raise source.error(f"has values of type {kind!r}; known are {', '.join(_DTYPES)}", "Image Data Type")
    scale, units = _scale(header, floating=kind in ("float", "double"))
    width = np.dtype(_DTYPES[kind]).itemsize
    name = _get(header, "General Info", "Acquisition channel") or "height"
    data = source.array(
        _DTYPES[kind],
        (ny, nx),
        start=start + width * (nx * ny - 1),
        strides=(-width * nx, -width),
        scale=scale,
        where=name,
    )
    across = _quantity(_get(header, "Control", "X Amplitude")) or (float(nx), "1")
    along = _quantity(_get(header, "Control", "Y Amplitude")) or across
    axes = [
        axis("y", ny, -along[0] / ny, along[0] - along[0] / ny / 2, units=along[1], kind="spatial"),
        axis("x", nx, across[0] / nx, across[0] / nx / 2, units=across[1], kind="spatial"),
    ]
    word = _get(header, "General Info", "X scanning direction").lower()
    called = f"{name}_{word}" if word in ("forward", "backward") else name
    metadata = _metadata(header) | {
        "acquisition/line_direction": word,
        "acquisition/scan_size_x": across,
        "acquisition/scan_size_y": along,
    }
    return Signal(called, data, axes, units, quantity=name, modality="SPM", metadata=metadata, original=header)


def _scale(header: Header, *, floating: bool) -> tuple[float, str]:
    """Return what a stored number means: whole ones span the amplitude between their extremes."""
    amplitude = _quantity(_get(header, "General Info", "Z Amplitude"))
    if amplitude is None:
        return 1.0, "1"
    if floating:
        return 1.0, amplitude[1]
    low, high = (_quantity(_get(header, "Miscellaneous", key)) for key in ("Minimum", "Maximum"))
    span = 0.0 if low is None or high is None else high[0] - low[0]
    return (amplitude[0] / span if span > 0 else 1.0), amplitude[1]


def _curves(source: Source, header: Header, start: int) -> Iterator[Signal]:
    image = _whole(source, header, "General Info", "Number of columns") * _whole(
        source, header, "General Info", "Number of rows"
    )
    width = np.dtype(_DTYPES.get(_get(header, "General Info", "Image Data Type"), "<f8")).itemsize
    here = start + image * width
    source.check(start, image * width, "image before the curves")
    found: list[tuple[Header, np.ndarray[Any, Any]]] = []
    while here < source.size and len(found) < _MAX_CURVES:
        curve, here = _header(source, here)
        lines = _whole(source, curve, "General Info", "Number of lines")
        points = _whole(source, curve, "General Info", "Number of points")
        values = source.numbers("<f8", 2 * lines * points, start=here, where=f"curve {len(found) + 1}")
        here += values.nbytes
        if points:
            found.append((curve, values.reshape(lines, points, 2)))
    if not found:
        raise source.error("holds no curves")
    shapes = {values.shape for _, values in found}
    if len(shapes) > 1:
        raise source.error(f"holds curves of different length, which this reader does not know: {sorted(shapes)}")
    yield from _curve_signals(header, found)


def _curve_signals(header: Header, found: list[tuple[Header, np.ndarray[Any, Any]]]) -> Iterator[Signal]:
    first = found[0][0]
    values = np.stack([v for _, v in found])  # curve, line, point, (x, y)
    y_text = _get(first, "General Info", "Y axis text").partition("[")[0].strip() or "signal"
    x_text = _get(first, "General Info", "X axis text").partition("[")[0].strip() or "position"
    factor = _quantity(_get(first, "General Info", "Conversion Factor 00")) or (1.0, "1")
    offset = _quantity(_get(first, "General Info", "Conversion Offset 00")) or (0.0, "1")
    sign = -1.0 if _get(first, "General Info", "Channel is inverted") == "Yes" else 1.0
    x_units = _units.normalise(_get(first, "General Info", "X axis unit") or "1").canonical
    words = ["forward", "backward"]
    if _get(first, "Miscellaneous", "First Forward") == "No":
        words.reverse()
    curves = axis("curve", values.shape[0], 1.0, 1.0, kind="unknown")
    points = axis("point", values.shape[2], kind="unknown")
    original = {"file": header} | {f"curve {i + 1}": dict(curve) for i, (curve, _) in enumerate(found)}
    for line in range(values.shape[1]):
        word = words[line % 2] + (f"_{line // 2 + 1}" if values.shape[1] > 2 else "")
        kept: dict[str, Any] = {
            "modality": "SPM",
            "original": original,
            "metadata": _metadata(header) | {"acquisition/line_direction": words[line % 2]},
        }
        both = [curves, points]
        yield Signal(
            f"{y_text}_{word}", offset[0] + sign * factor[0] * values[:, line, :, 1], both, factor[1],
            quantity=y_text, **kept
        )  # fmt: skip
        yield Signal(f"{x_text}_{word}", values[:, line, :, 0].copy(), both, x_units, quantity=x_text, **kept)


def _metadata(header: Header) -> dict[str, Any]:
    def get(section: str, key: str) -> Any:
        return _quantity(_get(header, section, key))

    def bare(section: str, key: str) -> float | None:
        found = get(section, key)
        return None if found is None else found[0]

    when = _text.moment(_get(header, "General Info", "Acquisition time")[:20], "%d/%m/%Y, %H:%M:%S")
    setpoint = get("Control", "Set Point")
    direction = _get(header, "General Info", "Y scanning direction").lower()
    return {
        "instrument/vendor": "Nanotec Electronica",
        "instrument/software": f"WSxM {_get(header, 'Miscellaneous', 'Acquired with version')}",
        "instrument/technique": _get(header, "General Info", "Head type"),
        "acquisition/start_time": when,
        "acquisition/comment": _get(header, "Miscellaneous", "Comments"),
        "acquisition/scan_direction": direction if direction in ("up", "down") else None,
        "acquisition/scan_angle": bare("Control", "Angle"),
        "acquisition/scan_center_x": get("Control", "X Offset"),
        "acquisition/scan_center_y": get("Control", "Y Offset"),
        "acquisition/line_rate": get("Control", "X-Frequency"),
        "probe/bias": get("Control", "Topography Bias"),
        "probe/setpoint": None if setpoint is None else setpoint[0],
        "probe/setpoint_units": None if setpoint is None else setpoint[1],
        "probe/spring_constant": get("General Info", "Force constant"),
        "probe/resonance_frequency": get("Dynamic settings", "Resonance frequency"),
        "probe/q_factor": bare("Dynamic settings", "Quality factor (Q)"),
        "probe/drive_amplitude": get("Dynamic settings", "Amplitude"),
    }
