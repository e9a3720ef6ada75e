"""Sums of peaks and linear backgrounds started: as `sid_xarray.models._search.SumSearch`, curve by curve."""

from __future__ import annotations

import math

import numpy as np
from numba import boolean, njit, types

from sid_xarray.kernels.compiled.linear import solve_columns
from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import borrowed
from sid_xarray.kernels.compiled.scene import (
    add_shape,
    cut_scene,
    find_box,
    mask,
    project,
    run_shapes,
    scene_size,
    window_weights,
)
from sid_xarray.kernels.compiled.signatures import COMPILED, INDEX, MATRIX, MODEL_TYPE, VECTOR

__all__ = ["search_rows", "search_size"]

_ROUNDING = 8 * 2.220446049250313e-16


def search_size(n: int, p: int) -> int:
    """Return how many numbers `search_rows` needs for itself."""
    return 2 * scene_size(n, p + 2) + (p + 2) * n + p * p + p


@njit(fastmath=FAST, error_model="numpy")
def _take(y, order, scene, out):
    """Set the samples in order, 0 in the gaps; return how many there are, and what is rounding."""
    count, mean, most = 0.0, 0.0, 0.0
    scene.counts[0] = 0.0
    for i in range(order.size):
        value = y[order[i]]
        good = abs(value) < math.inf
        out[i] = value if good else 0.0
        count += 1.0 if good else 0.0
        scene.counts[i + 1] = count
        mean += out[i]
    mean /= count
    for i in range(order.size):
        left = out[i] - mean
        scene.left[i] = left if scene.counts[i + 1] > scene.counts[i] else 0.0
        most = max(most, abs(scene.left[i]))
    return count, _ROUNDING * (abs(mean) + most)


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


@njit(
    [
        types.void(
            MODEL_TYPE, VECTOR, MATRIX, MATRIX, INDEX, VECTOR, MATRIX, types.int64[:, ::1], boolean[::1], INDEX,
            boolean[::1], MATRIX,
        )
    ],
    fastmath=FAST,
    **COMPILED,
)  # fmt: skip
def search_rows(model, memory, rows, y, order, x, boxes, peaks, background, lengths, todo, p):
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
    order : (n,)
        Of the samples along ``x``.
    x : (n,)
        Ascending.
    boxes : (peaks, 2)
        For every peak, in the order in which they are looked for: see `sid_xarray.models._profile.Profile`.
    peaks : (peaks, 3)
        Positions of height, centre and width among the parameters.
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
    size = (2 * (count + 2) + 4) * (n + 1)
    # One scene for curves with gaps; that of the others keeps the shapes of the backgrounds from curve to curve.
    whole, holed = cut_scene(memory, n, count + 2), cut_scene(memory[size:], n, count + 2)
    rest = memory[2 * size :]
    jac, values, residual = rest[: count * n].reshape(count, n), rest[count * n :][:n], rest[(count + 1) * n :][:n]
    system = rest[(count + 2) * n :][: count * count].reshape(count, count)
    step = rest[(count + 2) * n + count * count :][:count]
    owned, nothing = np.zeros((lengths.size, n)), np.zeros((0, n))
    kept = 0
    spacing = (x[n - 1] - x[0]) / max(n - 1, 1)
    spacing = spacing if spacing > 0.0 else 1.0
    for i in range(y.shape[0]):
        if not todo[i]:
            continue
        own = p[i]
        samples, rounding = _take(y[i], order, whole, values)
        complete = samples == n
        scene = whole
        if not complete:
            samples, rounding = _take(y[i], order, holed, values)
            scene = holed
        if samples == 0.0:
            own[:] = math.nan
            continue
        model(rows, values, own, residual, jac)
        for k in range(count):
            if background[k] and not complete:
                mask(scene, jac[k])
        solve_columns(jac, residual, background, system, step)
        for k in range(count):
            own[k] += step[k] if background[k] else 0.0
        if not complete:
            used = _add_backgrounds(scene, jac, residual, background, False)
        elif kept == 0:
            kept = used = _add_backgrounds(scene, jac, residual, background, True)
            for j in range(lengths.size):
                window_weights(scene, used, lengths[j], True, owned[j])
        else:
            used = kept
        project(scene, 0, used)
        for j in range(peaks.shape[0]):
            known = owned if j == 0 and complete else nothing
            height, start, k = find_box(scene, used, lengths, complete, rounding, known)
            own[peaks[j, 0]] = height / boxes[j, 1]
            own[peaks[j, 1]] = 0.5 * (x[start] + x[start + k - 1])
            own[peaks[j, 2]] = (x[start + k - 1] - x[start] + spacing) / boxes[j, 0]
            if j + 1 < peaks.shape[0]:
                model(rows, values, own, residual, jac)
                first = used
                for c in range(3):
                    mask(scene, jac[peaks[j, c]])
                    used = add_shape(scene, used, jac[peaks[j, c]])
                run_shapes(scene, first, used)
                project(scene, first, used)
