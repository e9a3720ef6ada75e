"""Histories, done again: on the same arrays, on others, from files; and what is refused."""

from __future__ import annotations

import ast
import functools
import gc
import shutil
import subprocess
import sys
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import history, provenance
from sid_xarray.core.registry import FUNCTIONS, Registry
from sid_xarray.core.replay.plan import by_signature, make_plan
from sid_xarray.errors import AlignmentError, FormatError, ProvenanceError, RegistryError
from sid_xarray.testing import assert_same, no_compute


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    dims = {"y": (0.5, "nm"), "energy": (0.5, "eV")}
    return [sid.dataarray(rng.normal(size=(4, 8)), dims, units="nA", name=n) for n in ("sample", "reference")]


@pytest.fixture
def functions():
    """Functions that are registered are forgotten afterwards."""
    before = dict(FUNCTIONS._places), dict(FUNCTIONS._loaded)
    yield FUNCTIONS
    FUNCTIONS._places, FUNCTIONS._loaded = before


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
    with pytest.raises(ProvenanceError, match="came from the file 'bfo_iv_final.hf5' and is not given. There is no such"):
        out.sid.provenance.replay()


def test_another_file_of_the_same_name_is_not_taken(tmp_path, raw):
    out = sid.datasets.bfo_iv().sid.rebin(x=2)
    raw.sid.to_nsid(tmp_path / "bfo_iv_final.hf5")
    (tmp_path / "broken.hf5").write_bytes(b"no HDF5")
    with pytest.raises(ProvenanceError, match="Looked into bfo_iv_final.hf5"):
        out.sid.provenance.replay(path=tmp_path)


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
    with pytest.raises(FormatError, match="holds 4 signals, name one: '.*many.h5::/Meas"):
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
    assert by_signature(verb, [raw], {"a": 2}) == ((raw,), {"a": 2})


# ---------------------------------------------------------------- concat and merge


def test_concat_records_replays_and_is_verified(pair):
    a, b = pair
    out = sid.concat([a, b], "frame")
    xr.testing.assert_equal(out, xr.concat([a, b], "frame"))
    view = out.sid.provenance
    assert (view.status, view.operations) == ("verified", ("input", "input", "concat"))
    assert out.attrs["units"] == "nA"
    xr.testing.assert_identical(view.replay(sample=a, reference=b), out)
    assert view.replay(sample=b, reference=b).equals(xr.concat([b, b], "frame"))


def test_concat_takes_positions_along_the_new_dimension(pair):
    import pandas as pd

    a, b = pair
    for dim in (
        xr.DataArray([0.5, 1.5], dims="t", name="t", attrs={"units": "s"}),
        pd.Index([0.5, 1.5], name="t"),
        xr.DataArray(pd.date_range("2024-01-01", periods=2), dims="t", name="t"),
    ):
        out = sid.concat([a, b], dim)
        xr.testing.assert_identical(out.sid.provenance.replay(sample=a, reference=b), out)
        assert out.dims[0] == "t"


def test_concat_of_datasets_and_along_a_dimension(raw):
    left, right = raw.isel(x=slice(0, 4)), raw.isel(x=slice(4, None))
    assert sid.concat([left, right], "x").equals(raw)
    one, two = (sid.datasets.peak_map(seed=s) for s in (1, 2))
    fits = [da.sid.fit("gaussian + constant") for da in (one, two)]
    both = sid.concat(fits, "frame")
    assert both.center.sid.provenance.status == "verified"
    names = {key: da for step in both.sid.provenance.roots for da in (one, two)
             if da.sid.provenance.id == step.id for key in (step.id,)}  # fmt: skip
    xr.testing.assert_identical(both.center.sid.provenance.replay(names), both.center)
    xr.testing.assert_identical(both.sid.provenance.replay(names), both)


def test_joins_on_other_grids_are_refused_and_name_the_fix(pair):
    a, b = pair
    moved = b.assign_coords(y=b.y + 1e-9)
    for join in (lambda **k: sid.concat([a, moved], "f", **k), lambda **k: sid.merge([a, moved], **k)):
        with pytest.raises(AlignmentError, match=r"reindex_like.*join='outer'"):
            join()
        assert join(join="outer").sizes["y"] == 8


def test_merge_records_and_replays(pair):
    a, b = pair
    out = sid.merge([a, b])
    assert out.sid.provenance.status == "verified"
    for name in out:
        assert out[name].sid.provenance.operations == ("input", "input", "merge")
    xr.testing.assert_identical(out.sid.provenance.replay(sample=a, reference=b), out)
    xr.testing.assert_identical(out["sample"].sid.provenance.replay(sample=a, reference=b), out["sample"])
    fit = sid.datasets.peak_map().sid.fit("gaussian + constant")
    more = sid.merge([fit, (fit.center * 2).rename("twice")])
    assert more.sid.provenance.status == "verified"
    assert "unrecorded" in more.twice.sid.provenance.operations


