"""Levenberg-Marquardt, one curve after the other: as `sid_xarray.kernels._lsq_lm`, without its arrays of curves."""

from __future__ import annotations

import math
from collections import namedtuple

from numba import boolean, float64, int64, njit, types

from sid_xarray.kernels.compiled.linear import invert, promised, solve_columns
from sid_xarray.kernels.compiled.maths import FAST
from sid_xarray.kernels.compiled.samples import SEGMENTS, Buffers, borrowed, noise_of, take_samples, total_of, weigh
from sid_xarray.kernels.compiled.signatures import COMPILED, GRAM_TYPE, INDEX, MATRIX, MODEL_TYPE, PROPOSE_TYPE, VECTOR

__all__ = ["fit_rows", "memory_size"]

CONVERGED, NOT_CONVERGED, TOO_FEW_POINTS, NO_FINITE_DATA, GUESS_NOT_FINITE, MODEL_NOT_FINITE = 0, 1, 2, 4, 5, 6
_LEAST_DAMPING, _FIRST_DAMPING, _LAST_DAMPING = 1e-20, 1e-3, 1e12
_STALLED_ANGLE = 1e-5
_LONG = 1e4
_REST = 1e-5
_NOTHING = 64.0
_ROUNDING = (4 * 2.220446049250313e-16) ** 2

Setup = namedtuple("Setup", "free linear max_iter ftol xtol gtol loss")
State = namedtuple("State", "p full slope other norm2 inverse scale step trial held normal next work")
Kernels = namedtuple("Kernels", "model gram propose")


def memory_size(k: int, n: int, m: int, p: int, q: int) -> int:
    """Return how many numbers `fit_rows` needs for itself."""
    return k * n + n + (2 + p) * m + p + 3 * q * q + 8 * q + SEGMENTS


@njit(error_model="numpy")
def _cut(memory, k, n, m, p, q, held):
    """Return state and buffers as parts of one vector."""
    a = memory[: k * n].reshape(k, n)
    at = k * n
    y = memory[at : at + m]
    w = memory[at + m : at + m + n]
    at += m + n
    r = memory[at : at + m]
    jac = memory[at + m : at + m + p * m].reshape(p, m)
    at += m + p * m
    full = memory[at : at + p]
    at += p
    square = q * q
    normal = memory[at : at + square].reshape(q, q)
    following = memory[at + square : at + 2 * square].reshape(q, q)
    work = memory[at + 2 * square : at + 3 * square].reshape(q, q)
    at += 3 * square
    v = memory[at : at + 8 * q].reshape(8, q)
    state = State(v[0], full, v[1], v[2], v[3], v[4], v[5], v[6], v[7], held, normal, following, work)
    return state, Buffers(a, y, w, r, jac), memory[at + 8 * q : at + 8 * q + SEGMENTS]


@njit(fastmath=FAST, error_model="numpy")
def _evaluate(kernels, curve, setup, scale_of_loss, full, normal, slope):
    """Set the normal equations at the parameters ``full``; return chi2."""
    kernels.model(curve.rows, curve.y, full, curve.r, curve.jac)
    for k in range(setup.free.size):  # ascending, so that no row is overwritten before it is read
        if setup.free[k] != k:
            own, taken = curve.jac[k], curve.jac[setup.free[k]]
            for i in range(own.size):
                own[i] = taken[i]
    chi2 = weigh(curve, setup.free.size, setup.loss, scale_of_loss)
    found = kernels.gram(curve.r, curve.jac[: setup.free.size], normal, slope)
    return chi2 if setup.loss else found


@njit(fastmath=FAST, error_model="numpy")
def _is_finite(normal, slope, chi2):
    # The diagonal and the slopes are sums of all there is: what is not finite shows in them.
    total = chi2
    for i in range(slope.size):
        total += normal[i, i] * 0.0 + slope[i] * 0.0
    return abs(total) < math.inf


@njit(fastmath=FAST, error_model="numpy")
def _hold(p, slope, lower, upper, held):
    """Mark the parameters that sit at a bound which the descent direction points across."""
    for k in range(p.size):
        held[k] = (p[k] <= lower[k] and slope[k] < 0.0) or (p[k] >= upper[k] and slope[k] > 0.0) or lower[k] == upper[k]


@njit(fastmath=FAST, error_model="numpy")
def _is_flat(s, chi2, gtol):
    """Tell whether the cosine between the residual and every derivative is small."""
    for k in range(s.p.size):
        if not s.held[k] and s.slope[k] * s.slope[k] > gtol * gtol * s.normal[k, k] * chi2:
            return False
    return True


@njit(fastmath=FAST, error_model="numpy")
def _set_norms(s, least):
    """Take note of the norms of the derivatives: the largest so far keeps the scaling from collapsing."""
    for k in range(s.p.size):
        s.norm2[k] = max(s.norm2[k], s.normal[k, k]) if least else s.normal[k, k]
        s.inverse[k] = 1.0 / math.sqrt(s.norm2[k]) if s.norm2[k] > 0.0 else 0.0


