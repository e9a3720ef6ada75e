"""Results beside their source are found again, instead of computed again."""

from __future__ import annotations

from pathlib import Path

import pytest

import sid_xarray as sid


@pytest.fixture
def file(tmp_path: Path) -> Path:
    da = sid.datasets.peak_map()
    path = tmp_path / "map.h5"
    da.sid.to_nsid(path)
    da.sid.fit("gaussian + constant").sid.to_nsid(path, source=da)
    da.sid.fit("gaussian + linear").sid.to_nsid(path, source=da)
    binned = da.sid.rebin(energy=2)
    binned.sid.to_nsid(path, source=da)
    binned.sid.fit("gaussian + constant").sid.to_nsid(path, source=binned)
    return path


def test_a_result_is_found_by_verb_and_parameters(file: Path) -> None:
    da = sid.open_dataarray(file)
    found = sid.results(da)
    assert [r.step.name for r in found] == ["fit", "fit", "rebin", "fit"]
    linear = found.find("fit", model="gaussian + linear")
    assert linear is not None
    assert "slope" in linear
    assert found.find("fit", model="lorentzian") is None
    with pytest.raises(sid.errors.RegistryError, match=r"no verb 'ft'\. Did you mean 'fit'\?"):
        found.find("ft")
    assert found.find("rebin", bins={"energy": 2}).sizes["energy"] == 32


def test_the_same_analysis_has_the_same_recipe(file: Path) -> None:
    da = sid.open_dataarray(file)
    earlier = sid.results(da).find("fit", model="gaussian + linear")
    again = da.sid.fit("gaussian + linear")
    assert earlier.center.sid.provenance.id == again.center.sid.provenance.id


def test_results_of_a_whole_file_and_their_repr(file: Path) -> None:
    found = sid.results(file)
    assert len(found) == 4
    assert "fit(" in repr(found)
    assert repr(sid.results(sid.datasets.bfo_iv_path())) == "no results"


def test_an_array_of_no_file_asks_where_to_look() -> None:
    with pytest.raises(sid.FormatError, match=r"Say where to look: sid\.results\(da, 'file\.h5'\)"):
        sid.results(sid.datasets.peak_map())


def test_pairs_are_found_as_they_were_given(tmp_path):
    da = sid.datasets.peak_map()
    da.sid.to_nsid(tmp_path / "scan.h5")
    da.sid.fit("gaussian + constant", bounds={"center": (3, 7)}).sid.to_nsid(tmp_path / "scan.h5", source=da)
    found = sid.results(da, tmp_path / "scan.h5")
    assert found.find("fit", bounds={"center": (3, 7)}) is not None
    assert found.find("fit", bounds={"center": [3, 7]}) is not None
    assert found.find("fit", bounds={"center": (3, 8)}) is None


def test_an_array_of_no_file_says_so_without_a_place():
    with pytest.raises(sid.FormatError, match=r"^'intensity' was opened from no file"):
        sid.results(sid.datasets.peak_map())
