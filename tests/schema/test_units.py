"""Units: every spelling in `SPELLINGS` stands in vendor files, or is what a common reader makes of them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sid_xarray.errors import UnitsError
from sid_xarray.schema import _unit_table as table
from sid_xarray.schema._unit_text import factors_of
from sid_xarray.schema.units import (
    Unit,
    best_prefix,
    convert_factor,
    dimension_type_of,
    dimensionality,
    display,
    divide,
    multiply,
    normalise,
    parse_quantity,
    power,
)

# found, axis hint, canonical
SPELLINGS: list[tuple[object, str | None, str]] = [
    # NSID and USID files
    ("", None, "1"),
    (" ", None, "1"),
    (None, None, "1"),
    ("generic", None, "1"),
    ("a.u.", None, "1"),
    ("a. u.", None, "1"),
    ("a.u", None, "1"),
    ("Units", None, "1"),
    ("compound", None, "1"),
    ("Unknown Units", None, "1"),
    (" m\n", None, "m"),
    ("b' m\\n'", "spatial", "m"),
    ("b'nm'", "spatial", "nm"),
    ("b''", None, "1"),
    (b"kHz", "spectral", "kHz"),
    (b"nm\0\0", "spatial", "nm"),
    ("$A/m^2$", None, "A/m^2"),
    ("$(V/m)^{0.5}$", "spectral", "V^(1/2)/m^(1/2)"),
    ("nm", "spatial", "nm"),
    ("m", "spatial", "m"),
    ("cm", "spatial", "cm"),
    ("V", "spectral", "V"),
    ("V", None, "V"),
    ("Hz", "spectral", "Hz"),
    ("rad", None, "rad"),
    ("s", "temporal", "s"),
    ("eV", "spectral", "eV"),
    ("1/nm", "reciprocal", "1/nm"),
    ("um", "spatial", "um"),
    ("µm", "spatial", "um"),
    ("Å", "spatial", "angstrom"),
    ("Å·s⁻¹", None, "angstrom/s"),
    ("C", "spectral", "degC"),
    ("C", None, "coulomb"),
    ("A", None, "A"),
    ("nA", None, "nA"),
    ("pF", None, "pF"),
    ("deg", None, "degree"),
    ("counts", None, "count"),
    ("meters", "spatial", "m"),
    ("Volts", None, "V"),
    ("degrees", None, "degree"),
    ("radians", None, "rad"),
    ("Celsius", None, "degC"),
    ("unknown", None, "1"),
    ("frame", "temporal", "1"),
    ("pixel", "spatial", "1"),
    ("pixels", "spatial", "1"),
    # Digital Micrograph dm3, dm4
    ("Counts", None, "count"),
    ("e-", None, "e"),
    ("e", None, "e"),
    ("A", "spatial", "angstrom"),
    ("1/A", "reciprocal", "1/angstrom"),
    ("1/A", "unknown", "1/angstrom"),
    ("1/µm", "reciprocal", "1/um"),
    ("\u03bcm", "spatial", "um"),
    (b"\xb5m", "spatial", "um"),
    ("pm", "spatial", "pm"),
    ("keV", "spectral", "keV"),
    ("mrad", "reciprocal", "mrad"),
    ("row(s)", None, "1"),
    # Berkeley EMD and what HyperSpy writes for it, py4DSTEM
    ("n_m", "spatial", "nm"),
    ("[n_m]", "spatial", "nm"),
    ("[u_m]", "spatial", "um"),
    ("[1_/_n_m]", "reciprocal", "1/nm"),
    ("[k_e_V]", "spectral", "keV"),
    ("[]", None, "1"),
    ("A^-1", "reciprocal", "1/angstrom"),
    ("1/Å", "reciprocal", "1/angstrom"),
    # Velox, TIA, FEI
    ("uA", None, "uA"),
    ("kV", None, "kV"),
    ("%", None, "percent"),
    ("x", None, "1"),
    # HyperSpy, rosettasciio: MSA/EMSA, ripple, Bruker, JEOL, TVIPS, Protochips, Tofwerk
    ("<undefined>", "spatial", "1"),
    ("Energy Loss (eV)", "spectral", "eV"),
    ("Intensity", None, "1"),
    ("mR", "reciprocal", "mrad"),
    ("dg", None, "degree"),
    ("kcts", None, "kcount"),
    ("(Counts)", None, "count"),
    ("Counts/s", None, "count/s"),
    ("nm^-1", "reciprocal", "1/nm"),
    ("1 / nm", "reciprocal", "1/nm"),
    ("cm-1", "spectral", "1/cm"),
    ("Seconds", "temporal", "s"),
    ("Milliseconds", "temporal", "ms"),
    ("sec", "temporal", "s"),
    ("mrads", "reciprocal", "mrad"),
    ("points", "point_cloud", "1"),
    ("pix", "spatial", "1"),
    ("slice", None, "1"),
    ("Da", "spectral", "u"),
    ("mm", "spatial", "mm"),
    ("inches", "spatial", "inch"),
    ("g/m^3", None, "g/m^3"),
    ("N/m^2", None, "N/m^2"),
    # Renishaw WiRE, Horiba LabSpec, SPC, Attolight
    ("1/cm", "spectral", "1/cm"),
    ("electrons", None, "e"),
    ("nanometer", "spectral", "nm"),
    ("Nanometer", "spectral", "nm"),
    ("micrometer", "spatial", "um"),
    ("electron_volt", "spectral", "eV"),
    ("kelvin", None, "K"),
    ("K/min", None, "K/min"),
    ("hours", "temporal", "h"),
    ("days", "temporal", "day"),
    ("°C", None, "degC"),
    ("°F", None, "degF"),
    ("µs", "temporal", "us"),
    ("ns", "temporal", "ns"),
    ("Cnt/sec", None, "count/s"),
    ("Acq. time (s)", "temporal", "s"),
    ("Detector temperature (°C)", None, "degC"),
    ("gr/mm", None, "1/mm"),
    ("Torr", None, "torr"),
    ("W", None, "W"),
    # imzML
    ("m/z", "spectral", "1"),
    ("number of detector counts", None, "count"),
    # Nanonis sxm, 3ds, dat
    ("A/V", None, "A/V"),
    ("V/V", None, "1"),
    ("V/m^2", None, "V/m^2"),
    ("V/nm", None, "V/nm"),
    ("V/nm/s", None, "V/nm/s"),
    ("V/s", None, "V/s"),
    ("m/V", None, "m/V"),
    ("m/s", None, "m/s"),
    ("Hz/rad", None, "Hz/rad"),
    ("Hz/rad/s", None, "Hz/rad/s"),
    ("on/off", None, "1"),
    ("xn", None, "1"),
    # Bruker Nanoscope
    ("º", None, "degree"),
    ("~m", "spatial", "um"),
    ("KHz", "spectral", "kHz"),
    ("MHz", "spectral", "MHz"),
    ("Arb", None, "1"),
    ("nN/Arb", None, "nN"),
    ("N/m*Arb", None, "N/m"),
    ("MPa/Arb", None, "MPa"),
    ("V/LSB", None, "V"),
    ("mV/V", None, "mV/V"),
    ("nN/V", None, "nN/V"),
    ("pA/V", None, "pA/V"),
    ("V/A", None, "V/A"),
    # WSxM, Nanosurf, Anasys, RHK, NT-MDT, Molecular Vista, Asylum, Gwyddion
    ("Deg", None, "degree"),
    ("*C", None, "degC"),
    ("nm/nm", None, "1"),
    ("KHz/V", None, "kHz/V"),
    ("Å/V", None, "angstrom/V"),
    ("NoneV", None, "V"),
    ("mW", None, "mW"),
    ("m/As", None, "m/A/s"),
    ("um/sec", None, "um/s"),
    ("pnt", None, "1"),
    ("lines/sec", None, "1/s"),
    ("°", None, "degree"),
    ("\ufffdm", "spatial", "um"),
    ("{nm/V}", None, "nm/V"),
    ("N", None, "N"),
]

# As people type and typeset them, and as wrong decoding leaves them.
TYPED: list[tuple[object, str | None, str]] = [
    ("Â°", None, "degree"),
    ("[n_m^-1]", "reciprocal", "1/nm"),
    ("e-/A^2", None, "e/angstrom^2"),
    ("e-/pixel", None, "e"),
    ("nm⁻¹", "reciprocal", "1/nm"),
    ("nm-1", "reciprocal", "1/nm"),
    ("cm -1", "spectral", "1/cm"),
    ("Å⁻¹", "reciprocal", "1/angstrom"),
    ("A\u030a", "spatial", "angstrom"),
    ("\u212b", "spatial", "angstrom"),
    ("Angstrom", "spatial", "angstrom"),
    (r"$\mu m$", "spatial", "um"),
    (r"$\mathrm{nm}^{-1}$", "reciprocal", "1/nm"),
    (r"$\AA^{-1}$", "reciprocal", "1/angstrom"),
    (r"$\frac{nA}{V}$", None, "nA/V"),
    (r"$V/\sqrt{Hz}$", None, "V/Hz^(1/2)"),
    ("V/√Hz", None, "V/Hz^(1/2)"),
    ("microns", "spatial", "um"),
    ("micrometers", "spatial", "um"),
    ("metres", "spatial", "m"),
    ("seconds", "temporal", "s"),
    ("ev", "spectral", "eV"),
    ("electron volts", "spectral", "eV"),
    ("degrees Celsius", None, "degC"),
    ("volt", None, "V"),
    ("[m]", "spatial", "m"),
    ("(nm)", "spatial", "nm"),
    ("nA/V", None, "nA/V"),
    ("A*s", None, "A*s"),
    ("A·m", None, "A*m"),
    ("m s^-1", None, "m/s"),
    ("m.s-1", None, "m/s"),
    ("kg m^2/s^2", None, "kg*m^2/s^2"),
    ("W/(m*K)", None, "W/m/K"),
    ("counts per second", None, "count/s"),
    ("counts/a.u.", None, "count"),
    ("arb. units", None, "1"),
    ("arbitrary units", None, "1"),
    ("MΩ", None, "Mohm"),
    ("µC/cm²", None, "ucoulomb/cm^2"),
    ("mTorr", None, "mtorr"),
    ("dB", None, "dB"),
    ("Nm", None, "N*m"),
    ("sec.", "temporal", "s"),
    (["nm"], "spatial", "nm"),
    (float("nan"), None, "1"),
    (1, None, "1"),
]
UNKNOWN = [
    "Angle",
    "test_units",
    "x_units",
    "10 nm",
    "L[2]*[]",
    "12 db/oct",
    "½",
    "%%",
    "a/",
    "m^",
    "((",
    "V (m)",
    "nm^(1/0)",
]
KNOWN = sorted({canonical for _, _, canonical in SPELLINGS + TYPED})


def label(value: object) -> str:
    return ascii(value)


@pytest.mark.parametrize(("found", "axis", "expected"), SPELLINGS + TYPED, ids=label)
def test_spelling(found, axis, expected):
    unit = normalise(found, axis=axis)
    assert unit.canonical == expected
    assert unit.known


def test_many_spellings():
    assert len(SPELLINGS) >= 140
    assert len({(repr(found), axis) for found, axis, _ in SPELLINGS + TYPED}) == len(SPELLINGS + TYPED)


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_text_is_not_damaged(text):
    assert normalise(text) == Unit(text, None, False)
    assert display(text) == text
    assert dimensionality(text) is None
    assert dimension_type_of(text) is None


@pytest.mark.parametrize(
    ("found", "original"),
    [("nm", None), ("", None), (" \n", None), (None, None), ("a.u.", "a.u."), (" m\n", " m\n"), (b"\xb5m", "µm")],
)
def test_the_spelling_found_is_kept(found, original):
    assert normalise(found).original == original


@pytest.mark.parametrize("symbol", sorted(table.SYMBOLS))
def test_every_symbol_is_its_own_canonical_spelling(symbol):
    assert normalise(symbol).canonical == symbol
    assert normalise(symbol, axis="spectral").canonical == symbol


@pytest.mark.parametrize("canonical", KNOWN)
def test_canonical_spelling_is_stable_on_every_axis(canonical):
    for axis in (None, "spectral", "temporal", "unknown"):
        assert normalise(canonical, axis=axis) == Unit(canonical, None, True)


@given(st.text(), st.sampled_from([None, "spatial", "reciprocal", "spectral", "unknown"]))
def test_normalise_takes_any_text_and_is_idempotent(text, axis):
    once = normalise(text, axis=axis)
    assert normalise(once.canonical, axis=axis).canonical == once.canonical
    assert once.known or once.canonical == text.strip()


scraps = [
    "nm",
    "µ",
    "m",
    "A",
    "/",
    "^",
    "-1",
    "2",
    " ",
    "(",
    ")",
    "1",
    "s",
    "°",
    "C",
    "$",
    "\\mu ",
    "{",
    "}",
    "*",
    ".",
    "_",
    "[",
    "]",
    "√",
    "⁻¹",
    "e-",
]


@given(st.lists(st.sampled_from(scraps), max_size=8).map("".join), st.sampled_from([None, "spatial", "spectral"]))
def test_normalise_is_idempotent_on_scraps_of_units(text, axis):
    once = normalise(text, axis=axis)
    assert normalise(once.canonical, axis=axis).canonical == once.canonical
    assert once.known or once.canonical == text.strip()


def test_long_and_deep_text_is_left_alone():
    for text in ("nm" * 500, "(" * 190, "(" * 90 + "nm" + ")" * 90, "m^" + "9" * 150, "1" * 199):
        assert normalise(text).canonical in (text, "nm")


# --- others read what we write


def dimensions_in(registry, text):
    return dict(registry.parse_units(text).dimensionality)


@pytest.fixture(scope="module")
def pint_registry():
    return pytest.importorskip("pint").UnitRegistry()


@pytest.fixture(scope="module")
def cf_registry():
    pytest.importorskip("pint")
    return pytest.importorskip("cf_xarray.units").units


PINT_BASES = {"m": "length", "kg": "mass", "s": "time", "A": "current", "K": "temperature", "mol": "substance"}


def dimensions_here(canonical):
    """Dimensions by our table, in pint's words; radian and count are numbers to pint."""
    out = {}
    for symbol, exponent in factors_of(canonical).items():
        for base, n in table.SYMBOLS[symbol].dims:
            if base in PINT_BASES:
                name = f"[{PINT_BASES[base]}]"
                out[name] = out.get(name, 0) + float(n * exponent)
    return {name: n for name, n in out.items() if n}


