"""hvplot, and holoviews itself, find our names and units with no help."""

from __future__ import annotations

import numpy as np
import pytest

from sid_xarray.core.create import dataarray

pytest.importorskip("hvplot.xarray")


def labels(element):
    return [d.pprint_label for d in element.dimensions()]


@pytest.fixture
def image():
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm")}
    return dataarray(np.arange(12.0).reshape(3, 4), dims=dims, units="nA", quantity="current")


def test_images(hv, image):
    assert labels(image.hvplot.image(x="x", y="y")) == ["x (nm)", "y (nm)", "current (nA)"]
    assert set(labels(hv.Image(image))) == {"x (nm)", "y (nm)", "current (nA)"}  # in the order of storage


def test_curves(hv, image):
    energy = dataarray(np.arange(5.0), dims={"energy": (0.1, "eV")}, units="count", quantity="intensity")
    assert labels(hv.Curve(energy)) == ["energy (eV)", "intensity (counts)"] or labels(hv.Curve(energy)) == [
        "energy (eV)",
        "intensity (count)",
    ]
    assert labels(energy.hvplot.line())[0] == "energy (eV)"
    figure = hv.render(energy.hvplot.line(), backend="bokeh")
    assert figure.xaxis.axis_label == "energy (eV)"
    assert figure.yaxis.axis_label.startswith("intensity (count")


def test_sliders_of_a_stack(hv, image):
    import xarray as xr

    times = xr.DataArray([0.0, 0.5], dims="time", attrs={"units": "s"})
    film = xr.concat([image, image + 1], dim="time").assign_coords(time=times)
    film.attrs = image.attrs
    shown = film.hvplot.image(x="x", y="y", groupby="time", dynamic=True)
    assert [d.pprint_label for d in shown.kdims] == ["time (s)"] or [d.name for d in shown.kdims] == ["time"]
    assert labels(shown[0.5]) == ["x (nm)", "y (nm)", "current (nA)"]


def test_pictures_of_both_are_overlaid_and_styled(hv, image):
    ours = image.sid.plot()
    both = ours * hv.Points([(0.5, 0.5)], kdims=["x", "y"]) + image.hvplot.image(x="x", y="y")
    hv.render(both, backend="bokeh")
    styled = ours.opts(backend="bokeh", cmap="fire", frame_width=200)
    assert hv.render(styled, backend="bokeh").frame_width == 200
