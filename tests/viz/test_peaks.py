"""Positions and lattices: in whatever units they come, they lie where they should."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import bound_view, plot

PLACES = np.array([[1.0, 2.0], [3.5, 0.5], [0.0, 4.5]])  # x, y in nm


@pytest.fixture(params=["ascending", "descending"])
def image(request):
    y = np.arange(10) * 0.5e-9
    y = y if request.param == "ascending" else y[::-1]
    values = np.random.default_rng(0).normal(size=(10, 12))
    return dataarray(values, dims={"y": (y, "m"), "x": (0.5e-9, "m")}, units="nA", quantity="current")


def rings(hv, picture):
    return picture.traverse(None, [hv.Points])[0].array()


def table(unit, scale):
    return xr.Dataset(
        {name: ("peak", column * scale, {"units": unit}) for name, column in zip("xy", PLACES.T, strict=True)}
    )


@pytest.mark.parametrize("given", ["array", "mapping", "metres", "picometres", "swapped frame"])
def test_positions_lie_at_their_places(hv, image, given):
    positions = {
        "array": PLACES * 1e-9,
        "mapping": {"y": PLACES[:, 1] * 1e-9, "x": list(PLACES[:, 0] * 1e-9)},
        "metres": table("m", 1e-9),
        "picometres": table("pm", 1e3),
        "swapped frame": table("nm", 1.0).to_dataframe() * 1e-9,
    }[given]
    picture = bound_view(image, "peaks")(positions=positions)
    np.testing.assert_allclose(rings(hv, picture), PLACES, atol=1e-12)
    options = picture.opts.get("plot", backend="bokeh").kwargs
    assert options["invert_yaxis"] == (image.y.values[0] < image.y.values[-1])
    assert options["xlim"] == pytest.approx((-0.25, 5.75))
    for backend in ("bokeh", "matplotlib"):
        hv.render(picture, backend=backend)


def test_positions_without_a_place_are_counted(hv, image):
    places = np.vstack([PLACES * 1e-9, [[np.nan, 0]]])
    picture = bound_view(image, "peaks")(positions=places)
    assert len(rings(hv, picture)) == 3
    assert picture.opts.get("plot", backend="bokeh").kwargs["title"] == "1 without a place"
    hv.render(bound_view(image, "peaks")(positions=np.zeros((0, 2))), backend="bokeh")


def test_peaks_of_a_curve_stand_on_it(hv):
    energy = np.linspace(0, 10, 101) * 1e-3
    da = dataarray((energy * 1e3) ** 2, dims={"energy": (energy, "eV")}, units="count")
    picture = bound_view(da, "peaks")(positions=[2e-3, 7e-3])
    np.testing.assert_allclose(rings(hv, picture), [[2, 4], [7, 49]])
    hv.render(picture, backend="bokeh")


def test_a_lattice_fills_the_frame_from_its_origin(hv):
    da = dataarray(np.zeros((21, 21)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")})
    picture = bound_view(da, "lattice")(a=("2 nm", 0), b=(1, 2), origin=(1, "1000 pm"))
    places = {tuple(np.round(p, 6)) for p in rings(hv, picture)}
    expected = {(1 + 2.0 * i + j, 1 + 2.0 * j) for i in range(-20, 20) for j in range(-20, 20)}
    expected = {(u, v) for u, v in expected if 0 <= u <= 10 and 0 <= v <= 10}
    assert places == expected
    paths = [p.split()[0].array() for p in picture.traverse(None, [hv.Path]) if type(p) is hv.Path]
    np.testing.assert_allclose([p[0] for p in paths], [[1, 1], [1, 1]])
    np.testing.assert_allclose([p[1] for p in paths], [[3, 1], [2, 3]])
    for backend in ("bokeh", "matplotlib"):
        hv.render(picture, backend=backend)
    alone = bound_view(da, "lattice")(a=(2, 0), b=(1, 2), points=False)
    assert not alone.traverse(None, [hv.Points])


def test_what_makes_no_sense_is_said(image, arrays):
    with pytest.raises(DimensionError, match=r"shape \(n, 2\), got \(3, 3\)"):
        bound_view(image, "peaks")(positions=np.zeros((3, 3)))
    with pytest.raises(DimensionError, match="no positions along 'x'"):
        bound_view(image, "peaks")(positions={"y": [1.0]})
    with pytest.raises(DimensionError, match="span no lattice"):
        bound_view(image, "lattice")(a=(1, 1), b=(2, 2))
    with pytest.raises(DimensionError, match="too many points"):
        bound_view(image, "lattice")(a=(1e-15, 0), b=(0, 1e-15))
    loop = arrays("image").assign_coords(x=np.abs(np.arange(16) - 8.0))
    with pytest.raises(DimensionError, match="turn back"):
        bound_view(loop, "peaks")(positions=PLACES)


def columns():
    """Return an image of three columns, what was found in it with room for more, and a fit at each."""
    y, x = 0.1 * np.arange(40), 0.1 * np.arange(50)
    spots = sum(np.exp(-((y[:, None] - b) ** 2 + (x - a) ** 2) / 0.08) for a, b in ((1.0, 1.0), (3.0, 1.5), (2.0, 3.0)))
    da = dataarray(spots, dims={"y": (0.1, "nm"), "x": (0.1, "nm")}, units="count")
    found = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, max_peaks=5)
    return da, found, da.sid.fit("gaussian2d + constant", at=found, window=1.2)


def test_a_fit_has_its_centres_for_columns(hv):
    da, found, fit = columns()
    for positions, close in ((found, 0.05), (fit, 1e-3)):
        picture = bound_view(da, "peaks")(positions=positions)
        places = np.sort(rings(hv, picture), axis=0)
        np.testing.assert_allclose(places, [[1, 1], [2, 1.5], [3, 3]], atol=close)
        assert picture.opts.get("plot", backend="bokeh").kwargs.get("title", "") == ""  # room for more is no loss
    curve = da.isel(y=10).drop_vars("y")
    line = curve.sid.fit("gaussian", dim="x", at=[1.0], window=1.0)
    np.testing.assert_allclose(rings(hv, bound_view(curve, "peaks")(positions=line))[:, 0], [1], atol=1e-3)


def test_where_no_peak_is_no_fit_failed():
    _, _, fit = columns()
    both = xr.concat([fit, fit], "frame")
    assert int((fit.status == 8).sum()) == 2
    assert "failed" not in str(plot(both).opts.get("plot", backend="bokeh").kwargs.get("title", ""))
    both["center_x"][0, 0] = np.nan
    assert plot(both).opts.get("plot", backend="bokeh").kwargs["title"] == "1 of 6 fits failed"
