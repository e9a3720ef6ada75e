"""A fit beside its data."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import AlignmentError, DimensionError


@pytest.fixture(scope="module")
def fitted():
    da = sid.datasets.peak_map()
    return da, da.sid.fit("gaussian + constant")


def scatters(hv, layout):
    return {e.label or e.vdims[0].label: e for e in layout.traverse(None, [hv.Scatter])}


def test_maps_curve_and_residual(hv, fitted):
    da, fit = fitted
    layout = fit.sid.plot.fit(data=da, at={"x": 2.6, "y": "1 nm"})
    assert len(layout.traverse(None, [hv.Image])) == 5
    found, one = scatters(hv, layout), da.isel(x=5, y=2)
    np.testing.assert_allclose(found["data"].dimension_values(1), one)
    (curve,) = layout.traverse(None, [hv.Curve])
    np.testing.assert_allclose(curve.dimension_values(1), fit.isel(x=5, y=2).sid.evaluate(da.energy))
    np.testing.assert_allclose(found["residual"].dimension_values(1), fit.sid.residuals(da).isel(x=5, y=2))
    # Without the data there is neither.
    assert not fit.sid.plot.fit().traverse(None, [hv.Scatter])


def test_the_curve_shown_is_a_usual_one(hv, fitted):
    da, _ = fitted
    da = da.copy()
    da[0, 0] = np.nan
    fit = da.sid.fit("gaussian + constant")
    shown = scatters(hv, fit.sid.plot.fit(data=da, variables=["center"]))["data"].dimension_values(1)
    left = fit.redchi.values
    y, x = np.argwhere(left == np.sort(left[np.isfinite(left)])[np.isfinite(left).sum() // 2])[0]
    np.testing.assert_allclose(shown, da[y, x])


def test_lines_single_curves_images_and_complex_data(hv, fitted):
    da, fit = fitted
    line = fit.isel(y=0).sid.plot.fit(data=da.isel(y=0))
    assert len(line.traverse(None, [hv.Spread])) == 4 and len(scatters(hv, line)) == 2
    one = fit.isel(y=0, x=0).sid.plot.fit(data=da.isel(y=0, x=0))
    assert len(one) == 2
    z = sid.datasets.beps(noise=0.5)
    resonance = z.sid.be.sho_fit(dim="frequency").sid.plot.fit(data=z, at={"bias": 3})
    assert {"data, real", "data, imaginary"} <= set(scatters(hv, resonance))
    title = resonance.traverse(None, [hv.Image])[0].opts.get("plot", backend="bokeh").kwargs["title"]
    assert "bias = 3" in title
    spots = da.isel(energy=slice(28, 36)).transpose("energy", "y", "x")
    image = spots.sid.fit("gaussian2d + constant", dim=("y", "x")).sid.plot.fit(data=spots)
    assert len(image.traverse(None, [hv.Image])) == 3
    for layout in (line, one, resonance, image):
        hv.render(layout, backend="bokeh")
        hv.render(layout, backend="matplotlib")


def test_of_lazy_maps_the_curve_in_the_middle_is_shown(hv, fitted):
    da, _ = fitted
    lazy = da.chunk(y=1, x=1)
    layout = lazy.sid.fit("gaussian + constant").sid.plot.fit(data=lazy, variables=["center"])
    np.testing.assert_allclose(scatters(hv, layout)["data"].dimension_values(1), da.isel(y=3, x=4))


def test_data_that_do_not_belong_are_answered(hv, fitted):
    da, fit = fitted
    with pytest.raises(AlignmentError, match="same grid"):
        fit.sid.plot.fit(data=da.isel(x=slice(4)))
    with pytest.raises(AlignmentError, match="lie over 'y'"):
        fit.sid.plot.fit(data=da.isel(y=0))
    with pytest.raises(DimensionError, match="the fit is along energy"):
        fit.sid.plot.fit(data=da.isel(energy=0))
    with pytest.raises(DimensionError, match="no dimension 'z'"):
        fit.sid.plot.fit(data=da, at={"z": 1})


def test_axes_of_one_label_are_told_apart(hv, fitted):
    da, fit = (obj.copy() for obj in fitted)
    for d in ("y", "x"):
        for obj in (da, fit):
            obj.coords[d] = (d, obj[d].values, {**obj[d].attrs, "long_name": "distance"})
    layout = fit.sid.plot.fit(data=da, at={"x": 2.5, "y": 1.0}, variables=["center"])
    said = [e.opts.get("plot", backend="bokeh").kwargs.get("title", "") for e in layout]
    assert "y = 1 nm, x = 2.5 nm" in said
