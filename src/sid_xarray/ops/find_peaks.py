"""Find peaks in every curve, or in every image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.chunked import is_chunked
from sid_xarray.core.dims import dims_of, kind_of, one_dim, units_of
from sid_xarray.core.lift import Out, float_dtype, lift
from sid_xarray.errors import DimensionError
from sid_xarray.kernels.columns import find_in_planes
from sid_xarray.kernels.peaks import Limits, find_along
from sid_xarray.ops._fit_args import plain
from sid_xarray.ops._peak_args import PEAK, axis_of, lengths, peak_index, span_of
from sid_xarray.ops._results import refuse_taken
from sid_xarray.schema import attrs as names

__all__ = ["find_peaks"]


def find_peaks(
    da: xr.DataArray,
    dim: Hashable | Sequence[Hashable] | None = None,
    *,
    height: Any = None,
    prominence: Any = None,
    distance: Any = None,
    width: Any = None,
    smooth: Any = None,
    max_peaks: int | None = None,
) -> xr.Dataset:
    """Find the peaks of every curve, or of every image.

    Parameters
    ----------
    da : DataArray
        Real. Samples that are NaN are left out of a curve.
    dim : hashable or sequence of hashable, optional
        The spectral dimension by default. Two for images: ``dim=("y", "x")``.
    height : float, str or pair, optional
        Least height, or (least, greatest), in the units of the data.
    prominence : float, str or pair, optional
        How far a peak stands out: its height above the highest saddle towards something higher.
    distance : float, str or mapping, optional
        Least distance between peaks, in the units of the coordinate: of two that are nearer, the higher one stays.
        In images the half axis of an ellipse, ``{"y": ..., "x": ...}`` if it differs.
    width : float, str or pair, optional
        Least width of a peak of a curve, or (least, greatest), in the units of the coordinate.
    smooth : float, str or mapping, optional
        Standard deviation, in the units of the coordinate, of a Gaussian that the data are smoothed with before.
        Heights, prominences and widths are then those of the smoothed data.
    max_peaks : int, optional
        How many to keep at a point: the most prominent of a curve, the highest of an image. By default as many as the
        point with most has; data in dask chunks need it.

    Returns
    -------
    Dataset
        Over the other dimensions and ``peak``, in the order of positions for curves, of falling height for images, with
        NaN behind the last one: the position, by the name of `dim` (two of an image); ``height``; ``prominence``;
        ``fwhm``, of curves, the width at half prominence. ``n_peaks`` is how many there are, also of those that were
        not kept. Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no spectral dimension, positions turn back, the data are complex, or in dask chunks without
        `max_peaks`.
    UnitsError
        If units do not fit those of the coordinate.

    Notes
    -----
    Curves are searched by `scipy.signal.find_peaks`. In images, a peak is a sample that is higher than its eight
    neighbours, or a plateau of such. Ends and borders have no peaks, nor have places beside NaN in an image. Positions
    between samples are those of the parabola through the highest sample and its neighbours along every dimension [1]_,
    and ``height`` is that of the highest sample. For more, fit: ``da.sid.fit("gaussian + constant", at=peaks)``.

    References
    ----------
    .. [1] M. Gasior and J. L. Gonzalez, AIP Conf. Proc. 732, 276 (2004). :doi:`10.1063/1.1831158`

    Examples
    --------
    >>> import sid_xarray as sid
    >>> peaks = sid.datasets.peak_map().sid.find_peaks(prominence=10, smooth=0.3)
    >>> peaks.energy.dims, peaks.energy.units, int(peaks.n_peaks.max())
    (('y', 'x', 'peak'), 'eV', 1)
    """
    along = _along(da, dim)
    _check(da, along, width, max_peaks)
    axes = [axis_of(da, d) for d in along]
    limits = Limits(
        height=span_of(da, None, height, "height"),
        prominence=span_of(da, None, prominence, "prominence"),
        width=span_of(da, along[0], width, "width"),
        distance=_distances(da, along, distance),
        smooth=lengths(da, along, smooth, "smooth"),
    )
    gone = {*along, *(name for name, coord in da.coords.items() if set(coord.dims) & set(along))}
    results = [*along, "height", "prominence", *(["fwhm"] if len(along) == 1 else []), "n_peaks"]
    refuse_taken(da, [name for name in [PEAK, *results] if name not in gone])
    if clash := [d for d in along if d in (PEAK, *results[len(along) :])]:
        raise DimensionError(f"{clash[0]!r} would be two variables of the result. Rename the dimension: da.rename(...)")
    dtype = float_dtype(da)
    kernel: Any = partial(find_along, x=axes[0]) if len(along) == 1 else partial(find_in_planes, axes=axes)
    sizes: dict[Hashable, int] = {} if max_peaks is None else {PEAK: int(max_peaks)}
    tables = dict.fromkeys(results[:-1], float) | {"height": dtype, "prominence": dtype}
    found = lift(
        kernel,
        da,
        core=[list(along)],
        out=[*(Out((PEAK,), sizes, kind) for kind in tables.values()), Out((), {}, np.int32)],
        limits=limits,
        size=None if max_peaks is None else int(max_peaks),
        dtype=dtype,
    )
    ds = _named(found, results, da, along)
    said = {"height": height, "prominence": prominence, "width": width}
    given: dict[str, Any] = {k: _ends(getattr(limits, k)) for k, v in said.items() if v is not None}
    for name, values in (("distance", limits.distance), ("smooth", limits.smooth)):
        if any(values):
            given[name] = values[0] if len(along) == 1 else {str(d): v for d, v in zip(along, values, strict=True) if v}
    if max_peaks is not None:
        given["max_peaks"] = int(max_peaks)
    return provenance.stamp(ds, "find_peaks", da, dim=plain(along), **given)


def _along(da: xr.DataArray, dim: Any) -> tuple[Hashable, ...]:
    """Return the dimension of curves, or the two of images."""
    several = isinstance(dim, list | tuple) and dim not in da.dims
    if not several:
        space = dims_of(da, "spatial")
        if dim is None and da.ndim > 1 and not dims_of(da, "spectral") and len(space) == 2:
            raise DimensionError(
                f"{da.name!r} has no spectral dimension. For the peaks of an image type: "
                f"da.sid.find_peaks(dim=({space[0]!r}, {space[1]!r})); for those of its lines: dim={space[1]!r}"
            )
        return (one_dim(da, dim, kind="spectral"),)
    found = tuple(dim)
    if len(found) not in (1, 2) or len(set(found)) < len(found):
        last = ", ".join(repr(d) for d in da.dims[-2:])
        raise DimensionError(f"peaks are found along one dimension, or in a plane: dim=({last}); got dim={dim!r}")
    return tuple(one_dim(da, d, kind="spectral") for d in found)


def _check(da: xr.DataArray, along: Sequence[Hashable], width: Any, max_peaks: Any) -> None:
    if kind_of(da) == "c":
        raise DimensionError(
            f"peaks are found in real numbers, {da.name!r} is {da.dtype}. Type: abs(da).sid.find_peaks()"
        )
    if kind_of(da) not in "biuf":
        raise DimensionError(f"peaks are found in numbers, {da.name!r} is {da.dtype}")
    if len(along) > 1 and width is not None:
        raise DimensionError(
            "width is for peaks of curves. Those of an image are fitted: "
            'da.sid.fit("gaussian2d + constant", at=peaks, window=...)'
        )
    if max_peaks is None:
        if is_chunked(da):
            raise DimensionError(
                "the data are in dask chunks, so nobody knows yet how many peaks there will be. Say how many to keep: "
                "da.sid.find_peaks(max_peaks=10); n_peaks tells how many there were"
            )
    elif isinstance(max_peaks, bool) or not isinstance(max_peaks, int | np.integer) or not 1 <= max_peaks < 2**31:
        raise DimensionError(f"max_peaks is a whole number of 1 or more, got {max_peaks!r}")


def _distances(da: xr.DataArray, along: Sequence[Hashable], given: Any) -> tuple[float, ...]:
    found = lengths(da, along, given, "distance")
    if any(found) and not all(found):
        lacking = along[found.index(0.0)]
        raise DimensionError(f"distance says nothing of {lacking!r}: it is the half axis of an ellipse, give both")
    return found


def _ends(span: tuple[float, float]) -> Any:
    """Return a threshold as it is written down: the least, or a pair with None for an open end."""
    low, high = (None if np.isinf(end) else end for end in span)
    return [low, high] if high is not None or low is None else low


def _named(
    found: Sequence[xr.DataArray], results: Sequence[Hashable], da: xr.DataArray, along: Sequence[Hashable]
) -> xr.Dataset:
    attrs = {k: da.attrs[k] for k in (names.SOURCE, names.MODALITY, names.TITLE) if k in da.attrs}
    ds = xr.Dataset(coords=found[0].coords, attrs=attrs)
    said = {d: (str(da[d].attrs.get(names.LONG_NAME, d)) if d in da.coords else str(d), units_of(da, d)) for d in along}
    said |= {name: (name, units_of(da)) for name in ("height", "prominence")}
    said |= {"fwhm": ("width at half prominence", units_of(da, along[0])), "n_peaks": ("number of peaks", "1")}
    for name, values in zip(results, found, strict=True):
        label, unit = said[name]
        ds[name] = values.assign_attrs({names.LONG_NAME: label, names.UNITS: unit}).variable
    return ds.assign_coords({PEAK: peak_index(ds.sizes[PEAK])})
