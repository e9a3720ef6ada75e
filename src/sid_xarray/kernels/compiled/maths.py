"""Elementary functions as straight-line code, of which compilers make vector instructions.

The functions of C are calls, one number at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["FAST", "erf", "erf_and_bell", "exp", "faddeeva", "langevin", "langevin_slope", "log", "sign", "tanh"]

FAST = {"reassoc", "contract", "nsz", "arcp"}
"""What compiled sums may do: change the order of additions. NaN and infinity keep their meaning."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # added and taken away, it leaves the nearest whole number
_LEAST, _MOST = -708.0, 709.0
_SERIES = 0.05


# Without "reassoc": the rounding would be optimised away.
@njit(fastmath={"contract", "nsz"}, error_model="numpy", forceinline=True)
def _exp(bound):
    """Return e**bound where that is a normal number."""
    shifted = bound * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (bound - k * _LN2_HIGH) - k * _LN2_LOW
    # The polynomial through the Chebyshev nodes of [-ln 2 / 2, ln 2 / 2].
    p = 2.511004920481866e-08
    p = p * r + 2.763265472252779e-07
    p = p * r + 2.755724088722987e-06
    p = p * r + 2.4801485441561313e-05
    p = p * r + 0.00019841269890076403
    p = p * r + 0.0013888888952352863
    p = p * r + 0.008333333333319589
    p = p * r + 0.04166666666648795
    p = p * r + 0.1666666666666668
    p = p * r + 0.5000000000000019
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64((np.float64(shifted).view(np.int64) << np.int64(52)) + np.int64(1023 << 52))
    return p * bits.view(np.float64)


@njit(fastmath={"contract", "nsz"}, error_model="numpy", forceinline=True)
def exp(x):
    """Return e**x to the last digit but one, between the smallest and the largest normal number."""
    bound = _LEAST if x < _LEAST else (_MOST if x > _MOST else x)
    value = _exp(bound)
    value = 0.0 if x < _LEAST else value
    return math.inf if x > _MOST else value


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def _clipped(x):
    return 6.0 if x > 6.0 else (-6.0 if x < -6.0 else x)  # beyond, it is 1; NaN stays


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def _erf(x, bell):
    """Return the error function to 1e-15, given exp(-x**2).

    ``(1 + 2 x) exp(x**2) erfc(x)`` is nearly constant, and a polynomial in ``(x - K) / (x + K)`` [1]_.

    References
    ----------
    .. [1] M. M. Shepherd and J. G. Laframboise, Math. Comput. 36, 249 (1981). :doi:`10.2307/2007742`
    """
    a = abs(_clipped(x))
    inverse = 1.0 / ((a + 3.75) * (1.0 + 2.0 * a))
    t = (a - 3.75) * (1.0 + 2.0 * a) * inverse
    p = -1.897431363625211e-09
    p = p * t + 1.7592399145282123e-08
    p = p * t + 1.8495261093286936e-08
    p = p * t - 2.1449952222765128e-07
    p = p * t - 5.019371253950311e-08
    p = p * t + 1.6963859353436492e-06
    p = p * t - 9.800685431492142e-07
    p = p * t - 1.140016096437526e-05
    p = p * t + 2.2388181313849554e-05
    p = p * t + 5.162630687128674e-05
    p = p * t - 0.0002901556518325367
    p = p * t + 0.0002937213106266587
    p = p * t + 0.0017556262574634739
    p = p * t - 0.009746581165108174
    p = p * t + 0.02836227735477249
    p = p * t - 0.05869339839180538
    p = p * t + 0.0923043211661047
    p = p * t - 0.10880393015427475
    p = p * t + 0.08227673848990469
    p = p * t + 0.003585415485774221
    p = p * t - 0.14024059858554377
    p = p * t + 1.2375126308378266
    value = 1.0 - bell * p * (a + 3.75) * inverse
    return value if x > 0.0 else -value


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def erf(x):
    """Return the error function to 1e-15."""
    bound = _clipped(x)
    return _erf(x, _exp(-bound * bound))


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def erf_and_bell(x):
    """Return the error function and exp(-x**2), of which its slope consists."""
    bell = exp(-x * x)
    return _erf(x, bell), bell


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def tanh(x):
    """Return the hyperbolic tangent, to 1e-16 of 1."""
    return 1.0 - 2.0 / (exp(2.0 * x) + 1.0)


@njit(fastmath={"contract", "nsz"}, error_model="numpy", forceinline=True)
def log(x):
    """Return the natural logarithm."""
    return math.log(x)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def sign(x):
    """Return -1, 0 or 1."""
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def langevin(x):
    """Return ``coth(x) - 1/x``, by its series where both terms cancel."""
    if abs(x) < _SERIES:
        square = x * x
        return x * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    return 1.0 / math.tanh(x) - 1.0 / x


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def langevin_slope(x):
    """Return the derivative of `langevin`."""
    square = x * x
    if abs(x) < _SERIES:
        return 1 / 3 - square * (1 / 15 - square * (2 / 189 - square / 675))
    away = min(max(x, -300.0), 300.0)
    return 1.0 / square - 1.0 / math.sinh(away) ** 2


def _weideman(terms):
    """Return the scale and the coefficients of the expansion of w, the highest power first."""
    scale = math.sqrt(terms / math.sqrt(2.0))
    k = np.arange(-2 * terms + 1, 2 * terms)
    t = scale * np.tan(k * math.pi / (4 * terms))
    weights = np.concatenate([[0.0], np.exp(-t * t) * (scale * scale + t * t)])
    coefficients = np.real(np.fft.fft(np.fft.fftshift(weights))) / (4 * terms)
    return scale, tuple(float(c) for c in coefficients[terms:0:-1])


_SCALE, _SERIES_OF_W = _weideman(40)
_ROOT_PI = math.sqrt(math.pi)


@njit(fastmath=FAST, error_model="numpy", forceinline=True)
def faddeeva(x, y):
    """Return real and imaginary part of w(x + i y) for y >= 0, to 2e-14.

    References
    ----------
    .. [1] J. A. C. Weideman, SIAM J. Numer. Anal. 31, 1497 (1994). :doi:`10.1137/0731077`
    """
    below_r, below_i = _SCALE + y, -x
    size = 1.0 / (below_r * below_r + below_i * below_i)
    inverse_r, inverse_i = below_r * size, -below_i * size
    above_r, above_i = _SCALE - y, x
    z_r = above_r * inverse_r - above_i * inverse_i
    z_i = above_r * inverse_i + above_i * inverse_r
    p_r, p_i = 0.0, 0.0
    for c in _SERIES_OF_W:
        p_r, p_i = p_r * z_r - p_i * z_i + c, p_r * z_i + p_i * z_r
    s_r = inverse_r * inverse_r - inverse_i * inverse_i
    s_i = 2.0 * inverse_r * inverse_i
    return (
        2.0 * (p_r * s_r - p_i * s_i) + inverse_r / _ROOT_PI,
        2.0 * (p_r * s_i + p_i * s_r) + inverse_i / _ROOT_PI,
    )
