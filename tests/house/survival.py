"""The operations of the survival table: what plain xarray does to what an array knows."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import provenance
from sid_xarray.schema.units import normalise

__all__ = ["OPERATIONS", "Operation", "Row", "available", "page", "row", "sample"]


@dataclass(frozen=True)
class Operation:
    """One line of code, and what the units of its result truly are."""

    section: str
    code: str
    units: str = "nA"
    needs: str = ""


@dataclass(frozen=True)
class Row:
    """What became of everything."""

    units: str
    long_name: str
    metadata: str
    coordinates: str
    status: str
    kind: str


def _section(title: str, *rows: str | tuple[str, ...]) -> list[Operation]:
    return [Operation(title, *((r,) if isinstance(r, str) else r)) for r in rows]


OPERATIONS: list[Operation] = [
    *_section(
        "Arithmetic",
        "da + 1",
        "1 - da",
        "-da",
        "abs(da)",
        "da * 2",
        "da / 2",
        "da % 2",
        ("da ** 2", "nA^2"),
        ("da ** 0.5", "nA^(1/2)"),
        ("1 / da", "1/nA"),
        "da - da",
        "da - twin",
        "da + bare",
        "da - da.mean('energy')",
        ("da / da.max()", "1"),
        ("da * other", "nA*V"),
        ("da / other", "nA/V"),
        ("da * da.energy", "nA*eV"),
        ("da // 1e-3", "nA"),
        ("xr.dot(da, da, dim='energy')", "nA^2"),
        ("da @ da", "nA^2"),
        ("iadd(da)", "nA"),
    ),
    *_section(
        "Comparison and logic",
        ("da > 0", "1"),
        ("da == twin", "1"),
        ("da.isnull()", "1"),
        ("da.notnull()", "1"),
        ("da.isin([0, 1])", "1"),
        ("~(da > 0)", "1"),
        ("(da > 0) & (twin > 0)", "1"),
    ),
    *_section(
        "Functions of numpy",
        ("np.exp(da)", "1"),
        ("np.log10(da)", "1"),
        ("np.sin(da)", "1"),
        ("np.sqrt(da)", "nA^(1/2)"),
        ("np.square(da)", "nA^2"),
        "np.add(da, twin)",
        "np.maximum(da, 0)",
        ("np.sign(da)", "1"),
        "np.round(da, 1)",
        "np.abs(da)",
        ("np.angle(da)", "rad"),
        ("np.isfinite(da)", "1"),
        "np.clip(da, 0, 1)",
        "np.mean(da)",
    ),
    *_section(
        "Reductions",
        "da.mean('energy')",
        "da.mean()",
        "da.sum('energy')",
        "da.max(('y', 'x'))",
        "da.min('energy')",
        "da.median('energy')",
        "da.std('energy')",
        ("da.var('energy')", "nA^2"),
        ("da.prod('y')", "nA^4"),
        ("da.count('energy')", "1"),
        ("(da > 0).any('energy')", "1"),
        ("da.argmax('energy')", "1"),
        ("da.idxmax('energy')", "eV"),
        "da.quantile(0.5, 'energy')",
        "da.reduce(np.ptp, 'energy')",
        "da.weighted(weights).mean('energy')",
        ("da.weighted(weights).sum('energy')", "nA"),
        "da.cumsum('energy')",
        ("da.cumprod('energy')", "?"),
        ("xr.corr(da, twin, dim='energy')", "1"),
        ("xr.cov(da, twin, dim='energy')", "nA^2"),
    ),
    *_section(
        "Selection",
        "da.isel(energy=0)",
        "da.isel(energy=slice(1, 4))",
        "da[0]",
        "da[:, ::-1]",
        "da.sel(energy=2.0, method='nearest')",
        "da.sel(energy=slice(1, 3))",
        "da.loc[:, :, 1:3]",
        "da.isel(y=points, x=points)",
        "da.head(energy=2)",
        "da.thin(energy=2)",
        "da.where(da > 0)",
        "da.where(da > 0, drop=True)",
        "xr.where(da > 0, da, 0)",
        "da.where(da > 0, twin)",
        "da.drop_sel(y=0.0)",
        "da.squeeze()",
        "da.drop_isel(x=[0])",
    ),
    *_section(
        "Order and shape",
        "da.transpose()",
        "da.T.transpose(*da.dims)",
        "da.stack(pixel=('y', 'x'))",
        "da.stack(pixel=('y', 'x')).unstack('pixel')",
        "da.expand_dims('frame')",
        "da.sortby('energy', ascending=False)",
        "da.roll(x=1)",
        "da.roll(x=1, roll_coords=True)",
        "da.shift(x=1)",
        "da.pad(x=1)",
        "da.rename('other')",
        "da.rename(x='z')",
        "da.swap_dims(energy='channel')",
        "da.set_index(energy='channel')",
        "da.reset_coords(drop=True)",
        "da.broadcast_like(stack)",
        "da.coarsen(x=2, boundary='trim').construct(x=('block', 'x'))",
    ),
    *_section(
        "Coordinates and attributes",
        "da.assign_coords(energy=da.energy * 2)",
        "da.assign_coords(temperature=300.0)",
        "da.assign_attrs(note='mine')",
        "da.drop_vars('energy')",
        "da.reset_index('energy')",
        "da.drop_attrs()",
        "da.drop_attrs(deep=False)",
        "da.reindex(energy=da.energy[::2])",
        "da.reindex_like(da.isel(x=slice(2)))",
        "da.assign_coords(x=('x', da.x.values))",
    ),
    *_section(
        "Missing values and interpolation",
        "da.fillna(0)",
        "da.dropna('energy')",
        "da.interpolate_na('energy')",
        ("da.ffill('energy')", "nA", "bottleneck"),
        ("da.rank('energy')", "1", "bottleneck"),
        "da.interp(energy=[1.5, 2.5])",
        "da.interp_like(da.isel(energy=slice(0, 4)))",
        "da.combine_first(twin)",
        "da.clip(0, 1)",
        "da.round(1)",
    ),
    *_section(
        "Windows and groups",
        "da.rolling(energy=3).mean()",
        "da.rolling(energy=3).construct('window')",
        "da.coarsen(energy=2).mean()",
        "da.groupby('channel').mean()",
        "da.groupby('channel') - da.groupby('channel').mean()",
        "da.groupby_bins('energy', 2).mean()",
        "da.groupby('channel').map(lambda g: g - g.mean())",
        "series.resample(time='2D').mean()",
        "series.resample(time='12h').interpolate()",
        "series.groupby('time.month').mean()",
        ("da.rolling_exp(energy=2).mean()", "nA", "numbagg"),
    ),
    *_section(
        "Calculus",
        "da.diff('energy')",
        ("da.differentiate('energy')", "nA/eV"),
        ("da.integrate('energy')", "nA*eV"),
        ("da.cumulative_integrate('energy')", "nA*eV"),
        ("da.polyfit('energy', 1).polyfit_coefficients", "?"),
        ("xr.polyval(da.energy, da.polyfit('energy', 1).polyfit_coefficients)", "nA"),
        ("da.curvefit('energy', line).curvefit_coefficients", "?"),
    ),
    *_section(
        "Joining",
        "xr.concat([da, twin], 'frame')",
        "xr.concat([da, twin], 'frame', combine_attrs='drop_conflicts')",
        "xr.concat([da.isel(x=slice(0, 2)), da.isel(x=slice(2, None))], 'x')",
        "xr.merge([da, other.rename('other')]).current",
        "xr.combine_by_coords([da.to_dataset()]).current",
        "xr.align(da, twin.isel(x=slice(3)), join='inner')[0]",
        "xr.broadcast(da, stack)[0]",
        "da.to_dataset().assign(second=twin).current",
        "da.to_dataset(name='v').mean('energy').v",
        "da.to_dataset('y').to_dataarray('y')",
        "xr.full_like(da, 1.0)",
        "xr.zeros_like(da)",
        "xr.DataTree.from_dict({'/a': da.to_dataset()})['/a/current']",
    ),
    *_section(
        "Types, dask and functions of one's own",
        "da.astype('f4')",
        "da.astype(complex)",
        "da.real",
        "(da + 0j).imag",
        "(da + 0j).conj()",
        "da.copy()",
        "da.copy(data=da.values + 1)",
        "in_place(da)",
        "da.chunk(x=2)",
        "da.chunk(x=2).compute()",
        "(da.chunk(x=2) * 2).compute()",
        "da.chunk(x=2).persist()",
        ("xr.apply_ufunc(np.sqrt, da)", "nA^(1/2)"),
        "xr.apply_ufunc(np.abs, da, keep_attrs=True)",
        "xr.apply_ufunc(np.mean, da, input_core_dims=[['energy']], kwargs={'axis': -1})",
        "da.chunk(x=2).map_blocks(double, template=da.chunk(x=2))",
        "da.pipe(double)",
        "da.to_dataset().map(double).current",
    ),
    *_section(
        "Files and other homes",
        "pickle.loads(pickle.dumps(da))",
        ("netcdf(da, 'h5netcdf')", "nA", "h5netcdf"),
        ("netcdf(da, 'netcdf4')", "nA", "netCDF4"),
        ("zarr(da)", "nA", "zarr"),
        "nsid(da)",
        "xr.DataArray.from_dict(da.to_dict())",
        "da.to_series().to_xarray()",
        "da.to_dataframe().to_xarray().current",
        "xr.DataArray(da.values, dims=da.dims)",
        "xr.DataArray(da.variable)",
        ("da.pint.quantify().pint.dequantify()", "nA", "pint_xarray"),
        ("da.pint.quantify().pint.to('pA').pint.dequantify()", "pA", "pint_xarray"),
    ),
]


def available(operation: Operation) -> bool:
    """Whether the package that an operation needs is here."""
    return not operation.needs or find_spec(operation.needs) is not None


def sample(folder: Path) -> dict[str, Any]:
    """Return the names that the operations use."""
    rng = np.random.default_rng(0)
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm"), "energy": (0.5, "eV")}

    def made(units: str, quantity: str, *, hole: bool = False) -> xr.DataArray:
        values = rng.normal(size=(4, 5, 8)) + 2
        if hole:
            values[0, 0, 0] = np.nan
        out = sid.dataarray(values, dims, units=units, quantity=quantity, metadata={"beam": {"energy": 60e3}})
        return out.assign_coords(channel=("energy", [0, 0, 1, 1, 2, 2, 3, 3]))

    da = made("nA", "current", hole=True)
    days = np.arange("2024-01-01", "2024-01-09", dtype="M8[D]").astype("M8[ns]")
    series = made("nA", "current").isel(x=0, y=0, drop=True).drop_vars("channel").rename(energy="time")
    series = series.assign_coords(time=("time", days, {"sid_dimension_type": "temporal"}))
    series = provenance.root(provenance.strip(series), "sid:input@1", identity={"name": "series"})

    def saved(obj: xr.DataArray, engine: str) -> xr.DataArray:
        obj.to_netcdf(folder / f"{engine}.nc", engine=engine)
        return xr.load_dataarray(folder / f"{engine}.nc", engine=engine)

    def stored(obj: xr.DataArray) -> xr.DataArray:
        obj.to_zarr(folder / "a.zarr", mode="w")
        return xr.open_dataarray(folder / "a.zarr", engine="zarr").load()

    def ours(obj: xr.DataArray) -> xr.DataArray:
        obj.sid.to_nsid(folder / "a.h5", mode="w")
        return sid.open_dataarray(folder / "a.h5").load()

    def in_place(obj: xr.DataArray) -> xr.DataArray:
        out = obj.copy(deep=True)
        out[0, 0, 0] = 99
        return out

    def iadd(obj: xr.DataArray) -> xr.DataArray:
        out = obj.copy(deep=True)
        out += 1
        return out

    return {
        "da": da,
        "twin": made("nA", "current"),
        "other": made("V", "bias"),
        "bare": xr.DataArray(np.ones(8), dims="energy"),
        "stack": xr.DataArray(np.ones(2), dims="frame"),
        "weights": xr.DataArray(np.arange(1.0, 9.0), dims="energy"),
        "points": xr.DataArray([0, 1, 2], dims="point"),
        "series": series,
        "line": lambda x, a, b: a * x + b,
        "double": lambda v: v * 2,
        "netcdf": saved,
        "zarr": stored,
        "nsid": ours,
        "in_place": in_place,
        "iadd": iadd,
        "np": np,
        "xr": xr,
        "pickle": pickle,
    }


def run(code: str, names: dict[str, Any]) -> xr.DataArray:
    """Evaluate one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if ".pint." in code:
            import pint_xarray  # noqa: F401
        return eval(code, dict(names))


