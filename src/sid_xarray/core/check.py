"""Say in plain words what does not hold on an array, and what to type."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sid_xarray._arrays import numpy_dtype
from sid_xarray.core import provenance as _provenance
from sid_xarray.core.dims import describe
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["Finding", "Report", "check"]


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Attributes
    ----------
    level : {"error", "warning", "note"}
    where : str
        Variable or dimension.
    text : str
        What is there, and what to type.
    """

    level: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.text}"


class Report(tuple[Finding, ...]):
    """Findings; empty and true to ``ok`` when all is well."""

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return all(f.level == "note" for f in self)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "all is well"


def check(obj: xr.DataArray | xr.Dataset) -> Report:
    """Check an array against the conventions; nothing is changed or computed.

    Parameters
    ----------
    obj : DataArray or Dataset

    Returns
    -------
    Report
        A tuple of findings; its repr reads as a list. ``report.ok`` is True without errors and warnings.
    """
    found = list(_dimensions(obj))
    if isinstance(obj, xr.Dataset):
        for key, da in obj.data_vars.items():
            found += _values(da, str(key))
            found += _siblings(obj, key)
    else:
        found += _values(obj, str(obj.name) if obj.name is not None else "array")
    return Report(found)


def _dimensions(obj: xr.DataArray | xr.Dataset) -> Iterator[Finding]:
    for dim, kind in describe(obj).items():
        where = str(dim)
        if dim not in obj.coords:
            yield Finding("warning", where, "has no coordinate. Type: da.sid.adopt()")
            continue
        coord = obj[dim]
        if kind.evidence == "none":
            fix = f"da.sid.set_dims({{{dim!r}: 'spectral'}})"
            yield Finding("note", where, f"has no type that could be told. Type: {fix}")
        elif kind.evidence != "declared":
            text = f"is taken for {kind} from its {kind.evidence}. To write it down: da.sid.adopt()"
            yield Finding("note", where, text)
        yield from _units(coord, where, axis=str(kind))
        if coord.dtype.kind == "f" and not np.isfinite(coord.values).all():
            yield Finding("error", where, "has positions that are not finite")
        if coord.dtype.kind == "c":
            yield Finding("error", where, "has complex positions")


def _units(da: xr.DataArray, where: str, *, axis: str | None = None) -> Iterator[Finding]:
    if numpy_dtype(da.dtype).kind in "MmUOS":
        return
    text = da.attrs.get(names.UNITS)
    if text is None:
        yield Finding("warning", where, "has no units. Type: da.sid.set_units(...), or da.sid.adopt() for none")
        return
    unit = units.normalise(text, axis=axis)
    if not unit.known:
        yield Finding("warning", where, f"units {text!r} are not known to anyone. Type: da.sid.set_units(...)")
    elif unit.canonical != text:
        better = unit.canonical
        yield Finding("warning", where, f"units {text!r} are spelled {better!r} elsewhere. Type: da.sid.adopt()")


def _values(da: xr.DataArray, where: str) -> Iterator[Finding]:
    yield from _units(da, where)
    for key, value in da.attrs.items():
        if not isinstance(key, str):
            yield Finding("error", where, f"attribute name {key!r} is not text and cannot be saved")
        elif isinstance(value, dict):
            yield Finding("error", where, f"attribute {key!r} is a dict and cannot be saved. Type: da.sid.adopt()")
    view = _provenance.provenance(da)
    if view.status == "modified" and names.UNITS in da.attrs:
        yield Finding(
            "warning",
            where,
            f"{view.reason}: units {da.attrs[names.UNITS]!r} and long_name may no longer hold, xarray keeps them "
            "on a**2 and a > 0. Type: da.sid.set_units(...)",
        )


def _siblings(ds: xr.Dataset, key: Hashable) -> Iterator[Finding]:
    for name in str(ds[key].attrs.get(names.ANCILLARY, "")).split():
        if name not in ds.variables:
            yield Finding("warning", str(key), f"names {name!r} as its companion, which is not in the Dataset")
