"""What histories cost. Run: pytest tests/benchmarks/bench_provenance.py --benchmark-enable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import provenance

STEPS = 50


def small() -> xr.DataArray:
    dims = {"y": (1, "nm"), "x": (1, "nm"), "energy": (1, "eV")}
    return sid.dataarray(np.random.default_rng(0).normal(size=(8, 8, 16)), dims, units="count", quantity="counts")


def chain(d: Any) -> Any:
    for i in range(STEPS // 2):
        d = (d - 0.5 * i).clip(-100, 100)
    return d


@pytest.mark.benchmark(group="50 operations on 8 kB: a step costs a fiftieth of the difference")
def bench_plain(benchmark: Any) -> None:
    benchmark(chain, small())


@pytest.mark.benchmark(group="50 operations on 8 kB: a step costs a fiftieth of the difference")
def bench_traced(benchmark: Any) -> None:
    da = small()
    assert len(benchmark(da.sid.trace, chain).sid.provenance) == STEPS + 1


@pytest.mark.benchmark(group="50 operations on 8 kB: a step costs a fiftieth of the difference")
def bench_replay(benchmark: Any) -> None:
    da = small()
    view = da.sid.trace(chain).sid.provenance
    benchmark(view.replay, da)


@pytest.mark.benchmark(group="one stamp")
@pytest.mark.parametrize("steps", [0, 10, 50])
def bench_stamp(benchmark: Any, steps: int) -> None:
    da = small()
    for i in range(steps):
        da = provenance.stamp(da + 0, "x", da, offset=float(i))
    out = da + 0
    benchmark(provenance.stamp, out, "x", da, offset=1.0)


@pytest.mark.benchmark(group="one stamp on a lazy array of 10 000 chunks")
def bench_stamp_lazy(benchmark: Any) -> None:
    da = small().isel(y=0, x=0, drop=True).expand_dims(t=100, u=100).chunk(t=1, u=1)
    benchmark(provenance.stamp, da, "x", da)


@pytest.mark.benchmark(group="a script of 50 steps")
def bench_script(benchmark: Any) -> None:
    view = small().sid.trace(chain).sid.provenance
    benchmark(view.to_script)
