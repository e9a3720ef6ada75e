"""Curves: loops, families, bands, parts of complex values, long ones."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot
from sid_xarray.viz.views.curve import thinned


def curves(hv, element):
    return element.traverse(None, [hv.Curve])


def test_loops_are_drawn_in_the_order_of_storage(hv):
    bias = np.concatenate([np.linspace(-3, 3, 20), np.linspace(3, -3, 20)])
    da = dataarray(np.arange(40.0), dims={"bias": (bias, "V")}, units="nA", quantity="current")
    curve = plot(da)
    np.testing.assert_array_equal(curve.dimension_values(0), bias)
    np.testing.assert_array_equal(curve.dimension_values(1), np.arange(40.0))
    drawn = hv.render(curve, backend="bokeh")
    np.testing.assert_array_equal(drawn.renderers[0].data_source.data["bias"], bias)


def test_labels_have_units_with_readable_prefixes(hv):
    da = dataarray(
        np.linspace(0, 3e-9, 9), dims={"frequency": (np.linspace(3e5, 3.2e5, 9), "Hz")}, units="A", quantity="I"
    )
    curve = plot(da)
    assert [d.pprint_label for d in curve.dimensions()] == ["frequency (kHz)", "I (nA)"]
    np.testing.assert_allclose(curve.dimension_values(1)[-1], 3.0)
    kept = bound_view(da, "curve")(prefix=False)
    assert [d.pprint_label for d in kept.dimensions()] == ["frequency (Hz)", "I (A)"]


def test_families_are_chosen_evenly_and_named(hv, arrays):
    da = arrays("line_profiles")
    overlay = plot(da)
    found = curves(hv, overlay)
    assert len(found) == 20
    assert (found[0].label, found[-1].label) == ("0 nm", "24 nm")
    np.testing.assert_allclose(found[-1].dimension_values(1), da.values[-1])
    assert len(curves(hv, bound_view(da, "curve")(max_curves=3))) == 3
    across = curves(hv, bound_view(da, "curve")(dim="x", max_curves=2))
    assert [c.label for c in across] == ["0 eV", "14.5 eV"]


def test_a_family_of_a_cube_by_choosing_a_range(hv, arrays):
    da = arrays("spectral_image")
    found = curves(hv, bound_view(da, "curve")(isel={"x": slice(1, 4), "y": 2}))
    assert [c.label for c in found] == ["1 nm", "2 nm", "3 nm"]
    np.testing.assert_allclose(found[1].dimension_values(1), da.values[2, 2])


def test_the_middle_of_more_dimensions_is_named(hv, arrays):
    da = arrays("spectral_image")
    curve = bound_view(da, "curve")()
    np.testing.assert_allclose(curve.dimension_values(1), da.values[3, 3])
    assert curve.opts.get("plot", backend="bokeh").kwargs["title"] == "y = 3 nm · x = 3 nm"


def test_a_label_that_is_the_name_of_a_dimension(hv):
    import matplotlib.pyplot as plt

    x = dataarray(np.arange(5.0), dims={"energy": (1, "eV")}, units="nA", name="signal", quantity="signal")
    ds = xr.Dataset({"signal": x, "energy_": x.rename("energy_").assign_attrs(long_name="energy")})
    overlay = plot(ds)
    figure = hv.render(overlay, backend="matplotlib")
    texts = [t.get_text().strip() for t in figure.axes[0].get_legend().get_texts()]
    assert texts == ["signal", "energy_"]
    plt.close(figure)


def test_variance_is_a_band_of_one_sigma(hv):
    da = dataarray(np.full(5, 100.0), dims={"energy": (1, "eV")}, units="count", name="signal")
    variance = da.rename("signal_variance") * 0 + 25
    ds = xr.Dataset({"signal": da.assign_attrs(ancillary_variables="signal_variance"), "signal_variance": variance})
    assert choose_view(ds) == "curve"
    (band,) = plot(ds).traverse(None, [hv.Spread])
    np.testing.assert_allclose(band.dimension_values(2), 5.0)
    negative = ds.assign(signal_variance=-variance)
    assert not plot(negative).traverse(None, [hv.Spread])


def test_several_quantities_share_an_axis_if_their_units_fit(hv):
    a = dataarray(np.ones(5), dims={"bias": (1, "V")}, units="nA")
    b = dataarray(np.full(5, 500.0), dims={"bias": (1, "V")}, units="pA")
    c = dataarray(np.ones(5), dims={"bias": (1, "V")}, units="V")
    found = curves(hv, plot(xr.Dataset({"a": a, "b": b, "c": c})))
    assert [curve.label.strip() for curve in found] == ["a", "b"]
    np.testing.assert_allclose(found[1].dimension_values(1), 0.5)


def test_parts_of_complex_values(hv, arrays):
    da = arrays("spectrum", "complex64")
    real, imag = curves(hv, plot(da))
    assert (real.label, imag.label) == ("real part", "imaginary part")
    np.testing.assert_allclose(imag.dimension_values(1), da.values.imag)
    layout = bound_view(da, "curve")(component="polar")
    assert isinstance(layout, hv.Layout)
    amplitude, phase = curves(hv, layout)
    np.testing.assert_allclose(amplitude.dimension_values(1), np.abs(da.values), rtol=1e-6)
    assert str(phase.vdims[0].unit) == "rad"
    (one,) = curves(hv, bound_view(da, "curve")(component="imag"))
    np.testing.assert_allclose(one.dimension_values(1), da.values.imag)
    with pytest.raises(ValueError, match="no component 'abs'"):
        bound_view(da, "curve")(component="abs")


def test_long_curves_keep_their_extremes(hv):
    rng = np.random.default_rng(0)
    values = rng.normal(size=300_000)
    values[[777, 123_456]] = 50.0, -60.0
    values[5000:6000] = np.nan
    curve = plot(dataarray(values, dims={"time": (1e-6, "s")}, units="V"))
    y = curve.dimension_values(1)
    assert y.size <= 50_000
    assert (np.nanmax(y), np.nanmin(y)) == (50.0, -60.0)
    assert curve.dimension_values(0)[0] == 0.0


@pytest.mark.parametrize("n", [0, 1, 2, 9, 10, 11, 1000])
def test_thinning_keeps_order(n):
    x = np.arange(float(n))
    keep = thinned(x, np.sin(x), 10)
    assert np.all(np.diff(keep) > 0)
    assert keep.size <= max(12, 10)


def test_unknown_dimensions_are_named(arrays):
    with pytest.raises(DimensionError, match="no dimension 'bais' on 'current': there are 'energy'"):
        bound_view(arrays("spectrum"), "curve")(dim="bais")


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_a_value_without_neighbours_is_a_dot(hv, backend):
    values = np.array([0.0, 1.0, np.nan, 4.0, np.nan, 2.0, 3.0])
    da = dataarray(values, dims={"energy": (1, "eV")}, units="nA")
    drawn = plot(da, backend=backend)
    dots = [e for e in drawn if type(e).__name__ == "Scatter"]
    assert len(dots) == 1
    np.testing.assert_array_equal(dots[0].dimension_values(0), [3.0])
    one = plot(da[:1], backend=backend)
    assert any(type(e).__name__ == "Scatter" for e in one)
    hv.render(drawn, backend=backend)


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_dates_are_drawn_as_dates(hv, backend):
    days = np.arange("2020-01-01", "2020-01-06", dtype="datetime64[D]").astype("datetime64[ns]")
    da = xr.DataArray(np.arange(5.0), dims="time", coords={"time": days}, name="height", attrs={"units": "nm"})
    drawn = plot(da, backend=backend)
    np.testing.assert_array_equal(drawn.dimension_values(0), days)
    assert drawn.kdims[0].label == "time"
    assert not drawn.kdims[0].unit
    hv.render(drawn, backend=backend)


def test_text_has_no_picture():
    with pytest.raises(DimensionError, match="text or records"):
        plot(xr.DataArray(["a", "b"], dims="x", name="words"))


def test_families_of_complex_curves_show_both_parts(hv):
    values = np.arange(15.0).reshape(3, 5) * np.exp(1j * np.arange(15.0).reshape(3, 5))
    da = dataarray(values, dims={"x": (1, "nm"), "bias": (0.1, "V")}, units="pm")
    for component, functions in (("polar", (np.abs, np.angle)), ("cartesian", (np.real, np.imag))):
        layout = bound_view(da, "curve")(component=component)
        assert len(layout) == 2
        for pane, function in zip(layout, functions, strict=True):
            drawn = [c.dimension_values(1) for c in pane.traverse(None, [hv.Curve])]
            np.testing.assert_allclose(drawn, function(values), atol=1e-12)
