"""Units as text: one spelling for each, whatever a file writes, and the algebra that verbs need.

The canonical spelling is what pint, cf-xarray and UDUNITS all read: ``nm``, ``1/nm``, ``nA*V``, ``A/m^2``, ``degree``.
Factors are joined by ``*``, divisors follow one by one behind ``/`` (``m/A/s`` is metres per ampere and second).
Unknown text is never changed: in products it is an opaque symbol.

A fractional power is written ``V/Hz^(1/2)``: pint reads it, and UDUNITS, which has no such powers, refuses it, whereas
it would silently read ``Hz^0.5`` as half of a hertz.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sid_xarray.errors import UnitsError
from sid_xarray.schema import _unit_table as table
from sid_xarray.schema._unit_text import Factors, as_text, canonical, factors_of, format_units, shown, shown_product

__all__ = [
    "Unit",
    "best_prefix",
    "convert_factor",
    "dimension_type_of",
    "dimensionality",
    "display",
    "divide",
    "multiply",
    "normalise",
    "parse_quantity",
    "power",
]

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unit:
    """What was made of the units that a file gives.

    Parameters
    ----------
    canonical : str
        The spelling to store; ``"1"`` where there is no unit. Text that nobody knows, as it was found.
    original : str or None
        The spelling found, if it says something and differs from `canonical`.
    known : bool
        Whether the text was understood. If not, the caller warns.
    """

    canonical: str
    original: str | None
    known: bool


def normalise(text: object, *, axis: str | None = None) -> Unit:
    """Find the canonical spelling of units, as files write them.

    Parameters
    ----------
    text : object
        Text, bytes, None, or an object with a readable ``str``, such as a unit of pint or a one-element array.
    axis : str, optional
        Type of the dimension that the units belong to, such as ``"spatial"``; None for data values. On a spatial or
        reciprocal axis ``A`` is the ångström, elsewhere the ampere; on any axis ``1/A`` is that of the ångström and
        ``C`` degree Celsius, where for data it is the coulomb.

    Returns
    -------
    Unit
        Never raises: text that is not understood comes back unchanged, with ``known=False``.

    Examples
    --------
    >>> normalise("nm⁻¹")
    Unit(canonical='1/nm', original='nm⁻¹', known=True)
    >>> normalise("A", axis="spatial").canonical
    'angstrom'
    >>> normalise("a. u.").canonical
    '1'
    """
    found = as_text(text)
    name, known = canonical(found, axis)
    return Unit(name, found if found.strip() and found != name else None, known)


def multiply(a: str, b: str) -> str:
    """Return the units of a product.

    Equal symbols are joined, different prefixes and named units are kept: no number is lost on the way.

    Parameters
    ----------
    a, b : str
        Units.

    Examples
    --------
    >>> multiply("nA", "V"), multiply("nm", "1/nm")
    ('nA*V', '1')
    """
    return format_units(_combine(factors_of(a), factors_of(b), 1))


def divide(a: str, b: str) -> str:
    """Return the units of a quotient, as in `multiply`.

    Parameters
    ----------
    a, b : str
        Units.

    Examples
    --------
    >>> divide("nA", "V"), divide("1", "nm")
    ('nA/V', '1/nm')
    """
    return format_units(_combine(factors_of(a), factors_of(b), -1))


def power(a: str, n: float | Fraction) -> str:
    """Return the units of ``a`` to a power.

    Parameters
    ----------
    a : str
        Units.
    n : int, float or Fraction
        The power; floats are read as the nearest simple fraction.

    Raises
    ------
    UnitsError
        If ``n`` is not finite.

    Examples
    --------
    >>> power("nm", -2), power("Hz", 0.5)
    ('1/nm^2', 'Hz^(1/2)')
    """
    if not math.isfinite(n):
        raise UnitsError(f"expected a finite power of units, got {n}. Type for instance power({a!r}, 2).")
    exponent = Fraction(n).limit_denominator(1000)
    return format_units({symbol: e * exponent for symbol, e in factors_of(a).items() if e * exponent})


def convert_factor(source: str, target: str) -> float:
    """Return the number by which values in ``source`` are multiplied to be in ``target``.

    Parameters
    ----------
    source, target : str
        Units of one dimension. Radians and counts are dimensions: ``count/s`` is not ``Hz``.

    Raises
    ------
    UnitsError
        If the units are unknown or measure different things, or if a temperature scale has an offset.

    Examples
    --------
    >>> convert_factor("um", "nm")
    1000.0
    """
    there, here = factors_of(source), factors_of(target)
    if there == here:
        return 1.0
    for text, factors in ((source, there), (target, here)):
        unknown = [symbol for symbol in factors if symbol not in table.SYMBOLS]
        if unknown:
            raise UnitsError(
                f"cannot convert {source!r} to {target!r}: {text!r} is not a unit that can be converted. "
                f"Give the values units such as 'nm', '1/nm', 'eV' or 'nA/V' first."
            )
    both = _combine(there, here, -1)
    if table.OFFSETS & both.keys():
        raise UnitsError(
            f"cannot convert {source!r} to {target!r} by a factor: the scales have different zero points. "
            f"Add the offset yourself (K = degC + 273.15) and set the units to 'K'."
        )
    if _dims(both):
        raise UnitsError(
            f"cannot convert {source!r} ({_describe(there)}) to {target!r} ({_describe(here)}): "
            f"they measure different things. Give units of the kind of {target!r}."
        )
    try:
        return _size(both)
    except (OverflowError, ZeroDivisionError):
        raise UnitsError(f"cannot convert {source!r} to {target!r}: the factor does not fit a float.") from None


def parse_quantity(text: str) -> tuple[float, str]:
    """Split a number from its units.

    Parameters
    ----------
    text : str
        Such as ``"0.5 nm"``, ``"10um"``, ``"2e-3 1/nm"`` or ``"5"``.

    Returns
    -------
    value : float
        The number.
    units : str
        In canonical spelling, empty if there are none; ``A`` and ``C``, whose meaning depends on the axis, and unknown
        units as they were typed.

    Raises
    ------
    UnitsError
        If there is no number, or what follows it cannot be units.

    Examples
    --------
    >>> parse_quantity("0.5 nm"), parse_quantity("5")
    ((0.5, 'nm'), (5.0, ''))
    """
    if not isinstance(text, str):
        raise TypeError(f"expected text such as '0.5 nm', got {text!r} of type {type(text).__name__}")
    match = _NUMBER.fullmatch(text.replace("−", "-"))
    if match is None:
        raise UnitsError(f"expected a number with units such as '0.5 nm', found {text!r}. Put a number first.")
    number, rest = float(match[1]), match[2]
    if not math.isfinite(number):
        raise UnitsError(f"expected a finite number, found {match[1]!r} in {text!r}.")
    if not rest:
        return number, ""
    rest = "1" + rest if rest.startswith("/") else rest
    unit = normalise(rest)
    if not unit.known:
        if not (rest[0].isalpha() or rest[0] in "([$\\"):
            hint = " Write decimals with a point: '0.5 nm'." if rest[0] == "," else ""
            raise UnitsError(f"expected units after {match[1]!r} in {text!r}, found {rest!r}.{hint}")
        return number, rest
    return number, unit.canonical if unit == normalise(rest, axis="spatial") else rest


def display(units: str) -> str:
    """Return units for the label of an axis, as physicists write them.

    Parameters
    ----------
    units : str
        Units. Unknown text is returned as it is.

    Returns
    -------
    str
        Unicode; empty for ``"1"``. `normalise` reads it back.

    Examples
    --------
    >>> display("um"), display("1/nm"), display("A/m^2"), display("V/Hz^(1/2)")
    ('µm', 'nm⁻¹', 'A/m²', 'V/√Hz')
    """
    unit = normalise(units)
    if not unit.known:
        return units
    factors = factors_of(unit.canonical)
    up = {s: e for s, e in factors.items() if e > 0}
    down = {s: -e for s, e in factors.items() if e < 0}
    if len(factors) > 1 and all(abs(e) == Fraction(1, 2) for e in factors.values()):
        return f"√({display(power(unit.canonical, 2))})"
    if not up:
        whole = all(e.denominator == 1 for e in down.values())
        return "·".join(shown(s, -e) for s, e in down.items()) if whole else f"1/{shown_product(down)}"
    return shown_product(up, plural=True, brackets=False) + (f"/{shown_product(down)}" if down else "")


def best_prefix(units: str, magnitude: float) -> tuple[str, float]:
    """Choose the prefix that brings a value into the range 1…1000, for scale bars and readable numbers.

    Parameters
    ----------
    units : str
        Units; the prefix of the first factor is changed.
    magnitude : float
        A typical value in these units.

    Returns
    -------
    units : str
        The units with the better prefix; unchanged if they take none.
    factor : float
        By which values are multiplied.

    Examples
    --------
    >>> best_prefix("m", 5e-9)
    ('nm', 1000000000.0)
    """
    factors = factors_of(units)
    first, sign = next(iter(factors.items()), ("", Fraction(0)))
    symbol = table.SYMBOLS.get(first)
    if symbol is None or not symbol.steps or abs(sign) != 1 or not math.isfinite(magnitude) or magnitude == 0:
        return units, 1.0
    if sign == -1 and symbol.prefix == "c":  # wavenumbers stay in 1/cm
        return units, 1.0
    here = int(sign) * table.PREFIXES[symbol.prefix]
    # Tolerance: 1e-9 m is 1 nm, although 1e-9 / 1e-9 may come out below one.
    wanted = math.log10(abs(magnitude)) + here + 1e-9
    steps = sorted((int(sign) * table.PREFIXES[p], p) for p in ("", *symbol.steps))
    there, prefix = max((step for step in steps if step[0] <= wanted), default=steps[0])
    if there == here:
        return units, 1.0
    rest = {s: e for s, e in factors.items() if s != first}
    return format_units({prefix + symbol.base: sign, **rest}), float(Fraction(10) ** (here - there))


def dimensionality(units: str) -> str | None:
    """Say what units measure.

    Parameters
    ----------
    units : str
        Units.

    Returns
    -------
    str or None
        One of length, inverse_length, time, frequency, energy, voltage, current, angle, temperature, count,
        dimensionless; None for everything else.

    Examples
    --------
    >>> dimensionality("keV"), dimensionality("1/nm"), dimensionality("nA/V")
    ('energy', 'inverse_length', None)
    """
    factors = factors_of(units)
    if not factors.keys() <= table.SYMBOLS.keys():
        return None
    return table.DIMENSIONALITY.get(_dims(factors))


def dimension_type_of(units: str) -> str | None:
    """Guess the type of a dimension from the units of its coordinate.

    A guess: a wavelength in nm looks spatial, and only the name of the axis can tell. ``1/cm`` is taken for a
    wavenumber (spectral), other inverse lengths for a scattering vector; mrad and smaller for a scattering angle.

    Parameters
    ----------
    units : str
        Units of the coordinate.

    Returns
    -------
    str or None
        spatial, reciprocal, spectral or temporal; None where units tell nothing.

    Examples
    --------
    >>> dimension_type_of("um"), dimension_type_of("1/cm"), dimension_type_of("degree")
    ('spatial', 'spectral', None)
    """
    factors = factors_of(units)
    if factors == {"cm": -1} or factors == {"u": 1}:
        return "spectral"
    if factors == {"A": -1}:  # of the ångström: nobody sweeps an inverse current
        return "reciprocal"
    if len(factors) == 1 and factors.keys() <= {"mrad", "urad", "nrad"} and dimensionality(units) == "angle":
        return "reciprocal"
    return table.DIMENSION_TYPE.get(dimensionality(units) or "")


def _combine(a: Factors, b: Factors, sign: int) -> Factors:
    out = dict(a)
    for symbol, exponent in b.items():
        out[symbol] = out.get(symbol, Fraction(0)) + sign * exponent
    return {symbol: exponent for symbol, exponent in out.items() if exponent}


def _dims(factors: Mapping[str, Fraction]) -> table.Dims:
    """Return the powers of base dimensions; every symbol must be in the table."""
    out: dict[str, Fraction] = {}
    for symbol, exponent in factors.items():
        for name, n in table.SYMBOLS[symbol].dims:
            out[name] = out.get(name, Fraction(0)) + n * exponent
    return tuple(sorted((name, n) for name, n in out.items() if n))


def _size(factors: Mapping[str, Fraction]) -> float:
    """Return the size in SI units, exact as long as powers are whole."""
    exact, rough = Fraction(1), 1.0
    for symbol, exponent in factors.items():
        size = table.SYMBOLS[symbol].factor
        if exponent.denominator == 1:
            exact *= size**exponent.numerator
        else:
            rough *= float(size) ** float(exponent)
    return float(exact) * rough


def _describe(factors: Factors) -> str:
    dims = _dims(factors)
    return table.DIMENSIONALITY.get(dims) or format_units({name: Fraction(n) for name, n in dims})
