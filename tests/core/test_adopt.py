"""Arrays from anywhere, made to conform."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, SidWarning


@pytest.fixture
def bare():
    attrs = {
        "units": "Å",
        "metadata": {"beam": {"energy": 1}},
        "vendor": {"a": [1, {"b": 2}]},
        "original_metadata": {"k": "v"},
    }
    x = ("x", np.linspace(0, 1, 4), {"units": "nanometer", "extra": {"c": 3}})
    return xr.DataArray(np.zeros((2, 3, 4)), dims=("bin", "y", "x"), coords={"x": x}, attrs=attrs, name="z")


def test_everything_is_written_down(bare):
    out = bare.sid.adopt()
    assert out.units == "angstrom"
    assert out.attrs["sid_units_original"] == "Å"
    assert out.attrs["sid_version"] == "1"
    assert out.x.attrs["units"] == "nm"
    assert out.x.attrs["sid_dimension_type"] == "spatial"
    assert out.x.attrs["axis"] == "X"
    assert out.y.values.tolist() == [0, 1, 2]
    assert out.y.dtype == float
    assert out.y.attrs == {"units": "1", "sid_dimension_type": "spatial", "axis": "Y"}
    assert out.bin.attrs == {"units": "1", "sid_dimension_type": "unknown"}
    assert out.sid.metadata.to_dict() == {"beam": {"energy": 1}, "vendor": {"a": [1, {"b": 2}]}}
    assert out.sid.original_metadata.to_dict() == {"k": "v"}
    assert not any(isinstance(v, dict) for a in (out.attrs, out.x.attrs) for v in a.values())


def test_twice_is_once(bare):
    once = bare.sid.adopt()
    xr.testing.assert_identical(once.sid.adopt(), once)
    ds = bare.to_dataset().sid.adopt()
    xr.testing.assert_identical(ds.sid.adopt(), ds)


def test_the_input_is_left_alone_and_values_are_shared(bare):
    twin = bare.copy(deep=True)
    out = bare.sid.adopt()
    out.attrs["changed"] = out.x.attrs["changed"] = True
    xr.testing.assert_identical(bare, twin)
    assert np.shares_memory(out.values, bare.values)


def test_lazy_stays_lazy(bare):
    with sid.testing.no_compute():
        out = bare.chunk(y=1).sid.adopt().sid.set_units("nA").sid.set_dims(bin="temporal").sid.with_metadata(a=1)
    sid.testing.assert_lazy(out)


def test_a_dataset_with_several_variables(bare):
    ds = xr.Dataset({"a": bare, "b": bare.mean("bin") * 1}, attrs={"session": {"user": "me"}})
    out = ds.sid.adopt()
    assert out.a.units == out.b.units == "angstrom"
    assert out.sid.metadata.to_dict() == {"session": {"user": "me"}}
    assert out.bin.attrs["sid_dimension_type"] == "unknown"


def test_dates_and_words_get_no_units():
    da = xr.DataArray(
        np.zeros((2, 2)),
        dims=("time", "detector"),
        coords={"time": np.array(["2024-01-01", "2024-01-02"], "M8[ns]"), "detector": ["BF", "DF"]},
    ).sid.adopt()
    assert da.time.attrs == {"sid_dimension_type": "temporal", "axis": "T"}
    assert da.detector.attrs == {"sid_dimension_type": "channel"}
    assert not [f for f in da.sid.check() if f.level != "note"]


def test_units_that_nobody_knows_pass_with_a_warning(bare):
    with pytest.warns(
        SidWarning, match="units 'parrots' are not known and stay as they are. Say what they are"
    ) as seen:
        out = bare.assign_attrs(units="parrots").sid.adopt()
    assert seen[0].filename == __file__
    assert out.units == "parrots"


def test_a_stacked_dimension_survives():
    da = xr.DataArray(np.zeros((2, 3)), dims=("y", "x")).stack(pixel=("y", "x"))
    out = da.sid.adopt()
    assert out.sid.dimension_types["pixel"] in ("unknown", "spatial")
    assert out.unstack("pixel").dims == ("y", "x")


# ---------------------------------------------------------------- parent


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def check_child(child, parent):
    """What came back bare is ours again, and says where it comes from."""
    assert not [f for f in child.sid.check() if f.level != "note"]
    arrays = child.data_vars.values() if isinstance(child, xr.Dataset) else [child]
    for da in arrays:
        found = da.sid.provenance
        assert found.operations == (*parent.sid.provenance.operations, "unrecorded")
        assert found.heads != parent.sid.provenance.heads
        assert found.status in ("verified", "unknown")


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_what_xrft_returns_is_reciprocal_space(lazy):
    xrft = pytest.importorskip("xrft")
    image = sid.datasets.lattice_image()
    out = quiet(xrft.fft, image.chunk() if lazy else image).sid.adopt(image)
    check_child(out, image)
    assert out.freq_x.units == "1/nm"
    assert out.sid.dims_of("reciprocal") == ("freq_y", "freq_x")
    assert out.sid.kind == "image"
    assert out.attrs["sid_modality"] == "STEM"
    ours = image.sid.fft()
    np.testing.assert_allclose(out.freq_x, ours.kx, atol=1e-9)


def test_what_polyfit_returns():
    cube = sid.datasets.peak_map()
    out = cube.polyfit("energy", 1).sid.adopt(cube)
    check_child(out, cube)
    assert out.y.attrs == cube.y.attrs
    assert out.sid.dims_of("spatial") == ("y", "x")


def test_what_xeofs_returns():
    xeofs = pytest.importorskip("xeofs.single")
    cube = sid.datasets.peak_map()
    model = quiet(lambda: xeofs.EOF(n_modes=2).fit(cube, dim=("y", "x")))
    for found in (model.components(), model.scores()):
        check_child(found.sid.adopt(cube), cube)


@pytest.mark.parametrize("bare", [np.asarray, lambda da: da.data], ids=["numpy", "data"])
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_what_comes_back_without_any_coordinate(bare, lazy):
    cube = sid.datasets.peak_map()
    source = cube.chunk(y=2) if lazy else cube
    child = xr.DataArray(bare(source), dims=source.dims).mean("energy")
    out = child.sid.adopt(source)
    check_child(out, cube)
    xr.testing.assert_identical(out.x.variable, cube.x.variable)
    assert out.attrs["sid_title"] == "one peak"
    assert out.units == "1"


def test_coordinates_of_another_size_and_own_attributes_stay():
    cube = sid.datasets.peak_map()
    child = cube.isel(x=slice(0, 3)).drop_vars("x").drop_attrs().assign_attrs(units="nA", sid_title="mine")
    out = child.sid.adopt(cube)
    assert out.x.values.tolist() == [0, 1, 2]
    assert out.x.units == "1"
    assert out.units == "nA"
    assert out.attrs["sid_title"] == "mine"


def test_a_parent_without_history_gives_none_and_an_own_history_is_kept():
    cube = sid.datasets.peak_map()
    plain = xr.DataArray(np.zeros((6, 8)), dims=("y", "x"))
    assert not plain.sid.adopt(cube.drop_attrs()).sid.provenance
    rebinned = cube.sid.rebin(energy=2)
    assert rebinned.sid.adopt(cube).sid.provenance.operations == ("input", "rebin")
    with sid.set_options(record_provenance=False):
        assert not plain.sid.adopt(cube).sid.provenance


# ---------------------------------------------------------------- saying what it is


def test_set_dims_and_set_units(bare):
    out = bare.sid.set_dims({"bin": "temporal"}, y="spatial").sid.set_units("pA").sid.set_units(x="um", bin="s")
    assert out.sid.dimension_types["bin"] == "temporal"
    assert (out.units, out.x.units, out.bin.units) == ("pA", "um", "s")
    assert "sid_units_original" not in out.attrs
    assert bare.units == "Å"
    ds = bare.to_dataset().sid.set_units({"z": "Å"}, x="nm")
    assert ds.z.units == "angstrom"
    assert ds.sid.set_units(z="nm").z.attrs.get("sid_units_original") is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda da: da.sid.set_dims(x="space"), "no dimension type 'space'. Types: spatial, reciprocal"),
        (lambda da: da.sid.set_dims(z="spatial"), "no dimension or coordinate 'z': there are 'bin', 'y', 'x'"),
        (lambda da: da.sid.set_units(w="nm"), "no dimension or coordinate 'w'"),
        (lambda da: da.to_dataset().sid.set_units("nm"), "a Dataset has one unit a variable"),
    ],
)
def test_errors_say_what_to_type(bare, change, text):
    with pytest.raises(DimensionError, match=text):
        change(bare)


def test_units_and_types_of_dimensions_are_text_or_mappings():
    da = sid.datasets.peak_map()
    with pytest.raises(DimensionError, match="units are text such as 'nA'"):
        da.sid.set_units(3)
    with pytest.raises(DimensionError, match="dims is a mapping such as"):
        da.sid.set_dims("x")
