"""Strategies for hypothesis: arrays as wild as a store can hold them.

>>> import hypothesis
>>> from sid_xarray.testing import strategies
>>> slow = [hypothesis.HealthCheck.too_slow]  # the first array, for what is imported then
>>> @hypothesis.settings(max_examples=3, database=None, deadline=None, suppress_health_check=slow)
... @hypothesis.given(strategies.dataarrays())
... def test(da):
...     da.sid.check()
>>> test()
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import hypothesis.extra.numpy as npst
import numpy as np
import xarray as xr
from hypothesis import strategies as st

from sid_xarray.core.metadata import pack
from sid_xarray.schema import attrs as known
from sid_xarray.schema import kinds

__all__ = ["attributes", "dataarrays", "datasets", "dtypes", "metadata", "names", "trees"]

Store = Literal["nsid", "usid", "zarr"]

_POINTS = 512
_UNITS = ("nm", "eV", "1/nm", "s", "V", "µm", "count", "1", "arcsec^2", "no such unit", "")
_UNLUCKY = (
    "T",
    "name",
    "a",
    "b",
    "x",
    "y",
    "units",
    "dim_0",
    "size",
    "title",
    "metadata",
    "energy",
    "point",
    "position",
)
# xarray takes these for its own when it reads a store, or forbids them.
_DECODED = frozenset(
    "_FillValue missing_value scale_factor add_offset dtype coordinates grid_mapping units calendar _Unsigned "
    "bounds cell_measures formula_terms ancillary_variables _ARRAY_DIMENSIONS _xarray_variable_attr".split()
)
_PLAIN = st.characters(categories=["L", "N"], include_characters="_")
_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")


@functools.cache
def names(store: Store = "nsid") -> st.SearchStrategy[str]:
    """Names of dimensions and variables: unicode, blanks, and words that older readers fall over.

    Parameters
    ----------
    store : {"nsid", "usid", "zarr"}
        What it has to hold: zarr takes letters and digits.

    Returns
    -------
    SearchStrategy of str
    """
    if store == "zarr":
        return st.text(_PLAIN, min_size=1, max_size=8) | st.sampled_from(_UNLUCKY)
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(_UNLUCKY)


@functools.cache
def dtypes(store: Store = "nsid") -> st.SearchStrategy[np.dtype[Any]]:
    """Dtypes that come back from a store as they were.

    Parameters
    ----------
    store : {"nsid", "usid", "zarr"}

    Returns
    -------
    SearchStrategy of dtype
        ``object`` stands for text.
    """
    numbers = _numbers("=" if store == "zarr" else "?")
    # xarray takes bytes of length one for letters of a text, when it reads zarr.
    texts = [f"U{n}" for n in (1, 2, 4)] + [f"S{n}" for n in (2, 4)] + (["S1", "O"] if store != "zarr" else [])
    return numbers | numbers | numbers | _times(store) | _evenly(texts).map(np.dtype)


@functools.cache
def _numbers(order: Literal["=", "?"]) -> st.SearchStrategy[np.dtype[Any]]:
    found = "f8 f4 f2 i1 i2 i4 i8 u1 u2 u4 u8 c8 c16 ?".split()
    found += [f">{name}" for name in found if name[1:] not in ("1", "")] if order == "?" else []
    return _evenly(found).map(np.dtype)


def _evenly(options: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Choose one of some; `sampled_from` prefers the first ones."""
    return st.integers(0, 2**16 - 1).map(lambda i: options[i % len(options)])


@functools.cache
def _index_numbers(order: Literal["=", "?"]) -> st.SearchStrategy[np.dtype[Any]]:
    return _numbers(order).filter(lambda d: d.str[1:] != "f2")


_INDEX_TEXT = st.sampled_from(["U1", "U3"]).map(np.dtype)


@functools.cache
def _times(store: Store) -> st.SearchStrategy[np.dtype[Any]]:
    units = ("ns",) if store == "zarr" else ("s", "ms", "us", "ns")
    return st.sampled_from([f"{kind}8[{unit}]" for kind in "Mm" for unit in units]).map(np.dtype)


