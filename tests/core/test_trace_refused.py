"""What cannot be recorded is refused, and the message says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.trace import table
from sid_xarray.errors import TraceError


def cube(seed: int, name: str = "sample") -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 5, 8)) + 2
    values[0, 0, seed % 8] = np.nan
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm"), "energy": (0.5, "eV")}
    da = sid.dataarray(values, dims, units="nA", quantity="current", name=name)
    return da.assign_coords(channel=("energy", [0, 0, 1, 1, 2, 2, 3, 3]))


# ---------------------------------------------------------------- what is refused


def _assigned(d):
    d[0] = 1
    return d


def _attributes(d):
    d.attrs["units"] = "V"
    return d


def _set(d):
    d.name = "mine"
    return d


def _added(d):
    d += 1
    return d


REFUSED: dict[str, tuple[Any, str]] = {
    "if": (lambda d: d if d.mean() > 0 else -d, r"d\.where\(condition, other\)"),
    "and": (lambda d: (d > 0) and (d < 1), "join conditions with &"),
    "chained comparison": (lambda d: 0 < d < 1, "join conditions with &"),
    "max": (lambda d: max(d, d + 1), r"d\.where\(condition, other\)"),
    "values": (lambda d: d.values, r"d\.sid\.apply\(function\)"),
    "data": (lambda d: d.data, r"d\.sid\.apply\(function\)"),
    "to_numpy": (lambda d: d.to_numpy(), r"d\.sid\.apply\(function\)"),
    "item": (lambda d: d.mean().item(), "bare values leave the history"),
    "float": (lambda d: d * float(d.mean()), "Arrays without dimensions do the same"),
    "int": (lambda d: d * int(d.mean()), "Arrays without dimensions do the same"),
    "index": (lambda d: [1, 2][d.argmax()], "Arrays without dimensions do the same"),
    "for": (lambda d: sum(row for row in d), r"d\.mean\('x'\)"),
    "unpacking": (lambda d: [*d], r"d\.mean\('x'\)"),
    "len": (lambda d: d / len(d), r"for a mean type d\.mean\('x'\)"),
    "in": (lambda d: d if 3 in d else -d, r"d\.isin"),
    "shape": (lambda d: d / d.shape[0], "be wrong on other data"),
    "sizes": (lambda d: d.isel(x=slice(0, d.sizes["x"] // 2)), "be wrong on other data"),
    "dtype": (lambda d: d.astype(d.dtype), r"d\.astype\('float32'\)"),
    "attrs": (_attributes, "assign_attrs"),
    "name": (lambda d: d.rename(d.name + "_2"), r"result\.rename"),
    "in-place": (_assigned, r"d = d\.where\(condition, value\)"),
    "in-place arithmetic": (_added, r"d = d \+ other"),
    "attribute": (_set, "arrays are not changed in place"),
    "delete": (lambda d: d.__delitem__("x"), r"d\.drop_vars"),
    "compute": (lambda d: d.compute(), "do it outside"),
    "load": (lambda d: d.load(), "do it outside"),
    "plot": (lambda d: d.plot(), "do it outside"),
    "file": (lambda d: d.to_netcdf("a.nc"), "do it outside"),
    "pandas": (lambda d: d.to_pandas(), "leaves xarray leaves the history"),
    "np.asarray": (lambda d: np.asarray(d), "np.mean"),
    "np.array in": (lambda d: np.array([1, d.mean()]), "leaves? the history"),
    "np.mean": (lambda d: np.mean(d), r"d\.mean\(\.\.\.\)"),
    "np.where": (lambda d: np.where(d > 0, d, 0), r"d\.where\(condition, other\)"),
    "np.angle": (lambda d: np.angle(d), r"np\.arctan2\(d\.imag, d\.real\)"),
    "np.linalg by its name": (lambda d: np.linalg.norm(d), r"np\.linalg\.norm in a trace"),
    "formatted": (lambda d: d * float(f"{d.mean():.2f}"), "bare number leaves the history"),
    "divmod": (lambda d: divmod(d, 2), "d // other and d % other"),
    "reflected divmod": (lambda d: divmod(2, d), "d // other and d % other"),
    "copy": (lambda d: __import__("copy").copy(d), "Leave it out"),
    "deepcopy": (lambda d: __import__("copy").deepcopy(d), "Leave it out"),
    "key of a dict": (lambda d: {d: 1}, r"unhashable.*d\.sid\.apply\(function\)"),
    "xr.polyval": (lambda d: xr.polyval(d["x"], d), r"takes no traced arrays.*d\.sid\.apply\(function\)"),
    "arithmetic of a whole result": (lambda d: d.sid.fit("constant") * 2, r"ds\['offset'\] \*"),
    "arithmetic with a whole result": (lambda d: 2 - d.sid.fit("constant"), r"ds\['offset'\] -"),
    "array with a whole result": (lambda d: d - d.sid.fit("constant"), r"ds\['offset'\] -"),
    "function of a whole result": (lambda d: np.exp(d.sid.fit("constant")), r"np\.exp\(ds\['offset'\]\)"),
    "np.linalg": (lambda d: np.linalg.norm(d), r"d\.sid\.apply"),
    "np.add.reduce": (lambda d: np.add.reduce(d), r"d\.sum\('x'\)"),
    "np.exp out": (lambda d: np.exp(d, where=True), "with arrays alone"),
    "np.modf": (lambda d: np.modf(d), "not in the table"),
    "ufunc of scipy": (lambda d: __import__("scipy.special").special.erf(d), r"d\.sid\.apply\(function\)"),
    "xr.where": (lambda d: xr.where(d > 0, d, 0), r"a\.where\(c, b\)"),
    "xr.dot": (lambda d: xr.dot(d, d), r"a\.dot\(b\)"),
    "xr.concat": (lambda d: xr.concat([d, d], "f"), "concat"),
    "apply_ufunc": (lambda d: xr.apply_ufunc(np.sort, d), "take no traced arrays"),
    "DataArray": (lambda d: xr.DataArray(d), "in a trace"),
    "map_blocks": (lambda d: d.map_blocks(lambda b: b), r"d\.sid\.apply\(function\)"),
    "reduce": (lambda d: d.reduce(np.ptp, "x"), r"d\.sid\.apply\(function\)"),
    "curvefit": (lambda d: d.curvefit("x", lambda x, a: a * x), r"d\.sid\.apply\(function\)"),
    "a function as argument": (lambda d: d.where(lambda v: v > 0), "'.*lambda.*' cannot be written"),
    "a function for a coordinate": (lambda d: d.assign_coords(x=lambda v: v.x * 2), "cannot be written"),
    "rolling reduce": (lambda d: d.rolling(x=2).reduce(np.ptp), r"d\.sid\.apply\(function\)"),
    "groupby map": (lambda d: d.groupby("channel").map(lambda v: v), r"d\.sid\.apply\(function\)"),
    "groups": (lambda d: [v for _, v in d.groupby("channel")], r"d\.groupby\(\.\.\.\)\.mean"),
    "unknown of rolling": (lambda d: d.rolling(x=2).kurtosis(), "there are argmax"),
    "objects": (lambda d: d.isel(x=object()), "cannot be written into a history"),
    "a large array": (lambda d: d + np.zeros((100, 100)), "too large"),
    "an unknown name": (lambda d: d.meen("x"), "Did you mean 'mean'"),
    "an unknown name without a neighbour": (lambda d: d.qqqq, r"d\.sid\.apply\(function\)"),
    "view of a verb": (lambda d: d.sid.kind, "it is no verb"),
    "saving": (lambda d: d.sid.to_nsid("a.h5"), "it is no verb"),
    "variable of a result": (lambda d: d.sid.fit("constant")["nothing"], "offset, offset_stderr"),
    "a whole result": (lambda d: d.sid.fit("constant").mean(), r"ds\['offset'\]\.mean"),
    "parts of a date": (lambda d: d.energy.dt.strftime("%Y"), r"d\.dt\.month"),
    "pickle": (lambda d: __import__("pickle").dumps(d), "what the trace returns"),
    "nothing": (lambda d: None, "returned nothing"),
    "a number": (lambda d: 3, "returned a int"),
    "an array from outside": (lambda d: cube(1), "returned a DataArray"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_recorded_is_refused_and_says_what_to_do(what):
    function, said = REFUSED[what]
    with pytest.raises(TraceError, match=said) as found:
        cube(1).fillna(1.0).sid.trace(function)
    assert len(str(found.value)) > 30


def test_what_is_no_verb_is_not_taken_for_a_slip_of_the_pen():
    with pytest.raises(TraceError) as found:
        cube(1).sid.trace(lambda d: d.sid.to_nsid("a.h5"))
    assert "Did you mean" not in str(found.value)


def test_rounding_and_printing_are_no_matter():
    da = cube(1)
    out = da.sid.trace(lambda d: round(d, 1) + 0 * len(f"{d}"))
    assert out.equals(da.round(1) + 0)
    assert "round(1)" in repr(out.sid.provenance)
    assert out.sid.provenance.replay(da).identical(out)


def test_a_plain_array_left_of_a_traced_one_is_refused_with_the_way_out():
    left = cube(2)
    with pytest.raises(TraceError, match="left of"):
        cube(1).sid.trace(lambda d: left - d)


def test_every_name_of_an_array_is_recorded_or_refused_for_a_reason():
    """What xarray adds is found here: it belongs into one of the tables."""
    known = set(table.METHODS) | set(table.PROPERTIES) | set(table.CHAINS) | set(table.REFUSED)
    known |= {"dims", "ndim", "sid", "loc", "dt", "coords", "pipe"}
    rest = {n for n in dir(xr.DataArray) if not n.startswith("_")} - known
    assert rest <= UNRECORDED


UNRECORDED = set(
    "argsort assign_attrs bitwise_count cf chunks chunksizes conjugate convert_calendar cumulative drop "
    "drop_encoding drop_indexes from_dict from_iris from_series get_axis_num get_index groupby_bins hvplot "
    "interp_calendar pint quantile query reorder_levels reset_encoding rolling_exp searchsorted set_close set_xindex "
    "str to_iris unify_chunks broadcast_equals to_unstacked_dataset imshow cupy cubed geo rio odc xrft dask "
    "__dask_tokenize__ numbagg drop_duplicates interactive".split()
)
"""Of no use in an analysis, deprecated, or of another package; ``d.name`` says that they cannot be recorded."""
