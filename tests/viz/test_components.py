"""Components: a row each, and the scree plot."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.core.create import dataarray
from sid_xarray.errors import DimensionError
from sid_xarray.viz.draw import choose_view, plot


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
@pytest.mark.parametrize("lazy", [False, True])
def test_maps_beside_their_spectra(hv, backend, lazy):
    cube = sid.datasets.edge_map(noise=1.0)
    found = (cube.chunk() if lazy else cube).sid.decompose(3)
    assert choose_view(found) == "components"
    drawn = plot(found, backend=backend)
    kinds = [type(pane).__name__ for pane in drawn.traverse(None, [hv.Image, hv.Curve])]
    assert kinds.count("Image") == 3
    assert kinds.count("Curve") == 3
    curve = drawn.traverse(None, [hv.Curve])[0]
    np.testing.assert_allclose(curve.dimension_values(1), found.components[0], rtol=1e-6)
    assert curve.kdims[0].unit == "eV"
    hv.render(drawn, backend=backend)


def test_one_can_choose_and_patterns_are_images(hv):
    dims = {"y": (1, "nm"), "x": (1, "nm"), "ky": (0.1, "1/nm"), "kx": (0.1, "1/nm")}
    da = dataarray(np.random.default_rng(0).normal(size=(5, 6, 4, 3)), dims, units="count")
    found = da.sid.decompose(4)
    drawn = plot(found, components=[3, 0])
    assert len(drawn.traverse(None, [hv.Image])) == 4
    with pytest.raises(DimensionError, match="components 0 to 3"):
        plot(found, components=[4])
    with pytest.raises(DimensionError, match="one component at least"):
        plot(found, components=0)


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_scree_is_logarithmic_and_has_no_zero(hv, backend):
    found = sid.datasets.edge_map().sid.decompose(3)
    drawn = found.sid.plot.scree(backend=backend)
    share = drawn.traverse(None, [hv.Curve])[0].dimension_values(1)
    assert share[0] == pytest.approx(float(found.explained_variance_ratio[0]))
    assert not (share == 0).any()
    hv.render(drawn, backend=backend)
    with pytest.raises(DimensionError, match="scree"):
        found[["scores", "components"]].sid.plot.scree()
