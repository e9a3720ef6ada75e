"""Fits on labelled arrays: truth, units, errors, history."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, ModelError, UnitsError

MODEL = "gaussian + constant"


@pytest.fixture
def cube():
    return sid.datasets.peak_map()


@pytest.fixture
def exact():
    return sid.datasets.peak_map(noise=0.0).astype("f8")


def truth():
    center = np.broadcast_to(np.linspace(4, 6, 8), (6, 8))
    height = np.broadcast_to(np.linspace(50, 100, 6)[:, np.newaxis], (6, 8))
    return {"height": height, "center": center, "sigma": np.full((6, 8), 0.8), "offset": np.full((6, 8), 10.0)}


def test_the_truth_is_found(exact):
    out = exact.sid.fit(MODEL)
    for name, value in truth().items():
        np.testing.assert_allclose(out[name], value, rtol=1e-5, err_msg=name)  # the data were float32 once
    assert (out.status == 0).all()
    assert list(out)[-4:] == ["redchi", "rsquared", "status", "nfev"]


def test_the_stated_errors_are_the_scatter():
    many = sid.datasets.peak_map(ny=40, nx=40, noise=2.0, seed=3)
    out = many.sid.fit(MODEL)
    center, height = np.linspace(4, 6, 40)[np.newaxis, :], np.linspace(50, 100, 40)[:, np.newaxis]
    for name, true in {"center": center, "height": height, "sigma": 0.8, "offset": 10.0}.items():
        pull = ((out[name] - true) / out[f"{name}_stderr"]).values
        assert abs(pull.mean()) < 0.1, name
        assert pull.std() == pytest.approx(1, abs=0.08), name
    np.testing.assert_allclose(float(out.redchi.mean()), 4, rtol=0.02)


def test_units_of_every_result(cube):
    out = cube.assign_attrs(units="nA").sid.fit("gaussian + linear")
    assert {k: v.units for k, v in out.items()} == {
        "height": "nA", "height_stderr": "nA", "center": "eV", "center_stderr": "eV",
        "sigma": "eV", "sigma_stderr": "eV",
        "slope": "nA/eV", "slope_stderr": "nA/eV", "intercept": "nA", "intercept_stderr": "nA",
        "redchi": "nA^2", "rsquared": "1", "status": "1", "nfev": "1",
    }  # fmt: skip
    assert out.height.attrs["ancillary_variables"] == "height_stderr"
    assert out.center.long_name == "center"
    assert cube.sid.fit("exponential").rate.units == "1/eV"
    assert cube.sid.fit("lorentzian").gamma.units == "eV"


def test_weights_and_variance_are_the_same_and_absolute(cube):
    sigma = xr.DataArray(np.linspace(0.4, 0.6, 64), dims="energy", coords={"energy": cube.energy})
    a, b = cube.sid.fit(MODEL, weights=1 / sigma), cube.sid.fit(MODEL, variance=sigma**2)
    c, d = cube.sid.fit(MODEL, variance=sigma.values**2), cube.sid.fit(MODEL, weights=1 / sigma.broadcast_like(cube))
    for other in (b, c, d):
        np.testing.assert_allclose(other.center, a.center, rtol=1e-9)
        np.testing.assert_allclose(other.center_stderr, a.center_stderr, rtol=1e-9)
    assert a.redchi.units == "1"
    assert float(a.redchi.mean()) == pytest.approx(1, abs=0.1)
    scaled = cube.sid.fit(MODEL, weights=1 / sigma, absolute_sigma=False)
    np.testing.assert_allclose(scaled.center_stderr, a.center_stderr * np.sqrt(a.redchi), rtol=1e-9)
    assert a.center.sid.provenance.id != b.center.sid.provenance.id


def test_starting_values_as_numbers_maps_and_datasets(cube):
    auto = cube.sid.fit(MODEL)
    smooth = auto.center.copy(data=truth()["center"] + 0.1)
    for guess in (
        {"center": 5.0, "sigma": 1.0},
        {"center": smooth},
        {"center": smooth.values},
        {"center": smooth.isel(y=0, drop=True)},
        auto,
        auto[["center", "sigma"]],
    ):
        out = cube.sid.fit(MODEL, guess=guess)
        np.testing.assert_allclose(out.center, auto.center, rtol=1e-6)
        assert all(v.dims == ("y", "x") for v in out.values())
    chain = cube.sid.fit(MODEL, guess=auto).center.sid.provenance
    assert chain.operations == ("input", "fit", "fit", "fit", "fit", "fit")  # four maps of the first, then the second


def test_bounds_and_fixed(cube):
    held = cube.sid.fit(MODEL, fixed={"offset": 10.0})
    assert (held.offset == 10).all()
    assert held.offset_stderr.isnull().all()
    same = cube.sid.fit(MODEL, fixed=["offset"], guess={"offset": 10.0})
    np.testing.assert_array_equal(same.center, held.center)
    one = cube.sid.fit(MODEL, fixed="offset", guess={"offset": 10.0})
    np.testing.assert_array_equal(one.center, held.center)
    maps = cube.sid.fit(MODEL, fixed={"center": held.center})
    np.testing.assert_array_equal(maps.center, held.center)
    tight = cube.sid.fit(MODEL, bounds={"center": (4.9, 5.1), "height": (None, 80)})
    assert float(tight.center.min()) >= 4.9
    assert float(tight.center.max()) <= 5.1
    assert float(tight.height.max()) <= 80


def test_a_failed_pixel_is_nan_with_a_status_and_harms_nobody(cube):
    bad = cube.copy()
    bad[0, 0] = np.nan
    bad[1, 1, ::2] = np.nan
    bad[2, 2] = 7.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, good = bad.sid.fit(MODEL), cube.sid.fit(MODEL)
    assert out.status.values[0, 0] == 4
    assert out.status.flag_meanings.split()[4] == "no_finite_data"
    assert np.isnan(out.center.values[0, 0])
    assert out.status.values[1, 1] == 0
    assert abs(float(out.center[1, 1] - good.center[1, 1])) < 6 * float(out.center_stderr[1, 1])
    assert out.status.values[2, 2] != 0 or np.isnan(out.center_stderr.values[2, 2])
    rest = np.ones((6, 8), bool)
    rest[[0, 1, 2], [0, 1, 2]] = False
    np.testing.assert_allclose(out.center.values[rest], good.center.values[rest], rtol=1e-9)


def test_complex_data():
    x = np.linspace(-1, 1, 40)
    values = (2 + 3 * x)[np.newaxis] * (1 + 0j) * np.ones((3, 1))
    da = sid.dataarray(values, {"x": (1, "nm"), "bias": (x, "V")}, units="nA", quantity="current")
    out = da.sid.fit("linear")
    np.testing.assert_allclose(out.slope, 3, atol=1e-9)
    np.testing.assert_allclose(out.intercept, 2, atol=1e-9)


def test_two_of_a_kind_are_numbered_and_others_prefixed(cube):
    assert {"gaussian1_center", "gaussian2_center", "offset"} <= set(cube.sid.fit("gaussian + gaussian + constant"))
    assert {"gaussian_center", "gaussian_sigma", "lorentzian_center", "lorentzian_gamma"} <= set(
        cube.sid.fit("gaussian + lorentzian")
    )


@pytest.mark.parametrize("chunks", [{"y": 2}, {"energy": 10}, {"x": 3, "energy": 7}], ids=str)
def test_lazily_with_maps_that_are_lazy_too(cube, chunks):
    start = cube.sid.fit(MODEL)[["center", "sigma"]]
    with sid.testing.no_compute():
        out = cube.chunk(chunks).sid.fit(MODEL, guess=start.chunk(x=4), weights=xr.ones_like(cube).chunk(y=3))
    sid.testing.assert_lazy(out)
    np.testing.assert_allclose(
        out.center.compute(), cube.sid.fit(MODEL, guess=start, weights=xr.ones_like(cube)).center
    )


def test_one_curve_and_any_dimension(cube):
    curve = cube.isel(y=2, x=3).sid.fit(MODEL)
    assert curve.center.ndim == 0
    np.testing.assert_allclose(curve.center, cube.sid.fit(MODEL).center[2, 3], rtol=1e-9)
    other = cube.sid.fit("linear", dim="x")
    assert other.slope.dims == ("y", "energy")
    assert other.slope.units == "count/nm"


def test_the_curve_of_the_result_is_the_model(exact):
    fit = exact.sid.fit(MODEL)
    curve = fit.sid.evaluate(exact.energy)
    np.testing.assert_allclose(curve, exact, atol=1e-4)
    assert curve.dims == exact.dims
    assert curve.units == "count"
    assert curve.energy.attrs == exact.energy.attrs
    assert curve.sid.kind == "spectral_image"
    assert curve.sid.provenance.operations[-1] == "evaluate"
    assert curve.sid.provenance.status == "verified"
    fine = fit.sid.evaluate(np.linspace(0, 10, 1001))
    np.testing.assert_allclose(fine.max("energy"), fit.height + fit.offset, rtol=1e-4)
    assert fine.sid.provenance.parameters()["x"] == {"linspace": [0.0, 10.0, 1001]}
    assert fit.sid.evaluate(exact.energy).sid.provenance.id != fine.sid.provenance.id
    lazy = exact.chunk(x=3).sid.fit(MODEL)
    with sid.testing.no_compute():
        out = lazy.sid.evaluate(exact.energy)
    np.testing.assert_allclose(out.compute(), curve, rtol=1e-6)


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"model": "gausian"}, ModelError, "Did you mean 'gaussian'?"),
        ({"guess": {"centre": 5}}, ModelError, "guess names 'centre'.* Did you mean 'center'?"),
        ({"guess": "best"}, ModelError, "guess is 'auto', a mapping or a Dataset, got 'best'"),
        ({"guess": 3}, ModelError, "guess is 'auto', a mapping from parameter to value, or a Dataset; got int"),
        ({"guess": {"center": "5 eV"}}, ModelError, "the value of 'center' is a number or a map, got '5 eV'"),
        ({"guess": {"center": np.zeros(3)}}, ModelError, r"have shape \(3,\); the maps of this fit have \(6, 8\)"),
        ({"guess": {"center": xr.DataArray([1, 2], dims="q")}}, ModelError, r"lie over \('q',\); the maps of this fit"),
        ({"guess": xr.Dataset({"a": 1})}, ModelError, "has none of height, center, sigma, offset"),
        ({"bounds": {"sigma": (1, 2, 3)}}, ModelError, r"bounds of sigma are a pair \(lower, upper\)"),
        ({"bounds": {"center": (2, 1)}}, ModelError, "bounds of center cross: 2 > 1"),
        ({"fixed": ["width"]}, ModelError, "fixed names 'width'"),
        ({"weights": np.ones(64), "variance": np.ones(64)}, ModelError, "say the same thing: give one of them"),
        ({"weights": np.ones(63)}, ModelError, "weights of shape .* fit neither the array"),
        ({"variance": xr.DataArray([1.0], dims="q")}, ModelError, r"variance lie over \('q',\)"),
        ({"dim": "z"}, DimensionError, "no dimension 'z'"),
    ],
    ids=str,
)
def test_errors_say_what_to_type(cube, keywords, error, text):
    with pytest.raises(error, match=text):
        cube.sid.fit(**{"model": MODEL, **keywords})


def test_jittered_maps_are_not_dropped_in_silence(cube):
    fit = cube.sid.fit(MODEL)
    jitter = fit.center.assign_coords(x=fit.x + 1e-9)
    with pytest.raises(ValueError, match=r"do not lie on the same grid.*reindex_like"):
        cube.sid.fit(MODEL, guess={"center": jitter})


def test_names_that_would_be_overwritten_are_refused(cube):
    for name in ("center", "status", "offset_stderr"):
        with pytest.raises(DimensionError, match=f"'{name}' is a dimension or coordinate.*da.rename"):
            cube.rename(x=name).sid.fit(MODEL)


def test_a_dataset_that_is_no_fit_cannot_be_evaluated(cube):
    with pytest.raises(ModelError, match=r"does not say which model was fitted\. Type: fit ="):
        cube.to_dataset().sid.evaluate(cube.energy)
    with pytest.raises(ModelError, match="the Dataset lacks center"):
        cube.sid.fit(MODEL).drop_vars("center").sid.evaluate(cube.energy)
    with pytest.raises(ModelError, match="x should have one dimension"):
        cube.sid.fit(MODEL).sid.evaluate(cube)


def test_positions_in_other_units_are_converted(exact):
    fit = exact.sid.fit(MODEL)
    milli = xr.DataArray(exact.energy.values * 1e3, dims="e", attrs={"units": "meV"})
    curve = fit.sid.evaluate(milli)
    np.testing.assert_allclose(curve.values, fit.sid.evaluate(exact.energy).values, rtol=1e-9)
    assert curve.energy.units == "meV" and curve.energy[-1] == milli[-1]
    assert curve.sid.provenance.parameters()["units"] == "meV"
    assert fit.sid.evaluate([1, 2]).energy.units == "eV"
    with pytest.raises(UnitsError, match="cannot convert 'nm'"):
        fit.sid.evaluate(milli.assign_attrs(units="nm"))


def test_the_coordinate_of_a_curve_is_where_it_was_evaluated(exact):
    fit = exact.sid.fit(MODEL)
    shifted = fit.sid.evaluate(exact.energy + 0.5)
    np.testing.assert_array_equal(shifted.energy, exact.energy.values + 0.5)
    xr.testing.assert_allclose(shifted, fit.sid.evaluate(exact.energy.values + 0.5))


def test_a_curve_over_durations():
    time = np.arange(50) * np.timedelta64(100, "ms")
    decay = xr.DataArray(3 * np.exp(-0.05 * np.arange(50)), dims="time", coords={"time": time})
    fit = decay.sid.fit("exponential")
    assert fit.rate.units == "1/s"
    np.testing.assert_allclose(fit.sid.evaluate(decay.time), decay, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bounds": {"center": ("a", 1)}}, "bounds of center are numbers"),
        ({"bounds": [1]}, "bounds is a mapping from parameter"),
        ({"fixed": 3}, "fixed is a mapping from parameter to value, or a list"),
        ({"weights": "1/sigma"}, "weights are real numbers"),
    ],
)
def test_wrong_types_are_answered(cube, given, said):
    with pytest.raises(ModelError, match=said):
        cube.sid.fit(MODEL, **given)
