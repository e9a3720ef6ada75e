"""Read NSID: find the mains of a file, and make one Dataset of every group."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.core import indexing

from sid_xarray.core import metadata as _metadata
from sid_xarray.core import provenance
from sid_xarray.core.adopt import apply_units
from sid_xarray.core.dims import data_kind
from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.errors import FormatError, SidWarning
from sid_xarray.io import _h5
from sid_xarray.io.nsid import attributes, model
from sid_xarray.io.nsid.layout import ABSENT, MODEL_GROUP, NATURAL_MAIN, NATURAL_SCALE
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["Main", "find_mains", "open_groups"]

# A variable attribute of such a name would be decoded by xarray when the array is saved and read again.
_DECODED = frozenset("scale_factor add_offset missing_value _FillValue _Unsigned calendar dtype coordinates".split())


@dataclass
class Main:
    """A main dataset: where it is, and what its axes are."""

    path: str
    shape: tuple[int, ...]
    labels: list[str]
    scales: list[str | None]
    ours: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Path of the group that it lies in."""
        return self.path.rpartition("/")[0] or "/"

    @property
    def name(self) -> str:
        """Name of its link."""
        return self.path.rpartition("/")[2]


def find_mains(file: h5py.File) -> tuple[list[Main], list[str]]:
    """Find every main of a file.

    Returns
    -------
    mains : list of Main
    problems : list of str
        What could not be read, in plain words; it never stops the rest.
    """
    found: list[Main] = []
    problems: list[str] = []
    for path, obj in _h5.walk(file):
        if not isinstance(obj, h5py.Dataset) or f"/{MODEL_GROUP}/" in path:
            continue
        if not all(name in obj.attrs for name in ("quantity", "units", "data_type", "main_data_name")):
            continue
        if "pyNSID_version" not in obj.attrs and "nsid_version" not in obj.attrs:
            continue
        if obj.shape is None:
            problems.append(f"{path}: has no values")
        elif not _h5.is_safe(obj):
            problems.append(f"{path}: keeps its values in other files; they are not followed")
        else:
            try:
                found.append(_main(path, obj))
            except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
                problems.append(f"{path}: {error}")
    return found, problems


def _main(path: str, dataset: h5py.Dataset) -> Main:
    main = Main(path, dataset.shape, [], [])
    labels = attributes.plain(_h5._decoded(dataset.attrs["DIMENSION_LABELS"])) if "DIMENSION_LABELS" in dataset.attrs else []
    for i in range(dataset.ndim):
        label = str(labels[i] or "") if i < len(labels) else ""
        scale = _scale(dataset, i, label)
        if scale is not None and scale.shape != (dataset.shape[i],):
            main.problems.append(f"the scale of axis {i} has shape {scale.shape} for {dataset.shape[i]} points: left out")
            scale = None
        if not label and scale is not None:
            said = _h5.attribute(scale, "name")
            label = said if isinstance(said, str) and said else str(scale.name).rpartition("/")[2]
        base = label or f"dim_{i}"
        unique, n = base, 1
        while unique in main.labels:
            unique, n = f"{base}_{n}", n + 1
        main.labels.append(unique)
        main.scales.append(None if scale is None else str(scale.name))
    main.ours = f"{MODEL_GROUP}" in dataset.parent
    return main


def _scale(dataset: h5py.Dataset, i: int, label: str) -> h5py.Dataset | None:
    attached: list[h5py.Dataset] = []
    try:
        dims = dataset.dims[i]
        attached = [dims[k] for k in range(len(dims))]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        pass  # dangling references of old writers; the name below still tells
    attached = [s for s in attached if isinstance(s, h5py.Dataset) and s.name and s.shape is not None]
    for scale in attached:
        if str(scale.name).rpartition("/")[2] == label:
            return scale
    if attached:
        return attached[-1]
    beside = dataset.parent.get(label) if label and "/" not in label else None
    return beside if isinstance(beside, h5py.Dataset) and beside.shape is not None and beside != dataset else None