@functools.cache
def metadata(max_leaves: int = 12) -> st.SearchStrategy[dict[str, Any]]:
    """Nested metadata, ragged as those of instruments.

    Parameters
    ----------
    max_leaves : int

    Returns
    -------
    SearchStrategy of dict
        For `with_metadata`: None, bool, integers of any size, ``nan``, bytes, complex numbers, arrays, lists of
        dicts, keys of any text.
    """
    leaves = _scalars() | npst.arrays(_numbers("?"), npst.array_shapes(min_dims=0, max_dims=2, max_side=3, min_side=0))
    leaves |= st.datetimes() | st.integers(-(2**200), 2**200)
    keys = st.text(max_size=6) | st.sampled_from(["b", "a", "1", "10", "~", "a/b", "units", "ü"])

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        level = st.dictionaries(keys, inner, max_size=4)
        return level | st.lists(inner, max_size=3) | st.lists(level, max_size=3) | st.tuples(inner, inner)

    return st.dictionaries(keys, st.recursive(leaves, nested, max_leaves=max_leaves), max_size=5)


@functools.cache
def _scalars() -> st.SearchStrategy[Any]:
    found = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text(max_size=10)
    return found | st.binary(max_size=10) | st.floats(width=32).map(np.float32)


_SAID = st.fixed_dictionaries(
    {},
    optional={
        known.UNITS: st.sampled_from(_UNITS),
        known.LONG_NAME: st.sampled_from(["Current", "Größe (rel.)"]) | st.text(_TEXT, max_size=8),
        known.TITLE: st.text(_TEXT, max_size=8),
        known.MODALITY: st.sampled_from(["STM", "cAFM"]),
        known.SOURCE: st.text(_TEXT, max_size=8),
    },
)


@functools.cache
def attributes(store: Store = "nsid") -> st.SearchStrategy[dict[Hashable, Any]]:
    """Attributes of a variable.

    Parameters
    ----------
    store : {"nsid", "usid", "zarr"}
        zarr keeps what JSON has.

    Returns
    -------
    SearchStrategy of dict
    """
    records = st.fixed_dictionaries(
        {}, optional={known.METADATA: metadata().map(pack), known.ORIGINAL_METADATA: metadata(4).map(pack)}
    )
    free = _of_json() if store == "zarr" else _of_anything()
    return st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, _SAID, records, free)


@functools.cache
def _of_json() -> st.SearchStrategy[dict[str, Any]]:
    leaves: st.SearchStrategy[Any] = st.booleans() | st.integers(-(2**63), 2**63) | st.text(_TEXT, max_size=10)
    leaves |= st.floats(allow_nan=False, allow_infinity=False)
    keys = st.text(_TEXT, max_size=8).filter(lambda k: k not in _DECODED and not k.startswith("_"))
    return st.dictionaries(keys, leaves | st.lists(leaves, max_size=3), max_size=3)


@functools.cache
def _of_anything() -> st.SearchStrategy[dict[Any, Any]]:
    leaves = _scalars() | npst.arrays(_numbers("?"), npst.array_shapes(min_dims=0, max_dims=2, max_side=3, min_side=0))
    keys = st.text(max_size=8) | st.integers() | st.sampled_from(["name", "title", "type", "NAME", "labels", *_DECODED])
    inner = st.recursive(
        leaves,
        lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(max_size=5), i, max_size=3) | st.tuples(i),
        max_leaves=6,
    )
    return st.dictionaries(keys, inner, max_size=4)


@st.composite
def datasets(
    draw: st.DrawFn, store: Store = "nsid", *, max_dims: int = 7, min_vars: int = 0, lazy: bool = True
) -> xr.Dataset:
    """Draw a Dataset.

    Parameters
    ----------
    store : {"nsid", "usid", "zarr"}
        What has to hold it.
    max_dims : int
        Of one variable.
    min_vars : int
        Data variables that it has at least.
    lazy : bool
        Whether some are dask arrays.

    Returns
    -------
    SearchStrategy of Dataset
        With up to `max_dims` dimensions of 0 to 4 points, some without coordinates, some with text, times, numbers
        of any order or a coordinate over several dimensions; any dtype of the store; attributes.
    """
    sizes = _sizes(draw, store, max_dims)
    ds = xr.Dataset(attrs=_attrs(draw, store, own=True))
    for dim in sizes:
        ds = _with_coordinate(draw, ds, dim, sizes, store)
    free = [
        n for n in draw(st.lists(names(store), min_size=min_vars, max_size=min_vars + 3, unique=True)) if n not in sizes
    ]
    free = [n for n in free if n not in ds.variables]
    while len(free) < min_vars:
        free.append(f"v{len(free)}")
    for i, name in enumerate(free):
        var = _variable(draw, sizes, store, whole=i == 0 and min_vars > 0)
        coordinate = i >= min_vars and draw(st.booleans())
        ds = ds.assign_coords({name: var}) if coordinate else ds.assign({name: var})
    if not len(ds.variables) and not ds.attrs:
        ds = ds.assign(v=1.0)
    if lazy and draw(st.booleans()):
        ds = ds.chunk({d: draw(st.integers(1, 3)) for d in ds.dims})
    return ds


