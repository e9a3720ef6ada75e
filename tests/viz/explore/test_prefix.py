"""Numbers in the app are read without exponents; what is drawn keeps the units of the data."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid


def current(factor: float) -> xr.DataArray:
    values = factor * np.linspace(-1, 4, 4 * 5 * 6).reshape(4, 5, 6)
    return sid.dataarray(values, {"y": (1, "nm"), "x": (1, "nm"), "bias": (0.1, "V")}, units="A", quantity="current")


@pytest.mark.parametrize(("factor", "unit", "times"), [(1e-10, "pA", 1e12), (1e-5, "µA", 1e6), (1.0, "A", 1.0)])
def test_bar_and_axis_have_a_prefix(factor, unit, times):
    from bokeh.models import ColorBar, CustomJSTickFormatter, LinearAxis, Plot

    root = current(factor).sid.explore().__panel__().get_root()
    figures = list(root.select({"type": Plot}))
    bars = [b for f in figures for b in f.select({"type": ColorBar})]
    curve = next(f for f in figures if not list(f.select({"type": ColorBar})))
    axis = next(a for a in curve.left if isinstance(a, LinearAxis))
    assert axis.axis_label == f"current ({unit})"
    assert any(getattr(side, "text", "") == f"current ({unit})" for f in figures for side in f.right)
    for one in (bars[0], axis):
        if times == 1:
            assert not isinstance(one.formatter, CustomJSTickFormatter)
        else:
            assert one.formatter.args["factor"] == pytest.approx(times)
    assert curve.y_range.end == pytest.approx(2 * factor, rel=0.9)  # stored units
