"""Addresses of steps are made again from their content; fingerprints of stored values are read in parts."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.fingerprint import _slabs, token, token_of_stored
from sid_xarray.core.history import History, is_genuine, read
from sid_xarray.core.history_checks import contradictions
from sid_xarray.errors import ProvenanceError
from sid_xarray.ops import TABLE


def run(verb, name):
    da = getattr(sid.datasets, verb.sample)()
    by_dim = {k: v for k, v in verb.params.items() if k in da.dims}
    return getattr(da.sid, name)(
        *([by_dim] if by_dim else []), **{k: v for k, v in verb.params.items() if k not in by_dim}
    )


def forged(da, edit):
    """The array with an edited history under the name that the new text has: the edit itself does not show."""
    (key,) = [k for k in da.attrs if k.startswith("sid_prov_")]
    text = edit(da.attrs[key])
    attrs = {k: v for k, v in da.attrs.items() if k != key}
    return da.drop_attrs(deep=False).assign_attrs(
        {**attrs, f"sid_prov_{hashlib.sha256(text.encode()).hexdigest()[:12]}": text}
    )


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('{"x":2}', "[" * 200 + "]" * 200),
        lambda text: text.replace('{"x":2}', "[" * 900 + "]" * 900),
        lambda text: text.replace('{"x":2}', "[" * 10**5 + "]" * 10**5),
        lambda text: text.replace('{"x":2}', '{"x":1e999}'),
        lambda text: text.replace('{"x":2}', '{"x":NaN}'),
        lambda text: text.replace('{"x":2}', '{"x":' + "9" * 5000 + "}"),
        lambda text: text.replace("sid:rebin@1", "sid:rebin\\nimport os@1"),
        lambda text: text.replace('"t":"2', '"t":"\\u001b[2J'),
        lambda text: text.replace('"id":"', '"id":["x"],"ID":"', 1),
        lambda text: text.replace('"in":[[', '"in":[[1,2,3],['),
    ],
)
def test_a_history_that_nothing_of_ours_could_have_written_is_damaged(edit):
    da = forged(sid.datasets.peak_map().sid.rebin(x=2), edit)
    view = da.sid.provenance
    assert view.status == "modified"
    assert "was changed" in view.reason
    assert "\n" not in repr(view).removeprefix("<")
    assert view._repr_html_()
    assert da.sid.rebin(y=2).sid.provenance.operations == ("input", "rebin")
    with pytest.raises(ProvenanceError, match="not that of these values"):
        view.replay(da)


def test_a_step_that_was_edited_shows_in_the_status_although_the_text_has_its_right_name():
    da = sid.datasets.peak_map().sid.rebin(x=2)
    assert forged(da, lambda text: text).sid.provenance.status == "verified"
    view = forged(da, lambda text: text.replace('"x":2', '"x":3')).sid.provenance
    assert view.status == "modified"
    assert view.operations == ("input", "rebin")


def test_what_is_written_can_be_read():
    deep = [1]
    for _ in range(55):
        deep = [deep]
    da = sid.datasets.peak_map()
    out = da.sid.trace(lambda d: d.sid.with_metadata(a=deep))
    assert forged(out, lambda text: text).sid.provenance.status == "verified"
    assert compile(out.sid.provenance.to_script(), "script", "exec")
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ProvenanceError, match="cannot be recorded: it is nested too deeply"):
        da.sid.trace(lambda d: d.sid.with_metadata(a=deep))


def test_versions_in_a_history_are_text():
    da = forged(sid.datasets.peak_map().sid.rebin(x=2), lambda t: t.replace('"numpy":"', '"numpy":{"a":1},"b":"', 1))
    view = da.sid.provenance
    assert view.environment()
    assert not [d for d in view.diff(view) if d.kind == "package"]
    assert view.methods_text()


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
