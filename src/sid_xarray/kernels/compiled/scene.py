"""Boxes that explain what shapes leave of a curve: as `sid_xarray.models._peaks.Scene`, without arrays of curves."""

from __future__ import annotations

import math
from collections import namedtuple

from numba import njit

from sid_xarray.kernels.compiled.linear import dot, take_away
from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import larger

__all__ = [
    "Scene",
    "add_shape",
    "cut_scene",
    "find_box",
    "mask",
    "project",
    "run_shapes",
    "scene_size",
]

_INDEPENDENT = 1e-20
_ENOUGH = 0.1
_STRIDE = 32

# shapes (q, n) and their running sums (q, n + 1); what is left, its running sum and weights of windows (n + 1,);
# running counts of samples (n + 1,).
Scene = namedtuple("Scene", "shapes sums left run weight counts")


def scene_size(n: int, shapes: int) -> int:
    """Return how many numbers a scene needs."""
    return (2 * shapes + 4) * (n + 1)


@njit(error_model="numpy")
def cut_scene(memory, n, shapes):
    """Return a scene as parts of one vector."""
    rows = memory[: (2 * shapes + 4) * (n + 1)].reshape(2 * shapes + 4, n + 1)
    own = rows[:shapes].ravel()[: shapes * n].reshape(shapes, n)
    rest = rows[2 * shapes :]
    return Scene(own, rows[shapes : 2 * shapes], rest[0][:n], rest[1], rest[2], rest[3])


@njit(fastmath=FAST, error_model="numpy")
def add_shape(scene, used, shape):
    """Make a shape orthonormal to those before it and keep it; return how many there are. It is overwritten."""
    before = after = dot(shape, shape)
    for _ in range(2):
        last = after
        for k in range(used):
            take_away(shape, dot(scene.shapes[k], shape), scene.shapes[k])
        after = dot(shape, shape)
        if after > _ENOUGH * last:  # otherwise rounding has left something, and once more makes it orthogonal
            break
    if not (after > _INDEPENDENT * before and after < math.inf):  # nor one that is not finite
        return used
    norm = 1.0 / math.sqrt(after)
    own = scene.shapes[used]
    for i in range(shape.size):
        own[i] = shape[i] * norm
    return used + 1


@njit(fastmath=FAST, error_model="numpy")
def project(scene, first, used):
    """Take shapes out of what is left."""
    for k in range(first, used):
        take_away(scene.left, dot(scene.shapes[k], scene.left), scene.shapes[k])


@njit(fastmath=FAST, error_model="numpy")
def run_shapes(scene, first, used):
    """Set the running sums of shapes, three side by side: one sum waits for itself."""
    n = scene.left.size
    k = first
    while k + 2 < used:
        a, b, c = scene.shapes[k], scene.shapes[k + 1], scene.shapes[k + 2]
        run_a, run_b, run_c = scene.sums[k], scene.sums[k + 1], scene.sums[k + 2]
        sum_a, sum_b, sum_c = 0.0, 0.0, 0.0
        run_a[0], run_b[0], run_c[0] = 0.0, 0.0, 0.0
        for i in range(n):
            sum_a += a[i]
            sum_b += b[i]
            sum_c += c[i]
            run_a[i + 1], run_b[i + 1], run_c[i + 1] = sum_a, sum_b, sum_c
        k += 3
    while k < used:
        _run(scene.shapes[k], scene.sums[k])
        k += 1


@njit(fastmath=FAST, error_model="numpy")
def _run(values, out):
    """Set running sums: of four parts at once, since one sum waits for itself."""
    n = values.size // 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    out[0] = 0.0
    for i in range(n):
        a += values[i]
        b += values[n + i]
        c += values[2 * n + i]
        d += values[3 * n + i]
        out[i + 1], out[n + i + 1], out[2 * n + i + 1], out[3 * n + i + 1] = a, b, c, d
    for i in range(n):
        out[n + i + 1] += a
        out[2 * n + i + 1] += a + b
        out[3 * n + i + 1] += a + b + c
    total = a + b + c + d
    for i in range(4 * n, values.size):
        total += values[i]
        out[i + 1] = total


