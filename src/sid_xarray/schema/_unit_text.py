"""Reading units: first the spelling is made plain, then a small grammar takes it apart; and writing them again."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache

from sid_xarray.schema import _unit_table as table

__all__ = ["Factors", "as_text", "canonical", "factors_of", "format_units", "shown", "shown_product"]

Factors = dict[str, Fraction]

_LENGTH_AXES = frozenset({"spatial", "reciprocal", "point_cloud", "length"})
_LABELLED = re.compile(r"([^\W\d_][^*/^()\[\]]*)\s[(\[]([^()\[\]]+)[)\]]")
_MAX_LENGTH = 200
_MAX_POWER = 60


class Unreadable(Exception):
    """The text is no product of known units."""


_PLAIN = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "‐": "-",
        "‑": "-",
        "·": "*",
        "⋅": "*",
        "∙": "*",
        "•": "*",
        "×": "*",
        "∕": "/",
        "⁄": "/",
        "÷": "/",
        "º": "°",  # the ordinal sign, as Bruker writes degrees
        "˚": "°",
        "\u200b": "",
        "\ufeff": "",
    }
)
_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")

# Applied in this order. Text that was UTF-8 and read as Latin-1 or ASCII comes first, then LaTeX, then words.
_Replacement = str | Callable[[re.Match[str]], str]
_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^b(['\"])(.*)\1$", r"\2"),  # str(bytes): "b'nm'"
        (r"\\n$", ""),
        (r"Â(?=[µ°²³·º])", ""),
        (r"Î¼", "µ"),
        (r"Ã…", "Å"),
        (r"^~(?=[A-Za-z]$)", "µ"),  # Nanoscope: "~m"
        (r"^\ufffd(?=[msAVNFWg](?![A-Za-z]))", "µ"),
        (r"^\ufffd(?=C$)", "°"),
        (r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0].translate(_SUPER)),
        (r"⁻", "-"),
        (r"\\(?:mathrm|mathit|mathsf|mathbf|text|textrm|textit|mbox|si|unit|operatorname|rm)(?![a-zA-Z])\s*", ""),
        (r"\\(?:up|text)?mu(?:p)?(?![a-zA-Z])\s*", "µ"),
        (r"\\micro(?![a-zA-Z])\s*", "µ"),
        (r"\\(?:AA|angstrom|r\s*\{A\}|mathring\s*\{A\})(?![a-zA-Z])(?:\{\})?", "Å"),
        (r"\\(?:Omega|ohm)(?![a-zA-Z])", "Ω"),
        (r"\^?\{?\s*\\(?:circ|degree|textdegree)(?![a-zA-Z])\s*\}?", "°"),
        (r"\\(?:cdot|times)(?![a-zA-Z])", "*"),
        (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"(\1)/(\2)"),
        (r"\\sqrt\s*\{([^{}]*)\}", r"(\1)^(1/2)"),
        (r"\\[,;:! ]|\\(?=%)|\$", " "),
        (r"√\s*\(([^()]*)\)|\bsqrt\s*\(([^()]*)\)", lambda m: f"({m[1] or m[2]})^(1/2)"),
        (r"√\s*([^\W\d_]+)", r"\1^(1/2)"),
        (r"\{([+-]?[\d./]+)\}", r"(\1)"),
        (r"\{([^{}]*)\}", r" \1 "),
        (r"\*\*", "^"),
        (r"(?i)\b(?:deg(?:ree)?s?\.?[ _]*|°\s*)c(?:elsius)?$", "degC"),
        (r"(?i)\belectron[ -]?volt(s?)\b", r"electronvolt\1"),
        (r"(?<![A-Za-z])(?:e-|electrons?)\s*/\s*A(?=\^?2)", "e/Å"),  # a dose; nobody squares amperes there
        (r"(?<![A-Za-z])e-(?![\w(])", "e"),
        (r"(?<=[\w)\]])\s+per\s+(?=\w)", "/"),
        (r"(?<![A-Za-z.])(?:a\.\s?u\.?|arb\.?\s?(?:units?\b|u\.)|arb\.)(?![A-Za-z])(?=\s*[*/^])", "arb"),
        (r"(?<=[*/])\s*(?:a\.\s?u\.?|arb\.?\s?(?:units?\b|u\.)|arb\.)(?![A-Za-z])", "arb"),
    )
)

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<word>°[CF]\b|[^\W\d_]+°?|[°%])|(?P<mark>[*/^().·+-]))")
_OPAQUE = re.compile(r"(?P<number>\d+(?:\.\d+)?)|(?P<word>[^\W\d_]\w*|[°%])|(?P<mark>[*/^()-])")


def tidy(text: str) -> str:
    """Make a spelling plain: no LaTeX, no superscripts, one micro sign, one degree sign, single spaces."""
    text = text.strip().replace("\0", "")
    if len(text) > _MAX_LENGTH:
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = unicodedata.normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN)
    return " ".join(text.replace("\u03bc", "u").replace("\u00b5", "u").split())


def parse(text: str, *, opaque: bool = False) -> Factors:
    """Take a product of units apart.

    Parameters
    ----------
    text : str
        As `tidy` leaves it.
    opaque : bool
        Whether unknown words, and unknown texts in brackets, count as symbols.
    """
    if len(text) > _MAX_LENGTH:
        raise Unreadable
    factors = _Parser(text, opaque=opaque).everything()
    if any(abs(exponent) > _MAX_POWER for exponent in factors.values()):
        raise Unreadable
    return factors


def as_text(value: object) -> str:
    """Return what a file or library says as text; empty where it says nothing."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):  # a one-element array, as HDF5 attributes are
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").rstrip("\0")
        except UnicodeDecodeError:
            return value.decode("latin-1").rstrip("\0")
    text = str(value)
    return "" if text.startswith("Empty(dtype=") else text  # h5py's word for a null dataspace


