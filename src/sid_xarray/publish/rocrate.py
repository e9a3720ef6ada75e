"""A history as an RO-Crate: a folder with data, script and a description that repositories read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import mimetypes
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sid_xarray.api import open as open_tree
from sid_xarray.core.calls import Call, arguments, line, short
from sid_xarray.core.fingerprint import file_fingerprint
from sid_xarray.core.history import read as read_history
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.trees import signals
from sid_xarray.errors import ProvenanceError, SidWarning
from sid_xarray.publish.methods import explained, methods_text, references
from sid_xarray.publish.prov_json import to_prov_json
from sid_xarray.schema.references import SOFTWARE

__all__ = ["METADATA", "to_rocrate"]

METADATA = "ro-crate-metadata.json"
_SCRIPT, _PROV = "analysis.py", "history.prov.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [f"{_CRATE}/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
_BLOCK = 2**20


def to_rocrate(
    history: Provenance,
    folder: str | os.PathLike[str],
    *,
    files: Iterable[str | os.PathLike[str]] = (),
    name: str | None = None,
    authors: str | Iterable[str] | Mapping[str, str] = (),
    license: str | None = None,  # noqa: A002 - as RO-Crate calls it
    overwrite: bool = False,
) -> Path:
    """Write a folder that a repository can take: an RO-Crate with the data, the script and the history.

    Parameters
    ----------
    history : Provenance
    folder : str
        Made if it is not there.
    files : iterable of str
        What belongs to it: the raw files and the files with results, which are told apart by their content, and
        anything else. They are copied into the folder, unless they lie there.
    name : str, optional
        Title of the data set.
    authors : str, iterable of str or mapping, optional
        Names; or from names to ORCID.
    license : str, optional
        Address of a licence, or its SPDX name such as ``"CC-BY-4.0"``. Repositories ask for one.
    overwrite : bool, default: False
        Replace the description and the script that lie there.

    Returns
    -------
    Path
        Of ``ro-crate-metadata.json`` (RO-Crate 1.1, profile Process Run Crate 0.5). Beside it lie ``analysis.py``,
        unless the history cannot be written as a script, and ``history.prov.json``.

    Raises
    ------
    ProvenanceError
        If there is no history.
    FileExistsError
        If the folder is a crate already, or two files have one name.
    FileNotFoundError
        If one of the files is not there.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> half = sid.datasets.bfo_iv().sid.rebin(x=2)
    >>> half.sid.to_nsid("half.h5", mode="w")
    '/Measurement_000/Channel_000/IV_BFO'
    >>> crate = half.sid.provenance.to_rocrate("crate", files=["half.h5"], license="CC-BY-4.0")
    >>> sorted(path.name for path in crate.parent.iterdir())
    ['analysis.py', 'half.h5', 'history.prov.json', 'ro-crate-metadata.json']
    """
    if not history:
        raise ProvenanceError("there is no history to publish")
    target = Path(folder)
    if (target / METADATA).exists() and not overwrite:
        raise FileExistsError(f"{target / METADATA} exists. Take another folder, or replace it: overwrite=True")
    chosen = _chosen(target, files)
    target.mkdir(parents=True, exist_ok=True)
    for source, place in chosen.items():
        if not place.exists() or not place.samefile(source):
            shutil.copyfile(source, place)
    crate = _Crate(history, target, list(chosen.values()))
    crate.describe(name, authors, license)
    text = json.dumps({"@context": _CONTEXT, "@graph": list(crate.entities.values())}, indent=2, ensure_ascii=False)
    path = target / METADATA
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _chosen(target: Path, files: Iterable[str | os.PathLike[str]]) -> dict[Path, Path]:
    """Return where every file goes; nothing is copied before all are known to be there."""
    out: dict[Path, Path] = {}
    for file in map(Path, files):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        inside = file.resolve().is_relative_to(target.resolve())
        place = target / (file.resolve().relative_to(target.resolve()) if inside else file.name)
        if place in out.values() or place.name in (METADATA, _SCRIPT, _PROV):
            raise FileExistsError(f"two files of the crate would be {place.name}: rename {file}")
        out[file] = place
    return out


class _Crate:
    """Entities by id, in the order of the file."""

    def __init__(self, history: Provenance, folder: Path, files: list[Path]) -> None:
        self.history, self.folder = history, folder
        self.entities: dict[str, dict[str, Any]] = {}
        self.parts: list[str] = []
        self.place: dict[str, str] = {}  # from the id of a step to the entity that is its result
        self.opened: dict[str, str] = {}  # from the id of a root to what a script opens
        self._add(METADATA, "CreativeWork", conformsTo=_ref(_CRATE), about=_ref("./"))
        self._add("./", "Dataset")
        for file in files:
            self._file(file)
        self.why_not = self._script()
        to_prov_json(history, folder / _PROV)
        self._described(folder / _PROV, name="History as W3C PROV", encodingFormat="application/json")
        self.actions = [self._action(call, text) for call, text in explained(history)]

    def _add(self, key: str, kind: str | list[str], **about: Any) -> str:
        # RO-Crate wants one value as it is, several in a list.
        flat = {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in about.items()}
        known = {k: v for k, v in flat.items() if v not in (None, "", [])}
        self.entities.setdefault(key, {"@id": key, "@type": kind}).update(known)
        return key

    def _described(self, path: Path, kind: str | list[str] = "File", **about: Any) -> str:
        key = quote(path.relative_to(self.folder).as_posix())
        self.parts.append(key)
        return self._add(key, kind, contentSize=str(path.stat().st_size), sha256=_sha256(path), **about)

    def _file(self, path: Path) -> None:
        found = file_fingerprint(path)
        roots = [s for s in self.history.roots if s.params.get("sha256") == found["sha256"]]
        roots = [s for s in roots if s.params.get("size") == found["size"]]
        known = {s.id for s in self.history}
        inside = {k: signal for k, signal in _steps_of(path).items() if k in known} if not roots else {}
        what = "Raw data" if roots else "Data with their history" if inside else ""
        kind = mimetypes.guess_type(path.name)[0] or _HDF5.get(path.suffix.lower(), "application/octet-stream")
        key = self._described(path, name=path.name, description=what, encodingFormat=kind)
        here = path.relative_to(self.folder).as_posix()
        for step in roots:
            self.place[step.id], self.opened[step.id] = key, here
        for step_id, signal in inside.items():
            self.place.setdefault(step_id, key)
            self.opened.setdefault(step_id, f"{here}::{signal}")

    def _script(self) -> str:
        path = self.folder / _SCRIPT
        try:
            path.write_text(self.history.to_script(self.opened), encoding="utf-8")
        except ProvenanceError as error:
            path.unlink(missing_ok=True)  # of the crate that is replaced
            return str(error)
        language = self._add("#python", "ComputerLanguage", name="Python", url="https://www.python.org/")
        about = {"name": "Script that makes the result again", "encodingFormat": "text/x-python"}
        self._described(path, ["File", "SoftwareSourceCode"], programmingLanguage=_ref(language), **about)
        return ""

    def _action(self, call: Call, text: str) -> str:
        step = call.step
        values = [
            self._add(f"#{step.id}-{quote(str(key))}", "PropertyValue", name=str(key), value=short(value, 2000))
            for key, value in arguments(step).items()
        ]
        used = [_ref(self._source(key)) for _, key in step.inputs]
        tools = [self._software(package, version) for package, version in step.agents.items()]
        made = dict.fromkeys(self._made(one.id, call, one.part) for one in call.steps)
        return self._add(
            f"#action-{step.id}",
            "CreateAction",
            name=line(call),
            description=text,
            instrument=[_ref(tool) for tool in sorted(tools, key=lambda t: not t.startswith("#sid-xarray"))],
            object=[*used, *map(_ref, values)],
            result=[_ref(key) for key in made],
            endTime=step.time.replace("Z", "+00:00"),
        )

    def _software(self, package: str, version: str) -> str:
        label, url = SOFTWARE.get(package, (package, ""))
        key = f"#{quote(f'{package}-{version}')}"
        return self._add(key, "SoftwareApplication", name=label, softwareVersion=version, url=url)

    def _source(self, key: str) -> str:
        """Return the entity of an input: a file of the crate, a file that is not in it, or an array in between."""
        step = next((s for s in self.history.roots if s.id == key), None)
        if key in self.place or step is None:
            return self.place.get(key, f"#array-{key}")
        params = step.params
        known = params.get("sha256") is not None
        about = {
            "name": str(params.get("name") or "array in memory"),
            "description": "Raw data that are not part of this crate" if known else "Given in memory",
            "contentSize": str(params["size"]) if "size" in params else None,
            "identifier": f"sha256 of the first and last MiB: {params['sha256']}" if known else None,
        }
        return self.place.setdefault(key, self._add(f"#raw-{key}", "CreativeWork", **about))

    def _made(self, key: str, call: Call, part: str | None) -> str:
        if key in self.place:
            return self.place[key]
        label = f"{part} of {call.name}" if part is not None else f"result of {call.name}"
        return self.place.setdefault(key, self._add(f"#array-{key}", "CreativeWork", name=label))

    def describe(self, name: str | None, authors: Any, licence: str | None) -> None:
        """Fill in what is said of the crate as a whole."""
        people = {authors: ""} if isinstance(authors, str) else authors
        people = dict(people) if isinstance(people, Mapping) else dict.fromkeys(people, "")
        text = methods_text(self.history, citations=False)
        missing = f" There is no script: {self.why_not}." if self.why_not else ""
        profile = self._add(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
        named = [_ref(self._person(person, orcid)) for person, orcid in people.items()]
        for action in self.actions:
            self._add(action, "CreateAction", agent=named)
        self._add(
            "./",
            "Dataset",
            name=name or "Data and their history",
            description=f"{text}{missing}",
            datePublished=dt.datetime.now(dt.UTC).date().isoformat(),
            conformsTo=_ref(profile),
            license=_ref(self._licence(licence)) if licence else None,
            author=named,
            hasPart=[_ref(part) for part in self.parts],
            mentions=[_ref(action) for action in self.actions],
            citation=[_ref(key) for key in self._citations()],
        )

    def _licence(self, licence: str) -> str:
        key = licence if "://" in licence else f"https://spdx.org/licenses/{quote(licence)}"
        return self._add(key, "CreativeWork", name=licence)

    def _person(self, name: str, orcid: str) -> str:
        key = f"https://orcid.org/{orcid.removeprefix('https://orcid.org/')}" if orcid else f"#{quote(name)}"
        return self._add(key, "Person", name=name)

    def _citations(self) -> list[str]:
        found = [ref for ref in references(self.history) if ref.url]
        return [self._add(ref.url, "ScholarlyArticle", name=ref.title or ref.url) for ref in found]


_HDF5 = dict.fromkeys((".h5", ".hdf5", ".hf5", ".nc"), "application/x-hdf5")


def _ref(key: str) -> dict[str, str]:
    return {"@id": key}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _steps_of(path: Path) -> dict[str, str]:
    """Return the steps that arrays in a file are the result of, and where they lie; none if it is no file of arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SidWarning)
        try:
            tree = open_tree(path)
        except (OSError, ValueError):  # a picture, a text, a format that needs a package that is not here
            return {}
    with tree:
        return {head: key for key, da in signals(tree).items() for head in read_history(da.attrs).heads}
