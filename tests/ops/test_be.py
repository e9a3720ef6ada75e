"""Band excitation: resonances and loops whose truth is known."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, TraceError, UnitsError
from sid_xarray.kernels.loops import project
from sid_xarray.models import load

BIAS = np.concatenate([np.linspace(10, -10, 32), np.linspace(-10, 10, 32)])


def loop(**changes):
    truth = {"a0": -0.5, "a1": 1.0, "a2": -3.0, "a3": 4.0, "a4": 0.0, "b0": 1.0, "b1": 1.0, "b2": 1.0, "b3": 1.0}
    return load("loop")(BIAS, *{**truth, **changes}.values())


def test_loops_of_any_phase_keep_their_amplitude():
    phases = np.linspace(0, 2 * np.pi, 721)[:-1]
    real, angle = project(loop() * np.exp(1j * phases)[:, np.newaxis], BIAS)
    np.testing.assert_allclose(np.ptp(real, axis=-1), np.ptp(loop()), rtol=1e-12)
    np.testing.assert_allclose(real, np.broadcast_to(loop(), real.shape), atol=1e-12)
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * phases), atol=1e-12)


def test_a_constant_gaps_and_tiny_numbers_do_not_turn_a_loop():
    z = 1e-200 * ((loop() + 3) * np.exp(2.5j) + (0.3 - 2j))
    z[5] = np.nan
    real, angle = project(z, BIAS)
    assert angle == pytest.approx(2.5)
    assert np.isnan(real[5]) and np.nanmax(real) - np.nanmin(real) == pytest.approx(1e-200 * np.ptp(loop()))
    nothing, none = project(np.full((2, 64), np.nan + 0j), BIAS)
    assert np.isnan(nothing).all() and np.isnan(none).all()


def test_from_spectra_to_loops():
    da = sid.datasets.beps(noise=0.5, seed=1)
    fit = da.sid.be.sho_fit(dim="frequency")
    assert (fit.status == 0).all()
    expected = 350 + np.arange(5)[:, np.newaxis] + np.zeros((4, 1, 32))
    pull = ((fit.frequency - expected) / fit.frequency_stderr).values
    assert abs(np.median(pull)) < 0.15
    made = fit.sid.be.project_loops(dim="bias")
    assert made.loop.units == "pm" and made.rotation.units == "rad" and made.loop.dims == ("y", "x", "bias")
    truth = 0.4 * np.arange(20).reshape(4, 5)
    np.testing.assert_allclose(np.angle(np.exp(1j * (made.rotation - truth))), 0, atol=0.02)
    loops = made.loop.sid.be.loop_fit()
    assert (loops.status == 0).all()
    np.testing.assert_allclose(loops.a2, -3 + np.arange(4)[:, np.newaxis] + np.zeros(5), atol=0.25)
    np.testing.assert_allclose(loops.a3, 3 + np.arange(5) / 2 + np.zeros((4, 1)), atol=0.25)
    np.testing.assert_allclose(loops.a1, 2, atol=0.1)
    xr.testing.assert_identical(loops.sid.provenance.replay(da), loops)


def test_a_phase_may_be_in_degrees_and_must_be_an_angle():
    fit = sid.datasets.beps().sid.be.sho_fit(dim="frequency")
    expected = fit.sid.be.project_loops(dim="bias")
    turned = fit.assign(phase=fit.phase.sid.to_units(data="deg"))
    xr.testing.assert_allclose(turned.sid.be.project_loops(dim="bias"), expected)
    bare = fit.assign(phase=fit.phase.drop_attrs())
    xr.testing.assert_allclose(bare.sid.be.project_loops(dim="bias"), expected)
    with pytest.raises(UnitsError):
        fit.assign(phase=fit.phase.assign_attrs(units="V")).sid.be.project_loops(dim="bias")


def test_projected_loops_are_done_again_by_replay_script_and_trace(tmp_path):
    da = sid.datasets.beps()
    loop = da.sid.be.sho_fit(dim="frequency").sid.be.project_loops(dim="bias").loop
    view = loop.sid.provenance
    xr.testing.assert_identical(view.replay(da), loop)
    da.sid.to_nsid(tmp_path / "raw.h5")
    text = view.to_script(tmp_path / "raw.h5")
    assert ".sid.be.project_loops(dim='bias')" in text
    (tmp_path / "again.py").write_text(text, encoding="utf-8")
    again = runpy.run_path(str(tmp_path / "again.py"))["result"]
    assert again.equals(loop)
    assert again.sid.provenance.heads == loop.sid.provenance.heads
    traced = da.sid.trace(lambda d: d.sid.be.sho_fit(dim="frequency").sid.be.project_loops(dim="bias")["loop"])
    xr.testing.assert_identical(traced.sid.provenance.replay(da), traced)
    assert traced.equals(loop)
    with pytest.raises(TraceError, match=r"d\.sid\.project_loops in a trace: .* Did you mean 'be\.project_loops'"):
        da.sid.trace(lambda d: d.sid.project_loops())


def test_responses_are_unbiased():
    truth = sid.datasets.beps()
    exact = truth.sid.be.sho_fit(dim="frequency")
    many = xr.concat([sid.datasets.beps(noise=1.0, seed=n) for n in range(20)], "repeat")
    found = many.sid.be.sho_fit(dim="frequency")
    strong = (exact.amplitude > 0.5).values
    for name in ("frequency", "q"):
        error = (found[name] - exact[name]).values[:, strong].mean()
        spread = float(found[f"{name}_stderr"].values[:, strong].mean()) / np.sqrt(20 * strong.sum())
        assert abs(error) < 5 * spread, name


def test_lazily_and_as_one_array():
    da = sid.datasets.beps()
    z = da.isel(frequency=20, drop=True)
    with sid.testing.no_compute():
        made = z.chunk(x=2).sid.be.project_loops()
    xr.testing.assert_allclose(made.compute(), z.sid.be.project_loops())


def test_what_is_no_response_is_answered():
    da = sid.datasets.peak_map()
    with pytest.raises(DimensionError, match="the response of an oscillator is complex"):
        da.sid.be.sho_fit()
    with pytest.raises(DimensionError, match="loops of a complex response are projected"):
        da.sid.be.project_loops()
    with pytest.raises(DimensionError, match="the Dataset has no 'amplitude'"):
        da.to_dataset().sid.be.project_loops()


def test_real_loops_are_fitted():
    path = Path(__file__).parents[3] / "shared" / "realdata" / "nsid" / "BEPS_PTO_50x50.h5"
    if not path.exists():
        pytest.skip("the real data are not here")
    da = sid.open_dataarray(path).load()
    fit = da.sid.be.loop_fit(loss="soft_l1")
    good = fit.where(fit.status == 0)
    assert float((fit.status == 0).mean()) > 0.9
    assert float(good.rsquared.median()) > 0.98
    assert float(good.a2.median()) < 0 < float(good.a3.median())
