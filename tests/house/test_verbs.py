"""What holds for every verb in the table. A new row gets all of it for free."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import pickle
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import history
from sid_xarray.errors import SidError, SidWarning, UnitsError
from sid_xarray.ops import TABLE, Verb
from sid_xarray.testing import assert_lazy, assert_roundtrip, assert_same, no_compute

CHUNKS = {"whole": lambda n: n, "halves": lambda n: max(1, (n + 1) // 2), "threes": lambda n: min(n, 3)}
VERBS = pytest.mark.parametrize("verb", [pytest.param(v, id=k) for k, v in TABLE.items()])


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample(verb: Verb) -> xr.DataArray:
    return getattr(sid.datasets, verb.sample)()


def name_of(verb: Verb) -> str:
    return next(k for k, v in TABLE.items() if v is verb)


def run(verb: Verb, da: xr.DataArray, names: Mapping[Any, Any] | None = None) -> Any:
    """Apply a verb through the accessor; dimensions in its parameters may have other names."""
    names = dict(names or {})
    dims = {names.get(d, d) for d in da.dims} | set(names) | set(da.dims)
    by_dim = {names.get(k, k): v for k, v in verb.params.items() if k in dims and k not in ("dim", "model")}
    rest = {k: v for k, v in verb.params.items() if k not in dims}
    rest = {k: _renamed(v, names) for k, v in rest.items() if k != "dim"} | {
        k: v for k, v in rest.items() if k == "dim"
    }
    if "dim" in rest:
        rest["dim"] = names.get(rest["dim"], rest["dim"])
    return getattr(da.sid, name_of(verb))(*([by_dim] if by_dim else []), **rest)


def _renamed(value: Any, names: Mapping[Any, Any]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(k, k): _renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [names.get(v, v) if isinstance(v, str) else v for v in value]
    return value


def parts(obj: Any) -> dict[Any, xr.DataArray]:
    return dict(obj.data_vars) if isinstance(obj, xr.Dataset) else {"": obj}


def signals(out: Any, da: xr.DataArray) -> list[xr.DataArray]:
    """Results that are like the input: not the maps of parameters."""
    return (
        [out] if isinstance(out, xr.DataArray) else [v for v in out.data_vars.values() if set(v.dims) == set(da.dims)]
    )


def same(a: Any, b: Any) -> None:
    """Equal but for the last digits of a sum in another order."""
    size = (
        max((float(abs(v).max()) for v in parts(b).values() if v.size), default=0) if isinstance(b, xr.DataArray) else 0
    )
    assert_same(a, b, rtol=2e-5, atol=1e-6 * size)


def close(a: Any, b: Any, rtol: float = 2e-4) -> None:
    for key, left in parts(a).items():
        right = parts(b)[key]
        assert left.dims == right.dims
        scale = float(abs(right).max()) if right.size else 0.0
        np.testing.assert_allclose(left.values, right.values, rtol=rtol, atol=1e-5 * scale, err_msg=str(key))


def with_baggage(da: xr.DataArray) -> xr.DataArray:
    """What real arrays carry: more coordinates, attributes that can be changed in place, a stale encoding."""
    first = da.dims[0]
    out = da.assign_coords(
        temperature=((), 293.5, {"units": "K", "long_name": "temperature"}),
        label=(first, [f"line {i}" for i in range(da.sizes[first])], {"note": "text"}),
        drift=(da.dims[:2], np.zeros(da.shape[:2]), {"units": "nm"}),
    )
    out.attrs |= {"numbers": [1, 2], "array": np.arange(3)}
    out.encoding = {"dtype": np.dtype("i2"), "scale_factor": 0.1}
    out[first].encoding = {"dtype": np.dtype("i2")}
    return out


@VERBS
@pytest.mark.parametrize("chunks", CHUNKS)
def test_lazy_in_gives_lazy_out_and_the_same_numbers(verb, chunks):
    da = sample(verb)
    eager = run(verb, da)
    lazy = da.chunk({d: CHUNKS[chunks](n) for d, n in da.sizes.items()})
    with no_compute():
        out = run(verb, lazy)
        assert out.sid.provenance.status == "unknown"
        repr(out), repr(out.sid)
    assert_lazy(out)
    assert {k: (v.dims, v.shape, v.dtype) for k, v in parts(out).items()} == {
        k: (v.dims, v.shape, v.dtype) for k, v in parts(eager).items()
    }
    same(out.compute(), eager)
    assert out.compute().sid.provenance.status == "unknown"


def leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for v in value.values() for leaf in leaves(v)]
    return [leaf for v in value for leaf in leaves(v)] if isinstance(value, list | tuple) else [value]


@VERBS
def test_one_step_with_its_parameters_and_verified(verb):
    da = sample(verb)
    before = da.sid.provenance
    for part in parts(run(verb, da)).values():
        found = part.sid.provenance
        assert found.status == "verified"
        assert len(found) == len(before) + 1
        assert found.steps[-1].name == name_of(verb)
        assert [i for _, i in found.steps[-1].inputs] == list(before.heads)
        assert set(leaves(verb.params)) <= set(leaves(found.parameters()))


@VERBS
def test_the_recipe_does_not_depend_on_time_or_chunks(verb, monkeypatch):
    da = sample(verb)
    now = run(verb, da)

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2099, 1, 1, tzinfo=tz)

    monkeypatch.setattr(history, "dt", types.SimpleNamespace(datetime=Later, UTC=dt.UTC))
    later, lazy = run(verb, da), run(verb, da.chunk())
    for key, part in parts(now).items():
        ids = {part.sid.provenance.id, parts(later)[key].sid.provenance.id, parts(lazy)[key].sid.provenance.id}
        assert len(ids) == 1
        assert parts(later)[key].sid.provenance.steps[-1].time.startswith("2099")


@VERBS
def test_what_coordinates_say_is_kept(verb):
    da = with_baggage(sample(verb))
    out = run(verb, da)
    assert out.coords["temperature"].attrs == {"units": "K", "long_name": "temperature"}
    assert float(out.temperature) == 293.5
    for name in set(out.coords) & set(da.coords):
        told = {"units": out[name].units} if verb.about_units and name in verb.params else {}
        assert out[name].attrs == da[name].attrs | told, name
    for part in parts(out).values():
        for dim in part.dims:
            assert {"units", "sid_dimension_type"} <= set(part[dim].attrs), dim


@VERBS
def test_the_input_is_left_alone(verb):
    da = with_baggage(sample(verb))
    twin, encoding, attrs = copy.deepcopy(da), copy.deepcopy(da.encoding), da.attrs
    out = run(verb, da)
    everything = itertools.chain([out], parts(out).values(), out.coords.values())
    for one in everything:
        for value in one.attrs.values():
            if isinstance(value, list):
                value.append("changed")
            elif isinstance(value, np.ndarray):
                value[...] = -1
        one.attrs["changed"] = True
        one.encoding["changed"] = True
    xr.testing.assert_identical(da, twin)
    assert da.attrs is attrs
    assert da.encoding == encoding
    assert da.attrs["numbers"] == [1, 2]
    assert list(da.attrs) == list(twin.attrs)
    assert all("changed" not in c.attrs | c.encoding for c in da.coords.values())


@VERBS
def test_no_stale_encoding_reaches_a_file(verb):
    out = run(verb, with_baggage(sample(verb)))
    for part in itertools.chain(parts(out).values(), out.coords.values()):
        assert not {"dtype", "scale_factor", "add_offset"} & set(part.encoding)


@VERBS
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_pickles_and_copies(verb, lazy):
    da = sample(verb)
    out = run(verb, da.chunk() if lazy else da)
    status = "unknown" if lazy else "verified"
    for twin in (pickle.loads(pickle.dumps(out)), copy.deepcopy(out), copy.copy(out)):
        assert_same(twin.compute(), out.compute())
        assert twin.sid.provenance.status == status


@VERBS
def test_nan_stays_where_it_is(verb):
    if verb.pooled:
        pytest.skip("every result depends on all points")
    da = sample(verb)
    both = da.expand_dims(repeat=2).copy()
    both[1] = np.nan
    both = both.assign_coords(repeat=("repeat", [0.0, 1.0], {"units": "1"}))
    out, alone = run(verb, both), run(verb, da)
    close(out.isel(repeat=0), alone)
    for part in parts(out.isel(repeat=1)).values():
        failed = part.isnull() if part.dtype.kind in "fc" else part != 0
        counts = part.attrs["long_name"] in ("iterations", "number of peaks")
        assert counts or failed.all(), part.name


@VERBS
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8", "i2", ">i4", "u1", "?"])
def test_dtypes_stay_or_become_floating(verb, dtype):
    da = sample(verb)
    values = abs(da) if np.dtype(dtype).kind in "u?" else da.real
    cast = da.copy(data=values.values.astype(dtype))
    wide = run(verb, da.copy(data=cast.values.astype("f8")))
    out = run(verb, cast)
    if np.dtype(dtype).kind == "f":
        for part in signals(out, da):
            assert part.dtype.itemsize == np.dtype(dtype).itemsize * (2 if part.dtype.kind == "c" else 1)
    assert all(part.dtype.isnative or part.dtype == cast.dtype for part in parts(out).values())
    close(out, wide.transpose(*out.dims) if isinstance(out, xr.DataArray) else wide, rtol=5e-3)


@VERBS
def test_order_of_dimensions_does_not_matter(verb):
    da = sample(verb)
    out, other = run(verb, da), run(verb, da.transpose(*da.dims[::-1]))
    for key, part in parts(other).items():
        there = [d for d in parts(out)[key].dims if d in da.dims]
        assert [d for d in part.dims if d in da.dims] == there[::-1]
    close(other.transpose(*out.dims), out)


@VERBS
def test_two_more_dimensions(verb):
    if verb.pooled:
        pytest.skip("every result depends on all points")
    da = sample(verb)
    deep = da.expand_dims(repeat=2, detector=1)
    out = run(verb, deep)
    close(out.isel(repeat=1, detector=0), run(verb, da))


@VERBS
def test_dimensions_that_were_stacked(verb):
    """Positions of a map as one dimension with an index of two levels, as xarray makes it: nothing is lost or said."""
    da = sample(verb)
    if verb.pooled:
        pytest.skip("every result depends on all points")
    both = da.expand_dims(repeat=2, detector=2).stack(point=("repeat", "detector")).transpose("point", ...)
    out = run(verb, both)
    for part in parts(out).values():
        if "point" in part.dims:
            assert list(part.indexes["point"].names) == ["repeat", "detector"]
    back = out.unstack("point") if "point" in out.dims else out
    close(back.isel(repeat=1, detector=0, drop=True), run(verb, da))


@VERBS
def test_one_point_works_or_says_why_not(verb):
    da = sample(verb)
    for few in [*({d: slice(0, 1)} for d in da.dims), *({d: 0} for d in da.dims), dict.fromkeys(da.dims, slice(0, 1))]:
        try:
            out = run(verb, da.isel(few))
        except SidError as error:
            assert len(str(error)) > 20
        else:
            assert all(part.sid.provenance.status == "verified" for part in parts(out).values())


@VERBS
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_no_point_works_or_says_why_not(verb, lazy):
    da = sample(verb)
    for dim in da.dims:
        none = da.isel({dim: slice(0, 0)})
        try:
            out = run(verb, none.chunk() if lazy else none).compute()
        except SidError as error:
            assert len(str(error)) > 20
        else:
            assert all(part.size == 0 for part in parts(out).values())


@VERBS
def test_complex_values_work_or_say_why_not(verb):
    da = sample(verb)
    try:
        out = run(verb, da.astype("c8") * (1 + 1j))
    except SidError as error:
        assert "complex" in str(error)
    else:
        assert any(part.dtype.kind == "c" for part in parts(out).values()) or isinstance(out, xr.Dataset)


@VERBS
def test_arrays_of_another_library_work_or_say_why_not(verb):
    other = pytest.importorskip("array_api_strict")
    da = sample(verb)
    try:
        out = run(verb, da.copy(data=other.asarray(da.values)))
    except SidError as error:
        assert "as_numpy()" in str(error)
    else:
        for key, part in parts(out).items():
            np.testing.assert_allclose(np.asarray(part.data), parts(run(verb, da))[key].values, rtol=1e-9, atol=1e-12)


@VERBS
def test_names_may_be_latex(verb):
    da = sample(verb)
    names = {d: f"$\\sqrt{{{d}}}$ / a.u." for d in da.dims}
    out, plain = run(verb, da.rename(names), names), run(verb, da)
    before = {new: old for old, new in names.items()}  # positions are called like their dimension
    for key, part in parts(out).items():
        np.testing.assert_array_equal(part.values, parts(plain)[before.get(key, key)].values)
    assert out.sid.provenance.status == "verified"


@VERBS
def test_results_say_what_they_are(verb):
    for part in parts(run(verb, sample(verb))).values():
        assert isinstance(part.attrs["units"], str)
        assert part.attrs["long_name"]
        for dim in part.dims:
            assert isinstance(part[dim].attrs["units"], str)
    assert not [f for f in run(verb, sample(verb)).sid.check() if f.level != "note"]


@VERBS
def test_units_that_nobody_knows_are_no_obstacle(verb):
    da = sample(verb).assign_attrs(units="bananas (ripe)")
    da = da.assign_coords({d: da[d].assign_attrs(units="cubits per fortnight") for d in da.dims})
    if verb.about_units:
        with pytest.raises(UnitsError, match="cubits"):
            run(verb, da)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        out = run(verb, da)
    close(out, run(verb, sample(verb)))
    assert all(isinstance(part.attrs["units"], str) for part in parts(out).values())


@VERBS
def test_arrays_without_any_attribute_work(verb):
    da = sample(verb).drop_attrs()
    types_ = sample(verb).sid.dimension_types
    da = da.sid.set_dims({d: str(t) for d, t in types_.items()})
    if verb.about_units:
        with pytest.raises(UnitsError):
            run(verb, da)
        return
    out = run(verb, da)
    assert [v.shape for v in parts(out).values()] == [v.shape for v in parts(run(verb, sample(verb))).values()]
    found = next(iter(parts(out).values())).sid.provenance
    assert found.operations[0] == "input"
    assert found.status == "verified"


@VERBS
@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_comes_back_whole_from_a_file(verb, lazy, tmp_path):
    da = sample(verb)
    out = run(verb, da.chunk() if lazy else da)
    back = assert_roundtrip(out, str(tmp_path / "out.h5"))
    assert back.sid.provenance.status == ("unknown" if lazy else "verified")


@VERBS
def test_an_array_in_a_file_is_as_good_as_one_in_memory(verb, tmp_path):
    da = sample(verb)
    da.sid.to_nsid(tmp_path / "in.h5")
    close(run(verb, sid.open_dataarray(tmp_path / "in.h5")), run(verb, da))
    lazy = run(verb, sid.open_dataarray(tmp_path / "in.h5", chunks={}))
    assert_lazy(lazy)
    for part in parts(lazy).values():
        assert "unrecorded" not in part.sid.provenance.operations


@VERBS
@pytest.mark.parametrize("keep", [False, True, "default"])
def test_the_option_keep_attrs_of_xarray_changes_nothing(verb, keep):
    da = with_baggage(sample(verb))
    with xr.set_options(keep_attrs=keep):
        out = run(verb, da)
    assert_same(out, run(verb, da))


@VERBS
def test_variables_of_a_dataset_agree_on_the_order_of_dimensions(verb):
    da = sample(verb)
    for part in parts(run(verb, da)).values():
        kept = [d for d in part.dims if d in da.dims]
        assert kept == [d for d in da.dims if d in kept]


@VERBS
def test_recording_can_be_switched_off(verb):
    with sid.set_options(record_provenance=False):
        out = run(verb, sample(verb))
    assert not out.sid.provenance
    assert not any(str(k).startswith("sid_prov_") for part in parts(out).values() for k in part.attrs)


@VERBS
def test_the_accessor_has_it(verb):
    where = {"DataArray": xr.DataArray, "Dataset": xr.Dataset, "DataTree": xr.DataTree}
    for kind in verb.on:
        method = getattr(where[kind].sid, name_of(verb))
        assert method.__doc__
        assert callable(method)