@njit(fastmath=FAST, error_model="numpy")
def _propose(propose, s, damping, lower, upper):
    """Set ``trial`` and ``step``, within the bounds; return the gain that is promised."""
    gain = propose(s.normal, s.slope, s.inverse, s.norm2, s.held, damping, s.p, lower, upper, s.trial, s.step)
    return gain if gain == gain else promised(s.normal, s.slope, s.step)


@njit(fastmath=FAST, error_model="numpy")
def _accept(s, keep_norms):
    """Move to the trial."""
    for k in range(s.p.size):
        s.p[k] = s.trial[k]
        s.slope[k] = s.other[k]
        for j in range(s.p.size):
            s.normal[k, j] = s.next[k, j]
    _set_norms(s, keep_norms)


@njit(fastmath=FAST, error_model="numpy")
def _is_small(s, xtol):
    for k in range(s.p.size):  # noqa: SIM110 - compiled: no generators
        if not abs(s.step[k]) <= xtol * abs(s.trial[k]):
            return False
    return True


@njit(fastmath=FAST, error_model="numpy")
def _length(s):
    total = 0.0
    for k in range(s.p.size):
        total += s.norm2[k] * s.step[k] * s.step[k]
    return total


@njit(fastmath=FAST, error_model="numpy")
def _fades(gain, rest, before):
    """Tell whether, if steps go on to shrink as they do, that after the next gains less than the rest."""
    return gain * gain * gain <= rest * before * before


@njit(fastmath=FAST, error_model="numpy")
def _set_free(s, setup, values):
    for k in range(setup.free.size):
        s.full[setup.free[k]] = values[k]


@njit(fastmath=FAST, error_model="numpy")
def _solve_linear(kernels, curve, setup, loss_scale, s, lower, upper, floor):
    """Put the linear parameters where they fit best while the others are held; return chi2."""
    _set_free(s, setup, s.p)
    chi2 = _evaluate(kernels, curve, setup, loss_scale, s.full, s.normal, s.slope)
    # Data that are explained to rounding are left alone: solving would turn exact zeros into noise.
    if not setup.linear.any() or chi2 <= floor or not _is_finite(s.normal, s.slope, chi2):
        return chi2
    solve_columns(curve.jac, curve.r, setup.linear, s.work, s.step)
    for k in range(s.p.size):
        s.trial[k] = min(max(s.p[k] + s.step[k], lower[k]), upper[k])
        # What rounding leaves of a term that is not there is nothing.
        if setup.linear[k] and s.normal[k, k] * s.trial[k] * s.trial[k] <= _NOTHING * floor:
            s.trial[k] = min(max(0.0, lower[k]), upper[k])
    _set_free(s, setup, s.trial)
    better = _evaluate(kernels, curve, setup, loss_scale, s.full, s.next, s.other)
    if better <= chi2 and _is_finite(s.next, s.other, better):
        _accept(s, False)
        return better
    return chi2


@njit(fastmath=FAST, error_model="numpy")
def _minimise(kernels, curve, setup, loss_scale, s, lower, upper, floor):
    """Fit one curve from ``s.p``; return status, chi2 and steps."""
    chi2 = _solve_linear(kernels, curve, setup, loss_scale, s, lower, upper, floor)
    if not _is_finite(s.normal, s.slope, chi2):
        return MODEL_NOT_FINITE, chi2, 0
    _set_norms(s, False)
    damping, growth, leapt, before = _FIRST_DAMPING, 2.0, False, math.inf
    _hold(s.p, s.slope, lower, upper, s.held)
    if chi2 <= floor or _is_flat(s, chi2, setup.gtol):
        return CONVERGED, chi2, 0
    for steps in range(1, setup.max_iter + 1):
        # What rounding of the data does to chi2 is no gain either.
        target = setup.ftol * chi2 + floor + math.sqrt(floor * chi2)
        rest = _REST * setup.ftol * chi2 + floor
        gain_promised = _propose(kernels.propose, s, damping, lower, upper)
        leap = damping <= 1.0 and gain_promised <= target and not leapt
        if leap:
            # Nothing seems to be left; damping may only hide it, so the step without tells.
            undamped = _propose(kernels.propose, s, _LEAST_DAMPING, lower, upper)
            # A long step that promises nothing goes where the data do not tell: that is looked at.
            if undamped <= target and _length(s) <= _LONG * target and _fades(undamped, rest, before):
                for k in range(s.p.size):
                    s.p[k] = s.trial[k]
                return CONVERGED, chi2 - max(undamped, 0.0), steps
            gain_promised = undamped
        _set_free(s, setup, s.trial)
        tried = _evaluate(kernels, curve, setup, loss_scale, s.full, s.next, s.other)
        gain = chi2 - tried
        better = gain > 0.0 and _is_finite(s.next, s.other, tried)
        settled = abs(gain) <= target and gain_promised <= target and (not better or _fades(gain, rest, before))
        settled = (settled or _is_small(s, setup.xtol)) and damping <= 1.0
        if better:
            _accept(s, True)
            chi2, before = tried, gain
            ratio = gain / gain_promised if gain_promised > 0.0 else gain
            damping *= max(0.1, 1.0 - (2.0 * ratio - 1.0) ** 3)
            damping = _LEAST_DAMPING if leap else damping
            growth, leapt = 2.0, False
        elif leap:
            leapt = True  # the next step is the damped one
        else:
            damping *= growth
            growth *= 2.0
        damping = min(max(damping, _LEAST_DAMPING), _LAST_DAMPING)
        _hold(s.p, s.slope, lower, upper, s.held)
        settled = settled or chi2 <= floor or _is_flat(s, chi2, setup.gtol)
        stalled = damping >= _LAST_DAMPING
        if settled or (stalled and _is_flat(s, chi2, _STALLED_ANGLE)):
            return CONVERGED, chi2, steps
        if stalled:
            return NOT_CONVERGED, chi2, steps
    return NOT_CONVERGED, chi2, setup.max_iter


