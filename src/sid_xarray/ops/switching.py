"""How ferroelectric loops switch."""

from __future__ import annotations

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import units_of
from sid_xarray.core.lift import Out, lift
from sid_xarray.errors import DimensionError, ModelError
from sid_xarray.kernels.loops import switching as characterise
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["switching"]

_PARAMETERS = ("a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3")
# Name, what it is called, and whether it is a bias, a response, or a product of both.
_RESULTS = (
    ("coercive_falling", "coercive bias, falling", "x"),
    ("coercive_rising", "coercive bias, rising", "x"),
    ("imprint", "imprint", "x"),
    ("nucleation_falling", "nucleation bias, falling", "x"),
    ("nucleation_rising", "nucleation bias, rising", "x"),
    ("remanent_falling", "remanent response, falling", "y"),
    ("remanent_rising", "remanent response, rising", "y"),
    ("work", "work of switching", "xy"),
)


def switching(ds: xr.Dataset, *, nucleation: float = 0.03) -> xr.Dataset:
    """Coercive biases, imprint, nucleation biases, and the work of switching of ferroelectric loops.

    Parameters
    ----------
    ds : Dataset
        As `loop_fit` gives it.
    nucleation : float, default: 0.03
        The part of the response that has switched where nucleation is said to begin.

    Returns
    -------
    Dataset
        ``coercive_falling`` and ``coercive_rising``, where half has switched on either branch; ``imprint``, their
        mean; ``nucleation_falling`` and ``nucleation_rising``; ``remanent_falling`` and ``remanent_rising``, the
        response without bias after it fell and after it rose; ``work``, the area of the loop. NaN where the fit
        failed. Lazy if the maps are.

    Raises
    ------
    DimensionError
        If the Dataset has no parameters of a loop.
    ModelError
        If `nucleation` is no part between 0 and 1.

    Notes
    -----
    All are properties of the fitted curve [1]_, in closed form. Its parameters ``a2`` and ``a3`` are where the widths
    change; with unequal widths they are not where half has switched, and are much less certain. The slope ``a4`` is no
    part of switching and left out. The area counts what lies beyond the axis, too; it is negative if the loop is run
    through the other way round.

    References
    ----------
    .. [1] S. Jesse, H. N. Lee, S. V. Kalinin, Rev. Sci. Instrum. 77, 073702 (2006). :doi:`10.1063/1.2214699`

    Examples
    --------
    >>> import sid_xarray as sid
    >>> fit = sid.datasets.beps().sid.be.sho_fit(dim="frequency")
    >>> loops = fit.sid.be.project_loops(dim="bias").loop.sid.be.loop_fit()
    >>> made = loops.sid.be.switching()
    >>> made.imprint.units, made.work.units
    ('V', 'pm*V')
    """
    if not isinstance(ds, xr.Dataset) or (missing := [p for p in _PARAMETERS if p not in ds]):
        lacks = "" if not isinstance(ds, xr.Dataset) else f" it lacks {', '.join(missing)}."
        raise DimensionError(f"switching is read from fitted loops;{lacks} Type: loops.sid.be.loop_fit()")
    if not 0 < nucleation < 1:
        raise ModelError(f"nucleation is a part between 0 and 1, got {nucleation!r}")
    arrays = [ds[p].astype(float) for p in _PARAMETERS]
    found = lift(
        _switching,
        *arrays,
        core=[[] for _ in arrays],
        out=[Out((), {}, float) for _ in _RESULTS],
        begin=nucleation,
    )
    bias, response = units_of(ds["a2"]), units_of(ds["a1"])
    unit = {"x": bias, "y": response, "xy": units.multiply(response, bias)}
    out = xr.Dataset(coords=found[0].coords)
    for (name, label, kind), values in zip(_RESULTS, found, strict=True):
        out[name] = values.assign_attrs({names.LONG_NAME: label, names.UNITS: unit[kind]}).variable
    return provenance.stamp(out, "switching", ds[list(_PARAMETERS)], nucleation=nucleation)


def _switching(*parameters: np.ndarray, begin: float) -> tuple[np.ndarray, ...]:
    a0, a1, a2, a3, b0, b1, b2, b3 = map(np.asarray, parameters)
    return characterise(a0, a1, (a2, b0, b1), (a3, b2, b3), begin=begin)
