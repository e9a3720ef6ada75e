"""A fit beside its data, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import AlignmentError, ModelError

pytest.importorskip("panel")


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    return sid.datasets.peak_map()


@pytest.fixture(scope="module")
def fitted(data) -> xr.Dataset:
    fit = data.sid.fit("gaussian + constant")
    fit["status"][2, 3] = 3  # a pixel that failed
    for name in fit.data_vars:
        if fit[name].dtype.kind == "f":
            fit[name][2, 3] = np.nan
    return fit


def test_map_curve_model_terms_and_residual_of_a_pixel(data, fitted):
    ex = fitted.sid.explore(data=data)
    ex.parameter = "sigma"
    ex.tap(2.5, 1.0)
    np.testing.assert_array_equal(ex.plane("map").values, fitted["sigma"].values)
    curves = {c.array: c.values for c in ex.curves()}
    assert list(curves) == ["intensity", "model", "gaussian", "constant"]
    at = {"y": 2, "x": 5}
    model = fitted.sid.evaluate(data.energy).isel(at).values
    np.testing.assert_array_equal(curves["intensity"], data.isel(at).values)
    np.testing.assert_allclose(curves["model"], model)
    np.testing.assert_allclose(curves["gaussian"] + curves["constant"], model)
    np.testing.assert_allclose(ex.residual().values, data.isel(at).values - model)
    assert ex.readout().startswith("x = 2.5 nm, y = 1 nm: 0.")
    assert ex.readout().endswith(" eV")
    names = {"fit": fitted, "da": data, "sid": sid}
    got = [eval(line, names) for line in ex.code()]
    np.testing.assert_array_equal(got[0].values, fitted["sigma"].values)
    np.testing.assert_array_equal(got[1].values, data.isel(at).values)
    np.testing.assert_allclose(got[2].values, model)
    ex.__panel__().get_root()


def test_failed_pixels_are_counted_marked_and_fitted_again(data, fitted):
    ex = fitted.sid.explore(data=data)
    assert ex.heading("map") == "1 of 48 fits failed"
    assert np.argwhere(ex.failed()).tolist() == [[2, 3]]
    from sid_xarray.viz.explore.layout import View

    view = View(ex)
    assert view.maps["map"].marks.failed.data == {"x": [1.5], "y": [1.0]}
    ex.tap(1.5, 1.0)
    assert ex.refit()
    assert ex.heading("map") == ""
    assert view.maps["map"].marks.failed.data == {"x": [], "y": []}
    assert float(ex.fit["center"][2, 3]) == pytest.approx(4 + 2 * 3 / 7, abs=0.05)
    assert np.isnan(fitted["center"][2, 3])  # that of the user is as it was


def test_what_does_not_fit_together_is_said(data, fitted):
    with pytest.raises(AlignmentError, match="'x' differs"):
        fitted.sid.explore(data=data[:, ::2])
    with pytest.raises(ModelError, match="which model"):
        data.to_dataset().sid.explore(data=data)
    with pytest.raises(TypeError, match="Dataset of a fit"):
        data.sid.explore(data=data)
