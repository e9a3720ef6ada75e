"""Nested metadata as text, and back."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sid_xarray as sid
from sid_xarray.core.metadata import from_plain, pack, to_plain, unpack
from sid_xarray.errors import MetadataError
from sid_xarray.schema.records import Record

text = st.text(max_size=20)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    text,
    st.binary(max_size=20),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.builds(slice, st.none() | st.integers(), st.integers(), st.none() | st.integers(1, 9)),
)
keys = st.one_of(text, st.just("~"), st.integers(), st.booleans(), st.tuples(st.integers(), text))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(st.integers() | text, max_size=4),
    ),
    max_leaves=20,
)
arrays = hnp.arrays(
    dtype=st.one_of(
        hnp.integer_dtypes(endianness="?"),
        hnp.floating_dtypes(endianness="?"),
        hnp.complex_number_dtypes(),
        hnp.datetime64_dtypes(),
    ),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)


def same(a, b):
    """Equal, of the same type, NaN being NaN."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert list(map(repr, a)) == list(map(repr, b)) or set(a) == set(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            same(left, right)
    elif isinstance(a, float):
        assert (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    elif isinstance(a, complex):
        same(a.real, b.real)
        same(a.imag, b.imag)
    else:
        assert a == b


@given(trees)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_goes_in_comes_out(value):
    plain = to_plain(value)
    line = json.dumps(plain, allow_nan=False)
    same(from_plain(json.loads(line)), value)
    assert unpack(pack({"v": value})).keys() == {"v"}


@given(arrays)
@settings(max_examples=200, deadline=None)
def test_arrays_keep_their_numbers_and_the_unusual_ones_their_type(value):
    back = from_plain(json.loads(json.dumps(to_plain(value), allow_nan=False)))
    np.testing.assert_array_equal(np.asarray(back, dtype=value.dtype if np.size(back) == 0 else None), value)
    if value.dtype.str not in ("<i8", "<f8", "|b1"):
        assert back.dtype == value.dtype


@given(trees)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_text_is_canonical_and_keeps_the_order_of_keys(value):
    assert pack({"b": value, "a": 1}) == pack(unpack(pack({"b": value, "a": 1})))
    assert list(unpack(pack({"b": value, "a": 1}))) == ["b", "a"]
    assert pack({"a": value}).isascii()


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (np.float64(2.5), 2.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, None], object), [1, None]),
        (np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, None]),
        (pd.Timestamp("2024-05-31T12:00"), dt.datetime(2024, 5, 31, 12)),
        (pd.Timedelta("1 min"), dt.timedelta(minutes=1)),
        (frozenset([1]), {1}),
        (bytearray(b"ab"), b"ab"),
        (Record({"a": 1}), {"a": 1}),
    ],
    ids=str,
)
def test_relatives_of_python_become_python(value, back):
    same(from_plain(to_plain(value)), back)


def test_no_date_is_no_date():
    assert np.isnat(from_plain(to_plain(pd.NaT)))


def test_long_metadata_are_packed():
    tree = {"frames": [{"number": i, "time": i / 3} for i in range(5000)]}
    line = pack(tree)
    assert line.startswith("data:application/json;zlib;base64,")
    assert len(line) < len(json.dumps(tree)) / 3
    assert unpack(line) == tree


@pytest.mark.parametrize(
    "value", [print, object(), lambda: 0, np.array([object()]), np.zeros(2, "i4,f8"), {"a": {"b": open}}]
)
def test_what_cannot_be_stored_is_refused_with_a_reason(value):
    with pytest.raises(MetadataError, match="metadata cannot hold"):
        pack({"v": value})


def test_metadata_that_contain_themselves_are_refused():
    loop: dict = {}
    loop["me"] = loop
    with pytest.raises(MetadataError, match="nested too deeply, or contain themselves"):
        pack(loop)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "data:application/json;zlib;base64,AAAA",
        '{"a":{"~":"array","dtype":"<f8","shape":[1000000000000],"v":""}}',
        '{"a":{"~":"array","dtype":"<f8","shape":[2],"v":"AAAA"}}',
        '{"a":{"~":"array","dtype":"O","shape":[1],"v":"AAAAAAAAAAA="}}',
        '{"a":{"~":"array","dtype":"nonsense","shape":[1],"v":""}}',
        '{"a":{"~":"scalar","dtype":"<f8","shape":"x","v":""}}',
        '{"a":{"~":"complex","v":[1]}}',
        '{"a":{"~":"datetime","v":"yesterday"}}',
        '{"a":{"~":"set","v":[[1]]}}',
        '{"a":{"~":"dict","v":[1]}}',
        '{"a":{"~":"bytes","v":"%%%"}}',
        '{"a":' * 100_000,
        '{"a":' + "[" * 900 + "]" * 900 + "}",
    ],
    ids=lambda s: s[:40],
)
def test_damaged_text_is_an_error_with_a_name_or_harmless(line):
    try:
        unpack(line)
    except MetadataError as error:
        assert str(error).startswith("metadata")
    else:
        assert "[[[" in line


def test_an_unknown_tag_stays_as_it_is():
    assert unpack('{"a":{"~":"from the future","v":1}}') == {"a": {"~": "from the future", "v": 1}}


def test_metadata_of_an_array_are_read_only_and_replaced():
    da = sid.datasets.peak_map()
    new = da.sid.with_metadata(beam={"energy": 60e3, "units": "eV"}, tip=None)
    newer = new.sid.with_metadata({"beam": {"current": 1e-12}, "a b": 1})
    assert newer.sid.metadata.to_dict() == {
        "beam": {"energy": 60e3, "units": "eV", "current": 1e-12}, "tip": None, "a b": 1
    }  # fmt: skip
    assert not da.sid.metadata
    assert new.sid.metadata["beam"] == {"energy": 60e3, "units": "eV"}
    assert newer.sid.metadata["beam/energy"] == newer.sid.metadata["beam", "energy"] == 60e3
    with pytest.raises(KeyError, match="no metadata 'beam/enrgy': 'enrgy' is not among"):
        newer.sid.metadata["beam/enrgy"]
    with pytest.raises(TypeError):
        newer.sid.metadata["beam"] = 1
    assert newer.sid.with_metadata({"x": 1}, replace=True).sid.metadata == {"x": 1}
    assert newer.sid.provenance.status == "verified"


def test_editing_a_copy_of_the_metadata_changes_nothing():
    da = sid.datasets.peak_map().sid.with_metadata(a={"b": [1]})
    tree = da.sid.metadata.to_dict()
    tree["a"]["b"].append(2)
    assert da.sid.metadata["a/b"] == [1]
    assert da.to_dataset().sid.with_metadata(c=1).sid.metadata == {"c": 1}
