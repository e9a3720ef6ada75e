"""What there is to say about an array, gathered once for text and HTML; nothing is loaded or computed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import xarray as xr

from sid_xarray._arrays import numpy_dtype
from sid_xarray.core import metadata as _metadata
from sid_xarray.core import provenance as _provenance
from sid_xarray.core.chunked import is_chunked, is_lazy
from sid_xarray.core.dims import data_kind, describe, units_of
from sid_xarray.errors import MetadataError
from sid_xarray.schema import attrs as names
from sid_xarray.viz._axes import axis_of
from sid_xarray.viz._labels import comfortable, number, plain, quantity, range_text, size_text, unit_text

__all__ = [
    "DimFacts",
    "dim_facts",
    "history_line",
    "kind_of",
    "metadata_line",
    "said",
    "shape_text",
    "storage",
    "what",
    "where",
]

_LONG = 5_000_000


@dataclass(frozen=True)
class DimFacts:
    """One row of the table of dimensions.

    Attributes
    ----------
    name : str
    kind : str
        Type; with ``evidence``, what it was guessed from, empty if it was declared.
    size : int
    span : str
        ``"0 … 5 nm"``.
    step : str
        ``"0.02 nm"``, or why there is none.
    """

    name: str
    kind: str
    evidence: str
    size: int
    span: str
    step: str


def dim_facts(obj: xr.DataArray | xr.Dataset) -> list[DimFacts]:
    """Return the rows of the table of dimensions."""
    return [_one_dim(obj, dim) for dim in obj.dims]


def _one_dim(obj: xr.DataArray | xr.Dataset, dim: Hashable) -> DimFacts:
    kind = describe(obj)[dim]
    guessed = kind.evidence in ("units", "name", "context")
    span, step = _span(obj, dim)
    return DimFacts(plain(dim, limit=24), str(kind), kind.evidence if guessed else "", obj.sizes[dim], span, step)


def _span(obj: xr.DataArray | xr.Dataset, dim: Hashable) -> tuple[str, str]:
    n = obj.sizes[dim]
    if dim not in obj.coords:
        return "", "no coordinate"
    coord = obj[dim]
    if is_lazy(coord):
        return "", "not loaded"
    if n == 0:
        return "", "empty"
    if n > _LONG:
        first, last = (number(coord.values[i]) for i in (0, -1))
        return f"{first} … {last} {unit_text(units_of(obj, dim))}".rstrip(), ""
    if coord.dtype.kind not in "biufm":
        first, last = (plain(coord.values[i], limit=19) for i in (0, -1))
        return (first if n == 1 else f"{first} … {last}"), ""
    axis = axis_of(coord, dim)
    if axis.counted:
        return "", "not finite"
    if n == 1:
        return range_text(axis.values[0], axis.values[0], axis.units).split(" … ")[-1], ""
    span = range_text(axis.values[0], axis.values[-1], axis.units)
    if not axis.monotonic:
        lo, hi = float(axis.values.min()), float(axis.values.max())
        return range_text(lo, hi, axis.units), "non-monotonic"
    if axis.step is None:
        return span, "uneven"
    units, factor = comfortable(axis.units, axis.reach)
    step = axis.step * factor
    if abs(step) < 1e-3:
        units, factor = comfortable(axis.units, axis.step)
        step = axis.step * factor
    return span, f"{number(step)} {unit_text(units)}".rstrip()


def what(da: xr.DataArray) -> str:
    """Return quantity and units: ``"current (nA)"``."""
    unit = unit_text(units_of(da))
    word = quantity(da, fallback="")
    return f"{word} ({unit})" if word and unit else word or unit


def shape_text(obj: xr.DataArray) -> str:
    """Return ``"256 × 256"``."""
    return " × ".join(str(n) for n in obj.shape) or "one number"


def storage(da: xr.DataArray) -> str:
    """Return ``"256 KiB in memory"`` or ``"2 GiB lazy (dask)"``."""
    how = "lazy (dask)" if is_chunked(da) else "lazy" if is_lazy(da) else "in memory"
    return f"{size_text(da.nbytes)} {how}"


def said(obj: xr.DataArray | xr.Dataset) -> list[tuple[str, ...]]:
    """Return what the attributes say besides quantity and units."""
    rows = [("modality", names.MODALITY), ("source", names.SOURCE), ("title", names.TITLE)]
    found = [(word, plain(obj.attrs[key], limit=100)) for word, key in rows if key in obj.attrs]
    return [(word, text) for word, text in found if text and text != "generic"]


def metadata_line(obj: xr.DataArray | xr.Dataset) -> str:
    """Return how many entries of metadata there are."""
    parts = []
    for key, word in ((names.METADATA, ""), (names.ORIGINAL_METADATA, " as the instrument wrote them")):
        text = obj.attrs.get(key)
        if not text:
            continue
        try:
            count = _entries(_metadata.unpack(text))
        except MetadataError:
            parts.append("unreadable" + word)
            continue
        parts.append(f"{count} {'entry' if count == 1 else 'entries'}{word}")
    return ", ".join(parts)


def _entries(tree: object) -> int:
    return sum(_entries(v) for v in tree.values()) if isinstance(tree, dict) and tree else 1


def history_line(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the history on one line: ``"open → remove_background → fit (verified)"``."""
    found = _provenance.provenance(obj)
    if not found:
        return ""
    steps = [plain(name, limit=32) for name in found.operations]
    if isinstance(obj, xr.Dataset):  # one verb makes many variables: a step each
        steps = [name for i, name in enumerate(steps) if i == 0 or name != steps[i - 1]]
    if len(steps) > 8:
        steps = [*steps[:3], "…", *steps[-4:]]
    return f"{' → '.join(steps)} ({found.status})"


def where(path: str) -> str:
    """Return the path of a signal in a tree, shortened in the middle."""
    text = plain(path, limit=400)
    return text if len(text) <= 60 else f"{text[:24]}…{text[-35:]}"


def kind_of(da: xr.DataArray) -> str:
    """Return the kind of data; text and records have none."""
    return data_kind(da) if numpy_dtype(da.dtype).kind in "biufcmM" else "text"
