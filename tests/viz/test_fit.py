"""Maps of parameters, curves of them, a table of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot


def titles(hv, layout):
    return [e.opts.get("plot", backend="bokeh").kwargs["title"] for e in layout.traverse(None, [hv.Image])]


def test_maps_of_parameters(hv, fit):
    assert choose_view(fit) == "fit"
    layout = plot(fit)
    assert titles(hv, layout) == ["center", "height", "reduced chi-square"]
    labels = [e.opts.get("plot", backend="matplotlib").kwargs["clabel"] for e in layout.traverse(None, [hv.Image])]
    assert labels == ["eV", "counts", ""]
    assert layout.opts.get("plot", backend="bokeh").kwargs["title"] == "2 of 192 fits failed"
    center = layout.traverse(None, [hv.Image])[0]
    np.testing.assert_array_equal(np.isnan(center.dimension_values(2, flat=False)), np.isnan(fit.center.values))
    chosen = bound_view(fit, "fit")(variables=["center_stderr"])
    assert len(chosen.traverse(None, [hv.Image])) == 1
    with pytest.raises(DimensionError, match=r"no variable 'centre'. Did you mean 'center'"):
        bound_view(fit, "fit")(variables=["centre"])


def test_both_backends_render(hv, fit):
    import matplotlib.pyplot as plt

    for ds in (fit, fit.isel(y=3), fit.isel(y=3, x=1), fit.chunk(), fit.isel(y=[3])):
        element = plot(ds)
        hv.render(element, backend="bokeh")
        figure = hv.render(element, backend="matplotlib")
        figure.canvas.draw()
        plt.close(figure)


def test_curves_of_parameters_have_a_band(hv, fit):
    layout = plot(fit.isel(y=0))
    assert len(layout.traverse(None, [hv.Curve])) == 3
    (band,) = layout.traverse(None, [hv.Spread])
    np.testing.assert_allclose(band.dimension_values(2), 0.1)


def test_peaks_of_an_image_are_drawn_where_they_are(hv):
    y, x = np.mgrid[0:30, 0:40] * 0.1
    places = [(0.8, 1.0), (0.9, 2.8), (2.2, 1.1), (2.1, 2.9)]
    values = 1 + sum(5 * np.exp(-((y - v) ** 2 + (x - u) ** 2) / 2 / 0.2**2) for v, u in places)
    image = dataarray(values, dims={"y": (0.1, "nm"), "x": (0.1, "nm")}, units="count", name="lattice")
    found = image.sid.fit(
        "gaussian2d + constant", dim=("y", "x"), at={"y": [p[0] for p in places], "x": [p[1] for p in places]}, window=1
    )
    layout = found.sid.plot()
    shown = layout.traverse(None, [hv.Points])
    assert [e.vdims[0].label for e in shown] == [
        "height",
        "sigma along",
        "sigma across",
        "theta",
        "offset",
        "reduced χ²",
    ]
    assert [(d.name, d.unit) for d in shown[0].kdims] == [("x", "nm"), ("y", "nm")]
    np.testing.assert_allclose(shown[0].dimension_values("y"), [p[0] for p in places], atol=0.01)
    np.testing.assert_allclose(shown[0].dimension_values("x"), [p[1] for p in places], atol=0.01)
    assert layout.opts.get("plot", backend="bokeh").kwargs.get("title") is None
    for name in ("height", "center_x", "center_y"):
        found[name][2] = np.nan
    layout = plot(found)
    assert len(layout.traverse(None, [hv.Points])[0]) == 3
    assert layout.opts.get("plot", backend="bokeh").kwargs["title"] == "1 of 4 fits failed"
    assert bound_view(found, "fit")(variables=["center_x"]).traverse(None, [hv.Curve])
    for backend in ("bokeh", "matplotlib"):
        hv.renderer(backend).get_plot(layout)


def test_a_single_fit_is_a_table(hv, fit):
    table = plot(fit.isel(y=0, x=1))
    assert isinstance(table, hv.Table)
    assert list(table.dimension_values("parameter")) == ["center", "height", "reduced chi-square"]
    assert list(table.dimension_values("units")) == ["eV", "counts", ""]


def test_lazy_fits_are_read_only_where_shown(hv, arrays, counted):
    stack, backend = counted(arrays("image_stack"))
    ds = xr.Dataset({"center": stack, "center_stderr": xr.zeros_like(arrays("image_stack")), "redchi": stack * 0 + 1})
    backend.reads.clear()
    ds["center"] = counted(arrays("image_stack"))[0]
    layout = plot(ds)
    assert titles(hv, layout)[0].endswith("time = 2 s")


def test_map_grid(hv, arrays):
    a, b = arrays("image"), arrays("image", units="nm", quantity="height")
    ds = xr.Dataset({"a": a, "b": b, "spectrum": arrays("spectrum"), "a_variance": a})
    assert choose_view(ds) == "map_grid"
    assert titles(hv, plot(ds)) == ["current", "height"]
    both = bound_view(ds, "map_grid")(variables=["b", "a"], cols=1, same_scale=True)
    assert titles(hv, both) == ["height", "current"]
    limits = {e.opts.get("plot", backend="bokeh").kwargs["clim"] for e in both.traverse(None, [hv.Image])}
    assert len(limits) == 1
    with pytest.raises(DimensionError, match="no variable with two dimensions"):
        bound_view(ds[["spectrum"]], "map_grid")()


def test_a_signal_with_its_background_is_a_spectral_image(hv, arrays):
    da = arrays("spectral_image")
    named = {n: da.rename(n).assign_attrs(long_name=n) for n in ("signal", "background")}
    ds = xr.Dataset({**named, "exponent": arrays("spectral_image").isel(bias=0, drop=True)})
    assert choose_view(ds) == "spectral_image"
    labels = [c.label.strip() for c in plot(ds).traverse(None, [hv.Curve])]
    assert labels == ["signal", "background", "mean"]


def test_datasets_of_nothing():
    with pytest.raises(DimensionError, match="no variable of numbers"):
        plot(xr.Dataset())
    with pytest.raises(DimensionError, match="no variable of numbers"):
        plot(xr.Dataset({"words": ("a", ["b", "c"])}))
    with pytest.raises(DimensionError, match="single number"):
        plot(xr.Dataset({"a": 1.0}))


def test_name_of_a_variable_that_is_a_dimension(hv):
    da = dataarray(np.zeros((3, 4)), dims={"y": (1, "nm"), "x": (1, "nm")}, units="nm", quantity="x")
    image = plot(da.rename("x_"))
    assert len({d.name for d in image.dimensions()}) == 3
    hv.render(image, backend="bokeh")
