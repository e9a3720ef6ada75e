"""NSID of other programs: mains, scales and attribute groups become one Dataset."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.adopt import apply_units
from sid_xarray.core.dims import data_kind
from sid_xarray.core.structures import ENTRY
from sid_xarray.errors import MetadataError, SidWarning
from sid_xarray.io import _h5
from sid_xarray.io._assemble import dataset as dataset_of
from sid_xarray.io._filters import whole
from sid_xarray.io._layout import read_blocks
from sid_xarray.io._lazy import H5Array
from sid_xarray.io.nsid import attributes
from sid_xarray.io.nsid.find import Main, Place, unreadable_dtype
from sid_xarray.io.nsid.layout import ABSENT, BOOKKEEPING, NATURAL_MAIN, NATURAL_SCALE
from sid_xarray.io.nsid.structures import from_group, is_structure
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["coordinate", "group_attrs", "read", "source_of", "variables_of"]

# A variable attribute of such a name would be decoded by xarray when the array is saved and read again.
_DECODED = frozenset("scale_factor add_offset missing_value _FillValue _Unsigned calendar dtype coordinates".split())
_NEXUS = frozenset("NX_class default signal axes auxiliary_signals _NCProperties".split())
_LARGEST_SCALE = 2**27


def read(source: Any, file: h5py.File, place: Place, mains: list[Main]) -> tuple[xr.Dataset, list[str]]:
    """Return a Dataset of the mains, and what could not be read."""
    problems: list[str] = []
    variables: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    for main in mains:
        problems += [f"{place.path_of(main.name)}: {p}" for p in main.problems]
        for label, scale in zip(main.labels, main.scales, strict=True):
            if scale is not None and label not in coords:
                try:
                    coords[label] = coordinate(label, scale)
                except Exception as error:  # noqa: BLE001 - one damaged scale must not hide the array; it is reported
                    problems.append(
                        f"{place.path_of(main.name)}: the scale {label!r} cannot be read: {_h5.first_line(error)}"
                    )
        found, more = variables_of(source, place, main)
        variables |= found
        problems += more
    ds = dataset_of(variables, coords, coords)
    ds.attrs = group_attrs(place.group)
    ds = _with_groups(ds, place)
    origin = source_of(file, place)
    if origin is not None:
        ds.encoding["sid_source"] = origin
    for main in mains:
        stated = kinds.kind_from_nsid(str(_h5.attribute(main.dataset, "data_type")))
        for name in ds.data_vars if stated is not None else ():
            var = ds.variables[name]
            # The file's word counts where the dimensions do not tell the same.
            if var.encoding["sid_h5path"] == place.path_of(main.name) and stated != data_kind(ds[name]):
                var.attrs[names.DATA_TYPE] = stated
    return ds, problems


def group_attrs(group: h5py.Group) -> dict[Hashable, Any]:
    """Return the attributes of a group without those that serve NeXus and netCDF."""
    found = {k: attributes.plain(v) for k, v in _h5.attributes(group, but=_is_nexus).items()}
    return {k: v for k, v in found.items() if _is_simple(v)}


def _is_bookkeeping(name: str) -> bool:
    return name in BOOKKEEPING


def _is_nexus(name: str) -> bool:
    return name in _NEXUS or name.endswith("_indices")


def source_of(file: h5py.File, place: Place) -> str | None:
    """Return the path of what a result was made of; the link may stand on the group or on one above it."""
    path, group = place.path, place.group
    while path.strip("/"):
        named = path.rpartition("/")[2].startswith("Log_")
        if named or _h5.has_attribute(group, "source_000"):
            value = _h5.raw_attribute(group, "source_000")
            try:
                return str(file[value].name) if isinstance(value, h5py.Reference) and value else ""
            except Exception:  # noqa: BLE001 - the source was deleted; that it is a result is still known
                return ""
        path = path.rpartition("/")[0]
        path_above = path or "/"
        above = place.groups[path_above] if path_above in place.groups else _h5.find(file, path_above)
        if not isinstance(above, h5py.Group):
            return None
        group = above
    return None


def coordinate(label: str, scale: h5py.Dataset) -> xr.Variable:
    """Return the positions along an axis.

    Raises
    ------
    ValueError
        If there are more than anything has.
    """
    if scale.size > _LARGEST_SCALE:
        raise ValueError(f"declares {scale.size} points")
    values = _h5.texts(whole(scale)) if _h5.is_text(scale) else whole(scale)
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(float)  # pandas has no index of half or long floats
    said = _h5.attributes(scale, but=_is_bookkeeping)
    attrs: dict[Hashable, Any] = {}
    quantity = said.get("quantity")
    if isinstance(quantity, str) and quantity.strip().lower() not in ABSENT:
        attrs[names.LONG_NAME] = quantity
    kind = kinds.parse_dimension_type(said.get("dimension_type"))
    attrs[names.UNITS] = said.get("units")
    attrs = _quiet_units(attrs, axis=kind)
    if kind is not None:
        attrs[names.DIMENSION_TYPE] = kind
    called = said.get("name")
    if isinstance(called, str) and "/" in called and called.replace("/", "_") == label:
        attrs[names.NAME_ORIGINAL] = called
    for key, value in said.items():
        if key not in NATURAL_SCALE and key not in _DECODED and _is_simple(value):
            attrs.setdefault(key, attributes.plain(value))
    return xr.Variable((label,), values, attrs)


def _quiet_units(attrs: dict[Hashable, Any], *, axis: str | None = None) -> dict[Hashable, Any]:
    # A reader keeps units that nobody knows without a warning for each: `sid.check` tells of them.
    attrs[names.UNITS] = attrs.get(names.UNITS) if isinstance(attrs.get(names.UNITS), str) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        return apply_units(attrs, axis=axis)


def variables_of(source: Any, place: Place, main: Main) -> tuple[dict[Hashable, xr.Variable], list[str]]:
    """Return the variables of a main, one a field if it is compound, and what could not be read."""
    dataset, path = main.dataset, place.path_of(main.name)
    encoding: dict[Hashable, Any] = {"source": str(source._args[0]), "sid_h5path": path}
    attrs = _main_attrs(dataset, main, path)
    flags = h5py.check_enum_dtype(dataset.dtype)
    if flags and dataset.dtype != bool:
        said = sorted(flags, key=lambda name: flags[name])
        values = np.array([flags[name] for name in said], dataset.dtype.str)
        attrs |= {"flag_values": values, "flag_meanings": " ".join("_".join(name.split()) for name in said)}
    fields = dataset.dtype.names
    if fields is None:
        array = H5Array(source, path, dataset, pinned=place.pinned)
        blocks = read_blocks(dataset.shape, array.dtype.itemsize, dataset.chunks)
        encoding["preferred_chunks"] = dict(zip(main.labels, blocks, strict=True)) if blocks else {}
        name = f"{main.name}_values" if main.name in main.labels else main.name
        if name != main.name:
            attrs[names.NAME_ORIGINAL] = main.name
        return {name: xr.Variable(main.labels, indexing.LazilyIndexedArray(array), attrs, encoding)}, []
    out: dict[Hashable, xr.Variable] = {}
    problems: list[str] = []
    for name in fields:
        why = "is a compound in a compound" if dataset.dtype[name].names else unreadable_dtype(dataset.dtype[name])
        if why:
            problems.append(f"{path}: field {name!r} {why}: left out")
            continue
        array = H5Array(source, path, dataset, field=name, pinned=place.pinned)
        short, _, unit = name.partition("[")
        own = _quiet_units({**attrs, names.LONG_NAME: short.strip(), names.UNITS: unit.rstrip("] ") or None})
        own.pop(names.UNITS_ORIGINAL, None)
        own[names.NAME_ORIGINAL] = name
        base = short.strip().replace("/", "_") or name.replace("/", "_")
        key, n = base, 1
        while key in out or key in main.labels:
            key, n = f"{base}_{n}", n + 1
        out[key] = xr.Variable(main.labels, indexing.LazilyIndexedArray(array), own, {**encoding, "sid_field": name})
    return out, problems


def _main_attrs(dataset: h5py.Dataset, main: Main, path: str) -> dict[Hashable, Any]:
    said = _h5.attributes(dataset, but=_is_bookkeeping)
    attrs: dict[Hashable, Any] = {}
    for key, ours in (("quantity", names.LONG_NAME), ("modality", names.MODALITY), ("source", names.SOURCE)):
        value = said.get(key)
        if isinstance(value, str) and value.strip().lower() not in ABSENT:
            attrs[ours] = value
    attrs[names.UNITS] = said.get("units")
    attrs = _quiet_units(attrs)
    attrs[names.TITLE] = _title(said, main, path)
    spare: dict[str, Any] = {}
    for key, value in said.items():
        if key in NATURAL_MAIN or value is None:
            continue
        value = attributes.plain(value)
        if names.is_provenance(key) and dataset.dtype.names is None:  # a copy of ours, without what only we read
            attrs[key] = value
        elif key in _DECODED or key in attrs or key.startswith("sid_") or not _is_simple(value):
            spare[key] = value
        else:
            attrs[key] = value
    if spare:
        attrs[names.ORIGINAL_METADATA] = _packed({"hdf5_attributes": spare})
    attrs[names.VERSION] = names.VERSION_VALUE
    return attrs


def _is_simple(value: Any) -> bool:
    """Tell whether every xarray back end could hold an attribute."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufcSU"
    if isinstance(value, list):
        return all(isinstance(v, str | bool | int | float | complex) for v in value)
    return isinstance(value, str | bool | int | float | complex)


