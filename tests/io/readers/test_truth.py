"""Real files against what is known of them; where other readers are known to err, the reason stands here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from reader_truth import fits, view_that_fits

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, MissingDependencyError

SAME2, SAME3 = ((0, 1), (1, 1)), ((0, 1, 2), (1, 1, 1))
TURNED = ((1, 0), (1, 1))  # the peer gives (x, y)
LAST = ((2, 0, 1), (1, 1, 1))  # the peer has the spectral axis first
ONE = ((0,), (1,))

# File: for every variable the number of the known signal, the view of it that the peer gave, and our units.
FILES: dict[str, dict[str, tuple[int, Any, str]]] = {
    "spm/nanonis/STM_generic_4_5.sxm": {
        "Z_forward": (1, SAME2, "m"),
        # The peer gives backward lines as they are stored, from right to left.
        "Z_backward": (2, ((0, 1), (1, -1)), "m"),
        "Current_forward": (3, SAME2, "A"),
        "Current_backward": (4, ((0, 1), (1, -1)), "A"),
    },
    # Grids are stored from the bottom; the peer keeps that.
    "spm/nanonis/STS_grid_lockin.3ds": {
        name: (i, ((0, 1, 2), (-1, 1, 1)), unit)
        for i, (name, unit) in enumerate((("Current", "A"), ("LockinX", "V"), ("LockinY", "V"), ("Bias_m", "V")))
    },
    "spm/nanonis/BiasSpectroscopy.dat": {
        "Current": (1, ONE, "A"),
        "Vert. Deflection": (2, ONE, "V"),
        "Current_backward": (7, ONE, "A"),
        "Current_filtered": (13, ONE, "A"),
        "Current_backward_filtered": (19, ONE, "A"),
    },
    # The peer calls the last two V; the header says mV and º. Files start at the bottom, which the peer keeps.
    "spm/bruker/di-3.di": {
        "Height Sensor_forward": (0, ((0, 1), (-1, 1)), "nm"),
        "Amplitude Error_backward": (1, ((0, 1), (-1, 1)), "mV"),
        "Phase_backward": (2, ((0, 1), (-1, 1)), "degree"),
        "Height_backward": (3, ((0, 1), (-1, 1)), "nm"),
    },
    "spm/gwy/PTO_110_Virgin0001.gwy": {
        name: (i, SAME2, unit)
        for i, (name, unit) in enumerate(
            (("HeightRetrace", "m"), ("AmplitudeRetrace", "m"), ("DeflectionRetrace", "m"), ("PhaseRetrace", "degree"))
        )
    },
    "spm/gwy/chip.gsf": {"Topography": (0, SAME2, "m")},
    "spm/wsxm/top-1.top": {"Topography_forward": (0, TURNED, "nm")},
    # The peer gives "m" and leaves out the prefix "n" that stands beside it in the file.
    "spm/anasys/TappingModeimage.axz": {"Height 1": (0, SAME2, "nm"), "Amplitude 1": (1, SAME2, "V")},
    "spm/anasys/PMMA_spectra_1.axz": {
        f"Spectrum {n + 1}/{name}": (3 * n + i, ONE, unit)
        for n in range(2)
        for i, (name, unit) in enumerate((("IR-Amplitude", "1"), ("Frequency", "kHz"), ("IR-Peak", "1")))
    },
    "spm/ntmdt/test_mdt.mdt": {"1F:Iprobe/1F:Iprobe": (0, TURNED, "nA")},
    "spm/igor/STM_I_Backward_Down.ibw": {"STM_I_Backward_Down": (0, ((1, 0), (1, -1)), "A")},
    # One unit for all channels in the peer, since it gives that of the lateral axes.
    "spm/mi/mi-1.mi": {
        "Topography": (0, TURNED, "um"),
        "Deflection": (1, TURNED, "V"),
        "Friction#1": (2, TURNED, "V"),
        "Friction#2": (3, TURNED, "V"),
    },
    "spm/nanosurf/nid-1.nid": {
        f"{name}_{way}": (i, TURNED, "m")
        for i, (way, name) in enumerate(
            (("forward", "Z-Axis"), ("forward", "Z-AxisSensor"), ("backward", "Z-Axis"), ("backward", "Z-AxisSensor"))
        )
    },
    "spm/rhk/topo_graphite.sm4": {
        f"{name}_{way}": (2 * i + j, SAME2, unit)
        for i, (name, unit) in enumerate((("LIA Current", "A"), ("Current", "A"), ("Topography", "m")))
        for j, way in enumerate(("backward", "forward"))
    },
    "spm/rhk/dIdV_stripes.sm4": {"LIA Current": (0, TURNED, "A"), "Current": (1, TURNED, "A")},
    "bepfm/bepfm_test_data.npy": {"bepfm_test_data": (0, SAME3, "1")},
    "dm/SI-EELS.dm3": {"06-EELS Spectrum Image": (0, LAST, "count")},
    "dm/EELS_STO.dm3": {"01-EELS Acquire_STO": (0, ONE, "count")},
    "dm/EELS_STO.dm4": {"EELS_STO": (0, ONE, "count")},
    "dm/SI-HAADF.dm3": {"06-HAADF": (0, SAME2, "1")},
    "dm/CL_asymmetric-peak_map.dm4": {"880_30K_map2a": (0, LAST, "count")},
    "dm/dmTest_3D_int16_64,65,66.dm3": {"image3D_int16_64,65,66": (0, SAME3, "e")},
    "dm/Diffraction_of_SI.dm4": {"(10) Diffraction of Diffraction SI": (0, SAME2, "count")},
    "emd/Velox_SI_Si.emd": {"HAADF/HAADF": (0, SAME2, "1"), "EDS/EDS": (1, SAME3, "1")},
    "emd/Velox_HAADF.emd": {"HAADF": (0, SAME2, "1")},
    "emd/Velox_EELS_EDS.emd": {
        "EDS/EDS": (0, ONE, "1"),
        "Fe-EELS/Fe-EELS": (6, SAME2, "1"),
        "Co/Co": (9, SAME2, "1"),
        "DF-S/DF-S": (10, SAME2, "1"),
        "EELS/EELS": (14, SAME3, "1"),
    },
    # The file keeps columns, the peer too.
    "emd/NCEM_Acquisition_18.emd": {"single": (0, TURNED, "1")},
    "bcf/bcf_v2_50x50px.bcf": {"Ch 1/Ch 1": (0, SAME2, "1"), "EDX/EDX": (2, SAME3, "count")},
    "tia/16_STOimage_1.ser": {"signal": (0, SAME2, "1")},
    "mrc/HAADFscan.mrc": {"intensity": (0, SAME2, "1")},
    "mrc/temp.mrc": {"intensity": (0, SAME3, "1")},
    "tif/FEI-Helios-Ebeam-16bits.tif": {"image": (0, SAME2, "1")},
    "hspy/LSMO_linescan.hspy": {"EELS Spectrum Image (high-loss)": (0, SAME2, "1")},
    "sur/SE_Scan_64_64.sur": {"intensity": (0, SAME2, "1")},
    # The peer turns the spectral axis round so that it rises.
    "raman/renishaw_test_map.wdf": {"intensity": (0, ((0, 1, 2), (1, 1, -1)), "count")},
    "raman/line.wdf": {"intensity": (0, ((0, 1), (1, -1)), "count")},
    "raman/jobinyvon_map_x3-y2.xml": {"jobinyvon_test_map_x3-y2": (0, SAME3, "count/s")},
}
# Axis: first and last position and units.
AXES: dict[str, dict[str, tuple[float, float, str]]] = {
    # The peer numbers pixels and calls them nm. Header: centre (84.51877, 632.9924) nm, 5 nm wide; the first point
    # lies in the corner, as the positions say that the file keeps.
    "spm/nanonis/STS_grid_lockin.3ds": {
        "x": (82.01877e-9, 86.852103e-9, "m"),
        "y": (635.325733e-9, 630.4924e-9, "m"),
        "bias": (-0.22, 0.22, "V"),
    },
    "spm/nanonis/STM_generic_4_5.sxm": {"x": (-530.0172875e-9, -526.0329125e-9, "m")},
    "spm/bruker/di-3.di": {"x": (10 / 512, 10 - 10 / 512, "um"), "y": (10 - 10 / 512, 10 / 512, "um")},
    # The peer copies the units of the data ("deg" for the phase) on the axes.
    "spm/igor/P0089OP0027.ibw": {
        "x": (0, 255 * 7.843137254901961e-09, "m"),
        "y": (255 * 7.843137254901961e-09, 0, "m"),
    },
    "spm/rhk/dIdV_stripes.sm4": {"bias": (0.6, -0.6, "V")},
    "spm/nanosurf/nid-1.nid": {"x": (2e-5 / 512, 2e-5 - 2e-5 / 512, "m")},
    "dm/SI-EELS.dm3": {"energy_loss": (350, 350 + 1023 * 0.5, "eV")},
    "dm/CL_asymmetric-peak_map.dm4": {
        "wavelength": (530.7898101451792, 530.7898101451792 + 333 * 0.819013774394989, "nm")
    },
    "emd/NCEM_Acquisition_18.emd": {"x": (0, 1023 * 0.012246524915099144, "nm")},
    "mrc/HAADFscan.mrc": {"x": (0, 85.18696975708008, "nm")},
    "tif/FEI-Helios-Ebeam-16bits.tif": {"x": (0, 0.0017232964, "m"), "y": (0, 0.001585028, "m")},
    "raman/line.wdf": {"distance": (0, 58.5, "um"), "raman_shift": (2787.509765625, 1226.267578125, "1/cm")},
    "raman/renishaw_test_map.wdf": {"x": (-100, 100, "um"), "y": (-100, 100, "um")},
    "ms/Example_Continuous.imzML": {"mz": (100.08333587646484, 799.9166870117188, "u")},
}


@pytest.fixture(scope="module")
def known(shared: Path) -> dict[str, Any]:
    return dict(json.loads((shared / "realdata" / "truth.json").read_text()))


@pytest.fixture
def opened(shared: Path) -> Any:
    trees: list[xr.DataTree] = []

    def opener(name: str) -> dict[str, xr.DataArray]:
        path = shared / "realdata" / name
        if not path.exists():
            pytest.skip(f"{name} is not here")
        try:
            trees.append(sid.open(path))
        except MissingDependencyError as error:
            pytest.skip(str(error))
        return {key.lstrip("/"): da for key, da in signals(trees[-1]).items()}

    yield opener
    for tree in trees:
        tree.close()


@pytest.mark.parametrize("name", FILES)
def test_values_units_and_orientation(name: str, opened: Any, known: dict[str, Any]) -> None:
    found = opened(name)
    for key, (number, how, units) in FILES[name].items():
        da = found[key]
        assert da.attrs["units"] == units, key
        assert view_that_fits(da.values, known[name]["signals"][number]) == how, key


@pytest.mark.parametrize("name", AXES)
def test_axes(name: str, opened: Any) -> None:
    found = opened(name)
    for dim, (first, last, units) in AXES[name].items():
        da = next(da for da in found.values() if dim in da.dims)
        assert da[dim].attrs["units"] == units
        np.testing.assert_allclose(da[dim].values[[0, -1]], [first, last], rtol=1e-5, atol=1e-13)


def test_every_column_of_a_spectroscopy_is_there(opened: Any, known: dict[str, Any]) -> None:
    """z.dat: nine quantities, forward and backward, three sweeps and their average."""
    found = opened("spm/nanonis/z.dat")
    columns = {c["column"]: c for c in known["spm/nanonis/z.dat"]["signals"]}
    for quantity, unit in (("Current", "A"), ("Frequency Shift", "Hz"), ("LIX 1 omega", "A")):
        assert found[quantity].dims == ("sweep", "z")
        assert found[quantity].attrs["units"] == unit
        for i in range(3):
            assert fits(found[quantity].values[i], columns[f"{quantity} [{i + 1:05d}] ({unit})"])
            backward = columns[f"{quantity} [{i + 1:05d}] [bwd] ({unit})"]
            assert fits(found[f"{quantity}_backward"].values[i], backward)
        assert fits(found[f"{quantity}_average"].values, columns[f"{quantity} [AVG] ({unit})"])
    assert fits(found["Current"]["z"].values, columns["Z rel (m)"])


def test_positions_of_a_grid_are_those_that_the_file_keeps(opened: Any) -> None:
    """The grid is turned by 45 degrees: its own axes, turned about the centre, give the positions of the points."""
    found = opened("spm/nanonis/STS_grid_lockin.3ds")
    said = found["Current"].sid.metadata["acquisition"]
    angle = np.deg2rad(said["scan_angle"])
    x, y = (found["Current"][d].values - said[f"scan_center_{d}"] for d in "xy")
    across, along = np.meshgrid(x, y)
    lab = across * np.cos(angle) - along * np.sin(angle), across * np.sin(angle) + along * np.cos(angle)
    for d, positions in zip("xy", lab, strict=True):
        measured = found[d.upper()].values.astype(float)
        np.testing.assert_allclose(positions + said[f"scan_center_{d}"], measured, atol=0.02e-9)


def test_counts_and_energy_of_velox(opened: Any) -> None:
    """One peer loses five counts of six and shifts the energy: the sum and the place of the strobe peak are right."""
    da = opened("emd/Velox_SI_Si.emd")["EDS/EDS"]
    energy = da["energy"]
    assert energy.attrs["units"] == "keV"
    np.testing.assert_allclose([energy[0], energy[-1]], [-1.0, 39.95])
    assert int(da.sum()) == 6564
    assert abs(float(energy[int(da.sum(("y", "x")).argmax("energy"))])) < 1e-9


def test_layers_of_an_igor_image_have_their_own_units_and_names(opened: Any, known: dict[str, Any]) -> None:
    """igor2 glues what follows the end of a label on it (``PhaseRetracerace``); all layers share one unit there."""
    found = opened("spm/igor/P0089OP0027.ibw")
    units = {name: da.attrs["units"] for name, da in found.items()}
    assert units == {
        "HeightRetrace": "m", "AmplitudeRetrace": "m", "DeflectionRetrace": "m", "PhaseRetrace": "degree",
        "UserIn0Retrace": "V",
    }  # fmt: skip
    channels = known["spm/igor/P0089OP0027.ibw"]["signals"][0]["channels"]
    for da, channel in zip(found.values(), channels, strict=True):
        assert view_that_fits(da.values, channel) == ((1, 0), (1, -1))


def test_force_curves(opened: Any, known: dict[str, Any]) -> None:
    raw = known["spm/bruker/ForceCurve_Sapphire_TAP525.001"]["signals"]
    found = opened("spm/bruker/ForceCurve_Sapphire_TAP525.001")
    # The peer gives the numbers of the converter and calls them nm: 0.375 mV times 72.76923 nm/V each.
    for number, way in enumerate(("approach", "retract")):
        da = found[f"Deflection Error_{way}"]
        assert da.attrs["units"] == "nm"
        assert fits(da.values, raw[number], factor=1 / (0.000375 * 72.76923))
    np.testing.assert_allclose(float(found["Deflection Error_approach"][0]), 14.65, rtol=1e-3)
    np.testing.assert_allclose(float(da["z"][-1]), 16.72241 * 35.88 * 511 / 512, rtol=1e-6)
    igor = opened("spm/igor/ForceCurve.ibw")
    assert {name: da.attrs["units"] for name, da in igor.items()} == {"Raw": "m", "Defl": "m", "ZSnsr": "m"}
    stack = np.stack([da.values for da in igor.values()], axis=-1)
    assert fits(stack, known["spm/igor/ForceCurve.ibw"]["signals"][0])
    jpk = opened("spm/jpk/spot3-0192.jpk-force")
    facts = known["spm/jpk/spot3-0192.jpk-force"]["signals"][0]
    for name, unit in (("force", "N"), ("height (measured)", "m"), ("height (piezo)", "m"), ("segment", "1")):
        assert jpk[name].attrs["units"] == unit
        assert fits(jpk[name].values, facts[name])
    assert fits(jpk["force"]["time"].values, facts["time"])


def test_every_wave_of_an_experiment(opened: Any, known: dict[str, Any]) -> None:
    found = opened("spm/igor/Fig7a.pxp")
    waves = known["spm/igor/Fig7a.pxp"]["signals"]
    assert len(found) == len(waves)
    for wave in waves:
        name = wave["path"].rpartition("/")[2]
        assert any(key.endswith(f"/{name}") and fits(da.values, wave) for key, da in found.items()), name


def test_points_of_a_spectroscopy(opened: Any, known: dict[str, Any]) -> None:
    """The peer strings the six runs at a point together."""
    found = opened("spm/ntmdt/test_mdt.mdt")
    runs = [da for way in ("backward", "forward") for key, da in found.items() if key.startswith(f"frame_2_{way}")]
    assert len(runs) == 6
    assert runs[0].sizes == {"point": 25, "bias": 587}
    assert runs[0]["x_position"].attrs["units"] == "um"
    whole = np.concatenate([da.values[0] for da in runs])[:, np.newaxis]
    assert fits(whole, known["spm/ntmdt/test_mdt.mdt"]["signals"][1]["first"])


def test_a_format_that_no_other_reader_reads(opened: Any) -> None:
    """Gwyddion 1 and WSxM curves: compared with the same image in another format, and with the header."""
    old, new = opened("spm/gwy/chip_GWYO.gwy")["channel_0"], opened("spm/gwy/chip.gsf")["Topography"]
    np.testing.assert_allclose(old.values, new.values, rtol=0.05)
    # Version 1 writes "nm" and "um" beside numbers in metres.
    assert (old.attrs["units"], old["x"].attrs["units"]) == ("m", "m")
    np.testing.assert_allclose(old["x"].values, new["x"].values)
    curves = opened("spm/wsxm/spectrocurve_0001_Amplitude.f.curves")
    assert curves["Amplitude_forward"].sizes == {"curve": 5, "point": 512}
    assert curves["Z_forward"].attrs["units"] == "nm"
    np.testing.assert_allclose(curves["Z_forward"].values[:, [0, -1]], np.tile([-10.0, 15.0], (5, 1)))


def test_spectra_and_masses(opened: Any, known: dict[str, Any]) -> None:
    da = opened("raman/RAMAN.SPC")["intensity"]
    assert fits(da.values, known["raman/RAMAN.SPC"]["signals"][0])
    np.testing.assert_allclose(da["raman_shift"].values[[0, -1]], [3996.8232421875, -3005.9560546875005])
    da = opened("ms/Example_Continuous.imzML")["intensity"]
    assert da.sizes == {"y": 3, "x": 3, "mz": 8399}
    assert fits(da.values[0, 0], known["ms/Example_Continuous.imzML"]["signals"][0]["first_spectrum"])


@pytest.mark.parametrize("name", ["raman/renishaw_test_map.wdf", "raman/line.wdf"])
def test_the_white_light_picture_of_a_map(name: str, shared: Path, known: dict[str, Any]) -> None:
    pytest.importorskip("renishawWiRE")
    pytest.importorskip("PIL")
    da = sid.open_dataarray(shared / "realdata" / name, "white_light", picture=True)
    fact = known[name]["signals"][1]
    assert da.sizes == {"y": fact["shape"][0], "x": fact["shape"][1], "channel": len(fact["fields"])}
    # The peer says y stands second in the array, and x first: their sizes tell otherwise.
    for said in fact["axes_in_list_order"]:
        found = da[said["name"]]
        np.testing.assert_allclose(found.values[[0, -1]], [said["first"], said["last"]])
        assert found.attrs["units"] == "um"
    assert da.dtype == np.uint8
    assert da.values.std() > 0
    spectra = sid.open_dataarray(shared / "realdata" / name)
    assert spectra.name == "intensity"


def test_every_column_of_a_bias_spectroscopy(opened: Any, known: dict[str, Any]) -> None:
    found = opened("spm/nanonis/BiasSpectroscopy.dat")
    columns = known["spm/nanonis/BiasSpectroscopy.dat"]["signals"]
    assert len(found) == len(columns) - 1  # the first is the axis
    for column in columns[1:]:
        assert sum(fits(da.values, column) for da in found.values()) >= 1, column["column"]


def test_all_signals_of_velox(opened: Any, known: dict[str, Any]) -> None:
    found = opened("emd/Velox_EELS_EDS.emd")
    facts = known["emd/Velox_EELS_EDS.emd"]["signals"]
    assert sorted(da.shape for da in found.values()) == sorted(tuple(one["shape"]) for one in facts)
    for number, fact in enumerate(facts[:-1]):  # the last one has 67 million values
        same = [key for key, da in found.items() if da.attrs["sid_title"] == fact["title"] and da.size < 2**24]
        assert any(fits(found[key].values, fact) for key in same), number


def test_four_dimensions(opened: Any, known: dict[str, Any]) -> None:
    for name, key in (("4dstem/test1.blo", "signal"), ("4dstem/001_4x2_6bit.mib", "signal")):
        da = opened(name)[key]
        assert da.dims == ("y", "x", "ky", "kx")
        assert da.sid.kind == "image_4d"
        assert fits(da.values, known[name]["signals"][0])


def test_backward_lines_lie_on_the_forward_grid(opened: Any) -> None:
    """What was measured from right to left shows the same features in the same places, not their mirror image."""
    for name, key in (
        ("spm/nanonis/STM_generic_4_5.sxm", "Z"),
        ("spm/pifm/PiFMReader.zip", "PiFM/MAPIold_0012/Topography"),
        ("spm/nanosurf/nid-1.nid", "Z-Axis"),
        ("spm/rhk/topo_graphite.sm4", "Topography"),
    ):
        found = opened(name)
        there, back = (found[f"{key}_{way}"].values.astype(float) for way in ("forward", "backward"))
        there, back = (v - v.mean(axis=1, keepdims=True) for v in (there, back))
        same = np.corrcoef(there.ravel(), back.ravel())[0, 1]
        mirrored = np.corrcoef(there.ravel(), back[:, ::-1].ravel())[0, 1]
        assert same > 0.3 > mirrored


def test_files_that_are_not_read_say_why(shared: Path) -> None:
    with pytest.raises(FormatError, match="none of them NSID or USID"):
        sid.open(shared / "realdata/4dstem/nickel_ebsd_small_3x3x60x60.h5")
    for name in ("4dstem/001_4x2_6bit.hdr", "ms/Example_Continuous.ibd"):
        with pytest.raises(FormatError, match="no reader knows it"):
            sid.open(shared / "realdata" / name)
