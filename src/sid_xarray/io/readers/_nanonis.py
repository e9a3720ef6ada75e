"""What the three kinds of Nanonis files share: names with units in brackets, dates, metadata."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["common", "nested", "number", "split_unit", "start_time"]

_UNIT = re.compile(r"^(.*?)\s*\(([^()]*)\)\s*$")


def split_unit(text: str) -> tuple[str, str]:
    """Return name and units of ``"Current (A)"``; units are ``"1"`` where there are none."""
    found = _UNIT.match(text.strip())
    return (found[1].strip(), found[2].strip() or "1") if found else (text.strip(), "1")


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
    text = f"{date} {time}".strip()
    for form in ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(text, form).isoformat()
        except ValueError:
            continue
    return None


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