def test_joins_stay_lazy(pair):
    lazy = [da.chunk() for da in pair]
    with no_compute():
        assert sid.concat(lazy, "frame").sid.provenance.status == "unknown"
        assert sid.merge(lazy)["sample"].sid.provenance.status == "unknown"


def test_a_callable_among_the_arguments_is_opaque(pair):
    out = sid.concat(pair, "frame", combine_attrs=lambda attrs, context: {})
    with pytest.raises(ProvenanceError, match="worked with the object"):
        out.sid.provenance.replay(sample=pair[0], reference=pair[1])


def test_joins_of_xarray_unite_histories_where_they_are_asked_to(pair):
    a, b = pair
    joined = xr.concat([a, b], "frame", combine_attrs="drop_conflicts")
    assert joined.sid.provenance.status == "merged"
    assert len(joined.sid.provenance.roots) == 2
    assert joined.sid.rebin(y=2).sid.provenance.operations == ("input", "input", "unrecorded", "rebin")
    plain = xr.concat([a, b], "frame")
    assert plain.sid.provenance.status == "modified"
    merged = xr.merge([a, b], combine_attrs="drop_conflicts", join="exact", compat="no_conflicts")
    assert {da.sid.provenance.status for da in merged.data_vars.values()} == {"verified"}
    dataset = xr.concat(
        [a.to_dataset(name="v"), b.to_dataset(name="v")], "frame", combine_attrs="drop_conflicts", data_vars="all"
    )
    assert dataset.v.sid.provenance.status in ("merged", "modified")


# ---------------------------------------------------------------- functions of users


def smooth(da, width=3, *, by=None):
    """Mean of neighbours."""
    out = da.rolling(energy=width, center=True, min_periods=1).mean()
    return out if by is None else out / by


def test_a_function_is_recorded_with_its_source_and_stops_a_replay(raw):
    out = raw.sid.apply(smooth, 5, by=2.0)
    view = out.sid.provenance
    assert view.status == "verified"
    said = view.parameters()
    assert said["name"] == "smooth"
    assert said["source"].startswith("def smooth(da, width=3, *, by=None):\n")
    assert (said["args"], said["kwargs"]) == ([5], {"by": 2.0})
    assert said["module"] == smooth.__module__
    with pytest.raises(ProvenanceError, match=r"step 2 \('apply'\): called .*smooth, .*sid.register_function\('mine'"):
        view.replay(raw)
    assert raw.sid.apply(np.add, 1).sid.provenance.parameters()["version"] == np.__version__
    assert "source" not in raw.sid.apply(np.add, 1).sid.provenance.parameters()


def test_a_registered_function_replays(raw, functions, pair):
    sid.register_function("smooth", smooth)
    other = sid.datasets.peak_map(seed=1)
    for out in (raw.sid.apply("smooth", 5, by=2.0), raw.sid.apply(smooth, 5, by=2.0)):
        assert "source" not in out.sid.provenance.parameters()
        xr.testing.assert_identical(out.sid.provenance.replay(raw), out)
        assert out.sid.provenance.replay(other).equals(smooth(other, 5, by=2.0))
    a, b = pair
    two = a.sid.apply("smooth", by=b)
    xr.testing.assert_identical(two.sid.provenance.replay(sample=a, reference=b), two)


def test_a_function_of_datasets_replays(raw, functions):
    sid.register_function("ratio", lambda ds, *names: (ds[names[0]] / ds[names[1]]).rename("ratio"))
    fit = raw.sid.fit("gaussian + constant")
    out = fit.sid.apply("ratio", "center", "sigma")
    xr.testing.assert_identical(out.sid.provenance.replay(raw), out)


def test_another_function_of_the_same_name_is_noticed(raw, functions):
    sid.register_function("mine", smooth)
    view = raw.sid.apply("mine").sid.provenance
    FUNCTIONS._loaded["mine"] = lambda da: da
    with pytest.raises(ProvenanceError, match="whose source was another one then"):
        view.replay(raw)
    del FUNCTIONS._loaded["mine"], FUNCTIONS._places["mine"]
    with pytest.raises(ProvenanceError, match=r"not registered here. Type: sid.register_function\('mine'"):
        view.replay(raw)


def test_functions_may_come_with_a_package(raw, monkeypatch):
    class Point:
        name, value = "smooth_of_a_package", f"{__name__}:smooth"

    from sid_xarray.core import registry

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point] if group == "sid_xarray.functions" else [])
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    fresh = Registry("function", {}, "sid_xarray.functions")
    assert fresh["smooth_of_a_package"] is smooth


