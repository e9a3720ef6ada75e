"""What differs between two histories, and between then and now."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.core import history
from sid_xarray.core.calls import calls, line
from sid_xarray.core.history import History, Step
from sid_xarray.core.provenance import Provenance


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


def of(da):
    return da.sid.provenance


def kinds(found):
    return [d.kind for d in found]


def test_equal_recipes_do_not_differ(raw):
    found = of(raw.sid.rebin(energy=2)).diff(of(raw.sid.rebin(energy=2)))
    assert not found
    assert repr(found) == "<no difference>"
    assert found.to_dict() == {}


def test_the_first_difference_does_not_hide_what_comes_after(raw):
    one = raw.sid.rebin(energy=2).sid.calibrate(x={"offset": 1.0}).sid.fit("gaussian + constant")
    two = raw.sid.rebin(energy=4).sid.calibrate(x={"offset": 1.0}).sid.fit("gaussian + constant")
    found = of(one).diff(two)
    assert kinds(found) == ["parameter"]
    assert (found[0].step, found[0].what) == ("2 rebin", "bins")
    assert (found[0].here, found[0].there) == ({"energy": 2}, {"energy": 4})


def test_a_step_more_is_that_step_and_the_input_of_the_next(raw):
    one, two = raw.sid.fit("gaussian + constant"), raw.sid.rebin(x=2).sid.fit("gaussian + constant")
    found = of(one).diff(two)
    assert kinds(found) == ["input", "there"]
    assert found.of("input")[0].here == "1 input"
    assert found.of("there")[0].there.startswith("rebin(")
    other_way = of(two).diff(one)
    assert sorted(kinds(other_way)) == ["here", "input"]


def test_other_raw_data_are_one_difference(raw):
    other = sid.datasets.peak_map(seed=1)
    found = of(raw.sid.rebin(energy=2)).diff(other.sid.rebin(energy=2))
    assert kinds(found) == ["root"]


def test_two_calls_of_one_verb_are_compared_with_their_likes(raw):
    one = raw.sid.rebin(energy=2).sid.rebin(x=2).sid.rebin(y=2)
    two = raw.sid.rebin(energy=2).sid.rebin(x=4).sid.rebin(y=2)
    found = of(one).diff(two)
    assert kinds(found) == ["parameter"]
    assert found[0].step == "3 rebin"


def test_a_parameter_that_only_one_gives(raw):
    one = raw.sid.remove_background("offset", dim="energy", fit_range=(0, 1))
    two = raw.sid.remove_background("polynomial", dim="energy", fit_range=(0, 1))
    found = of(one.signal).diff(two.signal)
    given = next(d for d in found if d.what == "degree")
    assert given.here == "(not given)"
    assert "degree (not given) | 1" in repr(found)


def changed(da, **fields):
    view = of(da)
    steps = {k: dataclasses.replace(s, **fields) if k == view.id else s for k, s in view._history.steps.items()}
    return Provenance(History(steps, view.heads), "unknown")


def test_versions_of_packages_and_verbs_and_results(raw):
    da = raw.sid.rebin(energy=2)
    old = changed(da, agents={"numpy": "1.0"}, op="sid:rebin@0", out={"tok": "other"})
    found = of(da).diff(old)
    assert set(kinds(found)) == {"version", "result", "package"}
    assert [d.what for d in found.of("package")] == ["numpy"]
    assert found.of("version")[0].there == "sid:rebin@0"


def test_rows_are_plain_data(raw):
    found = of(raw.sid.rebin(energy=2)).diff(raw.sid.rebin(energy=4).sid.rebin(x=2)).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"parameter", "there"}


def test_long_histories_are_compared_in_no_time():
    def chain(n, tail):
        steps = [Step("0", "sid:input@1")]
        steps += (
            [Step(f"{tail}{i}", "sid:x@1", {"i": i}, (("in", steps[-1].id),)) for i in range(1, n)] if not tail else []
        )
        for i in range(1, n if tail else 1):
            steps.append(Step(f"{tail}{i}", "sid:x@1", {"i": i % 7, "t": tail}, (("in", steps[-1].id),)))
        return Provenance(History({s.id: s for s in steps}, (steps[-1].id,)), "unknown")

    found = chain(3000, "a").diff(chain(3000, "b"))
    assert {d.kind for d in found} == {"parameter"}


def test_a_damaged_history_can_be_compared(raw):
    forged = {"id": "a", "op": "no colon", "p": {"q": {"~": "array", "dtype": "O", "shape": [1], "v": ""}}}
    text = history.records.dumps({"v": 1, "head": "a", "steps": [forged]})
    da = raw.drop_attrs().assign_attrs({"sid_prov_0": text})
    assert repr(of(da).diff(raw.sid.rebin(x=2)))


# ---------------------------------------------------------------- environments


def test_an_environment_is_that_of_here(raw):
    found = of(raw.sid.rebin(x=2)).environment()
    assert {p.name for p in found} >= {"python", "numpy", "xarray", "sid-xarray", "scipy", "dask"}
    assert not found.differences
    assert next(p for p in found if p.name == "numpy").recorded == (np.__version__,)


def test_other_versions_are_marked(raw):
    found = changed(raw.sid.rebin(x=2), agents={"numpy": "1.0", "nowhere": "2"}).environment()
    assert {p.name for p in found.differences} == {"numpy", "nowhere"}
    assert next(p for p in found if p.name == "nowhere").here is None
    lines = repr(found).splitlines()
    assert any(line.endswith("differs") and line.startswith("numpy") for line in lines)
    assert found.to_dict()["numpy"]["differs"] is True


# ---------------------------------------------------------------- calls


def test_a_verb_with_several_results_is_one_call(raw):
    ds = raw.sid.fit("gaussian + constant")
    found = of(ds).calls
    assert [c.name for c in found] == ["input", "fit"]
    assert found[1].parts == tuple(map(str, ds.data_vars))
    assert found[1].number == f"2–{1 + len(ds)}"
    assert f"→ {', '.join(list(ds.data_vars)[:3])}, … {len(ds) - 3} more" in line(found[1])


def test_two_gaps_behind_one_array_are_two_calls(raw):
    da = raw.sid.rebin(x=2)
    both = (da * 2).sid.rebin(y=2) - (da * 3).sid.rebin(y=2)
    assert [c.name for c in of(both).calls].count("unrecorded") == 2


def test_traced_operations_read_as_they_were_typed(raw):
    da = raw.sid.trace(lambda d: d.rolling(x=3).mean() - d.mean("energy"))
    assert [line(c) for c in of(da).calls][1:] == ["rolling(x=3).mean()", "mean('energy')", "sub(in1)"]
    assert "sub(<3>)   from 2, 3" in repr(of(da))


def test_functions_without_a_name_cannot_be_repeated(raw):
    def halve(da):
        return da / 2

    assert [c.is_repeatable for c in of(raw.sid.apply(halve)).calls] == [True, False]
    assert not of((raw.sid.rebin(x=2) * 2).sid.rebin(y=2)).calls[2].is_repeatable


def test_calls_of_nothing():
    assert calls([]) == ()
