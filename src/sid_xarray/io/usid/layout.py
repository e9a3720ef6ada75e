"""What USID calls things, and what the older readers cannot take as a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sid_xarray.io._names import link_name
from sid_xarray.io.nsid.layout import ABSENT as _ABSENT

__all__ = [
    "ABSENT",
    "BOOKKEEPING",
    "FORMAT_LEVEL",
    "H5PATH",
    "LINKS",
    "MODEL",
    "NATURAL_MAIN",
    "POSITION",
    "RESULT_ATTRS",
    "SIDES",
    "SPECTROSCOPIC",
    "free_name",
    "is_placeholder",
    "main_name",
]

FORMAT_LEVEL = "0.0.12"
POSITION, SPECTROSCOPIC = "position", "spectroscopic"
SIDES = (POSITION, SPECTROSCOPIC)
LINKS = {side: (f"{side.capitalize()}_Indices", f"{side.capitalize()}_Values") for side in SIDES}
MODEL = "usid"
"""Name of the model in the group ``_sid_xarray``; the one of NSID is another, so that both may share a file."""

H5PATH = "sid_h5path"
"""Attribute of a node that could not stay where it is in the file."""

ABSENT = _ABSENT | {"unknown quantity", "unknown units"}
BOOKKEEPING = frozenset(
    ("machine_id", "platform", "timestamp", "time_stamp", "sidpy_version", "pyUSID_version", "pycroscopy_version")
)
NATURAL_MAIN = frozenset(("quantity", "units", *LINKS[POSITION], *LINKS[SPECTROSCOPIC])) | BOOKKEEPING
RESULT_ATTRS = frozenset(
    ("tool", "num_source_dsets", "source_000", "source_000_path", "source_000_file", "source_000_sha256")
)


def is_placeholder(label: str) -> bool:
    """Tell whether a dimension of one point stands for no dimension at all, going by its label."""
    word = label.strip().lower()
    return word in ("", "none", "single_step") or word.startswith("arb")


def main_name(name: object, taken: Iterable[str], *, sparse: bool) -> str:
    """Return a name for a main dataset, made of any text.

    A minus would be taken for that between a source and its tool, and one older reader finds arrays without
    a grid by ``Raw_Data`` in their name.
    """
    text = link_name(name)
    if sparse and "Raw_Data" not in text:
        text = f"Raw_Data_{text}"
    if re.match(r"Channel_\d+$", text):
        text += "_"
    return free_name(text, taken)


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name, with underscores behind it while it is taken."""
    used = set(taken)
    while name in used:
        name += "_"
    return name