def test_apply_passes_lazy_arrays_on_and_computes_nothing(raw):
    with no_compute():
        out = raw.chunk().sid.apply(lambda da: da * 2)
    assert out.chunks is not None
    assert out.sid.provenance.operations == ("input", "apply")


def test_what_apply_refuses(raw, functions):
    with pytest.raises(ProvenanceError, match=r"returned a ndarray.*da\.copy\(data=values\)"):
        raw.sid.apply(lambda da: da.values)
    with pytest.raises(ProvenanceError, match="wants a function"):
        raw.sid.apply(3)
    with pytest.raises(RegistryError, match="no function 'smoth'"):
        raw.sid.apply("smoth")
    with pytest.raises(RegistryError, match="should be a function"):
        sid.register_function("a", 3)
    sid.register_function("mine", smooth)
    with pytest.raises(RegistryError, match="there is a function 'mine' already"):
        sid.register_function("mine", smooth)


def test_a_function_that_changes_its_input_leaves_a_gap(raw):
    def careless(da):
        da[0, 0, 0] = 99
        return da * 2

    given = raw.copy(deep=True)
    assert given.sid.apply(careless).sid.provenance.operations == ("input", "unrecorded", "apply")


def test_a_partial_and_a_long_source(raw):
    out = raw.sid.apply(functools.partial(smooth, width=7))
    assert out.sid.provenance.parameters()["partial"] == [[], {"width": 7}]
    assert out.sid.provenance.parameters()["name"] == "smooth"


# ---------------------------------------------------------------- scripts


