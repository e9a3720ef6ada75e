"""Names of groups and arrays in a file, whatever the format."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["link_name", "next_index", "safe_name"]

_LONGEST = 200


def safe_name(name: object, fallback: str) -> str:
    """Return a name as HDF5 and netCDF can hold it: the name itself, wherever possible.

    Slashes and control characters become ``_``, blanks around are cut, and 200 bytes are enough.
    """
    text = "".join("_" if c == "/" or unicodedata.category(c) in ("Cc", "Cs") else c for c in str(name)).strip()
    text = text.encode()[:_LONGEST].decode(errors="ignore").strip()
    return fallback if text in ("", ".", "..") else text


def link_name(name: object, fallback: str = "data") -> str:
    """Return a name for a group, made of any text."""
    text = "" if name is None else safe_name(name, fallback).replace("-", "_")
    return text.lstrip("_").strip(" .") or fallback


def next_index(prefix: str, existing: Iterable[str]) -> str:
    """Return ``prefix_NNN`` with the next free number."""
    pattern = re.compile(rf"^{re.escape(prefix)}_(\d+)$")
    used = [int(m.group(1)) for name in existing if (m := pattern.match(name))]
    return f"{prefix}_{max(used, default=-1) + 1:03d}"
