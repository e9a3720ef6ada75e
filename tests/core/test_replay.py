"""Histories, done again: on the same arrays, on others, from files; and what is refused."""

from __future__ import annotations

import ast
import functools
import gc
import shutil
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import history, provenance
from sid_xarray.core.replay.plan import by_signature, make_plan
from sid_xarray.errors import FormatError, ProvenanceError
from sid_xarray.testing import assert_same


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    dims = {"y": (0.5, "nm"), "energy": (0.5, "eV")}
    return [sid.dataarray(rng.normal(size=(4, 8)), dims, units="nA", name=n) for n in ("sample", "reference")]


def forged(steps: list[dict[str, Any]], head: str) -> dict[str, str]:
    text = history.records.dumps({"v": 1, "head": head, "steps": steps})
    return {"sid_prov_" + history.hashlib.sha256(text.encode()).hexdigest()[:12]: text}


def with_history(*steps: dict[str, Any]) -> Any:
    return provenance.Provenance(history.read(forged(list(steps), steps[-1]["id"])), "unknown")


ROOT = {"id": "r", "op": "sid:input@1", "p": {"name": "raw"}}


# ---------------------------------------------------------------- what comes out


def test_a_replay_of_a_dataset_is_the_dataset(raw):
    fit = raw.sid.fit("gaussian + constant")
    xr.testing.assert_identical(fit.sid.provenance.replay(raw), fit)
    xr.testing.assert_identical(fit[["center", "sigma"]].sid.provenance.replay(raw), fit[["center", "sigma"]])
    renamed = fit[["center"]].rename(center="c")
    assert list(renamed.sid.provenance.replay(raw)) == ["c"]
    mixed = xr.Dataset({"a": fit.center, "b": raw.sid.sel(energy=5.0).drop_vars("energy")})
    again = mixed.sid.provenance.replay(raw)
    np.testing.assert_array_equal(again.a, mixed.a)
    np.testing.assert_array_equal(again.b, mixed.b)


def test_verbs_on_datasets_get_the_dataset_that_they_had(raw):
    curve = raw.sid.fit("gaussian + constant").sid.evaluate(raw.energy)
    xr.testing.assert_identical(curve.sid.provenance.replay(raw), curve)
    finer = raw.sid.fit("gaussian + constant").sid.evaluate(np.arange(3, 7))
    xr.testing.assert_identical(finer.sid.provenance.replay(raw), finer)


