"""A history as W3C PROV, in its JSON form."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sid_xarray.core.calls import Call, line
from sid_xarray.core.history import Step
from sid_xarray.core.provenance import Provenance
from sid_xarray.schema.references import SOFTWARE

__all__ = ["to_prov_json"]

_PREFIX = {"sid": "urn:sid-xarray:"}
_NAME = re.compile(r"[0-9A-Za-z_.-]+")


def to_prov_json(history: Provenance, path: str | os.PathLike[str] | None = None) -> str:
    """History as W3C PROV-JSON, for repositories and other programs.

    Every array is an entity, every call of a verb an activity, every package that was at work a software agent. Files
    that the history starts from are entities with their size and hash.

    Parameters
    ----------
    history : Provenance
    path : str, optional
        File to write to, such as ``"history.prov.json"``.

    Returns
    -------
    str
        JSON of the PROV data model.

    References
    ----------
    .. [1] PROV-DM: The PROV Data Model, W3C Recommendation 30 April 2013, https://www.w3.org/TR/prov-dm/
    """
    text = json.dumps(_Document(history).content, indent=1, ensure_ascii=True)
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


class _Document:
    """Collects what a document says; relations are counted, since PROV names them, too."""

    def __init__(self, history: Provenance) -> None:
        self.content: dict[str, Any] = {"prefix": dict(_PREFIX)}
        for call in history.calls:
            self._activity(call)
            for step in call.steps:
                self._result(step, call, history)

    def _put(self, kind: str, key: str, about: Mapping[str, Any]) -> str:
        self.content.setdefault(kind, {}).setdefault(key, {k: v for k, v in about.items() if v not in (None, "")})
        return key

    def _relate(self, kind: str, **about: Any) -> None:
        known = self.content.setdefault(kind, {})
        known[f"_:{kind}{len(known) + 1}"] = {f"prov:{k}": v for k, v in about.items() if v}

    def _activity(self, call: Call) -> None:
        step = call.step
        if step.is_root and not step.op.startswith("sid:open"):
            return  # given in memory: nothing is known that made it
        activity = self._put(
            "activity",
            _activity_of(call),
            {
                "prov:type": _type("Unrecorded" if not call.is_recorded else "Open" if step.is_root else "Verb"),
                "prov:label": line(call),
                "prov:endTime": step.time,
                "sid:operation": step.op,
                "sid:parameters": json.dumps(step.params, sort_keys=True),
                "sid:opaque": ", ".join(call.opaque),
            },
        )
        for package, version in step.agents.items():
            about = {
                "prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"},
                "prov:label": f"{SOFTWARE[package][0] if package in SOFTWARE else package} {version}",
                "sid:version": version,
            }
            agent = self._put("agent", f"sid:{_local(f'{package}_{version}')}", about)
            self._relate("wasAssociatedWith", activity=activity, agent=agent)
        if step.is_root:
            self._relate("used", activity=activity, entity=self._file(step))
        for role, key in step.inputs:
            self._relate("used", activity=activity, entity=_entity_of(key), role=role)

    def _file(self, step: Step) -> str:
        p = step.params
        about = {
            "prov:type": _type("File"),
            "prov:label": str(p.get("name", "")),
            "sid:size": p.get("size"),
            "sid:sha256_of_first_and_last_MiB": p.get("sha256"),
        }
        return self._put("entity", f"sid:file_{_local(str(p.get('sha256', step.id)))[:24]}", about)

    def _result(self, step: Step, call: Call, history: Provenance) -> None:
        out = step.out
        head = step.id in history.heads
        shape = out.get("shape")
        about = {
            "prov:type": _type("Array"),
            "prov:label": f"{step.part} of {call.name}" if step.part is not None else f"result of {call.name}",
            "sid:h5path": step.params.get("h5path") if step.is_root else None,
            "sid:dims": " ".join(map(str, out["dims"])) if isinstance(out.get("dims"), list) else None,
            "sid:shape": " ".join(map(str, shape)) if isinstance(shape, list) else None,
            "sid:dtype": out.get("dtype"),
            "sid:fingerprint": out.get("tok"),
            "sid:units": json.dumps(out["units"], sort_keys=True) if out.get("units") else None,
            "sid:status": history.status if head else None,
        }
        entity = self._put("entity", _entity_of(step.id), about)
        if step.is_root and not step.op.startswith("sid:open"):
            return
        activity = _activity_of(call)
        self._relate("wasGeneratedBy", entity=entity, activity=activity, time=step.time)
        sources = [_entity_of(key) for _, key in step.inputs] or [self._file(step)]
        for source in dict.fromkeys(sources):
            self._relate("wasDerivedFrom", generatedEntity=entity, usedEntity=source, activity=activity)


def _activity_of(call: Call) -> str:
    # By its first result: two unrecorded steps on the same input have the same recipe, and are two.
    return f"sid:call_{_local(call.step.id)}"


def _entity_of(key: str) -> str:
    return f"sid:array_{_local(key)}"


def _local(text: str) -> str:
    """Return text as the local part of a name; only forged histories hold other characters."""
    return text if _NAME.fullmatch(text) else hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _type(name: str) -> dict[str, str]:
    return {"$": f"sid:{name}", "type": "prov:QUALIFIED_NAME"}
