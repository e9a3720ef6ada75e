"""Addresses of steps are made again from their content; fingerprints of stored values are read in parts."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.fingerprint import _slabs, token, token_of_stored
from sid_xarray.core.history import History, read
from sid_xarray.core.history_checks import contradictions, is_genuine
from sid_xarray.ops import TABLE


def run(verb, name):
    da = getattr(sid.datasets, verb.sample)()
    by_dim = {k: v for k, v in verb.params.items() if k in da.dims}
    return getattr(da.sid, name)(
        *([by_dim] if by_dim else []), **{k: v for k, v in verb.params.items() if k not in by_dim}
    )


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_what_verbs_write_is_genuine(name, lazy, monkeypatch):
    if lazy:
        sample = getattr(sid.datasets, TABLE[name].sample)
        monkeypatch.setattr(sid.datasets, TABLE[name].sample, lambda: sample().drop_attrs(deep=False).chunk())
    out = run(TABLE[name], name)
    for part in out.data_vars.values() if isinstance(out, xr.Dataset) else [out]:
        assert list(contradictions(read(part.attrs))) == []


def test_gaps_traces_and_functions_are_genuine():
    da = sid.datasets.peak_map().sid.rebin(energy=2)
    traced = da.sid.trace(lambda d: d - d.mean("energy"))
    applied = (traced * 2).sid.apply(lambda d: d / 2)
    joined = sid.concat([applied, traced.rename(applied.name)], dim="z")
    adopted = xr.DataArray(np.ones(3), dims="q").sid.adopt(joined)
    for one in (traced, applied, joined, adopted, joined.sid.rebin(x=2)):
        assert list(contradictions(read(one.attrs))) == []
        assert list(contradictions(read(json.loads(json.dumps(dict(one.attrs), default=str))))) == []


def test_a_raw_file_may_be_renamed():
    step = sid.datasets.bfo_iv().sid.provenance.steps[0]
    assert is_genuine(step)
    assert is_genuine(dataclasses.replace(step, params={**step.params, "name": "other.h5"}))
    assert is_genuine(dataclasses.replace(step, params={**step.params, "size": 3})) is False


EDITS = {
    "parameter": {"params": {"bins": {"energy": 4}, "reduce": "sum"}},
    "verb": {"op": "sid:sel@1"},
    "version": {"op": "sid:rebin@2"},
    "input": {"inputs": (("in", "0123456789abcdef"),)},
    "no input": {"inputs": ()},
    "part": {"part": "signal"},
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_step_is_named(edit):
    found = read(sid.datasets.peak_map().sid.rebin(energy=2).attrs)
    head = found.heads[0]
    steps = {**found.steps, head: dataclasses.replace(found.steps[head], **EDITS[edit])}
    said = list(contradictions(History(steps, found.heads)))
    assert "was edited: its address is not that of its parameters and inputs" in said[0]


def test_a_history_that_was_cut_is_named():
    found = read(sid.datasets.peak_map().sid.rebin(energy=2).sid.rebin(x=2).attrs)
    kept = dict(list(found.steps.items())[1:])
    (said,) = contradictions(History(kept, found.heads))
    assert said.startswith("step 1 (rebin) was made of step")
    assert said.endswith("which was cut from the history")


def test_a_random_address_cannot_be_judged():
    lazy = sid.datasets.peak_map().drop_attrs(deep=False).chunk().sid.rebin(energy=2)
    first, second = lazy.sid.provenance.steps
    assert is_genuine(first) is None
    assert is_genuine(second) is True


# ---------------------------------------------------------------- fingerprints of stored values


@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 4, 5), (2, 3, 1, 4), (1, 1, 9)])
def test_boxes_hold_a_range_of_values_in_order(shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    for start in range(values.size):
        for stop in range(start + 1, values.size + 1):
            found = np.concatenate([values[where].ravel() for where in _slabs(shape, start, stop)])
            np.testing.assert_array_equal(found, np.arange(start, stop))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3, 4), "f8"), ((300, 40, 50), "f4"), ((17, 129, 131), "c8"), ((2**21 + 3,), "u1"), ((), "f8")],
)
def test_stored_values_have_the_token_of_those_in_memory(shape, dtype, tmp_path):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    dims = {f"d{i}": (1.0, "nm") for i in range(len(shape))}
    da = sid.dataarray(values, dims=dims, units="nA", quantity="current")
    da.sid.to_nsid(tmp_path / "a.h5")
    stored = sid.open_dataarray(tmp_path / "a.h5")
    assert token_of_stored(stored) == token(da)
    assert token_of_stored(da) == token(da)
