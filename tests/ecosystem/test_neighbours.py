"""Other packages of the xarray world take our arrays as they are, and what comes back is ours again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid


@pytest.fixture
def cube() -> xr.DataArray:
    return sid.datasets.peak_map()


def test_pint_xarray_reads_every_unit(cube: xr.DataArray) -> None:
    pytest.importorskip("pint_xarray")
    quantified = cube.pint.quantify()
    assert str(quantified.pint.units) == "count"
    kept = quantified.pint.dequantify()
    assert {d: kept[d].attrs["units"] for d in kept.dims} == {
        "y": "nanometer",
        "x": "nanometer",
        "energy": "electron_volt",
    }
    assert kept.sid.adopt().energy.attrs["units"] == "eV"
    in_kilo = quantified.pint.to("kilocount").pint.dequantify(format="~D")
    np.testing.assert_allclose(in_kilo.values, cube.values / 1000, rtol=1e-6)
    assert in_kilo.sid.kind == "spectral_image"


def test_cf_xarray_finds_axes_and_quantities(cube: xr.DataArray) -> None:
    pytest.importorskip("cf_xarray")
    assert cube.cf.axes["X"] == ["x"]
    assert cube.cf.axes["Y"] == ["y"]
    assert cube.cf.sizes["X"] == cube.sizes["x"]


def test_hvplot_shows_our_labels(cube: xr.DataArray) -> None:
    pytest.importorskip("hvplot")
    import holoviews as hv
    import hvplot.xarray  # noqa: F401

    picture = cube.isel(energy=32).hvplot.image(x="x", y="y")
    image = picture if isinstance(picture, hv.Image) else next(iter(picture.traverse(lambda e: e, [hv.Image])))
    assert image.vdims[0].unit == "count"
    assert image.kdims[0].unit == "nm"


def test_xrft_then_adopt(cube: xr.DataArray) -> None:
    xrft = pytest.importorskip("xrft")
    image = sid.datasets.lattice_image()
    theirs = xrft.fft(image, dim=["y", "x"], true_phase=False, true_amplitude=False)
    ours = image.sid.fft()
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-3)
    np.testing.assert_allclose(theirs.freq_x.values, ours.kx.values, atol=1e-9)
    assert theirs.sid.adopt(image).sid.kind == "image"


def test_flox_groups_keep_the_meaning(cube: xr.DataArray) -> None:
    flox = pytest.importorskip("flox.xarray")
    label = xr.DataArray([0, 0, 1, 1, 1, 0, 1, 0], dims="x", name="phase")
    found = flox.xarray_reduce(cube, label, func="mean")
    np.testing.assert_allclose(found.sel(phase=1).values, cube[:, [2, 3, 4, 6]].mean("x").values, rtol=1e-5)
    assert found.sid.dims_of("spectral") == ("energy",)


def test_xeofs_then_adopt(cube: xr.DataArray) -> None:
    xeofs = pytest.importorskip("xeofs")
    model = xeofs.single.EOF(n_modes=2)
    model.fit(cube, dim=("y", "x"))
    components = model.components().sid.adopt(cube)
    assert components.energy.attrs["units"] == "eV"
    assert components.sid.dims_of("spectral") == ("energy",)


def test_zarr_round_trip_is_identical(cube: xr.DataArray, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    fit = cube.sid.fit("gaussian + constant")
    fit.to_zarr(tmp_path / "fit.zarr", zarr_format=2, consolidated=False)
    again = xr.open_zarr(tmp_path / "fit.zarr", consolidated=False).load()
    assert again.center.dtype == fit.center.dtype
    np.testing.assert_array_equal(again.center, fit.center)
    assert again.center.sid.provenance.operations == ("input", "fit")
    assert again.center.sid.provenance.status == "verified"


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_netcdf_round_trip_is_identical(cube: xr.DataArray, tmp_path: Path, engine: str) -> None:
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    fit = cube.sid.fit("gaussian + constant")
    fit.to_netcdf(tmp_path / "fit.nc", engine=engine)
    again = xr.open_dataset(tmp_path / "fit.nc", engine=engine).load()
    np.testing.assert_array_equal(again.center, fit.center)
    assert again.center.sid.provenance.status == "verified"
    assert again.energy if "energy" in again else again.center.attrs["units"] == "eV"


def test_climate_style_chain_stays_ours(cube: xr.DataArray) -> None:
    found: Any = cube.rolling(energy=3, center=True).mean().dropna("energy").groupby_bins("energy", [2, 4, 6, 8]).mean()
    assert found.sid.dims_of("spatial") == ("y", "x")
    assert cube.weighted(xr.ones_like(cube.x)).mean("x").sid.kind == "line_profiles"


@pytest.mark.parametrize("verb", ["fit", "fft", "integrate"])
def test_values_that_carry_units_of_pint_are_refused_and_not_stripped(cube: xr.DataArray, verb: str) -> None:
    pytest.importorskip("pint_xarray")
    quantified = cube.pint.quantify()
    verbs: dict[str, Any] = {
        "fit": lambda: quantified.sid.fit("gaussian + constant"),
        "fft": lambda: quantified.sid.fft(),
        "integrate": lambda: quantified.sid.sel(energy=(1, 3), reduce="integrate"),
    }
    with pytest.raises(sid.errors.UnitsError, match=r"Type: da\.pint\.dequantify"):
        verbs[verb]()