@lru_cache(maxsize=4096)
def canonical(found: str, axis: str | None) -> tuple[str, bool]:
    """Return the canonical spelling and whether the text was understood."""
    text = tidy(found)
    for reading in _candidates(text):
        if reading.lower() in table.ARBITRARY:
            return "1", True
        candidate = table.WHOLE_ALIASES.get(reading, reading)
        if candidate == "C" and axis is not None:
            return "degC", True
        try:
            return format_units(_angstrom(parse(candidate), axis)), True
        except Unreadable:
            continue
    return found.strip(), False


def _candidates(text: str) -> list[str]:
    """Return readings of a text, the plainest first."""
    found = [text]
    inner = text
    while len(inner) > 2 and inner[0] + inner[-1] in ("()", "[]", "{}") and not set(inner[1:-1]) & set("()[]{}"):
        inner = inner[1:-1].strip()
        found.append(inner)
    if "_" in inner:
        found.append(inner.replace("_", ""))  # NCEM EMD writes n_m, HyperSpy's writer even [1_/_n_m]
    label = _LABELLED.fullmatch(text)  # "Energy Loss (eV)" where only "eV" belongs, but no "V (m)"
    if label and not _readable(label[1].strip()):
        found.append(label[2].strip())
    if text.startswith("None") and len(text) > 4:  # an absent prefix written by Anasys readers: NoneV
        found.append(text[4:])
    return found


def _readable(text: str) -> bool:
    try:
        parse(text)
    except Unreadable:
        return False
    return True


def _angstrom(factors: Factors, axis: str | None) -> Factors:
    """Read ``A`` as ångström where it cannot be ampere: on axes in space, and as ``1/A`` on any axis."""
    if factors.keys() == {"A"} and (axis in _LENGTH_AXES or (axis is not None and factors["A"] == -1)):
        return {"angstrom": factors["A"]}
    return factors


def format_units(factors: Mapping[str, Fraction]) -> str:
    """Write a product in the canonical spelling."""
    up = [_piece(s, e) for s, e in factors.items() if e > 0]
    if len(factors) == 1 and [*factors.values()] == [1]:
        return next(iter(factors))  # also an unknown text, unchanged
    return "/".join(["*".join(up) or "1", *(_piece(s, -e) for s, e in factors.items() if e < 0)])


def _piece(symbol: str, exponent: Fraction) -> str:
    name = symbol if re.fullmatch(r"[^\W\d_]\w*", symbol) else f"({symbol})"
    if exponent == 1:
        return name
    return f"{name}^{exponent}" if exponent.denominator == 1 else f"{name}^({exponent})"


@lru_cache(maxsize=4096)
def factors_of(units: str) -> Factors:
    """Return units as powers of symbols. What is unknown is a symbol too, in one piece if it cannot be taken apart."""
    name, known = canonical(units, None)
    try:
        return parse(name, opaque=not known)
    except Unreadable:
        return {name: Fraction(1)}


