"""Sums of peaks and linear backgrounds started: as `sid_xarray.models._search.SumSearch`, curve by curve."""

from __future__ import annotations

import math

import numpy as np
from numba import boolean, njit, types

from sid_xarray.kernels.compiled.linear import dot, solve_columns, take_away
from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import borrowed, larger
from sid_xarray.kernels.compiled.scene import (
    add_shape,
    cut_scene,
    find_box,
    invert_spreads,
    mask,
    project,
    run_shapes,
    scene_size,
    set_spreads,
)
from sid_xarray.kernels.compiled.signatures import COMPILED, INDEX, MATRIX, MODEL_TYPE, VECTOR

__all__ = ["search_rows", "search_size"]

_ROUNDING = 8 * 2.220446049250313e-16


def search_size(n: int, p: int) -> int:
    """Return how many numbers `search_rows` needs for itself."""
    return 2 * scene_size(n, p + 2) + (p + 2) * n + p * p + p


@njit(fastmath=FAST, error_model="numpy")
def _take(y, order, scene, out):
    """Set the samples of a complete curve in order; return whether it is one, and what is rounding."""
    check, mean = 0.0, 0.0
    if order.size:
        for i in range(out.size):
            out[i] = y[order[i]]
    else:
        for i in range(out.size):
            out[i] = y[i]
    for i in range(out.size):
        check += out[i] * 0.0
        mean += out[i]
    mean /= out.size
    most = 0.0
    for i in range(out.size):
        left = out[i] - mean
        scene.left[i] = left
        most = larger(abs(left), most)
    return check == 0.0, _ROUNDING * (abs(mean) + most)


@njit(fastmath=FAST, error_model="numpy")
def _take_some(scene, out):
    """Set gaps of a curve to 0; return how many samples there are, and what is rounding."""
    count, mean, most = 0.0, 0.0, 0.0
    scene.counts[0] = 0.0
    for i in range(out.size):
        good = abs(out[i]) < math.inf
        out[i] = out[i] if good else 0.0
        count += 1.0 if good else 0.0
        scene.counts[i + 1] = count
        mean += out[i]
    mean /= count
    for i in range(out.size):
        left = out[i] - mean
        scene.left[i] = left if scene.counts[i + 1] > scene.counts[i] else 0.0
        most = max(most, abs(scene.left[i]))
    return count, _ROUNDING * (abs(mean) + most)


@njit(fastmath=FAST, error_model="numpy")
def _solver(jac, residual, background, system, step, out):
    """Set rows that give the parameters of the backgrounds of a complete curve, as products with it."""
    for i in range(residual.size):
        for k in range(residual.size):
            residual[k] = 1.0 if k == i else 0.0
        _solve_again(jac, residual, background, system, step)
        for k in range(background.size):
            out[k, i] = step[k]


@njit(fastmath=FAST, error_model="numpy")
def _solve_again(jac, residual, background, system, step):
    """Solve with rows that are orthonormal already, and their system."""
    for k in range(background.size):
        step[k] = 0.0
        if background[k]:
            step[k] = dot(jac[k], residual)
            take_away(residual, step[k], jac[k])
    for j in range(background.size - 1, -1, -1):
        if background[j]:
            step[j] /= system[j, j]
            for k in range(j):
                if background[k]:
                    step[k] -= system[k, j] * step[j]


@njit(fastmath=FAST, error_model="numpy")
def _add_backgrounds(scene, jac, residual, background, complete):
    """Make the first shapes: the constant, and those of the backgrounds; return how many there are."""
    for i in range(residual.size):
        residual[i] = 1.0
    if not complete:
        mask(scene, residual)
    used = add_shape(scene, 0, residual)
    for k in range(background.size):
        if background[k]:
            used = add_shape(scene, used, jac[k])
    run_shapes(scene, 0, used)
    return used


@njit(fastmath=FAST, error_model="numpy")
def _keep(scene, used, lengths, spreads, weights):
    """Set what follows from the shapes of the backgrounds alone, for windows of every length."""
    for j in range(lengths.size):
        size = scene.left.size - lengths[j] + 1
        set_spreads(scene, 0, used, lengths[j], True, spreads[j][:size])
        weights[j] = spreads[j]
        invert_spreads(scene, lengths[j], True, weights[j][:size])


@njit(fastmath=FAST, error_model="numpy")
def _take_out(scene, jac, peak, used, complete):
    """Take out what a peak, and small changes of it, can explain; return how many shapes there are."""
    first = used
    for c in range(3):
        if not complete:
            mask(scene, jac[peak[c]])
        used = add_shape(scene, used, jac[peak[c]])
    run_shapes(scene, first, used)
    project(scene, first, used)
    return used


