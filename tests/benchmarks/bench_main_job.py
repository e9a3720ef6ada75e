"""How long the main job takes, beside what others take. Run: pytest tests/benchmarks --benchmark-enable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.optimize import curve_fit

import sid_xarray as sid


def gaussian(x: Any, height: float, center: float, sigma: float, offset: float) -> Any:
    return height * np.exp(-0.5 * ((x - center) / sigma) ** 2) + offset


@pytest.mark.benchmark(group="fit 1024 curves of 256 points")
def bench_fit(benchmark: Any) -> None:
    da = sid.datasets.peak_map(ny=32, nx=32, ne=256)
    result = benchmark(da.sid.fit, "gaussian + constant")
    assert (result.status == 0).all()


@pytest.mark.benchmark(group="fit 1024 curves of 256 points")
def bench_fit_scipy_loop(benchmark: Any) -> None:
    da = sid.datasets.peak_map(ny=32, nx=32, ne=256)
    x, curves = da.energy.values, da.values.reshape(-1, 256).astype(float)

    def loop() -> list[Any]:
        return [curve_fit(gaussian, x, y, p0=(y.max() - y.min(), x[y.argmax()], 1.0, y.min())) for y in curves]

    benchmark.pedantic(loop, rounds=1, iterations=1)


@pytest.fixture(scope="module")
def cube() -> Any:
    """64 MiB of float32."""
    values = np.random.default_rng(0).normal(size=(128, 128, 1024)).astype("f4")
    return sid.dataarray(
        values, {"y": (1, "nm"), "x": (1, "nm"), "energy": (0.1, "eV")}, units="count", quantity="counts"
    )


@pytest.mark.benchmark(group="write 64 MiB")
def bench_write(benchmark: Any, cube: Any, tmp_path: Path) -> None:
    benchmark(cube.sid.to_nsid, tmp_path / "ours.h5", mode="w")


@pytest.mark.benchmark(group="write 64 MiB")
def bench_write_h5py(benchmark: Any, cube: Any, tmp_path: Path) -> None:
    cube.sid.to_nsid(tmp_path / "ours.h5", mode="w")
    with h5py.File(tmp_path / "ours.h5") as file:
        chunks = file["Measurement_000/Channel_000/counts/counts"].chunks

    def write() -> None:
        with h5py.File(tmp_path / "raw.h5", "w") as file:
            file.create_dataset("counts", data=cube.values, chunks=chunks)

    benchmark(write)


@pytest.mark.benchmark(group="open and read one image")
def bench_open(benchmark: Any, cube: Any, tmp_path: Path) -> None:
    cube.sid.to_nsid(tmp_path / "ours.h5", mode="w")
    benchmark(lambda: sid.open_dataarray(tmp_path / "ours.h5").isel(energy=5).values)


@pytest.mark.benchmark(group="open 100 signals")
def bench_open_hundred_signals(benchmark: Any, tmp_path: Path) -> None:
    dims = {"y": (1, "nm"), "x": (1, "nm"), "energy": (1, "eV")}
    one = sid.dataarray(np.zeros((8, 8, 16), "f4"), dims, quantity="s").to_dataset()
    tree = xr.DataTree.from_dict({f"/Measurement_{i:03d}/Channel_000/s": one for i in range(100)})
    tree.sid.to_nsid(tmp_path / "a.h5")
    benchmark(lambda: sid.open(tmp_path / "a.h5").close())


def bench_import(benchmark: Any) -> None:
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", "import xarray, sid_xarray"], check=True), rounds=3, iterations=1
    )
