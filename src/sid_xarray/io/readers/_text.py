"""What headers of instruments are made of: numbers with units, moments, trees of anything."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["moment", "plain", "quantity", "split_unit"]

_NUMBER = re.compile(r"\s*([-+0-9.eE]+)\s*(.*?)\s*$", re.DOTALL)
_ROUND = re.compile(r"^(.*?)\s*\(([^()]*)\)\s*$")
_SQUARE = re.compile(r"^(.*?)\s*\[([^\[\]]*)\]\s*$")
_LONGEST = 4096


def quantity(text: str | None) -> tuple[float, str] | None:
    """Return number and units, as they are spelled, of ``"24.57 V"``; None where there is no number.

    Parameters
    ----------
    text : str or None
    """
    found = _NUMBER.match(text or "")
    try:
        return None if found is None else (float(found[1]), found[2])
    except ValueError:
        return None


def split_unit(text: str, *, square: bool = False) -> tuple[str, str]:
    """Return name and units of ``"Current (A)"``; units are ``"1"`` where there are none.

    Parameters
    ----------
    text : str
    square : bool, default: False
        Square brackets hold units, too.
    """
    found = _ROUND.match(text.strip()) or (_SQUARE.match(text.strip()) if square else None)
    return (found[1].strip(), found[2].strip() or "1") if found else (text.strip(), "1")


def moment(text: str, *forms: str) -> str | None:
    """Return a date and time as ISO 8601, or None if it has none of the forms.

    Parameters
    ----------
    text : str
    *forms : str
        As `datetime.datetime.strptime` wants them.
    """
    for form in forms:
        try:
            return dt.datetime.strptime(text.strip(), form).isoformat()
        except ValueError:
            continue
    return None


def plain(value: Any) -> Any:
    """Return a tree of plain values: what is neither text nor number is told in words.

    Parameters
    ----------
    value : object
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value[:_LONGEST]]
    known = str | int | float | bytes | np.generic | dt.datetime
    return value if value is None or isinstance(value, known) else str(value)
