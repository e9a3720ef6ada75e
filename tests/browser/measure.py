"""How long a tap, a window and an aperture take, from the pointer to the paint. Run it by hand: it is no test.

``python tests/browser/measure.py FILE...`` prints a row a file: netCDF, NSID, or anything that sid opens.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Error, Page, sync_playwright

SERVER = """
import resource, sys, threading, time
import xarray as xr, sid_xarray as sid
from sid_xarray.viz.dashboard import serve
def page():
    path = sys.argv[1]
    if path.endswith(".nc"):
        da = max(xr.open_dataset(path, engine="h5netcdf").data_vars.values(), key=lambda v: v.size)
    else:
        da = sid.open_dataarray(path)
    ex = da.sid.explore()
    return ex.__panel__()
def say():
    while True:
        time.sleep(0.2)
        print("cpu", time.process_time(), "rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)
threading.Thread(target=say, daemon=True).start()
serve({"x": page}, port=int(sys.argv[2]), show=False)
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
FIGURES = """() => { const out = {}; const walk = (v) => {
  if (v.model && v.model.type === 'Figure' && v.model.name) out[v.model.name] = v;
  for (const c of (v.child_views ?? [])) walk(c) };
  for (const v of (Bokeh.index.roots ?? Object.values(Bokeh.index))) walk(v); return out }"""
WATCH = """([name, glyph]) => {
  const f = (FIGURES)()[name]; window._sid = {up: 0, paint: []};
  document.addEventListener('pointerup', () => { window._sid.up = performance.now() }, true);
  for (const r of f.model.renderers.filter((r) => r.glyph?.type === glyph))
    r.data_source.properties.data.change.connect(() => requestAnimationFrame(() => requestAnimationFrame(
      () => window._sid.paint.push(performance.now())))) }""".replace("FIGURES", FIGURES)


def frame(page: Page, name: str) -> dict[str, float]:
    js = f"""n => {{ const f = ({FIGURES})()[n], b = f.frame.bbox;
      const e = (f.canvas_view ? f.canvas_view.el : f.el).getBoundingClientRect();
      return {{left: e.left + b.left, top: e.top + b.top, w: b.width, h: b.height}} }}"""
    return page.evaluate(js, name)


def timed(page: Page, target: str, glyph: str, act: Any, n: int) -> list[float]:
    """Return milliseconds from the pointer going up to the new data being painted."""
    page.evaluate(WATCH, [target, glyph])
    out = []
    for i in range(n):
        page.evaluate("() => { window._sid.paint = [] }")
        act(i)
        try:
            page.wait_for_function("() => window._sid.paint.length > 0", timeout=5_000)
        except Error:
            out.append(np.nan)  # lost, or what was drawn is what was there
            continue
        found = page.evaluate("() => window._sid")
        out.append(found["paint"][0] - found["up"])
        page.wait_for_timeout(400)
    return out


def measure(path: str, n: int) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(tempfile.mkdtemp()) / "log"
    command = [sys.executable, "-c", SERVER, path, str(port)]
    server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
    rng = np.random.default_rng(0)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        with sync_playwright() as pw:
            browser = pw.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            start = time.perf_counter()
            page.goto(f"http://localhost:{port}/")
            page.wait_for_function("() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle")
            first = time.perf_counter() - start
            page.wait_for_timeout(1500)
            pattern = "sid-pattern" in page.evaluate(f"() => Object.keys(({FIGURES})())")
            signal, glyph = ("sid-pattern", "Image") if pattern else ("sid-curve", "Line")
            m, s = frame(page, "sid-map"), frame(page, signal)

            def tap(_: int) -> None:
                u, v = rng.uniform(0.03, 0.97, 2)
                page.mouse.click(m["left"] + m["w"] * u, m["top"] + m["h"] * v)

            def window(_: int) -> None:
                u = rng.uniform(0.1, 0.8)
                y = s["top"] + s["h"] / 2
                page.mouse.move(s["left"] + s["w"] * u, y)
                page.mouse.down()
                page.mouse.move(s["left"] + s["w"] * (u + 0.1), y + (s["h"] * 0.1 if pattern else 0), steps=6)
                page.mouse.up()

            def aperture(_: int) -> None:
                u, v = rng.uniform(0.2, 0.8, 2)
                page.mouse.click(s["left"] + s["w"] * u, s["top"] + s["h"] * v)

            out: dict[str, Any] = {"file": Path(path).name, "first page s": round(first, 2)}
            before = usage(log)
            out["tap ms"] = summary(timed(page, signal, glyph, tap, n))
            page.wait_for_timeout(300)
            out["tap server cpu ms"] = round((usage(log)[0] - before[0]) / n * 1000, 1)
            out["window ms"] = summary(timed(page, "sid-map", "Image", window, max(5, n // 3)))
            if pattern:
                out["disc ms"] = summary(timed(page, "sid-map", "Image", aperture, max(5, n // 3)))
            out["server peak MB"] = usage(log)[1]
            browser.close()
    finally:
        server.terminate()
        server.wait(10)
        print(log.read_text()[-600:]) if "Trace" in log.read_text() else log.unlink()
    return out


def usage(log: Path) -> tuple[float, int]:
    last = [line for line in log.read_text().splitlines() if line.startswith("cpu")][-1].split()
    return float(last[1]), int(last[3])


def summary(values: list[float]) -> str:
    lost = f", {np.isnan(values).sum()} lost" if np.isnan(values).any() else ""
    return f"{np.nanmedian(values):.0f} (p95 {np.nanpercentile(values, 95):.0f}{lost})"


if __name__ == "__main__":
    for file in sys.argv[1:]:
        print(json.dumps(measure(file, 25)), flush=True)
