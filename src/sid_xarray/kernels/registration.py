"""Find by how much images are shifted, and shift them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.signal.windows import hann

__all__ = ["STATUS", "shift_images", "shifts"]

STATUS: dict[int, str] = {0: "registered", 1: "no_finite_value", 2: "no_contrast", 3: "beyond_max_shift"}

Array: TypeAlias = npt.NDArray[np.floating]
Complex: TypeAlias = npt.NDArray[np.complexfloating]
_BLOCK = 16  # frames at a time: their transforms stay in the cache


def shifts(
    frames: Array, reference: Array, *, max_shift: tuple[float, float] | None = None
) -> tuple[Array, Array, Array, npt.NDArray[np.int8]]:
    """Return how far the content of every frame has moved from where it is in the reference.

    Cross-correlation of the frames under a Hann window, and a parabola through the neighbours of its maximum.
    Frequencies count by how much signal the reference has there above its noise, never by their phase alone: phase
    correlation, which is sharper on clean pictures, goes astray in noise.

    Parameters
    ----------
    frames : ndarray, shape (..., ny, nx)
        NaN are replaced by the mean of the rest.
    reference : ndarray, shape (ny, nx) or broadcastable
    max_shift : pair of float, optional
        Largest shift in pixels that is looked at, along y and x; half the frame by default.

    Returns
    -------
    dy, dx : ndarray, shape (...)
        In pixels; NaN where `status` is not 0.
    correlation : ndarray, shape (...)
        1 for frames that are equal under the window but for a factor; small where little is common.
    status : ndarray of int8, shape (...)
        A key of `STATUS`.

    References
    ----------
    .. [1] M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008), doi:10.1364/OL.33.000156
    """
    ny, nx = frames.shape[-2:]
    lead = np.broadcast_shapes(frames.shape[:-2], reference.shape[:-2])
    flat = np.broadcast_to(frames, (*lead, ny, nx)).reshape(-1, ny, nx)
    fixed = np.broadcast_to(reference, (*lead, ny, nx)).reshape(-1, ny, nx) if reference.ndim > 2 else reference
    n = flat.shape[0]
    dy, dx, peak = (np.full(n, np.nan) for _ in range(3))
    status = np.zeros(n, dtype=np.int8)
    one = _fixed(fixed[np.newaxis]) if fixed.ndim == 2 else None
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        other = _fixed(fixed[part]) if one is None else one
        dy[part], dx[part], peak[part], status[part] = _block(flat[part], other, max_shift)
    return dy.reshape(lead), dx.reshape(lead), peak.reshape(lead), status.reshape(lead)


@dataclass(frozen=True)
class _Fixed:
    """What is needed of references: their transforms, weights and energies, and whether there is anything to see."""

    transform: Complex
    weights: Array
    energy: Array
    status: npt.NDArray[np.int8]


def _fixed(frames: Array) -> _Fixed:
    ny, nx = frames.shape[-2:]
    transform, status = _prepared(frames)
    weights = _weights(transform, ny, nx)
    return _Fixed(transform, weights, _energy(transform, weights, nx), status)


def _prepared(frames: Array) -> tuple[Complex, npt.NDArray[np.int8]]:
    """Return transforms of windowed frames, and whether there is anything to see."""
    dtype = np.float32 if frames.dtype == np.float32 else np.float64
    raw = frames.astype(dtype)
    there = np.isfinite(raw)
    count = there.sum(axis=(-2, -1), keepdims=True)
    mean = np.where(there, raw, 0).sum(axis=(-2, -1), keepdims=True, dtype=float) / np.maximum(count, 1)
    work: Array = np.where(there, raw - mean, 0).astype(dtype, copy=False)
    window: Array = (_hann(work.shape[-2])[:, np.newaxis] * _hann(work.shape[-1])).astype(dtype)
    work = work * window
    norm = np.sqrt((work.astype(float) ** 2).sum(axis=(-2, -1)))
    floor = np.finfo(dtype).eps * np.abs(mean[..., 0, 0]) * np.sqrt(window.size)
    status = np.where(count[..., 0, 0] == 0, 1, np.where(norm <= floor, 2, 0)).astype(np.int8)
    return fft.rfft2(work), status


def _weights(transform: Complex, ny: int, nx: int) -> Array:
    """Return how much signal there is at every frequency, by Wiener: 1 without noise, 0 where nothing else is.

    The level of the noise is that of the highest frequencies, beyond what an instrument resolves.
    """
    power = np.abs(transform).astype(float) ** 2
    high = np.hypot(fft.fftfreq(ny)[:, np.newaxis], fft.rfftfreq(nx)) > 0.4
    if not high.any():
        return np.ones_like(power)
    level = np.median(power[:, high], axis=1)[:, np.newaxis, np.newaxis] / np.log(2)
    smooth = ndimage.gaussian_filter(power, (0, 1.5, 1.5), mode=("nearest", "wrap", "nearest"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(smooth > 0, np.clip(1 - 2 * level / smooth, 0, 1), 0.0)


def _hann(n: int) -> Array:
    return np.ones(n) if n < 4 else np.asarray(hann(n, sym=False), dtype=float)


def _block(frames: Array, reference: _Fixed, max_shift: tuple[float, float] | None) -> tuple[Any, ...]:
    """Return drift, correlation and status of some frames."""
    ny, nx = frames.shape[-2:]
    here, status = _prepared(frames)
    status = np.maximum(status, reference.status)
    iy, ix, higher = _highest(_plane(here, reference, nx), max_shift)
    dy, dx = (_signed(at, n).astype(float) for at, n in ((iy, ny), (ix, nx)))
    if max_shift is not None:  # the maximum is a slope that goes on outside
        near = (np.abs(dy) > max_shift[0] - 1) | (np.abs(dx) > max_shift[1] - 1)
        status = np.where((status == 0) & higher & near, 3, status).astype(np.int8)
    # The window holds on to where it is, and draws the maximum towards zero by some percent of the drift. With the
    # window on the same part of the object that is some percent of less than a pixel.
    rolled = _rolled(frames, dy.astype(int), dx.astype(int))
    here, _ = _prepared(rolled)
    plane = _plane(here, reference, nx)
    norm = np.sqrt(_energy(here, reference.weights, nx) * reference.energy) / (ny * nx)  # where frames are equal
    iy, ix, _ = _highest(plane, (2.0, 2.0))
    dy += _peak(plane, iy, ix, axis=0)
    dx += _peak(plane, iy, ix, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = plane[np.arange(len(frames)), iy, ix] / norm
    status = np.where((status == 0) & (norm == 0), 2, status).astype(np.int8)
    bad = status != 0
    dy[bad] = dx[bad] = np.nan
    return dy, dx, np.where(bad & (status != 3), np.nan, correlation), status


def _plane(here: Complex, reference: _Fixed, nx: int) -> Array:
    """Return cross-correlations."""
    product = here * reference.transform.conj() * reference.weights
    return np.asarray(fft.irfft2(product, s=(here.shape[-2], nx)))


def _highest(plane: Array, max_shift: tuple[float, float] | None) -> tuple[Any, Any, Any]:
    """Return where a plane is highest within the limit, and whether it is higher outside."""
    ny, nx = plane.shape[-2:]
    flat = plane.reshape(len(plane), -1)
    if max_shift is None:
        return *np.divmod(flat.argmax(axis=1), nx), np.zeros(len(plane), dtype=bool)
    far = [np.abs(fft.fftfreq(n, 1 / n)) > limit for n, limit in zip((ny, nx), max_shift, strict=True)]
    inside = np.where(far[0][:, np.newaxis] | far[1], -np.inf, plane).reshape(len(plane), -1)
    return *np.divmod(inside.argmax(axis=1), nx), flat.max(axis=1) > inside.max(axis=1)


def _signed(at: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    return np.where(at > n // 2, at - n, at)


def _rolled(frames: Array, dy: npt.NDArray[np.int_], dx: npt.NDArray[np.int_]) -> Array:
    if not (dy.any() or dx.any()):
        return frames
    return np.stack([np.roll(f, (-int(y), -int(x)), (0, 1)) for f, y, x in zip(frames, dy, dx, strict=True)])


def _energy(transform: Complex, weights: Array, nx: int) -> Array:
    """Return the weighted sum of squares over both halves of a spectrum that is stored as one."""
    twice = np.full(transform.shape[-1], 2.0)
    twice[0] = 1.0
    if nx % 2 == 0:
        twice[-1] = 1.0
    return np.asarray((np.abs(transform).astype(float) ** 2 * weights * twice).sum(axis=(-2, -1)))


def _peak(plane: Array, iy: npt.NDArray[np.intp], ix: npt.NDArray[np.intp], *, axis: int) -> Array:
    """Return the signed position of a maximum, by a parabola through its neighbours on the ring."""
    n = plane.shape[1 + axis]
    at = iy if axis == 0 else ix
    frame = np.arange(len(plane))

    def value(step: int) -> Array:
        moved = (at + step) % n
        return np.asarray(plane[frame, moved, ix] if axis == 0 else plane[frame, iy, moved])

    below, top, above = (value(step).astype(float) for step in (-1, 0, 1))
    bend = below - 2 * top + above
    with np.errstate(invalid="ignore", divide="ignore"):
        fine = np.where((bend < 0) & (n > 2), 0.5 * (below - above) / bend, 0.0)
    return np.asarray(_signed(at, n) + np.clip(fine, -0.5, 0.5))


def shift_images(frames: Array, dy: Array, dx: Array, *, order: int = 3) -> Array:
    """Return images moved by fractions of pixels; what comes in over the edges is NaN.

    Parameters
    ----------
    frames : ndarray, shape (..., ny, nx)
        Real or complex. NaN stay confined to the pixels that they touch.
    dy, dx : ndarray, shape (...)
        Where the content goes, in pixels. Frames with NaN are NaN.
    order : int
        Of the spline: 1 is linear, 3 cubic.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        In the dtype of `frames`.
    """
    lead = np.broadcast_shapes(frames.shape[:-2], dy.shape, dx.shape)
    ny, nx = frames.shape[-2:]
    flat = np.broadcast_to(frames, (*lead, ny, nx)).reshape(-1, ny, nx)
    moves = np.stack([np.broadcast_to(d, lead).reshape(-1) for d in (dy, dx)], axis=-1)
    # A thousandth of a pixel is less than can be measured, and would cost a row of pixels at the edge.
    whole = np.rint(moves)
    moves = np.where(np.abs(moves - whole) < 1e-3, whole, moves)
    out = np.full(flat.shape, np.nan, dtype=frames.dtype)
    for i, (frame, move) in enumerate(zip(flat, moves, strict=True)):
        if not np.isfinite(move).all():
            continue
        out[i] = frame if not move.any() else _moved(frame, move, order)
    return out.reshape(*lead, ny, nx)


def _moved(frame: Array, move: Array, order: int) -> Array:
    if np.iscomplexobj(frame):
        return np.asarray(_moved(frame.real, move, order) + 1j * _moved(frame.imag, move, order), dtype=frame.dtype)
    bad = ~np.isfinite(frame)
    if not bad.any():
        return np.asarray(ndimage.shift(frame, move, order=order, mode="constant", cval=np.nan))
    # The filter of a spline would carry a NaN over the whole frame.
    filled = np.where(bad, frame[~bad].mean() if (~bad).any() else 0.0, frame)
    out = ndimage.shift(filled, move, order=order, mode="constant", cval=np.nan)
    touched = ndimage.shift(bad.astype(np.float32), move, order=1, mode="constant", cval=1.0)
    return np.where(touched > 1e-3, np.nan, out)