@njit(
    [
        types.void(
            MODEL_TYPE, VECTOR, MATRIX, MATRIX, INDEX, VECTOR, MATRIX, types.int64[:, ::1], MATRIX, boolean[::1],
            INDEX, boolean[::1], MATRIX,
        )
    ],
    fastmath=FAST,
    **COMPILED,
)  # fmt: skip
def search_rows(  # noqa: C901 - one loop over curves, compiled as a whole
    model, memory, rows, y, order, x, boxes, peaks, scaled, background, lengths, todo, p
):
    """Start some curves.

    Parameters
    ----------
    model : compiled function
        Of the whole.
    memory : (enough,)
        See `search_size`.
    rows : (k, n)
        What the model reads along a curve, in the order of ``x``.
    y : (b, n)
        What is not finite is a gap.
    order : (n,) or (0,)
        Of the samples along ``x``; none if that is how they come.
    x : (n,)
        Ascending.
    boxes : (peaks, 2)
        For every peak, in the order in which they are looked for: see `sid_xarray.models._profile.Profile`.
    peaks : (peaks, 3)
        Positions of height, centre and width among the parameters.
    scaled : (widths, 3)
        Further widths: of which peak, in the order above, the position, and the factor.
    background : (p,)
        Which parameters belong to backgrounds.
    lengths : (widths,)
        Of the boxes to try, in samples.
    todo : (b,)
    p : (b, p)
        Goes to: the start. Holds the values of all further parameters, for heights of 0.
    """
    memory, rows, y, x, p = borrowed(memory), borrowed(rows), borrowed(y), borrowed(x), borrowed(p)
    boxes, peaks, lengths, order = borrowed(boxes), borrowed(peaks), borrowed(lengths), borrowed(order)
    n, count = x.size, p.shape[1]
    apart = (2 * (count + 2) + 4) * (n + 1)
    # One scene for curves with gaps; that of the others keeps the shapes of the backgrounds from curve to curve.
    whole, holed = cut_scene(memory, n, count + 2), cut_scene(memory[apart:], n, count + 2)
    rest = memory[2 * apart :]
    jac, values, residual = rest[: count * n].reshape(count, n), rest[count * n :][:n], rest[(count + 1) * n :][:n]
    system = rest[(count + 2) * n :][: count * count].reshape(count, count)
    step = rest[(count + 2) * n + count * count :][:count]
    # What complete curves have in common: weights of windows, and how backgrounds follow from samples.
    spreads, weights, solver = np.zeros((lengths.size, n)), np.zeros((lengths.size, n)), np.zeros((count, n))
    kept, used = 0, 0
    spacing = (x[n - 1] - x[0]) / max(n - 1, 1)
    spacing = spacing if spacing > 0.0 else 1.0
    for i in range(y.shape[0]):
        if not todo[i]:
            continue
        own = p[i]
        complete, rounding = _take(y[i], order, whole, values)
        scene = whole
        if not complete:
            samples, rounding = _take_some(holed, values)
            scene = holed
            if samples == 0.0:
                own[:] = math.nan
                continue
        if not complete or kept == 0:
            model(rows, values, own, residual, jac)
            for k in range(count):
                if background[k] and not complete:
                    mask(scene, jac[k])
            solve_columns(jac, residual, background, system, step)
            if complete:
                _solver(jac, residual, background, system, step, solver)
            used = _add_backgrounds(scene, jac, residual, background, complete)
        if complete and kept == 0:
            kept = used
            _keep(scene, used, lengths, spreads, weights)
        used = kept if complete else used
        for k in range(count):
            if background[k]:
                own[k] += dot(solver[k], values) if complete else step[k]
        project(scene, 0, used)
        for j in range(peaks.shape[0]):
            height, start, k = find_box(scene, kept, used, lengths, complete, rounding, spreads, weights)
            own[peaks[j, 0]] = height / boxes[j, 1]
            own[peaks[j, 1]] = 0.5 * (x[start] + x[start + k - 1])
            own[peaks[j, 2]] = (x[start + k - 1] - x[start] + spacing) / boxes[j, 0]
            for k in range(scaled.shape[0]):
                if scaled[k, 0] == j:
                    own[int(scaled[k, 1])] = scaled[k, 2] * own[peaks[j, 2]]
            if j + 1 < peaks.shape[0]:
                model(rows, values, own, residual, jac)
                used = _take_out(scene, jac, peaks[j], used, complete)