@pytest.mark.parametrize(
    "options",
    [
        {"guess": {"center": 5.0, "sigma": 1.0}},
        {"fixed": {"sigma": 0.8}},
        {"fixed": ["offset"]},
        {"bounds": {"center": (3, None)}},
        {"variance": "map", "absolute_sigma": False},
        {"weights": "curve"},
        {"guess": "fit"},
        {"guess": {"center": "map"}, "fixed": {"sigma": "map"}},
    ],
    ids=str,
)
def test_every_form_of_a_fit_replays(raw, options):
    first = raw.sid.fit("gaussian + constant")
    ones = xr.ones_like(provenance.strip(raw))

    def filled(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {k: filled(v, k) for k, v in value.items()}
        made = {"map": first.get(name, ones), "curve": np.linspace(1, 2, 64), "fit": first}
        return made[value] if isinstance(value, str) else value

    out = raw.sid.fit("gaussian + constant", **{k: filled(v, k) for k, v in options.items()})
    plan = make_plan(out.sid.provenance)
    assert not plan.problems
    given = {key: raw if step.params.get("tok") else _found(out, key, ones) for key, step in plan.roots.items()}
    xr.testing.assert_identical(out.sid.provenance.replay(given), out)


def _found(out: xr.Dataset, key: str, ones: xr.DataArray) -> xr.DataArray:
    """The bare array that a root stands for: of ones, or the curve."""
    if len(out.center.sid.provenance._history.steps[key].out["dims"]) == 3:
        return ones
    return xr.DataArray(np.linspace(1, 2, 64), dims="energy", coords={"energy": ones.energy})


@pytest.mark.parametrize("how", ["on", "reference", "both", "frame"])
def test_every_form_of_a_registration_replays(how):
    stack = sid.datasets.drifting_stack()
    sharp = provenance.strip(stack * 2).rename("sharp")
    image = provenance.strip(stack.isel({stack.dims[0]: 0}, drop=True)).rename("image")
    options = {"on": {"on": sharp}, "reference": {"reference": image}, "frame": {"reference": 1}}
    options["both"] = options["on"] | options["reference"]
    out = stack.sid.register(**options[how])
    arrays = {stack.name: stack, "sharp": sharp, "image": image}
    view = out.sid.provenance
    given = {key: arrays[name] for key, name in make_plan(view).names.items()}
    xr.testing.assert_identical(view.replay(given), out)


def test_what_components_make_up_replays_under_its_name(raw):
    for components, name in ((2, None), ([0, 2], "part"), (None, "all")):
        out = raw.sid.decompose(3).sid.reconstruct(components, name=name)
        xr.testing.assert_identical(out.sid.provenance.replay(raw), out)


def test_a_history_on_top_of_a_history_goes_on(raw):
    coarse = raw.sid.rebin(x=2)
    again = raw.sid.fit("gaussian + constant").center.sid.provenance.replay(coarse)
    assert again.sid.provenance.operations == ("input", "rebin", "fit")
    assert_same(again, coarse.sid.fit("gaussian + constant").center)


def test_a_diamond_is_done_once(raw, monkeypatch):
    calls = []
    from sid_xarray.ops import rebin as module

    @functools.wraps(module.rebin)
    def counted(*args, **kwargs):
        calls.append(1)
        return counted.__wrapped__(*args, **kwargs)

    monkeypatch.setattr(module, "rebin", counted)
    coarse = raw.sid.trace(lambda d: d + 0.5).sid.rebin(x=2)
    out = coarse.sid.trace(lambda d: (d - d.mean("x")) / d.std("x"))
    calls.clear()
    assert out.sid.provenance.replay(raw).identical(out)
    assert calls == [1]


def test_what_is_not_needed_any_more_is_forgotten():
    big = sid.dataarray(np.zeros((1000, 1000)), {"y": None, "x": None}, name="big")
    out = big
    for i in range(6):
        out = out.sid.trace(lambda d, i=i: d + i)
    view = out.sid.provenance
    del out
    gc.collect()
    tracemalloc.start()
    view.replay(big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * big.nbytes  # eight arrays would be there otherwise


def test_a_replay_keeps_nothing_alive(raw):
    new = raw.copy(data=raw.values.copy())
    ref = weakref.ref(new.values)
    raw.sid.rebin(x=2).sid.provenance.replay(new)
    del new
    gc.collect()
    assert ref() is None


def test_an_error_in_a_step_says_which(raw):
    view = raw.sid.rebin(x=2).sid.fit("gaussian + constant").center.sid.provenance
    with pytest.raises(sid.errors.DimensionError) as found:
        view.replay(raw.rename(x="z"))
    assert found.value.__notes__ == ["while replaying step 2 ('rebin')"]


# ---------------------------------------------------------------- which arrays


def test_several_arrays_are_given_by_name_id_or_beginning_of_the_id(pair):
    a, b = pair
    out = a.sid.trace(lambda d, r: d - r.mean("y"), b)
    view = out.sid.provenance
    keys = [step.id for step in view.roots]
    for given in (
        {"sample": a, "reference": b},
        dict(zip(keys, pair, strict=True)),
        dict(zip((k[:6] for k in keys), pair, strict=True)),
    ):
        xr.testing.assert_identical(view.replay(given), out)
    xr.testing.assert_identical(view.replay(sample=a, reference=b), out)
    xr.testing.assert_identical(view.replay({"sample": a}, reference=b), out)
    assert view.replay(sample=b, reference=a).equals(b - a.mean("y"))


def test_what_is_wrong_with_the_arrays_given_is_said(pair, raw):
    a, b = pair
    view = a.sid.trace(lambda d, r: d - r, b).sid.provenance
    with pytest.raises(ProvenanceError, match=r"starts from 2 arrays.*replay\(sample=..., reference=...\)"):
        view.replay(a)
    with pytest.raises(ProvenanceError, match=r"no array 'sampel'. Did you mean 'sample'\?"):
        view.replay(sampel=a, reference=b)
    with pytest.raises(ProvenanceError, match="given twice"):
        view.replay({"sample": a}, **{view.roots[0].id: a})
    with pytest.raises(ProvenanceError, match="'sample' should be a DataArray or the path of a file, got int"):
        view.replay(sample=3, reference=b)
    with pytest.raises(ProvenanceError, match=r"the array 'reference' was an array in memory and is not given"):
        view.replay(sample=a)
    with pytest.raises(ProvenanceError, match="no file or folder"):
        view.replay(sample=a, path="/nowhere/at/all")


def test_two_arrays_of_one_name_are_told_apart(raw):
    other = sid.datasets.peak_map(seed=1)
    view = raw.sid.trace(lambda d, r: d - r, other).sid.provenance
    assert list(make_plan(view).names.values()) == ["intensity", "intensity_2"]
    assert view.replay(intensity=raw, intensity_2=other).equals(raw - other)


def test_raw_files_are_found_again(tmp_path, monkeypatch):
    path = sid.datasets.bfo_iv_path()
    out = sid.datasets.bfo_iv().sid.rebin(x=2)
    shutil.copy(path, tmp_path / "bfo_iv_final.hf5")
    monkeypatch.chdir(tmp_path)
    for where in (None, ".", tmp_path, tmp_path / "bfo_iv_final.hf5", path):
        xr.testing.assert_identical(out.sid.provenance.replay(path=where), out)
    (tmp_path / "bfo_iv_final.hf5").rename(tmp_path / "renamed.hf5")
    xr.testing.assert_identical(out.sid.provenance.replay(path=tmp_path), out)
    (tmp_path / "renamed.hf5").unlink()
    with pytest.raises(
        ProvenanceError, match=r"came from the file 'bfo_iv_final\.hf5' and is not given. There is no such"
    ):
        out.sid.provenance.replay()


def test_another_file_of_the_same_name_is_not_taken(tmp_path, raw):
    out = sid.datasets.bfo_iv().sid.rebin(x=2)
    raw.sid.to_nsid(tmp_path / "bfo_iv_final.hf5")
    (tmp_path / "broken.hf5").write_bytes(b"no HDF5")
    for path in (tmp_path, tmp_path / "bfo_iv_final.hf5"):
        with pytest.raises(
            ProvenanceError, match=r"final\.hf5' is another one, or was changed since\. .*replay\({'IV_BFO': '.*'}\)"
        ):
            out.sid.provenance.replay(path=path)
    with pytest.raises(ProvenanceError, match=r"Looked into broken\.hf5"):
        out.sid.provenance.replay(path=tmp_path / "broken.hf5")


def test_arrays_of_ours_are_found_in_files(tmp_path, pair):
    a, b = pair
    a.sid.to_nsid(tmp_path / "a.h5")
    b.sid.to_nsid(tmp_path / "b.h5")
    out = a.sid.trace(lambda d, r: d - r, b)
    xr.testing.assert_identical(out.sid.provenance.replay(path=tmp_path), out)


def test_a_path_takes_the_place_of_an_array(tmp_path, raw, pair):
    other = sid.datasets.peak_map(seed=1)
    other.sid.to_nsid(tmp_path / "one.h5")
    out = raw.sid.rebin(x=2)
    assert out.sid.provenance.replay(tmp_path / "one.h5").equals(other.sid.rebin(x=2))
    for da in (sid.datasets.peak_map(seed=2).rename("first"), other.rename("second"), *pair):
        da.sid.to_nsid(tmp_path / "many.h5")
    with pytest.raises(FormatError, match=r"holds 4 signals, name one: '.*many\.h5::/Meas"):
        out.sid.provenance.replay(str(tmp_path / "many.h5"))
    assert out.sid.provenance.replay(f"{tmp_path / 'many.h5'}::second").equals(other.sid.rebin(x=2))
    with pytest.raises(FormatError, match="holds no signals 'third'"):
        out.sid.provenance.replay(f"{tmp_path / 'many.h5'}::third")
    view = pair[0].sid.trace(lambda d, r: d - r, pair[1]).sid.provenance
    many = str(tmp_path / "many.h5")
    assert view.replay(sample=many, reference=many).equals(pair[0] - pair[1])


# ---------------------------------------------------------------- what is refused


def test_gaps_are_named_and_say_what_to_do(raw):
    view = (raw.sid.rebin(x=2) * 2).sid.fit("gaussian + constant").center.sid.provenance
    with pytest.raises(ProvenanceError, match=r"step 3 \('unrecorded'\): left no record .*da\.sid\.trace\(lambda d"):
        view.replay(raw)


def test_values_that_are_not_those_of_the_history_are_no_replay(raw):
    out = raw.sid.rebin(x=2)
    lazy = raw.chunk().sid.rebin(x=2)
    for changed, said in (
        (out * 2, "the values were changed"),
        (out.isel(x=0), "changed from dims"),
        (lazy * 2, "lazy values went through"),
        ((lazy * 2).compute(), "lazy values went through"),
        (out - raw.sid.rebin(x=2, reduce="mean"), "joined by plain arithmetic"),
        (raw.drop_attrs(), "no history to do again"),
        (out.to_dataset(name="a").assign(b=out * 2), "the values were changed"),
        (xr.Dataset(), "no history to do again"),
    ):
        with pytest.raises(ProvenanceError, match=said):
            changed.sid.provenance.replay(raw)
        with pytest.raises(ProvenanceError, match=said):
            changed.sid.provenance.to_script()
    assert lazy.sid.provenance.replay(raw).equals(out)
    assert lazy.compute().sid.provenance.replay(raw).equals(out)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"op": "sid:nothing@1"}, "no verb 'nothing'"),
        ({"op": "os:system@1", "p": {"args": ["true"]}}, "'os:system@1' is no operation"),
        ({"op": "xr:to_netcdf@1", "p": {"args": ["a.nc"]}}, "is no operation"),
        ({"op": "xr:__class__@1"}, "is no operation"),
        ({"op": "np:fromfile@1", "p": {"args": ["/etc/passwd"]}}, "is no operation"),
        ({"op": "xr:mean"}, "is no operation"),
        ({"op": "sid:rebin@1", "p": {"bins": {"x": 2}, "path": "a"}}, "does not take 'path'"),
        ({"op": "sid:rebin@7", "p": {"bins": {"x": 2}}}, "recorded by version 7 of 'rebin'; here is version 1"),
        ({"op": "xr:mean@7"}, "recorded by version 7"),
        ({"op": "sid:fit@1", "p": {"model": {"~": "opaque", "v": "os:system"}}}, "the object 'os:system'"),
        ({"op": "sid:fit@1", "p": {"guess": [{"~": "xarray", "tok": []}]}}, "an array that is no input"),
        ({"op": "sid:rebin@1", "p": {"bins": {"~": "what"}}}, "of the type 'what'"),
        ({"op": "xr:mean@1", "p": {"args": 3}}, "are damaged"),
        ({"op": "xr:mean@1", "p": {"kwargs": []}}, "are damaged"),
        ({"op": "xr:rolling.mean@1", "p": {"of": 3}}, "are damaged"),
        ({"op": "xr:sub@1", "p": {"args": [{"~": "in", "v": 9}]}}, "is damaged"),
        ({"op": "sid:apply@1", "p": {"function": "os:system"}}, "is not registered here"),
        ({"op": "sid:apply@1", "p": {"module": "os", "name": "system"}}, "no name was given"),
        ({"op": "sid:fit@1", "p": {}}, "its parameters are damaged: KeyError"),
        (
            {"op": "sid:fit@1", "p": {"model": {"~": "timedelta", "v": [10**30, 0, 0]}}},
            "damaged value of type 'timedel",
        ),
        ({"op": "sid:evaluate@1", "p": {"x": {"linspace": [0, 1, 10**12]}}}, "the history was edited"),
        ({"op": "sid:evaluate@1", "p": {"x": {"linspace": [0, 1, "a"]}}}, "its parameters are damaged: TypeError"),
        ({"op": "xr:getitem@1", "p": {}}, r"takes 1 argument\(s\)"),
        ({"op": "xr:mul@1", "p": {}}, r"takes 1 argument\(s\)"),
        ({"op": "xr:neg@1", "p": {"args": [1]}}, r"takes 0 argument\(s\)"),
        ({"op": "xr:dt.month@1", "p": {"args": [1]}}, r"takes 0 argument\(s\)"),
        ({"op": "xr:rolling.mean@1", "p": {"of": [{"~": "set", "v": [1]}, {}]}}, "are damaged"),
        ({"op": "xr:rolling.mean@1", "p": {"of": [[], {"~": "tuple", "v": [1]}]}}, "are damaged"),
        ({"op": "xr:mean@1", "p": {"options": {"file_cache_maxsize": 1}}}, "the options of a step are damaged"),
        ({"op": "xr:mean@1", "p": {"options": [1]}}, "the options of a step are damaged"),
    ],
    ids=str,
)
def test_forged_and_unknown_steps_are_refused_before_anything_is_done(step, said):
    view = with_history(ROOT, {"id": "s", "in": [["in", "r"]], **step})
    with pytest.raises(ProvenanceError, match=said) as found:
        view.replay(xr.DataArray(np.zeros(3), dims="x"))
    assert "step 2" in str(found.value)
    ast.parse(view.to_script())


