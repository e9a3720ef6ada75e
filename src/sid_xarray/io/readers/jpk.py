"""JPK force curves (``.jpk-force``, ``.jpk-force-map``, ``.jpk-qi-data``), by afmformats."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers._text import plain
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source

__all__ = ["read", "sniff"]

_SUFFIXES = (".jpk-force", ".jpk-force-map", ".jpk-qi-data", ".jpk-qi-series")
_UNITS = {"force": "N", "height (measured)": "m", "height (piezo)": "m", "tip position": "m", "time": "s"}
_MAX_BYTES = 2 * 2**30


def sniff(head: bytes, path: str) -> bool:
    """Tell whether a file is an archive with a name that JPK uses."""
    return head.startswith(b"PK\x03\x04") and path.lower().endswith(_SUFFIXES)


def read(source: Source) -> Iterator[Signal]:
    """Read the columns of every curve over (time); ``segment`` tells approach and retract apart.

    Parameters
    ----------
    source : Source

    Yields
    ------
    Signal
        In memory.

    Raises
    ------
    FormatError
        If the archive is damaged, or unpacks to more than 2 GiB.
    """
    import afmformats
    from afmformats import errors

    _guard(source)
    with source.on_disk(suffix=_SUFFIXES[0]) as path:
        try:
            curves = afmformats.load_data(path)
        except (errors.AFMFileFormatError, errors.MissingMetaDataError) as error:  # not even an Exception
            raise source.error(f"afmformats cannot read it: {error}") from error
        for number, curve in enumerate(curves):
            yield from _columns(curve, "" if len(curves) == 1 else f"curve_{number:05d}")


def _guard(source: Source) -> None:
    import io

    try:
        with zipfile.ZipFile(io.BytesIO(source.data) if source.data is not None else source.path) as archive:
            total = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise source.error(f"is a damaged archive: {error}. It may be cut off") from error
    if total > min(_MAX_BYTES, 1000 * max(source.size, 1024)):
        raise source.error(f"unpacks to {total} bytes: refused")


def _columns(curve: Any, group: str) -> Iterator[Signal]:
    said = plain(dict(curve.metadata))
    columns = {name: np.asarray(curve[name]) for name in curve.columns}
    count = len(next(iter(columns.values())))
    time = columns.get("time")
    if time is not None and len(time) == count and (np.diff(time) > 0).all():
        along = axis("time", count, time, units="s", kind="temporal")
    else:
        along = axis("point", count, kind="unknown")
    for name, values in columns.items():
        if name == along.dims[0]:
            continue
        yield Signal(name, values, [along], _UNITS.get(name, "1"), group=group, title=group or None, modality="AFM",
                     metadata=_metadata(said), original=said)  # fmt: skip


def _metadata(said: dict[str, Any]) -> dict[str, Any]:
    day, time = said.get("date"), said.get("time")
    return {
        "instrument/vendor": "JPK",
        "instrument/model": said.get("instrument"),
        "instrument/software": f"JPK {said.get('software version', '')}",
        "instrument/technique": said.get("imaging mode"),
        "acquisition/start_time": f"{day}T{time}" if day and time else None,
        "acquisition/duration": said.get("duration"),
        "probe/spring_constant": said.get("spring constant"),
        "probe/sensitivity": said.get("sensitivity"),
        "probe/setpoint": said.get("setpoint"),
        "probe/setpoint_units": "N" if "setpoint" in said else None,
        "stage/x": said.get("position x"),
        "stage/y": said.get("position y"),
    }
