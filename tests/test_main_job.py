"""The journey of the main job on real files, as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid

FIELD = "$\\sqrt E$"


def test_open_look_analyse_save_reopen(tmp_path: Path) -> None:
    si = sid.open_dataarray(sid.datasets.bfo_iv_path())
    assert si.sid.kind == "spectral_image"
    assert dict(si.sid.dimension_types) == {"x": "spatial", "y": "spatial", FIELD: "spectral"}
    assert "spectral_image" in repr(si.sid).replace(" ", "_")
    background = si.sid.remove_background("polynomial", degree=1, fit_range=(8500, 9500))
    fit = background.signal.sid.fit("gaussian + constant", dim=FIELD)
    assert set(np.unique(fit.status)) <= {0, 1, 3}
    assert np.isnan(fit.center_stderr.values[fit.status.values != 0]).all()
    path = tmp_path / "out.h5"
    si.sid.to_nsid(path)
    place = fit.sid.to_nsid(path, source=si)
    assert place == "/Measurement_000/Channel_000/IV_BFO-Fit_000"
    again = sid.open(path)[place].to_dataset().load()
    xr.testing.assert_identical(again, fit)
    history = again.center.sid.provenance
    assert history.operations == ("open", "remove_background", "fit")
    assert history.status == "verified"
    assert history.parameters(1)["fit_range"] == (8500, 9500)
    assert history.parameters(-1)["model"] == "gaussian + constant"
    sid.testing.assert_roundtrip(si)
    sid.testing.assert_roundtrip(fit)
    # Results beside it do not hide the one signal that was measured.
    assert sid.open_dataarray(path).identical(si)


def test_lazy_from_file_to_file(tmp_path: Path) -> None:
    lazy = sid.open_dataarray(sid.datasets.bfo_iv_path(), chunks={"x": 10})
    fit = lazy.sid.fit("linear")
    sid.testing.assert_lazy(fit)
    fit.sid.to_nsid(tmp_path / "fit.h5")
    eager = sid.datasets.bfo_iv().sid.fit("linear")
    found = sid.open(tmp_path / "fit.h5")["Measurement_000/Channel_000/IV_BFO"].to_dataset()
    np.testing.assert_array_equal(found.slope, eager.slope)
    assert found.slope.sid.provenance.id == eager.slope.sid.provenance.id


def test_open_dataarray_asks_when_there_are_several(shared: Path) -> None:
    path = shared / "realdata/nsid/PTO_Funakubo0001.h5"
    with pytest.raises(sid.FormatError, match=r"holds 4 signals, name one: signal='Channel_0'"):
        sid.open_dataarray(path)
    assert sid.open_dataarray(path, "Channel_3").attrs["units"] == "degree"
    assert sid.open_dataarray(path, "PhaseRetrace").identical(sid.open_dataarray(path, "Channel_3"))
    with pytest.raises(sid.FormatError, match=r"no signal 'Chanel_3'. Did you mean 'Channel_3'"):
        sid.open_dataarray(path, "Chanel_3")


def test_fit_of_real_loops_never_raises_and_marks_failures(shared: Path) -> None:
    loops = sid.open_dataarray(shared / "realdata/nsid/BEPS_PTO_50x50.h5").isel(X=slice(8), Y=slice(8))
    fit = loops.sid.fit("gaussian + constant")
    assert np.isnan(fit.center.values[fit.status.values > 1]).all()
    assert np.isfinite(fit.center.values[fit.status.values == 0]).all()


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="option 'progress' is one of"):
        sid.set_options(progress="loud")
    with sid.set_options(record_provenance=False):
        assert not sid.datasets.peak_map().sid.rebin(energy=2).sid.provenance
    assert sid.datasets.peak_map().sid.rebin(energy=2).sid.provenance


def test_show_versions_names_the_packages() -> None:
    assert "xarray: " in sid.show_versions()
