"""PROV-JSON is what the prov package reads, and says what the history says."""

from __future__ import annotations

import json

import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.history import records

model = pytest.importorskip("prov.model")


@pytest.fixture
def fit() -> xr.Dataset:
    si = sid.datasets.bfo_iv()
    return si.sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")


def document(obj):
    return model.ProvDocument.deserialize(content=obj.sid.provenance.to_prov_json(), format="json")


def test_it_comes_back_equal(fit):
    found = document(fit)
    again = model.ProvDocument.deserialize(content=found.serialize(format="json"), format="json")
    assert again == found


def test_every_step_is_there(fit):
    found = document(fit)
    history = fit.sid.provenance
    of = {kind: list(found.get_records(kind)) for kind in (model.ProvEntity, model.ProvActivity, model.ProvAgent)}
    assert len(of[model.ProvEntity]) == len(history) + 1  # and the file
    assert len(of[model.ProvActivity]) == len(history.calls)
    assert {str(a.label) for a in of[model.ProvAgent]} >= {f"xarray {xr.__version__}"}
    made = {str(r.args[0]) for r in found.get_records(model.ProvGeneration)}
    assert made == {f"sid:array_{s.id}" for s in history}


def test_all_names_are_declared(fit):
    other = sid.datasets.peak_map().sid.fit("gaussian + constant").center
    gap = (fit.slope.isel(y=slice(6), x=slice(8)).drop_vars(["x", "y"]) * 2).sid.rebin(x=2)
    joined = gap - other.drop_vars(["x", "y"]).sid.rebin(x=2)
    plain = json.loads(joined.sid.provenance.to_prov_json())
    known = {k for kind in ("entity", "activity", "agent") for k in plain[kind]}
    for kind in ("used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith"):
        for relation in plain[kind].values():
            ends = {v for k, v in relation.items() if k not in ("prov:time", "prov:role")}
            assert ends <= known


def test_gaps_are_said(fit):
    out = (fit.slope * 2).sid.rebin(x=2)
    kinds = {str(t) for a in document(out).get_records(model.ProvActivity) for t in a.get_asserted_types()}
    assert "sid:Unrecorded" in kinds


def test_strange_ids_are_still_names():
    steps = [{"id": "a b:c/é", "op": "sid:x@1"}, {"id": "<b>", "op": "sid:y@1", "in": [["in", "a b:c/é"]]}]
    text = records.dumps({"v": 1, "head": "<b>", "steps": steps})
    da = sid.datasets.peak_map().drop_attrs().assign_attrs({"sid_prov_0": text})
    assert len(list(document(da).get_records(model.ProvEntity))) == 2


def test_it_is_written(fit, tmp_path):
    text = fit.sid.provenance.to_prov_json(tmp_path / "history.prov.json")
    assert json.loads((tmp_path / "history.prov.json").read_text()) == json.loads(text)


def test_an_empty_history_is_an_empty_document():
    found = model.ProvDocument.deserialize(content=xr.DataArray(1.0).sid.provenance.to_prov_json(), format="json")
    assert not found.get_records()
