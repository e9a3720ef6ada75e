"""Atomic structures: Datasets, atoms of ase, groups of NSID, and back."""

from __future__ import annotations

import json
import os
import subprocess
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import MetadataError, MissingDependencyError, SidWarning
from sid_xarray.io.nsid.structures import from_group
from sid_xarray.io.validate import check_file
from sid_xarray.testing import assert_roundtrip

PEERS = os.environ.get("SID_PEERS_PYTHON")


def image() -> xr.DataArray:
    return sid.datasets.lattice_image()


def perovskite() -> xr.Dataset:
    """SrTiO3, as a plain Dataset: ase is not needed for it."""
    base = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    data = {
        "position": (("atom", "axis"), base * 3.905),
        "number": ("atom", [38, 22, 8, 8, 8]),
        "cell": (("vector", "axis"), np.eye(3) * 3.905),
        "pbc": ("vector", [True, True, False]),
        "magmom": ("atom", np.array([0, 1.5, 0, 0, 0], "f4")),
    }
    return xr.Dataset(data, attrs={"sid_metadata": '{"source":"icsd"}'})


def atoms() -> dict[str, Any]:
    ase = pytest.importorskip("ase")
    build = pytest.importorskip("ase.build")
    slab = build.fcc111("Al", (2, 2, 3), vacuum=5.0)
    slab.set_momenta(np.arange(36.0).reshape(12, 3))
    return {
        "slab": slab,
        "molecule": build.molecule("CH3CH2OH"),
        "chain": ase.Atoms("Au3", positions=np.arange(9.0).reshape(3, 3), cell=[0, 0, 7.5], pbc=[0, 0, 1]),
        "nobody": ase.Atoms(),
        "dummies": ase.Atoms("X2Au", positions=np.eye(3), cell=[3, 4, 5]),
        "far out": ase.Atoms("Si2", scaled_positions=[[-0.25, 0, 0], [1.25, 0, 2]], cell=[3, 3, 3], pbc=True),
    }


@pytest.mark.parametrize("name", ["slab", "molecule", "chain", "nobody", "dummies", "far out"])
def test_atoms_there_and_back(name: str) -> None:
    given = atoms()[name]
    ds = sid.from_ase(given, name)
    assert dict(ds.sizes) == {
        "atom": len(given),
        "axis": 3,
        "vector": 3,
        **({"momenta_1": 3} if name == "slab" else {}),
    }
    assert ds.position.attrs["units"] == ds.cell.attrs["units"] == "angstrom"
    assert ds.symbol.values.tolist() == given.get_chemical_symbols()
    np.testing.assert_array_equal(ds.number, given.numbers)
    back = sid.to_ase(ds)
    assert back == given
    assert list(back.info) == list(given.info)
    for key, values in given.arrays.items():
        np.testing.assert_array_equal(back.arrays[key], values)
        assert back.arrays[key].dtype == values.dtype


def test_structures_belong_to_an_array() -> None:
    given = atoms()
    plain = image()
    one = plain.sid.with_structures(given)
    assert list(one.sid.structures) == list(given)
    assert "structures" not in plain.sid.metadata, "the input was changed"
    for name, value in given.items():
        assert sid.to_ase(one, name) == value
    fewer = one.sid.with_structures(slab=None, molecule=None)
    assert "slab" not in fewer.sid.structures
    assert fewer.sid.with_structures(dict.fromkeys(given)).identical(plain)
    xr.testing.assert_identical(one.sid.with_structures(slab=one.sid.structures["slab"]), one)
    assert list(one.to_dataset(name="a").sid.structures) == list(one.sid.structures)


def test_what_a_structure_is_not() -> None:
    with pytest.raises(MetadataError, match=r"expected ase\.Atoms, got str"):
        sid.from_ase("H2O")
    with pytest.raises(MetadataError, match="the structure 'a' is a int"):
        image().sid.with_structures(a=1)
    with pytest.raises(MetadataError, match=r"found 'a'\. Make one: sid.from_ase"):
        image().sid.with_structures(a=xr.Dataset({"a": 1}))
    with pytest.raises(MetadataError, match=r"no structure belongs to it. Add one: obj.sid.with_structures"):
        sid.to_ase(image())
    two = image().sid.with_structures(STO=perovskite(), SRO=perovskite())
    with pytest.raises(MetadataError, match=r"there are 2 structures\. Name one of 'STO', 'SRO'"):
        sid.to_ase(two)
    with pytest.raises(MetadataError, match=r"no structure 'STP'\. Did you mean 'STO'"):
        sid.to_ase(two, "STP")
    damaged = image().sid.with_metadata(structures={"a": {"format": "ase", "symbols": ["H"], "positions": []}})
    with pytest.raises(MetadataError, match="the structure 'a' is damaged"):
        _ = damaged.sid.structures


