"""Stacks: the same colours in all frames, and a file is read one frame at a time."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, choose_view, plot
from sid_xarray.viz.save import save

IMAGE = {"y": (0.5, "nm"), "x": (0.5, "nm")}


def values_of(image):
    return image.dimension_values(2, flat=False)


def options(image, backend="bokeh"):
    return image.opts.get("plot", backend=backend).kwargs


def test_a_player_has_a_slider_in_units_that_starts_in_the_middle(hv, arrays):
    da = arrays("image_stack").assign_coords(time=("time", np.arange(5) * 2e-3, {"units": "s"}))
    player = plot(da)
    assert isinstance(player, hv.DynamicMap)
    (slider,) = player.kdims
    assert (slider.name, slider.pprint_label) == ("time", "time (ms)")
    assert list(slider.values) == [0, 2, 4, 6, 8]
    assert slider.default == 4
    for i, at in enumerate(slider.values):
        image = player[at]
        np.testing.assert_allclose(values_of(image), da.values[i], rtol=1e-6)
        assert options(image)["title"] == f"time = {2 * i} ms"


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_a_player_renders_its_middle_frame(hv, arrays, backend):
    import matplotlib.pyplot as plt

    figure = hv.render(plot(arrays("volume")), backend=backend)
    if backend == "bokeh":
        assert figure.title.text == "z = 2 nm"
    else:
        assert figure.axes[0].get_title() == "z = 2 nm"
        plt.close(figure)


def test_all_frames_have_the_same_colours_and_units(arrays):
    da = arrays("image_stack").assign_attrs(units="A")
    da = da.copy(data=da.values * 1e-12)
    player = plot(da)
    frames = [player[i] for i in (0, 1, 4)]
    assert len({options(f)["clim"] for f in frames}) == 1
    assert {str(f.vdims[0].unit) for f in frames} == {"pA"}
    low, high = options(frames[0])["clim"]
    assert low == pytest.approx(0, abs=1)
    assert high == pytest.approx(da.values.max() * 1e12, rel=0.01)
    fixed = plot(da, clim=(0, 7))
    assert options(fixed[0])["clim"] == (0, 7)


def test_every_further_dimension_gets_a_slider(hv):
    shape = (2, 3, 2, 4, 5)
    names = ("cycle", "bias", "time", "y", "x")
    da = dataarray(np.arange(240.0).reshape(shape), dims=dict.fromkeys(names, (1.0, "1")) | IMAGE)
    player = bound_view(da, "stack")()
    assert [d.name for d in player.kdims] == ["cycle", "bias", "time"]
    np.testing.assert_array_equal(values_of(player[1, 2, 0]), da.values[1, 2, 0])
    less = bound_view(da, "stack")(isel={"bias": 1, "time": slice(0, 1)}, sel={"cycle": 1})
    assert [d.name for d in less.kdims] == ["time"]
    np.testing.assert_array_equal(values_of(less[0]), da.values[1, 1, 0])
    still = bound_view(da, "stack")(isel={"bias": 1, "time": 0, "cycle": 0})
    assert isinstance(still, hv.Image)


def test_sliders_of_awkward_coordinates_count(arrays):
    da = arrays("image_stack")
    dates = np.datetime64("2024-01-01", "ns") + np.arange(5) * np.timedelta64(1, "h")
    for where, first in (
        (dates, 0),
        (list("abcde"), 0),
        (np.zeros(5), 0),
        ([0.0, np.nan, 1.0, 2.0, 3.0], 0),
        (np.arange(5)[::-1], 4),
    ):
        player = plot(da.assign_coords(time=where))
        assert sorted(player.kdims[0].values) == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(values_of(player[0.0]), da.values[first], rtol=1e-6)
    assert options(plot(da.assign_coords(time=list("abcde")))[1])["title"] == "time = b"


@pytest.mark.parametrize(("show", "function"), [("mean", np.nanmean), ("max", np.nanmax), ("min", np.nanmin)])
def test_projections(arrays, show, function):
    da = arrays("image_stack")
    da[2, 3, 4] = np.nan
    image = plot(da, show=show)
    np.testing.assert_allclose(values_of(image), function(da.values, axis=0), rtol=1e-6)
    assert options(image)["title"] == f"{show} of 5 frames, time = 0 … 4 s"


def test_the_mean_of_complex_frames_knows_their_phase(arrays):
    da = arrays("image_stack", "complex128")
    image = plot(da, show="mean", component="amplitude")
    np.testing.assert_allclose(values_of(image), np.abs(da.values.mean(0)), rtol=1e-6)
    phase = plot(da, component="phase")[0]
    assert options(phase)["clim"] == (-np.pi, np.pi)


def test_a_montage_chooses_evenly(hv, arrays):
    da = arrays("image_stack")
    layout = plot(da, show="montage", frames=3)
    titles = [options(image)["title"] for image in layout.traverse(None, [hv.Image])]
    assert titles == ["time = 0 s", "time = 2 s", "time = 4 s"]
    assert len(plot(da, show="montage", frames=99)) == 5


def test_only_frames_are_read(arrays, counted):
    da, backend = counted(arrays("image_stack"))
    player = plot(da, clim=(0, 1), prefix=False)
    assert backend.reads == []
    player[3.0]
    assert backend.reads == [12 * 16]
    da, backend = counted(arrays("image_stack"))
    plot(da, max_bytes=3 * 12 * 16 * 8)
    assert backend.reads == [12 * 16] * 3
    da, backend = counted(arrays("image_stack"))
    plot(da, show="mean")
    assert max(backend.reads) == 12 * 16
    assert not da.variable._in_memory


def test_a_saved_player_has_its_frames_inside(arrays, tmp_path):
    da = dataarray(np.arange(100 * 12.0).reshape(100, 3, 4), dims={"time": (0.1, "s")} | IMAGE)
    path = save(da, tmp_path / "film.html", title="</script><script>alert(1)</script>")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link)[^>]*\b(src|href)=", text)
    assert '.css"' not in text.rpartition("docs_json")[2]
    assert "<script>alert(1)" not in text
    assert text.count("time = ") >= 50
    two = dataarray(np.zeros((20, 30, 3, 4)), dims={"time": (0.1, "s"), "z": (1, "nm")} | IMAGE)
    save(bound_view(two, "stack")(x="x", y="y"), tmp_path / "two.html")
    still = save(da, tmp_path / "film.png", dpi=50)
    assert still.stat().st_size > 1000


def test_a_map_that_a_program_drives_is_saved_as_it_is(hv, tmp_path):
    live = hv.DynamicMap(lambda: hv.Curve([1, 2, 3]), streams=[])
    assert save(live, tmp_path / "live.html").stat().st_size > 10_000


@pytest.mark.parametrize("values", ["uint8", "int64", "float32", "complex64", "bool"])
@pytest.mark.parametrize("show", ["player", "mean", "max", "montage"])
def test_awkward_stacks_do_no_harm(hv, arrays, values, show):
    da = arrays("image_stack", values)
    if da.dtype.kind in "fc":
        da[0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        picture = plot(da, show=show)
        hv.render(picture, backend="bokeh")
        if show == "player":
            for at in picture.kdims[0].values:
                hv.render(picture[at], backend="bokeh")
        hv.render(plot(da.isel(time=slice(0, 0)), show=show), backend="bokeh")


def test_what_cannot_be_drawn_is_said(arrays):
    assert choose_view(arrays("image_stack", "complex64")) == "stack"
    with pytest.raises(ValueError, match="no way to show a stack is called 'average'"):
        plot(arrays("image_stack"), show="average")
    with pytest.raises(DimensionError, match="a stack needs three dimensions"):
        bound_view(arrays("image"), "stack")()
    with pytest.raises(DimensionError, match="no dimension 'z'"):
        plot(arrays("image_stack"), dim="z")
    with pytest.raises(DimensionError, match="'time' is not free"):
        plot(arrays("image_stack"), dim="time", isel={"time": 2})
    with pytest.raises(TypeError, match="no option 'colour'"):
        plot(xr.zeros_like(arrays("volume")), colour="red")