@njit(fastmath=FAST, error_model="numpy")
def _less(out, run, ahead):
    """Subtract the squares of the sums of all windows."""
    for i in range(out.size):
        within = ahead[i] - run[i]
        out[i] -= within * within


@njit(fastmath=FAST, error_model="numpy")
def _invert_above(out, least):
    for i in range(out.size):
        value = 1.0 / out[i]
        out[i] = value if out[i] > least else 0.0


@njit(fastmath=FAST, error_model="numpy")
def set_spreads(scene, first, used, k, complete, out):
    """Set the spread of every window of k samples, or take that of further shapes from it, if ``first`` is not 0."""
    if first == 0:
        for i in range(out.size):
            out[i] = float(k)
        if not complete:
            for i in range(out.size):
                out[i] = scene.counts[i + k] - scene.counts[i]
    for shape in range(first, used):
        _less(out, scene.sums[shape], scene.sums[shape][k:])


@njit(fastmath=FAST, error_model="numpy")
def invert_spreads(scene, k, complete, out):
    """Set 1/spread, 0 for a window that the shapes can imitate, or that lies in a gap."""
    if complete:
        _invert_above(out, max(0.1 * k, 0.25))
        return
    for i in range(out.size):
        least = max(0.1 * (scene.counts[i + k] - scene.counts[i]), 0.25)
        out[i] = 1.0 / out[i] if out[i] > least else 0.0


@njit(fastmath=FAST, error_model="numpy")
def _weights(scene, kept, used, lengths, j, complete, spreads, weights):
    """Return the weights for windows of one length."""
    k = lengths[j]
    size = scene.left.size - k + 1
    if complete and used == kept:
        return weights[j][:size]
    out = scene.weight[:size]
    if complete:
        known = spreads[j]
        for i in range(size):
            out[i] = known[i]
    set_spreads(scene, kept if complete else 0, used, k, complete, out)
    invert_spreads(scene, k, complete, out)
    return out


@njit(fastmath=FAST, error_model="numpy")
def _best(run, ahead, weight):
    """Return the most that a window takes off chi2."""
    best = -1.0
    for i in range(weight.size):
        inside = ahead[i] - run[i]
        best = larger(inside * inside * weight[i], best)
    return best


@njit(fastmath=FAST, error_model="numpy")
def _largest(values):
    most = 0.0
    for i in range(values.size):
        most = larger(abs(values[i]), most)
    return most


@njit(fastmath=FAST, error_model="numpy")
def find_box(scene, kept, used, lengths, complete, rounding, spreads, weights):
    """Return the height of the box that explains most of what is left, where it begins, and its length.

    Of complete curves, ``spreads`` and ``weights`` hold what follows from the first ``kept`` shapes, which are those
    of all.
    """
    if _largest(scene.left) <= rounding:
        for i in range(scene.left.size):
            scene.left[i] = 0.0
    _run(scene.left, scene.run)
    best, length = -1.0, 0
    for j in range(lengths.size):
        weight = _weights(scene, kept, used, lengths, j, complete, spreads, weights)
        score = _best(scene.run, scene.run[lengths[j] :], weight)
        if score > best:
            best, length = score, j
    k = lengths[length]
    weight = _weights(scene, kept, used, lengths, length, complete, spreads, weights)
    # The same product may be rounded otherwise here.
    least = best * (1.0 - 1e-12)
    for begin in range(0, weight.size, _STRIDE):
        end = min(begin + _STRIDE, weight.size)
        if _best(scene.run[begin:end], scene.run[begin + k :], weight[begin:end]) < least:
            continue
        for i in range(begin, end):
            inside = scene.run[i + k] - scene.run[i]
            if inside * inside * weight[i] >= least:
                return inside * weight[i], i, k
    return 0.0, 0, k


@njit(fastmath=FAST, error_model="numpy")
def mask(scene, shape):
    """Set a shape to 0 in the gaps, and where it is not finite."""
    for i in range(shape.size):
        good = scene.counts[i + 1] > scene.counts[i] and abs(shape[i]) < math.inf
        shape[i] = shape[i] if good else 0.0
