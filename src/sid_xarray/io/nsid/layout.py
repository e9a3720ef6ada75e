"""What NSID calls things, and what the older readers cannot take as a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable

__all__ = [
    "ABSENT",
    "BOOKKEEPING",
    "FORMAT_LEVEL",
    "GENERIC",
    "MAIN_REQUIRED",
    "MODEL_GROUP",
    "NATURAL_MAIN",
    "NATURAL_SCALE",
    "label_for",
    "link_name",
    "next_index",
    "safe_name",
]

FORMAT_LEVEL = "0.0.7.2"
GENERIC = "generic"
ABSENT = frozenset({"", "generic", "none", "unknown"})
MODEL_GROUP = "_sid_xarray"
BOOKKEEPING = ("machine_id", "platform", "pyNSID_version", "sidpy_version", "timestamp", "nsid_version")
MAIN_REQUIRED = ("quantity", "units", "data_type", "modality", "source", "main_data_name")
NATURAL_MAIN = frozenset((*MAIN_REQUIRED, "title", *BOOKKEEPING))
NATURAL_SCALE = frozenset(("name", "units", "quantity", "dimension_type", "nsid_version", *BOOKKEEPING))

_LONGEST = 200

# Names of attributes of sidpy.Dataset. As a label of a dimension they crash the older readers (first two lines),
# or are lost without a word (last line).
_TAKEN = frozenset(
    "A T blocks chunks chunksize compute dask data_descriptor dtype h5_dataset imag itemsize labels name nbytes ndim "
    "npartitions numblocks partitions real set_dimension shape size structures vindex "
    "data_type metadata modality original_metadata quantity source title units variance provenance point_cloud".split()
)


def safe_name(name: object, fallback: str) -> str:
    """Return a name as HDF5 and netCDF can hold it: the name itself, wherever possible.

    Slashes and control characters become ``_``, blanks around are cut, and 200 bytes are enough.
    """
    text = "".join("_" if c == "/" or unicodedata.category(c) in ("Cc", "Cs") else c for c in str(name)).strip()
    text = text.encode()[:_LONGEST].decode(errors="ignore").strip()
    return fallback if text in ("", ".", "..") else text


def label_for(dim: Hashable, position: int, ndim: int, taken: Iterable[str]) -> str:
    """Return a name for a dimension on disk that every reader can take: the name itself, wherever possible.

    Parameters
    ----------
    dim : hashable
    position, ndim : int
        Where the dimension stands in its array: sidpy names axes a, b, c …, and a name ``b`` on the
        first axis is lost when the second one is reset.
    taken : iterable of str
        Names that are used already.
    """
    used = set(taken)
    label = safe_name(dim, f"dimension_{position}")
    later = {chr(ord("a") + i) for i in range(position + 1, min(ndim, 26))}
    while label in _TAKEN or label in used or label in later or label == MODEL_GROUP or re.match(r"dim_\d+$", label):
        label += "_"
    return label


def link_name(name: object, fallback: str = "data") -> str:
    """Return a name for a group, made of any text."""
    text = "" if name is None else safe_name(name, fallback).replace("-", "_")
    return text.lstrip("_").strip(" .") or fallback


def next_index(prefix: str, existing: Iterable[str]) -> str:
    """Return ``prefix_NNN`` with the next free number."""
    pattern = re.compile(rf"^{re.escape(prefix)}_(\d+)$")
    used = [int(m.group(1)) for name in existing if (m := pattern.match(name))]
    return f"{prefix}_{max(used, default=-1) + 1:03d}"
