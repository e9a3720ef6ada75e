"""The common words for what instruments say about a measurement, with their units and what NeXus calls them.

Readers translate into these words (``da.sid.metadata``); what the vendor wrote stays beside it, word for word
(``da.sid.original_metadata``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sid_xarray.errors import MetadataError, UnitsError, nearest
from sid_xarray.schema import units as _units

__all__ = ["TERMS", "Term", "describe"]


@dataclass(frozen=True, slots=True)
class Term:
    """One word.

    Attributes
    ----------
    name : str
        ``"probe/bias"``: section and name.
    kind : type
        float, int, str.
    units : str
        Of the number that is stored; empty for text.
    nexus : str
        The nearest field of a NeXus class (NXem, NXspm and the base classes that they use).
    meaning : str
    """

    name: str
    kind: type
    units: str
    nexus: str
    meaning: str


# name | kind | units | NeXus | meaning
_ROWS = """
instrument/vendor | str |  | NXfabrication/vendor | who made the instrument
instrument/model | str |  | NXfabrication/model | what the maker calls it
instrument/name | str |  | NXinstrument/name | what the laboratory calls it
instrument/software | str |  | NXprogram/program | program that wrote the file, with version
instrument/technique | str |  | NXentry/experiment_type | STM, AFM, PFM, TEM, STEM, SEM, EELS, EDS, Raman …
acquisition/start_time | str |  | NXentry/start_time | ISO 8601, local time unless it says otherwise
acquisition/end_time | str |  | NXentry/end_time | the same, at the end
acquisition/duration | float | s | NXentry/duration | from start to end
acquisition/operator | str |  | NXuser/name | who measured
acquisition/comment | str |  | NXentry/experiment_description | free text
acquisition/scan_direction | str |  | NXscan_control/scan_direction | "down": the top line came first; "up"
acquisition/line_direction | str |  | NXscan_control/line_direction | "forward" or "backward" along the fast axis
acquisition/scan_angle | float | degree | NXscan_region/scan_angle | anticlockwise turn of the frame about its centre
acquisition/scan_size_x | float | m | NXscan_region/scan_range | width of the frame
acquisition/scan_size_y | float | m | NXscan_region/scan_range | height of the frame
acquisition/scan_center_x | float | m | NXscan_region/scan_offset | centre of the frame
acquisition/scan_center_y | float | m | NXscan_region/scan_offset | centre of the frame
acquisition/line_time | float | s | NXscan_control/scan_time | forward line, without the way back
acquisition/line_rate | float | Hz | NXscan_control/scan_rate | lines a second
acquisition/scan_speed | float | m/s | NXscan_control/scan_speed | of the forward line
acquisition/dwell_time | float | s | NXscan_control/dwell_time | at one pixel or point
acquisition/settling_time | float | s | NXspm_bias_spectroscopy/settling_time | before one point
acquisition/sweeps | int | 1 | NXspm_bias_spectroscopy/number_of_sweeps | how often the sweep was repeated
acquisition/feedback | str |  | NXspm_positioner/z_controller_hold | "on" or "off" during a sweep
probe/name | str |  | NXspm_cantilever/name | tip or cantilever
probe/bias | float | V | NXspm_bias/bias | voltage between tip and sample
probe/setpoint | float |  | NXspm_positioner/setpoint | of the feedback, in probe/setpoint_units
probe/setpoint_units | str |  | NXspm_positioner/setpoint@units | units of probe/setpoint
probe/current | float | A | NXspm/current | tunnelling current when the file was written
probe/z | float | m | NXspm_positioner/z | height of the scanner
probe/spring_constant | float | N/m | NXspm_cantilever/spring_constant | of the cantilever
probe/sensitivity | float | m/V | NXspm_cantilever/deflection_sensitivity | of its deflection
probe/resonance_frequency | float | Hz | NXspm_cantilever/resonance_frequency | of the cantilever
probe/drive_frequency | float | Hz | NXspm_cantilever/drive_frequency | it is driven at
probe/drive_amplitude | float | V | NXspm_cantilever/drive_amplitude | it is driven with
probe/q_factor | float | 1 | NXspm_cantilever/q_factor | of the resonance
probe/modulation_frequency | float | Hz | NXspm_lockin/modulation_frequency | of a lock-in amplifier
probe/modulation_amplitude | float | V | NXspm_lockin/modulation_amplitude | of a lock-in amplifier
beam/energy | float | eV | NXebeam_column/electron_source/voltage | of the particles or photons
beam/current | float | A | NXebeam_column/electron_source/emission_current | on the sample
beam/convergence_angle | float | rad | NXem_optical_system/semi_convergence_angle | half the angle of the cone
beam/wavelength | float | m | NXbeam/incident_wavelength | of a laser or of monochromatic light
beam/power | float | W | NXlaser/power | of a laser, on the sample
beam/magnification | float | 1 | NXem_optical_system/magnification | as the program shows it
beam/camera_length | float | m | NXem_optical_system/camera_length | for diffraction
beam/defocus | float | m | NXem_optical_system/defocus | positive: stronger lens
beam/mode | str |  | NXem_optical_system/mode | imaging, diffraction, STEM …
stage/x | float | m | NXstage_lab/position | where the stage is
stage/y | float | m | NXstage_lab/position | where the stage is
stage/z | float | m | NXstage_lab/position | where the stage is
stage/alpha | float | degree | NXstage_lab/tilt_1 | first tilt
stage/beta | float | degree | NXstage_lab/tilt_2 | second tilt
detector/name | str |  | NXdetector/local_name | what the program calls it
detector/exposure | float | s | NXdetector/count_time | of one frame or spectrum
detector/gain | float | 1 | NXdetector/gain | of a preamplifier, in its own units
detector/collection_angle | float | rad | NXdetector/semi_collection_angle | half the angle of the cone
detector/elevation_angle | float | degree | NXdetector/elevation_angle | of an X-ray detector
detector/azimuth_angle | float | degree | NXdetector/azimuth_angle | of an X-ray detector
detector/live_time | float | s | NXdetector/live_time | of an X-ray detector
detector/real_time | float | s | NXdetector/real_time | of an X-ray detector
detector/energy_resolution | float | eV | NXdetector/energy_resolution | at Mn Kα for an X-ray detector
detector/filter | str |  | NXem_optical_system/energy_filter | energy filter or spectrometer grating
sample/name | str |  | NXsample/name | what was measured
sample/description | str |  | NXsample/description | free text
sample/temperature | float | K | NXsample/temperature | of the sample
"""


def _terms() -> dict[str, Term]:
    types = {"str": str, "int": int, "float": float}
    out = {}
    for line in _ROWS.strip().splitlines():
        name, kind, units, nexus, meaning = (part.strip() for part in line.split("|", 4))
        out[name] = Term(name, types[kind], units, nexus, meaning)
    return out


TERMS: dict[str, Term] = _terms()


def describe(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return nested metadata in the common words.

    Parameters
    ----------
    entries : mapping
        From ``"probe/bias"`` to a value in the units of the word, or to ``(value, units)``. None, empty text and
        numbers that are not finite are left out.

    Returns
    -------
    dict
        ``{"probe": {"bias": 0.05}}``.

    Raises
    ------
    MetadataError
        For a word that is not in the table, or a value of another type.

    Examples
    --------
    >>> describe({"probe/bias": (50, "mV"), "sample/name": ""})
    {'probe': {'bias': 0.05}}
    """
    out: dict[str, dict[str, Any]] = {}
    for name, given in entries.items():
        term = TERMS.get(name)
        if term is None:
            raise MetadataError(f"no common word {name!r}.{nearest(name, TERMS)}")
        value = _value(term, given)
        if value is not None:
            section, _, key = name.partition("/")
            out.setdefault(section, {})[key] = value
    return out


def _value(term: Term, given: Any) -> Any:
    value, units = given if isinstance(given, tuple) else (given, "")
    if value is None:
        return None
    if term.kind is str:
        return str(value).strip() or None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise MetadataError(f"{term.name} is a number, got {value!r}") from None
    if not math.isfinite(number):
        return None
    if units and units != term.units:
        try:
            number *= _units.convert_factor(_units.normalise(units).canonical, term.units)
        except UnitsError:
            return None  # what cannot be in these units is not this quantity; the vendor's words keep it
    return int(number) if term.kind is int else number