@pytest.mark.parametrize("canonical", [*KNOWN, *sorted(table.SYMBOLS)])
def test_pint_reads_the_canonical_spelling(pint_registry, canonical):
    found = dimensions_in(pint_registry, "" if canonical == "1" else canonical)
    if not canonical.endswith(("gauss", "oersted")):  # pint takes them for Gaussian units
        assert found == pytest.approx(dimensions_here(canonical))


@pytest.mark.parametrize("canonical", [*KNOWN, *sorted(table.SYMBOLS)])
def test_cf_xarray_reads_the_canonical_spelling(cf_registry, pint_registry, canonical):
    found = dimensions_in(cf_registry, canonical)
    # cf-xarray makes C an alias of Celsius, which breaks pint's definitions of e and eV by the coulomb.
    bases = {table.SYMBOLS[s].base for s in re.findall(r"[a-zA-Z]+", canonical)}
    if not {"e", "eV"} & bases:
        assert found == pytest.approx(dimensions_in(pint_registry, "" if canonical == "1" else canonical))


def test_why_the_coulomb_is_spelled_out(cf_registry):
    assert dict(cf_registry.parse_units("C").dimensionality) == {"[temperature]": 1}
    assert dict(cf_registry.parse_units("ucoulomb").dimensionality) == {"[current]": 1, "[time]": 1}


