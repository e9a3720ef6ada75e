"""Pictures as files."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.viz.draw import plot
from sid_xarray.viz.save import save

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> $\\bad{ & \x1b[31m"


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".html", b"<!DOCTYPE html>")]
)
def test_formats(tmp_path, arrays, suffix, start):
    path = save(arrays("image"), tmp_path / f"picture{suffix}", dpi=60)
    assert path.read_bytes().lstrip().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [f"picture{suffix}"]


def test_png_has_the_resolution_of_print(tmp_path, arrays):
    small = save(arrays("image"), tmp_path / "small.png", dpi=75).read_bytes()
    large = save(arrays("image"), tmp_path / "large.png").read_bytes()
    widths = [int.from_bytes(data[16:20]) for data in (small, large)]
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.03)


def test_html_needs_nothing_from_outside(tmp_path, arrays, fit):
    for name, obj in {"a": arrays("spectral_image"), "table": fit.isel(y=0, x=1)}.items():
        text = save(obj, tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert not re.search(r"<(script|link)[^>]*\b(src|href)=", text)
        assert "BEGIN bokeh.min.js" in text
        assert ("BEGIN bokeh-tables.min.js" in text) == (name == "table")


def test_elements_and_arrays(hv, tmp_path, arrays, fit):
    save(plot(arrays("spectrum")), tmp_path / "a.png", dpi=50)
    save(fit, str(tmp_path / "b.png"), dpi=50, cols=2)
    save(hv.Layout([hv.Curve([1, 2]), hv.Curve([2, 1])]), tmp_path / "c.html")
    with pytest.raises(TypeError, match="options \\['cols'\\] are for arrays"):
        save(plot(fit), tmp_path / "d.png", cols=2)


def test_what_cannot_be_written(tmp_path, arrays):
    with pytest.raises(ValueError, match=r"should be one of .png, .svg, .pdf, .html"):
        save(arrays("image"), tmp_path / "a.bmp")
    with pytest.raises(ValueError, match="png is written by matplotlib, not by 'bokeh'"):
        save(arrays("image"), tmp_path / "a.png", backend="bokeh")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path, arrays, monkeypatch):
    import matplotlib.figure

    path = tmp_path / "a.png"
    path.write_text("old")

    def full(self, target, **kwargs):
        target.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        save(arrays("image"), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.filterwarnings("ignore:units")
@pytest.mark.parametrize("suffix", [".png", ".html", ".svg"])
def test_hostile_words(tmp_path, suffix):
    da = dataarray(
        np.ones((3, 4)), dims={HOSTILE: (1, HOSTILE), "x": 1}, units=HOSTILE, quantity=HOSTILE, title=HOSTILE
    )
    path = save(da, tmp_path / f"a{suffix}", dpi=50, title=HOSTILE if suffix == ".html" else None)
    if suffix == ".html":
        text = path.read_text(encoding="utf-8")
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_figures_are_closed(tmp_path, arrays):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    save(arrays("image"), tmp_path / "a.png", dpi=50)
    assert plt.get_fignums() == before


def test_what_and_where_are_not_mixed_up(tmp_path):
    with pytest.raises(TypeError, match=r"save\(what, where\) writes an array or a picture of holoviews, got int"):
        save(3, tmp_path / "a.png")
    with pytest.raises(TypeError, match=r"save\(what, where\): where is the name of a file, got Dataset"):
        save("a.png", xr.Dataset())