def open_groups(path: str, *, group: str | None = None) -> dict[str, xr.Dataset]:
    """Open every NSID group of a file, lazily.

    Parameters
    ----------
    path : str
    group : str, optional
        Only what lies in this group or is this main.

    Returns
    -------
    dict
        From the path of a node to its Dataset; ``"/"`` is empty, its attributes are those of the file.

    Raises
    ------
    FormatError
        If nothing in it is NSID.
    """
    source = _h5.manager(path)
    full = str(source._args[0])
    with _h5.opened(source, full) as file:
        mains, problems = find_mains(file)
        if group is not None:
            wanted = "/" + group.strip("/")
            mains = [m for m in mains if m.path == wanted or m.group == wanted or m.group.startswith(wanted.rstrip("/") + "/")]
        if not mains:
            raise FormatError(full, group or "", _nothing(file, problems))
        nodes = _nodes(mains)
        out: dict[str, xr.Dataset] = {}
        stamp: dict[str, Any] = {}
        for node, members in nodes.items():
            try:
                ds, more = _dataset(source, file, members)
            except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
                problems += [f"{m.path}: {error}" for m in members]
                continue
            problems += more
            out[node] = _with_roots(ds, full, stamp)
        for parent in _parents(out):
            attrs = _group_attrs(file[parent]) if parent in file else {}
            out.setdefault(parent, xr.Dataset(attrs=attrs))
    if all(not ds.data_vars for ds in out.values()):
        raise FormatError(full, group or "", "; ".join(problems) or "nothing could be read")
    if problems:
        out["/"].attrs["sid_problems"] = "\n".join(problems)
        warnings.warn(f"{full}: {len(problems)} part(s) could not be read whole: {problems[0]}", SidWarning, stacklevel=3)
    return dict(sorted(out.items()))


def _nothing(file: h5py.File, problems: list[str]) -> str:
    if problems:
        return "; ".join(problems)
    datasets = [p for p, o in _h5.walk(file) if isinstance(o, h5py.Dataset)]
    usid = any("Position_Indices" in file[p].attrs for p in datasets[:1000])
    if usid:
        return "holds USID data, which this version does not read yet"
    return (
        f"holds {len(datasets)} dataset(s), none of them NSID. For a netCDF file type: "
        "xr.open_dataset(path, engine='h5netcdf').sid.adopt()"
    )


def _parents(nodes: dict[str, Any]) -> set[str]:
    out = {"/"}
    for node in nodes:
        while node != "/":
            node = node.rpartition("/")[0] or "/"
            out.add(node)
    return out


def _group_attrs(group: h5py.Group) -> dict[Hashable, Any]:
    nexus = ("NX_class", "default", "signal", "axes", "auxiliary_signals", "_NCProperties")
    return {k: attributes.plain(v) for k, v in _h5.attributes(group).items() if k not in nexus and not k.endswith("_indices")}


def _nodes(mains: list[Main]) -> dict[str, list[Main]]:
    """Give every main a node: those of one group share one, unless their axes contradict each other."""
    by_group: dict[str, list[Main]] = {}
    for main in mains:
        by_group.setdefault(main.group, []).append(main)
    nodes: dict[str, list[Main]] = {}
    for group, members in by_group.items():
        if group != "/" and _agree(members):
            nodes[group] = members
        else:
            nodes |= {f"{group.rstrip('/')}/{m.name}": [m] for m in members}
    # DataTree wants children that align with their parent; results are no such thing: they become siblings.
    out: dict[str, list[Main]] = {}
    for node in sorted(nodes, key=lambda n: n.count("/")):
        place = node
        while (above := _node_above(place, out)) is not None:
            place = f"{above.rpartition('/')[0]}/{place.rpartition('/')[2]}"
        base, n = place, 1
        while place in out:
            place, n = f"{base}_{n}", n + 1
        out[place] = nodes[node]
    return out


def _node_above(node: str, nodes: dict[str, Any]) -> str | None:
    parent = node.rpartition("/")[0]
    while parent:
        if parent in nodes:
            return parent
        parent = parent.rpartition("/")[0]
    return None


def _agree(members: list[Main]) -> bool:
    sizes: dict[str, tuple[int, str | None]] = {}
    labels = {label for m in members for label in m.labels}
    for main in members:
        if main.name in labels:
            return False
        for label, size, scale in zip(main.labels, main.shape, main.scales, strict=True):
            if sizes.setdefault(label, (size, scale)) != (size, scale):
                return False
    return True