# --- algebra


@pytest.mark.parametrize(
    ("a", "b", "product", "quotient"),
    [
        ("nA", "V", "nA*V", "nA/V"),
        ("nm", "nm", "nm^2", "1"),
        ("1", "nm", "nm", "1/nm"),
        ("A/m^2", "m^2", "A", "A/m^4"),
        ("V", "1/nm", "V/nm", "V*nm"),
        ("count", "s", "count*s", "count/s"),
        ("", "a.u.", "1", "1"),
        ("µm", "Å", "um*angstrom", "um/angstrom"),
        ("Angle", "V", "Angle*V", "Angle/V"),
        ("Energy Loss", "V", "(Energy Loss)*V", "(Energy Loss)/V"),
        ("test_units", "test_units", "test_units^2", "1"),
        ("Energy Loss", "Energy Loss", "(Energy Loss)^2", "1"),
    ],
)
def test_products(a, b, product, quotient):
    assert multiply(a, b) == product
    assert divide(a, b) == quotient


@pytest.mark.parametrize(
    ("a", "n", "expected"),
    [
        ("nm", 2, "nm^2"),
        ("nm", -1, "1/nm"),
        ("nA/V", -1, "V/nA"),
        ("Hz", 0.5, "Hz^(1/2)"),
        ("Hz", Fraction(-1, 2), "1/Hz^(1/2)"),
        ("V^2/Hz", 0.5, "V/Hz^(1/2)"),
        ("eV", 0, "1"),
        ("m", 1 / 3, "m^(1/3)"),
        ("Energy Loss", 1, "Energy Loss"),
        ("1", 7, "1"),
    ],
)
def test_powers(a, n, expected):
    assert power(a, n) == expected


