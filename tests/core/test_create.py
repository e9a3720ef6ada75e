"""One line from a bare array; and what check says of arrays."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError


def test_every_form_of_a_dimension():
    dims = {
        "t": None,
        "y": 0.5,
        "x": (0.5, "nm"),
        "energy": ([1.0, 2.0, 4.0], "eV"),
        "q": (np.arange(2), "1/nm", "reciprocal"),
    }
    da = sid.dataarray(
        np.zeros((2, 3, 4, 3, 2)), dims, units="nA", quantity="current", title="a", modality="b", source="c"
    )
    assert da.t.values.tolist() == [0, 1]
    assert da.y.values.tolist() == [0, 0.5, 1]
    assert (da.y.units, da.x.units, da.q.units) == ("1", "nm", "1/nm")
    assert da.energy.values.tolist() == [1, 2, 4]
    assert dict(da.sid.dimension_types) == {
        "t": "temporal", "y": "spatial", "x": "spatial", "energy": "spectral", "q": "reciprocal"
    }  # fmt: skip
    assert da.name == "current"
    assert {k: v for k, v in da.attrs.items() if "prov" not in k} == {
        "long_name": "current", "sid_title": "a", "sid_modality": "b", "source": "c", "units": "nA", "sid_version": "1"
    }  # fmt: skip
    assert da.sid.check().ok


def test_values_are_not_copied_and_lazy_stays_lazy():
    import dask.array as dask_array

    values = np.zeros(3)
    assert np.shares_memory(sid.dataarray(values, {"x": 1}).values, values)
    with sid.testing.no_compute():
        lazy = sid.dataarray(dask_array.ones((4, 4), chunks=2), {"y": 1, "x": 1})
    sid.testing.assert_lazy(lazy)
    assert lazy.sid.provenance.status == "unknown"
    assert sid.dataarray([1, 2, 3], {"x": 1}).dtype.kind == "i"
    assert sid.dataarray(xr.DataArray([1.0, 2.0], dims="a"), {"x": 1}).dims == ("x",)


def test_the_same_values_have_the_same_origin_and_other_values_or_axes_another():
    ids = [
        sid.dataarray(values, {"x": (step, "nm")}, quantity=name).sid.provenance.id
        for values, step, name in (
            ([1.0, 2], 1, "a"),
            ([1.0, 2], 1, "a"),
            ([1.0, 3], 1, "a"),
            ([1.0, 2], 2, "a"),
            ([1.0, 2], 1, "b"),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("shape", "dims", "text"),
    [
        (
            (2, 3),
            {"x": 1},
            r"values have 2 dimensions of sizes \(2, 3\), dims name 1: \['x'\]. Give one entry a dimension",
        ),
        ((2,), {"x": ("nm",)}, "should start with a step or positions, got 'nm'"),
        ((2,), {"x": (1, "nm", "spatial", 4)}, r"should be \(step or positions, units\[, type\]\)"),
        ((2,), {"x": ([1, 2, 3], "nm")}, r"has \(3,\) positions for 2 points"),
        ((2,), {"x": (1, "nm", "space")}, "no dimension type 'space'"),
        ((2,), ["x"], "dims is a mapping such as"),
    ],
)
def test_errors_say_what_to_type(shape, dims, text):
    with pytest.raises(DimensionError, match=text):
        sid.dataarray(np.zeros(shape), dims)


def test_check_finds_what_does_not_hold():
    da = sid.datasets.peak_map()
    assert repr(da.sid.check()) == "all is well"
    bad = da.drop_vars("y").assign_attrs(units="a.u.", info={"a": 1})
    bad = bad.assign_coords(x=("x", [0, 1, np.nan, 3, 4, 5, 6, 7.0], {"units": "parrots"}))
    bad.attrs[3] = 1
    text = repr(bad.sid.check())
    for line in (
        "warning: y: has no coordinate. Type: da.sid.adopt()",
        "note: x: is taken for spatial from its name. To write it down: da.sid.adopt()",
        "error: x: has positions that are not finite",
        "warning: x: units 'parrots' are not known to anyone",
        "warning: intensity: units 'a.u.' are spelled '1' elsewhere",
        "error: intensity: attribute 'info' is a dict and cannot be saved",
        "error: intensity: attribute name 3 is not text",
    ):
        assert line in text
    assert not bad.sid.check().ok


def test_check_tells_that_units_may_be_false():
    da = sid.datasets.peak_map()
    (finding,) = (da**2).sid.check()
    assert finding.level == "warning"
    assert "units 'count' and long_name may no longer hold" in finding.text


def test_check_computes_nothing_and_reads_datasets():
    ds = sid.datasets.peak_map().sid.fit("gaussian + constant")
    assert ds.sid.check().ok
    assert "names 'height_stderr' as its companion" in repr(ds.drop_vars("height_stderr").sid.check())
    with sid.testing.no_compute():
        sid.datasets.peak_map().chunk().sid.check()
