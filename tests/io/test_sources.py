"""Results beside their source, linked to it, wherever the source is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.io._names import next_index

CHANNEL = "/Measurement_000/Channel_000"


def scan(**dims: int) -> xr.DataArray:
    sizes = dims or {"y": 2, "x": 3, "energy": 4}
    return sid.dataarray(
        np.random.default_rng(0).normal(size=tuple(sizes.values())),
        dims={k: (1.0, "eV" if k == "energy" else "nm") for k in sizes},
        quantity="current",
        units="nA",
    )


@pytest.fixture
def raw(tmp_path: Path) -> tuple[Path, xr.DataArray]:
    path = tmp_path / "scan.h5"
    scan().sid.to_nsid(path)
    return path, sid.open_dataarray(path)


def links(path: Path, place: str) -> dict[str, Any]:
    with h5py.File(path) as file:
        group = file[place]
        out = {k: group.attrs.get(k) for k in ("tool", "source_000_path", "source_000_file", "source_000_sha256")}
        assert "source_000" not in group.attrs, "stock h5netcdf refuses a group with a reference"
        reference = group["_sid_xarray"].attrs.get("source_000")
        out["reference"] = file[reference[0]].name if reference is not None else None
    return {k: v for k, v in out.items() if v is not None}


def test_result_lies_beside_its_source_and_knows_it(raw: tuple[Path, xr.DataArray]) -> None:
    path, si = raw
    result = si.sid.rebin(energy=2)
    place = result.sid.to_nsid(path, source=si)
    assert place == f"{CHANNEL}/current-Rebin_000"
    main = f"{CHANNEL}/current/current"
    assert links(path, place) == {"tool": "Rebin", "source_000_path": main, "reference": main}
    tree = sid.open(path)
    assert set(tree[CHANNEL].children) == {"current", "current-Rebin_000"}
    assert tree[place].encoding["sid_source"] == main
    assert sid.open_dataarray(path).sizes == si.sizes  # the result does not count as a second signal
    assert result.sid.to_nsid(path, source=si) == f"{CHANNEL}/current-Rebin_001"
    assert result.sid.to_nsid(path, source=si, tool="my tool") == f"{CHANNEL}/current-My_Tool_000"


def test_result_of_a_result(raw: tuple[Path, xr.DataArray]) -> None:
    path, si = raw
    first = si.sid.rebin(energy=2).sid.to_nsid(path, source=si)
    one = sid.open(path)[first]["current"]
    second = one.sid.rebin(x=3).sid.to_nsid(path, source=one)
    assert second == f"{CHANNEL}/current_Rebin_000-Rebin_000"
    assert links(path, second)["source_000_path"] == f"{first}/current"
    two = sid.open(path)[second]["current"]
    assert two.sid.provenance.operations == ("input", "rebin", "rebin")


@pytest.mark.parametrize("source", [f"{CHANNEL}/current", f"{CHANNEL}/current/current", f"{CHANNEL[1:]}/current/"])
def test_source_by_path(raw: tuple[Path, xr.DataArray], source: str) -> None:
    path, si = raw
    place = (si * 2).sid.to_nsid(path, source=source, tool="double")
    assert links(path, place)["source_000_path"] == f"{CHANNEL}/current/current"


@pytest.mark.parametrize("source", ["nowhere", CHANNEL, "/", f"{CHANNEL}/current/nothing"])
def test_source_path_that_is_no_array(raw: tuple[Path, xr.DataArray], source: str) -> None:
    path, si = raw
    before = path.read_bytes()
    with pytest.raises(
        FormatError, match=r"cannot be the source. There are: /Measurement_000/Channel_000/current/current"
    ):
        (si * 2).sid.to_nsid(path, source=source)
    assert path.read_bytes() == before


def test_source_that_was_written_before_and_is_still_in_memory(tmp_path: Path) -> None:
    da = scan()
    da.sid.to_nsid(tmp_path / "a.h5")
    place = da.sid.rebin(energy=2).sid.to_nsid(tmp_path / "a.h5", source=da)
    assert links(tmp_path / "a.h5", place)["source_000_path"] == f"{CHANNEL}/current/current"


def test_source_there_twice(tmp_path: Path) -> None:
    da = scan()
    path = tmp_path / "a.h5"
    da.sid.to_nsid(path)
    da.sid.to_nsid(path)
    with pytest.raises(FormatError, match=r"2 times.*source='/Measurement_000/Channel_000/current/current'"):
        da.sid.rebin(energy=2).sid.to_nsid(path, source=da)
    # One that was opened from a place is that one.
    second = sid.open_dataarray(path, "/Measurement_001/Channel_000/current/current")
    assert second.sid.rebin(energy=2).sid.to_nsid(path, source=second).startswith("/Measurement_001/")


def test_source_in_another_file(raw: tuple[Path, xr.DataArray], tmp_path: Path) -> None:
    _, si = raw
    (tmp_path / "results").mkdir()
    path = tmp_path / "results/out.h5"
    place = si.sid.rebin(energy=2).sid.to_nsid(path, source=si)
    assert place == f"{CHANNEL}/current-Rebin_000"
    found = links(path, place)
    assert found.pop("source_000_sha256")
    assert found == {"tool": "Rebin", "source_000_path": f"{CHANNEL}/current/current", "source_000_file": "../scan.h5"}
    assert sid.open(path)[place].encoding["sid_source"] == f"{CHANNEL}/current/current"
    assert sid.open_dataarray(path).sizes["energy"] == 2


def test_source_that_is_in_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'current' is in no file.*source\.sid\.to_nsid"):
        scan().sid.rebin(energy=2).sid.to_nsid(tmp_path / "a.h5", source=scan())
    assert not list(tmp_path.iterdir())


def test_source_in_the_file_that_would_be_replaced(raw: tuple[Path, xr.DataArray]) -> None:
    path, si = raw
    for source in (si, f"{CHANNEL}/current"):
        with pytest.raises(FormatError, match="would replace the file that holds the source"):
            (si * 2).sid.to_nsid(path, source=source, mode="w")


def test_dataset_as_source(tmp_path: Path) -> None:
    ds = scan().to_dataset().assign(other=scan() * 2)
    ds.sid.to_nsid(tmp_path / "a.h5", group="Measurement_000/Channel_000/both")
    found = sid.open(tmp_path / "a.h5")[f"{CHANNEL}/both"].to_dataset()
    place = (found * 2).sid.to_nsid(tmp_path / "a.h5", source=found, tool="twice")
    assert place == f"{CHANNEL}/both-Twice_000"


def test_other_file_of_the_same_layout_is_no_source(shared: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("a.h5", "b.h5"):
        shutil.copyfile(shared / "corpus/n04_spectral_image_sine_bias.h5", tmp_path / name)
    one = sid.open_dataarray(tmp_path / "a.h5").load().drop_encoding()
    place = (one * 2).sid.to_nsid(tmp_path / "b.h5", source=one)
    assert "reference" not in links(tmp_path / "b.h5", place)
    assert links(tmp_path / "b.h5", place)["source_000_file"] == "a.h5"
    place = (one * 2).sid.to_nsid(tmp_path / "a.h5", source=one)
    assert "reference" in links(tmp_path / "a.h5", place)


def test_result_of_a_foreign_file_goes_into_it(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "bfo.h5"
    path.write_bytes((shared / "realdata/nsid/bfo_iv_final.hf5").read_bytes())
    si = sid.open_dataarray(path)
    mean = si.mean(si.dims[0])
    place = mean.sid.to_nsid(path, source=si, tool="mean")
    again = sid.open(path)
    xr.testing.assert_equal(again[place][next(iter(again[place].data_vars))].load(), mean.compute().rename(None))
    np.testing.assert_array_equal(sid.open_dataarray(path).values, si.values)


def test_overwrite(raw: tuple[Path, xr.DataArray]) -> None:
    path, si = raw
    new = si.sid.rebin(x=3).load()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        new.sid.to_nsid(path, group=f"{CHANNEL}/current")
    assert new.sid.to_nsid(path, group=f"{CHANNEL}/current", overwrite=True) == f"{CHANNEL}/current"
    assert sid.open_dataarray(path).sizes["x"] == 1
    with pytest.raises(FormatError, match="holds other groups with arrays, such as /Channel_000/current"):
        new.sid.to_nsid(path, group="Measurement_000", overwrite=True)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("/", "needs a name"),
        ("", "needs a name"),
        ("a/../b", "cannot be the name"),
        ("a/./b", "cannot be the name"),
        ("a/_sid_xarray", "cannot be the name"),
        ("a/\x00", "cannot be the name"),
        (f"{CHANNEL}/current/inner", "which holds arrays. Write beside it"),
        (f"{CHANNEL}/current/current/inner", "which is an array"),
    ],
)
def test_groups_that_cannot_be(raw: tuple[Path, xr.DataArray], group: str, message: str) -> None:
    path, _ = raw
    before = path.read_bytes()
    with pytest.raises(FormatError, match=message):
        scan().sid.to_nsid(path, group=group)
    assert path.read_bytes() == before


def test_places_are_counted_up(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    assert scan().sid.to_nsid(path) == "/Measurement_000/Channel_000/current"
    assert scan().sid.to_nsid(path) == "/Measurement_001/Channel_000/current"
    assert (
        next_index("Measurement", ["Measurement_abc", "Measurement_007", "Measurement_1000", "x"]) == "Measurement_1001"
    )


def test_tree_has_no_source(raw: tuple[Path, xr.DataArray]) -> None:
    path, si = raw
    with pytest.raises(FormatError, match="one by one"):
        xr.DataTree.from_dict({"/a": si.to_dataset()}).sid.to_nsid(path, source=si)


def test_tree_is_added_to_a_file(raw: tuple[Path, xr.DataArray]) -> None:
    path, _ = raw
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"who": "me"}),
            "/b": scan(y=2).to_dataset(),
            "/Measurement_000/x": xr.Dataset(attrs={"n": 1}),
        }
    )
    tree.sid.to_nsid(path)
    found = sid.open(path)
    assert set(found.children) == {"b", "Measurement_000"}
    assert found.attrs["who"] == "me"
    assert found["Measurement_000/x"].attrs == {"n": 1}
    xr.DataTree(xr.Dataset(attrs={"why": 2, "who": "you"})).sid.to_nsid(path)
    assert dict(sid.open(path).attrs) == {"who": "you", "why": 2} | {
        k: v for k, v in sid.open(path).attrs.items() if k not in ("who", "why")
    }
    with pytest.raises(FormatError, match="root need a file of their own"):
        xr.DataTree(scan(y=2).to_dataset()).sid.to_nsid(path)


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
@pytest.mark.parametrize("compute", [True, False])
def test_what_is_returned_is_where_it_is_shown(tmp_path: Path, writer: str, compute: bool) -> None:
    path = tmp_path / "a.h5"

    def write(obj: Any, **options: Any) -> str:
        out = getattr(obj.sid, writer)(path, compute=compute, **options)
        return out if compute else out.compute()

    da = scan()
    first = write(da)
    written = [(first, da)]
    source = sid.open(path)[first]["current"]
    for obj, options in (
        (da.sid.rebin(energy=2), {"source": da}),
        (da.sid.rebin(x=3).to_dataset(), {"source": source}),
        (da.to_dataset().assign(other=da * 2), {}),
        (da * 3, {"group": "Measurement_007/Channel_003/my name"}),
        (da * 4, {"source": first, "tool": "four"}),
    ):
        written.append((write(obj, **options), obj))
    result = sid.open(path)[written[1][0]]["current"]
    written.append((write(result.load() * 2, source=result, tool="twice"), result * 2))
    tree = sid.open(path)
    assert len({place for place, _ in written}) == len(written)
    for place, obj in written:
        want = obj if isinstance(obj, xr.Dataset) else obj.rename("current").to_dataset()
        xr.testing.assert_equal(tree[place].to_dataset(), want)
    listed = {r.path for r in sid.results(path)}
    assert {written[i][0] for i in (1, 2, 5, 6)} == listed


def test_result_of_an_array_of_usid_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    scan().sid.to_usid(path)
    raw = sid.open_dataarray(path)
    place = raw.sid.rebin(energy=2).sid.to_nsid(path, source=raw)
    assert place == "/Measurement_000/Channel_000-Rebin_000", "beside the group that holds it"
    main = f"{CHANNEL}/current"
    assert links(path, place) == {"tool": "Rebin", "source_000_path": main, "reference": main}
    assert sid.open(path)[place].encoding["sid_source"] == main
    assert sid.open_dataarray(path).identical(raw)
