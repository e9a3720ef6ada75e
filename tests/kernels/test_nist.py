"""Certified results of nonlinear regression: all that have one predictor, from both starts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sid_xarray.kernels.lsq import fit_batch
from sid_xarray.models._model import FitModel, Param

FOLDER = Path(__file__).with_name("nist")
PEAKS = "b1 * exp(-b2 * x) + b3 * exp(-(x - b4)**2 / b5**2) + b6 * exp(-(x - b7)**2 / b8**2)"
DECAYS = "b1 * exp(-b2 * x) + b3 * exp(-b4 * x) + b5 * exp(-b6 * x)"
CUBIC = "(b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)"
FORMULAS = {
    "Bennett5": "b1 * (b2 + x)**(-1 / b3)",
    "BoxBOD": "b1 * (1 - exp(-b2 * x))",
    "Chwirut1": "exp(-b1 * x) / (b2 + b3 * x)",
    "Chwirut2": "exp(-b1 * x) / (b2 + b3 * x)",
    "DanWood": "b1 * x**b2",
    "ENSO": (
        "b1 + b2 * cos(2 * pi * x / 12) + b3 * sin(2 * pi * x / 12) + b5 * cos(2 * pi * x / b4) "
        "+ b6 * sin(2 * pi * x / b4) + b8 * cos(2 * pi * x / b7) + b9 * sin(2 * pi * x / b7)"
    ),
    "Eckerle4": "b1 / b2 * exp(-0.5 * ((x - b3) / b2)**2)",
    "Gauss1": PEAKS,
    "Gauss2": PEAKS,
    "Gauss3": PEAKS,
    "Hahn1": CUBIC,
    "Kirby2": "(b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)",
    "Lanczos1": DECAYS,
    "Lanczos2": DECAYS,
    "Lanczos3": DECAYS,
    "MGH09": "b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)",
    "MGH10": "b1 * exp(b2 / (x + b3))",
    "MGH17": "b1 + b2 * exp(-x * b4) + b3 * exp(-x * b5)",
    "Misra1a": "b1 * (1 - exp(-b2 * x))",
    "Misra1b": "b1 * (1 - (1 + b2 * x / 2)**(-2))",
    "Misra1c": "b1 * (1 - (1 + 2 * b2 * x)**(-0.5))",
    "Misra1d": "b1 * b2 * x / (1 + b2 * x)",
    "Rat42": "b1 / (1 + exp(b2 - b3 * x))",
    "Rat43": "b1 / (1 + exp(b2 - b3 * x))**(1 / b4)",
    "Roszman1": "b1 - b2 * x - arctan(b3 / (x - b4)) / pi",
    "Thurber": CUBIC,
}


def problem(name):
    """Starts (2, p), certified values (p,), their standard deviations, and the data."""
    lines = (FOLDER / f"{name}.dat").read_text().splitlines()
    rows = [re.split(r"[=\s]+", line.strip())[1:] for line in lines if re.match(r"\s*b\d+ =", line)]
    table = np.array([[float(v) for v in row[:4]] for row in rows])
    begin = max(i for i, line in enumerate(lines) if line.startswith("Data:")) + 1
    y, x = np.array([[float(v) for v in line.split()] for line in lines[begin:] if line.strip()]).T
    return table[:, :2].T, table[:, 2], table[:, 3], x, y


def digits(found, certified):
    with np.errstate(divide="ignore"):
        return float(np.min(-np.log10(np.abs(found - certified) / np.abs(certified))))


def fitted(name, start, engine):
    starts, certified, spread, x, y = problem(name)
    params = tuple(Param(f"b{i + 1}", units="") for i in range(len(certified)))
    model = FitModel.of(name, FORMULAS[name], lambda x, y: starts[start], params)
    fit = fit_batch(y[np.newaxis], x, model, starts[start], engine=engine)
    return fit, digits(fit.parameters[0], certified), digits(fit.stderr[0], spread)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("name", FORMULAS)
def test_certified_digits_from_the_second_start(name, engine):
    if engine == "numba":
        pytest.importorskip("numba")
    fit, right, errors = fitted(name, 1, engine)
    assert fit.status[0] == 0
    assert right >= 6, f"{right:.1f} digits"
    assert errors >= 4 or name == "Lanczos1"  # whose residual is rounding
