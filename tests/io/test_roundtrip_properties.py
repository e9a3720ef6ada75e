"""Whatever Dataset hypothesis thinks of is written and read back whole."""

from __future__ import annotations

import os
from typing import Any

import hypothesis.extra.numpy as npst
import numpy as np
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sid_xarray.testing import assert_roundtrip

settings.register_profile("here", max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("ci", settings.get_profile("here"), max_examples=150, derandomize=True)
settings.register_profile("long", settings.get_profile("here"), max_examples=5000)
PROFILE = settings.get_profile(os.environ.get("SID_HYPOTHESIS", "ci" if os.environ.get("CI") else "here"))

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["T", "name", "a", "b", "x", "units", "dim_0"]
)
numbers = npst.boolean_dtypes() | npst.integer_dtypes(endianness="?") | npst.unsigned_integer_dtypes(endianness="?")
numbers |= npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)) | npst.complex_number_dtypes(
    endianness="?", sizes=(64, 128)
)
times = st.sampled_from([f"{kind}8[{unit}]" for kind in "Mm" for unit in ("s", "ms", "us", "ns")]).map(np.dtype)
texts = npst.unicode_string_dtypes(endianness="<", min_len=1, max_len=4) | npst.byte_string_dtypes(min_len=1, max_len=4)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=10)
    | st.binary(max_size=10)
)
leaves |= npst.arrays(numbers, npst.array_shapes(min_dims=0, max_dims=2, max_side=3, min_side=0)) | st.from_type(
    np.float32
)
attrs = st.dictionaries(
    st.text(max_size=8)
    | st.integers()
    | st.sampled_from(["units", "quantity", "title", "long_name", "source", "_FillValue", "name"]),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3) | st.tuples(inner)
        ),
    ),
    max_size=4,
)


def without_nul(values: np.ndarray) -> np.ndarray:
    """HDF5 cuts text there, so it is refused; that is tested elsewhere."""
    if values.dtype.kind != "U":
        return values
    flat = ["".join(c for c in v if c != "\x00" and not "\ud800" <= c <= "\udfff") for v in values.ravel().tolist()]
    return np.array(flat, dtype=values.dtype).reshape(values.shape)


@st.composite
def variables(draw: Any, sizes: dict[str, int]) -> xr.Variable:
    dims = draw(st.permutations(list(sizes)))[: draw(st.integers(0, len(sizes)))]
    dtype = draw(numbers | times | texts)
    values = draw(npst.arrays(dtype, tuple(sizes[d] for d in dims)))
    return xr.Variable(dims, without_nul(values), draw(attrs))


@st.composite
def datasets(draw: Any) -> xr.Dataset:
    dims = draw(st.lists(names, max_size=draw(st.sampled_from([2, 4, 7])), unique=True))
    sizes = {d: draw(st.integers(0, 3)) for d in dims}
    ds = xr.Dataset(attrs=draw(attrs))
    for dim, size in sizes.items():
        if draw(st.booleans()):
            index = draw(
                npst.arrays(draw(numbers.filter(lambda d: d != np.float16 and d.str[1:] != "f2") | times), (size,))
            )
            ds = ds.assign_coords({dim: ((dim,), index, draw(attrs))})
    for name in draw(st.lists(names, max_size=4, unique=True)):
        if name in sizes or name in ds.variables:
            continue
        var = draw(variables(sizes))
        ds = ds.assign_coords({name: var}) if draw(st.booleans()) else ds.assign({name: var})
    return ds


@given(datasets().filter(lambda ds: len(ds.variables) or ds.attrs), st.booleans())
@settings(PROFILE)
def test_datasets(ds: xr.Dataset, lazy: bool) -> None:
    assert_roundtrip(ds.chunk(dict.fromkeys(ds.dims, 2)) if lazy else ds)


@given(datasets().filter(lambda ds: len(ds.data_vars)), names | st.none() | st.integers())
@settings(PROFILE)
def test_arrays(ds: xr.Dataset, name: Any) -> None:
    assert_roundtrip(
        next(iter(ds.data_vars.values())).rename(name if name not in ds.variables and name not in ds.dims else "free")
    )
