"""Decompose many spectra, or patterns, into a few components; and put them together again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance, samples
from sid_xarray.core.chunked import is_chunked
from sid_xarray.core.dims import dims_of, kind_of, units_of
from sid_xarray.core.lift import Out, bare, float_dtype, lift
from sid_xarray.errors import DimensionError, ModelError, nearest
from sid_xarray.kernels import decomposition as kernels
from sid_xarray.ops._results import refuse_taken
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["decompose", "reconstruct"]

_METHODS = ("pca", "nmf")
_LARGEST = 4096


def decompose(
    da: xr.DataArray,
    n_components: int = 8,
    *,
    method: str = "pca",
    dim: Hashable | Sequence[Hashable] | None = None,
    center: bool = True,
    seed: int | None = None,
    iterations: int = 500,
) -> xr.Dataset:
    """Find the few components of which all spectra, or patterns, are sums.

    Parameters
    ----------
    da : DataArray
    n_components : int, default: 8
    method : {"pca", "nmf"}, default: "pca"
        Principal components, exactly, by the covariance of the features, in one pass over data of any size; or
        non-negative ones, by scikit-learn (extra ``ml``), which needs the data in memory.
    dim : hashable or sequence, optional
        Dimensions of the spectrum or pattern; the spectral ones, else the reciprocal ones, by default. All others
        count samples.
    center : bool, default: True
        Take the mean off first; principal components only.
    seed : int, optional
        Of the random start of "nmf". Drawn if it is not given, and written in the history.
    iterations : int, default: 500
        At most; "nmf" only.

    Returns
    -------
    Dataset
        ``components`` over `dim`, of length 1; ``scores``, how much of each is in every sample, in units of the data,
        NaN where a sample is not finite; ``mean`` (zero without `center`). For "pca" also ``explained_variance`` and
        its share of the whole, ``explained_variance_ratio``; for "nmf" ``residual``, what is left of the
        data, as a share of their norm, and ``nit``, which is `iterations` if it has not settled. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no spectrum, or not as many features as components.
    ModelError
        If there is no such method, or a value below zero with "nmf".

    References
    ----------
    .. [1] I. T. Jolliffe, Principal Component Analysis, Springer (2002), doi:10.1007/b98835
    .. [2] D. D. Lee, H. S. Seung, Nature 401, 788 (1999), doi:10.1038/44565

    Examples
    --------
    >>> import sid_xarray as sid
    >>> found = sid.datasets.edge_map().sid.decompose(2)
    >>> bool(found.explained_variance_ratio[0] > 0.999)
    True
    """
    if method not in _METHODS:
        raise ModelError(f"no decomposition {method!r}.{nearest(str(method), _METHODS)} There are {_METHODS}.")
    if kind_of(da) not in "biuf":
        raise DimensionError(f"components are found in real numbers, {da.name!r} is {da.dtype}. Take abs() or .real.")
    features = _features(da, dim)
    refuse_taken(da, ("component", "scores", "components", "mean"))
    k, m = _count(da, n_components, features)
    params: dict[str, Any] = {"n_components": k, "method": method, "dim": [str(d) for d in features]}
    if method == "nmf":
        seed = int(np.random.default_rng().integers(2**31)) if seed is None else _whole("seed", seed, 0)
        iterations = _whole("iterations", iterations, 1)
        ds = _nmf(da, k, m, features, seed=seed, iterations=iterations)
        params |= {"seed": seed, "iterations": iterations}
    else:
        ds = _pca(da, k, m, features, center=bool(center))
        params["center"] = bool(center)
    return provenance.stamp(_said(ds, da, method), "decompose", da, **params)


def _features(da: xr.DataArray, dim: Hashable | Sequence[Hashable] | None) -> tuple[Hashable, ...]:
    if dim is not None:
        chosen = (dim,) if isinstance(dim, str) or not isinstance(dim, Sequence) else tuple(dim)
    else:
        chosen = dims_of(da, "spectral") or dims_of(da, "reciprocal")
    missing = [d for d in chosen if d not in da.dims]
    if missing or not chosen:
        found = f"no dimension {missing[0]!r}" if missing else "no spectral dimension"
        raise DimensionError(f"{found} among {da.dims} of {da.name!r}. Name it: decompose(dim='energy').")
    if len(set(chosen)) != len(chosen):
        raise DimensionError(f"a dimension is named twice: {chosen}")
    if da.size == 0:
        raise DimensionError(f"{da.name!r} is empty: {dict(da.sizes)}")
    if len(chosen) == da.ndim:
        raise DimensionError(f"{da.name!r} has one spectrum only: there is nothing to decompose over {chosen}")
    return chosen


def _count(da: xr.DataArray, n_components: Any, features: Sequence[Hashable]) -> tuple[int, int]:
    m = int(np.prod([da.sizes[d] for d in features], dtype=int))
    k = _whole("n_components", n_components, 1)
    if k > m:
        raise DimensionError(f"{k} components of {m} features over {tuple(features)}: there are fewer")
    return k, m


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < 2**32:
        raise DimensionError(f"{name} is a whole number of {least} or more, got {value!r}")
    return int(value)


def _pca(da: xr.DataArray, k: int, m: int, features: tuple[Hashable, ...], *, center: bool) -> xr.Dataset:
    if m > _LARGEST:
        raise DimensionError(
            f"{m} features over {features} are more than the {_LARGEST} whose covariance fits in memory. "
            f"Rebin first: da.sid.rebin({features[-1]}=2), or crop with da.sel."
        )
    products = samples.summed(da, features, kernels.moments, (m + 1, m + 1))
    components, mean, variance, total = samples.late(
        partial(kernels.principal, k=k, center=center),
        products,
        shapes=[(k, m), (m,), (k,), ()],
        dtypes=[float, float, float, float],
    )
    ds = _placed(da, components, mean, features, k)
    projected = lift(
        partial(_project, n=len(features)),
        da.astype(float_dtype(da), copy=False),
        ds["components"],
        ds["mean"],
        core=[features, ("component", *features), features],
        out=[Out(("component",), {"component": k}, float_dtype(da))],
    )
    ds["scores"] = projected[0].transpose("component", ...)
    ds["explained_variance"] = ("component", variance)
    ds["explained_variance_ratio"] = ds["explained_variance"] / xr.DataArray(total)
    return ds


def _project(values: Any, components: Any, mean: Any, *, n: int) -> Any:
    flat = [a.reshape(*a.shape[: a.ndim - n], -1) for a in (values, components, mean)]
    return kernels.project(*flat)


def _placed(da: xr.DataArray, components: Any, mean: Any, features: tuple[Hashable, ...], k: int) -> xr.Dataset:
    """Return components and mean over the dimensions of the features, with their coordinates."""
    shape = tuple(da.sizes[d] for d in features)
    dtype = float_dtype(da)
    coords = {n: c for n, c in da.coords.items() if set(c.dims) <= set(features)}
    number = xr.Variable(("component",), np.arange(k, dtype=float), {names.UNITS: "1", names.DIMENSION_TYPE: "channel"})
    return xr.Dataset(
        {
            "components": (("component", *features), components.reshape(k, *shape).astype(dtype)),
            "mean": (features, mean.reshape(shape).astype(dtype)),
        },
        coords={**coords, "component": number},
    )


def _nmf(da: xr.DataArray, k: int, m: int, features: tuple[Hashable, ...], *, seed: int, iterations: int) -> xr.Dataset:
    rows = [d for d in da.dims if d not in features]
    dtype = float_dtype(da)
    values = samples.table(da.astype(dtype, copy=False), features)
    if is_chunked(da):
        values = values.rechunk(-1)
    scores, components, residual, used = samples.late(
        partial(kernels.nonnegative, k=k, seed=seed, iterations=iterations),
        values,
        shapes=[(values.shape[0], k), (k, m), (), ()],
        dtypes=[dtype, dtype, float, float],
    )
    ds = _placed(da, components, np.zeros(m), features, k)
    shape = tuple(da.sizes[d] for d in rows)
    coords = {n: c for n, c in da.coords.items() if set(c.dims) <= set(rows)}
    ds["scores"] = xr.DataArray(scores.T.reshape(k, *shape).astype(dtype), dims=("component", *rows), coords=coords)
    ds["residual"] = xr.DataArray(residual)
    ds["nit"] = xr.DataArray(used)
    return ds


def _said(ds: xr.Dataset, da: xr.DataArray, method: str) -> xr.Dataset:
    unit = units_of(da)
    word = da.attrs.get(names.LONG_NAME) or da.name or "values"
    about = {
        "components": ("component", "1"),
        "scores": (f"share of component in {word}", unit),
        "mean": (f"mean of {word}", unit),
        "explained_variance": ("explained variance", units.power(unit, 2)),
        "explained_variance_ratio": ("share of explained variance", "1"),
        "residual": ("share that is left", "1"),
        "nit": ("iterations", "1"),
    }
    order = [name for name in about if name in ds]
    for name in order:
        ds[name].attrs = {names.LONG_NAME: about[name][0], names.UNITS: about[name][1]}
    out = ds[order]
    out.attrs = {"sid_decomposition": method}
    return out


def reconstruct(
    ds: xr.Dataset, components: int | Sequence[int] | None = None, *, name: Hashable | None = None
) -> xr.DataArray:
    """Put components together: what the data are without what was left out, for one, noise.

    Parameters
    ----------
    ds : Dataset
        From `decompose`.
    components : int or sequence of int, optional
        How many, from the first, or which ones; all by default.
    name : hashable, optional
        Of the result.

    Returns
    -------
    DataArray
        ``mean`` plus scores times components, over the dimensions of both; lazy if they are.

    Raises
    ------
    DimensionError
        If the Dataset has no scores and components, or not these.
    """
    missing = [key for key in ("scores", "components", "mean") if key not in ds]
    if missing:
        raise DimensionError(
            f"the Dataset has no {missing[0]!r}: reconstruct takes what decompose gives, here are {list(ds.data_vars)}"
        )
    n = ds.sizes["component"]
    if components is None:
        which = list(range(n))
    elif isinstance(components, int | np.integer):
        which = list(range(int(components)))
    else:
        which = [int(i) for i in components]
    if not which or any(not -n <= i < n for i in which):
        raise DimensionError(f"components are numbers from 0 to {n - 1}, or how many up to {n}; got {components!r}")
    part = ds[["scores", "components"]].isel(component=which)
    out = xr.dot(part["scores"], part["components"], dim="component") + ds["mean"]
    dims = [*(d for d in ds["scores"].dims if d != "component"), *ds["mean"].dims]
    out = bare(out.transpose(*dims)).drop_encoding().rename(name or "reconstruction")
    said = ds["mean"].attrs.get(names.LONG_NAME, "").removeprefix("mean of ")
    out.attrs = {names.LONG_NAME: said or "reconstruction", names.UNITS: units_of(ds["scores"])}
    result: xr.DataArray = provenance.stamp(
        out, "reconstruct", ds, components=which, name=None if name is None else str(name)
    )
    return result
