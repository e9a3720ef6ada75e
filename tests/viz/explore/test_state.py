"""The state of the app, without a browser: selections, the numbers that follow, and the code that does the same."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.region import Region
from sid_xarray.errors import AlignmentError, DimensionError

pytest.importorskip("panel")
from sid_xarray.core.cut import Cut, cut
from sid_xarray.viz.explore._plan import make_plan
from sid_xarray.viz.explore._read import blocks, reduced

PLANS = {
    "spectral_image": (("y", "x"), ("bias",), ()),
    "image": (("y", "x"), (), ()),
    "image_stack": (("y", "x"), (), ("time",)),
    "volume": (("y", "x"), (), ("z",)),
    "line_profiles": (("x",), ("energy",), ()),
    "image_4d": (("y", "x"), ("ky", "kx"), ()),
    "multidimensional": (("a", "b"), ("c",), ()),
}


@pytest.mark.parametrize("name", PLANS)
def test_dimensions_are_chosen_by_type(name, arrays):
    plan = make_plan(arrays(name))
    assert (plan.map, plan.signal, plan.sliders) == PLANS[name]


@pytest.mark.parametrize("name", PLANS)
def test_the_order_of_storage_does_not_matter(name, arrays):
    da = arrays(name)
    if name == "multidimensional":
        return
    for dims in itertools.permutations(da.dims):
        plan = make_plan(da.transpose(*dims))
        assert (plan.map, plan.signal) == PLANS[name][:2]


def test_what_is_given_stays(arrays):
    plan = make_plan(arrays("image_4d"), map=("kx", "ky"), signal="x")
    assert (plan.map, plan.signal, plan.sliders) == (("ky", "kx"), ("x",), ("y",))
    plan = make_plan(arrays("image_stack"), signal="time")
    assert (plan.map, plan.signal) == (("y", "x"), ("time",))
    with pytest.raises(DimensionError, match="share"):
        make_plan(arrays("image"), map=("y", "x"), signal="x")
    with pytest.raises(DimensionError, match="no dimension 'w'"):
        make_plan(arrays("image"), signal="w")
    with pytest.raises(DimensionError, match="nothing to explore"):
        make_plan(arrays("spectrum"))


@pytest.mark.parametrize("n", range(2, 9))
def test_any_number_of_dimensions(n):
    da = xr.DataArray(np.random.default_rng(0).random(range(2, 2 + n)), dims=[f"d{i}" for i in range(n)])
    ex = da.sid.explore()
    assert sorted([*ex.plan.map, *ex.plan.signal, *ex.plan.sliders]) == sorted(da.dims)
    ex.__panel__().get_root()
    same(ex, da)
    if ex.plan.sliders:
        ex.at = {d: da.sizes[d] - 1 for d in ex.plan.sliders}
        same(ex, da)


def same(ex, da):
    """Everything that is shown is what the lines of code give."""
    names = {"da": da, "sid": sid, "xr": xr, "np": np}
    got = [eval(line, names) for line in ex.code()]
    assert got[0].equals(ex.image)
    dims = [d for d in (*ex.plan.map, *ex.plan.signal) if d in got[0].dims]
    np.testing.assert_allclose(ex.plane().values, got[0].transpose(*dims).values, rtol=1e-6, atol=1e-9)
    for line, one, shown in zip(got[1:], ex.spectra, ex.curves(), strict=True):
        assert line.equals(one)
        np.testing.assert_allclose(shown.values, line.transpose(*ex.plan.signal).values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("lazy", [False, True])
def test_every_kind_is_shown_and_done_again_in_code(name, dtype, lazy, arrays):
    da = arrays(name, dtype)
    ex = (da.chunk() if lazy else da).sid.explore()
    if not lazy:
        ex.__panel__().get_root()
    parts = ["amplitude", "phase", "real", "imag"] if dtype.startswith("complex") else ["amplitude"]
    for part in parts:
        ex.part = part
        same(ex, da)


def test_a_tap_is_the_nearest_pixel_in_the_units_shown(arrays):
    da = arrays("spectral_image")  # metres, shown in nanometres
    ex = da.sid.explore()
    ex.tap(5.2, 3.9)
    assert ex.cut_of(ex.cursor).indexers == {"y": 4, "x": 5}
    np.testing.assert_array_equal(ex.curves()[0].values, da.values[4, 5])
    assert ex.readout().startswith("x = 5 nm, y = 4 nm: ")


def test_a_box_is_the_mean_with_its_spread(arrays):
    da = arrays("spectral_image")
    ex = da.sid.explore()
    ex.choose(ex.box((1.6, 4.4), (0.6, 2.4)))
    (curve,) = ex.curves()
    inside = da.values[1:3, 2:5].reshape(-1, da.sizes["bias"])
    assert curve.n == 6
    np.testing.assert_allclose(curve.values, inside.mean(0))
    np.testing.assert_allclose(curve.spread, inside.std(0))
    same(ex, da)


def test_an_outline_and_two_regions(arrays):
    da = arrays("spectral_image")
    ex = da.sid.explore()
    ex.compare = True
    ex.choose(ex.outline([-0.5, 3.5, -0.5], [-0.5, -0.5, 3.5]))
    assert [r.kind for r in ex.regions] == ["point", "polygon"]
    inside = np.add.outer(np.arange(6), np.arange(7)) < 3
    np.testing.assert_allclose(ex.curves()[1].values, da.values[inside].mean(0))
    same(ex, da)


@pytest.mark.parametrize("reduce", ["mean", "sum", "max", "min", "std"])
def test_a_window_makes_the_map(arrays, reduce):
    da = arrays("spectral_image").astype("f4")
    ex = da.sid.explore(reduce=reduce)
    ex.set_window(ex.interval(0.25, 0.54))
    np.testing.assert_allclose(ex.plane().values, getattr(da[..., 3:6], reduce)("bias").values, rtol=1e-5)
    same(ex, da)


@pytest.mark.parametrize("shape", ["disc", "ring", "box", "outline"])
def test_an_aperture_of_any_shape(arrays, shape):
    da = arrays("image_4d")
    ex = da.sid.explore()
    region = {
        "disc": ex.aperture(0.4, 0.3, 0.21),
        "ring": ex.aperture(0.4, 0.3, 0.31, 0.15),
        "box": ex._snapped(ex.plan.signal, ((0.1, 0.3), (0.2, 0.6))),
        "outline": ex.outline([0.05, 0.55, 0.05], [0.05, 0.05, 0.55], on="signal"),
    }[shape]
    ex.set_window(region)
    assert ex.window == region
    same(ex, da)


def test_a_window_in_which_nothing_lies_changes_nothing(arrays):
    ex = arrays("image_4d").sid.explore()
    before = ex.window
    ex.set_window(Region.aperture(ky=50, kx=50, radius=0.1))
    assert ex.window == before


def test_of_a_file_only_what_is_shown_is_read(arrays, counted):
    da, backend = counted(arrays("spectral_image"))
    ex = da.sid.explore(window=(0.2, 0.4))
    ex.plane()
    assert backend.reads == [6 * 7 * 3]
    ex.tap(5, 4)
    ex.curves()
    assert backend.reads == [6 * 7 * 3, 9]
    ex.plane(), ex.curves()
    assert backend.reads == [6 * 7 * 3, 9]  # nothing is read twice
    assert not da.variable._in_memory


def test_a_pattern_reads_the_box_of_the_aperture(arrays, counted):
    da, backend = counted(arrays("image_4d"))
    ex = da.sid.explore(window=Region.aperture(ky=0.3, kx=0.4, radius=0.1))
    ex.plane()
    assert backend.reads == [3 * 4 * 3 * 3]


def test_a_large_file_starts_with_a_window(arrays, counted, monkeypatch):
    from sid_xarray.viz.explore import _start

    da, _ = counted(arrays("spectral_image"))
    monkeypatch.setattr(_start, "LARGEST", da.nbytes // 3)
    ex = da.sid.explore()
    assert ex.window.kind == "interval"
    assert ex.window.mask(da).sum() == 3


@pytest.mark.parametrize("limit", [8, 100, 1000, 10**6])
def test_blocks_cover_everything_once_and_are_small(arrays, limit):
    da = arrays("spectral_image")
    seen = np.zeros(da.shape, int)
    for block in blocks(da, limit):
        part = tuple(block[d] for d in da.dims)
        seen[part] += 1
        assert seen[part].size * 8 <= max(8, limit)
    np.testing.assert_array_equal(seen, 1)


@pytest.mark.parametrize("how", ["mean", "sum", "max", "min", "std"])
def test_moments_of_blocks_are_those_of_the_whole(arrays, how, monkeypatch):
    da = arrays("spectral_image") + 1e6
    da[1, 2, 3] = np.nan
    whole = reduced(da, Cut({}), ["bias"], how=how, spread=True)
    import sid_xarray.viz.explore._read as read

    monkeypatch.setattr(read, "blocks", lambda a: blocks(a, 200))
    ring = cut(da, Region.polygon([(-1, -1), (-1, 9), (9, 9), (9, -1)]))
    for found in (Cut({}), ring):
        parts = reduced(da, found, ["bias"], how=how, spread=True)
        np.testing.assert_allclose(parts.values, whole.values, rtol=1e-8)
        np.testing.assert_allclose(parts.spread, whole.spread, rtol=1e-8)
    with np.errstate(all="ignore"):
        want = {"mean": np.nanmean, "sum": np.sum, "max": np.nanmax, "min": np.nanmin, "std": np.nanstd}[how]
        np.testing.assert_allclose(whole.values, want(da.values, axis=(0, 1)), rtol=1e-7)


def test_a_point_cloud_answers_with_the_nearest_point():
    rng = np.random.default_rng(0)
    coords = {"x": ("point", rng.random(40), {"units": "nm"}), "y": ("point", rng.random(40), {"units": "nm"})}
    da = xr.DataArray(
        rng.random((40, 9)), dims=("point", "energy"), coords={**coords, "energy": np.arange(9.0)}, name="v"
    )
    ex = da.sid.explore()
    assert ex.plan.places == ("y", "x")
    for i in (3, 17):
        ex.tap(float(da.x[i]), float(da.y[i]))
        np.testing.assert_array_equal(ex.curves()[0].values, da.values[i])
    ex.choose(ex.box((0, 0.5), (0, 0.5)))
    inside = (da.x.values <= 0.5) & (da.y.values <= 0.5)
    np.testing.assert_allclose(ex.curves()[0].values, da.values[inside].mean(0))
    ex.__panel__().get_root()
    same(ex, da)


def test_arrays_on_one_grid_stand_side_by_side(arrays):
    da = arrays("spectral_image")
    ds = xr.Dataset({"raw": da, "fit": da * 0.9, "height": da.mean("bias")})
    ex = ds.sid.explore()
    assert list(ex.arrays) == ["raw", "fit", "height"]
    assert [c.array for c in ex.curves()] == ["raw", "fit"]
    np.testing.assert_allclose(ex.plane("height").values, da.mean("bias").values)
    assert ex.code()[0].startswith("ds['raw'].sid.within(")
    ex.__panel__().get_root()
    beside = da.sid.explore(beside={"fit": da * 0.9})
    assert [c.array for c in beside.curves()] == ["current", "fit"]
    with pytest.raises(AlignmentError, match="'bias' differs"):
        da.sid.explore(beside={"half": da[..., ::2]})


def test_attributes_can_be_set_in_plain_words(arrays):
    da = arrays("spectral_image")
    ex = da.sid.explore()
    ex.window = (0.2, "400 mV")
    np.testing.assert_allclose(ex.plane().values, da.values[..., 2:5].mean(-1))
    ex.regions = [{"kind": "box", "dims": ["y", "x"], "at": [[0, 1], [0, 2]], "units": ["nm", "nm"]}]
    np.testing.assert_allclose(ex.curves()[0].values, da.values[:2, :3].mean((0, 1)))
    same(ex, da)
    ex.__panel__().get_root()
    assert ex.regions[0].at == ((0, 1e-9), (0, 2e-9))  # in the units of the coordinates
    ex.param.update(window=None)
    np.testing.assert_allclose(ex.plane().values, da.values.mean(-1))
    with pytest.raises(DimensionError):
        ex.window = (7, 8)


def test_options_are_checked(arrays):
    da = arrays("spectral_image")
    with pytest.raises(TypeError, match="Did you mean 'cmap'"):
        da.sid.explore(cmp="gray")
    with pytest.raises(DimensionError):
        da.sid.explore(window=(70, 80))
    ex = da.sid.explore(regions=[{"kind": "point", "dims": ["y", "x"], "at": [1e-9, 2e-9]}])
    np.testing.assert_array_equal(ex.curves()[0].values, da.values[1, 2])
    with pytest.raises(DimensionError, match="no region of the map"):
        ex.choose(Region.interval(bias=(0, 1)))


def test_code_is_written_as_people_write_it():
    """In the units that are shown, with no more digits than tell the pixels, and no −0."""
    y, x = np.arange(50) * 1e-6 / 49, np.arange(50) * 1e-6 / 49
    bias = np.linspace(-0.22, 0.22, 40).astype("f4")
    dims = {"y": (y, "m"), "x": (x, "m"), "bias": (bias, "V")}
    da = sid.dataarray(np.random.default_rng(0).random((50, 50, 40)), dims=dims, units="A")
    ex = da.sid.explore()
    ex.choose(ex.box(x=(0.1, 0.7), y=(0, 0.333)))
    same(ex, da)
    ex.compare = True
    ex.choose(ex.box(x=(0.1423, 0.1424), y=(0, 0.333)))  # one pixel wide
    ex.tap(*(ex.axes[d].values[7] for d in "xy"))
    ex.window = (-0.2, 0.1)
    same(ex, da)
    for line in ex.code():
        assert "-0.0)" not in line and "-0.0," not in line
    assert len(ex.code()) == 4
    assert "units='m'" not in "".join(ex.code())
    assert max(len(number) for number in re.findall(r"\d+\.\d+", "".join(ex.code()))) <= 8
    k = (np.arange(16) - 8) * -0.5
    scan = sid.dataarray(np.ones((3, 4, 16, 16)), dims={"y": 1, "x": 1, "ky": (k, "mrad"), "kx": (k, "mrad")})
    ex = scan.sid.explore()
    assert "-0.0" not in ex.code()[0]
    same(ex, scan)


@pytest.mark.parametrize(
    "coord",
    [np.datetime64("2024-01-01") + np.arange(6) * np.timedelta64(1, "h"), list("abcdef")],
    ids=["dates", "text"],
)
@pytest.mark.parametrize("dims", [("step", "x"), ("step", "y", "x"), ("y", "x", "step")])
def test_dates_and_text_along_a_dimension(coord, dims):
    sizes = {"step": 6, "x": 4, "y": 5}
    values = np.random.default_rng(0).random([sizes[d] for d in dims])
    da = xr.DataArray(values, dims=dims, coords={"step": coord, "x": np.arange(4.0)}, name="signal")
    for given in ({}, {"signal": "step"}):
        ex = da.sid.explore(**given)
        ex.__panel__().get_root()
        if len(dims) < 3 and not given:
            assert "step" in ex.plan.map + ex.plan.signal
        if set(ex.plan.signal) | set(ex.plan.map):
            same(ex, da)
    np.testing.assert_array_equal(da["step"].values, np.asarray(coord))


@pytest.mark.parametrize(
    ("da", "said"),
    [
        (xr.DataArray(np.zeros((0, 3)), dims=("y", "x")), "'y' has no points"),
        (xr.DataArray(np.array([["a", "b"]] * 2), dims=("y", "x")), "no array of numbers"),
        (xr.DataArray(np.zeros((2, 3)), dims=(0, 1)), r"da.rename\(\{0: 'dim_0', 1: 'dim_1'\}\)"),
    ],
    ids=["empty", "text", "names"],
)
def test_what_cannot_be_explored_is_said(da, said):
    with pytest.raises(DimensionError, match=said):
        da.sid.explore()
    sid.dashboard(da).get_root()


def test_names_that_python_keeps_for_itself():
    da = xr.DataArray(np.random.default_rng(0).random((2, 3, 4, 5)), dims=("class", "def", "in", "x"), name="signal")
    same(da.sid.explore(), da)


def test_the_legend_leaves_the_end_of_a_rising_curve():
    rising = xr.DataArray(
        np.ones((4, 5, 1)) * np.arange(60.0), dims=("y", "x", "energy"), coords={"energy": np.arange(60.0)}
    )
    root = rising.sid.explore().__panel__().get_root()
    (legend,) = [m for m in root.references() if type(m).__name__ == "Legend"]
    assert legend.location == "top_left"


def test_a_page_is_written_without_warnings(tmp_path, caplog):
    xr.DataArray(np.eye(4), dims=("y", "x"), name="signal").sid.explore().save(tmp_path / "page.html")
    assert not caplog.records
