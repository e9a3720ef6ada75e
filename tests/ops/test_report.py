"""What a fit says of itself."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import ModelError


def spoilt():
    da = sid.datasets.peak_map().copy()
    da[0, 0], da[1, 2] = np.nan, np.inf
    da[2] = da[2].where(da.energy < 0.2)
    return da


def line(text, begin):
    """The line that begins so, and the one below it."""
    lines = str(text).splitlines()
    at = next(i for i, one in enumerate(lines) if one.startswith(begin))
    return lines[at], lines[at + 1].strip()


def test_everything_is_counted_and_placed():
    da = spoilt()
    fit = da.sid.fit("gaussian + constant", bounds={"sigma": (None, 0.8)})
    text = fit.sid.report()
    assert repr(text) == str(text)
    assert text.splitlines()[0] == "gaussian + constant along energy: 48 curves (6 y × 8 x)"
    assert line(text, "converged")[0].split() == ["converged", "38", "of", "48", "(79", "%)"]
    failed, where = line(text, "no_finite_data")
    assert "2 of 48 (4.2 %)" in failed and where == "at (y 0, x 0), (y 0.5, x 1)"
    failed, where = line(text, "too_few_points")
    assert "8 of 48" in failed and where.endswith("within y 1 … 1 nm, x 0 … 3.5 nm")
    held = int(((fit.status == 0) & (fit.sigma == 0.8)).sum())
    assert held > 0 and f"{held} of 48" in line(text, "sigma at a bound")[0]
    median = float(fit.center.where(fit.status == 0).median())
    assert line(text, "center")[0].startswith(f"center              {median:.4g} eV")


def test_what_is_fixed_or_tied_is_at_no_bound():
    da = sid.datasets.peak_map()
    assert "bound" not in da.sid.fit("gaussian + constant", fixed={"sigma": 0.8}).sid.report()
    two = da.sid.fit("gaussian + gaussian", fixed=["gaussian1_sigma"], tie={"gaussian2_sigma": "gaussian1_sigma"})
    assert "sigma at a bound" not in two.sid.report()


def test_given_starts_that_bounds_exclude_are_told():
    da = sid.datasets.peak_map()
    start = xr.full_like(da.isel(energy=0, drop=True), 5.0)
    start[1, 2] = 99.0
    fit = da.sid.fit("gaussian + constant", guess={"center": start}, bounds={"center": (3, 8)})
    assert int((fit.status == 0).sum()) == 47 and np.isnan(fit.center[1, 2])
    told, where = line(fit.sid.report(), "guess_out_of_bounds")
    assert "1 of 48 (2.1 %)" in told and where == "at (y 0.5, x 1)"


def test_lazy_parts_curves_and_failures():
    da = spoilt()
    fit = da.sid.fit("gaussian + constant")
    with sid.testing.no_compute():
        lazy = da.chunk(x=3).sid.fit("gaussian + constant")
    assert lazy.sid.report() == fit.sid.report()
    assert fit.isel(y=3, x=3).sid.report().startswith("gaussian + constant along energy: one curve\nconverged")
    nothing = fit.isel(y=0, x=0).sid.report()
    assert "0 of 1 (0 %)" in nothing and "no_finite_data" in nothing
    assert fit.isel(x=slice(0)).sid.report().startswith("gaussian + constant along energy: 0 curves")


def test_a_model_that_is_not_known_here_and_what_is_no_fit():
    da = sid.datasets.peak_map()
    fit = da.sid.fit(lambda x, a, c: a * np.exp(-((x - c) ** 2)), guess={"a": 50, "c": 5})
    assert "\na    " in fit.sid.report() and "\nc    " in fit.sid.report()
    with pytest.raises(ModelError, match="no result of a fit"):
        da.to_dataset().sid.report()