def _sizes(draw: st.DrawFn, store: Store, max_dims: int) -> dict[str, int]:
    count = draw(_evenly(range(max_dims + 1)))
    dims = draw(st.lists(names(store), min_size=count, max_size=count, unique=True))
    sizes: dict[str, int] = {}
    for dim in dims:
        most = max(1, min(4, _POINTS // math.prod(max(s, 1) for s in sizes.values()) // 2 ** (count - len(sizes) - 1)))
        # Axes of one point or of none are a matter of their own, and should not be in every array.
        sizes[dim] = draw(st.integers(0, most) if draw(_evenly(range(7))) == 6 else st.integers(min(2, most), most))
    return sizes


def _with_coordinate(draw: st.DrawFn, ds: xr.Dataset, dim: str, sizes: Mapping[str, int], store: Store) -> xr.Dataset:
    kind = draw(_evenly(["none", "even", "numbers", "times", "text", "bare", "over several"]))
    if kind == "none":
        return ds
    attrs = _attrs(draw, store)
    if draw(st.booleans()):
        attrs[known.DIMENSION_TYPE] = draw(st.sampled_from(kinds.DIMENSION_TYPES))
    n = sizes[dim]
    if kind == "even":
        values = draw(st.integers(-5, 5)) + 0.5 * np.arange(n, dtype=float)
    elif kind == "over several" and store != "zarr" and len(sizes) > 1:
        over = [dim, next(d for d in sizes if d != dim)]
        values = _values(draw, draw(_numbers("=")), tuple(sizes[d] for d in over), store)
        return ds.assign_coords(xr.Coordinates({dim: (over, values, attrs)}, indexes={}))
    else:
        # pandas has no index of half floats.
        numbers = _index_numbers("=" if store == "zarr" else "?")
        drawn = {"times": _times(store), "text": _INDEX_TEXT}.get(kind, numbers)
        values = _values(draw, draw(drawn), (n,), store)
    if values.dtype.kind in "Mm":
        attrs.pop(known.UNITS, None)
    ds = ds.assign_coords({dim: (dim, values, attrs)})
    return ds.drop_indexes(dim) if kind == "bare" and store != "zarr" else ds


def _variable(draw: st.DrawFn, sizes: Mapping[str, int], store: Store, *, whole: bool) -> xr.Variable:
    dims = draw(st.permutations(list(sizes)))
    dims = dims if whole else dims[: draw(st.integers(0, len(sizes)))]
    dtype = draw(dtypes(store))
    attrs = _attrs(draw, store)
    if dtype.kind in "Mm":
        attrs.pop(known.UNITS, None)
    return xr.Variable(dims, _values(draw, dtype, tuple(sizes[d] for d in dims), store), attrs)


def _attrs(draw: st.DrawFn, store: Store, *, own: bool = False) -> dict[Hashable, Any]:
    """Draw attributes for one of several: few are wild, since these take most of the time."""
    how = draw(st.integers(0, 7))
    if how < 3:
        return {}
    if how < 6 or (own and store == "zarr"):
        plain: st.SearchStrategy[Any] = _of_json() if own else _SAID
        return dict(draw(plain))
    return draw(attributes(store))


def _values(draw: st.DrawFn, dtype: np.dtype[Any], shape: tuple[int, ...], store: Store) -> np.ndarray[Any, Any]:
    """Draw values: any bits for numbers, with the extremes among them."""
    count = math.prod(shape)
    if store == "zarr" and dtype.kind in "SMm" and not count:  # these forget what they are when there are none
        return np.empty(shape)
    if dtype.kind in "Mm" and store == "zarr":  # xarray counts from the first time, and its counter overflows
        return (draw(st.integers(-(2**40), 2**40)) * (np.arange(count) % 7)).astype("i8").view(dtype).reshape(shape)
    if dtype.kind in "USO":
        width = 4 if dtype.kind == "O" else dtype.itemsize // (4 if dtype.kind == "U" else 1)
        one: st.SearchStrategy[Any] = st.text(_TEXT, max_size=width)
        if dtype.kind == "S":
            one = st.binary(max_size=width)
        few = draw(st.lists(one, min_size=1, max_size=6))
        if store == "zarr" and not shape:
            return np.array(few[0] + (b"ab" if dtype.kind == "S" else "ab"))  # as wide as needed: so it comes back
        return _filled([few[i % len(few)] for i in range(count)], dtype, shape)
    size = count * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size)) if size <= 64 else _noise(draw, size)
    if dtype.kind == "b":
        return (np.frombuffer(raw, "u1") & 1).astype(bool).reshape(shape)
    values = np.frombuffer(raw, dtype).copy()
    extremes = _extremes(dtype)
    for i in range(min(count, draw(st.integers(0, len(extremes))))):
        values[i * 7 % count] = extremes[i]
    if dtype.kind == "f" and dtype.itemsize == 2:
        values[np.isnan(values)] = np.nan  # it is stored as float32, and a NaN with a message loses it on the way
    if store == "zarr" and dtype.kind in "fc":  # a chunk of zeros is not written, whatever their sign; nor one of NaN
        parts = values.view(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else values
        parts[np.isnan(parts)] = np.nan
        parts[parts == 0] = 0
    return values.reshape(shape)


def _noise(draw: st.DrawFn, size: int) -> bytes:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).bytes(size)


