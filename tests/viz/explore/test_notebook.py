"""The app in a notebook: it shows itself, and changes afterwards raise nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("panel")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")


@pytest.mark.slow
def test_it_shows_itself():
    cells = [
        "import sid_xarray as sid\nex = sid.datasets.peak_map().sid.explore()\nex",
        "ex.tap(1.5, 1.0)\nex.readout()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (shown,) = [o for o in notebook.cells[0].outputs if o.output_type == "execute_result"]
    assert "application/vnd.holoviews_exec.v0+json" in shown["data"]
    assert "intensity (counts)" in shown["data"]["text/html"]
    assert "x = 1.5 nm, y = 1 nm" in notebook.cells[1].outputs[-1]["data"]["text/plain"]
