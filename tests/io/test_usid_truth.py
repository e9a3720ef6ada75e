"""USID files that others wrote, against what is known to be in them."""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.io.backends import USIDBackendEntrypoint
from sid_xarray.schema import units

SHARED = Path(__file__).parents[3] / "shared"
CORPUS = sorted(p.stem for p in (SHARED / "corpus").glob("u*.json"))
REAL = json.loads((SHARED / "realdata/truth.json").read_text()) if SHARED.is_dir() else {}
USID = sorted(k for k in REAL if k.startswith("usid/"))
PLACEHOLDERS = ("arb", "None")
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared files is not here")


def opened(path: Path) -> xr.DataTree:
    return xr.open_datatree(path, engine=USIDBackendEntrypoint)


def node_of(tree: xr.DataTree, group: str) -> xr.DataTree:
    """Return the node of a group, which may have become a sibling of one above it."""
    if group in tree.groups and tree[group].data_vars:
        return tree[group]
    return next(node for node in tree.subtree if node.attrs.get("sid_h5path") == group)


def found(tree: xr.DataTree, path: str) -> xr.DataArray:
    group, _, name = path.rpartition("/")
    da = node_of(tree, group).dataset[name]
    assert da.encoding["sid_h5path"] == path
    return da


def said_units(attrs: Any) -> Any:
    """Units as the file spells them; empty text becomes ``1``."""
    units_ = attrs.get("sid_units_original", attrs.get("units"))
    return "" if units_ == "1" else units_


