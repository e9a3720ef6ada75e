"""Fits at positions: each is what a fit of the window alone gives, in absolute coordinates."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import AlignmentError, DimensionError, ModelError, UnitsError
from sid_xarray.publish.methods import methods_text
from sid_xarray.testing import assert_lazy, assert_roundtrip, assert_same, no_compute

AT = [8.3, 15.0, 24.1, 33.7]
AXES = {
    "even": 2.0 + 0.1 * np.arange(400),
    "descending": (2.0 + 0.1 * np.arange(400))[::-1],
    "uneven": 2.0 + 40 * np.linspace(0, 1, 400) ** 1.3,
    "float32": (2.0 + 0.1 * np.arange(400)).astype(np.float32),
    "far": 1e4 + 2.0 + 0.1 * np.arange(400),
    "gap": np.where(np.arange(400) == 63, np.nan, 2.0 + 0.1 * np.arange(400)),
}


def spectra(axis="even", *, n=3, noise=0.05, dtype=float):
    """Curves with four lines on a slope, a little elsewhere at every point; the third point lacks the third one."""
    x = AXES[axis]
    start = np.nanmin(x) - 2.0
    y = np.zeros((n, x.size))
    for i in range(n):
        for k, c in enumerate(AT):
            if (i, k) != (2, 2):
                y[i] += (4 + k) * np.exp(-(((x - start - c - 0.05 * i) / (0.5 + 0.1 * k)) ** 2) / 2)
        y[i] += 3 + 0.02 * (x - start)
    y += np.random.default_rng(1).normal(scale=noise, size=y.shape)
    coords = {
        "t": ("t", np.arange(float(n)), {"units": "s"}),
        "energy": ("energy", x, {"units": "eV", "sid_dimension_type": "spectral"}),
    }
    return xr.DataArray(y.astype(dtype), dims=("t", "energy"), coords=coords, attrs={"units": "nA"}, name="signal")


def shifted(axis):
    return np.array(AT) + np.nanmin(AXES[axis]) - 2.0


def alone(da, centers, width, model, guess, **kwargs):
    """Fit every window by itself, by what everybody knows."""
    x = da.energy.values.astype(float)
    out = []
    for i in range(da.sizes["t"]):
        for j, c in enumerate(centers):
            inside = np.abs(x - c) <= width / 2 * (1 + 1e-9)
            part = da.isel(t=i, energy=np.flatnonzero(inside))
            start = guess(i, j) if guess else "auto"
            more = {k: v(i, j, inside) if callable(v) else v for k, v in kwargs.items()}
            out.append(part.sid.fit(model, dim="energy", guess=start, **more))
    return xr.concat(out, dim="all", combine_attrs="drop", join="exact", coords="minimal", compat="override")


def assert_alike(found, wanted, names, rtol=2e-5):
    for name in names:
        a, b = found[name].values.ravel(), wanted[name].values.ravel()
        scale = np.nanmax(np.abs(b), initial=0.0)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("model", ["gaussian + linear", "lorentzian + constant", "pseudo_voigt + linear"])
def test_every_window_is_a_fit_of_its_own(axis, model):
    da = spectra(axis)
    centers = shifted(axis)
    fit = da.sid.fit(model, at=list(centers), window=3.3, dim="energy")
    assert fit.center.dims == ("t", "peak")
    wanted = alone(da, centers, 3.3, model, lambda i, j: {"center": float(centers[j])})
    there = fit.status.values.ravel() == 0
    assert there.sum() >= 10
    keep = xr.DataArray(there & (wanted.status.values == 0), dims="all")
    names = [n for n in wanted.data_vars if n not in ("nfev", "status")]
    close = fit.stack(all=("t", "peak")).reset_index("all", drop=True)
    # The window without a line has no answer that is worth comparing; what is at another minimum is at a better one.
    same = 2e-4 if axis == "float32" else 1e-6  # its numbers are off by some 1e-5 of a step
    keep &= xr.DataArray(np.arange(12) != 10, dims="all")
    assert (close.redchi <= wanted.redchi * (1 + same)).where(keep, True).all()
    keep &= abs(close.redchi / wanted.redchi - 1) < same
    assert int(keep.sum()) >= 10
    rtol = 1e-3 if axis in ("far", "float32") else 1e-4
    assert_alike(close.isel(all=keep.values), wanted.isel(all=keep.values), names, rtol=rtol)


@pytest.mark.parametrize("axis", ["even", "descending", "uneven", "far"])
@pytest.mark.parametrize("model", ["linear", "polynomial2", "constant"])
def test_linear_models_are_in_absolute_coordinates(axis, model):
    da = spectra(axis)
    centers = [*shifted(axis), shifted(axis)[0] - 6.0]  # the last window is cut by the end of the axis
    fit = da.sid.fit(model, at=centers, window=2.0, dim="energy")
    wanted = alone(da, centers, 2.0, model, None)
    x = xr.DataArray(centers, dims="peak")
    names = [n for n in wanted.data_vars if "stderr" not in n and n in fit and n not in ("nfev", "status", "rsquared")]
    assert (fit.status == 0).all()
    assert_alike(fit, wanted, names, rtol=1e-6 if axis != "far" else 1e-3)
    if model == "linear":
        values = fit.slope * x + fit.intercept
        wanted_values = wanted.slope.values * np.tile(centers, 3) + wanted.intercept.values
        np.testing.assert_allclose(values.values.ravel(), wanted_values, rtol=1e-9)


@pytest.mark.parametrize("model", ["power_law", "exponential + constant"])
def test_models_that_do_not_travel(model):
    x = np.linspace(1, 40, 400)
    y = 50 * x**-1.5 if model == "power_law" else 50 * np.exp(-0.1 * x) + 2
    da = spectra().copy(data=np.tile(y, (3, 1))).assign_coords(energy=("energy", x, {"units": "eV"}))
    fit = da.sid.fit(model, at=[5.0, 10.0, 20.0], window=8.0, dim="energy")
    assert (fit.status == 0).all()
    if model == "power_law":
        np.testing.assert_allclose(abs(fit.exponent), 1.5, rtol=1e-6)
    else:
        np.testing.assert_allclose(fit.rate, fit.rate.isel(t=0, peak=0), rtol=1e-4)
        np.testing.assert_allclose(fit.offset, 2, rtol=1e-3)


def test_formulas_and_functions():
    da = spectra()
    peaks = da.sid.find_peaks(prominence=2, smooth=0.2)
    wanted = da.sid.fit("gaussian + constant", at=peaks, window=3)
    text = "h * exp(-((x - c) / s)**2 / 2) + b"
    formula = da.sid.fit(text, at=peaks, window=3, guess={"c": peaks.energy, "s": 0.5})

    def function(x, h=4.0, c=0.0, s=0.5, b=3.0):
        return h * np.exp(-(((x - c) / s) ** 2) / 2) + b

    called = da.sid.fit(function, at=peaks, window=3, guess={"c": peaks.energy})
    for mine, theirs in {"c": "center", "s": "sigma", "h": "height", "b": "offset"}.items():
        np.testing.assert_allclose(abs(formula[mine]), wanted[theirs], rtol=1e-6)
        np.testing.assert_allclose(abs(called[mine]), wanted[theirs], rtol=1e-5)
    assert formula.c.attrs["units"] == "eV"


@pytest.mark.parametrize("axis", ["even", "uneven", "descending"])
def test_weights_variance_losses_bounds_ties_and_what_is_held(axis):
    da = spectra(axis, noise=0.2)
    centers = shifted(axis)
    start = lambda i, j: {"center": float(centers[j])}  # noqa: E731
    rng = np.random.default_rng(2)
    sigma = xr.DataArray(rng.uniform(0.1, 0.4, da.shape), dims=da.dims, coords=da.coords)
    maps = xr.DataArray(rng.uniform(0.45, 0.9, (3, 4)), dims=("t", "peak"), coords={"t": da.t})
    line = rng.uniform(1, 2, da.sizes["energy"])
    cases = [
        ({"variance": sigma**2}, {"variance": lambda i, j, m: (sigma**2).isel(t=i).values[m]}),
        ({"weights": line}, {"weights": lambda i, j, m: line[m]}),
        ({"loss": "huber", "loss_scale": 0.3}, {"loss": "huber", "loss_scale": 0.3}),
        ({"bounds": {"sigma": (0.5, 0.6)}}, {"bounds": {"sigma": (0.5, 0.6)}}),
        ({"fixed": {"sigma": 0.7}}, {"fixed": {"sigma": 0.7}}),
        ({"fixed": {"sigma": maps}}, {"fixed": lambda i, j, m: {"sigma": float(maps[i, j])}}),
        ({"tie": {"offset": "height / 2"}}, {"tie": {"offset": "height / 2"}}),
        ({"absolute_sigma": True}, {"absolute_sigma": True}),
    ]
    for given, single in cases:
        fit = da.sid.fit("gaussian + constant", at=centers, window=3.0, **given)
        wanted = alone(da, centers, 3.0, "gaussian + constant", start, **single)
        keep = ((fit.status.values.ravel() == 0) & (wanted.status.values == 0) & (np.arange(12) != 10)).nonzero()[0]
        assert len(keep) >= 9, given
        close = fit.stack(all=("t", "peak")).reset_index("all", drop=True)
        names = [n for n in wanted.data_vars if n not in ("nfev", "status")]
        assert_alike(close.isel(all=keep), wanted.isel(all=keep), names, rtol=1e-3)


def test_what_is_held_at_its_guess():
    da = spectra()
    fit = da.sid.fit("gaussian + linear", at=AT, window=4.0, fixed=["slope", "intercept"])
    wanted = alone(da, AT, 4.0, "gaussian + linear", lambda i, j: {"center": AT[j]}, fixed=["slope", "intercept"])
    keep = np.flatnonzero((fit.status.values.ravel() == 0) & (np.arange(12) != 10))
    assert len(keep) >= 9
    close = fit.stack(all=("t", "peak")).reset_index("all", drop=True)
    assert_alike(close.isel(all=keep), wanted.isel(all=keep), ["slope", "intercept", "height", "center"], rtol=1e-3)


def test_where_there_is_no_peak():
    da = spectra()
    peaks = da.sid.find_peaks(prominence=2, smooth=0.2)
    fit = da.sid.fit("gaussian + constant", at=peaks)
    assert fit.sizes == {"t": 3, "peak": 4}
    np.testing.assert_array_equal(fit.status == 8, peaks.energy.isnull())
    np.testing.assert_array_equal(fit.center.isnull(), peaks.energy.isnull())
    assert fit.status.attrs["flag_meanings"].split()[-1] == "no_peak"
    assert "no_peak" not in da.sid.fit("constant").status.attrs["flag_meanings"]
    np.testing.assert_allclose(fit.center, peaks.energy, atol=0.1)
    assert fit.center.attrs["units"] == "eV"
    assert float(fit.center[2, 2]) == pytest.approx(AT[3] + 0.1, abs=0.05)


def test_windows_with_little_or_nothing():
    da = spectra()
    at = [-50.0, 2.0, 41.9, np.nan, 15.0]
    fit = da.sid.fit("gaussian + constant", at=at, window=0.25)
    meanings = dict(zip(fit.status.attrs["flag_values"], fit.status.attrs["flag_meanings"].split(), strict=True))
    assert [meanings[int(s)] for s in fit.status[0, :4]] == [
        "no_finite_data",
        "too_few_points",
        "too_few_points",
        "no_peak",
    ]
    holes = da.where(abs(da.energy - 15) > 3)
    fit = holes.sid.fit("gaussian + constant", at=[8.3, 15.0], window=3)
    assert [meanings[int(s)] for s in fit.status[0]] == ["converged", "no_finite_data"]
    same = da.sid.fit("gaussian + constant", at=[8.3], window=3)
    np.testing.assert_allclose(fit.center[:, 0], same.center[:, 0], rtol=1e-9)
    wide = da.sid.fit("linear", at=[8.3], window=1e6)
    np.testing.assert_allclose(wide.slope[:, 0], da.sid.fit("linear").slope, rtol=1e-9)


def test_centres_stay_in_their_windows_unless_you_say_so():
    da = spectra()
    fit = da.sid.fit("gaussian + constant", at=[11.5], window=3.0)
    assert (abs(fit.center - 11.5) <= 1.5).all()
    free = da.sid.fit("gaussian + constant", at=[9.0], window=3.0, bounds={"center": (0, 50)})
    np.testing.assert_allclose(free.center[:, 0], AT[0], atol=0.2)
    other = da.sid.fit("gaussian + constant", at=[9.0], window=3.0, guess={"center": 8.3})
    np.testing.assert_allclose(other.center[:, 0], AT[0], atol=0.2)


def test_two_peaks_in_a_window():
    x = 0.05 * np.arange(600)
    y = np.zeros((2, 600))
    for c in (8.0, 20.0):
        y += 3 * np.exp(-(((x - c + 0.8) / 0.4) ** 2) / 2) + 2 * np.exp(-(((x - c - 0.8) / 0.4) ** 2) / 2)
    coords = {"energy": ("energy", x, {"units": "eV"})}
    da = xr.DataArray(y + 1, dims=("t", "energy"), coords=coords, attrs={"units": "nA"})
    fit = da.sid.fit("gaussian + gaussian + constant", at=[8.0, 20.0], window=6.0)
    np.testing.assert_allclose(fit.gaussian1_center, [[7.2, 19.2]] * 2, atol=1e-6)
    np.testing.assert_allclose(fit.gaussian2_center, [[8.8, 20.8]] * 2, atol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("axis", ["even", "uneven"])
def test_lazy_is_eager(engine, axis):
    pytest.importorskip("numba")
    da = spectra(axis, n=6)
    with sid.set_options(fit_engine=engine):
        peaks = da.sid.find_peaks(dim="energy", prominence=2, smooth=0.2, max_peaks=4)
        eager = da.sid.fit("gaussian + constant", at=peaks, dim="energy")
        chunked = da.chunk(t=2, energy=100)
        with no_compute():
            lazy = chunked.sid.fit(
                "gaussian + constant", at=chunked.sid.find_peaks(dim="energy", prominence=2, smooth=0.2, max_peaks=4)
            )
            mixed = chunked.sid.fit("gaussian + constant", at=peaks, dim="energy")
        assert_lazy(lazy)
        for name in eager.data_vars:
            for out in (lazy, mixed):
                np.testing.assert_allclose(out[name].values, eager[name].values, rtol=1e-7, atol=1e-10, err_msg=name)


def test_engines_agree():
    pytest.importorskip("numba")
    da = spectra(n=5)
    found = []
    for engine in ("numpy", "numba"):
        with sid.set_options(fit_engine=engine):
            found.append(da.sid.fit("gaussian + linear", at=AT, window=3.0, loss="soft_l1", loss_scale=0.2))
    for name in found[0].data_vars:
        if name != "nfev":
            np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("dtype", ["f4", "i2", "u2", "c16"])
def test_dtypes(dtype):
    da = (100 * spectra()).astype(dtype)
    fit = da.sid.fit("gaussian + constant", at=AT, window=3.0)
    np.testing.assert_allclose(fit.center[0], AT, atol=0.05)
    assert fit.center.dtype == np.float64


# ---------------------------------------------------------------- images


def lattice(*, frames=None, descending=False, noise=0.02, step=(0.05, 0.04)):
    """An image of 5 × 6 columns, turned ellipses, with their centres in nm."""
    y, x = step[0] * np.arange(110), step[1] * np.arange(140)
    rng = np.random.default_rng(5)
    centers = np.array([(0.5 + i + rng.uniform(-0.1, 0.1), 0.4 + 0.9 * j) for i in range(5) for j in range(6)])

    def one(shift):
        out = np.zeros((110, 140))
        for a, b in centers + shift:
            u, v = x - b, y[:, None] - a
            along, across = 0.8 * u + 0.6 * v, 0.8 * v - 0.6 * u
            out += 2 * np.exp(-((along / 0.16) ** 2) / 2 - (across / 0.12) ** 2 / 2)
        return out + 0.5 + rng.normal(scale=noise, size=out.shape)

    values = one(0.0) if frames is None else np.stack([one(0.01 * i) for i in range(frames)])
    dims = ("y", "x") if frames is None else ("frame", "y", "x")
    coords = {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})}
    da = xr.DataArray(values, dims=dims, coords=coords, name="haadf", attrs={"units": "count"})
    return (da.isel(y=slice(None, None, -1)) if descending else da), centers


def matched(fit, centers):
    found = np.stack([fit.center_y.values, fit.center_x.values], axis=-1)
    return abs(found[:, None] - centers).max(axis=-1).min(axis=0)


@pytest.mark.parametrize("descending", [False, True])
def test_columns_of_an_image(descending):
    da, centers = lattice(descending=descending)
    peaks = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, smooth=0.05)
    assert int(peaks.n_peaks) == 30
    fit = da.sid.fit("gaussian2d + constant", at=peaks, window=0.6)
    assert (fit.status == 0).all()
    assert matched(fit, centers).max() < 4e-3
    assert matched(fit, centers).max() < 0.2 * np.sqrt(0.05 * 0.04)
    widths = np.sort(np.stack([fit.sigma_along.values, fit.sigma_across.values]), axis=0)
    np.testing.assert_allclose(widths[1], 0.16, rtol=0.05)
    np.testing.assert_allclose(widths[0], 0.12, rtol=0.05)
    pulls = (np.sort(fit.center_y.values) - np.sort(centers[:, 0])) / fit.center_y_stderr.values
    assert 0.5 < pulls.std() < 1.7
    assert fit.center_x.attrs["units"] == "nm"
    swapped = da.sid.fit("gaussian2d + constant", dim=("x", "y"), at=peaks, window={"x": 0.6, "y": "6 angstrom"})
    np.testing.assert_allclose(swapped.center_y, fit.center_y, rtol=1e-6)


def test_a_column_is_a_fit_of_its_window():
    da, _ = lattice()
    peaks = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, smooth=0.05)
    fit = da.sid.fit("gaussian2d + constant", at=peaks, window=0.6)
    for i in (0, 7, 29):
        y, x = float(peaks.y[i]), float(peaks.x[i])
        part = da.sel(y=slice(y - 0.3, y + 0.3), x=slice(x - 0.3, x + 0.3))
        one = part.sid.fit("gaussian2d + constant", dim=("y", "x"))
        for name in ("height", "center_y", "center_x", "offset", "redchi", "center_x_stderr"):
            np.testing.assert_allclose(fit[name][i], one[name], rtol=1e-5, err_msg=name)


def test_movies_lazy_and_with_the_positions_of_the_first_frame():
    da, centers = lattice(frames=3)
    peaks = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, smooth=0.05, max_peaks=30)
    fit = da.sid.fit("gaussian2d + constant", at=peaks, window=0.6)
    assert fit.center_x.dims == ("frame", "peak")
    for i in range(3):
        assert matched(fit.isel(frame=i), centers + 0.01 * i).max() < 5e-3
    lazy = da.chunk(frame=1, x=50).sid.fit("gaussian2d + constant", at=peaks, window=0.6)
    assert_lazy(lazy)
    for name in fit.data_vars:
        np.testing.assert_allclose(lazy[name].values, fit[name].values, rtol=1e-6, atol=1e-9, err_msg=name)
    first = peaks.isel(frame=0, drop=True)
    followed = da.sid.fit("gaussian2d + constant", at=first[["y", "x"]], window=0.6)
    moves = followed.center_y.isel(frame=2) - followed.center_y.isel(frame=0)
    np.testing.assert_allclose(moves, 0.02, atol=8e-3)


def test_tables_of_others():
    da, _ = lattice()
    peaks = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, smooth=0.05)
    wanted = da.sid.fit("gaussian2d + constant", at=peaks, window=0.6)
    table = peaks.to_dataframe().dropna()
    lists = {"y": list(peaks.y.values), "x": peaks.x.values}
    for at in (table, lists):
        found = da.sid.fit("gaussian2d + constant", at=at, window=0.6)
        np.testing.assert_allclose(found.center_x, wanted.center_x, rtol=1e-9)


def test_positions_in_other_units():
    da = spectra()
    peaks = da.sid.find_peaks(prominence=2, smooth=0.2)
    wanted = da.sid.fit("gaussian + constant", at=peaks)
    other = peaks.copy()
    for name in ("energy", "fwhm"):
        other[name] = (peaks[name] * 1000).assign_attrs(units="meV")
    found = da.sid.fit("gaussian + constant", at=other)
    np.testing.assert_allclose(found.center, wanted.center, rtol=1e-6)
    assert found.center.attrs["units"] == "eV"
    wide = xr.DataArray(3000.0, attrs={"units": "meV"})
    np.testing.assert_allclose(
        da.sid.fit("gaussian + constant", at=peaks, window=wide).sigma,
        da.sid.fit("gaussian + constant", at=peaks, window="3 eV").sigma,
        rtol=1e-9,
    )


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"window": 3}, ModelError, "Pass these, too"),
        ({"at": AT}, DimensionError, r"Pass window=\.\.\., its full width in eV"),
        ({"at": AT, "window": -1}, DimensionError, "above zero"),
        ({"at": AT, "window": "3 nm"}, UnitsError, "nm"),
        ({"at": AT, "window": {"t": 1}}, DimensionError, "window names 't'"),
        ({"at": AT, "window": 3, "refine": "neighbours"}, ModelError, "leave it out"),
        (
            {"at": {"t": [1]}, "window": 3, "dim": "energy"},
            DimensionError,
            "no positions along 'energy' in at=: it has 't'",
        ),
        ({"at": [[1, 2], [3, 4]], "window": 3}, DimensionError, "numbers in a list"),
        ({"at": ["a"], "window": 3}, DimensionError, "numbers in a list"),
        ({"at": xr.DataArray(np.zeros(3), dims="t"), "window": 3}, DimensionError, r"expand_dims\('peak'\)"),
        ({"at": xr.DataArray(np.zeros((2, 2)), dims=("a", "b")), "window": 3}, DimensionError, "lie over 'peak'"),
        ({"at": xr.DataArray([1.0], dims="peak", attrs={"units": "nm"}), "window": 3}, UnitsError, "nm"),
        ({"at": AT, "window": 3, "guess": {"sigma": np.zeros((3, 2))}}, ModelError, "shape"),
        ({"at": AT, "window": 3, "guess": {"sigma": xr.DataArray([1.0], dims="b")}}, ModelError, "lie over"),
    ],
)
def test_what_is_refused(kwargs, error, match):
    with pytest.raises(error, match=match):
        spectra().sid.fit("gaussian + constant", **kwargs)


def test_more_that_is_refused():
    da, _ = lattice()
    with pytest.raises(DimensionError, match=r"are a Dataset or a mapping: at=\{'y': ..., 'x': ...\}"):
        da.sid.fit("gaussian2d + constant", dim=("y", "x"), at=[1.0], window=1)
    with pytest.raises(DimensionError, match="of one number"):
        da.sid.fit("gaussian2d", at={"y": [1.0], "x": [1.0, 2.0]}, window=1)
    with pytest.raises(DimensionError, match=r"Pass window=\.\.\., its full width in nm, or \{'y': ..., 'x': ...\}"):
        da.sid.fit("gaussian2d", at={"y": [1.0], "x": [1.0]})
    with pytest.raises(DimensionError, match="turn back"):
        spectra().assign_coords(energy=abs(spectra().energy - 20)).sid.fit("linear", at=[3.0], window=1, dim="energy")
    with pytest.raises(DimensionError, match="'peak' is a dimension or coordinate"):
        spectra().rename(t="peak").sid.fit("constant", at=[3.0], window=1)
    peaks = spectra().sid.find_peaks(prominence=2, smooth=0.2)
    with pytest.raises(AlignmentError, match="same grid"):
        spectra().sid.fit("gaussian", at=peaks, guess={"sigma": peaks.fwhm.isel(peak=[0, 1])})


# ---------------------------------------------------------------- what comes after


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"window": 3.0},
        {"window": "map"},
        {"guess": {"sigma": "map"}, "fixed": {"offset": 3.0}},
        {"variance": "cube", "loss": "huber", "loss_scale": 2.0},
    ],
    ids=str,
)
def test_a_history_does_it_again(more):
    da = spectra()
    peaks = da.sid.find_peaks(prominence=2, smooth=0.2, max_peaks=4)
    given = dict(more)
    if given.get("window") == "map":
        given["window"] = (3 * peaks.fwhm).clip(2, 4)
    if "guess" in given:
        given["guess"] = {"sigma": peaks.fwhm / 2.35}
    roots = {}
    if "variance" in given:
        given["variance"] = abs(da) * 0.01
    fit = da.sid.fit("gaussian + constant", at=peaks, **given)
    assert fit.center.sid.provenance.steps[-1].name == "fit"
    assert fit.center.sid.provenance.status == "verified"
    if not more or more == {"window": 3.0}:
        xr.testing.assert_identical(fit.sid.provenance.replay(da, **roots), fit)
        text = fit.sid.provenance.to_script()
        assert "find_peaks" in text
        assert "at=" in text
        other = da.copy(data=da.values * 2)
        again = fit.sid.provenance.replay(other)
        direct = other.sid.fit(
            "gaussian + constant", at=other.sid.find_peaks(prominence=2, smooth=0.2, max_peaks=4), **given
        )
        assert_same(again, direct)
    listed = da.sid.fit("gaussian + constant", at=AT, window=3.0)
    assert listed.center.sid.provenance.parameters()["at"] == {"energy": AT}
    xr.testing.assert_identical(listed.sid.provenance.replay(da), listed)


def test_a_script_does_it_again(tmp_path):
    spectra().sid.to_nsid(tmp_path / "raw.h5")
    da = sid.open_dataarray(tmp_path / "raw.h5").load()
    fit = da.sid.fit("gaussian + constant", at=da.sid.find_peaks(prominence=2, smooth=0.2))
    (tmp_path / "script.py").write_text(fit.sid.provenance.to_script(tmp_path / "raw.h5"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py", "out.h5"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    again = next(node.to_dataset() for node in sid.open(tmp_path / "out.h5").subtree if "center" in node.data_vars)
    np.testing.assert_array_equal(again.center, fit.center)
    assert again.center.sid.provenance.heads == fit.center.sid.provenance.heads


def test_long_lists_are_inputs():
    da = spectra()
    at = np.linspace(5, 38, 300)
    fit = da.sid.fit("linear", at=at, window=2.0)
    assert fit.slope.sid.provenance.parameters()["at"] == {"energy": "input"}
    assert len(fit.slope.sid.provenance.roots) == 2
    np.testing.assert_allclose(fit.slope[:, :3], da.sid.fit("linear", at=list(at[:3]), window=2.0).slope, rtol=1e-9)


def test_a_history_tells_it():
    da = spectra()
    peaks = da.sid.find_peaks(prominence=(2, 50), smooth=0.2, distance="500 meV", max_peaks=5)
    fit = da.sid.fit("gaussian + constant", at=peaks)
    text = methods_text(fit.sid.provenance)
    assert "prominence between 2 and 50 nA, 0.5 eV or more apart" in text
    assert "the 5 most prominent at most" in text
    assert "was fitted along energy in windows of three times their width around the positions of peaks" in text
    image, _ = lattice()
    places = image.sid.find_peaks(("y", "x"), height=1, distance={"y": 0.3, "x": 0.2})
    text = methods_text(image.sid.fit("gaussian2d", at=places, window=0.6).sid.provenance)
    assert "Peaks of images in y and x were found" in text
    assert "in windows of 0.6 nm along x and 0.6 nm along y around" in text


def test_pictures_of_results():
    pytest.importorskip("holoviews")
    da = spectra().expand_dims(y=2)
    fit = da.sid.fit("gaussian + constant", at=AT, window=3.0)
    assert fit.sid.plot() is not None
    assert fit.sid.plot.fit() is not None
    with pytest.raises(AlignmentError, match=r"over 'peak', which the data lack.*fit\.isel\(\{'peak': 0\}\)"):
        fit.sid.plot.fit(data=da)
    assert fit.isel(peak=1).sid.plot.fit(data=da) is not None
    with pytest.raises(DimensionError, match=r"fit\.isel\(\{'peak': 0\}\)\.sid\.explore"):
        fit.sid.explore(data=da)
    assert fit.isel(peak=1).sid.explore(data=da) is not None
    movie, _ = lattice(frames=3)
    peaks = movie.sid.find_peaks(("y", "x"), prominence=0.5, smooth=0.05)
    for chosen in ({}, {"isel": {"frame": 2}}):
        picture = movie.sid.plot.peaks(positions=peaks, **chosen)
        places = picture.traverse(lambda p: p, ["Points"])[0]
        frame = chosen["isel"]["frame"] if chosen else 1
        found = np.sort(places.dimension_values(0))
        here = np.sort(peaks.x.isel(frame=frame).dropna("peak").values)
        assert len(found) == len(here)
        np.testing.assert_allclose(found / found.max(), here / here.max(), rtol=1e-6)


def test_files_hold_the_results(tmp_path):
    da = spectra()
    fit = da.sid.fit("gaussian + constant", at=da.sid.find_peaks(prominence=2, smooth=0.2))
    for to in ("nsid", "usid"):
        assert_roundtrip(fit, to=to)
    fit.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf"), fit)


def test_curves_of_every_peak():
    da = spectra()
    fit = da.sid.fit("gaussian + constant", at=AT, window=3.0)
    curves = fit.sid.evaluate(da.energy)
    assert curves.dims == ("t", "peak", "energy")
    near = abs(da.energy - AT[1]) < 1
    assert float(abs((curves.isel(peak=1) - da).where(near)).max()) < 0.5
    terms = fit.sid.components(da.energy)
    assert terms.gaussian.dims == ("t", "peak", "energy")
    with pytest.raises(DimensionError, match=r"fit\.isel\(peak=0\)"):
        fit.sid.residuals(da)
    one = fit.isel(peak=1).sid.residuals(da)
    assert one.dims == da.dims
    assert float(abs(one.where(near)).max()) < 0.5


def test_the_report_counts_peaks():
    da = spectra()
    fit = da.sid.fit("gaussian + constant", at=da.sid.find_peaks(prominence=2, smooth=0.2))
    text = str(fit.sid.report())
    assert "11 peaks (" in text.splitlines()[0]
    assert "11 of 11" in text
    assert "no_peak" in text
    assert "1 of 12" in text


def test_windows_without_samples_are_silent():
    da, _ = lattice()
    peaks = da.sid.find_peaks(dim=("y", "x"), prominence=0.5, smooth=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = da.where(da.x > 2).sid.fit("gaussian2d + constant", at=peaks, window=0.5)
    assert set(np.unique(fit.status)) <= {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(fit.status == 4, peaks.x < 1.75 - 1e-9)


def test_rows_of_several_points_are_not_fitted_everywhere():
    da = spectra()
    peaks = da.sid.find_peaks(prominence=2, smooth=0.2)
    rows = peaks.to_dataframe().dropna()
    wanted = da.sid.fit("gaussian + constant", at=peaks, window=4)
    with pytest.raises(DimensionError, match=r"one 't'.*Type: at=table\.to_xarray\(\)"):
        da.sid.fit("gaussian + constant", at=rows, window=4)
    flat = rows.reset_index()
    with pytest.raises(DimensionError, match=r"set_index\(\['t', 'peak'\]\)\.to_xarray\(\)"):
        da.sid.fit("gaussian + constant", at=flat, window=4)
    for table in (rows, flat.set_index(["t", "peak"])):
        found = da.sid.fit("gaussian + constant", at=table.to_xarray(), window=4)
        np.testing.assert_array_equal(found.center, wanted.center)
    one = flat[flat.t == 0].drop(columns="t")
    assert da.isel(t=0).sid.fit("gaussian + constant", at=one, window=4).sizes == {"peak": 4}
