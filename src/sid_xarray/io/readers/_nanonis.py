"""What the three kinds of Nanonis files share: dates, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sid_xarray.io.readers import _text

__all__ = ["common", "nested", "number", "start_time"]


def number(text: Any) -> float | None:
    """Return the first number of a text, or None."""
    for word in str(text or "").replace(";", " ").split():
        try:
            return float(word)
        except ValueError:
            return None
    return None


def start_time(date: str, time: str = "") -> str | None:
    """Return ISO 8601 for the date and time of a header, which are written in the German order."""
    return _text.moment(f"{date} {time}", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """Return ``{"Bias": {"Bias (V)": …}}`` for ``"Bias>Bias (V)"``; the texts stay as they are."""
    out: dict[str, Any] = {}
    for key, value in flat.items():
        module, mark, name = key.partition(">")
        if mark and isinstance(out.setdefault(module, {}), dict):
            out[module][name] = value
        else:
            out[key] = value
    return out


def common(flat: Mapping[str, str]) -> dict[str, Any]:
    """Return what the modules of the program say, in the common words."""

    def get(key: str) -> float | None:
        return number(flat.get(key))

    scale = "Oscillation Control>" if "Oscillation Control>Center Frequency (Hz)" in flat else "PLL>"
    entries: dict[str, Any] = {
        "instrument/vendor": "SPECS",
        "instrument/software": " ".join(filter(None, ("Nanonis", flat.get("NanonisMain>SW Version")))),
        "probe/bias": get("Bias>Bias (V)"),
        "probe/current": get("Current>Current (A)"),
        "probe/z": get("Z-Controller>Z (m)"),
        "probe/setpoint": get("Z-Controller>Setpoint"),
        "probe/setpoint_units": flat.get("Z-Controller>Setpoint unit"),
        "probe/modulation_frequency": get("Lock-in>Frequency (Hz)"),
        "probe/resonance_frequency": get(f"{scale}Center Frequency (Hz)"),
        "probe/q_factor": get(f"{scale}PLL-Setup Q-Factor"),
        "acquisition/scan_speed": get("Scan>speed forw. (m/s)"),
    }
    return {k: v for k, v in entries.items() if v is not None}
