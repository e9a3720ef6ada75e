"""What is known to be in the files of the corpus and in real files, in one form for all of them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

__all__ = ["Axis", "Known", "files", "known"]

_NOTHING = ("", "generic", "none", "unknown")


@dataclass
class Axis:
    """A dimension. What is None is not known, or there is nothing to know."""

    name: str
    size: int
    units: str | None = None
    quantity: str | None = None
    type: str | None = None
    values: Any = None  # the whole coordinate, over `over`
    ends: tuple[float, float] | None = None
    over: tuple[str, ...] = ()
    placeholder: bool = False  # stands for no dimension
    virtual: bool = False  # has no label in the file

    def __post_init__(self) -> None:
        self.over = self.over or (self.name,)


@dataclass
class Known:
    """One signal; of a compound main, one of its fields."""

    path: str
    field: str | None
    axes: list[Axis]
    along: list[Axis]  # coordinates that are no dimensions
    dtype: str
    sums: dict[str, str]  # checksums by the dtype that the values are cast to
    algorithm: str
    units: str | None
    quantity: str | None
    title: str | None = None
    metadata: dict[str, Any] | None = None
    original_metadata: dict[str, Any] | None = None
    raw: Any = field(default=None, repr=False)  # the values, in the order of the file


def files(shared: Path) -> dict[str, list[Path]]:
    """Return all files, NSID first."""
    out: dict[str, list[Path]] = {}
    for form in ("nsid", "usid"):
        corpus = sorted((shared / "corpus").glob(f"{form[0]}[0-9]*.h5"))
        out[form] = [*corpus, *sorted(p for p in (shared / "realdata" / form).iterdir() if p.is_file())]
    return out


def known(path: Path) -> list[Known]:
    """Return the signals of a file."""
    beside = path.with_suffix(".json")
    with h5py.File(path) as file:
        if beside.exists():
            truth = json.loads(beside.read_text(encoding="utf-8"))
            found = [k for d in truth["datasets"] for k in _of_corpus(d)]
        else:
            every = json.loads((path.parents[1] / "truth.json").read_text(encoding="utf-8"))
            truth = every[f"{path.parent.name}/{path.name}"]
            found = [_of_real(d, file) for d in truth["signals"]]
        for one in found:
            values = file[one.path][()]
            one.raw = values if one.field is None else values[one.field]
            one.dtype = one.raw.dtype.str
    return found


def said(text: Any) -> str | None:
    """Return text that says something."""
    return text if isinstance(text, str) and text.strip().lower() not in _NOTHING else None


def is_placeholder(label: str) -> bool:
    return label.strip().lower() in ("", "none", "single_step") or label.strip().lower().startswith("arb")


def _of_corpus(d: dict[str, Any]) -> list[Known]:
    over = d.get("nd_coords", {})
    axes = [
        Axis(
            x["name"],
            x["size"],
            x["units"],
            x.get("quantity"),
            x.get("dimension_type"),
            x["values"] if x["name"] not in over else over[x["name"]]["values"],
            over=tuple(over.get(x["name"], {}).get("dims", ())),
            placeholder=x["size"] == 1 and is_placeholder(x["name"]),
            virtual=x.get("virtual", False),
        )
        for x in d["dims"]
    ]
    along = [
        Axis(name, len(c["values"]), c["units"], values=c["values"], over=("position",))
        for name, c in d.get("coords_along_position", {}).items()
    ]
    metadata = d.get("metadata", d.get("attrs"))
    fields = d["checksums"].get("fields")
    common = {"axes": axes, "along": along, "dtype": "", "algorithm": "sha256", "title": d.get("title")}
    common |= {"metadata": metadata, "original_metadata": d.get("original_metadata")}
    if not fields:
        sums = {k: v for k, v in d["checksums"].items() if k != "dtype"}
        return [Known(d["path"], None, sums=sums, units=d["units"], quantity=d["quantity"], **common)]
    out = []
    for name, sums in fields.items():
        short, _, unit = name.partition(" [")
        sums = {k: v for k, v in sums.items() if k != "dtype"}
        out.append(Known(d["path"], name, sums=sums, units=unit.rstrip("]"), quantity=short, **common))
    return out


def _of_real(d: dict[str, Any], file: h5py.File) -> Known:
    common: dict[str, Any] = {"dtype": "", "algorithm": "sha1", "along": [], "field": None}
    if "axes" in d:  # NSID: read by a peer, which knows float64 only
        path = d["title"]
        axes = [
            Axis(x["name"], x["size"], x["units"], x["quantity"], x["dimension_type"], ends=(x["first"], x["last"]))
            for x in d["axes"]
        ]
        return Known(
            path, axes=axes, sums={"<f8": d["sha1_native_le"]}, units=d["units"], quantity=d["quantity"], **common
        )
    path = d["path"]
    if "sibling_1d" in d:  # NSID of 2020
        scales = d["sibling_1d"]
        axes = [
            Axis(n, scales[n]["size"], scales[n]["units"], ends=(scales[n]["first"], scales[n]["last"]))
            for n in d["dims"]
        ]
        said_of = d["attrs"]
        sums = {"native": d["sha1_native_le"]}
        return Known(path, axes=axes, sums=sums, units=said_of["units"], quantity=said_of["quantity"], **common)
    sides = [
        [(n, "pos", i) for i, n in enumerate(d["pos_labels"])],
        [(n, "spec", i) for i, n in enumerate(d["spec_labels"])],
    ]
    units = {
        n: ast.literal_eval(d[f"{s}_units"][i]).decode().replace("\\n", "\n") for side in sides for n, s, i in side
    }
    common |= {"units": d["units"], "quantity": d["quantity"]}
    if "nd" in d:
        axes = [
            Axis(n, x["size"], units[n], ends=(x["first"], x["last"]), placeholder=x["size"] == 1 and is_placeholder(n))
            for n, x in d["nd_axes"].items()
        ]
        return Known(path, axes=axes, sums={"native": d["nd"]["sha1_native_le"]}, **common)
    axes, along = [], []
    for side, size, name in zip(sides, d["raw2d_shape"], ("position", "spectroscopic"), strict=True):
        if len(side) == 1:
            label = side[0][0]
            axes.append(Axis(label, size, units[label], placeholder=size == 1 and is_placeholder(label)))
        elif size == 1:  # one point, which lies somewhere in several directions
            axes += [Axis(n, 1, units[n]) for n, _, _ in side]
        else:
            axes.append(Axis(name, size, virtual=True))
            along += [Axis(n, size, units[n], over=(name,)) for n, _, _ in side]
    return Known(path, axes=axes, sums={"native": d["raw2d_sha1_native_le"]}, **{**common, "along": along})
