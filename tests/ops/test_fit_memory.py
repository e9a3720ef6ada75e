"""What a fit of a large map needs, beyond the data and the results."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.kernels import lsq


@pytest.mark.skipif(not lsq.is_available(), reason="numba is not installed: it takes too long")
@pytest.mark.parametrize("refine", [None, "neighbours"])
def test_needs_no_second_copy_of_results(refine):
    side, x = 800, np.linspace(0, 8, 12)
    center = xr.DataArray(np.linspace(3, 5, side), dims="y") + xr.DataArray(np.zeros(side), dims="x")
    curve = np.exp(-((xr.DataArray(x, dims="e") - center) ** 2) / 2)
    da = curve.astype("f4").transpose("y", "x", "e").assign_coords(e=("e", x, {"units": "eV"}))
    options = {"dim": "e", "refine": refine, "guess": {"height": 1, "center": 4, "sigma": 1}}
    with sid.set_options(fit_engine="numba"):
        da[:2].sid.fit("gaussian", **options)
        tracemalloc.start()
        fit = da.sid.fit("gaussian", **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert fit.nbytes > 40e6
    assert peak - fit.nbytes < 30e6
