"""The lines of code that do what was done by hand, and the arrays that they give."""

from __future__ import annotations

from collections.abc import Hashable
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import values_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.core.region import Region
from sid_xarray.errors import DimensionError
from sid_xarray.viz.explore._neat import neat, neat_position

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["image", "lines", "spectra"]


def lines(ex: Explorer) -> list[str]:
    """Return the line of the map, and that of every region."""
    return [_image_line(ex), *(_spectrum_line(ex, region) for region in ex.regions if ex.plan.signal)]


def image(ex: Explorer) -> xr.DataArray:
    """Return what the first line gives."""
    da = _start(ex)
    if ex.plan.carpet or not ex.plan.signal:
        return _part(ex, da)
    if ex.part == "phase" and da.dtype.kind == "c":
        return _part(ex, _over_window(ex, da))
    return _over_window(ex, _part(ex, da))


def _over_window(ex: Explorer, da: xr.DataArray) -> xr.DataArray:
    return da.sid.within(neat(ex, ex.window or _all(ex)), reduce=ex.reduce)  # type: ignore[no-any-return]


def spectra(ex: Explorer) -> list[xr.DataArray]:
    """Return what the other lines give."""
    out = []
    for region in ex.regions if ex.plan.signal else []:
        da = _start(ex)
        late = ex.part == "phase" and da.dtype.kind == "c"
        reduce = None if region.kind == "point" else "mean"
        found = (da if late else _part(ex, da)).sid.within(neat(ex, region), reduce=reduce)
        out.append(_part(ex, found) if late else found)
    return out


def _start(ex: Explorer) -> xr.DataArray:
    da = ex.arrays[ex.main]
    found = {d: _position(da, d, i) for d, i in ex.at.items()}
    counted = {d: i for d, i in ex.at.items() if found[d] is None}
    da = da.isel(counted) if counted else da
    for dim, position in found.items():
        da = da if position is None else da.sid.sel({dim: position})
    return da


def _position(da: xr.DataArray, dim: Hashable, index: int) -> float | None:
    """Return where a slider stands, if that tells the point."""
    try:
        values = values_of(da, dim)
    except DimensionError:
        return None
    unique = np.unique(values).size == values.size and np.isfinite(values).all()
    return neat_position(values, index) if unique and dim in da.coords else None


def _part(ex: Explorer, da: xr.DataArray) -> xr.DataArray:
    if da.dtype.kind != "c":
        return da
    if ex.part == "phase":
        (found,) = lift(np.angle, da, core=[[]], out=[Out((), {}, da.real.dtype)])
    else:
        found = abs(da) if ex.part == "amplitude" else da.real if ex.part == "real" else da.imag
    units = {"units": "rad"} if ex.part == "phase" else {}
    return found.rename(da.name).assign_attrs({**da.attrs, **units})


def _all(ex: Explorer) -> Region:
    """Return the window that is everything."""
    ends = [(ex.scales.stored(d, 0), ex.scales.stored(d, ex.arrays[ex.main].sizes[d] - 1)) for d in ex.plan.signal]
    dims = tuple(map(str, ex.plan.signal))
    pairs = tuple(tuple(sorted(e)) for e in ends)
    units = ex.scales.units(ex.plan.signal)
    return Region("interval", dims, pairs[0], units) if len(dims) == 1 else Region("box", dims, pairs, units)


def _start_text(ex: Explorer) -> str:
    text, da = ex.names.get(ex.main, "da"), ex.arrays[ex.main]
    found = {d: _position(da, d, i) for d, i in ex.at.items()}
    counted = [_keyword(d, i) for d, i in ex.at.items() if found[d] is None]
    text += f".isel({_joined(counted)})" if counted else ""
    return text + "".join(f".sid.sel({_joined([_keyword(d, at)])})" for d, at in found.items() if at is not None)


def _joined(words: list[tuple[str, str]]) -> str:
    if all(name.isidentifier() and not iskeyword(name) for name, _ in words):
        return ", ".join(f"{name}={value}" for name, value in words)
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in words)}}}"


def _keyword(dim: Hashable, value: Any) -> tuple[str, str]:
    return str(dim), repr(value)


def _part_text(ex: Explorer, text: str) -> str:
    if ex.arrays[ex.main].dtype.kind != "c":
        return text
    forms = {"amplitude": "abs({})", "phase": "xr.apply_ufunc(np.angle, {})", "real": "{}.real", "imag": "{}.imag"}
    return forms[ex.part].format(text)


def _image_line(ex: Explorer) -> str:
    text, late = _start_text(ex), ex.part == "phase"
    if ex.plan.carpet or not ex.plan.signal:
        return _part_text(ex, text)
    region = f"sid.{neat(ex, ex.window or _all(ex))!r}"
    inner = text if late else _part_text(ex, text)
    found = f"{inner}.sid.within({region}, reduce={ex.reduce!r})"
    return _part_text(ex, found) if late else found


def _spectrum_line(ex: Explorer, region: Region) -> str:
    text, late = _start_text(ex), ex.part == "phase"
    inner = text if late else _part_text(ex, text)
    reduce = "" if region.kind == "point" else ", reduce='mean'"
    found = f"{inner}.sid.within(sid.{neat(ex, region)!r}{reduce})"
    return _part_text(ex, found) if late else found
