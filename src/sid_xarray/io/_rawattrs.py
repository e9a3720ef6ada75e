"""Attribute messages of object headers; see `_headers`.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", section IV.A.2.m (attributes).
"""

from __future__ import annotations

import functools
import math
import struct
from typing import Any, NamedTuple

import numpy as np

from sid_xarray.io._raw import OddError, Raw
from sid_xarray.io._rawtypes import is_text, number_of, shape_of

__all__ = ["Attribute", "Form", "attribute_at", "read_attribute"]

_START = struct.Struct("<BBHHH")
_STRING = 3
_LONGEST = 512


class Form(NamedTuple):
    """What an attribute says before its value: its name, its type and its shape, both as they are in the file."""

    called: bytes
    name: str
    kind: bytes
    space: bytes
    is_one_text: bool


Attribute = tuple[int, bytes, Form, bytes, int, int]
"""Number, name and form; and bytes, and where in them the value begins and the message ends.

No class, since there are thousands of them; and they sort as they should.
"""


def attribute_at(chunk: bytes, start: int, size: int) -> tuple[Form, int]:
    """Return the form of the attribute of a message, and where the value begins.

    Parameters
    ----------
    chunk : bytes
    start, size : int
        Where in it the message is.
    """
    at = start + _head(chunk[start : start + _START.size])
    if at > start + size:
        raise OddError
    said = chunk[start:at]
    # Hundreds of objects have the same few attributes, with other values.
    return _form(said) if at - start <= _LONGEST else _form.__wrapped__(said), at


def _parts(start: bytes) -> tuple[int, int, int, int, int]:
    """Return where name, type, shape and value of an attribute begin, and the length of the name."""
    version, shared, name, kind, space = _START.unpack(start)
    if version == 3 and not shared:
        kind_at = 9 + name
        return 9, kind_at, kind_at + kind, kind_at + kind + space, name
    if version == 1:
        kind_at = 8 + (name + 7) // 8 * 8
        space_at = kind_at + (kind + 7) // 8 * 8
        return 8, kind_at, space_at, space_at + (space + 7) // 8 * 8, name
    raise OddError


@functools.lru_cache(maxsize=1024)
def _head(start: bytes) -> int:
    """Return how much of an attribute there is before its value."""
    return _parts(start)[3]


@functools.lru_cache(maxsize=2048)
def _form(said: bytes) -> Form:
    name_at, kind_at, space_at, _, length = _parts(said[: _START.size])
    called = said[name_at : name_at + length - 1]
    if not length or said[name_at + length - 1] or 0 in called:
        raise OddError
    kind, space = said[kind_at:space_at], said[space_at:]
    return Form(called, called.decode("utf-8", "surrogateescape"), kind, space, _is_one_text(kind, space))


def _is_one_text(kind: bytes, space: bytes) -> bool:
    try:
        return is_text(kind) and shape_of(space) == ()
    except (OddError, IndexError, struct.error):
        return False  # which is said again when the value is asked for


def read_attribute(raw: Raw, form: Form, chunk: bytes, at: int, end: int) -> Any:
    """Return the value of an attribute as h5py would.

    Parameters
    ----------
    raw : Raw
    form : Form
    chunk : bytes
    at, end : int
        Where in it the value begins and the message ends.

    Raises
    ------
    OddError
        If it is of another sort.
    """
    if form.is_one_text:
        if at + 16 > end:
            raise OddError
        return raw.text(chunk, at)
    shape, value = shape_of(form.space), chunk[at:end]
    count = math.prod(shape) if shape is not None and len(shape) < 2 else -1
    if count < 0 or count > len(value):
        raise OddError
    if is_text(form.kind):
        found = [raw.text(value, i) for i in range(0, 16 * count, 16)]
        return np.array(found, dtype=object)
    if form.kind[0] & 0x0F == _STRING and form.kind[1] & 0x0F in (0, 1):
        fixed = np.frombuffer(value, f"S{int.from_bytes(form.kind[4:8], 'little')}", count)
        if any(b"\0" in text for text in fixed.tolist()):
            raise OddError  # what stands behind a zero may be text or not
        return fixed.copy() if shape else fixed[0]
    numbers = np.frombuffer(value, number_of(form.kind), count)
    return numbers.copy() if shape else numbers[0]