def sha(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def as_stored(da: xr.DataArray, dims: list[dict[str, Any]]) -> Any:
    """Return values with the axes in the order of the truth; dimensions that stand for none are squeezed."""
    kept = [d["name"] for d in dims if d["name"] in da.dims]
    assert all(d["name"] in PLACEHOLDERS for d in dims if d["name"] not in da.dims)
    assert sorted(kept) == sorted(map(str, da.dims))
    return da.transpose(*kept).values.reshape([d["size"] for d in dims])


def dimensions(da: xr.DataArray, wanted: list[dict[str, Any]]) -> None:
    for want in wanted:
        if want.get("virtual"):
            continue
        coord = da.coords[want["name"]]
        assert said_units(coord.attrs) == want["units"]
        if want["name"] in PLACEHOLDERS:
            assert coord.shape == ()
        else:
            assert coord.attrs["sid_dimension_type"] == {"position": "spatial"}.get(want["kind"], "spectral")
            assert da.sizes[want["name"]] == want["size"]
        if want["values"] is not None:
            np.testing.assert_array_equal(np.ravel(coord.values), want["values"])


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    truth = json.loads((SHARED / f"corpus/{name}.json").read_text())
    tree = opened(SHARED / f"corpus/{name}.h5")
    for want in truth["datasets"]:
        if want["dtype_on_disk"].startswith("["):
            compound(want, tree)
            continue
        da = found(tree, want["path"])
        assert str(da.dtype) == want["dtype_on_disk"]
        assert sha(as_stored(da, want["dims"])) == want["checksums"]["native"]
        assert said_units(da.attrs) == want["units"]
        assert da.attrs["long_name"] == want["quantity"]
        assert da.attrs["units"] == units.normalise(want["units"]).canonical
        dimensions(da, want["dims"])
        for key, value in want["attrs"].items():
            assert da.sid.metadata[key] == value
        along = want.get("coords_along_position", {})
        for key, coord in along.items():
            assert da.coords[key].dims == ("position",)
            assert said_units(da.coords[key].attrs) == coord["units"]
            np.testing.assert_array_equal(da.coords[key].values, coord["values"])
        for key, indices in want.get("indices_along_position", {}).items():
            np.testing.assert_array_equal(da.coords[f"{key}_index"].values, indices)
        for key, coord in want.get("nd_coords", {}).items():
            assert list(da.coords[key].dims) == coord["dims"]
            np.testing.assert_array_equal(da.coords[key].values, np.array(coord["values"]))
        assert da.sid.kind == "point_cloud" if along else da.sid.kind != "point_cloud"
    for group, attrs in truth.get("measurement_attrs", {}).items():
        for node in tree[group].subtree:
            for da in node.data_vars.values():
                assert da.sid.metadata.to_dict().get("measurement", {}) == attrs
    results(truth, tree)


def compound(want: dict[str, Any], tree: xr.DataTree) -> None:
    ds = node_of(tree, want["path"].rpartition("/")[0]).dataset
    fields = {da.attrs["sid_name_original"]: da for da in ds.data_vars.values()}
    assert list(fields) == list(want["checksums"]["fields"])
    for name, da in fields.items():
        assert sha(as_stored(da, want["dims"])) == want["checksums"]["fields"][name]["native"]
        short, _, unit = name.partition(" [")
        assert da.attrs["long_name"] == da.name == short
        assert da.attrs["units"] == (units.normalise(unit.rstrip("]")).canonical if unit else "1")
        dimensions(da, want["dims"])


def results(truth: dict[str, Any], tree: xr.DataTree) -> None:
    for want in truth["results"]:
        node = node_of(tree, want["group"])
        assert [node.encoding["sid_source"]] == want["sources"]
        assert sorted(f"{want['group']}/{k}" for k in node.data_vars) == sorted(want["datasets"])
        for key, value in want["attrs"].items():
            assert node.attrs[key] == value


def test_results_are_siblings_and_keep_what_lies_beside_them() -> None:
    tree = opened(SHARED / "corpus/u08_results.h5")
    node = tree["/Measurement_000/Raw_Data-K_Means_000"]
    assert node.attrs["sid_h5path"] == "/Measurement_000/Channel_000/Raw_Data-K_Means_000"
    assert node["completed_positions"].dims == ("Y", "X")
    assert node["Labels"].sid.metadata["result/algorithm"] == "K-Means"
    assert tree["/Measurement_000/Channel_000"]["Bin_Frequencies"].shape == (5,)


def test_how_far_a_result_came_that_was_never_made_is_no_signal() -> None:
    tree = sid.open(SHARED / "realdata/usid/sparse_sampling.h5")
    node = tree["/Measurement_000/Raw_Data-Simple_Process_000"]
    assert "completed_positions" in node.coords
    assert not any("completed_positions" in path for path in tree.sid.signals)


@pytest.mark.parametrize("name", USID)
def test_real_file(name: str) -> None:
    truth = REAL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = opened(SHARED / "realdata" / name)
    assert len(signals(tree)) == len(truth["signals"])
    for want in truth["signals"]:
        da = found(tree, want["path"])
        assert str(da.dtype) == want["raw2d_dtype"]
        assert da.attrs["long_name"] == want["quantity"]
        assert said_units(da.attrs) == want["units"]
        labels = [*want["pos_labels"], *want["spec_labels"]]
        if "nd" in want:
            sizes = [*want["pos_sizes"], *want["spec_sizes"]]
            values = as_stored(da, [{"name": n, "size": s} for n, s in zip(labels, sizes, strict=True)])
            assert list(values.shape) == want["nd"]["shape"]
            assert hashlib.sha1(np.ascontiguousarray(values).tobytes()).hexdigest() == want["nd"]["sha1_native_le"]
            for label, axis in want["nd_axes"].items():
                assert np.ravel(da.coords[label].values)[[0, -1]].tolist() == [axis["first"], axis["last"]]
        else:
            raw = np.ascontiguousarray(da.values)
            assert hashlib.sha1(raw.tobytes()).hexdigest() == want["raw2d_sha1_native_le"]
        for label, unit in zip(labels, [*want["pos_units"], *want["spec_units"]], strict=True):
            assert said_units(da.coords[label].attrs) == ast.literal_eval(unit).decode().replace("\\n", "\n")


def test_opening_reads_no_values() -> None:
    da = found(opened(SHARED / "realdata/usid/chip.h5"), "/Measurement_000/Channel_000/Raw_Data")
    assert not da._in_memory


def test_metadata_of_groups_and_files() -> None:
    tree = opened(SHARED / "realdata/usid/EELS_6-SiC.hf5")
    da = found(tree, "/Measurement_000/Channel_000/Raw_Data")
    assert da.sid.metadata["channel/collection_angle"] == 50.0
    assert da.sid.metadata["datasets", "filename"]
    assert len(da.sid.original_metadata) > 100
    assert tree.attrs["data_tool"] == "pyTEM-0.983"
    scan = found(opened(SHARED / "realdata/usid/SingFreqPFM_0003.h5"), "/Measurement_000/Channel_001/Raw_Data")
    assert scan.attrs["sid_title"] == "AmplitudeRetrace"
    assert len(scan.sid.metadata["measurement"]) > 500
    assert scan.sid.original_metadata["hdf5_attributes/pycroscopy_version"] == "0.60.0"


def test_the_older_readers_are_wrong_where_we_are_right() -> None:
    """A complete grid in random order: sorting by rate and reshaping scrambles it."""
    truth = json.loads((SHARED / "corpus/u14_shuffled_grid.json").read_text())["datasets"][0]
    da = found(opened(SHARED / "corpus/u14_shuffled_grid.h5"), truth["path"])
    for sample in truth["samples"]:
        assert float(da.values[tuple(sample["index"])]) == sample["value"]


def test_roots_are_stamped() -> None:
    da = found(opened(SHARED / "corpus/u03_spectral_image.h5"), "/Measurement_000/Channel_000/Raw_Data")
    (step,) = da.sid.provenance.steps
    assert step.op == "sid:open@1"
    assert step.params["h5path"] == "/Measurement_000/Channel_000/Raw_Data"


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(sid.FormatError, match="none of them USID"):
        opened(SHARED / "corpus/n01_spectrum.h5")