def shown(symbol: str, exponent: Fraction, *, plural: bool = False) -> str:
    """Write one factor for a label."""
    name = table.SYMBOLS[symbol].shown
    name += "s" if plural and table.SYMBOLS[symbol].base == "count" else ""
    if exponent == 1:
        return name
    if exponent == Fraction(1, 2):
        return f"√{name}"
    return name + (str(exponent).translate(_UP) if exponent.denominator == 1 else f"^({exponent})")


def shown_product(factors: Mapping[str, Fraction], *, plural: bool = False, brackets: bool = True) -> str:
    """Write a product for a label."""
    text = "·".join(shown(s, e, plural=plural) for s, e in factors.items())
    return f"({text})" if brackets and len(factors) > 1 else text


class _Parser:
    """Recursive descent: ``term (("*" | "." | "/" | " ") term)*``, divisors from left to right as UDUNITS and pint."""

    def __init__(self, text: str, *, opaque: bool) -> None:
        self.text, self.opaque, self.at = text, opaque, 0
        self.pattern = _OPAQUE if opaque else _TOKEN

    def everything(self) -> Factors:
        out = self.product()
        if self.text[self.at :].strip(" ."):
            raise Unreadable
        return out

    def look(self, kind: str) -> str:
        """Return the next token if it is of a kind, else empty text."""
        match = self.pattern.match(self.text, self.at)
        return match[kind] or "" if match else ""

    def take(self) -> str:
        match = self.pattern.match(self.text, self.at)
        if match is None:
            raise Unreadable
        self.at = match.end()
        return match[0].strip()

    def product(self) -> Factors:
        out: Factors = {}
        sign = 1
        while True:
            for symbol, exponent in self.term().items():
                out[symbol] = out.get(symbol, Fraction(0)) + sign * exponent
            mark = self.look("mark")
            if mark and mark in "*/." and self.text[self.at :].strip() != ".":
                sign = -1 if self.take() == "/" else 1
            elif not self.opaque and self.text[self.at :].startswith(" ") and self.look("word"):
                sign = 1
            else:
                return {symbol: exponent for symbol, exponent in out.items() if exponent}

    def term(self) -> Factors:
        if self.look("number"):
            if Fraction(self.take()) != 1:  # a scale factor belongs to the values
                raise Unreadable
            return {}
        if self.look("mark") == "(":
            base, exponent = self.group(), self.exponent(bare=False)
        elif word := self.look("word"):
            self.take()
            base, exponent = self.resolve(word), self.exponent(bare=not self.opaque)
        else:
            raise Unreadable
        return {symbol: e * exponent for symbol, e in base.items()}

    def group(self) -> Factors:
        end = self.closing()
        inner = self.text[self.at + 1 : end]
        try:
            out = parse(inner)
        except Unreadable:
            if not self.opaque:
                raise
            out = {inner: Fraction(1)}
        self.at = end + 1
        return out

    def closing(self) -> int:
        depth = 0
        for i in range(self.at, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[i], 0)
            if depth == 0:
                return i
        raise Unreadable

    def exponent(self, *, bare: bool) -> Fraction:
        """Read ``^2``, ``^-1``, ``^(1/2)``, or a bare ``2``, ``-1`` or `` -1`` behind a symbol."""
        rest = self.text[self.at :]
        match = re.match(r"\s*\^\s*\(?\s*([+-]?\d+(?:\.\d+)?)(?:\s*/\s*(\d+))?\s*\)", rest) if "(" in rest else None
        if match is None or "(" not in match[0]:
            match = re.match(r"\s*\^\s*([+-]?\d+(?:\.\d+)?)()", rest)
        if match is None and bare:
            match = re.match(r"(\s?-\d+|\+?\d+)()(?![\w.])", rest)
        if match is None:
            return Fraction(1)
        self.at += match.end()
        below = int(match[2] or 1)
        if below == 0:
            raise Unreadable
        return (Fraction(match[1]) / below).limit_denominator(1000)

    def resolve(self, word: str) -> Factors:
        if word in table.SYMBOLS:
            return {word: Fraction(1)}
        if word in table.OTHER_SYMBOLS:
            return {table.OTHER_SYMBOLS[word]: Fraction(1)}
        if word in table.ALIASES:
            return parse(table.ALIASES[word])
        if not self.opaque and word.lower() in table.ARBITRARY_SYMBOLS:
            return {}
        if word.lower() in table.NAMES:
            return {table.NAMES[word.lower()]: Fraction(1)}
        if not self.opaque:
            raise Unreadable
        return {word: Fraction(1)}
