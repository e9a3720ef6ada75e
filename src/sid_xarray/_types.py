"""Types that are used on every floor."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["JSON", "Dims", "FloatArray", "NumericArray", "Window"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
NumericArray: TypeAlias = npt.NDArray[Any]
JSON: TypeAlias = Any
Dims: TypeAlias = Hashable | tuple[Hashable, ...]
Window: TypeAlias = tuple[float | str | None, float | str | None] | slice
Attrs: TypeAlias = Mapping[Hashable, Any]
