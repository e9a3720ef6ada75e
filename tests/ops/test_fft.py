"""Fourier transforms with coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError


def fringes(ny=32, nx=40, dx=0.05, unit="nm", dtype="f4"):
    x = np.arange(nx) * dx
    values = np.cos(2 * np.pi * x / 0.4)[np.newaxis] + np.zeros((ny, 1))
    return sid.dataarray(values.astype(dtype), {"y": (dx, unit), "x": (dx, unit)}, units="count", quantity="intensity")


@pytest.mark.parametrize("unit", ["nm", "um", "m", "angstrom"])
def test_fringes_of_a_known_period_land_where_they_should(unit):
    out = abs(fringes(unit=unit).sid.fft())
    lines = out.where(out > 0.4 * out.max()).stack(k=("ky", "kx")).dropna("k")
    np.testing.assert_allclose(sorted(lines.kx.values), [-2.5, 2.5], atol=1e-9)
    np.testing.assert_allclose(lines.ky, 0, atol=1e-9)
    assert out.kx.units == f"1/{unit}"
    assert out.kx.attrs["sid_dimension_type"] == "reciprocal"
    assert out.sid.kind == "image"


def test_a_spectrum_over_time_has_frequencies():
    t = np.arange(200) * 1e-3
    da = sid.dataarray(np.sin(2 * np.pi * 50 * t), {"time": (1e-3, "s")}, units="V", quantity="signal")
    out = da.sid.fft()
    assert out.dims == ("frequency",)
    assert abs(float(out.frequency[int(abs(out).argmax("frequency"))])) == pytest.approx(50)
    assert out.frequency.attrs["sid_dimension_type"] == "spectral"
    assert out.units == "V"


@pytest.mark.parametrize("shape", [(8, 10), (7, 9), (2, 3), (8, 9)])
def test_parseval(shape):
    rng = np.random.default_rng(0)
    da = sid.dataarray(rng.normal(size=shape), {"y": (0.5, "nm"), "x": (0.25, "nm")})
    np.testing.assert_allclose(float((abs(da.sid.fft(norm="ortho")) ** 2).sum()), float((da**2).sum()))
    np.testing.assert_allclose(float((abs(da.sid.fft()) ** 2).sum()), float((da**2).sum()) * da.size)


AXES = {
    "from zero": np.arange(9) * 0.05,
    "offset": 100 + np.arange(9) * 0.1,
    "linspace": np.linspace(-1, 1, 9),
    "even": np.linspace(3, 7, 8),
    "descending": 5 - 0.3 * np.arange(9),
    "tiny": np.arange(9) * 1e-10,
    "two points": np.array([1.0, 1.5]),
}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_the_inverse_gives_back_everything(axis, dtype):
    x = AXES[axis]
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(3, x.size)) + (1j * rng.normal(size=(3, x.size)) if dtype[0] == "c" else 0)).astype(
        dtype
    )
    da = sid.dataarray(values, {"time": (0.5, "s"), "x": (x, "nm")}, units="nA", quantity="current")
    da.x.attrs |= {"long_name": "fast axis", "sid_units_original": "nanometres"}
    back = da.sid.fft(dim="x").sid.ifft()
    assert back.dims == da.dims
    xr.testing.assert_identical(back.coords.to_dataset(), da.coords.to_dataset())  # bit for bit: arithmetic aligns
    assert {k: v for k, v in back.attrs.items() if "prov" not in k} == {
        k: v for k, v in da.attrs.items() if "prov" not in k
    }
    assert back.dtype == np.result_type(da.dtype, np.complex64)
    np.testing.assert_allclose(back, da, atol=1e-5 if dtype in ("f4", "c8") else 1e-12)
    assert (back - da).sizes == da.sizes


def test_descending_axes_mirror_the_frequencies():
    da = fringes()
    mirrored = da.isel(x=slice(None, None, -1))
    out, plain = mirrored.sid.fft(dim="x"), da.sid.fft(dim="x")
    np.testing.assert_allclose(out.kx, -plain.kx)
    peak = abs(out).isel(y=0)
    assert abs(float(peak.kx[int(peak.argmax("kx"))])) == pytest.approx(2.5)


def test_the_inverse_after_a_change_of_units_follows_the_change():
    out = fringes().sid.fft(dim="x")
    changed = out.sid.calibrate(kx={"scale": 1e9, "units": "1/m"})
    back = changed.sid.ifft()
    np.testing.assert_allclose(back.x, np.arange(40) * 0.05e-9, rtol=1e-9)
    assert back.x.units == "m"


def test_the_inverse_of_a_part_has_a_coarser_axis():
    out = fringes().sid.fft(dim="x").isel(kx=slice(10, 30))
    back = out.sid.ifft()
    np.testing.assert_allclose(back.x, np.arange(20) * 0.1, rtol=1e-9)


def test_foreign_reciprocal_axes_come_back_as_space():
    da = sid.dataarray(np.ones((4, 4), complex), {"ky": (0.5, "1/nm"), "kx": (0.5, "1/nm")})
    back = da.sid.ifft()
    assert back.dims == ("y", "x")
    assert back.x.units == "nm"
    np.testing.assert_allclose(back.x, np.arange(4) * 0.5)


def test_names_that_are_taken_are_not_taken_again():
    dims = {"y": (1, "nm"), "x": (1, "nm"), "ky": (1, "1/nm"), "kx": (1, "1/nm")}
    da = sid.dataarray(np.random.default_rng(0).normal(size=(3, 4, 5, 6)), dims)
    out = da.sid.fft()
    assert out.dims == ("y_frequency", "x_frequency", "ky", "kx")
    back = out.sid.ifft()
    assert back.dims == da.dims
    np.testing.assert_allclose(back, da, atol=1e-12)


def test_a_window_tames_the_borders():
    da = fringes(nx=37)
    off = abs(da.sid.fft(dim="x")).sel(kx=slice(5, None)).max()
    tamed = abs(da.sid.fft(dim="x", window="hann")).sel(kx=slice(5, None)).max()
    assert float(tamed) < 0.05 * float(off)


def test_lazy_over_chunks_of_the_axis_itself():
    da = fringes()
    with sid.testing.no_compute():
        out = da.chunk(x=7, y=8).sid.fft(dim="x")
    np.testing.assert_allclose(out.compute(), da.sid.fft(dim="x"), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "keywords", "text"),
    [
        (lambda da: da.isel(x=slice(0, 1)), {}, "dimension 'x' has 1 point: no spacing"),
        (lambda da: da.assign_coords(x=da.x**2), {}, "dimension 'x' is not evenly spaced. Resample it first"),
        (lambda da: da, {"dim": "z"}, "no dimension 'z': there are 'y', 'x'"),
        (lambda da: da, {"dim": []}, "no dimension to transform"),
        (lambda da: da.astype(str), {}, "a Fourier transform needs numbers"),
        (lambda da: da.sid.set_dims(x="channel", y="channel"), {}, "no spatial or temporal or spectral dimension"),
    ],
)
def test_errors_say_what_to_type(change, keywords, text):
    with pytest.raises(DimensionError, match=text):
        change(fringes()).sid.fft(**keywords)


def test_capital_letters_are_space_too():
    image = sid.dataarray(np.eye(4), dims={"Y": (1, "nm"), "X": (1, "nm")})
    there = image.sid.fft()
    assert there.dims == ("kY", "kX")
    assert there.sid.ifft().dims == image.dims
