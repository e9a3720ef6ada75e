"""What survives plain xarray: the page of the documentation is what is measured here.

Regenerate it with ``SID_REGENERATE=1 pytest tests/house/test_survival.py``.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core import provenance, stamping

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "concepts" / "survival.md"
spec = importlib.util.spec_from_file_location("sid_survival", HERE / "survival.py")
survival = importlib.util.module_from_spec(spec)
sys.modules["sid_survival"] = survival  # dataclasses look their module up
spec.loader.exec_module(survival)

READY = [op for op in survival.OPERATIONS if survival.available(op)]
EACH = pytest.mark.parametrize("operation", READY, ids=lambda op: op.code)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return survival.sample(tmp_path_factory.mktemp("survival"))


@pytest.fixture(scope="module")
def measured(names):
    return {op: survival.row(op, names)[0] for op in READY}


def input_of(operation, names):
    return names["series" if operation.code.startswith("series") else "da"]


def unchanged(out, before):
    """Whether values, dims and axes are those of the input."""
    if out.dims != before.dims or out.shape != before.shape or out.dtype != before.dtype:
        return False
    axes = all(np.array_equal(out[d].values, before[d].values) for d in before.dims if d in out.coords)
    gone = [d for d in before.dims if d not in out.coords]
    return axes and not gone and np.array_equal(out.values, before.values, equal_nan=out.dtype.kind in "fc")


def test_there_are_more_than_a_hundred_and_none_twice():
    codes = [op.code for op in survival.OPERATIONS]
    assert len(READY) > 100
    assert len(codes) == len(set(codes))


@EACH
def test_the_status_is_never_falsely_verified(operation, names):
    found, out = survival.row(operation, names)
    before = input_of(operation, names)
    if found.status == "verified":
        assert unchanged(out, before)
    assert found.status in provenance.STATUS
    # And the next verb covers no gap: a step says that something was not recorded.
    steps = [s.name for s in stamping.settled(out).steps.values()]
    if not unchanged(out.compute(), before):
        assert steps[-1] == ("unrecorded" if found.status != "none" else "input")


@EACH
def test_lazy_values_are_never_verified_and_never_trusted_after_a_change(operation, names):
    before = input_of(operation, names)
    lazy = {k: v.chunk() if isinstance(v, xr.DataArray) and v.chunks is None else v for k, v in names.items()}
    try:
        _, out = survival.row(operation, lazy)
    except (NotImplementedError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        pytest.skip(f"xarray cannot do that lazily: {type(error).__name__}")
    eager_now = out.chunks is None and not any(word in operation.code for word in ("compute", "nsid", "netcdf", "zarr"))
    if out.chunks is not None:
        assert out.sid.provenance.status != "verified"
    if unchanged(out.compute(), before) or eager_now:
        return
    assert [s.name for s in stamping.settled(out).steps.values()][-1] in ("unrecorded", "input")


def test_the_page_is_what_was_measured(measured):
    text = survival.page(measured)
    if os.environ.get("SID_REGENERATE"):
        PAGE.write_text(text)
    page = PAGE.read_text()
    version = re.search(r"with xarray (\S+?)\. Do not edit", page)
    assert version is not None
    if version[1] != xr.__version__:
        pytest.skip(f"the page was made with xarray {version[1]}, this is {xr.__version__}: other versions may differ")
    there = {m[1]: m[0] for m in re.finditer(r"^\| `(.*?)` \|.*$", page, re.MULTILINE)}
    lines = {survival.SHOWN.get(op.code, op.code): survival.line(op, row) for op, row in measured.items()}
    wrong = [now for code, now in lines.items() if there.get(code) != now]
    spare = set(there) - {survival.SHOWN.get(op.code, op.code) for op in survival.OPERATIONS}
    again = "Regenerate: SID_REGENERATE=1 pytest tests/house/test_survival.py"
    assert not wrong, "\n".join([again, *wrong])
    assert not spare, f"{again}\n{spare}"
    if len(READY) == len(there):
        assert page == text, again
