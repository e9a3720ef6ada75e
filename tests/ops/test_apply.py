"""Functions of users as steps."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.registry import FUNCTIONS, Registry
from sid_xarray.errors import ProvenanceError, RegistryError
from sid_xarray.testing import no_compute


@pytest.fixture
def raw():
    return sid.datasets.peak_map()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    dims = {"y": (0.5, "nm"), "energy": (0.5, "eV")}
    return [sid.dataarray(rng.normal(size=(4, 8)), dims, units="nA", name=n) for n in ("sample", "reference")]


@pytest.fixture
def functions():
    """Functions that are registered are forgotten afterwards."""
    before = dict(FUNCTIONS._places), dict(FUNCTIONS._loaded)
    yield FUNCTIONS
    FUNCTIONS._places, FUNCTIONS._loaded = before


# ---------------------------------------------------------------- functions of users


def smooth(da, width=3, *, by=None):
    """Mean of neighbours."""
    out = da.rolling(energy=width, center=True, min_periods=1).mean()
    return out if by is None else out / by


def test_a_function_is_recorded_with_its_source_and_stops_a_replay(raw):
    out = raw.sid.apply(smooth, 5, by=2.0)
    view = out.sid.provenance
    assert view.status == "verified"
    said = view.parameters()
    assert said["name"] == "smooth"
    assert said["source"].startswith("def smooth(da, width=3, *, by=None):\n")
    assert (said["args"], said["kwargs"]) == ([5], {"by": 2.0})
    assert said["module"] == smooth.__module__
    with pytest.raises(ProvenanceError, match=r"step 2 \('apply'\): called .*smooth, .*sid.register_function\('mine'"):
        view.replay(raw)
    assert raw.sid.apply(np.round, 1).sid.provenance.parameters()["version"] == np.__version__
    assert "source" not in raw.sid.apply(np.add, 1).sid.provenance.parameters()


def test_a_registered_function_replays(raw, functions, pair):
    sid.register_function("smooth", smooth)
    other = sid.datasets.peak_map(seed=1)
    for out in (raw.sid.apply("smooth", 5, by=2.0), raw.sid.apply(smooth, 5, by=2.0)):
        assert "source" not in out.sid.provenance.parameters()
        xr.testing.assert_identical(out.sid.provenance.replay(raw), out)
        assert out.sid.provenance.replay(other).equals(smooth(other, 5, by=2.0))
    a, b = pair
    two = a.sid.apply("smooth", by=b)
    xr.testing.assert_identical(two.sid.provenance.replay(sample=a, reference=b), two)


def test_a_function_of_datasets_replays(raw, functions):
    sid.register_function("ratio", lambda ds, *names: (ds[names[0]] / ds[names[1]]).rename("ratio"))
    fit = raw.sid.fit("gaussian + constant")
    out = fit.sid.apply("ratio", "center", "sigma")
    xr.testing.assert_identical(out.sid.provenance.replay(raw), out)


def test_another_function_of_the_same_name_is_noticed(raw, functions):
    sid.register_function("mine", smooth)
    view = raw.sid.apply("mine").sid.provenance
    FUNCTIONS._loaded["mine"] = lambda da: da
    with pytest.raises(ProvenanceError, match="whose source was another one then"):
        view.replay(raw)
    del FUNCTIONS._loaded["mine"], FUNCTIONS._places["mine"]
    with pytest.raises(ProvenanceError, match=r"not registered here. Type: sid.register_function\('mine'"):
        view.replay(raw)


def test_functions_may_come_with_a_package(raw, monkeypatch):
    class Point:
        name, value = "smooth_of_a_package", f"{__name__}:smooth"

    from sid_xarray.core import registry

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point] if group == "sid_xarray.functions" else [])
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    fresh = Registry("function", {}, "sid_xarray.functions")
    assert fresh["smooth_of_a_package"] is smooth


def test_apply_passes_lazy_arrays_on_and_computes_nothing(raw):
    with no_compute():
        out = raw.chunk().sid.apply(lambda da: da * 2)
    assert out.chunks is not None
    assert out.sid.provenance.operations == ("input", "apply")


def test_what_apply_refuses(raw, functions):
    with pytest.raises(ProvenanceError, match=r"returned a ndarray.*da\.copy\(data=values\)"):
        raw.sid.apply(lambda da: da.values)
    with pytest.raises(ProvenanceError, match="wants a function"):
        raw.sid.apply(3)
    with pytest.raises(RegistryError, match="no function 'smoth'"):
        raw.sid.apply("smoth")
    with pytest.raises(RegistryError, match="should be a function"):
        sid.register_function("a", 3)
    sid.register_function("mine", smooth)
    with pytest.raises(RegistryError, match="there is a function 'mine' already"):
        sid.register_function("mine", smooth)


def test_a_function_may_change_its_arrays_in_place_and_nothing_else_is_changed(raw, functions):
    def careless(da, other=None):
        da.values[0, 0, 0] = 99
        if other is not None:
            other += 1
            da *= other
        da.attrs["note"] = "seen"
        return da

    sid.register_function("careless", careless)
    given, factor = raw.copy(deep=True), raw.isel(energy=0, drop=True).rename("factor")
    kept = factor.copy(deep=True)
    for out in (given.sid.apply("careless"), given.sid.apply("careless", other=factor)):
        xr.testing.assert_identical(given, raw)
        xr.testing.assert_identical(factor, kept)
        assert "unrecorded" not in out.sid.provenance.operations[:1]
        assert out.sid.provenance.status == "verified"
    again = given.sid.apply("careless").sid.provenance.replay(raw)
    xr.testing.assert_identical(given, raw)
    assert again.equals(given.sid.apply("careless"))
    assert given.sid.apply("careless").sid.provenance.operations == ("input", "apply")
    ds = given.to_dataset(name="a")
    ds.sid.apply(lambda d: d["a"].pipe(careless))
    xr.testing.assert_identical(ds["a"].rename("intensity"), raw)


def test_a_partial_and_a_long_source(raw):
    out = raw.sid.apply(functools.partial(smooth, width=7))
    assert out.sid.provenance.parameters()["partial"] == [[], {"width": 7}]
    assert out.sid.provenance.parameters()["name"] == "smooth"
