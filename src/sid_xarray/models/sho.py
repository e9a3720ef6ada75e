"""The simple harmonic oscillator, driven: amplitude and phase near a resonance, as one complex curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sid_xarray._types import FloatArray
from sid_xarray.models._model import Array, FitModel, Param

__all__ = ["MODEL", "ResonanceSearch", "guess"]

_PASSES = 2
_LEAST = 1e-6
# Resonances that are tried where the linear equations lead astray.
_PLACES, _QUALITIES = 48, 5


def guess(x: Array, y: Array) -> Array:
    """Return amplitude, frequency, q and phase, shape (..., 4), from linear least squares.

    ``y (x**2 - 1j c x - d) = a`` is linear in ``d``, the frequency squared, in ``c``, the frequency over q, and in the
    complex ``a`` [1]_. Its errors weigh like the denominator, so it is solved again, divided by the last one [2]_;
    the first time, ``|y|**2`` stands for it.

    References
    ----------
    .. [1] E. C. Levy, IRE Trans. Automat. Control AC-4, 37 (1959). :doi:`10.1109/TAC.1959.6429401`
    .. [2] C. K. Sanathanan and J. Koerner, IEEE Trans. Automat. Control 8, 56 (1963). :doi:`10.1109/TAC.1963.1105517`
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
    valid = np.isfinite(y)
    y = np.where(valid, y, 0.0).astype(np.complex128, copy=False)
    with np.errstate(all="ignore"):
        largest = float(np.abs(x).max(initial=0.0)) or 1.0
        t = x / largest
        powers = np.stack([np.ones_like(t), t, t * t], axis=-1)
        re, im = np.ascontiguousarray(y.real), np.ascontiguousarray(y.imag)
        square = re * re + im * im
        size = np.sqrt(square.max(axis=-1, keepdims=True, initial=0.0))
        scale = np.where(size > 0, size, 1.0)
        re, im, square = re / scale, im / scale, square / scale**2
        weight = square
        for n in range(_PASSES):
            above, c, d = _solve(weight, re, im, square, powers)
            if n + 1 < _PASSES:
                real, imag = powers[:, 2] - d, c * t
                weight = np.where(valid, 1 / (real * real + imag * imag), 0.0)
        d = np.clip(d, float((t * t).min(initial=1.0)), float((t * t).max(initial=0.0)))
        frequency = np.sqrt(d)
        rate = np.maximum(np.abs(c), _LEAST)
        found = [
            np.abs(above) / d * scale,
            frequency * largest,
            frequency / rate,
            np.angle(above),
        ]
    out = np.concatenate(found, axis=-1)
    return np.where((size > 0) & valid.any(axis=-1, keepdims=True), out, _nothing(x, valid))


def _solve(
    weight: FloatArray, re: FloatArray, im: FloatArray, square: FloatArray, powers: FloatArray
) -> tuple[Array, FloatArray, FloatArray]:
    """Return numerator, damping and stiffness, each (..., 1)."""
    # Not as products of matrices: their rounding would depend on the number of curves.
    s, r, i, h = (
        np.stack([np.einsum("...n,n->...", weight * v, power) for power in powers.T.copy()])
        for v in (np.ones(()), re, im, square)
    )
    # Without the numerator, which the first two equations give.
    cc = h[2] - (i[1] * i[1] + r[1] * r[1]) / s[0]
    dd = h[0] - (r[0] * r[0] + i[0] * i[0]) / s[0]
    cd = (i[1] * r[0] - r[1] * i[0]) / s[0]
    on_c = (i[1] * r[2] - r[1] * i[2]) / s[0]
    on_d = h[2] - (r[0] * r[2] + i[0] * i[2]) / s[0]
    determinant = cc * dd - cd * cd
    determinant = np.where(determinant != 0, determinant, 1.0)
    c, d = (on_c * dd - on_d * cd) / determinant, (cc * on_d - cd * on_c) / determinant
    above = (r[2] - d * r[0] + c * i[1] + 1j * (i[2] - d * i[0] - c * r[1])) / s[0]
    return above[..., np.newaxis], c[..., np.newaxis], d[..., np.newaxis]


def _nothing(x: FloatArray, valid: Array) -> FloatArray:
    """Return the start of zeros: no amplitude; NaN for a curve without samples."""
    flat = np.array([0.0, float(np.mean(x)) if x.size else 1.0, 10.0, 0.0])
    return np.where(valid.any(axis=-1, keepdims=True), flat, np.nan)


def restart(x: Array, y: Array, attempt: int) -> Array:
    """Return the resonance that explains most, of a grid of frequencies and qualities; shape (..., 4)."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
    valid = np.isfinite(y)
    y = np.where(valid, y, 0.0)
    low, high = float(np.abs(x).min()), float(np.abs(x).max())
    places, qualities = np.meshgrid(np.linspace(low, high, _PLACES + 2)[1:-1], _qualities(x))
    frequency, q = places.reshape(-1, 1), qualities.reshape(-1, 1)
    with np.errstate(all="ignore"):
        shapes = frequency**2 / (x**2 - 1j * x * frequency / q - frequency**2)
        along = np.matmul(y, shapes.conj().T)
        norm = np.matmul(valid.astype(np.float64), (np.abs(shapes) ** 2).T)
        best = (np.abs(along) ** 2 / norm).argmax(axis=-1)[..., np.newaxis]
        # Curve by curve: the rounding of large products depends on their size.
        own = shapes[best[..., 0]]
        above = np.einsum("...n,...n->...", y, own.conj()) / np.einsum("...n,...n->...", valid, np.abs(own) ** 2)
        above = above[..., np.newaxis]
    found = [np.abs(above), frequency[best, 0], q[best, 0], np.angle(above)]
    return np.where(valid.any(axis=-1, keepdims=True), np.concatenate(found, axis=-1), np.nan)


def _qualities(x: FloatArray) -> FloatArray:
    """Return qualities whose resonances are between a fifth of the axis and a few samples wide."""
    middle, span = float(np.abs(x).mean()), float(np.ptp(x)) or 1.0
    return np.geomspace(5 * middle / span, max(10.0, x.size / 3) * middle / span, _QUALITIES)


@dataclass(frozen=True, slots=True)
class ResonanceSearch:
    """Says that compiled functions know `guess`."""

    kind: str = "resonance"
    solves: bool = True


MODEL = FitModel.of(
    "sho",
    "amplitude * exp(1j * phase) * frequency**2 / (x**2 - 1j * x * frequency / q - frequency**2)",
    guess,
    (
        Param("amplitude", units="y", lower=0.0),
        Param("frequency", units="x", lower=0.0),
        Param("q", units="1", lower=0.0),
        Param("phase", units="rad", period=2 * np.pi),
    ),
    reference="S. Jesse, S. V. Kalinin, J. Phys. D 44, 464006 (2011), https://doi.org/10.1088/0022-3727/44/46/464006",
    formula=r"A e^{i\varphi} \frac{f_0^2}{f^2 - i f f_0 / Q - f_0^2}",
    attempts=2,
    restart=restart,
    search=ResonanceSearch(),
)
