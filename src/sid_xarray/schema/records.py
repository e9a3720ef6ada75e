"""Records: nested metadata as one line of text, and back.

A dict in ``attrs`` breaks ``to_netcdf``, is shared between arrays and vanishes on ``a - b``. Text does none of that.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from sid_xarray.errors import MetadataError

__all__ = ["TAG", "Record", "dumps", "loads", "packed"]

TAG = "~"
"""Key that marks a value which plain JSON cannot hold."""

_PACKED = "data:application/json;zlib;base64,"
_LIMIT = 64 * 1024
_MAX_UNPACKED = 512 * 1024 * 1024


def dumps(value: Any, *, ordered: bool = False) -> str:
    """Return canonical JSON: keys sorted, ASCII, no NaN; packed when longer than 64 KiB.

    Parameters
    ----------
    value : object
        None, bool, int, str, finite float, lists and str-keyed dicts of these.
    ordered : bool, default: False
        Keep the order of keys instead: that of a header tells something to those who read it.

    Raises
    ------
    MetadataError
        If something in it is none of these.
    """
    try:
        text = json.dumps(value, sort_keys=not ordered, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise MetadataError(f"metadata cannot be written as JSON: {error}") from error
    return packed(text)


def packed(text: str) -> str:
    """Return canonical JSON as it is stored: compressed when longer than 64 KiB."""
    if len(text) <= _LIMIT:
        return text
    return _PACKED + base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def loads(text: str) -> Any:
    """Parse what `dumps` wrote.

    Raises
    ------
    MetadataError
        If the text is damaged, or unpacks to more than 512 MiB.
    """
    try:
        if text.startswith(_PACKED):
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(base64.b64decode(text[len(_PACKED) :], validate=True), _MAX_UNPACKED)
            if unpacker.unconsumed_tail:
                raise MetadataError("metadata unpack to more than 512 MiB: refused")
            text = raw.decode()
        return json.loads(text)
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(f"metadata text is damaged: {error}") from error


class Record(Mapping[str, Any]):
    """A read-only view of nested metadata.

    ``record["beam", "energy"]`` and ``record["beam/energy"]`` walk down; ``dict(record)`` gives a copy
    of the first level. Editing needs a new array: ``da.sid.with_metadata(...)``.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self._data: dict[str, Any] = dict(data or {})

    def __getitem__(self, key: str | tuple[str, ...]) -> Any:
        if isinstance(key, str) and key in self._data:
            return self._wrap(self._data[key])
        path = key if isinstance(key, tuple) else tuple(str(key).split("/"))
        node: Any = self._data
        for step in path:
            if not isinstance(node, Mapping) or step not in node:
                level = sorted(node) if isinstance(node, Mapping) else []
                raise KeyError(f"no metadata {'/'.join(path)!r}: {step!r} is not among {level[:20]}")
            node = node[step]
        return self._wrap(node)

    @staticmethod
    def _wrap(value: Any) -> Any:
        return Record(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return self._data == other._data
        return self._data == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """Return a nested dict that may be edited."""
        return _copy(self._data)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return "\n".join(_lines(self._data)) or "(no metadata)"


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _lines(node: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            text = f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else repr(value)
            text = " ".join(text.split())
            yield f"{indent}{key}: {text if len(text) <= 96 else text[:93] + '...'}"
