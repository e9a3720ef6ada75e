"""Strategies give what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from sid_xarray.core.metadata import pack
from sid_xarray.testing import strategies

FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=3000, database=None, phases=[Phase.generate])


@pytest.mark.parametrize("store", ["nsid", "usid", "zarr"])
def test_datasets(store):
    @FEW
    @given(strategies.datasets(store, max_dims=4, min_vars=2))
    def check(ds):
        assert len(ds.data_vars) >= 2
        assert max(v.ndim for v in ds.data_vars.values()) <= 4
        assert ds.nbytes < 100_000
        if store == "zarr":
            assert all(v.dtype.isnative for v in ds.variables.values())

    check()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda da: da.ndim == 7,
        lambda da: da.ndim == 0,
        lambda da: 0 in da.shape,
        lambda da: da.chunks is not None,
        lambda da: da.dtype.kind == "O",
        lambda da: da.dtype.kind == "M" and np.isnat(da.values).any(),
        lambda da: not da.dtype.isnative,
        lambda da: any(c.ndim > 1 for c in da.coords.values()),
        lambda da: any(d not in da.coords for d in da.dims),
        lambda da: "sid_metadata" in da.attrs,
        lambda da: da.name is None,
    ],
)
def test_dataarrays_are_of_all_kinds(wanted):
    da = find(strategies.dataarrays(), wanted, settings=MANY)
    assert isinstance(da, xr.DataArray)


@FEW
@given(strategies.metadata())
def test_metadata_can_be_stored(tree):
    assert isinstance(pack(tree), str)


@FEW
@given(strategies.trees(), st.data())
def test_trees_have_variables_on_leaves_only(tree, data):
    assert all(not (node.data_vars and node.children) for node in tree.subtree)
