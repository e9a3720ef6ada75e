"""Numbers beside an axis with a readable prefix, while the axis itself keeps the units of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import CustomJSTickFormatter

from sid_xarray.viz._labels import comfortable, with_unit

__all__ = ["label_of", "reach_of"]

_CODE = "return String(Number((tick * factor).toPrecision(6))).replace('-', '\\u2212')"


def label_of(ticked: Any, quantity: str, units: str, reach: float) -> str:
    """Have the ticks of an axis or a colour bar written in a readable unit; returns quantity and unit.

    Parameters
    ----------
    ticked : bokeh Axis or ColorBar
    quantity, units : str
        Of the values.
    reach : float
        The largest of them.

    Returns
    -------
    str
    """
    shown, factor = comfortable(units, reach)
    known = isinstance(ticked.formatter, CustomJSTickFormatter)
    if known or factor != 1:
        if not known:
            ticked.formatter = CustomJSTickFormatter(args={"factor": factor}, code=_CODE)
        elif ticked.formatter.args["factor"] != factor:
            ticked.formatter.args = {"factor": factor}
    return with_unit(quantity, shown)


def reach_of(*values: Any) -> float:
    """Return the largest absolute value; zero where there is none."""
    found = np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values]) if values else np.zeros(0)
    found = np.abs(found[np.isfinite(found)])
    return float(found.max()) if found.size else 0.0
