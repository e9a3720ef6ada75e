"""Words and numbers on pictures and cards: short, readable, and safe whatever a file says."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Hashable

import numpy as np
import xarray as xr

from sid_xarray.schema import attrs as names
from sid_xarray.schema import units as _units

__all__ = [
    "comfortable",
    "distinct",
    "number",
    "plain",
    "quantity",
    "range_text",
    "size_text",
    "unit_text",
    "with_unit",
]

_TEX = {"sqrt": "√", "AA": "Å", "cdot": "·", "times": "×", "pm": "±", "circ": "°", "degree": "°", "hbar": "ħ"}
_TEX |= {"partial": "∂", "nabla": "∇", "infty": "∞", "approx": "≈", "propto": "∝", "parallel": "∥", "perp": "⊥"}
_TEX |= {"lambda": "λ", "Lambda": "Λ"}  # unicode spells these LAMDA
_SPACED = re.compile(r"\\(sqrt|left|right|mathrm|text|rm|it|mathit)\s*")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+) ?")
_UP = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_DOWN = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")


def plain(text: object, *, limit: int = 120) -> str:
    """Return text on one line, without control characters, TeX spelled in unicode, and not longer than ``limit``.

    Names and titles come from files: a control character would move the cursor of a terminal, and a lone
    dollar sign would stop matplotlib.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    words = str(text)[: 4 * limit + 100]
    if "$" in words:
        words = _from_tex(words)
    words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _from_tex(text: str) -> str:
    while (shorter := _FRACTION.sub(_over, text)) != text:
        text = shorter
    text = _SPACED.sub(lambda m: _TEX.get(m[1], ""), text)
    text = _COMMAND.sub(lambda m: _TEX.get(m[1]) or _letter(m[1]), text)  # with the space that ends a command
    text = re.sub(r"\^\{?([-+0-9n]+)\}?(?![.0-9])", lambda m: m[1].translate(_UP), text)
    text = re.sub(r"_\{?([-+0-9]+)\}?(?![.0-9])", lambda m: m[1].translate(_DOWN), text)
    return re.sub(r"[{}$\\]", "", text)


def _over(fraction: re.Match[str]) -> str:
    """Return a fraction on one line; a sum or product below the bar keeps its parentheses."""
    above, below = fraction[1].strip(), fraction[2].strip()
    above = f"({above})" if re.search(r"[-+\s](?!$)", above.lstrip("-+")) and not above.startswith("\\") else above
    below = f"({below})" if re.search(r"[-+*/\s]", below) and not below.startswith("\\") else below
    return f"{above}/{below}"


def _letter(name: str) -> str:
    """Return a Greek letter for the name that TeX has for it."""
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return name


def quantity(obj: xr.DataArray, *, fallback: Hashable = "value") -> str:
    """Return what is measured: ``long_name``, else the name."""
    said = obj.attrs.get(names.LONG_NAME)
    if isinstance(said, str) and said.strip():
        return plain(said, limit=44)
    return plain(fallback if obj.name is None else obj.name, limit=44)


def unit_text(units: str) -> str:
    """Return units for a label; empty for none."""
    return plain(_units.display(units), limit=40)


def with_unit(name: str, units: str) -> str:
    """Return a name and its unit: ``"energy (eV)"``; numbers without a unit have none."""
    unit = unit_text(units)
    return f"{name} ({unit})" if unit else name


def comfortable(units: str, magnitude: float) -> tuple[str, float]:
    """Return units in which numbers are easy to read, and the factor that takes values there.

    Units that a file gives stay while the largest number is between 0.1 and 9999: nobody wants keV for 2000 eV.
    """
    m = abs(magnitude)
    if not math.isfinite(m) or m == 0 or 0.1 <= m < 1e4 or "count" in units:
        return units, 1.0
    return _units.best_prefix(units, m)


def number(value: float, *, digits: int = 4) -> str:
    """Return a number as people write it: ``0.02``, ``1234``, ``1.2e-09``, with a true minus sign."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return f"{number(value.real)}{'+' if value.imag >= 0 or math.isnan(value.imag) else ''}{number(value.imag)}i"
    if isinstance(value, float | int) and not isinstance(value, bool):
        value = float(value)
        text = f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.{digits}g}"
        return text.replace("-", "−") if value < 0 and text.startswith("-") else text
    return plain(value, limit=40)


def range_text(first: float, last: float, units: str) -> str:
    """Return ``"0 … 5 nm"`` with a readable prefix."""
    shown, factor = comfortable(units, max(abs(first), abs(last)))
    unit = unit_text(shown)
    return f"{number(first * factor)} … {number(last * factor)}{f' {unit}' if unit else ''}"


def size_text(nbytes: int) -> str:
    """Return a size of memory: ``"256 KiB"``."""
    value, unit = float(nbytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f}".removesuffix(".0") + f" {unit}"


def distinct(dimensions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pairs of name and label that holoviews can tell apart.

    Two axes of one quantity (``distance`` along x and along y) take their names as labels. What is still equal, or
    equal to the name of another, gets a thin space at its end: holoviews finds dimensions by label, too.
    """
    labels = [label for _, label in dimensions]
    out: list[tuple[str, str]] = []
    for i, (name, label) in enumerate(dimensions):
        shown = name if labels.count(label) > 1 and i < len(dimensions) - 1 else label
        others = {n for j, (n, _) in enumerate(dimensions) if j != i} | {taken for _, taken in out}
        while shown in others:
            shown += "\u2009"
        out.append((name, shown))
    return out
