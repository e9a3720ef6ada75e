"""Make docs/formats/support.md and support.json: which dtypes and shapes that we write are read right by whom.

usage: SID_PEERS_PYTHON=... python tests/conformance/make_support_table.py
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import make_reader_table as readers
import support

PAGE = Path(__file__).parents[2] / "docs/formats/support.md"
HEADS = {**readers.HEADS, "h5netcdf": "xarray, h5netcdf", "zarr": "xarray, zarr"}
GROUPS = {
    "`int8`, `int16`, `int32`": ("int8", "int16", "int32"),
    "`uint8`, `uint16`, `uint32`": ("uint8", "uint16", "uint32"),
}

INTRO = """\
# Dtypes and shapes

What becomes of an array that we write, by its dtype and shape. {count} arrays ({dtypes} dtypes, {shapes} shapes) were
written to each format and read by everybody; made by `tests/conformance/make_support_table.py`, with
{versions}.
The values were chosen to be hard: the largest integers, `NaN`, infinities, `-0.0`, a third.

- **right**: values, dtype, order, names and values of the axes, and units
- **`float64`, `complex64` …**: all that, but for the dtype; *rounded*: some values do not fit into it
- **units lost**: those of the values
- **axes lost**: an axis of one point is left out
- **not shown**: the array is in the file, and that reader passes it over
- **raises …**: an error; `Usid_reader` raises one for every file in which it finds nothing
- **refused**: we do not write it, and say so before a file is touched. Make one variable of every field of a structured
  array; convert `longdouble` to `float64`
"""

ZARR = """
## zarr

`to_zarr` and `xr.open_zarr` are xarray's own; our arrays go through them as they are.

"""

LIMITS = """
What zarr (format 3, by xarray) cannot hold, while NSID and USID can:

- byte order: numbers come back in that of the machine;
- the unit of times: what comes back is in nanoseconds, an empty `timedelta64` in seconds; times that are more than 292
  years apart;
- text as Python objects: it comes back as numpy's `StringDType`, as `float64` if there is none of it; bytes of length
  one, which lose their last dimension; the width of a single text that is longer than needed;
- the sign of complex zeros in a chunk of nothing but zeros, and which bits a `NaN` is made of in a chunk
  of nothing but `NaN`;
- attributes that JSON does not have: complex numbers, bytes, sets and datetimes are refused; tuples and arrays come
  back as lists, numpy's numbers as Python's, and names of attributes as text;
- attributes that xarray takes for its own: `_FillValue`, `missing_value`, `scale_factor`, `add_offset`, `_Unsigned`,
  `coordinates`, and `units` such as `days since 2000-01-01`, which make times of numbers;
- names of variables that are no text, are empty, or have a `/`; a coordinate with a blank in its name becomes a
  variable;
- coordinates without an index that have the name of their dimension: the index is made.

What we say of data is plain text, with nested metadata as JSON in one attribute; so units, metadata and history come
back whole.
"""


def dtype_table(table: support.Table) -> list[str]:
    """Return rows for dtypes: entries over all shapes without axes of no or one point."""
    rows = [f"| dtype | {' | '.join(HEADS.get(r, r) for r in table)} |", "|---" * (len(table) + 1) + "|"]
    grouped = {d: name for name, ds in GROUPS.items() for d in ds}
    done = set()
    for dtype in support.DTYPES:
        name = grouped.get(dtype, f"`{dtype}`" if dtype.isalnum() else dtype)
        cells = [_uniform({found[dtype][s] for s in support.PLAIN}, r, dtype) for r, found in table.items()]
        row = f"| {name} | {' | '.join(map(_shown, cells))} |"
        if name in done and row not in rows:
            raise ValueError(f"{name} are not alike: {row}")
        if name not in done:
            rows.append(row)
        done.add(name)
    return rows


def _uniform(cells: set[str], reader: str, dtype: str) -> str:
    if len(cells) != 1:
        raise ValueError(f"{reader} reads {dtype} in several ways: {cells}")
    return next(iter(cells))


def _shown(cell: str) -> str:
    first, comma, rest = cell.partition(",")
    return f"`{first}`{comma}{rest}" if first[-1:].isdigit() else cell


def shape_table(table: support.Table) -> list[str]:
    """Return rows for shapes: what differs from the entry of the dtype."""
    rows = [f"| shape | {' | '.join(HEADS.get(r, r) for r in table)} |", "|---" * (len(table) + 1) + "|"]
    odd: dict[tuple[str, str, str], list[str]] = {}
    for shape, sizes in support.SHAPES.items():
        cells = []
        for reader, found in table.items():
            cell = found["float64"][shape]
            cells.append("as above" if cell == found["float64"]["3-d"] else cell)
            for dtype in support.DTYPES:
                if found[dtype][shape] != _expected(found, dtype, cell):
                    odd.setdefault((reader, dtype, found[dtype][shape]), []).append(shape)
        named = f"{shape}: `{', '.join(f'{d} {n}' for d, n in sizes.items())}`" if sizes else shape
        rows.append(f"| {named} | {' | '.join(cells)} |")
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (reader, dtype, said), shapes in odd.items():
        alike.setdefault((reader, said, tuple(shapes)), []).append(dtype)
    for (reader, said, shapes), dtypes in alike.items():
        rows.append(f"\n{HEADS.get(reader, reader)}: {', '.join(dtypes)} with the shapes {'; '.join(shapes)}: {said}.")
    return rows


def _expected(found: Mapping[str, Mapping[str, str]], dtype: str, cell: str) -> str:
    """Return what follows for a dtype from its row and from the cell of the shape, which is that of float64."""
    usual, plain = found[dtype]["3-d"], found["float64"]["3-d"]
    if cell == plain or usual.startswith(("refused", "not shown", "raises")):
        return usual
    return f"{usual}, {cell}" if usual != plain and cell.startswith(("axes", "units")) else cell


def page(tables: Mapping[str, support.Table]) -> str:
    """Return the whole page."""
    count = len(support.DTYPES) * len(support.SHAPES)
    text = INTRO.format(
        count=count, dtypes=len(support.DTYPES), shapes=len(support.SHAPES), versions=readers.versions()
    )
    lines = []
    for form in ("nsid", "usid"):
        title = readers.TITLES[form]
        lines += [f"\n## {title}\n", *dtype_table(tables[form]), "", *shape_table(tables[form])]
    lines += [ZARR.rstrip("\n") + "\n", *dtype_table(tables["zarr"]), LIMITS.rstrip("\n")]
    return text + "\n".join(lines) + "\n"


def run(theirs: str) -> dict[str, support.Table]:
    """Return all tables, fresh."""
    found = {form: support.table(form, names, theirs) for form, names in support.READERS.items()}
    return {**found, "zarr": support.through_zarr()}


def main() -> None:
    tables = run(os.environ["SID_PEERS_PYTHON"])
    packed = {form: support.pack(t) for form, t in tables.items()}
    support.RECORD.write_text(json.dumps(packed, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
