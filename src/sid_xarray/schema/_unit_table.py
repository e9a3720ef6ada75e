"""The words of units: symbols, names, prefixes, and what files write where they mean "no unit".

Data only; the rules that read them are in `units`. A spelling is canonical if pint, cf-xarray and UDUNITS all read it
as the same thing, which decides some rows against custom: ``coulomb`` (cf-xarray reads ``C`` as Celsius), ``degree``
(UDUNITS knows no ``deg``), ``torr`` (pint knows no ``Torr``), ``u`` (UDUNITS knows no ``Da``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import pi

__all__ = [
    "ALIASES",
    "ARBITRARY",
    "ARBITRARY_SYMBOLS",
    "NAMES",
    "OFFSETS",
    "OTHER_SYMBOLS",
    "PREFIXES",
    "SYMBOLS",
    "WHOLE_ALIASES",
    "Dims",
    "Symbol",
]

Dims = tuple[tuple[str, int | Fraction], ...]

PREFIXES: dict[str, int] = {
    "a": -18,
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "m": -3,
    "c": -2,
    "d": -1,
    "": 0,
    "h": 2,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
}
_WORDS = "atto femto pico nano micro milli centi deci - hecto kilo mega giga tera"
_PREFIX_NAMES = dict(zip(PREFIXES, _WORDS.replace("-", "").split(" "), strict=True))


@dataclass(frozen=True, slots=True)
class Symbol:
    """One unit with its prefix, such as ``nm``: what it measures, how large it is, how it is shown.

    Parameters
    ----------
    base : str
        The symbol without its prefix.
    prefix : str
        A key of `PREFIXES`.
    dims : tuple of (str, int)
        Powers of the base dimensions.
    factor : Fraction
        Size in coherent SI units.
    shown : str
        Spelling for labels.
    steps : str
        Prefixes among which a readable one may be chosen; empty if the unit is shown as it is.
    """

    base: str
    prefix: str
    dims: Dims
    factor: Fraction
    shown: str
    steps: str


# canonical | dimensions | size in SI units | prefixes | other symbols, which take the prefixes too | names | shown
# Radian, count and decibel are dimensions of their own here: counts per second are not hertz.
_ROWS = """
m         | m              | 1                | afpnumcdk   |               | meter metre              |
angstrom  | m              | 1e-10            |             | Å Ang ang     | angstrom angstroem ångström ångstrom | Å
inch      | m              | 0.0254           |             | in            | inch inche               | in
s         | s              | 1                | afpnum      | sec           | second sec               |
min       | s              | 60               |             |               | minute                   |
h         | s              | 3600             |             | hr            | hour hr                  |
day       | s              | 86400            |             | d             | day                      | d
g         | kg             | 1e-3             | fpnumk      |               | gram gramme              |
u         | kg             | 1.66053906660e-27 | k          | Da amu        | dalton                   |
A         | A              | 1                | afpnumk     |               | ampere amp               |
K         | K              | 1                | num         |               | kelvin                   |
degC      | K              | 1                |             | °C            | celsius degc             | °C
degF      | K              | 1                |             | °F            | fahrenheit degf          | °F
mol       | mol            | 1                | pnum        |               | mole                     |
rad       | rad            | 1                | num         | rads          | radian                   |
degree    | rad            | pi/180           | m           | deg           | degree deg dg            | °
arcmin    | rad            | pi/10800         |             |               | arcminute                |
arcsec    | rad            | pi/648000        | m           |               | arcsecond                |
sr        | rad2           | 1                |             |               | steradian                |
count     | count          | 1                | kM          | cts cnt Cts counts Counts | count cnt ct adu photon |
e         | A s            | 1.602176634e-19  |             |               | electron                 |
percent   |                | 0.01             |             | %             | percent                  | %
ppm       |                | 1e-6             |             |               | ppm                      |
dB        | dB             | 1                |             |               | decibel                  |
Hz        | s-1            | 1                | umkMGT      |               | hertz hz                   |
N         | kg m s-2       | 1                | afpnumkM    |               | newton                   |
Pa        | kg m-1 s-2     | 1                | umhkMG      |               | pascal                   |
bar       | kg m-1 s-2     | 1e5              | um          |               | bar                      |
torr      | kg m-1 s-2     | 101325/760       | um          | Torr          | torr                     | Torr
atm       | kg m-1 s-2     | 101325           |             |               | atmosphere               |
J         | kg m2 s-2      | 1                | afpnumkM    |               | joule                    |
eV        | kg m2 s-2      | 1.602176634e-19  | umkMG       |               | electronvolt             |
W         | kg m2 s-3      | 1                | fpnumkM     |               | watt                     |
V         | kg m2 s-3 A-1  | 1                | pnumkM      |               | volt                     |
ohm       | kg m2 s-3 A-2  | 1                | numkMGT     | Ω Ohm         | ohm                      | Ω
S         | kg-1 m-2 s3 A2 | 1                | pnumk       |               | siemen                   |
F         | kg-1 m-2 s4 A2 | 1                | afpnum      |               | farad                    |
coulomb   | A s            | 1                | afpnum      | C             | coulomb                  | C
T         | kg s-2 A-1     | 1                | fpnum       |               | tesla                    |
Wb        | kg m2 s-2 A-1  | 1                | num         |               | weber                    |
H         | kg m2 s-2 A-2  | 1                | pnum        |               | henry                    |
gauss     | gauss          | 1                | mk          | G             | gauss                    | G
oersted   | oersted        | 1                | mk          | Oe            | oersted                  | Oe
L         | m3             | 1e-3             | num         | l             | liter litre              |
"""

OFFSETS = frozenset({"degC", "degF"})

# Powers of the base dimensions, sorted by name.
DIMENSIONALITY: dict[Dims, str] = {
    (): "dimensionless",
    (("m", 1),): "length",
    (("m", -1),): "inverse_length",
    (("s", 1),): "time",
    (("s", -1),): "frequency",
    (("kg", 1), ("m", 2), ("s", -2)): "energy",
    (("A", -1), ("kg", 1), ("m", 2), ("s", -3)): "voltage",
    (("A", 1),): "current",
    (("rad", 1),): "angle",
    (("K", 1),): "temperature",
    (("count", 1),): "count",
}
# A guess; see `units.dimension_type_of`.
DIMENSION_TYPE = {
    "length": "spatial",
    "inverse_length": "reciprocal",
    "time": "temporal",
    "frequency": "spectral",
    "energy": "spectral",
    "voltage": "spectral",
}

# Spellings that no rule explains; the value is read again, so it may be an expression.
ALIASES: dict[str, str] = {
    "micron": "um",
    "microns": "um",
    "Micron": "um",
    "Microns": "um",
    "ev": "eV",
    "EV": "eV",
    "Ev": "eV",
    "kev": "keV",
    "Kev": "keV",
    "KEV": "keV",
    "khz": "kHz",
    "Khz": "kHz",
    "KHZ": "kHz",
    "MHZ": "MHz",
    "kv": "kV",
    "Kv": "kV",
    "cps": "count/s",
    "CPS": "count/s",
    "kcps": "kcount/s",
    "mR": "mrad",  # MSA/EMSA header; pint would read milliroentgen
    "Nm": "N*m",
    "As": "A*s",
    "Vs": "V*s",
    "VA": "V*A",
    "Ah": "A*h",
    "C°": "degC",
    "A°": "angstrom",
}

# Whole texts only.
WHOLE_ALIASES: dict[str, str] = {
    "l/mm": "1/mm",  # lines of a grating, not litres
    "*C": "degC",
    "number of detector counts": "count",
}

# Whole texts, lower case, white space single: "no unit", a counted index, or a quantity without one.
ARBITRARY = frozenset(
    """
    |none|null|nan|undefined|<undefined>|unknown|unknown unit|unknown units|unit|units|no unit|no units|generic
    |unitless|dimensionless|n/a|-|--|---|?|#|[]|()|{}|1|1.0|x|xn|on/off|m/z|compound|intensity|arbitrary
    |arb|arb.|arb. unit|arb. units|arb unit|arb units|arb.unit|arb.units|arb. u.|arb.u.|arbitrary unit|arbitrary units
    |a.u.|a. u.|a.u|a. u|a u|au|a.u.a.|[a.u.]|(a.u.)|[a. u.]|row(s)|column(s)|frame(s)|pixel(s)|line(s)
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)

