"""Files that others wrote, against what is known to be in them."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.schema import kinds

SHARED = Path(__file__).parents[3] / "shared"
CORPUS = sorted(p.stem for p in (SHARED / "corpus").glob("n*.json"))
REAL = json.loads((SHARED / "realdata/truth.json").read_text()) if SHARED.is_dir() else {}
NSID = sorted(k for k in REAL if k.startswith("nsid/") and "2020" not in k)
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared files is not here")


def found_units(attrs: Any) -> Any:
    return attrs.get("sid_units_original", attrs.get("units"))


def said(text: str | None) -> str | None:
    """What an attribute says; the words for nothing are nothing."""
    return None if text is None or text.strip().lower() in ("", "generic", "none") else text


def plain(value: Any) -> Any:
    """Values as the truth files spell them."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, complex):
        return {"re": plain(value.real), "im": plain(value.imag)}
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)
    return value


def signals(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sid.SidWarning)
        return sid.open(path).sid.signals


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    truth = json.loads((SHARED / f"corpus/{name}.json").read_text())
    found = signals(SHARED / f"corpus/{name}.h5")
    for want in truth["datasets"]:
        if want["dtype_on_disk"].startswith("["):
            compound(want, found)
            continue
        da = found[want["path"]] if want["path"] in found else found[f"{want['path']}/{want['name']}"]
        assert str(da.dtype) == want["dtype_on_disk"]
        assert list(da.shape) == want["shape"]
        values = np.ascontiguousarray(da.values)
        assert hashlib.sha256(values.tobytes()).hexdigest() == want["checksums"]["native"]
        assert found_units(da.attrs) == want["units"] or said(want["units"]) is None
        assert da.attrs.get("long_name") == said(want["quantity"])
        assert da.attrs.get("sid_modality") == said(want["modality"])
        assert da.attrs.get("source") == said(want["source"])
        assert da.attrs["sid_title"] == want["title"]
        assert kinds.kind_to_nsid(da.sid.kind) in (want["data_type"], "UNKNOWN")
        assert plain(da.sid.metadata.to_dict()) == want["metadata"]
        assert plain(da.sid.original_metadata.to_dict()) == want["original_metadata"]
        dimensions(da, want["dims"])


def dimensions(da: Any, wanted: list[dict[str, Any]]) -> None:
    assert [str(d) for d in da.dims] == [w["name"] for w in wanted]
    for dim, want in zip(da.dims, wanted, strict=True):
        assert da[dim].attrs["sid_dimension_type"] == want["dimension_type"].lower()
        assert found_units(da[dim].attrs) == want["units"] or said(want["units"]) is None
        assert da[dim].attrs.get("long_name") == said(want["quantity"])
        np.testing.assert_array_equal(da[dim].values, want["values"])


def compound(want: dict[str, Any], found: dict[str, Any]) -> None:
    fields = {da.attrs["sid_name_original"]: da for da in found.values()}
    assert list(fields) == [f[0] for f in eval(want["dtype_on_disk"])]
    for name, da in fields.items():
        values = np.ascontiguousarray(da.values)
        assert hashlib.sha256(values.tobytes()).hexdigest() == want["checksums"]["fields"][name]["native"]
        dimensions(da, want["dims"])


@pytest.mark.parametrize("name", NSID)
def test_real_file(name: str) -> None:
    truth = REAL[name]
    found = signals(SHARED / "realdata" / name)
    assert len(found) == len(truth["signals"])
    for want in truth["signals"]:
        da = found[want["title"]]
        assert list(da.shape) == want["shape"]
        # The truth was read by a peer, which makes everything float64.
        values = np.ascontiguousarray(da.values.astype("<f8"))
        assert hashlib.sha1(values.tobytes()).hexdigest() == want["sha1_native_le"]
        assert found_units(da.attrs) == want["units"] or said(want["units"]) is None
        assert da.attrs.get("long_name") == said(want["quantity"])
        assert kinds.kind_to_nsid(da.sid.kind) == want["data_type"]
        for dim, axis in zip(da.dims, want["axes"], strict=True):
            assert dim == axis["name"]
            assert da.sizes[dim] == axis["size"]
            assert da[dim].attrs.get("long_name") == said(axis["quantity"])
            assert found_units(da[dim].attrs) == axis["units"]
            assert da[dim].attrs["sid_dimension_type"] == axis["dimension_type"].lower()
            assert float(da[dim][0]) == axis["first"]
            assert float(da[dim][-1]) == axis["last"]


def test_opening_reads_no_values_and_keeps_the_dtype() -> None:
    da = sid.open_dataarray(SHARED / "realdata/nsid/bfo_iv_final.hf5")
    assert not da._in_memory
    assert da.dtype == np.float64


def test_metadata_of_the_pfm_scan_are_whole() -> None:
    da = sid.open_dataarray(SHARED / "realdata/nsid/PTO_Funakubo0001.h5", "Channel_0")
    assert len(da.sid.original_metadata) == 838


OLD = sorted(k for k in REAL if k.startswith("nsid/") and "2020" in k)


@pytest.mark.parametrize("name", OLD)
def test_file_of_the_layout_of_2020(name: str) -> None:
    """Scales lie beside the mains, and references to them dangle."""
    found = {da.encoding["sid_h5path"]: da for da in signals(SHARED / "realdata" / name).values()}
    for want in REAL[name]["signals"]:
        da = found[want["path"]]
        assert str(da.dtype) == want["dtype"]
        assert list(da.shape) == want["shape"]
        assert hashlib.sha1(np.ascontiguousarray(da.values).tobytes()).hexdigest() == want["sha1_native_le"]
        assert [str(d) for d in da.dims] == want["dims"]
        for dim, scale in want["sibling_1d"].items():
            assert found_units(da[dim].attrs) == scale["units"]
            assert float(da[dim][0]) == scale["first"]
            assert float(da[dim][-1]) == scale["last"]