def in_a_fresh_interpreter(text: str, folder: Any, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "script.py", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_script_runs_from_the_raw_file_to_a_file(tmp_path):
    shutil.copy(sid.datasets.bfo_iv_path(), tmp_path)
    raw = sid.datasets.bfo_iv()
    out = raw.sid.trace(lambda d: d - d.mean(("x", "y"))).sid.fit("linear")
    done = in_a_fresh_interpreter(out.sid.provenance.to_script(), tmp_path, "out.h5")
    assert done.returncode == 0, done.stderr
    (place,) = {key.rpartition("/")[0] for key in sid.ls(tmp_path / "out.h5")}
    found = sid.open(tmp_path / "out.h5")[place].to_dataset().load()
    assert_same(found, out)
    assert found.sid.provenance.status == "verified"
    assert in_a_fresh_interpreter(out.slope.sid.provenance.to_script(), tmp_path).stdout.startswith("<xarray.DataArray 'slope'")


def test_a_script_says_where_raw_files_are(tmp_path):
    view = sid.datasets.bfo_iv().sid.rebin(x=2).sid.provenance
    assert "sid.open_dataarray('bfo_iv_final.hf5', signal='/Measurement_000/Channel_000/IV_BFO/IV_BFO')" in view.to_script()
    for paths in (tmp_path, {"IV_BFO": tmp_path / "bfo_iv_final.hf5"}, {"bfo_iv_final": tmp_path / "bfo_iv_final.hf5"}):
        assert repr(str(tmp_path / "bfo_iv_final.hf5")) in view.to_script(paths)


def test_a_script_stops_where_something_is_missing_and_says_what_to_write(raw, tmp_path):
    view = (raw.sid.apply(smooth) * 2).sid.rebin(x=2).sid.provenance
    text = view.to_script()
    assert "# | def smooth(da, width=3, *, by=None):" in text
    done = in_a_fresh_interpreter(text, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("open the array here: intensity = sid.open_dataarray(...), and delete this line")
    raw.sid.to_nsid(tmp_path / "raw.h5")
    done = in_a_fresh_interpreter(view.to_script(tmp_path / "raw.h5"), tmp_path)
    assert "step 2 ('apply'): write here apply = ..., the array made of intensity, and delete this line" in done.stderr
    text = view.to_script(tmp_path / "raw.h5")
    fixed = "\n".join(line for line in text.splitlines() if "SystemExit" not in line)
    fixed = fixed.replace("    rebin = ", "    apply = intensity * 1\n    unrecorded = apply * 2\n    rebin = ")
    assert in_a_fresh_interpreter(fixed, tmp_path).returncode == 0


HOSTILE = [
    "'); import os; os.system('touch pwned'); ('", '"""\nimport os\n"""', "a\nimport os\n", "a\r\nimport os", "\\", "\\'",
    "{0}", "#", "a\u2028b", "\x00", "é", "\ud800", "a\x0cb", "__import__('os').system('touch pwned')", "${x}", "%s",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_text_from_a_file_is_never_code(text, tmp_path):
    """Wherever a history holds text, a script holds a literal: names, parameters, dimensions, sources, versions."""
    steps = [
        {"id": "r", "op": "sid:open@1", "p": {"name": text, "h5path": text, "size": text, "sha256": text, "field": text},
         "out": {"dims": [text], "shape": [text], "dtype": text}},
        {"id": "i", "op": "sid:input@1", "p": {"name": text}, "out": {"dims": [text], "shape": [3], "dtype": text}},
        {"id": "a", "op": "sid:rebin@1", "p": {"bins": {text: text}, "reduce": text}, "in": [["in", "r"]]},
        {"id": "b", "op": "xr:isel@1", "p": {"args": [text], "kwargs": {text: {"~": "slice", "v": [text, text, None]}}},
         "in": [["in", "a"]], "ag": {text: text}},
        {"id": "c", "op": "xr:sub@1", "p": {"args": [{"~": "in", "v": 1}], "options": {text: text}},
         "in": [["in0", "b"], ["in1", "i"]]},
        {"id": "u", "op": "sid:unrecorded@1", "p": {"what": text}, "in": [["in", "c"]]},
        {"id": "f", "op": "sid:apply@1", "p": {"source": text, "module": text, "name": text}, "in": [["in", "u"]]},
        {"id": "g", "op": text, "p": {text: text}, "in": [["in", "f"]], "part": text},
        {"id": "h", "op": "xr:rolling.mean@1", "p": {"of": [[], {text: 3}]}, "in": [["in", "g"]], "t": text,
         "ag": {text: text}},
    ]  # fmt: skip
    view = with_history(*steps)
    script = view.to_script({text: text})
    tree = ast.parse(script)
    allowed = (
        ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.Name, ast.Load, ast.Store, ast.Call,
        ast.Attribute, ast.Constant, ast.keyword, ast.Raise, ast.Return, ast.If, ast.Compare, ast.Eq, ast.Gt, ast.Expr,
        ast.Subscript, ast.BinOp, ast.Sub, ast.Dict, ast.With, ast.withitem, ast.Import, ast.alias,
    )  # fmt: skip
    for node in ast.walk(tree):
        assert isinstance(node, allowed), type(node)
        if isinstance(node, ast.Name | ast.Attribute):
            assert (node.id if isinstance(node, ast.Name) else node.attr).isascii()
    imported = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    assert set(imported) <= {"sys", "numpy", "xarray", "sid_xarray", "datetime"}
    called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called <= {
        "open_dataarray", "SystemExit", "rebin", "isel", "slice", "set_options", "rolling", "mean", "trace", "to_nsid",
        "print", "len",
    }  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_names_of_variables_are_names():
    from sid_xarray.core.replay.source import identifier

    for text in [*HOSTILE, "class", "match", "sum", "np", "1", "", "ß", "$\\sqrt E$", "A b-C", "x" * 100, "_a", "__"]:
        name = identifier(text)
        assert name.isidentifier()
        assert name.isascii()
        assert name not in ("np", "sum", "class", "match")


def test_values_are_written_so_that_they_come_back():
    import datetime as dt

    from sid_xarray.core.replay.source import literal

    values = [
        1, -2.5, True, None, "a'\n", b"\x00", 1 + 2j, complex(0, -1), float("inf"), -float("inf"), (), (1,), (1, 2), [1, [2]],
        {"a": {1: None}}, {1, 2}, set(), slice(1, None), ..., np.float32(1.1), np.int8(-3), np.datetime64("2024-01-01"),
        np.timedelta64(3, "ns"), dt.datetime(2024, 1, 2, 3), dt.date(2024, 1, 2), dt.time(3), dt.timedelta(1, 2, 3),
        np.linspace(0.1, 7, 9), np.array([1.5, np.nan]), np.arange(6).reshape(2, 3), np.array(["a", "ü"]),
        np.array([1 + 2j]), np.array([True]), np.zeros((0, 2), "f4"), np.array(["2024-01-01"], "M8[D]"),
        xr.DataArray([1.0, 2.0], {"x": ("x", [3, 4], {"units": "nm"})}, "x", "n", {"a": 1}),
    ]  # fmt: skip
    for value in values:
        text = literal(value, lambda _: "")
        back = eval(text, {"np": np, "xr": xr, "dt": dt})
        if isinstance(value, xr.DataArray):
            xr.testing.assert_identical(back, value)
        elif isinstance(value, np.ndarray | np.generic):
            assert np.asarray(back).dtype == np.asarray(value).dtype
            np.testing.assert_array_equal(back, value)
        else:
            assert back == value
            assert type(back) is type(value)
    with pytest.raises(ProvenanceError, match="cannot be written into a script"):
        literal(object(), lambda _: "")
    with pytest.raises(ProvenanceError, match="cannot be written into a script"):
        literal(np.array([object()]), lambda _: "")


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
