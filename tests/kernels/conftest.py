"""Curves whose truth is known, for tests of fits."""

from __future__ import annotations

import numpy as np
import pytest

from sid_xarray.models import load
from sid_xarray.models.compose import parse

X = np.linspace(-1, 1, 96)
SWEEP = np.concatenate([np.linspace(-10, 10, 48)[::-1], np.linspace(-10, 10, 48)])
FREQUENCY = np.linspace(300e3, 400e3, 96)


def case(name, shape=(40,), *, noise=1.0, seed=0):
    """Model, axis, noisy data and truth."""
    rng = np.random.default_rng(seed)

    def u(low, high):
        return rng.uniform(low, high, shape)

    model, x, columns, sigma = {
        "gaussian": lambda: (parse("gaussian + constant"), X, [u(0.5, 2), u(-0.5, 0.5), u(0.05, 0.25), u(-1, 1)], 0.05),
        "two": lambda: (
            parse("gaussian + gaussian + linear"),
            X,
            [u(0.5, 2), u(-0.6, -0.2), u(0.06, 0.15), u(0.5, 2), u(0.2, 0.6), u(0.06, 0.15), u(-0.2, 0.2), u(-1, 1)],
            0.03,
        ),
        "sho": lambda: (load("sho"), FREQUENCY, [u(0.5e-5, 2e-5), u(330e3, 370e3), u(40, 200), u(-2.5, 2.5)], 5e-5),
        "loop": lambda: (
            load("loop"),
            SWEEP,
            [u(-2, -1), u(2, 4), u(-4, -2), u(2, 4), u(-0.02, 0.02), *(u(0.6, 2.5) for _ in range(4))],
            0.05,
        ),
        "voigt": lambda: (
            parse("voigt + constant"),
            X,
            [u(1, 2), u(-0.5, 0.5), u(0.03, 0.1), u(0.03, 0.1), u(-1, 1)],
            0.02,
        ),
        "decay": lambda: (parse("exponential + constant"), X, [u(1, 2), u(1, 4), u(-1, 1)], 0.02),
    }[name]()  # fmt: skip
    truth = np.stack(columns, axis=-1)
    y = model(x, *np.moveaxis(truth, -1, 0)[..., np.newaxis])
    y = y + noise * sigma * rng.normal(size=y.shape)
    return model, x, y + 1j * noise * sigma * rng.normal(size=y.shape) if np.iscomplexobj(y) else y, truth


@pytest.fixture(name="case")
def _case():
    return case
