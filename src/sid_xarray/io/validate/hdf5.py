"""Rules of any HDF5 file with arrays in it."""

from __future__ import annotations

from collections.abc import Iterator

import h5py

from sid_xarray.io import _h5
from sid_xarray.io._filters import missing
from sid_xarray.io.validate.rule import Table
from sid_xarray.io.validate.scan import Scan

__all__ = ["FILE"]

FILE = Table()


@FILE.rule(
    "H01",
    "error",
    "unread",
    means="Every attribute of a dataset can be read.",
    readers="All readers fail where they need it.",
    repair="Restore the file from a copy, or write the data again: sid convert FILE NEW.",
)
def _attributes(scene: Scan) -> Iterator[tuple[str, str]]:
    for path, dataset in scene.datasets.items():
        try:
            for name in dataset.attrs:
                dataset.attrs.get_id(name)
                if h5py.check_ref_dtype(dataset.attrs.get_id(name).dtype) is None:
                    dataset.attrs[name]
        except Exception as error:  # noqa: BLE001 - h5py raises anything for a damaged attribute
            yield path, f"an attribute cannot be read: {_h5.first_line(error)}"


@FILE.rule(
    "H02",
    "warning",
    "unread",
    means="Values are in this file, not in others.",
    readers="The older readers follow the way out, and fail when the file was moved; sid does not follow it.",
    repair="Copy the values in: h5repack, or read the array where its parts are and save it again.",
)
def _elsewhere(scene: Scan) -> Iterator[tuple[str, str]]:
    for path, dataset in scene.datasets.items():
        if dataset.shape is not None and not _h5.is_stored_here(dataset):
            yield path, "keeps its values in other files"


@FILE.rule(
    "H03",
    "error",
    "unread",
    means="Values are compressed by a filter that is installed.",
    readers="Every reader needs the same filter.",
    repair="Install it: pip install 'sid-xarray[filters]'; or repack the file with gzip.",
)
def _filters(scene: Scan) -> Iterator[tuple[str, str]]:
    for path, dataset in scene.datasets.items():
        why = missing(dataset)
        if why:
            yield path, why.partition(". ")[0]


@FILE.rule(
    "H04",
    "error",
    "ignored",
    means="The file holds NSID or USID arrays.",
    readers="No reader of these formats finds anything.",
    repair="A netCDF or other HDF5 file: xr.open_dataset(FILE, engine='h5netcdf').sid.adopt().sid.to_nsid(NEW).",
)
def _empty(scene: Scan) -> Iterator[tuple[str, str]]:
    ours = any(place.endswith((f"/{_h5.PIN}/model", f"/{_h5.PIN}/usid")) for place in scene.datasets)
    if not scene.nsid and not scene.usid and not ours:
        yield "/", f"there is no NSID and no USID array among {len(scene.datasets)} datasets"


@FILE.rule(
    "H05",
    "error",
    "unread",
    means="Every array opens in sid without a problem.",
    readers="The older readers may read it, or not: the other findings tell.",
    repair="Restore the file from a copy, or read this part with h5py.",
)
def _ours(scene: Scan) -> Iterator[tuple[str, str]]:
    for problem in scene.problems:
        where, _, why = problem.partition(": ")
        yield (where, why) if why and where.startswith("/") else ("/", problem)