def _dataset(source: Any, file: h5py.File, members: list[Main]) -> tuple[xr.Dataset, list[str]]:
    if members[0].ours:
        return model.read(source, file, members[0].group), []
    problems: list[str] = []
    variables: dict[Hashable, xr.Variable] = {}
    coords: dict[Hashable, xr.Variable] = {}
    for main in members:
        problems += [f"{main.path}: {p}" for p in main.problems]
        for label, scale in zip(main.labels, main.scales, strict=True):
            name = label.replace("/", "_")
            if scale is not None and name not in coords:
                coords[name] = _coordinate(name, label, file[scale])
        variables |= _variables(source, file[main.path], main)
    group = file[members[0].group]
    ds = xr.Dataset(variables, coords=coords, attrs=_group_attrs(group))
    if len(members) == 1 and members[0].path.rpartition("/")[0]:
        ds = _with_groups(ds, group, file[members[0].path])
    origin = _source_of(file, group)
    if origin is not None:
        ds.encoding["sid_source"] = origin
    for name in ds.data_vars:
        _keep_kind(ds, name, file[members[0].path] if len(members) == 1 else file[f"{members[0].group}/{name}"])
    return ds, problems


def _source_of(file: h5py.File, group: h5py.Group) -> str | None:
    """Return the path of what a result was made of; the link may stand on the group or on one above it."""
    while group.name != "/":
        for key in group.attrs:
            if key == "source_000" or group.name.rpartition("/")[2].startswith("Log_"):
                value = attributes._raw(group, "source_000")
                return str(file[value].name) if isinstance(value, h5py.Reference) and value else ""
        group = group.parent
    return None


def _coordinate(name: str, label: str, scale: h5py.Dataset) -> xr.Variable:
    values = scale[()]
    said = _h5.attributes(scale)
    if _h5.is_text(scale):
        values = np.array([_h5.text(v) or "" for v in values], dtype=object)
    attrs: dict[Hashable, Any] = {}
    quantity = said.get("quantity")
    if isinstance(quantity, str) and quantity.strip().lower() not in ABSENT:
        attrs[names.LONG_NAME] = quantity
    kind = kinds.parse_dimension_type(said.get("dimension_type"))
    attrs[names.UNITS] = said.get("units")
    attrs = _quiet_units(attrs, axis=kind)
    if kind is not None:
        attrs[names.DIMENSION_TYPE] = kind
    if name != label:
        attrs[names.NAME_ORIGINAL] = label
    for key, value in said.items():
        if key not in NATURAL_SCALE and key not in _DECODED:
            attrs.setdefault(key, attributes.plain(value))
    return xr.Variable((name,), values, attrs)


def _quiet_units(attrs: dict[Hashable, Any], *, axis: str | None = None) -> dict[Hashable, Any]:
    # A reader keeps units that nobody knows without a warning for each: `sid.check` tells of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        return apply_units(attrs, axis=axis)


def _variables(source: Any, dataset: h5py.Dataset, main: Main) -> dict[Hashable, xr.Variable]:
    dims = [label.replace("/", "_") for label in main.labels]
    encoding = {
        "source": str(source._args[0]),
        "sid_h5path": main.path,
        "preferred_chunks": dict(zip(dims, dataset.chunks, strict=True)) if dataset.chunks else {},
    }
    attrs = _main_attrs(dataset, main)
    fields = dataset.dtype.names
    if fields is None or h5py.check_dtype(vlen=dataset.dtype) is not None:
        array = _h5.H5Array(source, main.path, dataset.shape, dataset.dtype)
        data = indexing.LazilyIndexedArray(array)
        return {main.name: xr.Variable(dims, data, attrs, encoding)}
    out: dict[Hashable, xr.Variable] = {}
    for name in fields:
        array = _h5.H5Array(source, main.path, dataset.shape, dataset.dtype[name], field=name)
        short, _, unit = name.partition("[")
        own = _quiet_units({**attrs, names.LONG_NAME: short.strip(), names.UNITS: unit.rstrip("] ") or None})
        own.pop(names.UNITS_ORIGINAL, None)
        own[names.NAME_ORIGINAL] = name
        key = short.strip().replace("/", "_") or name
        out[key] = xr.Variable(dims, indexing.LazilyIndexedArray(array), own, {**encoding, "sid_field": name})
    return out