def test_a_step_that_is_missing_is_named():
    view = with_history({"id": "s", "op": "xr:mean@1", "in": [["in", "gone"]]})
    with pytest.raises(ProvenanceError, match="made of step gone, which is not in the history"):
        view.replay(xr.DataArray(np.zeros(3), dims="x"))


def test_several_gaps_are_counted(raw):
    view = ((raw.sid.rebin(x=2) * 2).sid.rebin(y=2) * 2).sid.rebin(y=3).sid.provenance
    with pytest.raises(ProvenanceError, match=r"cannot be replayed \(and 1 more\): step 3"):
        view.replay(raw)


def test_a_verb_without_recall_says_so(raw):
    def verb(da, *, a=1):
        return da

    with pytest.raises(ProvenanceError, match="'verb' does not take 'b': its row in the table of verbs lacks `recall`"):
        by_signature(verb, [raw], {"b": 2})
    with pytest.raises(ProvenanceError, match="does not take 2 arrays"):
        by_signature(verb, [raw, raw], {})
    with pytest.raises(ProvenanceError, match="does not take 2 arrays"):
        by_signature(lambda da, **options: da, [raw, raw], {})
    assert by_signature(verb, [raw], {"a": 2}) == ((raw,), {"a": 2})


def test_a_verb_of_two_arrays_needs_no_recall(raw):
    def verb(da, other, by=1, /, *, a=1):
        return da

    assert by_signature(verb, [raw, raw], {"a": 2, "by": 3}) == ((raw, raw, 3), {"a": 2})


