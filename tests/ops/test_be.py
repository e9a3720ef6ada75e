"""Band excitation: resonances and loops whose truth is known."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError, ModelError, TraceError, UnitsError
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


def test_guesses_are_near_the_truth_and_lead_to_the_same_fit():
    da = sid.datasets.beps(noise=0.3, seed=2)
    guess = da.sid.be.sho_guess(dim="frequency")
    fit = da.sid.be.sho_fit(dim="frequency")
    strong = fit.amplitude > 0.5
    assert list(guess) == ["amplitude", "frequency", "q", "phase"] and guess.frequency.units == "kHz"
    assert float(abs(guess.frequency - fit.frequency).where(strong).max()) < 0.3
    assert float(abs(guess.amplitude / fit.amplitude - 1).where(strong).max()) < 0.1
    again = da.sid.be.sho_fit(dim="frequency", guess=guess)
    xr.testing.assert_allclose(again.drop_vars("nfev"), fit.drop_vars("nfev"), rtol=1e-6)
    assert guess.sid.evaluate(da.frequency).dims == da.dims
    xr.testing.assert_identical(guess.sid.provenance.replay(da), guess)
    loops = fit.sid.be.project_loops(dim="bias").loop
    start = loops.sid.be.loop_guess()
    assert float(abs(start.a1 - 2).max()) < 0.4 and start.b0.units == "V" and start.a4.units == "pm/V"
    with sid.testing.no_compute():
        lazy = da.chunk(x=2).sid.be.sho_guess(dim="frequency")
    xr.testing.assert_allclose(lazy.compute(), guess)
    with pytest.raises(DimensionError, match="complex"):
        sid.datasets.peak_map().sid.be.sho_guess()


def test_loops_switch_where_the_curve_does():
    rng = np.random.default_rng(3)
    columns = [[-2, -1], [2, 4], [-4, -2], [2, 4], [0, 0], [0.3, 3], [0.3, 3], [0.3, 3], [0.3, 3]]
    truth = {n: rng.uniform(*ends, (3, 4)) for n, ends in zip(load("loop").names, columns, strict=True)}
    truth["b0"][0, 0] = truth["b1"][0, 0] = truth["b2"][0, 1] = truth["b3"][1, 1] = 0.0
    truth["a1"][2, 3] = np.nan
    ds = xr.Dataset({n: (("y", "x"), v) for n, v in truth.items()})
    ds["a2"].attrs["units"], ds["a1"].attrs["units"] = "V", "pm"
    made = ds.sid.be.switching(nucleation=0.1)
    assert made.work.units == "pm*V" and made.imprint.units == "V" and made.remanent_rising.units == "pm"
    # The same from the curve itself, on a fine grid.
    x = np.linspace(-20, 20, 40001)
    sweep = np.concatenate([x[::-1], x])
    curves = load("loop")(sweep, *(v[..., np.newaxis] for v in truth.values()))
    for at in np.ndindex(3, 4):
        if at == (2, 3):
            continue
        falling, rising = curves[at][: x.size][::-1], curves[at][x.size :]
        low, size = truth["a0"][at], truth["a1"][at]

        def reach(branch, part, low=low, size=size):
            return x[np.argmax((branch - low) / size >= part)]

        expected = {
            "coercive_falling": reach(falling, 0.5),
            "coercive_rising": reach(rising, 0.5),
            "imprint": (reach(falling, 0.5) + reach(rising, 0.5)) / 2,
            "nucleation_falling": reach(falling, 0.9),
            "nucleation_rising": reach(rising, 0.1),
            "remanent_falling": falling[20000],
            "remanent_rising": rising[20000],
            "work": np.trapezoid(falling - rising, x),
        }
        for name, value in expected.items():
            assert float(made[name][at]) == pytest.approx(value, abs=2.5e-3), (name, at)
    assert np.isnan(made.work[2, 3]) and np.isnan(made.remanent_falling[2, 3])


def test_from_a_measurement_to_its_switching():
    da = sid.datasets.beps(noise=0.3)
    loops = da.sid.be.sho_fit(dim="frequency").sid.be.project_loops(dim="bias").loop.sid.be.loop_fit()
    made = loops.sid.be.switching()
    falling, rising = -3 + np.arange(4)[:, np.newaxis] + np.zeros(5), 3 + np.arange(5) / 2 + np.zeros((4, 1))
    np.testing.assert_allclose(made.coercive_falling, falling, atol=0.05)
    np.testing.assert_allclose(made.imprint, (falling + rising) / 2, atol=0.05)
    np.testing.assert_allclose(made.work, 2 * (rising - falling), rtol=0.02)
    assert (made.nucleation_falling < made.coercive_falling + 3).all()
    assert (made.nucleation_falling > made.coercive_falling).all()
    assert (made.nucleation_rising < made.coercive_rising).all()
    xr.testing.assert_identical(made.sid.provenance.replay(da), made)
    assert "work of switching" in made.sid.provenance.methods_text()
    with sid.testing.no_compute():
        lazy = loops.chunk(x=2).sid.be.switching()
    xr.testing.assert_allclose(lazy.compute(), made)
    with pytest.raises(DimensionError, match=r"it lacks a0.*loop_fit"):
        da.to_dataset().sid.be.switching()
    with pytest.raises(DimensionError, match="read from fitted loops"):
        da.sid.be.switching()
    with pytest.raises(ModelError, match="between 0 and 1"):
        loops.sid.be.switching(nucleation=3)


@pytest.mark.parametrize(
    ("model", "truth"),
    [
        ("exponential + constant", {"height": 2.0, "rate": 0.7, "offset": -1.0}),
        ("stretched_exponential + constant", {"height": 2.0, "rate": 0.7, "beta": 0.6, "offset": -1.0}),
        ("double_exponential + constant", {"height1": 1.0, "rate1": 0.2, "height2": 1.5, "rate2": 2.5, "offset": 0.5}),
        ("power_law", {"height": 2.0, "exponent": 0.3}),
        ("a + b * log(x)", {"a": 2.0, "b": -0.3}),
    ],
)
def test_relaxations_are_found(model, truth):
    from sid_xarray.core.evaluate import read_model

    time = np.linspace(0.05, 12, 300)
    chosen = read_model(model)
    values = {**truth}
    curve = chosen(time, *(values[n] for n in chosen.names))
    rng = np.random.default_rng(4)
    noisy = curve + 0.002 * rng.normal(size=(40, time.size))
    da = xr.DataArray(noisy, coords={"time": ("time", time, {"units": "s"})}, dims=("pixel", "time"))
    fit = da.sid.fit(model, dim="time")
    assert (fit.status == 0).all()
    for name, value in truth.items():
        pull = (fit[name] - value) / fit[f"{name}_stderr"]
        assert abs(float(pull.mean())) < 0.7 and 0.6 < float(pull.std()) < 1.5, name


def test_a_start_that_only_the_bias_excludes_is_moved():
    da = sid.datasets.beps(noise=0.3)
    loops = da.sid.be.sho_fit(dim="frequency").sid.be.project_loops(dim="bias").loop
    free = loops.sid.fit("loop", dim="bias")
    sharp = free.copy()
    sharp["b0"] = xr.zeros_like(free.b0)
    for guess in (
        free,
        sharp,
        {"b1": 0.0},
        loops.sid.be.loop_guess(),
        loops[..., ::6].sid.be.loop_guess(),
    ):
        fit = loops.sid.be.loop_fit(guess=guess)
        assert (fit.status == 0).all()
        np.testing.assert_allclose(fit.a1, free.a1, rtol=1e-3)
    # What the user excludes is refused.
    fit = loops.sid.be.loop_fit(guess={"b1": 0.0}, bounds={"b1": (0.5, None)})
    assert (fit.status == 7).all() and np.isnan(fit.b1).all()
    with pytest.raises(ModelError, match="guess names 'c1'"):
        loops.sid.be.loop_fit(guess={"c1": 3})
    with pytest.raises(ModelError, match="has none of a0"):
        loops.sid.be.loop_fit(guess=xr.Dataset())
