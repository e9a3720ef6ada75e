"""Arrays that hypothesis thinks of, in the hands of the older packages: what the table says they hold, they hold.

``SID_PEER_FILES`` is the number of files of each format.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parent))
import support

from sid_xarray.io.usid.plan import plan_group
from sid_xarray.testing import strategies

PEERS = os.environ.get("SID_PEERS_PYTHON")
COUNT = int(os.environ.get("SID_PEER_FILES", "120"))
SHOWN_BY = {"nsid": ("pyNSID", "NSIDReader"), "usid": ("pyUSID", "Usid_reader")}
pytestmark = pytest.mark.peers


def drawn(form: str, count: int) -> list[xr.DataArray]:
    """Return arrays that the table says the peers can hold."""
    out: list[xr.DataArray] = []

    @given(strategies.dataarrays(form))
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def draw(da: xr.DataArray) -> None:
        if all(support.holds(form, reader, da) for reader in SHOWN_BY[form]):
            out.append(da.compute())

    for start in itertools.count():
        seed(start)(draw)()
        if len(out) >= count:
            return out[:count]
    raise AssertionError


@pytest.fixture(scope="module", params=["nsid", "usid"])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, xr.DataArray]]:
    if PEERS is None:
        pytest.skip("SID_PEERS_PYTHON is not set to the interpreter of an environment with the older packages")
    form = request.param
    folder = tmp_path_factory.mktemp(form)
    out = {}
    for i, da in enumerate(drawn(form, COUNT)):
        path = str(folder / f"{i}.h5")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(da.sid, f"to_{form}")(path)
        out[path] = da
    return form, out


def test_script_of_the_corpus(files: tuple[str, dict[str, xr.DataArray]], shared: Path) -> None:
    form, arrays = files
    options = ["--strict"] if form == "nsid" else ["--strict", "--require-nd"]
    run = subprocess.run(
        [str(PEERS), str(Path(__file__).parent / "check_files.py"), str(shared / "corpus/peer_check.py"), *options],
        input="\n".join(arrays),
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * len(arrays),
    )
    assert run.returncode == 0, run.stderr[-2000:]
    wrong = {path: said for path, (code, said) in json.loads(run.stdout).items() if code != 0}
    assert not wrong, "\n\n".join(
        f"{arrays[p]!r}\n{arrays[p].attrs}\n{said[-3000:]}" for p, said in list(wrong.items())[:3]
    )


def test_values(files: tuple[str, dict[str, xr.DataArray]]) -> None:
    form, arrays = files
    wrong = []
    for reader in SHOWN_BY[form]:
        for (path, da), found in zip(
            arrays.items(), support.seen(reader, list(map(Path, arrays)), str(PEERS)), strict=True
        ):
            if not isinstance(found, list) or len(found) != 1 or not same(expected(form, da, path), found[0]["array"]):
                shown = found[0]["array"] if isinstance(found, list) and found else found
                wrong.append(f"{reader}: {da!r}\n{shown}")
    assert not wrong, f"{len(wrong)} are wrong:\n" + "\n\n".join(wrong[:3])


def expected(form: str, da: xr.DataArray, path: str) -> Any:
    """Return the values as a peer orders them: of USID, rows before columns."""
    if form == "nsid":
        return da.values
    plan = plan_group(da, path, None, {})
    (main,) = plan.mains.values()
    dims = [d for i in main.sides for d in plan.sides[i].dims]
    return da.transpose(*[d for d in da.dims if d not in dims], *dims).values


def same(wanted: Any, got: Any) -> bool:
    """Tell whether values are the same, as far as the dtype of the peer can hold them; axes of one point aside."""
    if wanted.size != got.size or [n for n in wanted.shape if n > 1] != [n for n in got.shape if n > 1]:
        return False
    with np.errstate(all="ignore"):
        return np.array_equal(wanted.astype(got.dtype).ravel(), got.ravel(), equal_nan=True)
