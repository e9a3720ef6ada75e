"""Names of the attributes that carry meaning (SID conventions for xarray)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

__all__ = [
    "ANCILLARY",
    "AXIS",
    "CONTENT",
    "DATA_TYPE",
    "DIMENSION_TYPE",
    "LONG_NAME",
    "METADATA",
    "MODALITY",
    "NAME_ORIGINAL",
    "ORIGINAL_METADATA",
    "OTHER_GROUPS",
    "PROV_PREFIX",
    "SOURCE",
    "TITLE",
    "UNITS",
    "UNITS_ORIGINAL",
    "VERSION",
    "VERSION_VALUE",
    "is_provenance",
    "without_provenance",
]

VERSION_VALUE = "1"
"""Version of the conventions; written as ``sid_version``."""

LONG_NAME = "long_name"
UNITS = "units"
SOURCE = "source"
ANCILLARY = "ancillary_variables"
AXIS = "axis"

TITLE = "sid_title"
MODALITY = "sid_modality"
METADATA = "sid_metadata"
ORIGINAL_METADATA = "sid_original_metadata"
OTHER_GROUPS = "sid_other_groups"
DATA_TYPE = "sid_data_type"
VERSION = "sid_version"
DIMENSION_TYPE = "sid_dimension_type"
CONTENT = "sid_content"
"""Of a Dataset that holds no signals: ``"structure"``, ``"table"`` or ``"arrays"``."""

UNITS_ORIGINAL = "sid_units_original"
NAME_ORIGINAL = "sid_name_original"
PROV_PREFIX = "sid_prov_"


def is_provenance(name: object) -> bool:
    """Tell whether an attribute holds a history."""
    return isinstance(name, str) and name.startswith(PROV_PREFIX)


def without_provenance(attrs: Mapping[Any, Any]) -> dict[Hashable, Any]:
    """Return the attributes that are not histories."""
    return {k: v for k, v in attrs.items() if not is_provenance(k)}
