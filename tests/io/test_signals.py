"""Ctrl-C while a file is written: it waits until HDF5 is left, the file is the old or the new one, Python goes on."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sid_xarray.io._signals import held, let_through, uninterrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background ignore it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def heard() -> list[int]:
    out: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: out.append(number))
    return out


def send(number: int = signal.SIGUSR1) -> None:
    os.kill(os.getpid(), number)
    for _ in range(1000):  # Python acts on it between two steps
        pass


def test_it_waits_for_the_end(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with held():
        with held():
            send()
        assert not heard
    assert heard == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_ctrl_c_is_raised_after_the_block() -> None:
    ended = False
    with pytest.raises(KeyboardInterrupt), held():
        send(signal.SIGINT)
        ended = True
    assert ended
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_between_two_calls_of_hdf5_it_is_heard(heard: list[int]) -> None:
    with held():
        send()
        with let_through():
            assert len(heard) == 1
            send()
            assert len(heard) == 2
            with held():
                send()
                assert len(heard) == 2
            assert len(heard) == 3
        send()
        assert len(heard) == 3
    assert len(heard) == 4


def test_an_error_on_the_way_out_of_hdf5_leaves_it_held() -> None:
    with held():
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
            with let_through():
                raise AssertionError
        send(signal.SIGINT)
        still = True
        with pytest.raises(KeyboardInterrupt), let_through():
            pass
    assert still


def test_a_function_that_hdf5_calls_is_never_interrupted(heard: list[int]) -> None:
    @uninterrupted
    def called() -> int:
        (lambda: send())()
        return len(heard)

    with held(), let_through():
        assert called() == 0
        end = time.monotonic() + 10
        while not heard and time.monotonic() < end:
            time.sleep(0.001)
        assert len(heard) == 1  # soon after


def test_a_handler_that_was_set_within_stays(heard: list[int]) -> None:
    def other(number: int, frame: Any) -> None:
        heard.append(-number)

    with held():
        signal.signal(signal.SIGUSR1, other)
    send()
    assert heard == [-signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is other


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with held():
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        send()


def test_other_threads_hear_none_and_change_nothing(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGUSR1)

    def work() -> None:
        with held(), let_through():
            assert signal.getsignal(signal.SIGUSR1) is before

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    send()
    assert heard


_STOPPED = """
import gc, random, signal, sys, time
import dask
import sid_xarray as sid
from sid_xarray.io import _target

how, path = sys.argv[1:]
rng = random.Random(0)
da = sid.datasets.peak_map(ny=16, nx=16, ne=64)
data = da if how == "memory" else da.chunk({"y": 4, "x": 4})
da.sid.to_nsid(path)
if how == "added":
    _target.LARGE = 0

def write():
    if how == "usid":
        data.sid.to_usid(path, mode="w")
    elif how == "added":
        data.sid.to_nsid(path, group="Measurement_009", overwrite=True)
    else:
        data.sid.to_nsid(path, mode="w", encoding={da.name: {"chunks": (2, 2, 16)}})

signal.signal(signal.SIGALRM, signal.default_int_handler)
stopped = 0
with dask.config.set(scheduler="threads" if how == "threads" else "synchronous"):
    write()
    start = time.perf_counter()
    write()
    took = time.perf_counter() - start
    for i in range(60):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, took))
                write()
                time.sleep(0.05)  # it may be heard a moment later
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            stopped += 1
        except Exception as error:  # of dask, which was stopped in the midst of its own work
            assert type(error).__name__ == "InvalidStateError", repr(error)
        assert gc.isenabled()
        found = sid.open(path)
        for node in found.subtree:
            for one in node.data_vars.values():
                assert one.size == 0 or float(one.sum()) == float(da.sum())
    write()
assert signal.getsignal(signal.SIGALRM) is signal.default_int_handler
print(stopped)
"""


@pytest.mark.parametrize("how", ["memory", "lazy", "threads", "usid", "added"])
def test_stopped_at_any_moment(tmp_path: Path, how: str) -> None:
    """In a process of its own: it crashed."""
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _STOPPED, how, str(tmp_path / "a.h5")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) > 5
    assert gc.isenabled()
