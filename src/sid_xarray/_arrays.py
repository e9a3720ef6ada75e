"""What fits need of an array library, of NumPy and of others that keep the array API standard."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from sid_xarray._types import AnyArray

__all__ = ["NUMPY", "Arrays", "arrays_of", "host", "is_foreign", "numpy_dtype"]

# They keep the standard through a package of adapters.
_ADAPTED = ("torch", "cupy")
_PLAIN = "abs clip isfinite matmul maximum minimum permute_dims reshape sqrt where".split()


class Arrays:
    """NumPy. Numbers are float64; what can be done in the memory of an argument is done there."""

    library = "numpy"
    is_large = False
    """Whether many more values at once than a cache holds are worked on fastest."""
    abs: Any = staticmethod(np.abs)
    clip: Any = staticmethod(np.clip)
    isfinite: Any = staticmethod(np.isfinite)
    matmul: Any = staticmethod(np.matmul)
    maximum: Any = staticmethod(np.maximum)
    minimum: Any = staticmethod(np.minimum)
    permute_dims: Any = staticmethod(np.transpose)
    reshape: Any = staticmethod(np.reshape)
    sqrt: Any = staticmethod(np.sqrt)
    where: Any = staticmethod(np.where)

    def any(self, values: Any) -> Any:
        """Tell whether one is true."""
        return values.any()

    def all(self, values: Any, axis: int | tuple[int, ...] | None = None) -> Any:
        """Tell whether all are true."""
        return values.all(axis=axis)

    def sum(self, values: Any, axis: int) -> Any:
        """Return sums."""
        return values.sum(axis=axis)

    def max(self, values: Any, axis: int) -> Any:
        """Return the largest."""
        return values.max(axis=axis)

    def dot(self, a: Any, b: Any) -> Any:
        """Return the products of rows, shape (b,)."""
        return np.einsum("bi,bi->b", a, b)

    def diagonal(self, values: Any) -> Any:
        """Return the diagonals of matrices (b, q, q), perhaps as a view."""
        return np.einsum("bii->bi", values)

    def take(self, values: Any, at: Any, axis: int = 0) -> Any:
        """Return a copy of some rows, or columns."""
        return values[at] if axis == 0 else values[:, at]

    def copy(self, values: Any) -> Any:
        """Return a copy."""
        return values.copy()

    def difference(self, a: Any, b: Any) -> Any:
        """Return ``a - b``, in the memory of ``b``."""
        return np.subtract(a, b, out=b)

    def at_least(self, values: Any, least: float) -> None:
        """Raise the values of a view in place."""
        np.maximum(values, least, out=values)

    def blank(self, values: Any, mask: Any) -> Any:
        """Return values with 0 where a mask is true, in their memory."""
        np.copyto(values, 0.0, where=mask)
        return values

    def full(self, shape: tuple[int, ...], value: Any, dtype: type = float) -> Any:
        """Return an array of one value."""
        return np.full(shape, value, dtype=dtype)

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Return an array of any values."""
        return np.empty(shape)

    def takes_writes(self) -> bool:
        """Tell whether float64 arrays and their parts can be written to.

        Raises
        ------
        ValueError
            If the device has no float64.
        """
        return True

    def asarray(self, values: Any) -> Any:
        """Return an array of NumPy as one of this library."""
        return values

    def contiguous(self, values: Any) -> Any:
        """Return values in the order of memory."""
        return np.ascontiguousarray(values)

    def numbers(self, values: Any) -> Any:
        """Return the truth as 0 and 1, and numbers as they are."""
        return values

    def function(self, name: str) -> Any:
        """Return a function of the standard by its name."""
        return getattr(np, name)


