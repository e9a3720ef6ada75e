"""Assertions that are stricter than xarray's own."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_chunked
from sid_xarray.core.history import read as read_history
from sid_xarray.schema import attrs as names

__all__ = ["assert_lazy", "assert_roundtrip", "assert_same", "no_compute"]

T = TypeVar("T", xr.DataArray, xr.Dataset, xr.DataTree)


def assert_roundtrip(
    obj: xr.DataArray | xr.Dataset | xr.DataTree, path: str | None = None, *, to: str = "nsid", **options: Any
) -> Any:
    """Assert that what is written to a store is what is read back.

    Stricter than ``xarray.testing.assert_identical``: dtype, byte order, types of attributes and their order
    count, too.

    Parameters
    ----------
    obj : DataArray, Dataset or DataTree
    path : str, optional
        File to write; a temporary one by default.
    to : {"nsid", "usid", "zarr"}, default: "nsid"
        Zarr is written by xarray alone, in memory where there is no `path`; no trees.
    **options
        Passed to ``to_nsid``, ``to_usid`` or ``to_zarr``.

    Returns
    -------
    DataArray, Dataset or DataTree
        What was read, in memory.
    """
    from sid_xarray.io.checksum import verify_file

    if to == "zarr":
        return _through_zarr(obj, path, options)
    with contextlib.ExitStack() as stack:
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = os.path.join(folder, "roundtrip.h5")
        place = getattr(obj.sid, f"to_{to}")(path, **options)
        changed = [str(finding) for finding in verify_file(path) if finding.bad]
        assert not changed, f"checksums do not fit what was written: {changed}"
        if isinstance(obj, xr.DataTree):
            return _assert_tree(obj, path, options.get("group"))
        found = _read(obj, path, place, to).load()
        _assert_equal(obj, found, place)
        return found


def _read(obj: xr.DataArray | xr.Dataset, path: str, place: str, form: str) -> Any:
    from sid_xarray import api

    if any(isinstance(k, str) and "/" in k for k in (*obj.coords, *obj.dims, *getattr(obj, "data_vars", ()))):
        # A tree cannot hold a name with a slash; the engine gives it back.
        ds = xr.open_dataset(path, engine=form, group=place, create_default_indexes=False)
        return ds if isinstance(obj, xr.Dataset) else next(iter(ds.data_vars.values())).rename(obj.name)
    return api.open(path)[place].to_dataset() if isinstance(obj, xr.Dataset) else api.open_dataarray(path, place)


def _through_zarr(obj: Any, path: str | None, options: dict[str, Any]) -> Any:
    import zarr

    store: Any = zarr.storage.MemoryStore() if path is None else path
    with warnings.catch_warnings():
        # zarr tells of dtypes that its own specification lacks.
        warnings.filterwarnings("ignore", message=".*(Zarr V3|does not have a Zarr)")
        obj.to_zarr(store, consolidated=False, **options)
        opened = xr.open_dataarray if isinstance(obj, xr.DataArray) else xr.open_dataset
        found = opened(store, engine="zarr", chunks=None, consolidated=False).load()
    _assert_equal(obj, found, "")
    return found


def _assert_tree(tree: xr.DataTree, path: str, group: str | None) -> xr.DataTree:
    from sid_xarray import api

    found = api.open(path)
    for node in tree.subtree:
        place = _joined(group, node.path[len(tree.path.rstrip("/")) :])
        if not node.has_data and not node.attrs and node.children:
            assert place in found.groups, f"no node {place}"
            continue
        _assert_equal(node.to_dataset(), found[place].to_dataset().load(), node.path)
    return found.load()


def _joined(group: str | None, path: str) -> str:
    return "/" + "/".join(p for p in ((group or "").strip("/"), path.strip("/")) if p)


def _assert_equal(a: Any, b: Any, where: str) -> None:
    # Attributes are compared below: xarray cannot compare arrays inside of tuples and dicts.
    xr.testing.assert_equal(a, b)
    ours, theirs = _variables(a), _variables(b)
    for key, left in ours.items():
        right = theirs[key]
        assert left.dtype == right.dtype, f"{where}: dtype of {key!r}: {left.dtype} != {right.dtype}"
        orders = left.dtype.str, right.dtype.str
        assert orders[0] == orders[1], f"{where}: byte order of {key!r}: {orders[0]} != {orders[1]}"
        _assert_bits(left, right, f"{where}: {key!r}")
        _assert_attrs(left.attrs, right.attrs, f"{where}: {key!r}")
    assert list(ours) == list(theirs) or set(ours) == set(theirs), f"{where}: {list(ours)} != {list(theirs)}"
    assert set(a.xindexes) == set(b.xindexes), f"{where}: indexes {set(a.xindexes)} != {set(b.xindexes)}"
    if isinstance(a, xr.Dataset):
        _assert_attrs(a.attrs, b.attrs, where)
    else:
        assert type(a.name) is type(b.name), f"{where}: type of the name {a.name!r} != {b.name!r}"
        assert a.name == b.name, f"{where}: name {a.name!r} != {b.name!r}"


def _variables(obj: xr.DataArray | xr.Dataset) -> dict[Hashable, xr.Variable]:
    if isinstance(obj, xr.DataArray):
        return {"values": obj.variable, **{k: c.variable for k, c in obj.coords.items()}}
    return dict(obj.variables)


def _assert_bits(a: xr.Variable, b: xr.Variable, where: str) -> None:
    left, right = np.asarray(a.values), np.asarray(b.values)
    if left.dtype.kind in "biufcMm":
        assert np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes(), f"{where}: bits differ"


def _assert_attrs(a: Mapping[Any, Any], b: Mapping[Any, Any], where: str) -> None:
    assert list(a) == list(b), f"{where}: attributes {list(a)} != {list(b)}"
    for key in a:
        _assert_value(a[key], b[key], f"{where}: attribute {key!r}")


def _assert_value(a: Any, b: Any, where: str) -> None:
    assert type(a) is type(b), f"{where}: {type(a).__name__} became {type(b).__name__}"
    if isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype, f"{where}: {a.dtype} became {b.dtype}"
        assert np.shape(a) == np.shape(b), f"{where}: shape {np.shape(a)} became {np.shape(b)}"
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), f"{where}: length {len(a)} became {len(b)}"
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            _assert_value(left, right, f"{where}[{i}]")
    elif isinstance(a, dict):
        _assert_attrs(a, b, where)
    elif isinstance(a, float | complex):
        assert repr(a) == repr(b), f"{where}: {a!r} became {b!r}"
    else:
        assert a == b, f"{where}: {a!r} became {b!r}"


def assert_same(a: T, b: T, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Assert that two results are the same: everything but the times in their histories.

    Parameters
    ----------
    a, b : DataArray or Dataset
    rtol, atol : float, default: 0
        Tolerances of the values; 0 is bit for bit.

    Notes
    -----
    The recipes of both must be equal: same verbs, same parameters, same inputs.
    """
    left, right = _without_history(a), _without_history(b)
    if rtol or atol:
        xr.testing.assert_allclose(left, right, rtol=rtol, atol=atol)
        theirs = _variables(right)
        for key, x in _variables(left).items():
            y = theirs[key]
            assert x.dtype == y.dtype, f"dtype of {key!r}: {x.dtype} != {y.dtype}"
            _assert_attrs(x.attrs, y.attrs, repr(key))
    else:
        _assert_equal(left, right, "")
    assert _recipes(a) == _recipes(b), f"recipes differ:\n{_recipes(a)}\n{_recipes(b)}"


def _without_history(obj: Any) -> Any:
    out = obj.copy(deep=False)
    if isinstance(out, xr.Dataset):
        for key in out.variables:
            out[key].attrs = names.without_provenance(out[key].attrs)
    out.attrs = names.without_provenance(out.attrs)
    return out


def _recipes(obj: Any) -> dict[Hashable, tuple[str, ...]]:
    arrays = obj.data_vars if isinstance(obj, xr.Dataset) else {"": obj}
    return {k: read_history(v.attrs).heads for k, v in arrays.items()}


def assert_lazy(obj: xr.DataArray | xr.Dataset) -> None:
    """Assert that no variable was computed.

    Parameters
    ----------
    obj : DataArray or Dataset
    """
    arrays = obj.data_vars if isinstance(obj, xr.Dataset) else {obj.name: obj}
    eager = [k for k, v in arrays.items() if not is_chunked(v)]
    assert not eager, f"not lazy: {', '.join(map(str, eager))}"


@contextlib.contextmanager
def no_compute() -> Iterator[None]:
    """Make every dask computation inside the block an error."""
    import dask

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something was computed that should have stayed lazy")

    with dask.config.set(scheduler=refuse):
        yield
