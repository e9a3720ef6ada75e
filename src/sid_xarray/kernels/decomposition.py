"""Few components that explain many spectra: principal ones exactly, non-negative ones by scikit-learn."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sid_xarray.errors import MissingDependencyError, ModelError

__all__ = ["moments", "nonnegative", "principal", "project"]

Array: TypeAlias = npt.NDArray[np.floating]
_BLOCK = 16 * 2**20


def moments(samples: Array) -> Array:
    """Return counts, sums and products of samples, of one block or of a whole array.

    Parameters
    ----------
    samples : ndarray, shape (n, m)
        Samples that are not finite are left out.

    Returns
    -------
    ndarray of float64, shape (m + 1, m + 1)
        Products of the samples with a leading one: ``[0, 0]`` is their number, ``[0, 1:]`` their sum, the rest the
        sum of their outer products. Those of blocks add up.
    """
    n, m = samples.shape
    out = np.zeros((m + 1, m + 1))
    rows = max(1, _BLOCK // (8 * max(m, 1)))
    for start in range(0, n, rows):
        block = samples[start : start + rows].astype(float)
        block = block[np.isfinite(block).all(axis=1)]
        out[0, 0] += len(block)
        out[0, 1:] += block.sum(axis=0)
        out[1:, 1:] += block.T @ block
    out[1:, 0] = out[0, 1:]
    return out


def principal(products: Array, k: int, *, center: bool) -> tuple[Array, Array, Array, Array]:
    """Return the principal components of what `moments` has summed.

    Parameters
    ----------
    products : ndarray, shape (m + 1, m + 1)
    k : int
        How many.
    center : bool
        Whether the mean is taken off first.

    Returns
    -------
    components : ndarray, shape (k, m)
        Orthonormal; the largest entry of each is positive. NaN where there are too few samples.
    mean : ndarray, shape (m,)
        Zero without `center`.
    variance : ndarray, shape (k,)
        Along each component, with n - 1 samples if centred.
    total : ndarray, shape ()
        Of all components.
    """
    m = products.shape[0] - 1
    n = products[0, 0]
    freedom = n - 1 if center else n
    if freedom < 1:
        empty = np.full((k, m), np.nan)
        return empty, np.full(m, np.nan), np.full(k, np.nan), np.asarray(np.nan)
    mean = products[0, 1:] / n if center else np.zeros(m)
    covariance = (products[1:, 1:] - n * np.outer(mean, mean)) / freedom
    values, vectors = linalg.eigh(covariance, subset_by_index=(m - k, m - 1))
    order = np.argsort(values)[::-1]
    components = _signed(vectors.T[order])
    variance = np.clip(values[order], 0, None)
    # Directions beyond the number of samples have no variance, and are any.
    components[freedom < np.arange(1, k + 1)] = np.nan
    return components, mean, variance, np.asarray(np.trace(covariance))


def _signed(components: Array) -> Array:
    """Return components whose largest entry is positive: the sign is arbitrary, and would depend on the machine."""
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, np.newaxis], axis=1)
    return np.asarray(components * np.where(largest < 0, -1, 1))


def project(samples: Array, components: Array, mean: Array) -> Array:
    """Return how much of every component is in each sample.

    Parameters
    ----------
    samples : ndarray, shape (..., m)
    components : ndarray, shape (k, m)
        Orthonormal.
    mean : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (..., k)
        NaN for samples that are not finite.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are told by NaN
        scores = samples @ components.T.astype(samples.dtype) - (components @ mean).astype(samples.dtype)
    return np.where(np.isfinite(samples).all(axis=-1, keepdims=True), scores, np.nan).astype(samples.dtype)


def _scatter(found: Array, good: npt.NDArray[np.bool_]) -> Array:
    """Return rows at the places where samples were good, NaN elsewhere."""
    out = np.full((good.size, found.shape[1]), np.nan, dtype=found.dtype)
    out[good] = found
    return out


def nonnegative(samples: Array, k: int, *, seed: int, iterations: int) -> tuple[Array, Array, Array, Array]:
    """Return non-negative components and scores whose product is nearest to the samples.

    Parameters
    ----------
    samples : ndarray, shape (n, m)
        Not negative. Samples that are not finite are left out.
    k : int
    seed : int
        Of the start.
    iterations : int
        At most.

    Returns
    -------
    scores : ndarray, shape (n, k)
    components : ndarray, shape (k, m)
        Of length 1, by falling contribution.
    residual : ndarray, shape ()
        Root of the sum of squares that are left, over that of the samples.
    used : ndarray, shape ()
        Iterations; as many as were allowed if it has not settled.

    References
    ----------
    .. [1] A. Cichocki, A.-H. Phan, IEICE Trans. Fundam. E92-A, 708 (2009), doi:10.1587/transfun.E92.A.708
    """
    try:
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "ml", "decompose(method='nmf')") from error
    good = np.asarray(np.isfinite(samples).all(axis=1))
    data = samples[good]
    if (data < 0).any():
        raise ModelError(
            f"non-negative components need values of zero or more, the lowest is {float(data.min()):.4g}. "
            "Remove what pulls them below: da.clip(min=0), or take method='pca'."
        )
    if len(data) < 1:
        nothing = np.full((k, samples.shape[1]), np.nan)
        return _scatter(np.full((len(data), k), np.nan), good), nothing, np.asarray(np.nan), np.asarray(0.0)
    model = NMF(k, init="nndsvdar", random_state=seed, max_iter=iterations, tol=1e-5)
    with warnings.catch_warnings():  # told by the number of iterations
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = model.fit_transform(data)
    components = model.components_
    length = np.sqrt((components**2).sum(axis=1))
    scores, components = scores * length, components / np.where(length > 0, length, 1)[:, np.newaxis]
    order = np.argsort((scores**2).sum(axis=0), kind="stable")[::-1]
    size = np.sqrt((data.astype(float) ** 2).sum())
    residual = model.reconstruction_err_ / size if size > 0 else 0.0
    return _scatter(scores[:, order], good), components[order], np.asarray(residual), np.asarray(float(model.n_iter_))