def row(operation: Operation, names: dict[str, Any]) -> tuple[Row, xr.DataArray]:
    """Run an operation and see what is left."""
    before = names["series" if operation.code.startswith("series") else "da"]
    out = run(operation.code, names)
    if not isinstance(out, xr.DataArray):  # numpy gives its own for 0-d results
        out = xr.DataArray(out)
    units = out.attrs.get("units")
    if units is None:
        said = "lost"
    else:
        said = "kept" if normalise(units).canonical == operation.units else "**false**"
    kept = [dim for dim in out.dims if dim in before.dims]
    same = all(dim in out.coords and _said(out[dim]) == _said(before[dim]) for dim in kept)
    found = Row(
        units=said,
        long_name="kept" if out.attrs.get("long_name") == before.attrs["long_name"] else "lost",
        metadata="kept" if out.attrs.get("sid_metadata") == before.attrs["sid_metadata"] else "lost",
        coordinates="–" if not kept else "kept" if same else "lost",
        status=out.sid.provenance.status,
        kind=out.sid.kind,
    )
    return found, out


def _said(coord: xr.DataArray) -> tuple[object, object]:
    return normalise(coord.attrs.get("units")).canonical, coord.attrs.get("sid_dimension_type")


# How a line reads that needs a helper to be one.
SHOWN = {
    "iadd(da)": "da += 1",
    "in_place(da)": "da[0, 0, 0] = 99",
    "netcdf(da, 'h5netcdf')": "da.to_netcdf(path, engine='h5netcdf')",
    "netcdf(da, 'netcdf4')": "da.to_netcdf(path, engine='netcdf4')",
    "zarr(da)": "da.to_zarr(path)",
    "nsid(da)": "da.sid.to_nsid(path)",
}

