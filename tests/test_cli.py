"""The command line, as a stranger types it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import sid_xarray as sid
from sid_xarray.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sid", *map(str, words)])
    with pytest.raises(SystemExit) as found:
        main()
        sys.exit(0)
    return int(found.value.code or 0)


@pytest.fixture
def raw() -> str:
    return sid.datasets.bfo_iv_path()


def test_info_names_signal_kind_dimensions_and_units(monkeypatch: Any, capsys: Any, raw: str) -> None:
    assert run(monkeypatch, "info", raw) == 0
    out = capsys.readouterr().out
    for word in (
        "IV_BFO",
        "spectral_image",
        "float64",
        "50 points, spatial, 0 … 5e-09 m",
        "53 points, spectral",
        "A/m²",
    ):
        assert word in out


def test_info_shows_text_of_the_file_as_text(monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    da = sid.datasets.lattice_image().assign_attrs(long_name="[bold red]not a colour[/]")
    da.sid.to_nsid(tmp_path / "x.h5")
    assert run(monkeypatch, "info", tmp_path / "x.h5") == 0
    assert "[bold red]not a colour[/]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no file"), (b"", "is empty"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"text", "is not an HDF5 file")],
)
def test_what_is_no_file_is_one_line_and_an_exit_code(
    monkeypatch: Any, capsys: Any, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    assert run(monkeypatch, "info", path) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_convert_keeps_everything_and_never_overwrites_unasked(
    monkeypatch: Any, capsys: Any, tmp_path: Path, raw: str
) -> None:
    out = tmp_path / "out.h5"
    assert run(monkeypatch, "convert", raw, out) == 0
    a, b = sid.open_dataarray(raw).load(), sid.open_dataarray(out).load()
    assert a.identical(b)
    assert a.dtype == b.dtype
    before = out.read_bytes()
    assert run(monkeypatch, "convert", raw, out) == 1
    assert out.read_bytes() == before
    assert "exists. Take another name, or replace it: --overwrite" in capsys.readouterr().err
    assert run(monkeypatch, "convert", raw, out, "--overwrite") == 0


def test_demo_ends_well_and_says_what_it_found(monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "demo") == 0
    out = capsys.readouterr().out
    for word in ("bismuth ferrite", "2500 curves", "open → remove_background → fit", "verified", "What to type next"):
        assert word in out
    slope = sid.open("sid-demo/bfo_iv_analysed.h5")["Measurement_000/Channel_000/IV_BFO-Fit_000/slope"]
    assert slope.sid.provenance.operations == ("open", "remove_background", "fit")
    assert slope.load().sid.provenance.status == "verified"


def test_demo_draws_what_opens_without_python(monkeypatch: Any, tmp_path: Path) -> None:
    pytest.importorskip("holoviews")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "demo", "here") == 0
    assert (tmp_path / "here/slope.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "here/spectral_image.html").read_text(encoding="utf-8")
    assert "<script" in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="', page), "the page must not need a network"


def test_version(monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == sid.__version__


def test_check_says_what_older_readers_do_and_ends_with_a_code(
    monkeypatch: Any, capsys: Any, tmp_path: Path, raw: str
) -> None:
    assert run(monkeypatch, "check", raw) == 0
    assert "has no title" in capsys.readouterr().out
    (tmp_path / "cut.h5").write_bytes(Path(raw).read_bytes()[:5000])
    assert run(monkeypatch, "check", tmp_path / "cut.h5") == 2


def test_view_writes_a_page_that_holds_everything(monkeypatch: Any, capsys: Any, tmp_path: Path, raw: str) -> None:
    pytest.importorskip("panel")
    page = tmp_path / "page.html"
    assert run(monkeypatch, "view", raw, "--export", page) == 0
    assert "wrote" in capsys.readouterr().out
    text = page.read_text()
    assert "log J" in text
    assert "cdn.bokeh.org" not in text.split("</head>")[0].replace("https://cdn.bokeh.org/bokeh/release", "")


def test_view_says_what_it_cannot_show(monkeypatch: Any, capsys: Any, tmp_path: Path, raw: str) -> None:
    pytest.importorskip("panel")
    assert run(monkeypatch, "view", tmp_path / "none.h5", "--no-browser") == 1
    assert run(monkeypatch, "view", raw, raw, "--export", tmp_path / "page.html") == 1
    assert run(monkeypatch, "view", raw, "--export", tmp_path / "page.png") == 1
    said = capsys.readouterr().err
    for words in ("none.h5", "one file, got 2", "saved as .html"):
        assert words in said