def _filled(texts: list[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    out = np.empty(len(texts), dtype)
    out[:] = texts
    return out.reshape(shape)


def _extremes(dtype: np.dtype[Any]) -> list[Any]:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return [info.max, info.min, 0, 1]
    if dtype.kind in "fc":
        limits = np.finfo(dtype)
        return [np.nan, np.inf, -np.inf, -0.0, limits.max, limits.smallest_subnormal, 0]
    return [np.array("NaT", dtype), np.array(0, dtype)]


@st.composite
def dataarrays(draw: st.DrawFn, store: Store = "nsid", *, max_dims: int = 7, lazy: bool = True) -> xr.DataArray:
    """Draw a DataArray; see `datasets`.

    Parameters
    ----------
    store : {"nsid", "usid", "zarr"}
    max_dims : int
    lazy : bool

    Returns
    -------
    SearchStrategy of DataArray
        Its name may be text, a number or None.
    """
    ds = draw(datasets(store, max_dims=max_dims, min_vars=1, lazy=lazy))
    da = next(iter(ds.data_vars.values()))
    name = draw(names(store) if store == "zarr" else names(store) | st.none() | st.integers())
    return da.rename(name if name not in ds.coords and name not in ds.dims else "free")


@st.composite
def trees(draw: st.DrawFn, store: Store = "nsid") -> xr.DataTree:
    """Draw a DataTree: attributes on parents, variables on leaves.

    Parameters
    ----------
    store : {"nsid", "usid"}

    Returns
    -------
    SearchStrategy of DataTree
    """
    part = st.sampled_from(["Measurement_000", "Channel_000", "Channel_001", "scan", "Größe", "a b"])
    paths = draw(st.lists(st.lists(part, min_size=1, max_size=3).map("/".join), min_size=1, max_size=3, unique=True))
    leaves = [p for p in paths if not any(other.startswith(f"{p}/") for other in paths)]
    nodes = {f"/{p}": draw(datasets(store, max_dims=3, min_vars=1).filter(_in_a_tree)) for p in leaves}
    parents = {f"/{p.rpartition('/')[0]}" for p in leaves} - set(nodes)
    nodes |= {p: xr.Dataset(attrs=draw(attributes(store))) for p in parents}
    return xr.DataTree.from_dict(nodes)


def _in_a_tree(ds: xr.Dataset) -> bool:
    return not any("/" in str(k) for k in (*ds.variables, *ds.dims))