def test_a_dataset_or_an_open_file_does_in_place_of_an_array(raw, tmp_path):
    view = raw.sid.rebin(x=2).sid.provenance
    other = sid.datasets.peak_map(seed=1)
    expected = view.replay(other)
    assert view.replay(other.to_dataset()).equals(expected)
    assert view.replay(other.rename("whatever").to_dataset()).equals(expected)
    both = xr.Dataset({"noise": other * 2, "intensity": other})
    assert view.replay(both).equals(expected)
    other.sid.to_nsid(tmp_path / "a.h5")
    other.sid.rebin(energy=2).sid.to_nsid(tmp_path / "a.h5", source=other)
    assert view.replay(sid.open(tmp_path / "a.h5")).equals(expected)
    assert view.replay(intensity=sid.open(tmp_path / "a.h5")).equals(expected)
    with pytest.raises(ProvenanceError, match=r"'intensity' should be one array, got a Dataset with 2\. .*: /a, /b"):
        view.replay(xr.Dataset({"a": other, "b": other}))
    with pytest.raises(ProvenanceError, match=r"got a DataTree with 0\. Give one of them: none"):
        view.replay(xr.DataTree())


# ---------------------------------------------------------------- size


def test_fifty_traced_steps_of_two_inputs_are_small(pair):
    a, b = pair

    def long(d, r):
        for i in range(12):
            d = (d - r * (1.0 + i)).isel(y=slice(None, None, -1)).fillna(0.5)
        return d

    out = a.sid.trace(long, b)
    assert len(out.sid.provenance) == 50
    (text,) = [v for k, v in out.attrs.items() if k.startswith("sid_prov_")]
    assert len(text) < 20_000
    xr.testing.assert_identical(out.sid.provenance.replay(sample=a, reference=b), out)
