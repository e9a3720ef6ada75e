"""Dimensions by meaning, with the evidence."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import dims
from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.schema.kinds import DIMENSION_TYPES

EVIDENCE = [
    # name, attributes of the coordinate (None: there is none), type, evidence
    ("x", {"sid_dimension_type": "spectral"}, "spectral", "declared"),
    ("x", {"sid_dimension_type": "SPATIAL"}, "spatial", "declared"),
    ("x", {"sid_dimension_type": "frame"}, "temporal", "declared"),
    ("x", {"sid_dimension_type": "unknown", "units": "nm"}, "unknown", "declared"),
    ("x", {"sid_dimension_type": "nonsense", "units": "eV"}, "spectral", "units"),
    ("a", {"units": "nm"}, "spatial", "units"),
    ("a", {"units": "1/nm"}, "reciprocal", "units"),
    ("a", {"units": "1/cm"}, "spectral", "units"),
    ("a", {"units": "mV"}, "spectral", "units"),
    ("a", {"units": "s"}, "temporal", "units"),
    ("a", {"units": "mrad"}, "reciprocal", "units"),
    ("x", {"units": "eV"}, "spectral", "units"),
    ("energy_loss", {"units": "a.u."}, "spectral", "name"),
    ("Bias", None, "spectral", "name"),
    ("bias_2", None, "spectral", "name"),
    ("kx", None, "reciprocal", "name"),
    ("Y", None, "spatial", "name"),
    ("frame", None, "temporal", "name"),
    ("detector", None, "channel", "name"),
    ("atom", None, "point_cloud", "name"),
    ("row", {"units": "px"}, "spatial", "name"),
    ("something", None, "unknown", "none"),
    ("something", {"units": "1"}, "unknown", "none"),
    ("something", {"units": "parrots"}, "unknown", "none"),
]


@pytest.mark.parametrize(("name", "attrs", "kind", "evidence"), EVIDENCE, ids=str)
def test_types_are_read_from_the_best_evidence(name, attrs, kind, evidence):
    coords = {} if attrs is None else {name: (name, np.arange(3.0), attrs)}
    found = xr.DataArray(np.zeros(3), dims=name, coords=coords).sid.dimension_types[name]
    assert found == kind
    assert found.evidence == evidence
    assert repr(found) == (repr(kind) if evidence == "declared" else f"{kind!r} (from {evidence})")


def test_two_untyped_axes_behind_a_scan_are_a_detector():
    da = xr.DataArray(np.zeros((2, 2, 3, 3)), dims=("y", "x", "i", "j"))
    assert da.sid.dimension_types["i"] == "reciprocal"
    assert da.sid.dimension_types["i"].evidence == "context"
    assert da.sid.kind == "image_4d"
    assert da.isel(x=0).sid.dimension_types["i"].evidence == "none"


def test_a_type_is_text_that_pickles_with_its_evidence():
    kind = sid.datasets.peak_map().drop_attrs().sid.dimension_types["x"]
    for twin in (pickle.loads(pickle.dumps(kind)), copy.copy(kind), copy.deepcopy(kind)):
        assert twin == "spatial"
        assert twin.evidence == "name"
    assert {kind: 1}["spatial"] == 1


KINDS = [
    ({}, "scalar"),
    ({"energy": "spectral"}, "spectrum"),
    ({"x": "spatial"}, "line_profile"),
    ({"y": "spatial", "x": "spatial"}, "image"),
    ({"ky": "reciprocal", "kx": "reciprocal"}, "image"),
    ({"x": "spatial", "energy": "spectral"}, "line_profiles"),
    ({"t": "temporal", "y": "spatial", "x": "spatial"}, "image_stack"),
    ({"z": "spatial", "y": "spatial", "x": "spatial"}, "volume"),
    ({"y": "spatial", "x": "spatial", "energy": "spectral"}, "spectral_image"),
    ({"energy": "spectral", "y": "spatial", "x": "spatial"}, "spectral_image"),
    ({"y": "spatial", "x": "spatial", "ky": "reciprocal", "kx": "reciprocal"}, "image_4d"),
    ({"atom": "point_cloud", "energy": "spectral"}, "point_cloud"),
]


@pytest.mark.parametrize(("types", "kind"), KINDS, ids=str)
def test_the_kind_of_data_follows_from_the_dimensions(types, kind):
    da = xr.DataArray(np.zeros((2,) * len(types)), dims=list(types)).sid.set_dims(types)
    assert da.sid.kind == kind


def test_the_kind_changes_with_the_dimensions_and_an_override_only_while_it_fits():
    cube = sid.datasets.peak_map()
    assert cube.mean("energy").sid.kind == "image"
    assert cube.isel(y=0).sid.kind == "line_profiles"
    stack = cube.assign_attrs(sid_data_type="image_stack")
    assert stack.sid.kind == "image_stack"
    assert stack.mean("energy").sid.kind == "image"
    assert cube.assign_attrs(sid_data_type="nonsense").sid.kind == "spectral_image"


def test_dims_are_found_by_type():
    da = sid.datasets.peak_map()
    assert da.sid.dims_of("spatial") == ("y", "x")
    assert da.sid.dims_of("temporal") == ()
    with pytest.raises(DimensionError, match=f"no dimension type 'space'. Types: {', '.join(DIMENSION_TYPES)}"):
        da.sid.dims_of("space")


def test_the_one_dimension_or_a_message_that_says_what_to_type():
    da = sid.datasets.peak_map()
    assert dims.one_dim(da, None, kind="spectral") == "energy"
    assert dims.one_dim(da, "x", kind="spectral") == "x"
    text = (
        "expected one spatial dimension on 'intensity', found 'y', 'x' among y (spatial), x (spatial), "
        "energy (spectral). Pass dim=..., or mark one: da.sid.set_dims({'energy': 'spatial'})."
    )
    with pytest.raises(DimensionError) as error:
        dims.one_dim(da, None, kind="spatial")
    assert str(error.value) == text
    with pytest.raises(DimensionError, match="expected one spectral or temporal dimension on the array, found none"):
        dims.one_dim(da.mean("energy").rename(None), None, kind=("spectral", "temporal"))
    assert dims.one_dim(xr.DataArray(np.zeros(3), dims="a"), None, kind="spectral") == "a"


def test_positions_spacing_and_units():
    da = sid.datasets.peak_map().drop_vars("x")
    np.testing.assert_array_equal(dims.values_of(da, "x"), np.arange(8.0))
    assert dims.units_of(da, "x") == "1"
    assert dims.units_of(da, "energy") == "eV"
    assert dims.units_of(da) == "count"
    assert dims.spacing(da, "y") == 0.5
    assert dims.spacing(da.isel(y=slice(None, None, -1)), "y") == -0.5
    with pytest.raises(DimensionError, match="'y' has 1 point: no spacing"):
        dims.spacing(da.isel(y=[0]), "y")
    with pytest.raises(DimensionError, match=r"'y' is not evenly spaced\. Resample it first"):
        dims.spacing(da.assign_coords(y=[0, 1, 4, 9, 16, 25]), "y")
    with pytest.raises(DimensionError, match="coordinate 'y' is not numeric"):
        dims.values_of(da.assign_coords(y=list("abcdef")), "y")
    times = da.assign_coords(y=np.arange(6).astype("m8[s]"))
    np.testing.assert_array_equal(dims.values_of(times, "y"), np.arange(6.0))
    assert dims.units_of(times, "y") == "s"


@pytest.mark.parametrize(
    ("value", "position"), [(3, 3.0), ("3", 3.0), ("3 nm", 3.0), ("0.003 um", 3.0), ("30 A", 3.0), (np.float32(3), 3.0)]
)
def test_positions_may_be_text_with_units(value, position):
    da = sid.datasets.peak_map()
    assert dims.position_of(da, "x", value) == pytest.approx(position)
    with pytest.raises(UnitsError, match="cannot convert 'eV'"):
        dims.position_of(da, "x", "3 eV")
    with pytest.raises(DimensionError, match=r"a position along 'x' is a number in nm, or text such as '0\.5 nm'"):
        dims.position_of(da, "x", [1, 2])


def test_a_wavelength_is_a_length_and_no_place():
    da = xr.DataArray(np.zeros((3, 4, 5)), dims=("y", "x", "wavelength"))
    da = da.assign_coords(wavelength=("wavelength", np.arange(5.0), {"units": "nm"}))
    assert dims.describe(da)["wavelength"] == "spectral"
    assert dims.data_kind(da) == "spectral_image"
