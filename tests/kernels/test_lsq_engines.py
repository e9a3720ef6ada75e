"""Both engines give the same, whatever the threads, the blocks, the layout of the data; and fit from better starts."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from sid_xarray.kernels import lsq
from sid_xarray.kernels._lsq_compiled import guess_compiled
from sid_xarray.kernels._lsq_job import Job
from sid_xarray.kernels._lsq_lm import Tolerances
from sid_xarray.kernels.lsq import STATUS, fit_batch
from sid_xarray.models import load
from sid_xarray.models._tie import tie
from sid_xarray.models.compose import parse

X = np.linspace(-1, 1, 96)
NUMBA = pytest.mark.skipif(not lsq.is_available(), reason="numba is not installed")

CASES = ["gaussian", "two", "sho", "loop", "voigt", "decay"]


def spoilt(y):
    """The same with gaps, and curves that cannot be fitted."""
    y = y.copy()
    holes = np.random.default_rng(1).random(y.shape) < 0.2
    y[1::3] = np.where(holes[1::3], np.nan, y[1::3])
    y[5], y[7], y[9] = np.nan, 3.0, np.inf
    y[11, 3:] = np.nan
    return y


@NUMBA
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "options",
    [{}, {"weights": 1 / np.linspace(0.5, 2, 96)}, {"loss": "soft_l1"}, {"loss": "huber", "loss_scale": 0.1}],
    ids=["plain", "weights", "soft_l1", "huber"],
)
def test_both_engines_agree(name, options, case):
    model, x, y, _ = case(name)
    y = spoilt(y)
    one, two = (fit_batch(y, x, model, engine=engine, **options) for engine in ("numpy", "numba"))
    np.testing.assert_array_equal(one.status, two.status)
    fine = (one.status == 0) & (two.status == 0)
    assert fine.mean() > 0.5
    # The constant curve is no resonance: any of great frequency fits it, and how great depends on rounding.
    fine[7] &= name != "sho"
    scale = np.abs(one.parameters[fine]).max(axis=0)
    np.testing.assert_allclose(one.parameters[fine], two.parameters[fine], rtol=1e-9, atol=1e-9 * scale.min())
    np.testing.assert_allclose(one.stderr[fine], two.stderr[fine], rtol=1e-8)
    np.testing.assert_allclose(one.chi2[fine], two.chi2[fine], rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(one.rsquared[fine], two.rsquared[fine], rtol=1e-9)
    np.testing.assert_array_equal(one.n_iter[fine], two.n_iter[fine])


@NUMBA
@pytest.mark.parametrize("attempt", range(8))
@pytest.mark.parametrize(
    "x",
    [
        np.concatenate([np.linspace(-8, 8, 40), np.linspace(8, -8, 40)]),
        np.roll(np.concatenate([np.linspace(-8, 8, 33), np.linspace(8, -8, 47)]), 11),
        np.sort(np.random.default_rng(3).uniform(-5, 5, 30)),
        np.sort(np.random.default_rng(3).uniform(-5, 5, 30))[::-1],
        np.array([0.0, 1.0, 0.5]),
        np.zeros(12),
    ],
    ids=["loop", "rolled", "rising", "falling", "three", "one place"],
)
def test_compiled_functions_start_loops_where_numpy_does(x, attempt):
    rng = np.random.default_rng(attempt)
    y = np.tanh(x + 2 * np.sign(np.gradient(x))) + rng.normal(0, 0.2, (40, x.size))
    y[1], y[2], y[3] = np.nan, 3.0, np.inf
    y[4:20] = np.where(rng.random((16, x.size)) < 0.4, np.nan, y[4:20])
    y[20, np.argsort(x)[: x.size // 4]] = y[21, np.argsort(x)[-(x.size // 4) :]] = np.nan
    weights = np.where(rng.random(y.shape) < 0.1, 0.0, 1.0)
    for given in (None, weights):
        job = Job.prepare(
            y, x, load("loop"), None, known={}, lower=None, upper=None, fixed=None, sigma=(given, None),
            loss=("linear", None), tolerances=Tolerances(200, 1e-10, 1e-10, 1e-10),
        )  # fmt: skip
        block, todo = job.block((slice(None),)), np.ones(40, dtype=bool)
        todo[30:] = False
        with np.errstate(all="ignore"):
            one, two = lsq._guess(block, attempt, todo), guess_compiled(block, attempt, todo)
        starts = np.isfinite(one[:30]).all(axis=1)
        np.testing.assert_array_equal(np.isfinite(two[:30]).all(axis=1), starts)
        np.testing.assert_allclose(two[:30][starts], one[:30][starts], rtol=1e-10, atol=1e-10)
        assert starts.sum() > 5


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("part", ["low", "high", "both"])
def test_loops_whose_ends_are_missing(part, engine, case):
    """A quarter of the samples, at one end of the axis or at both."""
    model, x, y, truth = case("loop", (200,), noise=1.0)
    order, many = np.argsort(x, kind="stable"), x.size // 4
    gaps = {"low": order[:many], "high": order[-many:], "both": np.r_[order[: many // 2], order[-(many // 2) :]]}
    y[:, gaps[part]] = np.nan
    found, best = fit_batch(y, x, model, engine=engine), fit_batch(y, x, model, truth, engine=engine)
    assert np.isin(found.status, [0, 1, 3]).all()
    assert np.mean(found.status == 0) >= 0.95
    assert np.mean(found.chi2 <= best.chi2 * (1 + 1e-6)) >= 0.95


@NUMBA
def test_starts_of_loops_that_are_partly_given(case):
    """The start of what is linear is the best for what is given, as without compiled functions."""
    model, x, y, _ = case("loop")
    known = {2: y[:, 0] * 0 - 1.0}
    one, two = (fit_batch(y, x, model, known=known, engine=engine) for engine in ("numpy", "numba"))
    np.testing.assert_allclose(two.chi2, one.chi2, rtol=1e-6)


@NUMBA
@pytest.mark.parametrize("name", CASES)
def test_compiled_results_do_not_depend_on_threads_and_blocks(name, case):
    model, x, y, _ = case(name, (60,))
    y = np.concatenate([spoilt(y[:30]), y[30:]])
    whole = fit_batch(y, x, model, engine="numba", threads=1)
    for options in ({"threads": 2, "block": 7}, {"block": 1}, {"threads": 3}):
        part = fit_batch(y, x, model, engine="numba", **options)
        for field in ("parameters", "stderr", "chi2", "redchi", "rsquared", "status", "n_iter", "covariance"):
            np.testing.assert_array_equal(getattr(part, field), getattr(whole, field), err_msg=field)
    alone = fit_batch(y[40], x, model, engine="numba")
    np.testing.assert_array_equal(alone.parameters, whole.parameters[40])


@pytest.mark.parametrize("name", CASES)
def test_numpy_results_do_not_depend_on_blocks(name, case):
    model, x, y, _ = case(name)
    whole, part = fit_batch(y, x, model, engine="numpy"), fit_batch(y, x, model, engine="numpy", block=7, threads=2)
    np.testing.assert_allclose(part.parameters, whole.parameters, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_any_layout_of_the_data(engine, case):
    model, x, y, _ = case("gaussian", (4, 5, 3))
    expected = fit_batch(y, x, model, engine=engine)
    back = np.moveaxis(np.ascontiguousarray(np.moveaxis(y, -1, 0)), 0, -1)
    readonly = y.copy()
    readonly.flags.writeable = False
    axis = x.copy()
    axis.flags.writeable = False
    for other in (back, readonly, np.asfortranarray(y), y.astype(">f8"), y[::1, ::-1][:, ::-1]):
        found = fit_batch(other, axis, model, engine=engine, block=4)
        np.testing.assert_array_equal(found.parameters, expected.parameters)
    assert expected.parameters.shape == (4, 5, 3, 4)
    assert all(expected.parameters[..., i].flags.c_contiguous for i in range(4))


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_numbers_that_overflow_are_no_fit(engine):
    model, x, rng = parse("constant + exponential"), np.linspace(0, 10, 40), np.random.default_rng(0)
    for _ in range(40):
        y = rng.standard_normal((20, 40)) * 10.0 ** rng.integers(90, 200)
        y = np.where(rng.random(y.shape) < 0.4, np.nan, y)
        found = fit_batch(y, x, model, rng.standard_normal(3) * 10.0 ** rng.integers(0, 60), engine=engine)
        fitted = found.status <= 1
        assert np.isfinite(found.parameters[fitted]).all()
        assert np.isfinite(found.chi2[fitted]).all()
        assert np.isnan(found.parameters[~fitted]).all()


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_angles_end_within_half_a_period(engine, case):
    model, x, y, truth = case("sho", (60,))
    far = truth + np.array([0, 0, 0, 6 * np.pi])
    near, away = (fit_batch(y, x, model, guess, engine=engine) for guess in (truth, far))
    assert np.abs(away.parameters[:, 3]).max() <= np.pi
    np.testing.assert_allclose(away.parameters, near.parameters, rtol=1e-6)
    np.testing.assert_allclose(away.stderr, near.stderr, rtol=1e-6)
    # Where bounds say where the angle lies, or it is held, it lies there.
    bounds = {"lower": [0, 0, 0, 5 * np.pi], "upper": [np.inf, np.inf, np.inf, 7 * np.pi]}
    bounded = fit_batch(y, x, model, far, engine=engine, **bounds)
    np.testing.assert_allclose(bounded.parameters[:, 3] - 6 * np.pi, near.parameters[:, 3], atol=1e-6)
    held = fit_batch(y, x, model, far, fixed=[False, False, False, True], engine=engine)
    np.testing.assert_array_equal(held.parameters[:, 3], far[:, 3])


@pytest.mark.parametrize("workers", [1, 2, 4, 16, 64])
@pytest.mark.parametrize(("text", "n"), [("gaussian", 64), ("loop", 128), ("gaussian" + " + gaussian" * 11, 2048)])
def test_blocks_share_memory(text, n, workers):
    model, x = parse(text), np.linspace(0, 1, n)
    job = Job.prepare(
        np.broadcast_to(0.0, (10**6, n)), x, model, None, known={}, lower=None, upper=None, fixed=None,
        sigma=(None, None), loss=("linear", None), tolerances=Tolerances(200, 1e-10, 1e-10, 1e-10),
    )  # fmt: skip
    size, q = job.block_size(workers), len(model.params)
    assert 256 <= size <= 4096
    assert size * n <= 2**20
    assert size <= 256 or workers * size * q * q <= 2**20


@NUMBA
def test_memory_stays_that_of_a_block(case):
    model, x, y, _ = case("two", (1,))
    rng = np.random.default_rng(0)
    many = (y + 0.03 * rng.normal(size=(20_000, x.size))).astype("f4")
    for engine in ("numpy", "numba"):
        fit_batch(many[:2000], x, model, engine=engine)
        tracemalloc.start()
        fit_batch(many[: 20_000 if engine == "numba" else 3000], x, model, engine=engine, covariance=False, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        results = (20_000 if engine == "numba" else 3000) * (2 * 8 + 4) * 8
        assert peak - results < 64e6


# ---------------------------------------- starts


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_what_is_given_is_kept_and_the_rest_is_found(engine, case):
    model, x, y, truth = case("two")
    auto = fit_batch(y, x, model, engine=engine)
    some = fit_batch(y, x, model, engine=engine, known={1: truth[:, 1], 4: truth[:, 4]})
    np.testing.assert_allclose(some.chi2, auto.chi2, rtol=1e-9)
    held = fit_batch(y, x, model, engine=engine, known={2: 0.1}, fixed=np.arange(8) == 2)
    assert (held.parameters[:, 2] == 0.1).all()
    with pytest.raises(ValueError, match="a starting value does not broadcast"):
        fit_batch(y, x, model, known={1: np.zeros(3)})


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_peaks_of_two_kinds_are_not_taken_for_each_other(engine):
    rng = np.random.default_rng(0)
    x, n = np.linspace(0, 10, 200), 400
    model = parse("gaussian + lorentzian")
    first, second = rng.uniform(2, 4, n), rng.uniform(5.5, 8, n)
    swap = rng.random(n) < 0.5
    truth = np.stack(
        [
            rng.uniform(1, 3, n), np.where(swap, second, first), rng.uniform(0.2, 0.6, n),
            rng.uniform(1, 3, n), np.where(swap, first, second), rng.uniform(0.2, 0.6, n),
        ],
        axis=-1,
    )  # fmt: skip
    y = model(x, *truth.T[:, :, np.newaxis]) + 0.05 * rng.normal(size=(n, x.size))
    found, best = fit_batch(y, x, model, engine=engine), fit_batch(y, x, model, truth, engine=engine)
    assert np.mean(found.chi2 <= best.chi2 * (1 + 1e-6)) >= 0.99


@pytest.mark.parametrize("text", ["exponential * linear", "linear * exponential", "power_law * exponential"])
def test_products_without_a_peak_find_the_minimum(text):
    rng, x = np.random.default_rng(0), np.linspace(1, 10, 100)
    model = parse(text)
    values = {"height": (1, 3), "rate": (0.1, 1), "slope": (0.3, 2), "intercept": (0.5, 2), "exponent": (0.3, 2)}
    kept = next(name for name in model.names if name.endswith("height"))
    truth = np.stack([rng.uniform(*values[name.rsplit("_")[-1]], 200) for name in model.names], axis=-1)
    y = model(x, *truth.T[:, :, np.newaxis])
    y = y * (1 + 0.01 * rng.normal(size=y.shape))
    at = model.names.index(kept)
    fixed = np.arange(len(model.names)) == at
    found = fit_batch(y, x, model, known={at: truth[:, at]}, fixed=fixed)
    best = fit_batch(y, x, model, truth, fixed=fixed)
    assert np.mean((found.chi2 <= best.chi2 * (1 + 1e-6)) | (found.status != 0)) >= 0.98
    assert np.mean(found.status == 0) >= 0.95


# ---------------------------------------- losses and ties


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("loss", ["soft_l1", "huber"])
def test_losses_are_those_of_scipy(loss, engine, case):
    from scipy.optimize import least_squares

    model, x, y, _ = case("gaussian", (6,))
    rng = np.random.default_rng(2)
    y[:, rng.choice(x.size, 5, replace=False)] += 1.5
    ours = fit_batch(y, x, model, loss=loss, loss_scale=0.07, engine=engine)
    for i, curve in enumerate(y):
        start = fit_batch(curve, x, model).parameters
        tight = {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-12}
        theirs = least_squares(lambda p, curve=curve: model(x, *p) - curve, start, loss=loss, f_scale=0.07, **tight)
        assert ours.chi2[i] <= 2 * theirs.cost * (1 + 1e-7)
        np.testing.assert_allclose(ours.parameters[i], theirs.x, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["soft_l1", "huber"])
def test_outliers_count_less(loss, case):
    model, x, y, truth = case("gaussian", (30,))
    rng = np.random.default_rng(3)
    spikes = rng.random(y.shape) < 0.05
    y = np.where(spikes, y + 3, y)
    plain, robust = fit_batch(y, x, model), fit_batch(y, x, model, loss=loss)
    error = [np.abs(fit.parameters - truth).mean(axis=0) for fit in (plain, robust)]
    assert (error[1] < 0.5 * error[0]).all()


def test_the_scale_of_data_does_not_matter_to_a_loss(case):
    model, x, y, _ = case("gaussian", (5,))
    one, two = fit_batch(y, x, model, loss="huber"), fit_batch(1e6 * y, x, model, loss="huber")
    np.testing.assert_allclose(two.parameters[:, [1, 2]], one.parameters[:, [1, 2]], rtol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
def test_tied_parameters_follow(engine, case):
    model, x, y, _ = case("two", (20,))
    tied, ways = tie(model, {"gaussian2_sigma": "gaussian1_sigma", "gaussian2_height": "2 * gaussian1_height"})
    fit = fit_batch(y, x, tied, derive=ways, engine=engine)
    names = list(tied.names)
    assert len(names) == 6
    sigma, height = (names.index(f"gaussian1_{n}") for n in ("sigma", "height"))
    np.testing.assert_allclose(fit.derived[:, 0], fit.parameters[:, sigma])
    np.testing.assert_allclose(fit.derived_stderr[:, 0], fit.stderr[:, sigma])
    np.testing.assert_allclose(fit.derived[:, 1], 2 * fit.parameters[:, height])
    np.testing.assert_allclose(fit.derived_stderr[:, 1], 2 * fit.stderr[:, height])

    def by_hand(x, h, c1, s, c2, slope, intercept):
        peaks = np.exp(-((x - c1) ** 2) / 2 / s**2) + 2 * np.exp(-((x - c2) ** 2) / 2 / s**2)
        return h * peaks + slope * x + intercept

    again = fit_batch(y, x, by_hand, fit.parameters)
    np.testing.assert_allclose(again.chi2, fit.chi2, rtol=1e-8)
    np.testing.assert_allclose(again.stderr, fit.stderr, rtol=1e-3)


def test_errors_of_what_is_tied_know_of_correlations():
    rng = np.random.default_rng(0)
    x, model = np.linspace(1, 3, 30), load("linear")
    y = 2 * x + 1 + 0.1 * rng.normal(size=(4000, 30))
    # The value at x = 2, where slope and intercept vary together least.
    _, ways = tie(parse("linear + constant"), {"offset": "slope * 2 + intercept"})
    fit = fit_batch(y, x, model, derive=ways)
    np.testing.assert_allclose(fit.derived_stderr.mean(), fit.derived.std(), rtol=0.05)


# ---------------------------------------- what cannot be fitted


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("name", ["gaussian", "two", "sho", "loop"])
def test_failures_are_named_and_harm_nobody(name, engine, case):
    model, x, y, _ = case(name, (12,))
    bad = y.copy()
    bad[0], bad[1], bad[2] = np.nan, np.inf, 0.0
    bad[3, 3:] = np.nan
    weights = np.ones(y.shape)
    weights[4] = 0
    weights[5, ::2] = np.nan
    fit = fit_batch(bad, x, model, engine=engine, weights=weights, absolute_sigma=False)
    words = [STATUS[code] for code in fit.status]
    assert words[0] == words[1] == words[4] == "no_finite_data"
    assert words[3] == "too_few_points" if name != "sho" else words[3] in ("converged", "not_converged", "singular")
    assert words[2] != "converged" or np.nanmax(np.abs(fit.parameters[2])) < 1e6
    assert np.isnan(fit.parameters[[0, 1, 4]]).all()
    good = fit_batch(y, x, model, engine=engine)
    np.testing.assert_allclose(fit.parameters[6:], good.parameters[6:], rtol=1e-9)


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("loss", ["linear", "huber"])
@pytest.mark.parametrize("name", CASES)
def test_bounds_that_exclude_the_start_given_are_a_failure_of_that_curve(name, loss, engine, case):
    model, x, y, truth = case(name, (12,), noise=0.1)
    start, low, high = truth[:, 1].copy(), truth[:, 1].min() - 1, truth[:, 1].max() + 1
    start[3], start[5] = high + 1, low - 1e-9
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[1], upper[1] = low, high
    given = {"lower": lower, "upper": upper, "engine": engine, "loss": loss}
    fit = fit_batch(y, x, model, known={1: start}, **given)
    assert [STATUS[code] for code in fit.status[[3, 5]]] == ["guess_out_of_bounds"] * 2
    assert np.isnan(fit.parameters[[3, 5]]).all() and np.isnan(fit.redchi[[3, 5]]).all()
    fine = np.delete(np.arange(12), [3, 5])
    alone = fit_batch(y[fine], x, model, known={1: start[fine]}, **given)
    np.testing.assert_array_equal(fit.status[fine], alone.status)
    np.testing.assert_allclose(fit.parameters[fine], alone.parameters, rtol=1e-9, atol=1e-12)
    # One that the model estimates is moved to the bound.
    lower[1] = truth[:, 1].max() + 0.5
    moved = fit_batch(y, x, model, **given).parameters[:, 1]
    assert ((moved >= lower[1]) | np.isnan(moved)).all() and np.isfinite(moved).mean() > 0.5


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
@pytest.mark.parametrize("name", CASES)
def test_a_constant_curve_has_no_wild_parameters(name, loss, engine, case):
    model, x, y, _ = case(name, (6,))
    y[2], y[4] = 3.0, 0.0
    fit = fit_batch(y, x, model, engine=engine, loss=loss)
    for row in (2, 4):
        if fit.status[row] == 0:  # then it says so: the curve is the constant
            curve = model(x, *fit.parameters[row])
            assert np.abs(curve - y[row]).max() < 0.1
        else:
            assert STATUS[fit.status[row]] in ("not_converged", "singular")
            assert np.isnan(fit.stderr[row]).all()


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=NUMBA)])
@pytest.mark.parametrize("name", ["gaussian", "two"])
@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12])
def test_a_great_offset_gives_the_right_fit_or_an_honest_status(name, offset, engine, case):
    model, x, y, truth = case(name, (20,))
    fit = fit_batch(y + offset, x, model, engine=engine)
    good = fit.status == 0
    # Of numbers of this size, these digits are left.
    digits = offset * 2e-16
    near = np.abs(fit.parameters[good][:, 1] - truth[good][:, 1])
    assert (near < 0.1 + 1e3 * digits).all()
    if offset < 1e10:
        assert good.all()


# ---------------------------------------- compiled functions on disk


@NUMBA
def test_a_second_process_finds_what_was_compiled(tmp_path):
    code = (
        "import numpy as np, time\n"
        "from sid_xarray.kernels.lsq import fit_batch\n"
        "from sid_xarray.kernels.compiled import driver, loader\n"
        "from sid_xarray.models.compose import parse\n"
        "x = np.linspace(-1, 1, 50)\n"
        "y = np.random.default_rng(0).normal(size=(4, 50))\n"
        "fit_batch(y, x, parse('a * exp(-x * b) + 1.25'), [1, 1], engine='numba')\n"
        "model = loader.load_model(parse('a * exp(-x * b) + 1.25').expression.source()[0])\n"
        "print(sum(model.stats.cache_misses.values()), sum(model.stats.cache_hits.values()))"
    )
    import os

    env = {**os.environ, "SID_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert runs[0] == ["1", "0"]
    assert runs[1] == ["0", "1"]
    written = list((tmp_path / "kernels").glob("*.py"))
    assert {path.name.split("_")[0] for path in written} == {"model", "gram", "propose"}


@NUMBA
def test_a_file_that_says_something_else_is_not_run(tmp_path, monkeypatch):
    from sid_xarray.kernels.compiled import loader

    monkeypatch.setenv("SID_CACHE_DIR", str(tmp_path))
    loader._load.cache_clear()
    source = parse("a * x**2 + 0.125 * x").expression.source()[0]
    loader.load_model(source)
    (path,) = (tmp_path / "kernels").glob("model_*.py")
    text = path.read_text()
    path.write_text("raise SystemExit('run')\n")
    loader._load.cache_clear()
    loader.load_model(source)
    assert path.read_text() == text
    loader._load.cache_clear()


@NUMBA
def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    from sid_xarray.kernels.compiled import loader

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SID_CACHE_DIR", str(tmp_path / "file"))
    loader._load.cache_clear()
    y = np.random.default_rng(0).normal(size=(3, 20))
    assert fit_batch(y, np.arange(20.0), parse("exp(-a * x) * 2.5"), [0.1], engine="numba").status.shape == (3,)
    loader._load.cache_clear()


def test_engines_by_name(monkeypatch):
    y = np.zeros((2, X.size))
    with pytest.raises(ValueError, match="engine is one of auto, numpy, numba"):
        fit_batch(y, X, load("gaussian"), engine="jax")
    monkeypatch.setattr(lsq, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"needs numba. Type: pip install 'sid-xarray\[fast\]'"):
        fit_batch(y, X, load("gaussian"), engine="numba")
    assert not lsq.takes_compiled(load("gaussian"), 10**6)
