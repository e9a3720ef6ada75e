"""What is read to show something: a part of an array, block by block, and never more of it at once."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.cut import Cut
from sid_xarray.viz._select import read

__all__ = ["PARTS", "Cache", "Reduced", "blocks", "part_of", "reduced"]

PARTS = ("amplitude", "phase", "real", "imag")
_BLOCK = 16 * 2**20


@dataclass(frozen=True)
class Reduced:
    """Numbers of a region, over the dimensions that are kept.

    Attributes
    ----------
    values : ndarray
    spread : ndarray
        Standard deviation of the points of the region.
    n : int
        How many points it has.
    """

    values: npt.NDArray[Any]
    spread: npt.NDArray[Any]
    n: int


def part_of(values: npt.NDArray[Any], part: str) -> npt.NDArray[Any]:
    """Return a real part of complex values; real ones stay."""
    if values.dtype.kind != "c":
        return values
    how: dict[str, Callable[[Any], Any]] = {"amplitude": np.abs, "phase": np.angle, "real": np.real, "imag": np.imag}
    return np.asarray(how[part](values))


def reduced(
    da: xr.DataArray,
    found: Cut,
    keep: Sequence[Hashable],
    *,
    how: str = "mean",
    part: str = "amplitude",
    spread: bool = False,
) -> Reduced:
    """Reduce a region over its dimensions.

    Parameters
    ----------
    da : DataArray
        Of the dimensions of the region and those that are kept.
    found : Cut
        Where the region lies.
    keep : sequence of hashable
        Dimensions of the result, in this order.
    how : {"mean", "sum", "max", "min", "std"}
    part : str
        Of complex values, taken before they are reduced; but a phase is that of the mean.
    spread : bool
        Whether the standard deviation is wanted beside the mean.

    Returns
    -------
    Reduced
    """
    over = [d for d in da.dims if d not in keep]
    points = {d: i for d, i in found.indexers.items() if not np.ndim(i) and not isinstance(i, slice)}
    sub = da.isel({**{d: slice(None) for d in da.dims}, **found.indexers})
    over = [d for d in over if d not in points]
    if not over and not spread and how != "std":
        return _as_it_is(read(sub, list(keep)), part)
    mask = None if found.mask is None else xr.DataArray(found.mask, dims=list(found.indexers)).transpose(*over).values
    total = _Total(tuple(sub.sizes[d] for d in keep), how, spread)
    for block in blocks(sub):
        values = read(sub.isel(block), [*keep, *over])
        values = values.reshape(*values.shape[: len(keep)], -1)
        if mask is not None:
            inside = mask[tuple(block[d] for d in over)].ravel()
            if not inside.any():
                continue
            values = values[..., inside]
        if values.dtype.kind == "c" and part != "phase":
            values = part_of(values, part)
        total.add(tuple(block[d] for d in keep), values)
    out = total.result()
    n = int(np.prod([sub.sizes[d] for d in over], dtype=int)) if mask is None else int(mask.sum())
    return Reduced(part_of(out.values, part), out.spread, n)


def _as_it_is(values: npt.NDArray[Any], part: str) -> Reduced:
    """Return values of which each is a result; a large image is not copied more than once."""
    values = part_of(values, part)
    if values.dtype.kind != "f":
        values = values.astype(np.float32 if values.dtype.itemsize < 3 else float)
    values = values.view()
    values.flags.writeable = False  # it may be the user's own
    return Reduced(values, np.broadcast_to(np.zeros(()), values.shape), 1)


def blocks(da: xr.DataArray, limit: int = _BLOCK) -> Iterator[dict[Hashable, slice]]:
    """Cut an array into blocks of at most ``limit`` bytes, on borders of its chunks where these are known."""
    stored = da.encoding.get("preferred_chunks") or {}
    size = dict(da.sizes)
    for dim in da.dims:
        nbytes = da.dtype.itemsize * int(np.prod(list(size.values()), dtype=np.int64))
        if nbytes <= limit:
            break
        step = max(1, int(size[dim] * limit // nbytes))
        chunk = int(da.chunksizes[dim][0]) if da.chunks is not None else int(stored.get(dim, 1))
        size[dim] = min(size[dim], max(chunk, step // chunk * chunk))
    ranges = [range(0, n, max(1, size[dim])) for dim, n in da.sizes.items()]
    for starts in itertools.product(*ranges):
        yield {d: slice(s, min(s + size[d], da.sizes[d])) for d, s in zip(da.dims, starts, strict=True)}


class _Total:
    """Moments of blocks, put together without loss of digits."""

    def __init__(self, shape: tuple[int, ...], how: str, spread: bool) -> None:
        self.shape, self.how, self.wants_spread = shape, how, spread or how == "std"
        self.n = np.zeros(shape)
        self.mean: npt.NDArray[Any] = np.zeros(shape)
        self.m2 = np.zeros(shape)
        self.best = np.full(shape, np.nan)
        self.gap = np.zeros(shape, dtype=bool)

    def add(self, where: tuple[slice, ...], values: npt.NDArray[Any]) -> None:
        if self.how in ("max", "min"):
            pick = np.fmax if self.how == "max" else np.fmin
            self.best[where] = pick(self.best[where], pick.reduce(values, axis=-1))
            return
        k = values.shape[-1]
        deep = np.complex128 if values.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            mean, n = values.mean(axis=-1, dtype=deep), np.full(values.shape[:-1], float(k))
            bad = np.isnan(mean)
            if bad.any():
                valid = ~np.isnan(values)
                n = valid.sum(axis=-1).astype(float)
                mean = np.where(valid, values, 0).sum(axis=-1, dtype=deep) / n
                mean[n == 0] = 0
                values = np.where(valid, values, mean[..., np.newaxis])
            m2 = _squares(values, mean) if k > 1 and self.wants_spread else np.zeros(n.shape)
        if mean.dtype.kind == "c" and self.mean.dtype.kind != "c":
            self.mean = self.mean.astype(complex)
        self.gap[where] |= bad
        old = self.n[where]
        both = np.maximum(old + n, 1)
        off = mean - self.mean[where]
        self.m2[where] += m2 + abs(off) ** 2 * old * n / both
        self.mean[where] += off * n / both
        self.n[where] = old + n

    def result(self) -> Reduced:
        if self.how in ("max", "min"):
            return Reduced(self.best, np.zeros(self.shape), 0)
        with np.errstate(all="ignore"):
            spread = np.sqrt(self.m2 / self.n)
            mean = np.where(self.n > 0, self.mean, np.nan)
        values = {"mean": mean, "std": spread, "sum": np.where(self.gap, np.nan, mean * self.n)}[self.how]
        return Reduced(values, spread, 0)


def _squares(values: npt.NDArray[Any], mean: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    off = values - mean[..., np.newaxis]
    return np.asarray(np.einsum("...k,...k->...", off, off.conj()).real)


class Cache:
    """The last results, as many as fit."""

    def __init__(self, limit: int = 256 * 2**20) -> None:
        self._held: OrderedDict[Any, Reduced] = OrderedDict()
        self._limit = limit

    def get(self, key: Any, make: Callable[[], Reduced]) -> Reduced:
        """Return what was found before, or find it."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        self._held[key] = out = make()
        while sum(r.values.nbytes + r.spread.nbytes for r in self._held.values()) > self._limit and len(self._held) > 1:
            self._held.popitem(last=False)
        return out


def nbytes(da: xr.DataArray, indexers: Mapping[Hashable, Any]) -> int:
    """Return how much a part of an array holds; nothing is read."""
    return int(da.isel(indexers).size) * da.dtype.itemsize
