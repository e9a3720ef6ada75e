"""What NSID calls things, and what the older readers cannot take as a name."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable

from sid_xarray.io._h5 import PIN
from sid_xarray.io._names import safe_name

__all__ = [
    "ABSENT",
    "BOOKKEEPING",
    "FORMAT_LEVEL",
    "GENERIC",
    "MAIN_REQUIRED",
    "MODEL",
    "MODEL_GROUP",
    "NATURAL_MAIN",
    "NATURAL_SCALE",
    "label_for",
]

FORMAT_LEVEL = "0.0.7.2"
GENERIC = "generic"
ABSENT = frozenset({"", "generic", "none", "unknown"})
MODEL_GROUP = PIN
MODEL = "model"
BOOKKEEPING = ("machine_id", "platform", "pyNSID_version", "sidpy_version", "timestamp", "nsid_version")
MAIN_REQUIRED = ("quantity", "units", "data_type", "modality", "source", "main_data_name")
NATURAL_MAIN = frozenset((*MAIN_REQUIRED, "title", *BOOKKEEPING))
NATURAL_SCALE = frozenset(("name", "units", "quantity", "dimension_type", "nsid_version", *BOOKKEEPING))

# Names of attributes of sidpy.Dataset. As a label of a dimension they crash the older readers (first two lines),
# or are lost without a word (last line).
_TAKEN = frozenset(
    "A T blocks chunks chunksize compute dask data_descriptor dtype h5_dataset imag itemsize labels name nbytes ndim "
    "npartitions numblocks partitions real set_dimension shape size structures vindex "
    "data_type metadata modality original_metadata quantity source title units variance provenance point_cloud".split()
)


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