def test_power_must_be_finite():
    with pytest.raises(UnitsError, match="finite power"):
        power("nm", float("nan"))


units = st.one_of(
    st.sampled_from(sorted(table.SYMBOLS)),
    st.sampled_from([*KNOWN, "Angle", "test_units", "Energy Loss"]),
)
products = st.tuples(units, units, units).map(lambda u: divide(multiply(u[0], u[1]), u[2]))


def same(a: str, b: str) -> bool:
    return divide(a, b) == "1"


@given(products, products)
def test_multiplication_and_division_are_inverse(a, b):
    assert same(divide(multiply(a, b), b), a)
    assert same(multiply(a, b), multiply(b, a))
    assert same(divide(a, b), multiply(a, power(b, -1)))
    assert multiply(a, "1") == divide(a, "1") == a
    assert divide(a, a) == "1"


@given(products, st.sampled_from([1, 2, -1, 3, Fraction(1, 2), Fraction(2, 3)]), st.sampled_from([1, 2, -2]))
def test_powers_compose(a, m, n):
    assert same(power(power(a, m), 1 / Fraction(m)), a)
    assert same(multiply(power(a, m), power(a, n)), power(a, m + n))


@given(products)
def test_results_of_the_algebra_are_canonical(a):
    assert normalise(a).canonical == a


