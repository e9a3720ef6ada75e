"""Writes the tables of formats and of common words into the docs; the tests see that they are up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sid_xarray.io.readers import TABLE, Reader
from sid_xarray.schema.vocabulary import TERMS

sys.path.insert(0, str(Path(__file__).parent))

DOCS = Path(__file__).parents[3] / "docs" / "formats"
# Files of which something is known, beside those that test_truth.py compares as a whole.
MORE = {
    "nanonis_dat": ["BiasSpectroscopy.dat", "z.dat"],
    "nanoscope": ["ForceCurve_Sapphire_TAP525.001"],
    "gwy": ["chip_GWYO.gwy"],
    "wsxm": ["spectrocurve_0001_Amplitude.f.curves"],
    "pifm": ["PiFMReader.zip"],
    "igor": ["P0089OP0027.ibw", "ForceCurve.ibw"],
    "igor_packed": ["Fig7a.pxp"],
    "jpk": ["spot3-0192.jpk-force"],
    "spc": ["RAMAN.SPC"],
    "imzml": ["Example_Continuous.imzML"],
    "rosettasciio": ["test1.blo", "001_4x2_6bit.mib", "16_STOimage.emi", "nexus_dls_example.nxs"],
}
# Of these no other reader's word is known: they open, and make sense.
NO_TRUTH = {
    "chip_GWYO.gwy", "spectrocurve_0001_Amplitude.f.curves", "PiFMReader.zip", "16_STOimage.emi",
    "nexus_dls_example.nxs",
}  # fmt: skip
ELSEWHERE = {
    "nanonis_sxm": "values right; backward mirrored or not, angle and offset lost",
    "nanonis_3ds": "one counts pixels and calls them nm, one fails on optional keys",
    "nanonis_dat": "8 to 11 of 81 files fail; one Dataset a column",
    "nanoscope": "one gives numbers of the converter and calls them nm, or inf",
    "gwy": "hang on files that are cut off; version 1 read by nobody",
    "gsf": "right, or TypeError",
    "wsxm": "right",
    "anasys": "units `NoneV`; m for nm",
    "pifm": "fails with numpy 2",
    "ntmdt": "one reader; points as a nested dict",
    "igor": "5 to 15 of 32 fail; units of the phase on the axes; glued labels",
    "igor_packed": "3.8 GB for a damaged file of 180 kB",
    "rhk": "right; x and y interchanged",
    "jpk": "2 of 12 fail",
    "nanosurf": "right, or NameError",
    "topography": "2 of 31 fail; one unit for all channels",
    "renishaw": "right",
    "spc": "the old kind of files is not read",
    "imzml": "right",
    "mrc": "one fails on older headers",
    "tiff": "calibration lost by most",
    "image": "right",
    "npy": "right",
    "csv": "",
    "rosettasciio": "Velox EDS: counts 6 times too low and energy shifted in one reader",
}


def main() -> None:
    for page, mark, table in (("vendors.md", "table", formats()), ("metadata.md", "words", words())):
        path = DOCS / page
        path.write_text(filled(path.read_text(), mark, table))


def filled(text: str, mark: str, table: str) -> str:
    return re.sub(rf"(<!-- {mark}:[^\n]*-->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table}{m[2]}", text, flags=re.S)


def formats() -> str:
    rows = ["| format | suffix | reader | install | lazy | tried | elsewhere |", "|---|---|---|---|---|---|---|"]
    tried = files_by_reader()
    for reader in TABLE.values():
        shown = reader.suffixes if len(reader.suffixes) <= 8 else (*reader.suffixes[:7], "…")
        names = tried.get(reader.name, [])
        files = ", ".join(f"`{n}`" if n in NO_TRUTH else f"`{n}` ✓" for n in names) or "written by the tests"
        suffixes = " ".join(f"`{s}`" if s != "…" else s for s in shown)
        lazy = "yes" if reader.lazy else "no"
        cells = [reader.title, suffixes, f"`{reader.name}`", _install(reader), lazy, files, ELSEWHERE[reader.name]]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _install(reader: Reader) -> str:
    return f"`[{reader.extra}]`: {reader.needs}" if reader.extra else "own"


def files_by_reader() -> dict[str, list[str]]:
    from test_truth import FILES

    out: dict[str, list[str]] = {}
    for name in FILES:
        suffix = Path(name).suffix.lower()
        reader = next(
            r.name for r in TABLE.values() if suffix in r.suffixes or (suffix, r.name) == (".xml", "rosettasciio")
        )
        out.setdefault(reader, []).append(Path(name).name)
    for reader, files in MORE.items():
        out.setdefault(reader, []).extend(f for f in files if f not in out[reader])
    return out


def words() -> str:
    rows = ["| word | type | units | NeXus | meaning |", "|---|---|---|---|---|"]
    rows += [f"| `{t.name}` | {t.kind.__name__} | {t.units} | {t.nexus} | {t.meaning} |" for t in TERMS.values()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
