"""Fits that are tried again from the results of their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import ModelError
from sid_xarray.kernels import lsq

MODEL = "gaussian + constant"
ENGINES = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not lsq.is_available(), reason="no numba"))]


def misled():
    """A map, and starts that lead astray in a hole of 4 × 5 points and at two others."""
    da = sid.datasets.peak_map(ny=12, nx=14, noise=1.0)
    start = xr.DataArray(np.full((12, 14), 5.0), coords={"y": da.y, "x": da.x}, name="start")
    start[3:7, 2:7], start[9, 10], start[11, 13] = 9.9, 0.1, np.nan
    return da, {"center": start, "sigma": 0.2, "height": 50, "offset": 10}


def truth_of(da):
    return (4 + 2 * da.x / da.x.max()).broadcast_like(da.isel(energy=0, drop=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_neighbours_show_the_way(engine):
    da, start = misled()
    with sid.set_options(fit_engine=engine):
        plain = da.sid.fit(MODEL, guess=start)
        fit = da.sid.fit(MODEL, guess=start, refine="neighbours")
        best = da.sid.fit(MODEL)
    truth = truth_of(da)
    assert int((abs(plain.center - truth) < 0.2).sum()) < da.x.size * da.y.size - 15
    assert (fit.status == 0).all() and float(abs(fit.center - truth).max()) < 0.1
    xr.testing.assert_allclose(fit.redchi, best.redchi, rtol=1e-9)
    xr.testing.assert_allclose(fit.sigma_stderr, best.sigma_stderr, rtol=1e-4)
    # What was good is what it was, bit for bit.
    fine = ((plain.status == 0) & (plain.redchi <= fit.redchi)).values
    for name in plain:
        np.testing.assert_array_equal(plain[name].values[fine], fit[name].values[fine])
    assert fit.status.dtype == np.int8 and fit.nfev.dtype == np.int32 and list(fit) == list(plain)


@pytest.mark.parametrize("engine", ENGINES)
def test_chunks_do_not_matter(engine):
    da, start = misled()
    whole = da.sid.fit(MODEL, guess=start, refine="neighbours") if engine == "numpy" else None
    with sid.set_options(fit_engine=engine):
        whole = da.sid.fit(MODEL, guess=start, refine="neighbours")
        for chunks in ({"y": 1, "x": 3}, {"y": 5, "x": 14, "energy": 20}):
            with sid.testing.no_compute():
                lazy = da.chunk(chunks).sid.fit(MODEL, guess=start, refine="neighbours")
            found = lazy.compute()
            if engine == "numba":
                xr.testing.assert_identical(found.drop_attrs(), whole.drop_attrs())
            else:
                xr.testing.assert_allclose(found, whole, rtol=1e-7)


def test_it_is_never_worse_and_gaps_stay_gaps():
    da = sid.datasets.peak_map(ny=9, nx=9, noise=8.0).copy()
    da[2, 3], da[4, 4:6] = np.nan, np.inf
    da[8] = da[8].where(da.energy < 0.2)
    for model in (MODEL, "gaussian + gaussian + constant"):
        plain = da.sid.fit(model)
        fit = da.sid.fit(model, refine="neighbours")
        assert ((fit.redchi <= plain.redchi) | (plain.status != 0)).values[np.isfinite(plain.redchi)].all()
        assert int((fit.status == 0).sum()) >= int((plain.status == 0).sum())
        assert set(np.unique(fit.status.values[[2, 4, 4, 8], [3, 4, 5, 0]])) == {2, 4}
        assert np.isnan(fit.center if "center" in fit else fit.gaussian1_center).values[2, 3]


def test_what_is_held_tied_weighted_or_robust_stays_so():
    da, start = misled()
    sigma = xr.DataArray(np.linspace(0.7, 0.9, da.x.size), dims="x", coords={"x": da.x})
    weights = xr.DataArray(np.linspace(0.5, 2, da.energy.size), dims="energy")
    options = {"guess": {k: v for k, v in start.items() if k != "sigma"}, "fixed": {"sigma": sigma}}
    fit = da.sid.fit(MODEL, weights=weights, refine="neighbours", **options)
    assert (fit.sigma == sigma).all() and np.isnan(fit.sigma_stderr).all()
    assert float(abs(fit.center - truth_of(da)).max()) < 0.2
    tied = da.sid.fit(
        "gaussian + gaussian + constant",
        guess={"gaussian1_center": start["center"], "gaussian2_center": 8},
        tie={"gaussian2_sigma": "gaussian1_sigma"},
        loss="soft_l1",
        refine="neighbours",
    )
    good = tied.where(tied.status == 0)
    assert ((good.gaussian2_sigma == good.gaussian1_sigma) | np.isnan(good.gaussian1_sigma)).all()


def test_lines_and_stacks_and_complex_data():
    da = sid.datasets.beps(noise=0.5)
    fit = da.sid.be.sho_fit(dim="frequency", refine="neighbours")
    plain = da.sid.be.sho_fit(dim="frequency")
    assert fit.frequency.dims == ("y", "x", "bias")
    xr.testing.assert_allclose(fit.frequency, plain.frequency, rtol=1e-6)
    line = sid.datasets.peak_map().isel(y=2)
    assert line.sid.fit(MODEL, refine="neighbours").center.dims == ("x",)
    assert line.isel(x=0).sid.fit(MODEL, refine="neighbours").center.dims == ()
    assert line.isel(x=slice(0)).sid.fit(MODEL, refine="neighbours").center.shape == (0,)


def test_the_history_says_so_and_can_do_it_again():
    da, start = misled()
    fit = da.sid.fit(MODEL, guess=start, refine="neighbours")
    assert fit.sid.provenance.parameters()["refine"] == "neighbours"
    xr.testing.assert_identical(fit.sid.provenance.replay(intensity=da, start=start["center"]), fit)
    assert "from the results of neighbouring points" in fit.sid.provenance.methods_text()
    with pytest.raises(ModelError, match=r"refine is 'neighbours' or None; got 'neighbors'\. Did you mean"):
        da.sid.fit(MODEL, refine="neighbors")
