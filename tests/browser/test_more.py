"""The player, the review of a fit, a whole file, a point cloud, seven dimensions, an app of one's own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sid_xarray as sid


@pytest.fixture
def app(screen: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that serves what a piece of code leaves in ``page``."""
    with contextlib.ExitStack() as stack:

        def start(code: str) -> Any:
            log, script = tmp_path / "server.log", tmp_path / "app.py"
            body = textwrap.indent(textwrap.dedent(code), "    ")
            script.write_text(
                "import sys\nimport numpy as np\nimport xarray as xr\nimport sid_xarray as sid\n"
                "from sid_xarray.viz.dashboard import serve\n"
                f"def make():\n{body}\n    return page\n"
                "serve({'x': make}, show=False, started=lambda port: print(port, flush=True))\n"
            )
            server = subprocess.Popen([sys.executable, str(script)], stdout=log.open("w"), stderr=subprocess.STDOUT)
            stack.callback(server.wait, 10)
            stack.callback(server.terminate)
            end = time.monotonic() + 60
            while not (found := log.read_text().strip()).isdigit():
                assert time.monotonic() < end and server.poll() is None, found
                time.sleep(0.1)
            screen.log = log
            while True:
                try:
                    screen.open(f"http://localhost:{found}/")
                    return screen
                except Exception:  # noqa: BLE001 - the server is not there yet
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.2)

        yield start


def test_the_player_plays(view):
    values = np.arange(6 * 8 * 9, dtype="f4").reshape(6, 8, 9) ** 1.1
    da = sid.dataarray(
        values, dims={"time": (1.0, "s"), "y": (1.0, "nm"), "x": (1.0, "nm")}, units="nm", quantity="height"
    )
    screen = view(da)
    np.testing.assert_array_equal(screen.image(), values[0])
    seen = [screen.changed(screen.image, lambda: screen.page.locator("button.play").click())]
    seen += [screen.changed(screen.image, lambda: None) for _ in range(3)]
    for frame in seen:
        assert any(np.array_equal(frame, v) for v in values)
    assert len({frame.tobytes() for frame in seen}) >= 3
    screen.shot("player")
    screen.well()


def test_the_review_of_a_fit(app):
    screen = app("""
        da = sid.datasets.peak_map(ny=12, nx=16)
        fit = da.sid.fit("gaussian + constant")
        fit["status"][5, 8] = 3
        for name in ("center", "height", "sigma", "offset"):
            fit[name][5, 8] = np.nan
        page = fit.sid.explore(data=da).__panel__()
    """)
    da = sid.datasets.peak_map(ny=12, nx=16)
    fit = da.sid.fit("gaussian + constant")
    assert screen.frame("sid-map")["title"] == "1 of 192 fits failed"
    y = screen.changed(screen.curve, lambda: screen.tap("sid-map", 1.5, 2.0))
    np.testing.assert_array_equal(y, da.values[4, 3])
    model = fit.sid.evaluate(da.energy).values[4, 3]
    np.testing.assert_allclose(screen.curve(k=1), model, rtol=1e-6)
    np.testing.assert_allclose(screen.curve("sid-residual"), da.values[4, 3] - model, atol=1e-4)
    screen.page.wait_for_timeout(400)
    screen.tap("sid-map", 4.0, 2.5)
    screen.page.wait_for_timeout(400)
    screen.changed(screen.image, lambda: screen.page.get_by_text("refit this pixel").click())
    assert screen.frame("sid-map")["title"] == ""
    screen.shot("review")
    screen.well()


def test_a_whole_file_and_its_signals(app):
    screen = app("""
        da = sid.datasets.peak_map(ny=12, nx=16)
        fit = da.sid.fit("gaussian + constant")
        tree = xr.DataTree.from_dict({"/raw": da.to_dataset(name="IV"), "/fit": fit})
        page = sid.dashboard(tree)
    """)
    da = sid.datasets.peak_map(ny=12, nx=16)
    np.testing.assert_array_equal(screen.curve(), da.values[6, 8])
    screen.page.locator("select").first.select_option(index=1)
    screen.page.wait_for_timeout(1500)
    assert screen.image().shape == (12, 16)
    screen.page.get_by_text("history").first.click()
    screen.page.wait_for_timeout(800)
    assert screen.page.get_by_text("fit").count()
    screen.shot("dashboard")
    screen.well()


def test_seven_dimensions(app):
    screen = app("""
        da = xr.DataArray(np.random.default_rng(0).random((2, 3, 2, 3, 4, 5, 6)), dims=list("tuvwxyz"))
        page = da.sid.explore(map=("x", "y"), signal="z").__panel__()
    """)
    values = np.random.default_rng(0).random((2, 3, 2, 3, 4, 5, 6))
    y = screen.changed(screen.curve, lambda: screen.tap("sid-map", 3, 1))
    np.testing.assert_array_equal(y, values[0, 0, 0, 0, 3, 1])
    screen.shot("seven-dimensions")
    screen.well()


def test_a_point_cloud(app):
    screen = app("""
        rng = np.random.default_rng(0)
        coords = {k: ("point", rng.random(60) * 10, {"units": "nm"}) for k in "xy"}
        da = xr.DataArray(rng.random((60, 40)), dims=("point", "energy"), coords=coords, attrs={"units": "V"})
        page = da.sid.explore().__panel__()
    """)
    rng = np.random.default_rng(0)
    x, y = (rng.random(60) * 10 for _ in "xy")
    values = rng.random((60, 40))
    got = screen.changed(screen.curve, lambda: screen.tap("sid-map", x[7], y[7]))
    np.testing.assert_array_equal(got, values[7])
    screen.shot("points")
    screen.well()


def test_it_stands_in_an_app_of_ones_own(app):
    screen = app("""
        import hvplot.xarray
        import panel as pn
        t = xr.DataArray(np.arange(48.0).reshape(6, 8), dims=("lat", "lon"), name="temperature")
        ex = sid.datasets.peak_map().sid.explore()
        climate = pn.pane.HoloViews(t.hvplot.image(x="lon", y="lat"))
        page = pn.Column(climate, pn.Row(ex, pn.bind(str, ex.param.regions)))
    """)
    da = sid.datasets.peak_map()
    y = screen.changed(screen.curve, lambda: screen.tap("sid-map", 1.0, 0.5))
    np.testing.assert_array_equal(y, da.values[1, 2])
    screen.page.get_by_text("Region.point(y=0.5, x=1.0").first.wait_for()
    screen.well()
