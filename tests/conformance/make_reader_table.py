"""Make docs/formats/readers-table.md: what every reader makes of every file of the corpus.

usage: SID_PEERS_PYTHON=... python tests/conformance/make_reader_table.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import truth
import verdict

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/formats/readers-table.md"
SHARED = Path(os.environ.get("SID_SHARED", HERE.parents[2] / "shared"))
SECONDS = 60
COLUMNS = {
    "nsid": ("ours", "pyNSID", "NSIDReader", "HyperSpy, NeXus"),
    "usid": ("ours", "pyUSID", "Usid_reader", "HyperSpy, USID"),
}
TITLES = {"nsid": "NSID", "usid": "USID"}
HEADS = {
    "ours": "sid-xarray",
    "NSIDReader": "SciFiReaders, `NSIDReader`",
    "Usid_reader": "SciFiReaders, `Usid_reader`",
}
PACKAGES = ("sidpy", "pyNSID", "pyUSID", "SciFiReaders", "hyperspy", "rosettasciio")

INTRO = """\
# Readers and files

What readers make of NSID and USID files that other programs wrote: {corpus} files of a test corpus (one for every
dialect and oddity that we know) and {real} files from public repositories. Each cell is a run in a process of its own,
with a limit of {seconds} seconds, compared with what is known to be in the file. Made by
`tests/conformance/make_reader_table.py`, with
{versions}.

## Counts

"""

LEGEND = """\

A reading can have several defects, and counts under each. *Right but dtype, title* has these two and no other.

## Words

- **right**: values, their order and dtype; names, values and units of the axes; quantity, title and metadata, as far as
  they are known
- **values wrong**: numbers that are not in the file, or missing ones
- **wrong order**: the numbers of the file, in other places
- **no N-D form**: rows and columns instead of the array
- **axes lost**: an axis, also one of a single point, without its name or its values (to 10⁻⁵ of its length); a reader
  that keeps offset and step only loses uneven axes
- **units lost**: units of the values or of an axis are missing or others
- **dtype changed**: such as `float64` for `uint8`; the values are right as far as the smaller of both dtypes goes
- **metadata lost**: a quantity, the type of a dimension or an entry of the metadata is missing or another
- **title lost**: such as the path in the file instead of the title
- **n of m found**: the others are missing, without an error
- **nothing found**: no array and no error
- **raises …**: an error instead of the arrays of the file

The truth of the real files was written down with h5py, pyUSID and SciFiReaders: it says little of their metadata, and
where it comes from a reader, that one cannot be wrong. HyperSpy has no reader for NSID; its reader for NeXus takes any
HDF5 file, and shows the scales as signals, too.
"""


def judged(reader: str, paths: Sequence[Path], python: str) -> list[list[str]]:
    """Return what is wrong with every reading; nothing, where it is right."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [python, str(HERE / "readers.py"), reader, folder, str(SECONDS), "1"],
            input="\n".join(str(p.absolute()) for p in paths),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS * len(paths),
        )
        if run.returncode:
            raise RuntimeError(f"{reader}: {run.stderr[-2000:]}")
        return [
            verdict.judge_file(truth.known(path), verdict.seen_in(Path(folder), i), whole=reader == "ours")
            for i, path in enumerate(paths)
        ]


def table(form: str, paths: Sequence[Path], columns: Mapping[str, list[list[str]]]) -> list[str]:
    """Return the rows of the table of a format."""
    heads = [HEADS.get(c, c) for c in columns]
    rows = [f"| file | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for i, path in enumerate(paths):
        cells = [", ".join(column[i]) or verdict.RIGHT for column in columns.values()]
        rows.append(f"| `{path.name}` | {' | '.join(cells)} |")
    return [f"\n## {TITLES[form]}\n", *rows]


def counts(form: str, columns: Mapping[str, list[list[str]]]) -> list[str]:
    """Return how often which reader is wrong in which way."""
    rows = []
    for name, column in columns.items():
        mild = {verdict.DTYPE, verdict.TITLE}
        said = [sum(not d for d in column), sum(bool(d) and set(d) <= mild for d in column)]
        words = (verdict.VALUES, verdict.ORDER, verdict.FORM, verdict.AXES, verdict.UNITS, verdict.METADATA)
        said += [sum(word in d for d in column) for word in words]
        said.append(sum(bool(d) and (d[0] == verdict.NOTHING or " found" in d[0]) for d in column))
        said.append(sum(bool(d) and d[0].startswith(("raises", "hangs", "crashes")) for d in column))
        cells = " | ".join(map(str, said))
        rows.append(f"| {TITLES[form]} | {HEADS.get(name, name)} | {len(column)} | {cells} |")
    return rows


def page(columns: Mapping[str, Mapping[str, list[list[str]]]], shared: Path) -> str:
    """Return the whole page."""
    there = truth.files(shared)
    corpus = sum(p.with_suffix(".json").exists() for paths in there.values() for p in paths)
    real = sum(map(len, there.values())) - corpus
    text = INTRO.format(corpus=corpus, real=real, seconds=SECONDS, versions=versions())
    lines = [
        "| format | reader | files | right | right but dtype, title | values wrong | wrong order | no N-D form "
        "| axes lost | units lost | metadata lost | not all or nothing found | raises, hangs, crashes |",
        "|---" * 13 + "|",
    ]
    for form, found in columns.items():
        lines += counts(form, found)
    lines.append(LEGEND.rstrip())
    for form, found in columns.items():
        lines += table(form, there[form], found)
    return text + "\n".join(lines) + "\n"


def versions() -> str:
    pinned = [line.strip() for line in (HERE / "peers.txt").read_text().splitlines() if "==" in line]
    *first, last = [p.replace("==", " ") for p in pinned]
    return f"{', '.join(first)} and {last}"


def main() -> None:
    theirs = os.environ["SID_PEERS_PYTHON"]
    there = truth.files(SHARED)
    columns = {
        form: {r: judged(r, there[form], sys.executable if r == "ours" else theirs) for r in readers}
        for form, readers in COLUMNS.items()
    }
    PAGE.write_text(page(columns, SHARED), encoding="utf-8")


if __name__ == "__main__":
    main()
