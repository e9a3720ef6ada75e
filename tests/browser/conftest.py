"""A real browser on the real server: what is on the screen is compared with the array, number by number."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHOTS = Path(os.environ.get("SID_SCREENSHOTS", Path(__file__).parents[2] / ".ci" / "screenshots"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FIGURES = """() => { const out = {}; const walk = (v) => {
  if (v.model && v.model.type === 'Figure' && v.model.name) out[v.model.name] = v;
  for (const c of (v.child_views ?? [])) walk(c) };
  for (const v of (Bokeh.index.roots ?? Object.values(Bokeh.index))) walk(v); return out }"""


def browser_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return a browser for the whole session; skip where none can be had."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no test in a browser")
    with sync_api.sync_playwright() as pw:
        try:
            browser = pw.chromium.launch(executable_path=browser_path(), args=FLAGS)
        except sync_api.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


class Screen:
    """A page, and what is on it."""

    def __init__(self, page: Any, log: Path | None = None) -> None:
        self.page, self.log = page, log
        self.errors: list[str] = []
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.errors.append(str(e)))

    def open(self, url: str) -> None:
        self.page.goto(url)
        # While a document is not idle, panel holds every update back: events arrive and nothing changes.
        idle = "() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
        self.page.wait_for_function(idle, timeout=60_000)
        self.page.wait_for_timeout(300)

    def frame(self, name: str) -> dict[str, Any]:
        """Return where a figure is on the page, in pixels, and its ranges."""
        js = f"""n => {{ const f = ({FIGURES})()[n]; if (!f) return null; const b = f.frame.bbox;
          const e = (f.canvas_view ? f.canvas_view.el : f.el).getBoundingClientRect(); const m = f.model;
          return {{left: e.left + b.left, top: e.top + b.top, w: b.width, h: b.height, title: m.title?.text ?? '',
                   x: [m.x_range.start, m.x_range.end], y: [m.y_range.start, m.y_range.end]}} }}"""
        return self.page.evaluate(js, name)

    def at(self, name: str, x: float, y: float) -> tuple[float, float]:
        f = self.frame(name)
        (x0, x1), (y0, y1) = f["x"], f["y"]
        return f["left"] + f["w"] * (x - x0) / (x1 - x0), f["top"] + f["h"] * (1 - (y - y0) / (y1 - y0))

    def tap(self, name: str, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(name, x, y))

    def drag(self, name: str, a: tuple[float, float], b: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(name, *a))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(name, *b), steps=8)
        self.page.mouse.up()

    def data(self, name: str, glyph: str, k: int = 0) -> dict[str, Any]:
        """Return the data of the k-th visible glyph of a type."""
        js = f"""([n, g, k]) => {{ const f = ({FIGURES})()[n];
          const r = f.model.renderers.filter(r => r.glyph?.type === g && r.visible)[k]; const d = r.data_source.data;
          const out = {{}}; for (const [key, v] of (d.entries ? d.entries() : Object.entries(d))) {{
            const a = g === 'Image' && key === 'image' ? v[0] : v; out[key] = Array.from(a);
            if (a.shape) out.shape = Array.from(a.shape) }}
          return out }}"""
        return self.page.evaluate(js, [name, glyph, k])

    def curve(self, name: str = "sid-curve", k: int = 0) -> np.ndarray:
        return np.array(self.data(name, "Line", k)["y"], dtype=float)

    def image(self, name: str = "sid-map") -> np.ndarray:
        """Return the values of an image with its first row on top, as it is seen."""
        found = self.data(name, "Image")
        values = np.array(found["image"], dtype=float).reshape(found["shape"])
        y = self.frame(name)["y"]
        return values if y[0] > y[1] else values[::-1]

    def changed(self, get: Callable[[], np.ndarray], do: Callable[[], Any], timeout: float = 15) -> np.ndarray:
        """Do something, and return what is there when it has changed."""
        old = get()
        do()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            new = get()
            if new.shape != old.shape or not np.array_equal(new, old, equal_nan=True):
                return new
            self.page.wait_for_timeout(40)
        raise AssertionError("nothing has changed")

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def well(self) -> None:
        """Nothing went wrong, here or on the server."""
        assert not [e for e in self.errors if "favicon" not in e], self.errors
        assert self.page.evaluate("() => Bokeh.documents[0].is_idle")
        if self.log is not None:
            assert "Traceback" not in (text := self.log.read_text()), text


@pytest.fixture
def screen(chromium: Any) -> Iterator[Screen]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(20_000)
    yield Screen(context.new_page())
    context.close()


@pytest.fixture
def view(screen: Screen, tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """Return a function that saves an array, runs ``sid view`` on it and opens the page."""
    with contextlib.ExitStack() as stack:

        def start(da: Any, *args: str) -> Screen:
            path, log = tmp_path / "data.h5", tmp_path / "server.log"
            if not isinstance(da, Path):
                da.sid.to_nsid(path, mode="w")
            code = "import sys; from sid_xarray.cli import main; sys.argv = ['sid', *sys.argv[1:]]; main()"
            command = [
                sys.executable,
                "-c",
                code,
                "view",
                str(da if isinstance(da, Path) else path),
                "--no-browser",
                *args,
            ]
            server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
            stack.callback(server.wait, 10)
            stack.callback(server.terminate)
            end = time.monotonic() + 60
            while not (found := re.search(r"http://localhost:\d+/", log.read_text())):
                assert time.monotonic() < end and server.poll() is None, log.read_text()
                time.sleep(0.1)
            screen.log = log
            while True:
                try:
                    screen.open(found[0])
                    return screen
                except Exception:  # noqa: BLE001 - the server is not there yet
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.2)

        yield start
