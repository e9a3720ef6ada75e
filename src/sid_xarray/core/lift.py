"""Kernels, lifted to xarray. This is the only place that calls ``apply_ufunc``."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.chunked import is_chunked, whole
from sid_xarray.core.dims import plain_numbers
from sid_xarray.errors import AlignmentError

__all__ = ["Out", "bare", "float_dtype", "lift"]


@dataclass(frozen=True)
class Out:
    """One result of a kernel.

    Parameters
    ----------
    dims : tuple
        Core dimensions of the result, last in its shape.
    sizes : mapping, optional
        Sizes of those that are new or have another size than the input.
    dtype : dtype, optional
        Needed for lazy data; that of the first input by default.
    """

    dims: tuple[Hashable, ...] = ()
    sizes: Mapping[Hashable, int] = field(default_factory=dict)
    dtype: npt.DTypeLike | None = None


def float_dtype(*arrays: Any) -> np.dtype[Any]:
    """Return the dtype of a floating result: float32 stays float32, integers of up to 16 bit become float32."""
    return np.result_type(np.float32, *(a.dtype for a in arrays))


def lift(
    kernel: Callable[..., Any],
    *arrays: xr.DataArray,
    core: Sequence[Sequence[Hashable]],
    out: Sequence[Out],
    **kwargs: Any,
) -> tuple[xr.DataArray, ...]:
    """Apply a kernel over core dimensions; lazy in, lazy out.

    Parameters
    ----------
    kernel : callable
        Takes arrays with the core dimensions last, vectorised over the rest.
    *arrays : DataArray
        Aligned exactly: a float jitter between coordinates is an error, not dropped pixels.
    core : sequence of sequences
        Core dimensions of every array.
    out : sequence of Out
    **kwargs
        Passed to the kernel.

    Returns
    -------
    tuple of DataArray
        No name, no attributes of its own (a verb says what they are); coordinates keep theirs.

    Raises
    ------
    AlignmentError
        If the arrays do not lie on the same grid.
    UnitsError
        If the values carry units of pint.
    """
    for array in arrays:
        plain_numbers(array)
    ready, core, out, back = _spelled(arrays, core, out)
    resized = {dim for o in out for dim in o.sizes}
    sizes = {dim: size for o in out for dim, size in o.sizes.items()}
    ready = [whole(a.drop_encoding(), c) for a, c in zip(ready, core, strict=True)]
    one = len(out) == 1
    first = arrays[0].dtype
    try:
        with _casts_of_samples(ready):
            results = xr.apply_ufunc(
                partial(kernel, **kwargs),
                *ready,
                input_core_dims=[list(c) for c in core],
                output_core_dims=[list(o.dims) for o in out],
                exclude_dims={dim for dim in resized if any(dim in c for c in core)},
                join="exact",
                keep_attrs="override",
                dask="parallelized",
                output_dtypes=[np.dtype(o.dtype) if o.dtype is not None else first for o in out],
                dask_gufunc_kwargs={"output_sizes": sizes},
            )
    except xr.AlignmentError as error:
        called = ", ".join(repr(a.name) for a in arrays if a.name is not None) or "the arrays"
        raise AlignmentError(
            f"{called} do not lie on the same grid: {str(error).splitlines()[0]} "
            "Give one the grid of the other: a.reindex_like(b, method='nearest', tolerance=...)."
        ) from error
    found = (results,) if one else tuple(results)
    if back:
        found = tuple(r.rename({k: v for k, v in back.items() if k in r.dims}) for r in found)
    return tuple(bare(r).rename(None) for r in found)


def _spelled(
    arrays: Sequence[xr.DataArray], core: Sequence[Sequence[Hashable]], out: Sequence[Out]
) -> tuple[list[xr.DataArray], Sequence[Sequence[Hashable]], Sequence[Out], dict[Hashable, Hashable]]:
    """Give core dimensions text for names, since xarray sorts those of lazy data; return the way back, too."""
    dims = dict.fromkeys([*(d for c in core for d in c), *(d for o in out for d in o.dims)])
    names: dict[Hashable, Hashable] = {d: f"_sid_core_{i}" for i, d in enumerate(dims) if not isinstance(d, str)}
    if not names:
        return list(arrays), core, out, {}
    renamed = [a.rename({d: n for d, n in names.items() if d in a.dims}) for a in arrays]
    outs = [
        replace(o, dims=tuple(names.get(d, d) for d in o.dims), sizes={names.get(d, d): n for d, n in o.sizes.items()})
        for o in out
    ]
    return renamed, [[names.get(d, d) for d in c] for c in core], outs, {n: d for d, n in names.items()}


@contextlib.contextmanager
def _casts_of_samples(arrays: Sequence[xr.DataArray]) -> Iterator[None]:
    """Silence what dask says when it casts an empty sample of complex data to the dtype of a real result.

    Nothing is computed then. Where a kernel is at work, a loss of imaginary parts is said aloud.
    """
    if not any(is_chunked(a) and a.dtype.kind == "c" for a in arrays):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        yield


def bare(da: xr.DataArray) -> xr.DataArray:
    """Return the same values without attributes of their own; coordinates keep theirs.

    ``DataArray.drop_attrs`` copies the values.
    """
    out = da.copy(deep=False)
    out.attrs = {}
    return out
