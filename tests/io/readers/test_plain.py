"""Tables and bare arrays, as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import FormatError

TABLES = {
    "commas": "Energy (eV),I (nA)\n1,2\n2,3\n",
    "semicolons, decimal commas": "Energy (eV);I (nA)\n1,0;2,0\n2,0;3,0\n",
    "tabs, decimal commas": "Energy (eV)\tI (nA)\n1,0\t2\n2,0\t3\n",
    "units in a line of their own": "Energy,I\n(eV),(nA)\n1,2\n2,3\n",
    "quotes": '"Energy (eV)","I (nA)"\n"1","2"\n"2","3"\n',
    "a mark at the end": "Energy (eV),I (nA),\n1,2,\n2,3,\n",
    "remarks and a mark of the byte order": "\ufeff# somebody\n\nEnergy (eV),I (nA)\n# here\n1,2\n2,3\n",
    "lines of another system": "Energy (eV),I (nA)\r\n1,2\r\n2,3\r\n",
}


def table(folder: Path, text: str, **options: object) -> object:
    (folder / "a.csv").write_text(text, newline="")
    return sid.open_dataarray(folder / "a.csv", **options)


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_every_dress(kind: str, tmp_path: Path) -> None:
    da = table(tmp_path, TABLES[kind])
    assert (da.name, da.dims, da.attrs["units"], da["energy"].attrs["units"]) == ("I", ("energy",), "nA", "eV")
    np.testing.assert_array_equal(da["energy"].values, [1, 2])
    np.testing.assert_array_equal(da.values, [2, 3])


def test_titles_with_commas_and_cells_that_are_empty(tmp_path: Path) -> None:
    da = table(tmp_path, '"x (nm)","height, raw (nm)"\n1,2\n2,\n')
    assert da.name == "height, raw"
    np.testing.assert_array_equal(da.values, [2, np.nan])


def test_a_wide_table_without_titles_is_a_matrix(tmp_path: Path) -> None:
    """An image as other programs export it: not 31 variables over its first column."""
    text = "\n".join(",".join(str(i * j) for j in range(32)) for i in range(4))
    assert table(tmp_path, text).sizes == {"y": 4, "x": 32}
    assert len(sid.open(tmp_path / "a.csv", columns=True).data_vars) == 31
    assert table(tmp_path, "1,2\n3,4\n", columns=False).sizes == {"y": 2, "x": 2}
    assert table(tmp_path, "1," * 100_000 + "1\n").sizes == {"y": 1, "x": 100_001}
    with pytest.raises(FormatError, match="has 5000 columns, too many for one variable each"):
        table(tmp_path, f"{','.join(f'c{i}' for i in range(5000))}\n{','.join('1' * 5000)}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\nc,d\n", "holds no lines of numbers"),
        ("1,2\n3\n", "line 2 has 1 cells, line 1 has 2"),
        ("1,2\n3,four\n", "'four' in line 2, column 2 is no number"),
    ],
)
def test_tables_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        table(tmp_path, text)


@pytest.mark.parametrize("values", [np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.array([None])])
def test_an_array_of_no_numbers(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(FormatError, match="only plain numbers are read"):
        sid.open(tmp_path / "a.npy")


def test_an_archive_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.ones((3, 4)), curve=np.zeros(5))
    tree = sid.open(tmp_path / "a.npz")
    assert tree["image/image"].shape == (3, 4)
    assert tree["curve/curve"].shape == (5,)