def _packed(tree: dict[str, Any]) -> str:
    try:
        return _metadata.pack(tree)
    except MetadataError:
        return _metadata.pack({k: _storable(v) for k, v in tree.items()})


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _storable(v) for k, v in value.items()}
    try:
        _metadata.to_plain(value)
    except MetadataError:
        return str(value)
    return value


def _title(said: dict[str, Any], main: Main, path: str) -> str:
    title = said.get("title")
    if isinstance(title, str) and title.strip() and title.strip("/") != path.strip("/"):
        return title
    called = said.get("main_data_name")
    if isinstance(called, str) and called.strip().lower() not in ABSENT:
        return called
    return main.name


def _with_groups(ds: xr.Dataset, place: Place) -> xr.Dataset:
    """Read what lies in sub-groups: metadata, provenance of other programs, point clouds, structures."""
    attrs: dict[Hashable, Any] = {}
    others: dict[str, Any] = {}
    structures: dict[str, Any] = {}
    for name, obj in place.inside.items():
        if not isinstance(obj, h5py.Group) or (name.startswith("_") and name != "_metadata"):
            continue
        if name == "_metadata":
            attrs[names.METADATA] = _packed(attributes.read_tree(obj, datasets=True))
        elif not attributes.holds_datasets(obj):
            tree = attributes.read_tree(obj)
            if name in ("metadata", "original_metadata") and tree:
                attrs[names.METADATA if name == "metadata" else names.ORIGINAL_METADATA] = _packed(tree)
            elif name == "point_cloud":
                ds = _with_points(ds, tree, obj)
            elif is_structure(name) and (found := from_group(tree)) is not None:
                structures |= found
            elif tree and name not in ("metadata", "original_metadata"):
                others[name] = tree
    if structures:
        kept = _metadata.unpack(attrs.get(names.METADATA))
        here = kept.get(ENTRY)
        attrs[names.METADATA] = _packed({**kept, ENTRY: {**(here if isinstance(here, dict) else {}), **structures}})
    if others:
        attrs[names.OTHER_GROUPS] = _packed(others)
    for key in ds.data_vars:
        var = ds.variables[key]
        spare = _metadata.unpack(var.attrs.get(names.ORIGINAL_METADATA))
        if spare and names.ORIGINAL_METADATA in attrs:
            tree = {**spare, **_metadata.unpack(attrs[names.ORIGINAL_METADATA])}
            var.attrs |= {**attrs, names.ORIGINAL_METADATA: _packed(tree)}
        else:
            var.attrs |= attrs
    return ds


def _with_points(ds: xr.Dataset, tree: dict[str, Any], group: h5py.Group) -> xr.Dataset:
    where = np.asarray(_h5.attribute(group, "coordinates"))
    dims = [d for d in ds.dims if where.ndim == 2 and ds.sizes[d] == where.shape[0]]
    if where.dtype.kind not in "iuf" or not dims:
        return ds
    units = _quiet_units({names.UNITS: tree.get("spacial_units", tree.get("spatial_units"))})
    for i, name in zip(range(where.shape[1]), ("x", "y", "z"), strict=False):
        if name not in ds.variables:
            ds = ds.assign_coords({name: ((dims[0],), where[:, i], dict(units))})
    return ds