def _main_attrs(dataset: h5py.Dataset, main: Main) -> dict[Hashable, Any]:
    said = _h5.attributes(dataset)
    attrs: dict[Hashable, Any] = {}
    for key, ours in (("quantity", names.LONG_NAME), ("modality", names.MODALITY), ("source", names.SOURCE)):
        value = said.get(key)
        if isinstance(value, str) and value.strip().lower() not in ABSENT:
            attrs[ours] = value
    attrs[names.UNITS] = said.get("units")
    attrs = _quiet_units(attrs)
    attrs[names.TITLE] = _title(said, main)
    spare: dict[str, Any] = {}
    for key, value in said.items():
        if key in NATURAL_MAIN:
            continue
        value = attributes.plain(value)
        if key in _DECODED or key in attrs or key.startswith("sid_") or value is None:
            spare[key] = value
        else:
            attrs[key] = value
    if spare:
        attrs[names.ORIGINAL_METADATA] = _metadata.pack({"hdf5_attributes": spare})
    attrs[names.VERSION] = names.VERSION_VALUE
    return attrs


def _title(said: dict[str, Any], main: Main) -> str:
    title = said.get("title")
    if isinstance(title, str) and title.strip() and title.strip("/") != main.path.strip("/"):
        return title
    called = said.get("main_data_name")
    if isinstance(called, str) and called.strip().lower() not in ABSENT:
        return called
    return main.name


def _with_groups(ds: xr.Dataset, group: h5py.Group, main: h5py.Dataset) -> xr.Dataset:
    """Read what lies in sub-groups: metadata, provenance of other programs, point clouds, structures."""
    attrs: dict[Hashable, Any] = {}
    others: dict[str, Any] = {}
    for name, obj in _h5.members(group):
        if not isinstance(obj, h5py.Group) or (name.startswith("_") and name != "_metadata"):
            continue
        if name == "_metadata":
            attrs[names.METADATA] = _metadata.pack(attributes.read_tree(obj, datasets=True))
        elif not attributes.holds_datasets(obj):
            tree = attributes.read_tree(obj)
            if name in ("metadata", "original_metadata") and tree:
                attrs[names.METADATA if name == "metadata" else names.ORIGINAL_METADATA] = _metadata.pack(tree)
            elif name == "point_cloud":
                ds = _with_points(ds, tree, obj)
            elif tree and name not in ("metadata", "original_metadata"):
                others[name] = tree
    if others:
        attrs[names.OTHER_GROUPS] = _metadata.pack(others)
    for key in ds.data_vars:
        spare = _metadata.unpack(ds[key].attrs.get(names.ORIGINAL_METADATA))
        if spare and names.ORIGINAL_METADATA in attrs:
            tree = {**spare, **_metadata.unpack(attrs[names.ORIGINAL_METADATA])}
            ds[key].attrs |= {**attrs, names.ORIGINAL_METADATA: _metadata.pack(tree)}
        else:
            ds[key].attrs |= attrs
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


def _keep_kind(ds: xr.Dataset, name: Hashable, dataset: Any) -> None:
    """Keep the kind that the file states where the dimensions do not tell the same."""
    said = _h5.attribute(dataset, "data_type") if dataset is not None else None
    stated = kinds.kind_from_nsid(said) if isinstance(said, str) else None
    if stated is not None and stated != data_kind(ds[name]):
        ds[name].attrs[names.DATA_TYPE] = stated


def _with_roots(ds: xr.Dataset, path: str, stamp: dict[str, Any]) -> xr.Dataset:
    from sid_xarray.core.history import read as read_history

    for name in ds.data_vars:
        if read_history(ds[name].attrs):
            continue
        if not stamp:
            stamp |= file_fingerprint(path)
        place = {"h5path": ds[name].encoding.get("sid_h5path"), "size": stamp["size"], "sha256": stamp["sha256"]}
        if "sid_field" in ds[name].encoding:
            place["field"] = ds[name].encoding["sid_field"]
        ds[name] = provenance.root(ds[name], "sid:open@1", lazy=True, identity=place, name=stamp["name"])
    return ds


