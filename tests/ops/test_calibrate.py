"""Axes and values, calibrated in every way."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import DimensionError, SidWarning, UnitsError


@pytest.fixture
def line():
    values = np.arange(5, dtype="f4")
    return sid.dataarray(values, {"energy": (100 + 0.5 * np.arange(5), "eV")}, units="nA", quantity="current")


@pytest.mark.parametrize(
    ("how", "positions", "unit"),
    [
        ({"scale": 2.0}, [200, 201, 202, 203, 204], "eV"),
        ({"offset": -1}, [99, 99.5, 100, 100.5, 101], "eV"),
        ({"offset": "-0.001 keV"}, [99, 99.5, 100, 100.5, 101], "eV"),
        ({"scale": 1e-3, "units": "keV"}, [0.1, 0.1005, 0.101, 0.1015, 0.102], "keV"),
        ({"step": 0.25}, [0, 0.25, 0.5, 0.75, 1], "eV"),
        ({"step": 0.25, "origin": 10}, [10, 10.25, 10.5, 10.75, 11], "eV"),
        ({"step": "250 meV"}, [0, 250, 500, 750, 1000], "meV"),
        ({"step": "250 meV", "units": "eV", "origin": "0.01 keV"}, [10, 10.25, 10.5, 10.75, 11], "eV"),
        ({"step": "0.5 A", "units": "nm"}, [0, 0.05, 0.1, 0.15, 0.2], "nm"),
        ({"points": {101: 102}}, [101, 101.5, 102, 102.5, 103], "eV"),
        ({"points": {100: 0, 102: 4}}, [0, 1, 2, 3, 4], "eV"),
        ({"points": {100: 0, 101: 2, 102: 4}}, [0, 1, 2, 3, 4], "eV"),
        ({"points": {100: 10, 102: 6}, "units": "nm"}, [10, 9, 8, 7, 6], "nm"),
        ({"positions": [1, 2, 4, 8, 16]}, [1, 2, 4, 8, 16], "eV"),
        ({"units": "keV"}, [100, 100.5, 101, 101.5, 102], "keV"),
    ],
    ids=str,
)
def test_every_form(line, how, positions, unit):
    if "0.5 A" in str(how):
        line = line.sid.set_dims(energy="spatial")
    out = line.sid.calibrate(energy=how)
    np.testing.assert_allclose(out.energy, positions, rtol=1e-12)
    assert out.energy.units == unit
    assert out.energy.attrs["sid_dimension_type"] == line.energy.attrs["sid_dimension_type"]
    np.testing.assert_array_equal(out, line)
    assert out.sid.provenance.status == "verified"
    assert line.energy[0] == 100


def test_values(line):
    out = line.sid.calibrate(data={"scale": 2.5, "offset": 0.5, "units": "nN"})
    np.testing.assert_allclose(out, 2.5 * np.arange(5) + 0.5)
    assert out.dtype == np.float32
    assert out.units == "nN"
    assert out.long_name == "current"
    assert out.name == "current"
    assert line.sid.calibrate(data={"units": "pA"}).units == "pA"


def test_integers_become_floating(line):
    assert line.astype("i2").sid.calibrate(data={"scale": 0.5}).dtype == np.float32
    assert line.astype("i4").sid.calibrate(data={"scale": 0.5}).dtype == np.float64
    assert line.astype("i4").sid.calibrate(energy={"offset": 1}).dtype == np.int32


def test_axes_and_values_at_once_are_one_step(line):
    out = line.sid.calibrate(energy={"offset": 1}, data={"scale": 2})
    assert out.sid.provenance.operations == ("input", "calibrate")
    assert out.sid.provenance.parameters() == {"axes": {"energy": {"offset": 1}}, "data": {"scale": 2}}


def test_a_name_that_is_no_identifier(line):
    out = line.rename(energy="E / eV").sid.calibrate({"E / eV": {"offset": 1}})
    assert out["E / eV"][0] == 101


def test_units_are_spelled_as_everywhere(line):
    assert line.sid.calibrate(energy={"units": "µm"}).energy.units == "um"
    with pytest.warns(SidWarning, match="units 'parrots' are not known") as seen:
        line.sid.calibrate(energy={"units": "parrots"})
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ({}, DimensionError, "the calibration of 'energy' is"),
        (3, DimensionError, "got 3"),
        ({"sclae": 3}, DimensionError, "'step': 0.5, 'origin': 0, 'units': 'nm'"),
        ({"scale": 1, "step": 1}, DimensionError, "the calibration of 'energy' is"),
        ({"positions": [1, 2]}, DimensionError, r"positions of 'energy' have shape \(2,\), it has 5 points"),
        ({"points": {}}, DimensionError, "the calibration of 'energy' is"),
        ({"points": {1: 5, 2: 5}}, DimensionError, "lie on no line that could be an axis"),
        ({"step": 0}, DimensionError, "the step along 'energy' should not be 0"),
        ({"step": "1 nm", "units": "eV"}, UnitsError, "cannot convert 'nm'"),
    ],
    ids=str,
)
def test_errors_say_what_to_type(line, how, error, text):
    with pytest.raises(error, match=text):
        line.sid.calibrate(energy=how)


def test_nothing_and_the_unknown_are_refused(line):
    with pytest.raises(DimensionError, match=r"say what to calibrate: calibrate\(energy=\.\.\.\)"):
        line.sid.calibrate()
    with pytest.raises(DimensionError, match=r"data is \{'scale': a, 'offset': b, 'units': u\}, got 'gain'"):
        line.sid.calibrate(data={"gain": 2})
    with pytest.raises(DimensionError, match="energy is given twice"):
        line.sid.calibrate({"energy": {"scale": 2}}, energy={"scale": 2})


def test_positions_are_our_own(line):
    positions = np.arange(5.0)
    out = line.sid.calibrate(energy={"positions": positions})
    positions[0] = 99
    assert out.energy[0] == 0


def test_an_axis_does_not_collapse(line):
    for how in ({"scale": 0}, {"scale": np.nan}, {"offset": np.inf}):
        with pytest.raises(DimensionError, match="should be finite, and scale not 0"):
            line.sid.calibrate(energy=how)
    for data in (3, {"scale": "2"}):
        with pytest.raises(DimensionError, match=r"data is \{'scale': a, 'offset': b, 'units': u\}"):
            line.sid.calibrate(data=data)