# --- conversion


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("um", "nm", 1000.0),
        ("nm", "um", 0.001),
        ("angstrom", "nm", 0.1),
        ("keV", "meV", 1e6),
        ("1/nm", "1/angstrom", 0.1),
        ("1/cm", "1/um", 1e-4),
        ("V/nm", "kV/cm", 1e4),
        ("nA/V", "nS", 1.0),
        ("inch", "mm", 25.4),
        ("degree", "rad", math.pi / 180),
        ("percent", "1", 0.01),
        ("mV/V", "1", 1e-3),
        ("V^(1/2)", "mV^(1/2)", math.sqrt(1000)),
        ("h", "s", 3600.0),
        ("kcount", "count", 1000.0),
        ("Hz", "1/s", 1.0),
        ("eV", "J", 1.602176634e-19),
        ("test_units", "test_units", 1.0),
        ("degC", "degC", 1.0),
        ("µm", "Å", 1e4),
    ],
)
def test_factor(source, target, factor):
    assert convert_factor(source, target) == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("nm", "eV", r"cannot convert 'nm' \(length\) to 'eV' \(energy\): they measure different things"),
        ("nA/V", "s", r"\(A\^2\*s\^3/kg/m\^2\) to 's' \(time\)"),
        ("count/s", "Hz", "different things"),
        ("degC", "K", r"different zero points.*K = degC \+ 273\.15"),
        ("Angle", "rad", "'Angle' is not a unit that can be converted"),
        ("nm", "pix_x", "'pix_x' is not a unit"),
        ("m^50", "1/Tohm", "different things"),
    ],
)
def test_no_factor(source, target, message):
    with pytest.raises(UnitsError, match=message):
        convert_factor(source, target)


