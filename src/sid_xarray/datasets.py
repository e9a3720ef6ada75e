"""Data to try things on: a real measurement, and synthetic ones whose truth is known."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import xarray as xr

from sid_xarray.core.create import dataarray

__all__ = [
    "beps",
    "bfo_iv",
    "bfo_iv_path",
    "drifting_stack",
    "edge_map",
    "lattice_image",
    "lattice_spectrum",
    "peak_map",
]


def bfo_iv_path() -> str:
    """Return the path of a real NSID file: current–voltage curves on bismuth ferrite.

    Returns
    -------
    str

    Notes
    -----
    50 × 50 curves of 53 points by conductive atomic force microscopy; logarithm of the current density over the
    square root of the electric field. From the sample data of pycroscopy, MIT licence (see the file beside it).
    """
    return str(files("sid_xarray") / "data" / "bfo_iv_final.hf5")


def bfo_iv() -> xr.DataArray:
    """Open the real spectral image of `bfo_iv_path`, lazily.

    Returns
    -------
    DataArray, dims (x, y, $\\sqrt E$)
    """
    from sid_xarray.api import open_dataarray

    return open_dataarray(bfo_iv_path())


def peak_map(*, ny: int = 6, nx: int = 8, ne: int = 64, noise: float = 0.5, seed: int = 0) -> xr.DataArray:
    """Return a spectral image with one Gaussian peak on a constant.

    The truth: ``center`` grows from 4 to 6 eV along x, ``sigma`` is 0.8 eV, ``height`` grows from 50 to 100 along y,
    ``offset`` is 10.

    Parameters
    ----------
    ny, nx, ne : int
        Size.
    noise : float, default: 0.5
        Standard deviation.
    seed : int, default: 0

    Returns
    -------
    DataArray of float32, dims (y, x, energy)
        In counts; positions in nm and eV.
    """
    rng = np.random.default_rng(seed)
    energy = np.linspace(0, 10, ne)
    center = np.linspace(4, 6, nx)[np.newaxis, :, np.newaxis]
    height = np.linspace(50, 100, ny)[:, np.newaxis, np.newaxis]
    values = height * np.exp(-0.5 * ((energy - center) / 0.8) ** 2) + 10 + noise * rng.normal(size=(ny, nx, ne))
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm"), "energy": (energy, "eV")}
    return dataarray(values.astype("f4"), dims, units="count", quantity="intensity", title="one peak", modality="EELS")


def beps(*, ny: int = 4, nx: int = 5, nbias: int = 32, nf: int = 40, noise: float = 0.0, seed: int = 0) -> xr.DataArray:
    """Return band-excitation spectra of a ferroelectric: a complex resonance at every bias of a loop.

    The truth: the bias falls from 10 V to -10 V and rises again; the response, ``amplitude * exp(i phase)``, is
    ``loop * exp(1j * angle)``, where ``loop`` is the model ``loop`` with ``a0 = -1``, ``a1 = 2``, ``a2 = -3 + y``,
    ``a3 = 3 + x / 2``, ``a4 = 0.01`` and widths of 1 V, y and x counting pixels, and ``angle`` is 0.4 times the pixel
    number, counted along x first. Resonances are at ``350 + x`` kHz with a quality of 100.

    Parameters
    ----------
    ny, nx, nbias, nf : int
        Size.
    noise : float, default: 0
        Standard deviation of both parts; the response at resonance is 100 at most.
    seed : int, default: 0

    Returns
    -------
    DataArray of complex128, dims (y, x, bias, frequency)
    """
    from sid_xarray.models import load

    rng = np.random.default_rng(seed)
    y, x = (grid[..., np.newaxis] for grid in np.mgrid[0:ny, 0:nx])
    bias = np.concatenate([np.linspace(10, -10, nbias // 2), np.linspace(-10, 10, nbias - nbias // 2)])
    frequency = np.linspace(335, 365, nf)
    loop = load("loop")(bias, -1.0, 2.0, -3.0 + y, 3 + x / 2, 0.01, 1.0, 1.0, 1.0, 1.0)
    response = loop * np.exp(0.4j * (y * nx + x))
    center, response = 350.0 + x[..., np.newaxis], response[..., np.newaxis]
    values = load("sho")(frequency, np.abs(response), center, 100.0, np.angle(response))
    values = values + noise * (rng.normal(size=values.shape) + 1j * rng.normal(size=values.shape))
    dims = {"y": (0.1, "um"), "x": (0.1, "um"), "bias": (bias, "V"), "frequency": (frequency, "kHz")}
    return dataarray(values, dims, units="pm", quantity="response", title="loops", modality="PFM")


def edge_map(*, ny: int = 4, nx: int = 5, ne: int = 200, noise: float = 0.0, seed: int = 0) -> xr.DataArray:
    """Return EELS-like spectra: a power law with exponent 3, and an edge at 285 eV whose height grows along x.

    Parameters
    ----------
    ny, nx, ne : int
        Size.
    noise : float, default: 0
        Standard deviation.
    seed : int, default: 0

    Returns
    -------
    DataArray of float64, dims (y, x, energy)
        In counts; the law is ``1000 * (energy / 200) ** -3``, the edge ``40 * (x index) * exp(-(energy - 285) / 60)``.
    """
    rng = np.random.default_rng(seed)
    energy = np.linspace(200, 400, ne)
    edge = np.where(energy >= 285, np.exp(-(energy - 285) / 60), 0.0)
    strength = 40.0 * np.arange(nx)[np.newaxis, :, np.newaxis]
    law = 1000 * (energy / 200) ** -3 + np.zeros((ny, 1, 1))
    values = law + strength * edge + noise * rng.normal(size=(ny, nx, ne))
    dims = {"y": (1.0, "nm"), "x": (1.0, "nm"), "energy": (energy, "eV")}
    return dataarray(values, dims, units="count", quantity="intensity", title="one edge", modality="EELS")


def lattice_image(*, ny: int = 32, nx: int = 40) -> xr.DataArray:
    """Return an image of lattice fringes: period 0.4 nm along x, 0.8 nm along y, pixels of 0.05 nm.

    Parameters
    ----------
    ny, nx : int
        Size.

    Returns
    -------
    DataArray of float32, dims (y, x)
    """
    y, x = np.arange(ny)[:, np.newaxis] * 0.05, np.arange(nx)[np.newaxis, :] * 0.05
    values = np.cos(2 * np.pi * x / 0.4) + 0.5 * np.cos(2 * np.pi * y / 0.8)
    dims = {"y": (0.05, "nm"), "x": (0.05, "nm")}
    return dataarray(values.astype("f4"), dims, units="count", quantity="intensity", title="fringes", modality="STEM")


def lattice_spectrum() -> xr.DataArray:
    """Return the Fourier transform of `lattice_image`.

    Returns
    -------
    DataArray of complex64, dims (ky, kx)
    """
    return lattice_image().sid.fft()  # type: ignore[no-any-return]


def drifting_stack(*, frames: int = 5, ny: int = 40, nx: int = 48, noise: float = 0.0, seed: int = 0) -> xr.DataArray:
    """Return images of blurred dots that drift from frame to frame.

    Parameters
    ----------
    frames, ny, nx : int
        Size.
    noise : float, default: 0
        Standard deviation; the dots are 1 high.
    seed : int, default: 0

    Returns
    -------
    DataArray of float32, dims (frame, y, x)
        Pixels of 0.1 nm. The truth are the coordinates ``true_drift_y`` and ``true_drift_x``, in nm.
    """
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(scale=0.8, size=(frames, 2)), axis=0)
    drift -= drift[0]
    dots = rng.uniform(-0.2, 1.2, size=(60, 2)) * (ny, nx)
    y, x = np.arange(ny), np.arange(nx)
    values = noise * rng.normal(size=(frames, ny, nx))
    for k, (dy, dx) in enumerate(drift):
        down = np.exp(-0.5 * ((y[:, np.newaxis] - dots[:, 0] - dy) / 2.0) ** 2)
        across = np.exp(-0.5 * ((x[:, np.newaxis] - dots[:, 1] - dx) / 2.0) ** 2)
        values[k] += down @ across.T
    dims = {"frame": (1.0, "1"), "y": (0.1, "nm"), "x": (0.1, "nm")}
    da = dataarray(values.astype("f4"), dims, units="count", quantity="intensity", title="drift", modality="STEM")
    truth = {f"true_drift_{d}": ("frame", drift[:, i] * 0.1, {"units": "nm"}) for i, d in enumerate("yx")}
    return da.assign_coords(truth)
