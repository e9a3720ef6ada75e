"""What real files say of instrument and measurement, in the common words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, MissingDependencyError
from sid_xarray.schema.vocabulary import TERMS

NO_DATA = (".md", ".json")

# File: what its own header says, in the units of the common words.
SAID: dict[str, dict[str, Any]] = {
    "dm/SI-EELS.dm3": {
        "beam/energy": 200e3,  # Voltage = 200000
        "beam/convergence_angle": 0.030,
        "beam/mode": "STEM",
        "detector/collection_angle": 0.033,
        "acquisition/start_time": "2019-12-14T15:14:24",
    },
    "dm/CL_asymmetric-peak_map.dm4": {"beam/energy": 5e3, "beam/magnification": 15000.001953125},
    # The plug-in rounds positions to a micrometre and leaves them in metres.
    "emd/Velox_SI_Si.emd": {"beam/energy": 200e3, "beam/camera_length": 0.098, "instrument/model": "Talos"},
    "4dstem/test1.blo": {"beam/energy": 200e3, "beam/camera_length": 0.2},
    "tia/16_STOimage.emi": {"instrument/model": "TitanCubed D3147 S-Twin", "beam/camera_length": 0.116},
    "raman/jobinyvon_map_x3-y2.xml": {"acquisition/start_time": "2022-08-19T09:30:34"},
    "tif/FEI-Helios-Ebeam-16bits.tif": {"acquisition/start_time": "2016-06-13T17:06:40", "beam/energy": 5000.0},
    "spm/bruker/di-3.di": {"acquisition/start_time": "2014-12-15T13:33:51", "instrument/model": "Dimension Icon"},
    "spm/wsxm/top-1.top": {"acquisition/start_time": "2011-11-03T20:23:46", "probe/setpoint": -0.3727},
    "spm/nanosurf/nid-1.nid": {"acquisition/start_time": "2022-11-03T11:46:25", "acquisition/line_time": 0.5},
    "spm/igor/ForceCurve.ibw": {"acquisition/start_time": "2016-12-07T13:17:54", "probe/spring_constant": 0.018189},
    "spm/pifm/PiFMReader.zip": {"acquisition/start_time": "2017-05-24T17:29:51", "acquisition/scan_angle": 90.0},
}


def opened(path: Path) -> dict[Any, Any]:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    try:
        return signals(sid.open(path))
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", SAID)
def test_the_words_of_a_real_file(name: str, shared: Path) -> None:
    said = next(iter(opened(shared / "realdata" / name).values())).sid.metadata
    for key, value in SAID[name].items():
        assert said[key] == (pytest.approx(value) if isinstance(value, float) else value), key


@pytest.mark.filterwarnings("ignore::sid_xarray.errors.SidWarning")
def test_words_are_those_of_the_list_and_moments_are_iso(shared: Path) -> None:
    for path in sorted((shared / "realdata").rglob("*")):
        if not path.is_file() or path.suffix in NO_DATA:
            continue
        try:
            found = signals(sid.open(path))
        except (FormatError, MissingDependencyError):
            continue
        for da in found.values():
            if da.encoding.get("sid_reader") is None:
                continue  # NSID and USID have words of their own
            for section, inner in da.sid.metadata.items():
                for word, value in dict(inner).items():
                    term = TERMS[f"{section}/{word}"]
                    assert isinstance(value, term.kind), (path, term)
                    if word.endswith("_time") and term.kind is str:
                        dt.datetime.fromisoformat(value)


def test_the_source_of_an_spc_is_not_its_resolution(shared: Path, tmp_path: Path) -> None:
    path = shared / "realdata/raman/RAMAN.SPC"
    assert "instrument/model" not in next(iter(opened(path).values())).sid.metadata  # 4 is its resolution
    data = bytearray(path.read_bytes())
    data[45:54] = b"FT 9000\0\0"
    (tmp_path / "a.spc").write_bytes(bytes(data))
    assert sid.open_dataarray(tmp_path / "a.spc").sid.metadata["instrument/model"] == "FT 9000"


def test_positions_of_velox_keep_their_digits(shared: Path) -> None:
    da = next(iter(opened(shared / "realdata/emd/Velox_SI_Si.emd").values()))
    place = da.sid.original_metadata["Stage"]["Position"]
    for d in "xyz":
        assert da.sid.metadata[f"stage/{d}"] == pytest.approx(float(place[d]), rel=1e-12)


def test_axes_without_a_name_and_in_any_order(shared: Path) -> None:
    found = opened(shared / "realdata/nexus/nexus_dls_example.nxs")
    assert found["/nexustest/nexustest"].dims == ("y", "x", "d2")
    da = opened(shared / "realdata/emd/NCEM_Acquisition_18.emd")["/single"]
    assert da.dims == ("y", "x")
