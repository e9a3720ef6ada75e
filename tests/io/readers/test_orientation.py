"""Row 0 is the top and column 0 the left, in every format, whatever the order of the bytes; and the words are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from reader_files import FILES, PATTERN, nanoscope, pifm, sxm

import sid_xarray as sid
from sid_xarray.errors import MissingDependencyError
from sid_xarray.io.door import READERS

# File: variable, what it should be, and whether y runs up (row 0 is the largest) or down.
IMAGES = {
    "nanonis_sxm": [("Z_forward", PATTERN), ("Z_backward", PATTERN), ("Current_forward", -PATTERN), "up"],
    "nanonis_sxm up": [("Z_forward", PATTERN), ("Z_backward", PATTERN), ("Current_forward", -PATTERN), "up"],
    "nanonis_3ds": [("X", PATTERN), ("Z", 2 * PATTERN), "up"],
    "nanoscope": [("Height_forward", 5 * PATTERN), ("Phase_backward", PATTERN), "up"],
    "nanoscope 32 bit": [("Height_forward", 5 * PATTERN), ("Phase_backward", PATTERN), "up"],
    "gwy": [("Current", PATTERN), "down"],
    "gwy version 1": [("channel_0", PATTERN), "down"],
    "gsf": [("Current", PATTERN), "down"],
    "wsxm": [("Topography_forward", PATTERN), "up"],
    "anasys": [("Height 1/Height 1", PATTERN), "up"],
    "anasys axd": [("Height 1/Height 1", PATTERN), "up"],
    "ntmdt": [("Scan/Scan", 1 + PATTERN / 4), ("Probe/Probe", PATTERN / 10), "up"],
    "npy": [("a", PATTERN), "down"],
    "igor": [("HeightRetrace", PATTERN), ("PhaseRetrace", -PATTERN), "up"],
    "mrc": [("intensity", PATTERN), "down"],
}


def write(folder: Path, kind: str) -> Path:
    name, make = FILES[kind]
    path = folder / name
    path.write_bytes(make())
    return path


def opened(path: Path) -> xr.DataTree:
    try:
        return sid.open(path)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_seen_as_in_the_program_of_the_vendor(kind: str, tmp_path: Path) -> None:
    tree = opened(write(tmp_path, kind))
    *images, direction = IMAGES[kind]
    for name, wanted in images:
        da = tree[name]
        assert da.dims == ("y", "x")
        np.testing.assert_allclose(da.values, wanted, rtol=1e-6)
        assert (np.diff(da["x"].values) > 0).all()
        assert (np.diff(da["y"].values) < 0).all() == (direction == "up")
        assert str(da.sid.dimension_types["y"]) == str(da.sid.dimension_types["x"]) == "spatial"


def test_images_of_a_list_of_files(tmp_path: Path) -> None:
    for name, data in pifm().items():
        (tmp_path / name).write_bytes(data)
    tree = sid.open(tmp_path / "a.txt")
    images = tree["Topography_forward"]
    np.testing.assert_allclose(images["Topography_forward"].values, PATTERN + 5)  # with the offset that is said
    np.testing.assert_allclose(images["Topography_backward"].values, PATTERN)
    assert images["y"].values.tolist() == [0, -1, -2]
    cube = tree["hyPIR/hyPIR"]
    assert cube.dims == ("y", "x", "wavenumber")
    np.testing.assert_allclose(cube.values[..., 1], 2 * PATTERN)
    assert cube["wavenumber"].attrs["units"] == "1/cm"
    assert cube.sid.kind == "spectral_image"


def test_where_a_scan_lies(tmp_path: Path) -> None:
    """The frame is centred at (10, 20) nm, 4 × 3 nm large: pixels are cells, their centres half a step inside."""
    da = opened(write(tmp_path, "nanonis_sxm"))["Z_forward"]
    np.testing.assert_allclose(da["x"].values, np.array([8.5, 9.5, 10.5, 11.5]) * 1e-9)
    np.testing.assert_allclose(da["y"].values, np.array([21, 20, 19]) * 1e-9)
    said = da.sid.metadata["acquisition"]
    assert said["scan_angle"] == -30  # the program counts clockwise
    assert said["scan_direction"] == "down"
    assert said["line_direction"] == "forward"
    assert said["scan_center_x"] == 1e-8
    assert said["start_time"] == "2023-03-31T14:38:44"
    assert da.sid.metadata["probe/bias"] == 0.05
    assert da.sid.metadata["probe/setpoint"] == 5e-10
    assert da.sid.original_metadata["SCAN_ANGLE"] == "3.0E+1"
    assert da.sid.original_metadata[("Z-Controller", "Setpoint unit")] == "A"
    (tmp_path / "up.sxm").write_bytes(sxm(up=True))
    up = sid.open(tmp_path / "up.sxm")["Z_forward"]
    assert up.sid.metadata["acquisition/scan_direction"] == "up"
    np.testing.assert_array_equal(up["y"].values, da["y"].values)


def test_spectra(tmp_path: Path) -> None:
    grid = opened(write(tmp_path, "nanonis_3ds")).to_dataset()
    np.testing.assert_allclose(grid["Current"].values, PATTERN[..., np.newaxis] + 100 * np.arange(5))
    np.testing.assert_allclose(grid["LIX 1 omega_backward"].values[0, 0], -(1 + 100 * np.arange(5)) + 2 - 2)
    assert grid["Current"].sid.kind == "spectral_image"
    assert grid["bias"].attrs["units"] == "V"
    point = opened(write(tmp_path, "nanonis_dat")).to_dataset()
    assert point["Current"].dims == ("sweep", "bias")
    assert {"Current", "Current_average", "Current_average_backward"} == set(point.data_vars)
    assert point["Current"].sid.metadata["acquisition/feedback"] == "off"
    curves = opened(write(tmp_path, "wsxm curves")).to_dataset()
    assert curves["Amplitude_backward"].values.tolist() == [[7, 9, 11], [27, 29, 31]]
    force = opened(write(tmp_path, "nanoscope force")).to_dataset()
    assert force["Deflection Error_retract"].values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert force["z"].values[-1] == 70.0
    assert force["Deflection Error_approach"].sid.metadata["probe/spring_constant"] == 0.5
    assert force["Deflection Error_approach"].sid.metadata["probe/sensitivity"] == pytest.approx(50e-9)
    dots = opened(write(tmp_path, "ntmdt"))["frame_2_forward_3"].to_dataset()
    assert dots["Iprobe_forward"].values.tolist() == [[0, 1, 2], [10, 11, 12]]
    assert dots["x_position"].values.tolist() == [1.5, 3.5]
    assert dots["Iprobe_forward"].sid.kind == "point_cloud"
    spectrum = opened(write(tmp_path, "anasys"))["Spectrum 1"].to_dataset()
    assert spectrum["wavenumber"].values.tolist() == [900, 910, 920, 930, 940]
    table = sid.open_dataarray(write(tmp_path, "csv"))
    assert (table.name, table.attrs["units"], table["bias"].attrs["units"]) == ("Current", "nA", "V")


def test_32_bits_whatever_the_header_says(tmp_path: Path) -> None:
    """Since version 9.2 values have 32 bits; the header goes on saying 2 bytes, and the scale counts by it."""
    data = nanoscope(bits=32).replace(b"\\Bytes/pixel: 4", b"\\Bytes/pixel: 2")
    (tmp_path / "a.spm").write_bytes(data)
    da = sid.open(tmp_path / "a.spm")["Height_forward"]
    np.testing.assert_allclose(da.values, 5 * PATTERN * 2**16)


@pytest.mark.parametrize("kind", FILES)
def test_a_reader_knows_its_files_by_their_content(kind: str, tmp_path: Path) -> None:
    """Without a suffix, or with a wrong one; but for those that have no beginning of their own."""
    path = write(tmp_path, kind)
    name = kind.split()[0]
    if name in ("csv", "igor", "mrc") or not READERS[name].is_installed:
        pytest.skip("told by the suffix")
    wrong = path.rename(path.with_suffix(".dm3"))
    tree = sid.open(wrong)
    assert tree.attrs["sid_reader"] == name


@pytest.mark.parametrize("kind", FILES)
def test_every_array_conforms(kind: str, tmp_path: Path) -> None:
    tree = opened(write(tmp_path, kind))
    for node in tree.subtree:
        for da in node.data_vars.values():
            assert da.attrs["sid_version"]
            assert not da.sid.check(), da.sid.check()
            assert da.sid.provenance.status in ("verified", "unknown")
            assert da.sid.provenance.roots[0].op == "sid:open@1"
            assert da.encoding["source"].endswith(FILES[kind][0])