class _Standard(Arrays):
    """A library that keeps the standard, on one device."""

    def __init__(self, namespace: Any, device: Any) -> None:
        self._xp, self._device = namespace, device
        self.library = namespace.__name__.rpartition("array_api_compat.")[2]
        self.is_large = "cpu" not in str(device).lower()
        self._types = {float: namespace.float64, int: namespace.int64, bool: namespace.bool}
        for name in _PLAIN:
            setattr(self, name, getattr(namespace, name))

    def any(self, values: Any) -> Any:
        return self._xp.any(values)

    def all(self, values: Any, axis: int | tuple[int, ...] | None = None) -> Any:
        return self._xp.all(values, axis=axis)

    def sum(self, values: Any, axis: int) -> Any:
        return self._xp.sum(values, axis=axis)

    def max(self, values: Any, axis: int) -> Any:
        return self._xp.max(values, axis=axis)

    def dot(self, a: Any, b: Any) -> Any:
        return self._xp.sum(a * b, axis=-1)

    def diagonal(self, values: Any) -> Any:
        return self._xp.linalg.diagonal(values)

    def take(self, values: Any, at: Any, axis: int = 0) -> Any:
        return self._xp.take(values, self.asarray(at) if isinstance(at, np.ndarray) else at, axis=axis)

    def copy(self, values: Any) -> Any:
        return self._xp.asarray(values, copy=True)

    def difference(self, a: Any, b: Any) -> Any:
        return a - b

    def at_least(self, values: Any, least: float) -> None:
        values[...] = self._xp.maximum(values, self.full((1,), least))

    def blank(self, values: Any, mask: Any) -> Any:
        return self._xp.where(mask, 0.0, values)

    def full(self, shape: tuple[int, ...], value: Any, dtype: type = float) -> Any:
        return self._xp.full(shape, value, dtype=self._types[dtype], device=self._device)

    def empty(self, shape: tuple[int, ...]) -> Any:
        return self._xp.empty(shape, dtype=self._xp.float64, device=self._device)

    def asarray(self, values: Any) -> Any:
        # A copy: some libraries share the memory, and warn where it is read-only.
        return self._xp.asarray(np.array(values), device=self._device)

    def contiguous(self, values: Any) -> Any:
        return values

    def numbers(self, values: Any) -> Any:
        if isinstance(values, int | float):  # and bool, which is an int
            return float(values)
        return self._xp.astype(values, self._xp.float64) if values.dtype == self._xp.bool else values

    def function(self, name: str) -> Any:
        return getattr(self._xp, name)

    def takes_writes(self) -> bool:
        try:
            some = self.full((2,), 0.0)
            known = some.dtype == self._xp.float64
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(self._no_float64()) from error
        if not known:
            raise ValueError(self._no_float64())
        try:
            part = some[:1]
            part[...] = 1.0
        except (TypeError, ValueError):
            return False
        return bool(some[0] == 1.0)

    def _no_float64(self) -> str:
        return (
            f"fits are computed in float64, which {self.library} has not got on {self._device}. "
            "Pass arrays on another device, or of NumPy."
        )


NUMPY = Arrays()
"""NumPy."""


def is_foreign(values: Any) -> bool:
    """Tell whether values are an array of another library than NumPy."""
    if isinstance(values, np.ndarray | np.generic):
        return False
    return hasattr(values, "__array_namespace__") or (_library(values) in _ADAPTED and hasattr(values, "shape"))


def _library(values: Any) -> str:
    return type(values).__module__.partition(".")[0]


def arrays_of(values: Any) -> Arrays:
    """Return the library of an array, at work on its device.

    Raises
    ------
    ImportError
        If the array does not tell its library, and the package that does is not installed.
    """
    if not is_foreign(values):
        return NUMPY
    if hasattr(values, "__array_namespace__"):
        return _Standard(values.__array_namespace__(), values.device)
    try:
        adapter = importlib.import_module("array_api_compat")
    except ImportError as error:
        raise ImportError(
            f"fits of arrays of {_library(values)} need array-api-compat. Type: pip install array-api-compat"
        ) from error
    return _Standard(adapter.array_namespace(values), adapter.device(values))


def host(values: Any) -> AnyArray:
    """Return values as an array of NumPy; those on a device are copied from there."""
    if not is_foreign(values):
        return np.asarray(values)
    if _library(values) == "cupy":
        return np.asarray(values.get())
    if _library(values) == "torch":
        return np.asarray(values.detach().cpu().numpy())
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        return np.from_dlpack(values)


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype of any library as one of NumPy; void for one that NumPy has not got."""
    if isinstance(dtype, np.dtype):
        return dtype
    try:
        return np.dtype(str(dtype).rpartition(".")[2])
    except TypeError:
        return np.dtype("V")