def test_factor_too_large_for_a_float():
    with pytest.raises(UnitsError, match="does not fit a float"):
        convert_factor("km^50", "fm^50")


PAIRS = [
    (a, b)
    for a in sorted(table.SYMBOLS)
    for b in sorted(table.SYMBOLS)
    if table.SYMBOLS[a].dims == table.SYMBOLS[b].dims and a not in table.OFFSETS and b not in table.OFFSETS
]


@given(st.sampled_from(PAIRS), st.sampled_from(PAIRS), st.sampled_from([1, 2, -1, Fraction(1, 2)]))
def test_factors_are_inverse_and_multiply(pair, other, n):
    (a, b), (c, d) = pair, other
    there = convert_factor(power(a, n), power(b, n))
    assert there * convert_factor(power(b, n), power(a, n)) == pytest.approx(1, rel=1e-14)
    assert there == pytest.approx(convert_factor(a, b) ** float(n), rel=1e-12)
    both = convert_factor(multiply(a, c), multiply(b, d))
    assert both == pytest.approx(convert_factor(a, b) * convert_factor(c, d), rel=1e-12)


def test_factors_are_those_of_pint(pint_registry):
    for a, b in PAIRS:
        expected = pint_registry.Quantity(1.0, pint_registry.parse_units(a)).to(pint_registry.parse_units(b)).magnitude
        assert convert_factor(a, b) == pytest.approx(expected, rel=1e-8), (a, b)


# --- quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5 nm", (0.5, "nm")),
        ("2e-3 1/nm", (2e-3, "1/nm")),
        ("10um", (10.0, "um")),
        ("10 µm", (10.0, "um")),
        (" 5 ", (5.0, "")),
        ("5eV", (5.0, "eV")),
        ("-1.5E3 mV", (-1500.0, "mV")),
        ("−2 V", (-2.0, "V")),
        (".5 Å", (0.5, "angstrom")),
        ("5/nm", (5.0, "1/nm")),
        ("50 %", (50.0, "percent")),
        ("5 A", (5.0, "A")),
        ("20 C", (20.0, "C")),
        ("3 test_units", (3.0, "test_units")),
        ("3 pixels", (3.0, "1")),
    ],
)
def test_quantity(text, expected):
    assert parse_quantity(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nm", "Put a number first"),
        ("", "expected a number"),
        ("nan nm", "expected a number"),
        ("0,5 nm", "Write decimals with a point"),
        ("5 5 nm", "found '5 nm'"),
        ("1e999 m", "finite number"),
        ("5 - 6 nm", "found '- 6 nm'"),
    ],
)
def test_no_quantity(text, message):
    with pytest.raises(UnitsError, match=message):
        parse_quantity(text)


def test_quantity_must_be_text():
    with pytest.raises(TypeError, match=r"expected text such as '0\.5 nm', got 5"):
        parse_quantity(5)  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(sorted(set(table.SYMBOLS) - {"A"})))
def test_quantity_round_trip(number, symbol):
    assert parse_quantity(f"{number!r} {symbol}") == (number, symbol)