@njit(error_model="numpy")
def _ready(curve, p, q):
    """Return the status of a curve that cannot be fitted, or `CONVERGED`."""
    if curve.y.size == 0:
        return NO_FINITE_DATA
    if curve.y.size < q:
        return TOO_FEW_POINTS
    for j in range(p.size):
        if not abs(p[j]) < math.inf:
            return GUESS_NOT_FINITE
    return CONVERGED


@njit(
    [
        types.void(
            MODEL_TYPE, GRAM_TYPE, PROPOSE_TYPE, VECTOR, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INDEX,
            boolean[::1], VECTOR, VECTOR, boolean[::1], MATRIX, float64[:, :, ::1], boolean[:, ::1], int64[:, ::1],
        )
    ],
    fastmath=FAST,
    **COMPILED,
)  # fmt: skip
def fit_rows(
    model,
    gram,
    propose,
    memory,
    rows,
    y,
    weights,
    p,
    lower,
    upper,
    free,
    linear,
    settings,
    loss_scale,
    todo,
    facts,
    inverse,
    held,
    ended,
):
    """Fit some curves.

    Parameters
    ----------
    model, gram, propose : compiled functions
    memory : (enough,)
        See `memory_size`.
    rows : (k, n)
        What the model reads along a curve.
    y : (b, m)
        Real parts, then imaginary parts.
    weights : (0, n), (1, n) or (b, n)
    p : (b, p)
        Where to start; the result, in place.
    lower, upper : (1, q) or (b, q)
    free : (q,)
        Which parameters are fitted.
    linear : (q,)
        Which of them are put where they fit best before the first step.
    settings : (6,)
        Most steps, ftol, xtol, gtol, the number of the loss, and whether the noise is asked for.
    loss_scale : (1,) or (b,)
    todo : (b,)
        Which curves to fit. Everything of the others stays as it is.
    facts : (b, 6)
        Goes to: chi2, samples that take part, their sum of squares, that about the mean, noise, smallest pivot.
    inverse : (b, q, q)
        Goes to: the inverse of the normal matrix.
    held : (b, q)
        Goes to: what sits at a bound.
    ended : (b, 2)
        Goes to: status, steps.
    """
    b, m = y.shape
    k, n = rows.shape
    q = free.size
    rows, y, weights, p, lower, upper = (
        borrowed(rows),
        borrowed(y),
        borrowed(weights),
        borrowed(p),
        borrowed(lower),
        borrowed(upper),
    )
    free, linear, inverse, held = borrowed(free), borrowed(linear), borrowed(inverse), borrowed(held)
    state, buffers, few = _cut(borrowed(memory), k, n, m, p.shape[1], q, held[0])
    kernels = Kernels(model, gram, propose)
    setup = Setup(free, linear, int(settings[0]), settings[1], settings[2], settings[3], int(settings[4]))
    for i in range(b):
        if not todo[i]:
            continue
        w = weights[min(i, weights.shape[0] - 1)] if weights.shape[0] else weights.ravel()
        curve = take_samples(rows, y[i], w, buffers, p.shape[1])
        low, high = lower[min(i, lower.shape[0] - 1)], upper[min(i, upper.shape[0] - 1)]
        ended[i, 0], ended[i, 1], facts[i, 1] = _ready(curve, p[i], q), 0, curve.y.size
        if ended[i, 0] != CONVERGED:
            continue
        for j in range(p.shape[1]):
            state.full[j] = p[i, j]
        for j in range(q):
            state.p[j] = min(max(p[i, free[j]], low[j]), high[j])
        facts[i, 2], facts[i, 3] = total_of(curve)
        facts[i, 4] = noise_of(curve, few) if settings[5] else math.nan
        scale = loss_scale[min(i, loss_scale.size - 1)]
        state = State(*state[:9], held[i], *state[10:])
        ended[i, 0], facts[i, 0], ended[i, 1] = _minimise(
            kernels, curve, setup, scale, state, low, high, _ROUNDING * facts[i, 2]
        )
        _hold(state.p, state.slope, low, high, held[i])
        facts[i, 5] = invert(state.normal, held[i], inverse[i], state.work, state.scale)
        for j in range(q):
            p[i, free[j]] = state.p[j]
