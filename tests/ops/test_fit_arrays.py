"""Maps whose values are arrays of another library than NumPy, on a device that stands for a GPU."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray._arrays import host
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.fingerprint import token
from sid_xarray.errors import ModelError

strict = pytest.importorskip("array_api_strict")

DEVICE = strict.Device("device1")
MODEL = "gaussian + constant"


def away(da):
    return da.copy(data=strict.asarray(da.values, device=DEVICE))


@pytest.fixture
def peaks():
    da = sid.datasets.peak_map()
    da[1, 2] = np.nan
    return da.astype(float)


def steps(da):
    """What a history says, but for the time of day."""
    return re.sub(r"\S+Z\b", "", str(da.sid.provenance))


def agree(here, there):
    assert list(here) == list(there)
    for name in here:
        values = there[name].data
        assert values.device == DEVICE
        np.testing.assert_allclose(host(values), here[name].values, rtol=1e-9, err_msg=name)
        assert there[name].dims == here[name].dims
        for key in ("units", "long_name", "flag_meanings", "ancillary_variables"):
            assert there[name].attrs.get(key) == here[name].attrs.get(key)
    xr.testing.assert_identical(here.coords.to_dataset(), there.coords.to_dataset())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bounds": {"sigma": (None, 0.8)}},
        {"fixed": {"sigma": 0.8}},
        {"weights": np.linspace(1, 2, 64)},
        {"loss": "huber"},
        {"refine": "neighbours"},
    ],
    ids=["plain", "bounds", "fixed", "weights", "huber", "refine"],
)
def test_a_fit_gives_maps_of_the_same_library(peaks, options):
    here, there = peaks.sid.fit(MODEL, **options), away(peaks).sid.fit(MODEL, **options)
    agree(here, there)
    assert int(host(there.status.data)[1, 2]) == 4
    assert steps(there.center) == steps(here.center)


def test_a_formula_from_maps_of_starts_and_a_function(peaks):
    start = xr.full_like(peaks.isel(energy=0, drop=True), 5.0)
    text = "a * exp(-((x - c) / w)**2 / 2) + b"
    agree(peaks.sid.fit(text, guess={"c": start, "w": 1}), away(peaks).sid.fit(text, guess={"c": away(start), "w": 1}))

    def function(x, a, c, w, b):
        return a * np.exp(-(((x - c) / w) ** 2) / 2) + b

    guess = {"a": 80, "c": 5, "w": 1, "b": 10}
    agree(peaks.sid.fit(function, guess=guess), away(peaks).sid.fit(function, guess=guess))


def test_a_tie_and_two_dimensions(peaks):
    model, tie = "gaussian + gaussian + constant", {"gaussian2_sigma": "gaussian1_sigma"}
    two = peaks + peaks.shift(energy=22).fillna(10.0)
    agree(two.sid.fit(model, tie=tie), away(two).sid.fit(model, tie=tie))
    x, y = np.linspace(-2, 2, 16), np.linspace(-1, 1, 12)[:, np.newaxis]
    noise = 0.01 * np.random.default_rng(0).normal(size=(3, 12, 16))
    spots = np.exp(-((x - 0.1) ** 2 + (2 * y) ** 2)) * np.array([1, 2, 3])[:, np.newaxis, np.newaxis] + noise
    image = xr.DataArray(spots, dims=("time", "y", "x"), coords={"x": x, "y": y[:, 0]})
    agree(
        image.sid.fit("gaussian2d + constant", dim=("y", "x")),
        away(image).sid.fit("gaussian2d + constant", dim=("y", "x")),
    )


def test_values_on_a_device_are_in_memory_and_have_a_fingerprint(peaks):
    there = away(peaks)
    assert not is_lazy(there)
    assert token(there) == token(peaks) is not None
    fit = there.sid.fit(MODEL)
    assert fit.center.sid.provenance.status == "verified"
    changed = fit.center.copy(data=fit.center.data + 1.0)
    assert changed.sid.provenance.status == "modified"


def test_what_is_printed_and_checked(peaks):
    there = away(peaks)
    assert str(there.sid) == str(peaks.sid).replace("float64", "array_api_strict.float64")
    assert str(there.sid.check()) == str(peaks.sid.check())
    assert "intensity" in there.sid._repr_html_()
    assert "redchi" in there.sid.fit(MODEL).sid._repr_html_()


def test_values_that_no_library_brings_to_numpy_have_no_fingerprint():
    class Sealed:
        shape, dtype, ndim = (2,), np.dtype(float), 1

        def __array_namespace__(self):
            return np

        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("no")

    assert token(xr.Variable("x", Sealed())) is None


def test_fits_at_peaks_are_made_in_numpy(peaks):
    with pytest.raises(ModelError, match=r"one of array_api_strict. Type: da.as_numpy\(\)"):
        away(peaks).sid.fit(MODEL, at=[4.0, 5.0])


def test_numba_is_asked_for(peaks):
    with sid.set_options(fit_engine="numba"), pytest.raises(ValueError, match="fits arrays of NumPy"):
        away(peaks).sid.fit(MODEL)
