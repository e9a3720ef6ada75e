"""Arrays that are joined keep their histories."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import AlignmentError, ProvenanceError
from sid_xarray.testing import no_compute


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    dims = {"y": (0.5, "nm"), "energy": (0.5, "eV")}
    return [sid.dataarray(rng.normal(size=(4, 8)), dims, units="nA", name=n) for n in ("sample", "reference")]


# ---------------------------------------------------------------- concat and merge


def test_concat_records_replays_and_is_verified(pair):
    a, b = pair
    out = sid.concat([a, b], "frame")
    xr.testing.assert_equal(out, xr.concat([a, b], "frame"))
    view = out.sid.provenance
    assert (view.status, view.operations) == ("verified", ("input", "input", "concat"))
    assert out.attrs["units"] == "nA"
    xr.testing.assert_identical(view.replay(sample=a, reference=b), out)
    assert view.replay(sample=b, reference=b).equals(xr.concat([b, b], "frame"))


def test_concat_takes_positions_along_the_new_dimension(pair):
    import pandas as pd

    a, b = pair
    for dim in (
        xr.DataArray([0.5, 1.5], dims="t", name="t", attrs={"units": "s"}),
        pd.Index([0.5, 1.5], name="t"),
        xr.DataArray(pd.date_range("2024-01-01", periods=2), dims="t", name="t"),
    ):
        out = sid.concat([a, b], dim)
        xr.testing.assert_identical(out.sid.provenance.replay(sample=a, reference=b), out)
        assert out.dims[0] == "t"


def test_concat_of_datasets_and_along_a_dimension(raw):
    left, right = raw.isel(x=slice(0, 4)), raw.isel(x=slice(4, None))
    assert sid.concat([left, right], "x").equals(raw)
    one, two = (sid.datasets.peak_map(seed=s) for s in (1, 2))
    fits = [da.sid.fit("gaussian + constant") for da in (one, two)]
    both = sid.concat(fits, "frame")
    assert both.center.sid.provenance.status == "verified"
    names = {key: da for step in both.sid.provenance.roots for da in (one, two)
             if da.sid.provenance.id == step.id for key in (step.id,)}  # fmt: skip
    xr.testing.assert_identical(both.center.sid.provenance.replay(names), both.center)
    xr.testing.assert_identical(both.sid.provenance.replay(names), both)


def test_joins_on_other_grids_are_refused_and_name_the_fix(pair):
    a, b = pair
    moved = b.assign_coords(y=b.y + 1e-9)
    for join in (lambda **k: sid.concat([a, moved], "f", **k), lambda **k: sid.merge([a, moved], **k)):
        with pytest.raises(AlignmentError, match=r"reindex_like.*join='outer'"):
            join()
        assert join(join="outer").sizes["y"] == 8


def test_merge_records_and_replays(pair):
    a, b = pair
    out = sid.merge([a, b])
    assert out.sid.provenance.status == "verified"
    for name in out:
        assert out[name].sid.provenance.operations == ("input", "input", "merge")
    xr.testing.assert_identical(out.sid.provenance.replay(sample=a, reference=b), out)
    xr.testing.assert_identical(out["sample"].sid.provenance.replay(sample=a, reference=b), out["sample"])
    fit = sid.datasets.peak_map().sid.fit("gaussian + constant")
    more = sid.merge([fit, (fit.center * 2).rename("twice")])
    assert more.sid.provenance.status == "verified"
    assert "unrecorded" in more.twice.sid.provenance.operations


def test_joins_stay_lazy(pair):
    lazy = [da.chunk() for da in pair]
    with no_compute():
        assert sid.concat(lazy, "frame").sid.provenance.status == "unknown"
        assert sid.merge(lazy)["sample"].sid.provenance.status == "unknown"


def test_a_callable_among_the_arguments_is_opaque(pair):
    out = sid.concat(pair, "frame", combine_attrs=lambda attrs, context: {})
    with pytest.raises(ProvenanceError, match="worked with the object"):
        out.sid.provenance.replay(sample=pair[0], reference=pair[1])


def test_joins_of_xarray_unite_histories_where_they_are_asked_to(pair):
    a, b = pair
    joined = xr.concat([a, b], "frame", combine_attrs="drop_conflicts")
    assert joined.sid.provenance.status == "merged"
    assert len(joined.sid.provenance.roots) == 2
    assert joined.sid.rebin(y=2).sid.provenance.operations == ("input", "input", "unrecorded", "rebin")
    plain = xr.concat([a, b], "frame")
    assert plain.sid.provenance.status == "modified"
    merged = xr.merge([a, b], combine_attrs="drop_conflicts", join="exact", compat="no_conflicts")
    assert {da.sid.provenance.status for da in merged.data_vars.values()} == {"verified"}
    dataset = xr.concat(
        [a.to_dataset(name="v"), b.to_dataset(name="v")], "frame", combine_attrs="drop_conflicts", data_vars="all"
    )
    assert dataset.v.sid.provenance.status in ("merged", "modified")
