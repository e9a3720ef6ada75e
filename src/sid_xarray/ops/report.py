"""What became of a fit, in words: how many curves converged, stopped at bounds, failed, and where."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._types import BoolArray
from sid_xarray.core.dims import units_of, values_of
from sid_xarray.core.evaluate import FIT_DIM, FIT_MODEL, model_of
from sid_xarray.core.provenance import provenance
from sid_xarray.errors import ModelError
from sid_xarray.kernels.lsq import STATUS
from sid_xarray.ops._peak_args import NO_PEAK, PEAK
from sid_xarray.schema import units

__all__ = ["FitReport", "report"]

_MEANS = {
    "not_converged": "the iterations ran out, or no step made it better; parameters are the best found",
    "too_few_points": "fewer finite samples than free parameters",
    "singular": "the data do not determine all parameters",
    "no_finite_data": "all samples are NaN, infinite, or without weight",
    "guess_not_finite": "no starting point",
    "model_not_finite": "the model is NaN or infinite at the starting point",
    "guess_out_of_bounds": "the bounds exclude the starting value that was given",
}
_PLACES = 4


class FitReport(str):
    """A text that shows itself as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def report(ds: xr.Dataset) -> FitReport:
    """Say what became of a fit: how many curves, images or peaks converged, stopped at bounds, failed, and where.

    Lazy maps are computed for it.

    Parameters
    ----------
    ds : Dataset
        From ``da.sid.fit(...)``, or a part of it.

    Returns
    -------
    str
        Of several lines, which show themselves at the end of a cell.

    Raises
    ------
    ModelError
        If the Dataset is no result of a fit.

    Notes
    -----
    A parameter is at a bound where the fit converged and the parameter, which was not fixed, has no standard error.
    The places are the first ones in the order of the map.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> print(da.sid.fit("gaussian + constant").sid.report().splitlines()[1])
    converged           48 of 48 (100 %)
    """
    if "status" not in ds or not isinstance(ds.attrs.get(FIT_MODEL), str):
        raise ModelError("this Dataset is no result of a fit. Type: fit = da.sid.fit('gaussian + constant')")
    names = _parameters(ds)
    wanted = [*names, *(f"{p}_stderr" for p in names), "status", "redchi", "rsquared", "nfev"]
    ds = ds[[name for name in wanted if name in ds]].compute()
    status = ds["status"].values
    along = ds.attrs.get(FIT_DIM, "")
    shape = " × ".join(f"{n} {_plain(d)}" for d, n in ds["status"].sizes.items())
    what = "peak" if PEAK in ds["status"].dims else "image" if isinstance(along, list | tuple) else "curve"
    total = int(np.count_nonzero(status != NO_PEAK))
    curves = f"one {what}" if status.size == 1 else f"{total} {what}s{f' ({shape})' if status.ndim > 1 else ''}"
    lines = [f"{ds.attrs[FIT_MODEL]} along {_plain(along)}: {curves}", *_outcomes(ds, status, total)]
    lines += _bounds(ds, names, status == 0, total)
    return FitReport("\n".join([*lines, *_values(ds, names, status == 0)]))


def _parameters(ds: xr.Dataset) -> list[str]:
    """Return the parameters, in the order of the model; of a model that is not known here, going by their errors."""
    try:
        named: Sequence[str] = model_of(ds.attrs[FIT_MODEL]).names
    except ModelError:
        named = [str(name).removesuffix("_stderr") for name in ds.data_vars if str(name).endswith("_stderr")]
    return [name for name in named if name in ds]


def _outcomes(ds: xr.Dataset, status: Any, total: int) -> Iterator[str]:
    # Where there was nothing to fit, there is no failure.
    for code, word in STATUS.items():
        where = status == code
        if where.any() or code == 0:
            reason = "" if code == 0 else f": {_MEANS[word]}"
            place = "" if code == 0 else f"\n{'':20}{_where(ds['status'], where)}"
            yield f"{word:<20}{_share(where.sum(), total)}{reason}{place}"
    if total < status.size:
        yield f"{'no_peak':<20}{_share(status.size - total, status.size)}: no position was given"


