"""A history as the paragraph on methods of a paper."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sid_xarray.core.calls import Call, Written, arguments
from sid_xarray.core.history import Step
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.step_units import units_before
from sid_xarray.errors import SidError
from sid_xarray.ops import TABLE as VERBS
from sid_xarray.ops import prose
from sid_xarray.publish import _plain
from sid_xarray.schema import units as _units
from sid_xarray.schema.references import SOFTWARE, Reference, reference
from sid_xarray.schema.references import TABLE as KNOWN
from sid_xarray.viz._labels import number, plain, unit_text

__all__ = ["explained", "methods_text", "references", "sentence"]

_CITATION = re.compile(r" ?\[(@[^\[\]]+)\]")
_SAID = ("sid-xarray", "xarray", "numpy", "scipy")


def methods_text(history: Provenance, *, citations: bool = True) -> str:
    """Paragraph for the methods section of a paper: what was done, in which order, with which software.

    Parameters
    ----------
    history : Provenance
    citations : bool, default: True
        With numbers in brackets, and the list of references below.

    Returns
    -------
    str
        Plain text. Parameters are in the units that the data had. Steps that were not recorded, and functions whose
        code the history does not hold, are said as such. Empty if there is no history.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.edge_map()
    >>> signal = cube.sid.remove_background("power_law", fit_range=(200, 280)).signal
    >>> print(signal.sid.provenance.methods_text(citations=False).splitlines()[0][:74])
    Data were taken from an array in memory (intensity, 4 × 5 × 200 points). A
    """
    if not history:
        return ""
    text = " ".join([*_sentences(history), *_software(history)])
    if not citations:
        return _CITATION.sub("", text)
    cited: dict[str, int] = {}
    text = _CITATION.sub(lambda m: f" [{_numbers(m[1], cited)}]", text)
    listed = "\n".join(f"[{i}] {reference(key)}" for key, i in cited.items())
    return f"{text}\n\n{listed}" if listed else text


def references(history: Provenance) -> list[Reference]:
    """Publications to cite: of methods, fit models and software, in the order of `methods_text`.

    Parameters
    ----------
    history : Provenance

    Returns
    -------
    list of Reference
        With ``authors, title, source, year, doi, url``; ``str`` gives one line.
    """
    cited: dict[str, int] = {}
    for found in _CITATION.finditer(" ".join([*_sentences(history), *_software(history)])):
        _numbers(found[1], cited)
    return [reference(key) for key in cited]


def _numbers(keys: str, cited: dict[str, int]) -> str:
    return ", ".join(str(cited.setdefault(key.strip(" @"), len(cited) + 1)) for key in keys.split(";"))


def sentence(call: Call, history: Provenance, *, subject: str = "", nouns: Sequence[str] = ()) -> str:
    """Return what one call did, as a sentence with citations ``[@key]``.

    Parameters
    ----------
    call : Call
    history : Provenance
        That it belongs to.
    subject : str
        What it worked on, where that is not what the sentence before left.
    nouns : sequence of str
        What its inputs are called.
    """
    if not call.is_recorded:
        text, whole = _unrecorded(call, nouns), True
    elif call.step.op.startswith(("sid:concat@", "sid:merge@")):
        dim = arguments(call.step).get("dim")
        along = f" along {plain(dim, limit=60)}" if isinstance(dim, str) and not isinstance(dim, Written) else ""
        return _sentence(f"{prose.and_(dict.fromkeys(nouns)) or 'several arrays'} were joined{along}")
    else:
        text, whole = _told(call, history._history.steps, nouns)
    using = "" if whole else prose.and_(noun for noun in dict.fromkeys(nouns) if noun != nouns[0])
    return _sentence(f"{f'in {subject}, ' if subject else ''}{text}{f', using {using}' if using else ''}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _told(call: Call, known: Mapping[str, Step], nouns: Sequence[str]) -> tuple[str, bool]:
    """Return what a call did, and whether the words name all of its inputs."""
    ours = call.step.op.startswith("sid:")
    say = _Spelling(units_before(known, call.step))
    params = arguments(call.step)
    own = prose.TABLE.get(call.name) if ours else None
    try:
        if own is not None:
            return _safe(own(params, say)), False
        if {"args", "kwargs", "of"} & params.keys() or call.step.op.startswith(("xr:", "np:")):
            text, whole = _plain.told(call.step, nouns, say)
            return _safe(text), whole
    except (SidError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        pass  # parameters of a damaged history, or of another version of the verb: told as they are
    verb = VERBS.get(call.name) if ours else None
    shown = ", ".join(f"{plain(k, limit=40)} = {_value(v)}" for k, v in params.items())
    cited = f" [{'; '.join(f'@{key}' for key in verb.references)}]" if verb and verb.references else ""
    name = plain(call.name if ours else call.step.op, limit=40)
    return f"{name}{cited} was applied{f' with {shown}' if shown else ''}{_opaque(call)}", False


def _safe(text: str) -> str:
    # What comes from a file must not look like a citation.
    return _CITATION.sub(lambda m: m[0] if all(k.strip(" @") in _citable() for k in m[1].split(";")) else "", text)


def _citable() -> set[str]:
    from sid_xarray.core.registry import MODELS

    return {*KNOWN, *(MODELS[name].reference for name in MODELS)}


def _unrecorded(call: Call, nouns: Sequence[str]) -> str:
    if len(nouns) > 1:
        return f"plain arithmetic joined {prose.and_(nouns)}; no details of it were recorded"
    what = plain(arguments(call.step).get("what", ""), limit=200)
    return f"a step followed that was not recorded{f' ({what})' if what else ''}"


def _opaque(call: Call) -> str:
    names = [plain(name, limit=40) for name in call.opaque]
    if not names:
        return ""
    verb = "are functions" if len(names) > 1 else "is a function"
    return f"; {prose.and_(names)} {verb} whose code the history does not hold"


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("~") == "opaque":
        return plain(value.get("v"), limit=80)
    return plain(value if isinstance(value, str) else repr(value), limit=80)


class _Spelling:
    """Names, numbers and units as one verb had them."""

    def __init__(self, units: Mapping[str, str]) -> None:
        self._units = units

    def dim(self, name: Any) -> str:
        """Return the name of a dimension."""
        return plain(name, limit=60).replace("_", " ")

    def number(self, value: Any, unit: str = "1") -> str:
        """Return a number with its unit; text that has units of its own as it is."""
        if isinstance(value, str):
            return plain(value, limit=60)
        shown = unit_text(unit)
        return f"{number(value, digits=6)} {shown}".rstrip()

    def unit(self, dim: Any = "") -> str:
        """Return the unit of positions along a dimension, or of the values."""
        return _units.normalise(self._units.get(str(dim), "1")).canonical


def _sentences(history: Provenance) -> Iterable[str]:
    everything = history.calls
    names = _labels(everything)
    roots = [call for call in everything if call.step.is_root]
    if len(roots) == 1:
        yield f"Data were taken from {_root(roots[0])}."
    elif roots:
        told = [f"{names[c.step.id].removeprefix('data ')}, {_root(c)}" for c in roots]
        yield f"The data were {'; '.join(told[:-1])}; and {told[-1]}."
    yield from (text for _, text in _explained(history))


def explained(history: Provenance) -> list[tuple[Call, str]]:
    """Return every call but the roots, with its sentence; citations are left out."""
    return [(call, _CITATION.sub("", text)) for call, text in _explained(history)]


def _explained(history: Provenance) -> Iterable[tuple[Call, str]]:
    everything = history.calls
    names = _labels(everything)
    roots = [call for call in everything if call.step.is_root]
    maker = {step.id: call for call in everything for step in call.steps}
    before: Call | None = roots[0] if len(roots) == 1 else None
    for call in everything:
        if call.step.is_root:
            continue
        made_by = [maker[key] for _, key in call.step.inputs if key in maker]
        nouns = [_noun(c, call, names) for c in made_by]
        follows = before is not None and made_by[:1] == [before]
        alone = call.is_recorded or len(nouns) < 2
        subject = nouns[0] if nouns and alone and not follows else ""
        yield call, sentence(call, history, subject=subject, nouns=nouns)
        before = call


def _labels(everything: Iterable[Call]) -> dict[str, str]:
    """Return what a call is named by in a text: letters for what the data are, words for what was done."""
    out: dict[str, str] = {}
    groups: dict[str, list[Call]] = {}
    for call in everything:
        groups.setdefault("" if call.step.is_root else call.name, []).append(call)
    for name, alike in groups.items():
        for i, call in enumerate(alike):
            which = f"the {_ordinal(i)} " if len(alike) > 1 else ""
            data = f"data {_letters(i)}" if len(alike) > 1 else "the original data"
            out[call.step.id] = f"{which}{_deed(call)}" if name else data
    return out


def _deed(call: Call) -> str:
    return plain(call.name, limit=40) if call.is_recorded else "unrecorded step"


def _letters(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else f"A{i - 25}"


def _ordinal(i: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
    return words[i] if i < len(words) else f"{i + 1}th"


def _noun(call: Call, user: Call, names: Mapping[str, str]) -> str:
    """Return what is said for something that was made before and is not what the sentence before left."""
    label = names[call.step.id]
    if call.step.is_root:
        return label
    used = {key for _, key in user.step.inputs}
    parts = [step.part for step in call.steps if step.id in used and step.part is not None]
    what = f"{prose.and_(plain(p, limit=40) for p in parts)} of" if 0 < len(parts) <= 3 else "the result of"
    return f"{what} {'the ' if not call.is_recorded and not label.startswith('the ') else ''}{label}"


def _root(call: Call) -> str:
    params, out = arguments(call.step), call.step.out
    name = plain(params.get("name") or "", limit=80)
    if call.name == "open" and name:
        place = plain(params.get("h5path") or "", limit=160)
        return f"the file {name}{f' ({place})' if place else ''}"
    if call.name != "input":
        return f"{plain(call.name, limit=40)}{f' ({name})' if name else ''}"
    shape = out.get("shape")
    size = f"{' × '.join(map(str, shape))} points" if isinstance(shape, list) and shape else ""
    said = ", ".join(part for part in (name, size) if part)
    sure = "" if params.get("verifiable", True) else " whose values were not computed then"
    return f"an array in memory{f' ({said})' if said else ''}{sure}"


def _software(history: Provenance) -> Iterable[str]:
    used = []
    for package in history.environment():
        if package.recorded and package.name in _SAID:
            cited = f" [@{package.name}]" if package.name in KNOWN else ""
            used.append(f"{SOFTWARE[package.name][0]} {prose.and_(package.recorded)}{cited}")
    if used:
        yield f"The analysis was made with {prose.and_(used)}."
