"""Whatever array hypothesis thinks of is written and read back whole: NSID, USID, zarr.

``SID_EXAMPLES`` is the number of examples, all tests together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sid_xarray.core.metadata import pack, unpack
from sid_xarray.testing import assert_roundtrip, strategies
from sid_xarray.testing.assertions import _assert_value

EXAMPLES = int(os.environ.get("SID_EXAMPLES", "2100" if os.environ.get("CI") else "210"))


def share(part: float) -> settings:
    """Return settings for a part of all examples."""
    return settings(
        max_examples=max(1, round(EXAMPLES * part)),
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    # A file in memory: the disk is tested elsewhere.
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return str(tmp_path_factory.mktemp("properties") / "a.h5")
    return str(memory / f"sid-properties-{os.getpid()}.h5")


@pytest.fixture(autouse=True, scope="module")
def _clean(path: str) -> Any:
    yield
    Path(path).unlink(missing_ok=True)


@given(strategies.datasets("nsid"))
@share(0.25)
def test_datasets_through_nsid(path: str, ds: xr.Dataset) -> None:
    assert_roundtrip(ds, path, mode="w")


@given(strategies.dataarrays("nsid"))
@share(0.15)
def test_arrays_through_nsid(path: str, da: xr.DataArray) -> None:
    assert_roundtrip(da, path, mode="w")


@given(strategies.datasets("usid"))
@share(0.15)
def test_datasets_through_usid(path: str, ds: xr.Dataset) -> None:
    assert_roundtrip(ds, path, to="usid", mode="w")


@given(strategies.dataarrays("usid"))
@share(0.15)
def test_arrays_through_usid(path: str, da: xr.DataArray) -> None:
    assert_roundtrip(da, path, to="usid", mode="w")


@given(strategies.trees(), st.sampled_from(["nsid", "usid"]))
@share(0.05)
def test_trees(path: str, tree: xr.DataTree, to: str) -> None:
    assert_roundtrip(tree, path, to=to, mode="w")


@given(strategies.datasets("zarr"))
@share(0.1)
def test_datasets_through_zarr(ds: xr.Dataset) -> None:
    pytest.importorskip("zarr")
    assert_roundtrip(ds, to="zarr")


@given(strategies.dataarrays("zarr"))
@share(0.1)
def test_arrays_through_all_of_them(path: str, da: xr.DataArray) -> None:
    pytest.importorskip("zarr")
    """What comes back from one is what goes into the next."""
    out = da
    for to, options in (("nsid", {"mode": "w"}), ("usid", {"mode": "w"}), ("zarr", {})):
        out = assert_roundtrip(out, None if to == "zarr" else path, to=to, **options)
    np.testing.assert_array_equal(out.values, da.values)


@given(strategies.metadata(30))
@share(0.05)
def test_metadata(tree: dict[str, Any]) -> None:
    """Nested metadata come back with their types; keys are sorted, and numbers that JSON has are plain."""
    back = unpack(pack(tree))
    assert pack(back) == pack(tree)
    assert set(back) == set(tree)
    for key, value in tree.items():
        if not isinstance(value, dict | list | tuple | np.ndarray | np.generic):
            _assert_value(value, back[key], repr(key))