def _bounds(ds: xr.Dataset, names: Sequence[str], good: BoolArray, total: int) -> Iterator[str]:
    said = _said(ds)
    errors = [ds[f"{name}_stderr"].values for name in names if f"{name}_stderr" in ds]
    follow = {*said.get("fixed", {}), *said.get("tie", {})}
    free = [name for name in names if f"{name}_stderr" in ds and name not in follow]
    # Where no parameter has an error, it is not a bound that took it.
    known = np.any([np.isfinite(e) for e in errors], axis=0) if errors else np.zeros_like(good)
    if (good & ~known).any() and len(free) > 1:
        share = _share((good & ~known).sum(), total)
        yield f"{'without errors':<20}{share}: no samples to spare, or the data hardly determine the parameters"
        yield f"{'':20}{_where(ds['status'], good & ~known)}"
    for name in free:
        values = ds[name].values
        at = good & (known | (len(free) == 1)) & np.isfinite(values) & np.isnan(ds[f"{name}_stderr"].values)
        if at.any():
            ends = sorted({float(v) for v in (values[at].min(), values[at].max())})
            value = " … ".join(_number(v) for v in ends)
            place = "" if at.all() else f"\n{'':20}{_where(ds['status'], at)}"
            yield f"{name + ' at a bound':<19} {_share(at.sum(), total)}, at {value}{_unit(ds[name])}{place}"


def _said(ds: xr.Dataset) -> Mapping[str, Any]:
    """Return what the history says of the last fit; nothing if there is none."""
    found: Mapping[str, Any] = {}
    for step in provenance(ds).calls:
        found = step.step.params if step.step.name == "fit" else found
    return found


def _values(ds: xr.Dataset, names: Sequence[str], good: BoolArray) -> Iterator[str]:
    if not good.any():
        return
    one = good.size == 1
    if not one:
        yield "of those that converged: median, and the middle 68 %"
    for name in [*names, "redchi", "rsquared", "nfev"]:
        if name not in ds:
            continue
        values = ds[name].values[good]
        values = values[np.isfinite(values)]
        if not values.size:
            yield f"{name:<19} none"
            continue
        low, middle, high = np.percentile(values, [16, 50, 84])
        spread = "" if one else f"  ({_number(low)} … {_number(high)})"
        error = f"{name}_stderr"
        errors = ds[error].values[good] if error in ds else np.array([])
        errors = errors[np.isfinite(errors)]
        also = f", standard error {_number(float(np.median(errors)))}" if errors.size else ""
        yield f"{name:<19} {_number(middle)}{_unit(ds[name])}{spread}{also}"


def _share(count: Any, total: int) -> str:
    part = 100 * int(count) / total if total else 0.0
    text = f"{part:.0f}" if part in (0, 100) else f"{min(max(part, 0.01), 99.99):.2g}" if part < 99 else f"{part:.4g}"
    return f"{int(count)} of {total} ({text} %)"


def _where(da: xr.DataArray, at: BoolArray) -> str:
    """Return the first places, with their extent if there are more."""
    if not da.ndim:
        return ""
    index = np.argwhere(at)
    axes = {d: values_of(da, d) for d in da.dims}
    told = ["(" + ", ".join(f"{_plain(d)} {_number(axes[d][i])}" for d, i in zip(axes, row, strict=True)) + ")"
            for row in index[:_PLACES]]  # fmt: skip
    if len(index) <= _PLACES:
        return "at " + ", ".join(told)
    parts = []
    for d, column in zip(axes, index.T, strict=True):
        low, high = sorted((axes[d][column].min(), axes[d][column].max()))
        unit = units.display(units_of(da, d))
        parts.append(f"{_plain(d)} {_number(low)} … {_number(high)}{f' {unit}' if unit else ''}")
    return f"at {', '.join(told)}, …; within {', '.join(parts)}"


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _unit(da: xr.DataArray) -> str:
    text = units.display(units_of(da))
    return f" {text}" if text else ""


def _plain(name: Hashable | Sequence[Hashable]) -> str:
    """Return the name of a dimension, or of several, without what would move a cursor."""
    if isinstance(name, list | tuple | np.ndarray):
        return ", ".join(_plain(one) for one in name)
    return "".join(c if c.isprintable() else " " for c in str(name))