def test_without_ase(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ase", None)
    one = image().sid.with_structures(STO=perovskite())
    assert one.sid.structures["STO"].symbol.values.tolist() == ["Sr", "Ti", "O", "O", "O"]
    with pytest.raises(MissingDependencyError, match=r"to_ase needs 'ase'.*sid-xarray\[atoms\]"):
        sid.to_ase(one)


def test_objects_in_info_become_text() -> None:
    thing = types.SimpleNamespace(
        arrays={"numbers": np.array([1]), "positions": np.zeros((1, 3))},
        get_chemical_symbols=lambda: ["H"],
        cell=np.eye(3),
        pbc=[False] * 3,
        info={"spacegroup": types.SimpleNamespace(no=1), "n": 1},
    )
    with pytest.warns(SidWarning, match=r"info\['spacegroup'\] of the atoms is a SimpleNamespace; it is kept as text"):
        ds = sid.from_ase(thing, "H")
    assert ds.sid.metadata == {"spacegroup": "namespace(no=1)", "n": 1}


def test_they_are_written_beside_the_array_and_come_back(tmp_path: Path) -> None:
    one = image().sid.with_structures({"STO": perovskite(), "a/b": perovskite()}).sid.with_metadata(tip="W")
    assert_roundtrip(one, str(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["Measurement_000/Channel_000/intensity"]
        assert [k for k in group if k.startswith("Structure")] == ["Structure_000", "Structure_001"]
        assert set(group["metadata"].attrs) == {"tip"}
        assert not list(group["metadata"])
        inner = group["Structure_000/STO"]
        assert inner.attrs["elements"] == "SrTiO3"
        np.testing.assert_allclose(inner.attrs["base"] @ inner.attrs["unit_cell"], perovskite().position, atol=1e-12)
        assert inner["info"].attrs["source"] == "icsd"
    assert not [f for f in check_file(tmp_path / "a.h5") if f.level != "note"]
    del_model(tmp_path / "a.h5")  # as another program's reader sees it
    found = sid.open_dataarray(tmp_path / "a.h5").sid.structures
    assert list(found) == ["STO", "a_b"]
    xr.testing.assert_allclose(
        found["STO"].drop_vars("axis"), one.sid.structures["STO"].drop_vars(["axis", "magmom"]), atol=1e-12
    )
    assert "comment" not in found["STO"].attrs


def del_model(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        group = file["Measurement_000/Channel_000/intensity"]
        del group["_sid_xarray"]
        for name in list(group["intensity"].attrs):
            if name.startswith("sid_"):
                del group["intensity"].attrs[name]


def test_what_the_older_readers_cannot_take_stays_in_the_metadata(tmp_path: Path) -> None:
    one = image().sid.with_structures(atoms())
    big = perovskite().isel(atom=np.arange(5).repeat(600))
    one = one.sid.with_structures(big=big)
    assert_roundtrip(one, str(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["Measurement_000/Channel_000/intensity"]
        names = [next(iter(group[k])) for k in group if k.startswith("Structure")]
        assert names == ["slab", "dummies", "far out"]
        assert set(group["metadata/structures"]) == {"big", "chain", "molecule", "nobody"}
    assert not [f for f in check_file(tmp_path / "a.h5") if f.level == "error"]


def test_a_structure_of_its_own(tmp_path: Path) -> None:
    ds = image().sid.with_structures(STO=perovskite()).sid.structures["STO"]
    for writer in ("to_nsid", "to_usid"):
        path = tmp_path / f"{writer}.h5"
        image().sid.to_nsid(path)
        place = getattr(ds.sid, writer)(path, group="Measurement_000/STO")
        xr.testing.assert_identical(sid.open(path)[place].to_dataset(), ds)
        assert sid.open_dataarray(path).name == "intensity", "a structure is no signal"
        assert not [f for f in check_file(path) if f.level != "note"]


# Of other programs ----------------------------------------------------------------------------------------------------


def entry(elements: Any, base: Any, cell: Any = None, **more: Any) -> dict[str, Any]:
    cell = np.eye(3) * 2 if cell is None else np.asarray(cell)
    return {"x": {"unit_cell": cell, "elements": elements, "base": np.asarray(base, float), **more}}


def test_groups_of_pynsid() -> None:
    sites = np.eye(3)[:2]
    found = from_group({"platform": "p", "timestamp": "t", **entry("SrTi", sites, info={"a": 1})})
    assert found == {"x": {**found["x"], "symbols": ["Sr", "Ti"], "pbc": [False] * 3, "info": {"a": 1}}}
    np.testing.assert_array_equal(found["x"]["positions"], sites * 2)
    assert "unsure" in found["x"]["comment"], "sorted: nobody knows"
    assert "comment" not in from_group(entry("TiSr", sites))["x"], "not sorted: in the order of the sites"
    assert "comment" not in from_group(entry("Sr2", sites))["x"]
    assert "unsure" in from_group(entry("CH", sites))["x"]["comment"]
    assert from_group(entry(["O", "Sr"], sites))["x"]["symbols"] == ["O", "Sr"]
    molecule = from_group(entry("H2", sites, np.zeros((3, 3))))
    np.testing.assert_array_equal(molecule["x"]["positions"], sites)
    flat = from_group(entry("H2", [[0, 0, 2.0], [0.5, 0, 0]], np.diag([4.0, 4.0, 0])))
    np.testing.assert_array_equal(flat["x"]["positions"], [[0, 0, 2], [2, 0, 0]])


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"platform": "p"},
        {"x": 1},
        {"x": {"unit_cell": np.eye(3), "elements": "H2"}},
        entry("H3", np.eye(3)[:2]),
        entry("Qq2", np.eye(3)[:2]),
        entry("(OH)2", np.eye(3)[:2]),
        entry("H2", np.eye(3)[:2], np.eye(4)),
        entry("H2", np.eye(3)[:2], np.diag([1.0, 0, 0])),
        entry("H999999999999", np.eye(3)[:2]),
        entry(3, np.eye(3)[:2]),
        {"x": {"unit_cell": "a", "elements": "H2", "base": np.eye(3)[:2]}},
    ],
    ids=lambda t: str(t)[:60],
)
def test_groups_that_hold_something_else(tree: dict[str, Any]) -> None:
    assert from_group(tree) is None


def test_a_group_that_is_no_structure_is_kept_as_it_is(tmp_path: Path) -> None:
    image().sid.to_nsid(tmp_path / "a.h5")
    del_model(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["Measurement_000/Channel_000/intensity"].create_group("Structure_000/x").attrs["n"] = 1
    da = sid.open_dataarray(tmp_path / "a.h5")
    assert da.sid.structures == {}
    assert json.loads(da.attrs["sid_other_groups"])["Structure_000"] == {"x": {"n": 1}}
    assert [f.code for f in check_file(tmp_path / "a.h5") if f.level == "error"] == ["N54"]


def test_a_cell_with_vectors_missing_is_told(tmp_path: Path) -> None:
    image().sid.with_structures(STO=perovskite()).sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["Measurement_000/Channel_000/intensity/Structure_000/STO"].attrs["unit_cell"] = np.diag([1.0, 1.0, 0])
    assert [f.code for f in check_file(tmp_path / "a.h5") if f.level == "error"] == ["N54"]


_WRITE = """
import sys, h5py, ase, ase.build, numpy as np, sidpy, pyNSID
d = sidpy.Dataset.from_array(np.arange(6.0).reshape(2, 3), title="image")
d.data_type = "image"
d.set_dimension(0, sidpy.Dimension([0, 1], "y", "Length", "nm", "spatial"))
d.set_dimension(1, sidpy.Dimension([0, 1, 2], "x", "Length", "nm", "spatial"))
d.add_structure(ase.build.bulk("Al", cubic=True), "Al")
d.add_structure(ase.Atoms("SrTiO3", scaled_positions=np.eye(5, 3) / 2, cell=[4, 4, 4]), "STO")
with h5py.File(sys.argv[1], "w") as file:
    pyNSID.hdf_io.write_nsid_dataset(d, file.create_group("Measurement_000/Channel_000"), main_data_name="image")
"""
_READ = """
import sys, json, h5py, SciFiReaders
with h5py.File(sys.argv[1]) as file:
    mains = [m for m in __import__("pyNSID").io.hdf_utils.get_all_main(file)]
    d = __import__("pyNSID").io.hdf_utils.read_h5py_dataset(mains[0])
    words = lambda info: {k: str(v) for k, v in info.items()}
    show = lambda a: [a.get_chemical_symbols(), a.positions.tolist(), a.cell.tolist(), words(a.info)]
    first = {k: show(v) for k, v in d.structures.items()}
r = SciFiReaders.NSIDReader(sys.argv[1])
second = {k: show(v) for k, v in next(iter(r.read().values())).structures.items()}
print(json.dumps([first, second]))
"""


@pytest.mark.peers
@pytest.mark.skipif(PEERS is None, reason="SID_PEERS_PYTHON names no interpreter with the older packages")
def test_the_older_packages_find_ours_and_we_theirs(tmp_path: Path) -> None:
    subprocess.run([str(PEERS), "-c", _WRITE, str(tmp_path / "a.h5")], check=True, capture_output=True)
    da = sid.open_dataarray(tmp_path / "a.h5")
    found = da.sid.structures
    assert found["Al"].symbol.values.tolist() == ["Al"] * 4
    np.testing.assert_allclose(found["Al"].position[1], [0, 2.025, 2.025])
    assert found["STO"].symbol.values.tolist() == ["O", "O", "O", "Sr", "Ti"], "as pyNSID itself reads it"
    assert "unsure" in found["STO"].attrs["comment"]
    one = image().sid.with_structures(STO=perovskite())
    one.sid.to_nsid(tmp_path / "b.h5")
    run = subprocess.run([str(PEERS), "-c", _READ, str(tmp_path / "b.h5")], check=True, capture_output=True, text=True)
    for seen in json.loads(run.stdout.splitlines()[-1]):
        symbols, positions, cell, info = seen["STO"]
        assert symbols == ["Sr", "Ti", "O", "O", "O"]
        np.testing.assert_allclose(positions, perovskite().position, atol=1e-12)
        np.testing.assert_array_equal(cell, perovskite().cell)
        assert info == {"source": "icsd"}