# --- labels


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("um", "µm"),
        ("angstrom", "Å"),
        ("1/nm", "nm⁻¹"),
        ("1/cm", "cm⁻¹"),
        ("A/m^2", "A/m²"),
        ("nA*V", "nA·V"),
        ("m/A/s", "m/(A·s)"),
        ("1/m/s", "m⁻¹·s⁻¹"),
        ("degree", "°"),
        ("degC", "°C"),
        ("Mohm", "MΩ"),
        ("ucoulomb/cm^2", "µC/cm²"),
        ("percent", "%"),
        ("count", "counts"),
        ("count/s", "counts/s"),
        ("V/Hz^(1/2)", "V/√Hz"),
        ("1/Hz^(1/2)", "1/√Hz"),
        ("V^(1/2)/m^(1/2)", "√(V/m)"),
        ("m^(3/2)", "m^(3/2)"),
        ("1", ""),
        ("", ""),
        ("Angle", "Angle"),
    ],
)
def test_display(units, expected):
    assert display(units) == expected


@given(products.filter(lambda u: normalise(u).known))
def test_labels_are_read_back(units):
    assert same(normalise(display(units)).canonical, units)


@pytest.mark.parametrize(
    ("units", "magnitude", "expected"),
    [
        ("m", 5e-9, ("nm", 1e9)),
        ("m", 1e-9, ("nm", 1e9)),
        ("m", -2.5e-6, ("um", 1e6)),
        ("nm", 5e4, ("um", 1e-3)),
        ("nm", 50.0, ("nm", 1.0)),
        ("m", 1e-30, ("am", 1e18)),
        ("mrad", 5e3, ("rad", 1e-3)),
        ("A/m^2", 2e-9, ("nA/m^2", 1e9)),
        ("1/um", 5e3, ("1/nm", 1e-3)),
        ("1/m", 5e9, ("1/nm", 1e-9)),
        ("1/cm", 3000.0, ("1/cm", 1.0)),
        ("angstrom", 1e9, ("angstrom", 1.0)),
        ("count", 1e9, ("count", 1.0)),
        ("nm^2", 1e9, ("nm^2", 1.0)),
        ("Angle", 1e9, ("Angle", 1.0)),
        ("m", 0.0, ("m", 1.0)),
        ("m", math.inf, ("m", 1.0)),
        ("1", 1e9, ("1", 1.0)),
    ],
)
def test_best_prefix(units, magnitude, expected):
    assert best_prefix(units, magnitude) == expected


@given(st.sampled_from(sorted(table.SYMBOLS)), st.floats(1e-20, 1e20))
def test_best_prefix_is_a_conversion(units, magnitude):
    better, factor = best_prefix(units, magnitude)
    assert factor == pytest.approx(convert_factor(units, better), rel=1e-15)
    symbol = table.SYMBOLS[units]
    steps = [table.PREFIXES[p] for p in ("", *symbol.steps)]
    there = table.PREFIXES[table.SYMBOLS[better].prefix]
    if symbol.steps and min(steps) < there < max(steps):
        assert 0.999 < magnitude * factor < 1000.001


# --- what units measure


@pytest.mark.parametrize(
    ("units", "kind", "dimension_type"),
    [
        ("nm", "length", "spatial"),
        ("angstrom", "length", "spatial"),
        ("1/nm", "inverse_length", "reciprocal"),
        ("1/angstrom", "inverse_length", "reciprocal"),
        ("1/A", None, "reciprocal"),
        ("1/cm", "inverse_length", "spectral"),
        ("s", "time", "temporal"),
        ("kHz", "frequency", "spectral"),
        ("1/s", "frequency", "spectral"),
        ("eV", "energy", "spectral"),
        ("J", "energy", "spectral"),
        ("V", "voltage", "spectral"),
        ("nA", "current", None),
        ("mrad", "angle", "reciprocal"),
        ("rad", "angle", None),
        ("degree", "angle", None),
        ("K", "temperature", None),
        ("degC", "temperature", None),
        ("count", "count", None),
        ("1", "dimensionless", None),
        ("percent", "dimensionless", None),
        ("mV/V", "dimensionless", None),
        ("u", None, "spectral"),
        ("nA/V", None, None),
        ("count/s", None, None),
        ("V^(1/2)/m^(1/2)", None, None),
    ],
)
def test_what_units_measure(units, kind, dimension_type):
    assert dimensionality(units) == kind
    assert dimension_type_of(units) == dimension_type
