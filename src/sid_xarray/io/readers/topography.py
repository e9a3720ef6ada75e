"""Profilometers and some microscopes, by SurfaceTopography: Molecular Imaging, ``.opd``, ``.x3p`` and others."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from sid_xarray.io.readers._text import plain
from sid_xarray.io.readers.signal import Signal, axis
from sid_xarray.io.readers.source import Source
from sid_xarray.schema import units as _units

__all__ = ["read"]


def read(source: Source) -> Iterator[Signal]:
    """Read every map over (y, x), and every line scan over (x). Row 0 is the top.

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
        If the file is damaged, or SurfaceTopography does not know it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Could not import mpi4py")
        import SurfaceTopography

    with source.on_disk() as path, SurfaceTopography.open_topography(path) as reader:
        channels = list(reader.channels)
        if not channels:
            raise source.error("holds no topography")
        for number, channel in enumerate(channels):
            found = reader.topography(channel_index=number)
            yield _signal(found, channel)


def _signal(found: Any, channel: Any) -> Signal:
    heights = np.ma.filled(np.ma.asarray(found.heights()), np.nan)
    lateral, of = (_units.normalise(str(u or "1")).canonical for u in (channel.lateral_unit, channel.data_unit))
    name = str(channel.channel_id or channel.name or "height")
    info = dict(channel.info or {})
    when = info.get("acquisition_time")
    instrument = info.get("instrument") or {}
    metadata: dict[str, Any] = {
        "instrument/vendor": instrument.get("vendor"),
        "instrument/model": instrument.get("name"),
        "acquisition/start_time": when.isoformat() if isinstance(when, dt.datetime) else None,
    }
    original = {"info": {k: plain(v) for k, v in info.items() if k != "raw_metadata"}}
    original["raw"] = plain(info.get("raw_metadata") or {})
    if heights.ndim == 1:
        positions = np.asarray(found.positions(), float)
        axes = [axis("x", len(heights), positions, units=lateral, kind="spatial")]
        return Signal(name, heights, axes, of, modality="profilometry", metadata=metadata, original=original)
    nx, ny = heights.shape
    width, height = found.physical_sizes or (nx, ny)
    metadata |= {"acquisition/scan_size_x": (width, lateral), "acquisition/scan_size_y": (height, lateral)}
    axes = [
        axis("y", ny, -height / ny, height - height / ny / 2, units=lateral, kind="spatial"),
        axis("x", nx, width / nx, width / nx / 2, units=lateral, kind="spatial"),
    ]
    return Signal(name, heights.T, axes, of, modality="topography", metadata=metadata, original=original)
