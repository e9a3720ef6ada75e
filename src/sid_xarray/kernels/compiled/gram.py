"""The source of normal equations for a number of parameters, and of their solution, without a loop that is short."""

from __future__ import annotations

__all__ = ["write_gram", "write_propose"]

_BLOCK = 4
_MOST_UNROLLED = 12


def write_gram(q: int) -> str:
    """Write ``gram(r, jac, normal, slope)``, which returns the sum of the squared residuals.

    Products of four rows with four others are summed in one loop: sixteen sums in registers for eight numbers read.
    """
    lines = ["def gram(r, jac, normal, slope):", "    m = r.size", "    chi2 = 0.0"]
    lines += [f"    jac{k} = jac[{k}]" for k in range(q)]
    blocks = [range(begin, min(begin + _BLOCK, q)) for begin in range(0, q, _BLOCK)]
    for i, rows in enumerate(blocks):
        for columns in blocks[: i + 1]:
            own = columns is rows
            pairs = [(a, b) for a in rows for b in columns if b <= a]
            lines += [f"    h{a}_{b} = 0.0" for a, b in pairs]
            lines += [f"    g{a} = 0.0" for a in rows if own]
            lines.append("    for i in range(m):")
            lines += [f"        d{k} = jac{k}[i]" for k in sorted({*rows, *columns})]
            lines += [f"        h{a}_{b} += d{a} * d{b}" for a, b in pairs]
            if own:
                lines.append("        ri = r[i]")
                lines += [f"        g{a} += d{a} * ri" for a in rows]
            if own and i == 0:
                lines.append("        chi2 += ri * ri")
            for a, b in pairs:
                lines.append(f"    normal[{a}, {b}] = h{a}_{b}")
                if a != b:
                    lines.append(f"    normal[{b}, {a}] = h{a}_{b}")
            lines += [f"    slope[{a}] = g{a}" for a in rows if own]
    return "\n".join([*lines, "    return chi2", ""])


def write_propose(q: int) -> str:
    """Write ``propose(normal, slope, inverse, norm2, held, damping, p, lower, upper, trial, step)``.

    Solves the damped normal equations, scaled by ``inverse`` (1/norm of every column), by elimination without
    pivoting; parameters that are held are left alone. Sets trial and step, within the bounds, and returns the gain that
    is promised, or NaN if a bound was hit.
    """
    if q > _MOST_UNROLLED:
        return _LOOPS
    every = range(q)
    lines = ["def propose(normal, slope, inverse, norm2, held, damping, p, lower, upper, trial, step):"]
    lines += [f"    s{i} = 0.0 if held[{i}] else inverse[{i}]" for i in every]
    lines += [f"    a{i}_{j} = normal[{i}, {j}] * s{i} * s{j}" for i in every for j in range(i + 1)]
    lines += [f"    a{i}_{i} += damping if s{i} > 0.0 else 1.0" for i in every]
    lines += [f"    g{i} = slope[{i}]" for i in every] + [f"    x{i} = g{i} * s{i}" for i in every]
    for k in every:
        lines.append(f"    i{k} = 1.0 / max(a{k}_{k}, 2.2250738585072014e-308)")
        for i in range(k + 1, q):
            lines.append(f"    f = a{i}_{k} * i{k}")
            lines += [f"    a{i}_{j} -= f * a{j}_{k}" for j in range(k + 1, i + 1)]
            lines.append(f"    x{i} -= f * x{k}")
    for i in reversed(every):
        lines += [f"    x{i} -= a{j}_{i} * x{j}" for j in range(i + 1, q)]
        lines.append(f"    x{i} *= i{i}")
    lines += ["    gain = 0.0", "    hit = 0.0"]
    for i in every:
        lines += [
            f"    x{i} *= s{i}",
            f"    gain += x{i} * (g{i} + damping * norm2[{i}] * x{i})",
            f"    t = p[{i}] + x{i}",
            f"    c = min(max(t, lower[{i}]), upper[{i}])",
            "    hit = hit if c == t else math.nan",
            f"    trial[{i}] = c",
            f"    step[{i}] = c - p[{i}]",
        ]
    return "\n".join([*lines, "    return gain + hit", ""])


_LOOPS = """
def propose(normal, slope, inverse, norm2, held, damping, p, lower, upper, trial, step):
    q = slope.size
    work = np.empty((q, q))
    scale = np.empty(q)
    for i in range(q):
        scale[i] = 0.0 if held[i] else inverse[i]
        step[i] = slope[i] * scale[i]
        for j in range(i + 1):
            work[i, j] = normal[i, j] * scale[i] * scale[j]
        work[i, i] += damping if scale[i] > 0.0 else 1.0
    for k in range(q):
        work[k, k] = max(work[k, k], 2.2250738585072014e-308)
        for i in range(k + 1, q):
            factor = work[i, k] / work[k, k]
            for j in range(k + 1, i + 1):
                work[i, j] -= factor * work[j, k]
            step[i] -= factor * step[k]
    for i in range(q - 1, -1, -1):
        value = step[i]
        for j in range(i + 1, q):
            value -= work[j, i] * step[j]
        step[i] = value / work[i, i]
    gain, hit = 0.0, 0.0
    for i in range(q):
        x = step[i] * scale[i]
        gain += x * (slope[i] + damping * norm2[i] * x)
        t = p[i] + x
        c = min(max(t, lower[i]), upper[i])
        hit = hit if c == t else math.nan
        trial[i] = c
        step[i] = c - p[i]
    return gain + hit
"""
