"""Values as HDF5 can hold them; what cannot come back as it was is refused."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.errors import FormatError

__all__ = ["Encoded", "encode_variable", "restored_dtype"]

_CF_UNITS = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds"}


@dataclass
class Encoded:
    """A variable, ready to be written.

    Attributes
    ----------
    values : Variable
        In memory, dask, or lazy from a file.
    dtype : dtype
        On disk.
    cast : dtype or None
        What blocks are converted to before they are written.
    main : bool
        Whether the older readers can take it.
    attrs : dict
        Attributes that the encoding itself needs.
    restore : str or None
        dtype to give back, if that on disk is another.
    """

    values: xr.Variable
    dtype: np.dtype[Any]
    cast: np.dtype[Any] | None = None
    main: bool = True
    attrs: dict[str, Any] = field(default_factory=dict)
    restore: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes on disk, before compression."""
        if self.dtype.kind != "O":
            return int(self.values.size) * self.dtype.itemsize
        if self.values.chunks is None and self.values._in_memory:
            return int(sum(len(v) * 4 + 32 for v in np.asarray(self.values.data).ravel().tolist()))
        return int(self.values.size) * 64


def encode_variable(name: Hashable, var: xr.Variable, path: str) -> Encoded:
    """Return a variable as HDF5 can hold it; nothing is computed.

    Raises
    ------
    FormatError
        For values that would not come back as they were.
    """
    _check_kind(name, var, path)
    dtype = var.dtype
    if dtype.kind in "biufc":
        if dtype.itemsize > (16 if dtype.kind == "c" else 8):
            wanted = "complex" if dtype.kind == "c" else "float"
            raise FormatError(path, str(name), f"{dtype} is not portable. Type: .astype({wanted})")
        main = 0 not in var.shape
        if dtype.kind == "f" and dtype.itemsize == 2:
            return Encoded(var, np.dtype("f4"), np.dtype("f4"), main=main, restore=dtype.str)
        return Encoded(var, dtype, main=main)
    if dtype.kind in "Mm":
        return _encode_time(name, var, path)
    if dtype.kind == "S":
        if dtype.itemsize == 0:
            raise FormatError(path, str(name), "holds bytes of length 0. Type: .astype('S1')")
        return Encoded(var, dtype, main=False)
    if dtype.kind in "UOT":
        return _encode_text(name, var, path)
    if dtype.names:
        raise FormatError(path, str(name), f"has fields {', '.join(dtype.names)}. Make one variable of every field.")
    raise FormatError(path, str(name), f"values of dtype {dtype} cannot be stored")


def _check_kind(name: Hashable, var: xr.Variable, path: str) -> None:
    """Refuse arrays that numpy would take apart without a word: units, masks and sparsity would be gone."""
    if any(not isinstance(n, int) and n != n for n in var.shape):
        raise FormatError(path, str(name), "has chunks of unknown size. Type: obj[...].data.compute_chunk_sizes()")
    dtype = var.dtype
    if not isinstance(dtype, np.dtype):
        raise FormatError(
            path, str(name), f"holds a pandas array of dtype {dtype}. Type: .astype(str) or .astype(float)"
        )
    if len(set(var.dims)) != len(var.dims):
        raise FormatError(
            path, str(name), f"has a dimension twice: {var.dims}. Type: obj.rename(...) to tell them apart"
        )
    array = var._data
    if hasattr(array, "magnitude") and hasattr(array, "units"):
        raise FormatError(path, str(name), "carries pint units; files hold them as text. Type: obj.pint.dequantify()")
    if var.chunks is not None:
        array = getattr(array, "_meta", array)
    elif isinstance(array, indexing.ExplicitlyIndexed):
        if not var._in_memory:
            return  # from a file: made of numpy
        array = var.data
    kind = type(array)
    if not isinstance(array, np.ndarray):
        hint = "obj.copy(data=obj.data.todense())" if hasattr(array, "todense") else "obj.as_numpy()"
        raise FormatError(
            path, str(name), f"is a {kind.__module__.split('.')[0]}.{kind.__name__}, not a numpy array. Type: {hint}"
        )


def _encode_time(name: Hashable, var: xr.Variable, path: str) -> Encoded:
    unit = np.datetime_data(var.dtype)[0]
    if unit not in _CF_UNITS or np.datetime_data(var.dtype)[1] != 1:
        raise FormatError(path, str(name), f"has the dtype {var.dtype}. Type: .astype('{var.dtype.kind}8[ns]')")
    words = _CF_UNITS[unit]
    attrs: dict[str, Any] = {"_FillValue": np.iinfo("i8").min}  # NaT, so that stock engines see it too
    if var.dtype.kind == "M":
        attrs |= {"units": f"{words} since 1970-01-01", "calendar": "proleptic_gregorian"}
    else:
        attrs |= {"units": words, "dtype": var.dtype.name}
    cast = np.dtype("i8")
    return Encoded(var, cast, cast, main=False, attrs=attrs, restore=var.dtype.str)


def _encode_text(name: Hashable, var: xr.Variable, path: str) -> Encoded:
    restore = var.dtype.str if var.dtype.kind == "U" else "T" if var.dtype.kind == "T" else None
    if var.chunks is not None:
        checked = var.data.map_blocks(_text_block, str(name), path, dtype=object)
        var = xr.Variable(var.dims, checked)
    elif var._in_memory:
        var = xr.Variable(var.dims, _text_block(np.asarray(var.data), str(name), path))
    return Encoded(var, h5py.string_dtype(), np.dtype(object), main=False, restore=restore)


def _text_block(values: np.ndarray[Any, Any], name: str, path: str) -> np.ndarray[Any, Any]:
    values = np.asarray(values).astype(object)
    for value in values.ravel().tolist():
        if type(value) is not str:
            raise FormatError(
                path, name, f"holds {type(value).__name__} objects; only text can be stored. Type: .astype(str)"
            )
        if "\x00" in value:
            raise FormatError(path, name, "holds text with a NUL character, which HDF5 cuts there. Type: .astype('S')")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise FormatError(path, name, f"holds text that is not Unicode: {value!r}") from error
    return values


def restored_dtype(restore: str | None) -> np.dtype[Any] | None:
    """Return the dtype to convert to when reading, or None.

    Raises
    ------
    ValueError
        If the model names a dtype that we never write.
    """
    if restore is None:
        return None
    if restore == "T":
        return np.dtypes.StringDType()
    dtype = np.dtype(restore)
    if dtype.hasobject or dtype.kind not in "fMmU" or (dtype.kind == "f" and dtype.itemsize != 2):
        raise ValueError(f"unexpected dtype {restore!r}")
    return dtype
