"""Metadata of HyperSpy: what has a place of its own here is taken out, all else is kept word for word."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.errors import MetadataError, warn
from sid_xarray.io.interop import _carry
from sid_xarray.io.interop._common import found_units
from sid_xarray.schema import attrs as names

__all__ = ["attributes_of", "browsable", "own_node", "tree_for", "tree_of"]

# A key that is called like a method of HyperSpy's browser of metadata breaks it.
_METHODS = frozenset(
    (
        "add_dictionary",
        "add_node",
        "as_dictionary",
        "copy",
        "deepcopy",
        "export",
        "get_item",
        "has_item",
        "items",
        "keys",
    )
) | {"print_html", "process_lazy_attributes", "set_item", "values"}
_PRIVATE = frozenset(("_double_lines", "_lazy_attributes", "_db_index", "_HyperSpy"))
# What extensions of HyperSpy have classes for, and the instruments under Acquisition_instrument.
_SIGNAL_TYPES = frozenset(("EELS", "EDS_TEM", "EDS_SEM", "CL", "CL_SEM", "CL_STEM", "electron_diffraction", "hologram"))
_INSTRUMENTS = ("TEM", "SEM", "Spectrometer", "LaserMicroscope")


def tree_of(metadata: Any) -> dict[str, Any]:
    """Return metadata as a nested dict of our own."""
    if metadata is None:
        return {}
    try:
        found = metadata.as_dictionary() if hasattr(metadata, "as_dictionary") else metadata
        return {key: _copied(value) for key, value in dict(found).items()}
    except Exception as error:  # noqa: BLE001 - a key that shadows a method of the browser makes it raise anything
        warn(f"metadata of the signal cannot be read: {error}")
        return {}


def _copied(value: Any) -> Any:
    # Not deepcopy: arrays (of a variance, say) may be large or lazy.
    if isinstance(value, Mapping):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def own_node(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `tree_for` put there of ours."""
    node = tree.get(_carry.KEY)
    return dict(node) if isinstance(node, Mapping) else {}


def attributes_of(tree: dict[str, Any]) -> tuple[dict[Any, Any], Any]:
    """Take title, quantity, units, modality, source and variance out of the tree.

    Returns
    -------
    attrs : dict
        Units as found.
    variance : array or None
    """
    node = own_node(tree)
    tree.pop(_carry.KEY, None)
    attrs: dict[Any, Any] = {}
    title = _leaf(tree, "General", "title")
    if isinstance(title, str):
        _drop(tree, "General", "title")
        if title:
            attrs[names.TITLE] = title
    quantity, unit = _parsed(_leaf(tree, "Signal", "quantity"))
    if quantity:
        attrs[names.LONG_NAME] = quantity
    if unit is not None:
        attrs[names.UNITS] = unit
    if _leaf(tree, "Signal", "quantity") in (_said(quantity, unit), ""):
        _drop(tree, "Signal", "quantity")
    kind = _leaf(tree, "Signal", "signal_type")
    modality = node.get("modality") or kind
    if kind == "" or node.get("wrote_signal_type"):
        _drop(tree, "Signal", "signal_type")
    microscopes = [_leaf(tree, "Acquisition_instrument", key, "microscope") for key in _INSTRUMENTS]
    source = node.get("source") or next((m for m in microscopes if isinstance(m, str)), None)
    found = {names.MODALITY: modality, names.SOURCE: source}
    attrs |= {key: value for key, value in found.items() if isinstance(value, str) and value}
    folding = _leaf(tree, "_HyperSpy", "Folding")
    if isinstance(folding, Mapping) and not folding.get("unfolded"):
        _drop(tree, "_HyperSpy", "Folding")
    spread = _leaf(tree, "Signal", "Noise_properties", "_sig_variance", "data")
    if spread is not None:
        _drop(tree, "Signal", "Noise_properties", "_sig_variance")
    return attrs, spread


def _leaf(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _drop(tree: dict[str, Any], *path: str) -> None:
    """Remove an entry, and what is empty without it."""
    above = _leaf(tree, *path[:-1])
    if isinstance(above, dict):
        above.pop(path[-1], None)
        if not above and len(path) > 1:
            _drop(tree, *path[:-1])


def _parsed(text: Any) -> tuple[str | None, str | None]:
    """Split ``"Current (nA)"``; units may hold brackets of their own."""
    if not isinstance(text, str) or not text.strip():
        return None, None
    text = text.strip()
    if not text.endswith(")"):
        return text, None
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] == ")") - (text[i] == "(")
        if depth == 0:
            return text[:i].strip() or None, text[i + 1 : -1]
    return text, None


def _said(quantity: str | None, unit: str | None) -> str:
    return " ".join(part for part in (quantity, f"({unit})" if unit is not None else None) if part)


def tree_for(da: xr.DataArray, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata to show in HyperSpy, with our own node in it."""
    try:
        tree = browsable(_metadata.unpack(da.attrs.get(names.METADATA)))
    except MetadataError:
        tree = {}
    own = dict(node)
    general = _branch(tree, "General")
    general["title"] = str(da.attrs.get(names.TITLE) or da.name or "")
    signal = _branch(tree, "Signal")
    quantity = da.attrs.get(names.LONG_NAME)
    text = _said(quantity if isinstance(quantity, str) else None, found_units(da.attrs))
    if text:
        signal.setdefault("quantity", text)
    for key, ours in (("modality", names.MODALITY), ("source", names.SOURCE)):
        if isinstance(da.attrs.get(ours), str):
            own[key] = da.attrs[ours]
    if "signal_type" not in signal:
        own["wrote_signal_type"] = True
        signal["signal_type"] = own.get("modality", "") if own.get("modality") in _SIGNAL_TYPES else ""
    return {**tree, _carry.KEY: own}


def _branch(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    if not isinstance(found, dict):
        tree[key] = found = {}
    return found


def browsable(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the entries that HyperSpy can show: it makes attributes of keys, and two that look alike become one."""
    out: dict[str, Any] = {}
    seen: set[str] = set()
    for key, value in tree.items():
        slug = _slug(key)
        if not isinstance(key, str) or not key or slug in seen or slug in _METHODS:
            continue
        if key in _PRIVATE or key.startswith("_hspy_"):
            continue
        seen.add(slug)
        out[key] = browsable(value) if isinstance(value, Mapping) else copy.copy(value)
    return out


def _slug(key: object) -> str:
    plain = unicodedata.normalize("NFKD", str(key)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_ ]", "", plain).strip().replace(" ", "_").removeprefix("_sig_")
