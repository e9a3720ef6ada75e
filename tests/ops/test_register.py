"""Drift: known shifts come back, and images lie on each other."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import DimensionError
from sid_xarray.kernels import registration


def rms(found, truth) -> float:
    """Root mean square distance in pixels, of 0.1 nm."""
    ey, ex = ((found[f"drift_{d}"] - truth[f"true_drift_{d}"]) * 10 for d in "yx")
    return float(np.sqrt((ey**2 + ex**2).mean()))


def blobs(dy: float, dx: float, n: int = 64) -> np.ndarray:
    """A periodic picture, moved exactly."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.fft2(rng.normal(size=(n, n)))
    ky, kx = np.fft.fftfreq(n)[:, np.newaxis], np.fft.fftfreq(n)
    spectrum *= np.exp(-0.5 * (ky**2 + kx**2) / 0.06**2) * np.exp(-2j * np.pi * (ky * dy + kx * dx))
    return np.fft.ifft2(spectrum).real


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (3, -2), (0.5, 0.25), (-1.3, 2.7), (10.4, -7.6)])
def test_known_shifts(dy, dx):
    found = registration.shifts(blobs(dy, dx)[np.newaxis], blobs(0, 0))
    assert found[3][0] == 0
    np.testing.assert_allclose([found[0][0], found[1][0]], [dy, dx], atol=0.06)


def test_shifting_back_gives_the_reference():
    moved = registration.shift_images(blobs(2.5, -1.25)[np.newaxis], np.array([-2.5]), np.array([1.25]))[0]
    inner = (slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(moved[inner], blobs(0, 0)[inner], atol=2e-3 * np.ptp(blobs(0, 0)))
    assert np.isnan(moved[-1]).all()
    assert np.isnan(moved[:, 0]).all()


@pytest.mark.parametrize(
    ("noise", "reference", "pixels"), [(0, "first", 0.06), (0.1, "first", 0.1), (0.3, "mean", 0.2)]
)
def test_drift_of_a_noisy_stack(noise, reference, pixels):
    stack = sid.datasets.drifting_stack(frames=20, ny=128, nx=128, noise=noise, seed=3)
    found = stack.sid.register(reference)
    if reference == "mean":  # its own zero is somewhere within the stack
        for d in "yx":
            found[f"drift_{d}"] += (stack[f"true_drift_{d}"] - found[f"drift_{d}"]).mean()
    assert rms(found, stack) < pixels
    assert not found.status.any()


def test_images_lie_on_each_other():
    stack = sid.datasets.drifting_stack()
    found = stack.sid.register()
    inner = found.signal[:, 8:-8, 8:-8]
    assert not inner.isnull().any()
    assert float(inner.std("frame").max()) < 0.02 * float(inner.max())
    assert float(stack[:, 8:-8, 8:-8].std("frame").max()) > 0.1 * float(inner.max())


def test_positions_have_units_and_directions():
    stack = sid.datasets.drifting_stack()
    coarse = stack.sid.to_units(y="pm", x="pm")
    found = coarse.sid.register()
    assert found.drift_y.units == "pm"
    np.testing.assert_allclose(found.drift_x, stack.sid.register().drift_x * 1000, rtol=1e-9)
    flipped = stack.isel(y=slice(None, None, -1)).sid.register()
    np.testing.assert_allclose(flipped.drift_y, stack.sid.register().drift_y, atol=0.003)
    transposed = stack.transpose("x", "frame", "y").sid.register()
    np.testing.assert_allclose(transposed.drift_x, stack.sid.register().drift_x, atol=1e-6)


def test_spectra_move_with_their_image():
    stack = sid.datasets.drifting_stack()
    cube = stack.expand_dims(energy=[1.0, 2.0, 3.0], axis=-1) * np.array([1.0, 2.0, 0.5], "f4")
    cube = cube.sid.adopt()
    cube.energy.attrs |= {"units": "eV", "sid_dimension_type": "spectral"}
    found = cube.sid.register()
    assert found.drift_x.dims == ("frame",)
    alone = stack.sid.register()
    np.testing.assert_allclose(found.drift_x, alone.drift_x, atol=1e-5)
    np.testing.assert_allclose(found.signal.isel(energy=1), 2 * alone.signal, atol=1e-4)
    guided = cube.sid.register(on=stack)
    np.testing.assert_allclose(guided.drift_x, alone.drift_x, atol=1e-7)


def test_failures_are_seen():
    stack = sid.datasets.drifting_stack()
    stack[1] = np.nan
    stack[2] = 5
    stack[3, 10:13, 10:13] = np.nan
    found = stack.sid.register(max_shift="2 nm")
    assert found.status.values.tolist() == [0, 1, 2, 0, 0]
    assert found.signal[1:3].isnull().all()
    assert found.drift_x[1:3].isnull().all()
    assert abs(float(found.drift_x[3] - stack.true_drift_x[3])) < 0.02
    assert 9 <= int(found.signal[3, 5:-5, 5:-5].isnull().sum()) <= 36


def test_a_limit_keeps_lattices_from_jumping():
    image = sid.datasets.lattice_image(ny=64, nx=64)
    stack = image.expand_dims(frame=[0.0, 1.0]).copy().sid.adopt()
    stack[1] = stack[1].roll(x=1)
    found = stack.sid.register(max_shift="0.15 nm")
    np.testing.assert_allclose(found.drift_x[1], 0.05, atol=0.003)
    assert found.status.values.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"reference": "last"}, "'first', 'mean'"),
        ({"reference": 9}, "no frame 9"),
        ({"order": 7}, "0 to 5"),
        ({"plane": ("y", "z")}, "two dimensions"),
        ({"plane": 3}, "two dimensions"),
        ({"reference": np.zeros((40, 48))}, "as a DataArray"),
        ({"dim": "x"}, "dimension of the images"),
        ({"max_shift": "0.01 nm"}, "one pixel"),
    ],
)
def test_what_cannot_be_registered(asked, said):
    with pytest.raises(DimensionError, match=said):
        sid.datasets.drifting_stack().sid.register(**asked)


def test_images_given_are_inputs_of_the_step():
    stack = sid.datasets.drifting_stack()
    image = stack[1].drop_attrs().rename("image")
    found = stack.sid.register(image, on=stack)
    again = found.signal.sid.provenance.replay({"intensity": stack, "image": image})
    np.testing.assert_array_equal(again, found.signal)
