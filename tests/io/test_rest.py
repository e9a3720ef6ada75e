"""What lies in a file beside the arrays of its formats is shown: tables, plain arrays, groups of parameters."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.testing import assert_roundtrip

CHANNEL = "/Measurement_000/Channel_000"


def scan() -> xr.DataArray:
    dims = {"y": (0.5, "nm"), "x": (0.5, "nm")}
    return sid.dataarray(np.arange(12.0).reshape(3, 4), dims, units="nA", quantity="current", name="topo")


def columns() -> np.ndarray:
    dtype = np.dtype(
        [
            ("x [nm]", "f8"),
            ("count", ">u2"),
            ("kind", "S4"),
            ("note", h5py.string_dtype()),
            ("vector", "f4", (3,)),
            ("fit", [("center", "f8"), ("deep", [("r/w", "i1")])]),
            ("good", "?"),
            ("phase", "c8"),
        ]
    )
    out = np.zeros(5, dtype)
    out["x [nm]"], out["count"], out["kind"] = np.arange(5) / 2, np.arange(5), [b"a", b"bb", b"\xc3\xa9", b"", b"d"]
    out["note"] = ["eins", "zwei", "drei", "vier", "fünf"]
    out["vector"] = np.arange(15).reshape(5, 3)
    out["fit"]["center"], out["fit"]["deep"]["r/w"] = np.arange(5) * 10, np.arange(5) - 2
    out["good"], out["phase"] = [1, 0, 1, 0, 1], 1j * np.arange(5)
    return out


def foreign(path: Path, *, writer: str = "to_nsid") -> h5py.File:
    """Return a file as another program writes it: ours, without what only we know."""
    getattr(scan().sid, writer)(path)
    file = h5py.File(path, "r+")
    found: list[str] = []
    file.visititems(lambda name, _: found.append(name) if name.endswith("_sid_xarray") else None)
    for name in found:
        del file[name]
    for name in list(main_of(file).attrs):
        if name.startswith("sid_"):
            del main_of(file).attrs[name]
    return file


def main_of(file: h5py.File) -> h5py.Dataset:
    return file[f"{CHANNEL}/topo/topo"] if f"{CHANNEL}/topo/topo" in file else file[f"{CHANNEL}/topo"]


def test_a_table_is_a_dataset_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        file[f"{CHANNEL}/topo"].create_dataset("peaks", data=columns()).attrs["made by"] = "hand"
    tree = sid.open(path)
    ds = tree[f"{CHANNEL}/peaks"].to_dataset()
    assert ds.attrs == {
        "made by": "hand",
        "sid_title": "peaks",
        "sid_content": "table",
        "sid_h5path": f"{CHANNEL}/topo/peaks",
    }
    assert dict(ds.sizes) == {"row": 5, "vector_0": 3}
    assert list(ds) == ["x", "count", "kind", "note", "vector", "fit.center", "fit.deep.r_w", "good", "phase"]
    assert ds["x"].attrs["units"] == "nm"
    assert ds["x"].attrs["sid_name_original"] == "x [nm]"
    assert ds["count"].dtype == np.dtype("u2"), "pandas takes no big-endian numbers"
    assert ds["kind"].values.tolist() == ["a", "bb", "é", "", "d"]
    np.testing.assert_array_equal(ds["fit.deep.r_w"], np.arange(5) - 2)
    np.testing.assert_array_equal(ds["vector"].isel(row=[4, 1], vector_0=slice(1, None)), [[13, 14], [4, 5]])
    np.testing.assert_array_equal(ds["vector"].isel(row=-1, vector_0=[2, 0]), [14, 12])
    np.testing.assert_array_equal(ds["fit.center"].isel(row=slice(None, None, -2)), [40, 20, 0])
    assert ds["note"].isel(row=4).item() == "fünf"
    frame = ds.drop_dims("vector_0").to_dataframe()
    assert frame.query("count > 2").note.tolist() == ["vier", "fünf"]
    assert ds["x"].sid.provenance.operations == ("open",)
    assert sid.open_dataarray(path).dims == ("y", "x"), "a table is no signal of the file"


def test_a_table_is_lazy_travels_and_is_written_back(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        file[CHANNEL].create_dataset("peaks", data=columns(), chunks=(2,), compression="gzip")
    ds = sid.open(path)[f"{CHANNEL}/peaks"].to_dataset()
    assert not ds["x"].variable._in_memory
    xr.testing.assert_identical(pickle.loads(pickle.dumps(ds)), ds)
    lazy = sid.open(path, chunks={"row": 2})[f"{CHANNEL}/peaks"].to_dataset()
    assert lazy["vector"].chunks == ((2, 2, 1), (3,))
    xr.testing.assert_identical(lazy.compute(), ds.compute())
    assert_roundtrip(ds.load().drop_encoding(), group="Measurement_000/peaks")
    sid.open(path).sid.to_nsid(tmp_path / "b.h5")
    again = sid.open(tmp_path / "b.h5")
    xr.testing.assert_identical(again[f"{CHANNEL}/peaks"].to_dataset(), ds)
    assert sid.open_dataarray(tmp_path / "b.h5").name == "topo"
    with h5py.File(tmp_path / "b.h5") as file:
        assert "main_data_name" not in file[f"{CHANNEL}/peaks/x"].attrs, "the older readers would take it for a signal"
    stock = xr.open_dataset(tmp_path / "b.h5", group=f"{CHANNEL}/peaks", engine="h5netcdf")
    np.testing.assert_array_equal(stock["count"], np.arange(5))


def test_a_matrix_with_labels_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path, writer="to_usid") as file:
        udvs = file[CHANNEL].create_dataset("UDVS", data=np.arange(12.0).reshape(4, 3))
        udvs.attrs["labels"] = np.array([b"step", b"dc_offset", b"ac_amp"])
        udvs.attrs["units"] = np.array([b"", b"V", b"A"])
        file[CHANNEL].create_dataset("Noise_Floor", data=np.arange(7.0))
        file[CHANNEL].create_dataset("peaks", data=columns())
    tree = sid.open(path)
    table = tree["Measurement_000/UDVS"].to_dataset()
    assert list(table) == ["step", "dc_offset", "ac_amp"]
    assert table.dc_offset.attrs["units"] == "V"
    np.testing.assert_array_equal(table.dc_offset.isel(row=[3, 0]), [10, 1])
    np.testing.assert_array_equal(table.ac_amp.isel(row=2), 8)
    assert table.attrs["sid_h5path"] == f"{CHANNEL}/UDVS"
    assert "Noise_Floor" in tree[CHANNEL].coords
    assert tree["Measurement_000/peaks"].kind.values.tolist()[:2] == ["a", "bb"]


def test_plain_arrays_beside_an_array_are_coordinates(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        group = file[f"{CHANNEL}/topo"]
        group.create_dataset("noise", data=np.arange(7.0)).attrs.update({"units": "V", "quantity": "Noise"})
        lat = group.create_dataset("lat", data=np.ones((3, 4)))
        for i, name in enumerate("yx"):
            lat.dims[i].attach_scale(group[name])
        group["title"] = "a title"
        group["number"] = 7
        group["names"] = np.array([b"a", b"b"])
    ds = sid.open(path)[f"{CHANNEL}/topo"].to_dataset()
    assert set(ds.coords) == {"y", "x", "noise", "lat", "names"}
    assert ds.noise.attrs == {"long_name": "Noise", "units": "V"}
    assert ds.lat.dims == ("y", "x")
    assert ds.names.values.tolist() == ["a", "b"]
    assert ds.topo.sid.metadata["datasets"] == {"number": 7, "title": "a title"}
    assert_roundtrip(ds.load().drop_encoding(), group="a")


def test_plain_arrays_elsewhere_are_nodes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        file["calibration/dark"] = np.arange(6).reshape(2, 3)
        file["calibration/gain"] = np.float32(2.5)
        file["calibration/curve"] = np.array([(1.0, 2)], dtype=[("t", "f8"), ("n", "i4")])
        file["loose"] = np.arange(3)
        file[CHANNEL].create_dataset("beside", data=np.arange(4))
        netcdf = file.create_group("netcdf")
        netcdf["t"] = [0.5, 1.5]
        netcdf["v"] = [[1, 2, 3], [4, 5, 6]]
        netcdf["none"] = np.zeros(3)
        netcdf["t"].make_scale("t")
        netcdf["none"].make_scale("This is a netCDF dimension but not a netCDF variable.         3")
        netcdf["t"].attrs["units"] = "s"
        netcdf["v"].dims[0].attach_scale(netcdf["t"])
        netcdf["v"].dims[1].attach_scale(netcdf["none"])
    tree = sid.open(path)
    assert tree["calibration"].attrs["gain"] == 2.5
    np.testing.assert_array_equal(tree["calibration/dark/dark"], [[0, 1, 2], [3, 4, 5]])
    assert list(tree["calibration/curve"].data_vars) == ["t", "n"]
    np.testing.assert_array_equal(tree["loose/loose"], [0, 1, 2])
    np.testing.assert_array_equal(tree[f"{CHANNEL}/beside/beside"], [0, 1, 2, 3])
    assert tree["netcdf/v"].dims == ("t", "none")
    assert tree["netcdf/v"].t.attrs["units"] == "s"
    assert list(tree["netcdf/v"].coords) == ["t"]
    assert sid.open_dataarray(path).name == "topo"
    tree.sid.to_nsid(tmp_path / "b.h5")
    again = sid.open(tmp_path / "b.h5")
    for node in tree.subtree:
        xr.testing.assert_identical(again[node.path].to_dataset(), node.to_dataset())


def test_groups_of_parameters_are_nodes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path, writer="to_usid") as file:
        result = file[CHANNEL].create_group("topo-Cluster_000")
        result.attrs.update({"tool": "Cluster", "n": 3, "source_000": file[f"{CHANNEL}/topo"].ref})
        file.create_group("Measurement_001/settings/more").attrs["gain"] = [1, 2]
        file["Measurement_001"].attrs["operator"] = "me"
        file.create_group("Measurement_002")
    tree = sid.open(path)
    node = tree["Measurement_000/topo-Cluster_000"]
    assert {k: node.attrs[k] for k in ("tool", "n", "sid_h5path")} == {
        "tool": "Cluster",
        "n": 3,
        "sid_h5path": f"{CHANNEL}/topo-Cluster_000",
    }
    assert node.encoding["sid_source"] == f"{CHANNEL}/topo"
    assert tree["Measurement_001"].attrs == {"operator": "me"}
    assert tree["Measurement_001/settings/more"].attrs["gain"] == [1, 2]
    assert "Measurement_002" in tree.children


def test_what_cannot_be_shown_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        group = file.create_group("odd")
        group.create_dataset("references", data=[main_of(file).ref], dtype=h5py.ref_dtype)
        group["nothing"] = h5py.Empty("f8")
        group.create_dataset("lists", shape=(2,), dtype=h5py.vlen_dtype(np.int32))
        group.create_dataset("opaque", data=np.zeros(2, "V8"))
        group.create_dataset("elsewhere", shape=(4,), dtype="u1", external=[(str(tmp_path / "x.raw"), 0, 4)])
        group.create_dataset("empty", shape=(0, 3))
        fields = [("ok", "f8"), ("ref", h5py.ref_dtype)]
        group.create_dataset("half", shape=(2,), dtype=np.dtype(fields))
    tree = sid.open(path)
    said = dict(line.split(": ", 1) for line in tree.attrs["sid_not_shown"].splitlines())
    assert {k.rpartition("/")[2] for k in said} == {"references", "nothing", "lists", "opaque", "elsewhere"}
    assert said["/odd/references"] == "holds references, not values"
    assert "sid_problems" not in tree.attrs, "nothing is damaged"
    assert (
        tree["odd/empty/empty"].shape == (0, 3)
        if "empty" in tree["odd"].children
        else tree["odd/empty"].shape == (0, 3)
    )
    assert list(tree["odd/half"].data_vars) == ["ok"]
    tree.sid.to_nsid(tmp_path / "b.h5")
    assert "sid_not_shown" not in sid.open(tmp_path / "b.h5").attrs


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
def test_what_others_put_into_our_files_is_shown(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.h5"
    getattr(scan().sid.with_metadata(a={"b": 1}).sid, writer)(path)
    with sid.open(path) as tree:
        before = {node.path for node in tree.subtree}
    with h5py.File(path, "r+") as file:
        group = file[f"{CHANNEL}/topo"] if writer == "to_nsid" else file[CHANNEL]
        group.create_dataset("added", data=np.arange(3))
        group.create_dataset("peaks", data=columns())
        group.create_group("params").attrs["n"] = 1
        where = group.name
    tree = sid.open(path)
    new = {node.path for node in tree.subtree} - before
    assert {p.rpartition("/")[2] for p in new} == {"peaks", "params"}
    assert "added" in tree[where].coords
    assert sid.open_dataarray(path).identical(scan().sid.with_metadata(a={"b": 1}))


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
def test_our_own_files_have_no_rest(tmp_path: Path, writer: str) -> None:
    ds = scan().to_dataset().assign_coords(note=("x", list("abcd")), t=np.datetime64("2020-01-01", "ns"))
    ds = ds.assign(other=ds.topo.isel(y=0) * 2, text="hello")
    ds.topo.attrs["sid_metadata"] = '{"a":{"b":{"c":1}}}'
    place = getattr(ds.sid, writer)(tmp_path / "a.h5")
    tree = sid.open(tmp_path / "a.h5")
    xr.testing.assert_identical(tree[place].to_dataset(), ds)
    assert [n.path for n in tree.subtree if n.has_data] == [place]
    assert "sid_not_shown" not in tree.attrs


def test_what_is_left_of_a_group_without_arrays_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    where = scan().sid.with_metadata(a={"b": 1}).sid.to_nsid(path)
    with h5py.File(path, "r+") as file:
        group = file[where]
        for name in [name for name, obj in group.items() if isinstance(obj, h5py.Dataset)]:
            del group[name]
    tree = sid.open(path)
    assert tree[f"{where}/metadata/a"].attrs == {"b": 1}


def test_what_is_lost_beside_a_model_of_usid_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    scan().assign_coords(note=("x", list("abcd"))).sid.to_usid(path)
    with h5py.File(path, "r+") as file:
        inner = file[f"{CHANNEL}/_sid_xarray"]
        inner["lost"] = h5py.SoftLink("/nowhere")
        at = h5py.h5o.get_info(inner["arrays"].id).addr
    said = f"{CHANNEL}/_sid_xarray/lost: leads to /nowhere, where nothing is"
    tree = sid.open(path)
    assert tree.attrs["sid_not_shown"] == said
    assert "note" in tree[CHANNEL].coords
    tree.close()
    raw = bytearray(path.read_bytes())
    raw[at : at + 8] = b"\xff" * 8
    path.write_bytes(raw)
    with pytest.warns(sid.SidWarning, match="_sid_xarray/arrays: cannot be opened"):
        tree = sid.open(path)
    assert tree.attrs["sid_not_shown"] == said
    assert "note" not in tree[CHANNEL].coords


def test_a_damaged_table_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with foreign(path) as file:
        table = file[CHANNEL].create_dataset("peaks", data=columns(), chunks=(5,), compression="gzip")
        at = table.id.get_chunk_info(0).byte_offset
    raw = bytearray(path.read_bytes())
    raw[at : at + 20] = b"\xff" * 20
    path.write_bytes(raw)
    tree = sid.open(path)
    np.testing.assert_array_equal(tree[f"{CHANNEL}/topo/topo"], scan().values)
    with pytest.raises(sid.FormatError, match=r"\[/Measurement_000/Channel_000/peaks\]: values: cannot be read"):
        tree[f"{CHANNEL}/peaks"].to_dataset().load()


def test_a_file_of_others_with_nothing_of_ours_is_refused_as_before(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(sid.FormatError, match="none of them NSID or USID"):
        sid.open(tmp_path / "a.h5")