# Symbols, lower case, that count as 1 inside a product too: "lines/sec", "e-/pixel", "V/LSB", "nN/Arb", "gr/mm".
_ARBITRARY_SYMBOLS = """
arb px pix pixel pixels lsb frame frames line lines row rows column columns slice slices point points pts pnt index
indices channel channels sample samples step steps scan scans gr groove grooves
"""
ARBITRARY_SYMBOLS = frozenset(_ARBITRARY_SYMBOLS.split())


def _dims(text: str) -> Dims:
    pairs = []
    for word in text.split():
        name = word.rstrip("-0123456789")
        pairs.append((name, int(word[len(name) :] or 1)))
    return tuple(pairs)


def _size(text: str) -> Fraction:
    head, _, tail = text.partition("/")
    return (Fraction(pi) if head == "pi" else Fraction(head)) / (Fraction(tail) if tail else 1)


def _read() -> tuple[dict[str, Symbol], dict[str, str], dict[str, str]]:
    """Expand the rows with their prefixes: canonical symbols, other symbols for them, names in lower case."""
    symbols: dict[str, Symbol] = {}
    others: dict[str, str] = {}
    names: dict[str, str] = {}
    for row in _ROWS.strip().splitlines():
        base, dims, size, prefixes, marks, words, shown = (cell.strip() for cell in row.split("|"))
        # With three prefixes or more, people choose the one that makes the number readable.
        steps = "".join(p for p in prefixes if p not in "cdh") if len(prefixes) > 2 else ""
        for prefix in ("", *prefixes):
            name = prefix + base
            label = ("µ" if prefix == "u" else prefix) + (shown or base)
            factor = _size(size) * Fraction(10) ** PREFIXES[prefix]
            symbols[name] = Symbol(base, prefix, _dims(dims), factor, label, steps)
            others |= {prefix + mark: name for mark in (*marks.split(), shown) if mark}
            if prefix == "k":  # Nanoscope and others write KHz; no symbol here begins with a K of its own
                others |= {"K" + mark: name for mark in (base, *marks.split())}
            for word in words.split():
                names |= {_PREFIX_NAMES[prefix] + word + plural: name for plural in ("", "s")}
    return symbols, {k: v for k, v in others.items() if k not in symbols}, names


SYMBOLS, OTHER_SYMBOLS, NAMES = _read()
