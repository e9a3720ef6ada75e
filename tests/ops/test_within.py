"""Regions of arrays: values in closed form, dtypes, files and replay."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.core.region import Region

RING = Region.aperture(y=1, x=1.5, radius=1.2, inner=0.4)
ANY = pytest.mark.parametrize(
    "region", [RING, Region.polygon([(0, 0), (0, 3.1), (2, 3.1)]), Region.box(y=(0, 1), x=(1, 2))]
)
REDUCE = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min, "std": np.std}


@ANY
@pytest.mark.parametrize("reduce", REDUCE)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8"])
def test_a_region_is_reduced_over_its_points(region, reduce, dtype):
    cube = sid.datasets.peak_map().astype(dtype)
    inside = region.mask(cube).values
    want = REDUCE[reduce](cube.values[inside].astype("f8"), axis=0)
    got = cube.sid.within(region, reduce=reduce)
    assert got.dims == ("energy",)
    np.testing.assert_allclose(got.values, want, rtol=1e-5)
    np.testing.assert_allclose(cube.chunk(x=3).sid.within(region, reduce=reduce).values, got.values, rtol=1e-5)


@ANY
def test_without_reduction_the_dimensions_stay(region):
    cube = sid.datasets.peak_map()
    got = cube.sid.within(region)
    assert got.dims == cube.dims and got.dtype == cube.dtype
    same = cube.where(region.mask(cube))
    np.testing.assert_array_equal(got.values, same.sel(y=got.y, x=got.x).values)
    assert got.sid.provenance.parameters()["region"] == region.to_dict()


def test_a_box_keeps_integers_and_a_ring_makes_floats():
    cube = sid.datasets.peak_map().astype("u2")
    assert cube.sid.within(Region.box(y=(0, 1))).dtype == "u2"
    assert cube.sid.within(Region.point(y=1, x=1)).dtype == "u2"
    assert cube.sid.within(RING).dtype.kind == "f"
    assert cube.sid.within(RING, reduce="sum").dtype.kind == "u"


def test_a_gap_inside_is_left_out_of_the_mean_and_seen_in_the_sum():
    cube = sid.datasets.peak_map().copy()
    cube[2, 3] = np.nan
    assert np.isfinite(cube.sid.within(RING, reduce="mean")).all()
    assert np.isnan(cube.sid.within(Region.aperture(y=1, x=1.5, radius=1), reduce="sum")).all()
    assert np.isfinite(cube.sid.within(RING, reduce="sum")).all()  # the gap is in the hole of the ring


def test_complex_values_have_a_mean_and_no_largest():
    cube = sid.datasets.peak_map() * (1 + 1j)
    np.testing.assert_allclose(
        cube.sid.within(RING, reduce="mean").values, cube.values[RING.mask(cube).values].mean(0), rtol=1e-5
    )
    with pytest.raises(ValueError, match="no max"):
        cube.sid.within(RING, reduce="max")


def test_the_json_form_is_a_region_and_replays_from_a_file(tmp_path):
    cube = sid.datasets.peak_map()
    mean = cube.sid.within(RING.to_dict(), reduce="mean")
    path = tmp_path / "a.h5"
    mean.sid.to_nsid(path)
    back = sid.open_dataarray(path).load()
    assert Region.from_dict(back.sid.provenance.parameters()["region"]) == RING
    assert back.sid.provenance.replay(cube).equals(mean)
    assert "Region" in sid.__all__


def test_the_methods_text_tells_the_region():
    cube = sid.datasets.peak_map()
    text = str(cube.sid.within(RING, reduce="mean").sid.provenance.methods_text())
    assert "he ring from 0.4 to 1.2 nm around y = 1 nm and x = 1.5 nm was selected and averaged" in text
