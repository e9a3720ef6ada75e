"""Peaks of arrays: against scipy, closed forms, and a search by force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal
from scipy.ndimage import gaussian_filter, label

from sid_xarray.kernels.columns import find_in_planes, prominences
from sid_xarray.kernels.peaks import Limits, find_along, vertex
from sid_xarray.kernels.smoothing import line_through, smooth

F8 = np.dtype(float)
RNG = np.random.default_rng(0)


def curve(y, x=None, size=None, **limits):
    y = np.asarray(y)
    x = np.arange(y.shape[-1], dtype=float) if x is None else x
    return find_along(y, x=x, limits=Limits(**limits), size=size, dtype=F8)


def plane(z, axes=None, size=None, *, distance=(0.0, 0.0), sigma=(0.0, 0.0), **limits):
    z = np.asarray(z)
    axes = [np.arange(n, dtype=float) for n in z.shape[-2:]] if axes is None else axes
    found = Limits(distance=distance, smooth=sigma, **limits)
    return find_in_planes(z, axes=axes, limits=found, size=size, dtype=F8)


# ---------------------------------------------------------------- curves


@pytest.mark.parametrize("step", [1.0, 0.1, -0.37])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"height": (0.5, np.inf)},
        {"prominence": (1.0, 2.5)},
        {"distance": (5.0,)},
        {"width": (2.0, np.inf)},
        {"height": (0.0, 2.0), "distance": (3.0,), "prominence": (0.4, np.inf), "width": (1.0, 8.0)},
    ],
    ids=str,
)
def test_what_scipy_finds(limits, step):
    y = RNG.normal(size=(20, 300)).cumsum(axis=1) * 0.3 + RNG.normal(size=(20, 300))
    x = 40 + step * np.arange(300)
    scaled = {k: tuple(v * abs(step) if k in ("distance", "width") else v for v in ends) for k, ends in limits.items()}
    position, height, prominence, fwhm, count = curve(y, x, **scaled)
    for i, row in enumerate(y):
        own = {k: v[0] if k == "distance" else v for k, v in limits.items()}
        own.setdefault("prominence", (None, None))
        own.setdefault("width", (None, None))
        peaks, facts = signal.find_peaks(row, **own)
        order = np.argsort(x[peaks])
        n = count[i]
        assert n == len(peaks)
        np.testing.assert_array_equal(height[i, :n], row[peaks][order])
        np.testing.assert_allclose(prominence[i, :n], facts["prominences"][order], rtol=1e-12)
        np.testing.assert_allclose(fwhm[i, :n], facts["widths"][order] * abs(step), rtol=1e-9)
        assert (abs(position[i, :n] - x[peaks][order]) <= 0.5 * abs(step) * (1 + 1e-9)).all()
        assert np.isnan(position[i, n:]).all()


@pytest.mark.parametrize("size", [1, 3, 400])
def test_the_most_prominent_are_kept_in_the_order_of_positions(size):
    y = RNG.normal(size=(5, 300))
    whole, some = curve(y), curve(y, size=size)
    assert some[0].shape == (5, size)
    np.testing.assert_array_equal(some[4], whole[4])
    for i, n in enumerate(whole[4]):
        best = np.sort(np.argsort(-whole[2][i, :n], kind="stable")[:size])
        for a, b in zip(some[:4], whole[:4], strict=True):
            np.testing.assert_array_equal(a[i, : len(best)], b[i, best])
            assert np.isnan(a[i, len(best) :]).all()


def test_separated_gaussians():
    x = np.linspace(0, 20, 2001)
    centers, sigmas, heights = [4.003, 10.0, 15.457], [0.2, 0.5, 0.31], [1.0, 3.0, 2.0]
    y = sum(h * np.exp(-(((x - c) / s) ** 2) / 2) for c, s, h in zip(centers, sigmas, heights, strict=True))
    position, height, prominence, fwhm, count = curve(y, x)
    assert count == 3
    # A parabola on a Gaussian is off by less than d (1/4 - d²) step³ / (3 sigma²), d the distance to the sample.
    bias = 0.06 * 0.01**3 / np.square(sigmas)
    assert (abs(position - centers) < bias + 1e-12).all()
    np.testing.assert_allclose(height, heights, rtol=2e-3)
    np.testing.assert_allclose(prominence, heights, rtol=2e-3)
    np.testing.assert_allclose(fwhm, 2 * np.sqrt(2 * np.log(2)) * np.array(sigmas), rtol=2e-3)


@given(st.floats(-0.5, 0.5), st.floats(0.1, 3), hnp.arrays(float, 2, elements=st.floats(0.2, 2)), st.floats(-100, 100))
def test_the_vertex_of_a_parabola_is_exact_on_any_axis(at, bend, steps, offset):
    x = np.array([-steps[0], 0.0, steps[1]])
    y = offset - bend * (x - at) ** 2
    found = vertex(*x, *y)
    np.testing.assert_allclose(found, at, atol=1e-10 * (1 + abs(offset)) / bend)


def test_an_uneven_axis():
    x = np.sort(RNG.uniform(0, 10, 400))
    y = np.exp(-(((x - 5.1) / 0.8) ** 2) / 2)
    position, _, _, fwhm, count = curve(y, x)
    assert count == 1
    assert abs(position[0] - 5.1) < 1e-3
    assert abs(fwhm[0] - 2.3548 * 0.8) < 0.02
    # Of two that are nearer than a distance, the higher one stays: in units, not in samples.
    x = np.array([0, 1, 2, 3, 13, 23, 24.0])
    y = np.array([0, 1, 0, 2, 0, 3, 0.0])
    np.testing.assert_array_equal(curve(y, x, distance=(3.0,))[1], [2, 3])


def test_gaps_are_left_out_and_ends_are_no_peaks():
    y = np.array([5, 1, 3, np.nan, 1, 0, 2, np.inf, 0, 9.0])
    position, height, *_, count = curve(y)
    assert count == 2
    np.testing.assert_array_equal(height, [3, 2])
    keep = np.isfinite(y)
    np.testing.assert_array_equal(curve(y[keep], np.arange(10.0)[keep])[0], position)


@pytest.mark.parametrize("y", [np.zeros(50), np.full(50, np.nan), np.arange(50.0), [], [1.0], [1.0, 2.0]], ids=str)
def test_nothing_to_find(y):
    position, *_, count = curve(y)
    assert count == 0
    assert position.shape == (1,)
    assert np.isnan(position).all()


def test_a_plateau_is_one_peak_in_its_middle():
    position, height, prominence, *_ = curve([0, 1, 3, 3, 3, 3, 0, 2, 2, 1])
    np.testing.assert_array_equal(position, [3.5, 7.5])
    np.testing.assert_array_equal(height, [3, 2])
    np.testing.assert_array_equal(prominence, [3, 1])


@pytest.mark.parametrize("dtype", ["u1", "u8", "i2", "f4", "?"])
def test_numbers_of_any_kind(dtype):
    y = np.array([0, 1, 0, 1, 1, 0]).astype(dtype)
    np.testing.assert_array_equal(curve(y)[0], [1, 3.5])


def test_smoothing_keeps_constants_and_moments():
    x = np.linspace(0, 10, 201)
    y = np.exp(-(((x - 5) / 0.5) ** 2) / 2)
    out = smooth(y, [x], [0.7])
    wide = np.hypot(0.5, 0.7)
    np.testing.assert_allclose(out, 0.5 / wide * np.exp(-(((x - 5) / wide) ** 2) / 2), atol=1e-4)
    z = np.full((20, 30), 3.0)
    z[4:7, 5] = np.nan
    out = smooth(z, [np.arange(20.0), np.arange(30.0)], [2.0, 3.0])
    np.testing.assert_allclose(out[np.isfinite(z)], 3.0)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(z))


def test_smoothing_on_an_uneven_axis_is_that_of_an_even_one():
    x = np.linspace(0, 10, 401)
    y = RNG.normal(size=(3, 401))
    even = smooth(y, [x], [0.5])
    moved = x.copy()
    moved[-1] += 1e-4  # no longer even
    assert line_through(x) is not None
    assert line_through(moved) is None
    np.testing.assert_allclose(smooth(y, [moved], [0.5])[:, 100:300], even[:, 100:300], atol=1e-4)
    fine = np.sort(RNG.uniform(0, 10, 3000))
    out = smooth(np.sin(fine), [fine], [0.3])
    inner = (fine > 1.5) & (fine < 8.5)
    np.testing.assert_allclose(out[inner], np.exp(-(0.3**2) / 2) * np.sin(fine)[inner], atol=0.02)


def test_axes_are_even_to_the_precision_of_their_numbers():
    x = (0.1 * np.arange(500)).astype(np.float32).astype(float)
    assert line_through(x) is None
    assert line_through(x, eps=float(np.finfo(np.float32).eps)) is not None
    assert line_through(1e5 + 0.01 * np.arange(1000)) is not None
    assert line_through(np.zeros(4)) is None
    assert line_through(np.array([1.0])) is None


# ---------------------------------------------------------------- images


def by_force(z):
    """Prominence of every maximum, by flooding from the top down."""
    out = []
    for p in prominences(z)[0]:
        for level in np.unique(z)[::-1]:
            parts, _ = label(z >= level, structure=np.ones((3, 3)))
            if level <= z.flat[p] and z[parts == parts.flat[p]].max() > z.flat[p]:
                out.append(z.flat[p] - level)
                break
        else:
            out.append(z.flat[p] - z.min())
    return np.array(out)


@given(st.integers(0, 10_000), st.integers(3, 9), st.integers(3, 9))
@settings(max_examples=40, deadline=None)
def test_prominences_by_force(seed, m, n):
    z = np.random.default_rng(seed).normal(size=(m, n))
    at, found = prominences(z)
    np.testing.assert_allclose(found, by_force(z))
    wide = np.pad(z, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(wide, (3, 3)).max(axis=(-1, -2))
    np.testing.assert_array_equal(np.sort(at), np.flatnonzero(z == around))


@given(hnp.arrays(np.int64, (7, 8), elements=st.integers(0, 3)))
@settings(max_examples=100, deadline=None)
def test_plateaus_are_regional_maxima(z):
    """A peak is a region of equal samples with only lower ones around it, and away from the border."""
    first, second, height, prominence, count = plane(z)
    wanted = []
    for value in np.unique(z):
        parts, number = label(z == value, structure=np.ones((3, 3)))
        for i in range(1, number + 1):
            iy, ix = np.nonzero(parts == i)
            around = [z[max(a - 1, 0) : a + 2, max(b - 1, 0) : b + 2].max() for a, b in zip(iy, ix, strict=True)]
            inside = iy.min() > 0 and ix.min() > 0 and iy.max() < 6 and ix.max() < 7
            if inside and max(around) == value:
                wanted.append((iy, ix))
    assert count == len(wanted)
    places = np.stack([first, second], axis=-1)
    for iy, ix in wanted:
        middle = np.array([iy.mean(), ix.mean()])
        away = abs(places - middle).max(axis=-1)
        at = int(np.nanargmin(away))
        for k, i in enumerate((iy, ix)):
            # By a parabola where it is no plateau along this axis, and exact where it is one.
            assert abs(places[at, k] - middle[k]) <= (1 if np.ptp(i) < 2 else 1e-9)
    assert (np.diff(height[: int(count)]) <= 0).all()
    assert (prominence[: int(count)] > 0).all()


def lattice(shape=(120, 150), spacing=11.3, sigma=2.1, step=(1.0, 1.0), origin=(0.0, 0.0)):
    """A hexagonal lattice of Gaussians: image, axes and centres."""
    axes = [o + s * np.arange(n) for n, s, o in zip(shape, step, origin, strict=True)]
    rows = np.arange(1, 40) * spacing * np.sqrt(3) / 2
    centers = [
        (origin[0] + r, origin[1] + spacing * (c + 0.5 * (i % 2))) for i, r in enumerate(rows) for c in range(1, 40)
    ]
    ends = [(x.min() + 3 * sigma, x.max() - 3 * sigma) for x in axes]
    centers = np.array([c for c in centers if all(lo < v < hi for v, (lo, hi) in zip(c, ends, strict=True))])
    off = [axis[:, None] - centers[:, k] for k, axis in enumerate(axes)]
    heights = np.linspace(1, 2, len(centers))
    a, b = (np.exp(-((o / sigma) ** 2) / 2) for o in off)
    return (a * heights) @ b.T, axes, centers, heights


@pytest.mark.parametrize("step", [(1.0, 1.0), (0.7, 1.1), (-1.0, 1.0)])
def test_a_hexagonal_lattice(step):
    n = 120 if step[0] > 0 else 90
    z, axes, centers, heights = lattice(shape=(n, 140), step=(abs(step[0]), step[1]))
    if step[0] < 0:
        z, axes = z[::-1], [axes[0][::-1], axes[1]]
    first, second, height, prominence, count = plane(z, axes)
    assert count == len(centers)
    found = np.stack([first, second], axis=-1)
    nearest = abs(found[:, None] - centers).max(axis=-1).argmin(axis=1)
    assert sorted(nearest) == list(range(len(centers)))
    assert abs(found - centers[nearest]).max() < 0.06 * 1.1**3 / 2.1**2 + 1e-3
    np.testing.assert_allclose(height, heights[nearest], rtol=0.06)
    assert (prominence > 0.8 * height * (1 - 2 * np.exp(-((11.3 / 2 / 2.1) ** 2) / 2))).all()
    assert (np.diff(height) <= 0).all()


def test_distance_is_an_ellipse_in_two_units():
    z = np.zeros((30, 40))
    for y, x, h in [(10, 10, 5), (10, 16, 4), (16, 10, 3), (20, 30, 2)]:
        z[y, x] = h
    axes = [0.5 * np.arange(30), 2.0 * np.arange(40)]
    assert plane(z, axes)[4] == 4
    # Six samples are 3 along y, and 12 along x.
    np.testing.assert_array_equal(plane(z, axes, distance=(4.0, 4.0))[2], [5, 4, 2])
    np.testing.assert_array_equal(plane(z, axes, distance=(1.0, 14.0))[2], [5, 3, 2])
    np.testing.assert_array_equal(plane(z, axes, distance=(3.0, 12.0))[2], [5, 4, 3, 2])


def test_no_peak_beside_gaps_and_borders():
    z = RNG.normal(size=(20, 20)) * 0.01
    z[5, 5], z[12, 12], z[0, 9], z[15, 19] = 3, 2, 5, 5
    z[12, 13] = np.nan
    first, second, height, _, _ = plane(z, prominence=(1.0, np.inf))
    np.testing.assert_array_equal(height, [3])
    assert abs(first[0] - 5) < 0.01
    assert abs(second[0] - 5) < 0.01
    # Smoothing does not make a gap a sample, nor spreads it.
    first, *_ = plane(z, sigma=(1.0, 1.0), height=(0.2, np.inf))
    assert len(first) >= 1


@pytest.mark.parametrize("z", [np.zeros((9, 9)), np.full((9, 9), np.nan), np.ones((2, 9)), np.ones((1, 1))], ids=str)
def test_nothing_in_an_image(z):
    first, *_, count = plane(z)
    assert count == 0
    assert first.shape == (1,)


def test_the_highest_are_kept():
    z = gaussian_filter(RNG.normal(size=(3, 64, 64)), (0, 2, 2))
    whole, some = plane(z), plane(z, size=5)
    np.testing.assert_array_equal(some[4], whole[4])
    for a, b in zip(some[:4], whole[:4], strict=True):
        np.testing.assert_array_equal(a, b[:, :5])
