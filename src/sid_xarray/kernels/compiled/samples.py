"""The samples of one curve: which take part, what they weigh, how noisy they are."""

from __future__ import annotations

import math
from collections import namedtuple

from numba import float64, njit
from numba.extending import intrinsic

from sid_xarray.kernels.compiled.maths import FAST

__all__ = ["SEGMENTS", "Buffers", "Curve", "borrowed", "larger", "noise_of", "take_samples", "total_of", "weigh"]

LINEAR, SOFT_L1, HUBER = 0, 1, 2
SEGMENTS = 8
_FEW = 24

# rows (k, n), y (m,), w (n,) or (0,), r (m,), jac (p, m); m is n times the number of parts, real parts first.
Curve = namedtuple("Curve", "rows y w r jac parts")
# The same, for the longest curve.
Buffers = namedtuple("Buffers", "rows y w r jac")


@intrinsic
def borrowed(_, array):
    """Return an array that owns nothing: nobody counts who uses it, which takes longer than the small loops here."""

    def build(context, builder, signature, args):
        made = context.make_array(signature.return_type)(context, builder, value=args[0])
        made.meminfo = made.meminfo.type(None)
        made.parent = made.parent.type(None)
        return made._getvalue()

    return array(array), build


@intrinsic
def larger(_, a, b):
    """Return the larger of two numbers that are not NaN.

    The comparison and the choice both say that there is no NaN: only then is a maximum over a loop made of vector
    instructions.
    """

    def build(context, builder, signature, args):
        first, second = args
        flags = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", first, second, flags=flags), first, second, flags=flags)

    return float64(a, b), build


@njit(fastmath=FAST, error_model="numpy")
def _is_complete(y, w):
    """Tell whether all samples take part."""
    total = 0.0
    for i in range(y.size):
        total += y[i] * 0.0
    least, most = math.inf, 0.0
    for i in range(w.size):
        least = min(least, w[i])
        most = max(most, w[i])
        total += w[i] * 0.0
    return total == 0.0 and least > 0.0


@njit(error_model="numpy")
def take_samples(rows, y, w, buffers, p):
    """Return the curve without the samples that take no part: not finite, or without weight."""
    k, n = rows.shape
    parts = y.size // max(n, 1)
    if _is_complete(y, w):
        return Curve(rows, y, w, buffers.r, buffers.jac, parts)
    count = 0
    for i in range(n):
        good = abs(y[i]) < math.inf and (parts == 1 or abs(y[n + i]) < math.inf)
        if good and (w.size == 0 or 0.0 < w[i] < math.inf):
            count += 1
    short = buffers.rows.ravel()[: k * count].reshape(k, count)
    kept, at = buffers.y[: parts * count], 0
    for i in range(n):
        good = abs(y[i]) < math.inf and (parts == 1 or abs(y[n + i]) < math.inf)
        if good and (w.size == 0 or 0.0 < w[i] < math.inf):
            for row in range(k):
                short[row, at] = rows[row, i]
            kept[at] = y[i]
            if parts == 2:
                kept[count + at] = y[n + i]
            if w.size:
                buffers.w[at] = w[i]
            at += 1
    weights = buffers.w[: count if w.size else 0]
    m = parts * count
    return Curve(short, kept, weights, buffers.r[:m], buffers.jac.ravel()[: p * m].reshape(p, m), parts)


@njit(fastmath=FAST, error_model="numpy")
def _multiply(values, w, parts):
    n = w.size
    for part in range(parts):
        own = values[part * n : (part + 1) * n]
        for i in range(n):
            own[i] *= w[i]


@njit(fastmath=FAST, error_model="numpy")
def weigh(curve, q, loss, scale):
    """Multiply residuals and derivatives by the weights, and by those of a robust loss; return the sum of that loss.

    References
    ----------
    .. [1] B. Triggs et al., "Bundle adjustment: a modern synthesis", LNCS 1883, 298 (2000), sec. 4.3.
       :doi:`10.1007/3-540-44480-7_21`
    """
    if curve.w.size:
        _multiply(curve.r, curve.w, curve.parts)
        for k in range(q):
            _multiply(curve.jac[k], curve.w, curve.parts)
    if loss == LINEAR:
        return 0.0
    total = 0.0
    for i in range(curve.r.size):
        z = (curve.r[i] / scale) ** 2
        if loss == SOFT_L1:
            root = math.sqrt(1.0 + z)
            rho, first, second = 2.0 * z / (root + 1.0), 1.0 / root, -0.5 / root**3
        elif z <= 1.0:
            rho, first, second = z, 1.0, 0.0
        else:
            rho, first, second = 2.0 * math.sqrt(z) - 1.0, 1.0 / math.sqrt(z), -0.5 / z**1.5
        total += rho
        bent = math.sqrt(max(first + 2.0 * second * z, 2.220446049250313e-16))
        curve.r[i] *= first / bent
        for k in range(q):
            curve.jac[k, i] *= bent
    return total * scale * scale


@njit(fastmath=FAST, error_model="numpy")
def _total(y):
    squares, mean, about = 0.0, 0.0, 0.0
    for i in range(y.size):
        squares += y[i] * y[i]
        mean += y[i]
    mean /= y.size
    for i in range(y.size):
        about += (y[i] - mean) ** 2
    return squares, about


@njit(fastmath=FAST, error_model="numpy")
def _weighted_total(y, w):
    squares, mass, mean, about = 0.0, 0.0, 0.0, 0.0
    for i in range(y.size):
        weight = w[i] * w[i]
        squares += weight * y[i] * y[i]
        mass += weight
        mean += weight * y[i]
    mean /= mass
    for i in range(y.size):
        about += w[i] * w[i] * (y[i] - mean) ** 2
    return squares, about


@njit(fastmath=FAST, error_model="numpy")
def total_of(curve):
    """Return the sum of squares of the weighted data, and that about the weighted mean."""
    n = curve.y.size // curve.parts
    squares, about = 0.0, 0.0
    for part in range(curve.parts):
        y = curve.y[part * n : (part + 1) * n]
        own = _weighted_total(y, curve.w) if curve.w.size else _total(y)
        squares += own[0]
        about += own[1]
    return squares, about


@njit(fastmath=FAST, error_model="numpy")
def _bend(y, out):
    """Set squares of second differences."""
    for i in range(y.size - 2):
        out[i] = (y[i] - 2.0 * y[i + 1] + y[i + 2]) ** 2


@njit(fastmath=FAST, error_model="numpy")
def _sum(values):
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@njit(fastmath=FAST, error_model="numpy")
def noise_of(curve, found):
    """Return the variance of the weighted noise, from second differences: the median of eight parts of the curve.

    A smooth curve leaves nothing in them, and the few parts where it is steep do not move a median. ``found`` is
    memory for eight numbers; residuals are overwritten.
    """
    n = curve.y.size // curve.parts
    if n < 3:
        return 0.0
    segments = SEGMENTS if n >= _FEW else 1
    length = (n - 2) // segments
    total = 0.0
    for part in range(curve.parts):
        _bend(curve.y[part * n : (part + 1) * n], curve.r)
        if curve.w.size:
            for i in range(n - 2):
                curve.r[i] *= curve.w[i + 1] ** 2
        for s in range(segments):
            value, at = _sum(curve.r[s * length : (s + 1) * length]), s
            while at > 0 and found[at - 1] > value:  # sorted as they come
                found[at] = found[at - 1]
                at -= 1
            found[at] = value
        total += 0.5 * (found[(segments - 1) // 2] + found[segments // 2])
    return total / (6.0 * length * curve.parts)
