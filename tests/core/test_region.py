"""Regions as data: JSON and back, masks in closed form, units."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.cut import resolved
from sid_xarray.core.region import Region
from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.kernels.regions import inside_polygon

REGIONS = (
    Region.interval(energy=(4, 6)),
    Region.box(y=(0.5, 1), x=(1, 2.5), units="nm"),
    Region.point(y=1.1, x=2),
    Region.polygon([(0, 0), (0, 3), (2, 3)]),
    Region.aperture(y=1, x=1.5, radius=1, inner=0.4),
    Region.box({"$\\sqrt E$": (0, 1)}),
    Region.point(y="500 pm", x=1),
)
EACH = pytest.mark.parametrize("region", REGIONS, ids=lambda r: r.kind)


@pytest.fixture
def plane() -> xr.DataArray:
    values = np.arange(5 * 7, dtype="u2").reshape(5, 7)
    return sid.dataarray(values, dims={"y": (0.5, "nm"), "x": (0.5, "nm")}, units="count")


@EACH
def test_json_and_back(region):
    assert Region.from_dict(json.loads(json.dumps(region.to_dict()))) == region


@EACH
def test_the_repr_is_the_line_that_makes_it(region):
    assert eval(repr(region), {"Region": Region}) == region


def test_units_that_differ_are_spelled_out():
    region = Region("point", ("y", "x"), (1, 2), ("nm", "angstrom"))
    assert eval(repr(region), {"Region": Region}) == region


@pytest.mark.parametrize(
    ("region", "inside"),
    [
        (Region.box(y=(0.5, 1.5), x=(1, 1)), lambda y, x: (y >= 0.5) & (y <= 1.5) & (x == 1)),
        (Region.box(x=(1.5, 1)), lambda y, x: (x >= 1) & (x <= 1.5)),
        (Region.interval(x=("1e-9 m", "15 angstrom")), lambda y, x: (x >= 1) & (x <= 1.5)),
        (Region.point(y=0.6, x=2.9), lambda y, x: (y == 0.5) & (x == 3)),
        (Region.aperture(y=1, x=1.5, radius=1), lambda y, x: np.hypot(y - 1, x - 1.5) <= 1),
        (Region.aperture(y=1, x=1.5, radius=1, inner=0.6), lambda y, x: abs(np.hypot(y - 1, x - 1.5) - 0.8) <= 0.2001),
        (Region.aperture(y=10, x=15, radius=10, units="angstrom"), lambda y, x: np.hypot(y - 1, x - 1.5) <= 1),
        (Region.polygon([(-1, -1), (-1, 2.2), (2.2, -1)]), lambda y, x: y + x < 1.2),
    ],
)
def test_masks_are_those_of_the_formula(plane, region, inside):
    y, x = np.meshgrid(plane.y, plane.x, indexing="ij")
    mask = region.mask(plane)
    np.testing.assert_array_equal(mask.broadcast_like(plane).transpose("y", "x").values, inside(y, x))


@pytest.mark.parametrize(
    "region",
    [
        Region.box(y=("5 angstrom", 1), x=(1, "2e-9 m")),
        Region.polygon([(0, 0), (0, "15 angstrom"), (2, 3)]),
        Region.aperture(y=10, x=15, radius=10, inner="0.4 nm", units="angstrom"),
        Region.interval(x=(1000, 2000), units="pm"),
        Region.point(y=1, x="1 nm"),
    ],
)
def test_resolved_positions_are_numbers_in_the_units_of_the_array(plane, region):
    found = resolved(plane, region)
    assert set(found.units) == {"nm"}
    assert not any(isinstance(v, str) for v in np.ravel(np.array(found.to_dict()["at"], dtype=object)))
    assert found.mask(plane).equals(region.mask(plane))
    assert resolved(plane, found) == found


def test_a_mask_does_not_read_values(plane):
    lazy = plane.chunk()
    assert Region.box(y=(0, 1)).mask(lazy).sum() == 3


def test_polygons_side_by_side_share_no_point_and_leave_none_out():
    v, h = np.arange(0, 6, 0.5), np.arange(0, 8, 0.5)
    grid = np.broadcast_to(h, (v.size, h.size))
    middle, corners = (2.5, 3.5), [(-1, -1), (-1, 9), (7, 9), (7, -1)]
    parts = [inside_polygon(v, grid, [a, b, middle]) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), 1)


def test_the_area_of_a_disc_is_that_of_the_circle():
    fine = sid.dataarray(np.zeros((400, 400)), dims={"y": (0.01, "nm"), "x": (0.01, "nm")})
    area = float(Region.aperture(y=2, x=2, radius=1.5).mask(fine).sum()) * 1e-4
    assert area == pytest.approx(np.pi * 1.5**2, rel=2e-3)


def test_a_point_cloud_is_cut_at_its_places():
    cloud = xr.DataArray(
        np.arange(6.0), dims="point", coords={"x": ("point", np.arange(6.0)), "y": ("point", np.arange(6.0) ** 2)}
    )
    assert Region.box(x=(1, 4), y=(0, 10)).mask(cloud).values.tolist() == [False, True, True, True, False, False]
    assert int(cloud.sid.within(Region.point(x=2.2, y=4))) == 2
    assert cloud.sid.within(Region.aperture(x=0, y=0, radius=1.5)).values.tolist() == [0, 1]
    assert cloud.sid.within(Region.polygon([(-1, -1), (-1, 5), (5, 5), (5, -1)])).values.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: Region.interval(x=(1, 2), y=(1, 2)), DimensionError, "Region.box"),
        (lambda p: Region("circle", ("x",), (1,)), DimensionError, "no region is a 'circle'"),
        (lambda p: Region("box", ("x",), (1,)), DimensionError, "a pair"),
        (lambda p: Region.polygon([(0, 0), (1, 1)]), DimensionError, "three corners"),
        (lambda p: Region.point(x=float("nan")), DimensionError, "a position"),
        (lambda p: Region.from_dict({"kind": "box"}), DimensionError, "lacks dims, at"),
        (lambda p: p.sid.within(3), DimensionError, "expected a region"),
        (lambda p: p.sid.within(Region.box(z=(0, 1))), DimensionError, "no dimension 'z'"),
        (lambda p: p.sid.within(Region.box(x=(9, 10))), DimensionError, "'x' spans 0 … 3 nm"),
        (lambda p: p.sid.within(Region.point(x=9)), DimensionError, "outside"),
        (lambda p: p.sid.within(Region.box(x=(0, 1), units="eV")), UnitsError, "eV"),
        (lambda p: p.sid.within(Region.box(x=(0, 1)), reduce="integral"), ValueError, "reduce is one of"),
    ],
)
def test_what_cannot_be_is_said(plane, make, error, words):
    with pytest.raises(error, match=words):
        make(plane)
