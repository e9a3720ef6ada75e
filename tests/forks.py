"""Work that may hang or crash, in a forked process with limits."""

from __future__ import annotations

import math
import os
import resource
import select
import signal
from collections.abc import Callable

__all__ = ["limited"]

MEMORY = 8 * 2**30


def limited(
    jobs: list[Callable[[], None]], seconds: float, *, processor: int | None = None, memory: int = MEMORY
) -> tuple[int, str]:
    """Do jobs in one forked process, and tell how many were done, and what ended it before the rest was.

    Parameters
    ----------
    jobs : list of callable
    seconds : float
        For each of them, by the clock.
    processor : int, optional
        Seconds of the processor for each of them: these do not pass quicker on a busy machine.
    memory : int
        Bytes of address space.

    Returns
    -------
    done : int
    end : str
        Empty, "hangs", or the name of the signal that ended the process.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            for job in jobs:
                if processor is not None:
                    used = resource.getrusage(resource.RUSAGE_SELF)
                    limit = math.ceil(used.ru_utime + used.ru_stime) + processor
                    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
                job()
                os.write(tell, b".")
        finally:
            os._exit(0)
    os.close(tell)
    done = 0
    while select.select([told], [], [], seconds)[0]:
        if not (news := os.read(told, 4096)):
            break
        done += len(news)
    else:
        os.kill(child, signal.SIGKILL)
    os.close(told)
    _, status = os.waitpid(child, 0)
    if done == len(jobs):
        return done, ""
    if not os.WIFSIGNALED(status):
        return done, "nothing"
    ended = signal.Signals(os.WTERMSIG(status))
    return done, "hangs" if ended in (signal.SIGKILL, signal.SIGXCPU) else ended.name
