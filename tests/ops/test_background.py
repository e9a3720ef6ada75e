"""Backgrounds on labelled arrays."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import DimensionError, ModelError


@pytest.fixture
def edges():
    return sid.datasets.edge_map()


def test_what_is_left_of_an_edge_is_the_edge(edges):
    out = edges.sid.remove_background("power_law", fit_range=(200, 280))
    assert list(out) == ["signal", "background", "height", "exponent", "status"]
    np.testing.assert_allclose(out.exponent, 3, rtol=1e-9)
    np.testing.assert_allclose(out.height, 1000 * 200**3, rtol=1e-8)
    edge = np.where(edges.energy >= 285, np.exp(-(edges.energy - 285) / 60), 0)
    np.testing.assert_allclose(out.signal.isel(y=1), 40 * np.arange(5)[:, np.newaxis] * edge, atol=1e-6)
    np.testing.assert_allclose(out.signal + out.background, edges, rtol=1e-12)


def test_noise_does_not_bias_the_exponent():
    noisy = sid.datasets.edge_map(ny=40, nx=40, noise=20.0)
    out = noisy.sid.remove_background("power_law", fit_range=(200, 280))
    error = float(out.exponent.std()) / np.sqrt(out.exponent.size)
    assert (out.status == 0).all()
    assert abs(float(out.exponent.mean()) - 3) < 4 * error


def test_units_of_every_result(edges):
    edges = edges.assign_attrs(units="nA")
    out = edges.sid.remove_background("polynomial", fit_range=[(200, 230), (380, 400)], degree=2)
    assert {k: v.units for k, v in out.items()} == {
        "signal": "nA", "background": "nA", "c0": "nA", "c1": "nA/eV", "c2": "nA/eV^2", "status": "1"
    }  # fmt: skip
    assert out.background.long_name == "background of intensity"
    assert out.signal.long_name == "intensity"
    assert edges.sid.remove_background("offset").offset.units == "nA"


def test_windows_in_other_units_are_the_same_windows(edges):
    a = edges.sid.remove_background(fit_range=(200, 280))
    b = edges.sid.remove_background(fit_range=("0.2 keV", "0.28 keV"))
    np.testing.assert_array_equal(a.signal, b.signal)
    assert b.signal.sid.provenance.parameters()["fit_range"] == ("0.2 keV", "0.28 keV")


def test_descending_and_unordered_axes(edges):
    straight = edges.sid.remove_background(fit_range=(200, 280))
    for order in (np.arange(200)[::-1], np.random.default_rng(0).permutation(200)):
        out = edges.isel(energy=order).sid.remove_background(fit_range=(200, 280))
        np.testing.assert_allclose(out.signal, straight.signal.isel(energy=order), atol=1e-9)


def test_a_failed_pixel_is_nan_with_a_status_and_harms_nobody(edges):
    edges = edges.copy()
    edges[0, 0] = np.nan
    edges[1, 1] = -5
    out = edges.sid.remove_background(fit_range=(200, 280))
    assert out.status.values[0, 0] == 2
    assert out.status.values[1, 1] == 3
    assert out.status.flag_meanings.split()[3] == "not_positive"
    assert int((out.status != 0).sum()) == 2
    assert int(out.exponent.isnull().sum()) == 2
    assert np.isnan(out.signal.values[1, 1]).all()


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"model": "powerlaw"}, ModelError, "no background 'powerlaw'. Did you mean 'power_law'?"),
        ({"fit_range": (10, 20)}, DimensionError, r"no point of 'energy' lies in \(10, 20\); it spans 200 … 400 eV"),
        ({"fit_range": (200, 202)}, DimensionError, "holds 2 point"),
        ({"fit_range": 200}, DimensionError, r"a window along 'energy' is a pair \(low, high\) in eV, got 200"),
        ({"model": "polynomial", "degree": -1}, ModelError, "degree should be a whole number, 0 or more, got -1"),
        ({"model": "polynomial", "degree": 200}, DimensionError, "a polynomial of degree 200 needs 201"),
        ({"dim": "z"}, DimensionError, r"no dimension 'z' on 'intensity': it has y \(spatial\)"),
    ],
)
def test_errors_say_what_to_type(edges, keywords, error, text):
    with pytest.raises(error, match=text):
        edges.sid.remove_background(**keywords)


def test_names_that_would_be_overwritten_are_refused(edges):
    with pytest.raises(DimensionError, match=r"'signal' is a dimension or coordinate.*da\.rename"):
        edges.rename(y="signal").sid.remove_background()


def test_a_power_law_needs_positive_positions(edges):
    shifted = edges.assign_coords(energy=edges.energy.values - 500)
    shifted = shifted.sid.set_units(energy="eV")
    with pytest.raises(
        DimensionError, match=r"holds 0 point\(s\) of 'energy' with a positive position, a power_law needs 3"
    ):
        shifted.sid.remove_background()


def test_a_degree_is_a_number():
    with pytest.raises(ModelError, match="degree should be a whole number"):
        sid.datasets.edge_map().sid.remove_background("polynomial", degree="two")
