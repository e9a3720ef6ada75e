"""Opening a file does not make Python look for circular garbage, and leaves none of its own."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

import sid_xarray as sid
from sid_xarray.io._pause import paused, resumed
from sid_xarray.io._seen import Seen


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    gc.enable()


def test_it_goes_on_afterwards() -> None:
    with paused():
        assert not gc.isenabled()
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(KeyError), paused():
        raise KeyError
    assert gc.isenabled()


def test_whoever_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_it_goes_on_while_something_is_computed() -> None:
    with paused(), paused():
        with resumed():
            assert gc.isenabled()
            with paused():
                assert not gc.isenabled()
            assert gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with resumed():
        assert gc.isenabled()
    assert gc.isenabled()


def test_what_another_thread_has_paused_stays_so() -> None:
    with paused(), ThreadPoolExecutor(1) as pool:

        def other() -> bool:
            with paused(), resumed():
                return gc.isenabled()

        assert not pool.submit(other).result()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_threads_wait_for_each_other() -> None:
    together = Barrier(8)

    def work(_: int) -> bool:
        together.wait(10)
        for _ in range(200):
            with paused():
                if gc.isenabled():
                    return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_goes_on() -> None:
    """The thread that had paused it is not in the new process, and would never end there."""
    with paused():
        child = os.fork()
        if not child:
            with paused():
                pass
            if not gc.isenabled():
                os._exit(1)
    if not child:
        # The block that it was forked in has ended here, too, and what comes after is as it was.
        with paused():
            within = gc.isenabled()
        os._exit(0 if gc.isenabled() and not within else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="others have no count of references")
@pytest.mark.parametrize("kind", ["nsid", "usid"])
def test_a_survey_leaves_no_garbage(tmp_path: Path, kind: str) -> None:
    da = sid.datasets.peak_map(ny=2, nx=2, ne=4)
    getattr(da.sid, f"to_{kind}")(tmp_path / "a.h5")
    sid.open(tmp_path / "a.h5").close()
    gc.collect()
    gc.disable()
    tree = sid.open(tmp_path / "a.h5")
    assert not [one for one in gc.get_objects() if isinstance(one, Seen)]
    assert any(node.data_vars for node in tree.subtree)
