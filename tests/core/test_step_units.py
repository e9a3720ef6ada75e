"""Units in histories: what the parameters of a step are in."""

from __future__ import annotations

import numpy as np

import sid_xarray as sid
from sid_xarray.core.step_units import units_before


def before(da, step=-1):
    view = da.sid.provenance
    return units_before(view._history.steps, view.steps[step])


def test_units_are_those_that_the_verb_had():
    da = sid.datasets.peak_map()
    out = da.sid.rebin(energy=2).sid.fit("gaussian + constant").center
    assert before(out)["energy"] == "eV"
    assert before(out)[""] == da.attrs["units"]
    assert out.sid.provenance.steps[-1].out["units"][""] == "eV"


def test_only_changes_are_written():
    da = sid.datasets.peak_map().sid.rebin(energy=2).sid.rebin(x=2)
    assert "units" in da.sid.provenance.steps[0].out
    assert all("units" not in s.out and "units_in" not in s.out for s in da.sid.provenance.steps[1:])


def test_a_unit_that_was_set_by_hand_is_seen_by_the_next_step():
    da = sid.datasets.peak_map().sid.rebin(energy=2)
    da = da.assign_coords(energy=da.energy.assign_attrs(units="meV"))
    out = da.sid.sel(energy=(1, 2))
    assert out.sid.provenance.steps[-1].out["units_in"] == {"energy": "meV"}
    assert before(out)["energy"] == "meV"
    assert before(out.sid.rebin(x=2))["energy"] == "meV"


def test_units_of_a_second_input_do_not_replace_those_of_the_first():
    da = sid.datasets.peak_map()
    other = sid.dataarray(np.ones(da.shape[0]), dims={"y": (1.0, "mm")}, units="V", quantity="bias")
    joined = da.sid.trace(lambda d, w: d.weighted(w.drop_vars("y")).mean("y"), other)
    assert before(joined)["y"] == da.y.attrs["units"]


def test_units_in_a_damaged_history_are_no_obstacle():
    da = sid.datasets.peak_map().sid.rebin(energy=2)
    step = da.sid.provenance.steps[-1]
    step.out["units"] = ["no", "mapping"]
    try:
        assert units_before({step.id: step}, step) == {}
    finally:
        del step.out["units"]
