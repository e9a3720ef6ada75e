"""Cards: everything at a glance, nothing loaded, nothing executed."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.create import dataarray
from sid_xarray.core.provenance import stamp
from sid_xarray.viz._labels import comfortable, number, plain, range_text, size_text
from sid_xarray.viz._thumbnail import png, thumbnail
from sid_xarray.viz.card import html, text

HOSTILE = "<script>alert('x')</script>\x1b[2J\r\n\u202e\"><img src=x onerror=alert(1)>"


def test_import_is_light():
    code = (
        "import sys, sid_xarray.viz.card, sid_xarray.viz.views\n"
        "heavy = {'holoviews', 'bokeh', 'panel', 'matplotlib', 'hvplot', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_array_at_a_glance():
    da = dataarray(
        np.zeros((11, 6), "float32"),
        dims={"y": (0.5e-9, "m"), "bias": (np.linspace(0, 1, 6) ** 2, "V")},
        units="nA",
        quantity="current",
        title="a scan",
        modality="STS",
        source="nanonis",
        metadata={"tip": {"material": "Pt", "radius": 3}, "user": "me"},
    )
    shown = text(stamp(da, "level", da)).splitlines()
    assert shown[0] == "<sid line_profiles>  current (nA)  ·  float32  ·  11 × 6  ·  264 B in memory"
    assert [line.split() for line in shown[1:4]] == [
        ["dim", "type", "size", "range", "step"],
        ["y", "spatial", "11", "0", "…", "5", "nm", "500", "pm"],
        ["bias", "spectral", "6", "0", "…", "1", "V", "uneven"],
    ] or shown[2].split()[-2:] == ["0.5", "nm"]
    rest = dict(line.split(maxsplit=1) for line in shown[4:])
    assert rest == {
        "modality": "STS",
        "source": "nanonis",
        "title": "a scan",
        "metadata": "3 entries",
        "history": "input → level (verified)",
    }


def test_guessed_types_are_marked():
    da = xr.DataArray(np.zeros((2, 3)), dims=("x", "what"), coords={"what": ("what", [0.0, 1, 2], {"units": "eV"})})
    shown = text(da)
    assert "spatial *" in shown
    assert "guessed: x from its name, what from its units" in shown
    assert "no coordinate" in shown
    assert "guessed" not in text(da.sid.adopt())


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([0.0, 1.0, 0.0], "0 … 1 V  non-monotonic"),
        ([0.0, 1.0, 3.0], "0 … 3 V  uneven"),
        ([2.0, 1.0, 0.0], "2 … 0 V  −1 V"),
        ([0.0, 1e-3, 2e-3], "0 … 2 mV  1 mV"),
        ([0.0, np.nan, 1.0], "not finite"),
    ],
)
def test_ranges(positions, said):
    da = dataarray(np.zeros(3), dims={"bias": (np.array(positions), "V")})
    (line,) = [line for line in text(da).splitlines() if line.startswith("  bias")]
    assert re.sub(r"\s{2,}", "  ", line).endswith(said)


def test_lazy_arrays_stay_lazy(arrays, counted):
    da, backend = counted(arrays("image"))
    for show in (text, html):
        assert "1.5 KiB lazy" in show(da)
    assert backend.reads == []
    assert "<img" not in html(da)
    assert "lazy (dask)" in text(arrays("image").chunk())
    assert "<img" in html(arrays("image"))


def test_datasets_and_trees(fit, arrays):
    shown = text(fit)
    assert shown.startswith("<sid dataset>  5 variables  ·  y 12, x 16")
    (line,) = [line for line in shown.splitlines() if line.startswith("  center ")]
    assert " ".join(line.split()) == "center center (eV) image y 12 × x 16 float64 1.5 KiB in memory"
    tree = xr.DataTree.from_dict({"/M/C/fit": fit, "/M/D/iv": arrays("spectral_image").to_dataset(name="iv")})
    shown = text(tree)
    assert shown.startswith("<sid tree>  6 signals")
    assert re.search(r"/M/D/iv/iv +current \(nA\) +spectral_image +y 6 × x 7 × bias 9", shown)
    assert "<table" in html(tree)
    many = xr.Dataset({f"v{i}": ("a", [1.0]) for i in range(200)})
    assert "… 141 more" in text(many)


def test_hostile_words_are_only_words():
    dims = {HOSTILE: (1, HOSTILE), "x": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody knows such units
        da = dataarray(np.zeros((2, 2)), dims=dims, units=HOSTILE, quantity=HOSTILE, title=HOSTILE)
    da.attrs |= {"sid_modality": HOSTILE, "source": HOSTILE, "sid_metadata": "{damaged", "sid_prov_123": HOSTILE}
    ds = da.to_dataset(name="v" + HOSTILE)
    unslashed = ds.rename({name: str(name).replace("/", "") for name in (*ds.data_vars, *ds.coords)})
    for obj in (da, ds, xr.DataTree(unslashed, name="t")):
        page = html(obj)
        tags = {tag.lower() for tag in re.findall(r"<\s*/?([a-zA-Z]+)", page)}
        assert tags <= {"div", "b", "table", "tr", "td", "th", "img", "svg", "polyline"}
        assert not re.search(r"<img(?! alt=\"\" width)", page)
        shown = text(obj)
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert "\u202e" not in page + shown
    assert "unreadable" in text(da)


AWKWARD = [
    xr.DataArray(1.0),
    xr.DataArray("word"),
    xr.DataArray(np.zeros((0, 3))),
    xr.DataArray(np.array(["a", "b"]), dims="x", coords={"x": ["p", "q"]}),
    xr.DataArray(np.full((3, 3), np.nan), dims=("y", "x")),
    xr.DataArray(np.ones(3) * 1j, dims="x", attrs={"units": 5, "long_name": None, "source": b"\xff"}),
    xr.DataArray(np.ones(2), dims="t", coords={"t": np.array(["2024-01-01", "2024-01-02"], "M8[ns]")}),
    xr.DataArray(np.ones((2, 2)), dims=("y", "x")).stack(p=("y", "x")),
    xr.DataArray(np.ones((1, 400)), dims=("y", "x")),
    xr.Dataset(),
    xr.DataTree(),
]


@pytest.mark.parametrize("obj", AWKWARD, ids=lambda o: f"{type(o).__name__} {getattr(o, 'dtype', '')}")
def test_anything_has_a_card(obj):
    assert text(obj).startswith("<sid ")
    assert html(obj).startswith('<div class="sid-card"')


def test_accessors_show_cards(arrays):
    da = arrays("image")
    assert repr(da.sid) == text(da)
    assert da.sid._repr_html_() == html(da)
    assert "image" in dir(da.sid.plot)
    assert not hasattr(da.sid.plot, "nonsense")
    assert da.sid.plot.image().vdims == da.sid.plot().vdims


def test_stamps_are_small_and_upright():
    grey = np.array([[0, 255], [128, 1], [2, 3]], np.uint8)
    data = png(grey)
    start = data.index(b"IDAT") + 4
    raw = zlib.decompress(data[start : data.index(b"IEND") - 8])
    assert raw == b"\0\x00\xff" + b"\0\x80\x01" + b"\0\x02\x03"
    big = dataarray(np.arange(1e6).reshape(1000, 1000), dims={"x": (1, "nm"), "y": (1, "nm")})
    stamp_ = thumbnail(big)
    assert len(stamp_) < 20_000
    image = base64.b64decode(re.search(r"base64,([^\"]+)", stamp_)[1])
    assert image.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("$\\sqrt E$", "√E"),
        (r"$\frac{dI}{dV}$", "dI/dV"),
        (r"$\frac{1}{k_B T}$", "1/(k_B T)"),
        ("$\\Delta E^{-1}$ (eV)", "ΔE⁻¹ (eV)"),
        ("$\\lambda$", "λ"),
        ("$\\mu_0$", "µ₀"),
        ("cost in $", "cost in"),
        ("a\nb\tc\x00", "a b c"),
        (b"bytes\xff", "bytes\ufffd"),
        (None, "None"),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_plain_words(found, shown):
    assert plain(found).replace("\u03bc", "µ") == shown


def test_numbers():
    assert [number(v) for v in (0.1 + 0.2, 1234.5, 1e-9, -2.0, 123456, 1e12)] == [
        "0.3", "1234", "1e-09", "−2", "123456", "1e+12",
    ]  # fmt: skip
    assert number(1 + 2j) == "1+2i"
    assert range_text(0, 5e-9, "m") == "0 … 5 nm"
    assert range_text(0, 2000, "eV") == "0 … 2000 eV"
    assert [size_text(n) for n in (5, 2048, 3 * 2**19, 2**40)] == ["5 B", "2 KiB", "1.5 MiB", "1 TiB"]
    assert comfortable("count", 1e9) == ("count", 1.0)
    assert comfortable("V", np.nan) == ("V", 1.0)