INTRO = """# What survives plain xarray

<!-- Generated by tests/house/test_survival.py with xarray {version}. Do not edit: run it with SID_REGENERATE=1. -->

Everything that an array knows is in its attributes and coordinates, and xarray carries those through most of what you
do. This page lists {count} operations and what is left after each, measured with xarray {version}. The sample is a
spectral image `da`, a current in nA over `y`, `x` (nm) and `energy` (eV), with one NaN, metadata and a history.
`twin` is another one, `other` a bias in V on the same grid, `series` a curve over time; `bare`, `weights`, `points` and
`stack` are arrays without attributes. Arrays from files are loaded.

- **units**: *kept* means that they are right; **false** that xarray kept them although the result has others;
  *lost* that there are none.
- **name**: the quantity, `long_name`. **metadata**: what `da.sid.metadata` shows.
- **axes**: units and types of the dimensions that are still there. *lost* also when the coordinate itself is gone.
- **status**: what `da.sid.provenance.status` says. *verified*: values and axes are those of the last recorded step.
  *modified*: they are not. *merged*: two histories were joined. *unknown*: lazy, nothing can be checked.
  *none*: the history is gone.
- **kind**: what the array is taken for afterwards.

## What to do

**Where units are false or lost**, say what they are: `(da ** 2).sid.set_units("nA^2")`. Verbs of `.sid` set the units
of their results themselves: `da.sid.sel(energy=(1, 3), reduce="integrate")` is in nA·eV, where `da.integrate("energy")`
has none. `da.sid.check()` finds what no longer holds.

**Where axes or everything is lost**, connect the result to what it was made from: `result.sid.adopt(da)` gives back the
coordinates of dimensions that kept name and size, source and metadata, and starts the history with that of `da` and an
`unrecorded` step.

**Where the status is not verified**, nothing is wrong: the values were made by something that left no record. The next
verb writes that down as an explicit `unrecorded` step. A status is never *verified* when values, order of dimensions or
axes differ from what the last step produced; units and names are not part of the check. Lazy values are never
*verified*: operations on them are noticed by the graph of dask. What cannot be noticed is an operation on lazy values
that keeps shape and coordinates and xarray's `encoding` (`roll`, `shift`, `map_blocks` with a template), followed by
`.compute()` before the next verb, and values that were edited in place and then chunked: the status is *unknown* there,
too.

**To keep both histories** when joining, pass `combine_attrs="drop_conflicts"`, the default of arithmetic.
"""


def page(rows: dict[Operation, Row]) -> str:
    """Return the text of the page."""
    lines = [INTRO.format(version=xr.__version__, count=len(rows))]
    section = ""
    for operation, found in rows.items():
        if operation.section != section:
            section = operation.section
            lines += [
                f"\n## {section}\n",
                "| operation | units | name | metadata | axes | status | kind |",
                "|" + "---|" * 7,
            ]
        lines.append(line(operation, found))
    return "\n".join(lines) + "\n"


def line(operation: Operation, found: Row) -> str:
    """Return one row of the table."""
    cells = (found.units, found.long_name, found.metadata, found.coordinates, found.status, found.kind)
    return f"| `{SHOWN.get(operation.code, operation.code)}` | {' | '.join(cells)} |"
