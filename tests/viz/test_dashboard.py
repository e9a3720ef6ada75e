"""A whole file at once, without a browser."""

from __future__ import annotations

import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import DimensionError

pn = pytest.importorskip("panel")


@pytest.fixture
def tree() -> xr.DataTree:
    da = sid.datasets.peak_map()
    words = xr.DataArray(["a", "b"], dims="n", name="words")
    raw = da.sid.with_metadata(instrument={"name": "<b>a microscope</b>", "voltage": 80})
    return xr.DataTree.from_dict(
        {
            "/raw": raw.to_dataset(name="IV"),
            "/mean": da.mean(("y", "x")).to_dataset(name="curve"),
            "/w": words.to_dataset(),
        }
    )


def tabs(page):
    return page.select(pn.Tabs)[0]


def test_signals_can_be_chosen_and_each_has_its_pages(tree):
    page = sid.dashboard(tree)
    choice = page.select(pn.widgets.Select)[0]
    assert list(choice.options.values()) == ["/raw/IV", "/mean/curve"]  # text has no picture
    assert choice.value == "/raw/IV"
    assert tabs(page)._names == ["data", "what it is", "metadata", "history"]
    choice.value = "/mean/curve"
    assert tabs(page)._names[0] == "data"
    page.get_root()


def test_the_first_signal_by_name_or_path(tree):
    assert sid.dashboard(tree, signal="curve").select(pn.widgets.Select)[0].value == "/mean/curve"
    with pytest.raises(DimensionError, match="no array 'nothing'"):
        sid.dashboard(tree, signal="nothing")
    with pytest.raises(DimensionError, match="no array to show"):
        sid.dashboard(xr.DataTree())


def test_a_file_an_array_and_a_dataset(tree, tmp_path):
    fit = sid.datasets.peak_map().sid.fit("gaussian + constant")
    fit.sid.to_nsid(tmp_path / "a.h5")
    page = sid.dashboard(tmp_path / "a.h5")
    assert "history" in tabs(page)._names
    assert tabs(sid.dashboard(fit))._names[0] == "data"
    assert tabs(sid.dashboard(fit["center"]))._names[0] == "data"


def test_what_goes_wrong_is_on_the_page():
    from sid_xarray.viz.dashboard import _guarded

    def make():
        raise DimensionError("no <such> thing")

    assert "no &lt;such&gt; thing" in _guarded(make)().object
