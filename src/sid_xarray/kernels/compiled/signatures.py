"""Types of compiled functions. Those that are generated are passed to those that are not as plain functions.

So the large functions are compiled once for all models, and numba finds them on disk in the next process.
"""

from __future__ import annotations

from numba import boolean, float64, int64, types

__all__ = [
    "COMPILED",
    "FLAGS",
    "GRAM",
    "GRAM_TYPE",
    "INDEX",
    "MATRIX",
    "MODEL",
    "MODEL_TYPE",
    "PROPOSE",
    "PROPOSE_TYPE",
    "VECTOR",
]

VECTOR = float64[::1]
MATRIX = float64[:, ::1]
INDEX = int64[::1]
FLAGS = boolean[::1]

# model(rows, y, p, r, jac): residuals and derivatives.
MODEL = types.void(MATRIX, VECTOR, VECTOR, VECTOR, MATRIX)
# gram(r, jac, normal, slope) -> chi2
GRAM = float64(VECTOR, MATRIX, MATRIX, VECTOR)
# propose(normal, slope, inverse, norm2, held, damping, p, lower, upper, trial, step) -> gain
PROPOSE = float64(MATRIX, VECTOR, VECTOR, VECTOR, FLAGS, float64, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
MODEL_TYPE, GRAM_TYPE, PROPOSE_TYPE = types.FunctionType(MODEL), types.FunctionType(GRAM), types.FunctionType(PROPOSE)

COMPILED = {"nogil": True, "cache": True, "error_model": "numpy"}
"""Options of every compiled function. Without the error model of numpy, a division ends vector instructions."""
