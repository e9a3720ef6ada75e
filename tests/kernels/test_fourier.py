"""Transforms against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sid_xarray.kernels import fourier


@given(n=st.integers(1, 33), m=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_inverse_undoes_the_transform(n, m, seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(2, m, n)) + 1j * rng.normal(size=(2, m, n))
    for norm in ("backward", "ortho", "forward"):
        back = fourier.inverse(fourier.transform(y, ndim=2, norm=norm), ndim=2, norm=norm)
        np.testing.assert_allclose(back, y, atol=1e-12)


@given(n=st.integers(1, 64), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_parseval(n, seed):
    y = np.random.default_rng(seed).normal(size=(3, n))
    out = fourier.transform(y, ndim=1, norm="ortho")
    np.testing.assert_allclose((abs(out) ** 2).sum(-1), (y**2).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("n", [8, 9])
def test_a_wave_is_one_line_at_its_frequency(n):
    f = fourier.frequencies(n, 0.25)
    assert f[n // 2] == 0
    for k in range(n):
        wave = np.exp(2j * np.pi * f[k] * np.arange(n) * 0.25)
        line = fourier.transform(wave, ndim=1)
        np.testing.assert_allclose(line, n * (np.arange(n) == k), atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "out"),
    [("f4", "c8"), (">f4", "c8"), ("f8", "c16"), ("i2", "c8"), ("i4", "c16"), ("?", "c8"), ("f2", "c8")],
)
def test_precision_follows_the_data(dtype, out):
    y = np.arange(6).reshape(2, 3).astype(dtype)
    found = fourier.transform(y, ndim=2)
    assert found.dtype == np.dtype(out)
    np.testing.assert_allclose(found, fourier.transform(y.astype("f8"), ndim=2), rtol=1e-6, atol=1e-5)
    assert fourier.inverse(found, ndim=2).dtype == np.dtype(out)


def test_a_window_tapers_every_axis():
    y = np.ones((4, 8, 16), "f4")
    out = fourier.transform(y, ndim=2, window="hann")
    taper = np.outer(
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(8) / 8), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
    )
    np.testing.assert_allclose(out[1], np.fft.fftshift(np.fft.fft2(taper)), atol=1e-4)
    assert out.dtype == np.complex64


def test_a_negative_spacing_gives_descending_frequencies():
    np.testing.assert_array_equal(fourier.frequencies(6, -0.5), -fourier.frequencies(6, 0.5))
