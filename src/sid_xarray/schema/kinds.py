"""Kinds of dimensions and of data.

The kind of an array follows from the types of its dimensions and is never stored: a stored one is
false after the first ``.mean()``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = [
    "DATA_KINDS",
    "DIMENSION_TYPES",
    "data_kind",
    "dimension_type_from_name",
    "kind_from_nsid",
    "kind_to_nsid",
    "parse_dimension_type",
]

DIMENSION_TYPES: tuple[str, ...] = (
    "spatial",
    "reciprocal",
    "spectral",
    "temporal",
    "channel",
    "point_cloud",
    "unknown",
)

DATA_KINDS: dict[str, str] = {
    "scalar": "one number",
    "spectrum": "one curve over a spectral axis",
    "line_profile": "one curve over space, time or any other axis",
    "line_profiles": "a family of curves",
    "image": "two spatial or two reciprocal axes",
    "image_stack": "images over time, channel or another axis",
    "volume": "three spatial axes",
    "spectral_image": "a spectrum at every pixel",
    "image_4d": "an image or diffraction pattern at every pixel",
    "point_cloud": "values at scattered points",
    "multidimensional": "anything with more axes",
}

# The words of the NSID attribute `data_type` that differ from ours, both ways.
_NSID: dict[str, str] = {"line_profile": "LINE_PLOT", "line_profiles": "LINE_PLOT_FAMILY"}
_NSID_TYPES = frozenset(
    (
        "UNKNOWN SPECTRUM LINE_PLOT LINE_PLOT_FAMILY IMAGE IMAGE_MAP IMAGE_STACK SPECTRAL_IMAGE IMAGE_4D POINT_CLOUD"
    ).split()
)
_FROM_NSID = {v.lower(): k for k, v in _NSID.items()} | {"image_map": "image"}

_TYPE_ALIASES: dict[str, str] = {
    "position": "spatial",
    "time": "temporal",
    "frame": "temporal",
    "stack": "temporal",
    "none": "unknown",
}

# Names that microscopists give to axes, lower case, without trailing digits or punctuation.
_NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("x", "y", "z", "height", "width", "depth", "row", "col", "column", "line", "lat", "lon"), "spatial"
    ),
    **dict.fromkeys(("position", "positions", "distance", "length"), "spatial"),
    **dict.fromkeys(
        ("kx", "ky", "kz", "qx", "qy", "qz", "k", "q", "u", "v", "k_x", "k_y", "q_x", "q_y", "sx", "sy"), "reciprocal"
    ),
    **dict.fromkeys(
        ("energy", "energy_loss", "eloss", "e", "wavelength", "wavenumber", "raman_shift", "frequency", "freq", "mass"),
        "spectral",
    ),
    **dict.fromkeys(
        ("bias", "voltage", "v_bias", "field", "spectral", "spectrum", "mz", "m/z", "channel_energy"), "spectral"
    ),
    **dict.fromkeys(("time", "t", "frame", "frames", "cycle", "cycles", "delay", "scan_number"), "temporal"),
    **dict.fromkeys(("channel", "channels", "component", "detector", "harmonic"), "channel"),
    **dict.fromkeys(("point", "points", "atom", "peak"), "point_cloud"),
}


def parse_dimension_type(text: object) -> str | None:
    """Return one of `DIMENSION_TYPES` for what a file or a user says, or None if it says nothing known.

    Parameters
    ----------
    text : object
        For instance ``"SPATIAL"``, ``"position"`` or ``"frame"``.
    """
    if not isinstance(text, str):
        return None
    word = text.strip().lower()
    word = _TYPE_ALIASES.get(word, word)
    return word if word in DIMENSION_TYPES else None


def dimension_type_from_name(name: object) -> str | None:
    """Guess the type of a dimension from its name; None if the name tells nothing."""
    word = str(name).strip().lower().replace(" ", "_").replace("-", "_")
    if word.startswith("freq_"):  # as xrft names the partner of a dimension
        return {"spatial": "reciprocal", "temporal": "spectral"}.get(dimension_type_from_name(word[5:]) or "")
    return _NAMES.get(word) or _NAMES.get(word.rstrip("0123456789_"))


def data_kind(types: Iterable[str]) -> str:
    """Derive the kind of data from the types of its dimensions, in any order.

    Parameters
    ----------
    types : iterable of str
        One of `DIMENSION_TYPES` for every dimension.

    Returns
    -------
    str
        A key of `DATA_KINDS`.
    """
    found = Counter(types)
    n = found.total()
    if n == 0:
        return "scalar"
    if found["point_cloud"]:
        return "point_cloud"
    space, pattern, spectral = found["spatial"], found["reciprocal"], found["spectral"]
    if n == 1:
        return "spectrum" if spectral else "line_profile"
    if n == 2:
        return "image" if space == 2 or pattern == 2 else "line_profiles"
    if n == 3 and space == 3:
        return "volume"
    if spectral and space:
        return "spectral_image"
    if n == 4 and space == 2 and pattern == 2:
        return "image_4d"
    if n == 3 and (space == 2 or pattern == 2):
        return "image_stack"
    return "multidimensional"


def kind_to_nsid(kind: str) -> str:
    """Return the NSID word for a kind, such as ``"LINE_PLOT"``; ``"UNKNOWN"`` if NSID has none."""
    word = _NSID.get(kind, kind.upper())
    return word if word in _NSID_TYPES else "UNKNOWN"


def kind_from_nsid(text: str) -> str | None:
    """Return our word for an NSID ``data_type``, or None for ``UNKNOWN`` and words that nobody knows."""
    word = text.strip().lower()
    word = _FROM_NSID.get(word, word)
    return word if word in DATA_KINDS else None
