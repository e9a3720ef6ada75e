"""Synthetic data are what they say."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid


@pytest.mark.parametrize("name", ["peak_map", "edge_map", "lattice_image", "lattice_spectrum", "bfo_iv"])
def test_every_one_conforms_and_is_the_same_every_time(name):
    da = getattr(sid.datasets, name)()
    assert not [f for f in da.sid.check() if f.level != "note"]
    assert da.sid.provenance
    assert da.identical(getattr(sid.datasets, name)()) or name == "lattice_spectrum"
    assert da.attrs["long_name"]


def test_the_peak_is_where_it_is_said_to_be():
    da = sid.datasets.peak_map(noise=0)
    assert da.dtype == np.float32
    top = da.max("energy") - 10
    np.testing.assert_allclose(top.isel(y=[0, -1]).max("x"), [50, 100], rtol=0.01)
    np.testing.assert_allclose(da.energy[da.isel(y=0).argmax("energy")], np.linspace(4, 6, 8), atol=0.08)


def test_the_edge_is_where_it_is_said_to_be():
    da = sid.datasets.edge_map()
    np.testing.assert_allclose(da.isel(x=0), np.broadcast_to(1000 * (da.energy / 200) ** -3, (4, 200)))
    step = (da.isel(x=2) - da.isel(x=1)).isel(y=0)
    assert float(abs(step.sel(energy=slice(None, 284))).max()) < 1e-9
    np.testing.assert_allclose(float(step.sel(energy=285, method="nearest")), 40, rtol=0.02)


def test_noise_depends_on_the_seed_alone():
    a, b, c = (sid.datasets.peak_map(seed=s) for s in (1, 1, 2))
    assert a.equals(b)
    assert not a.equals(c)
