"""Who solves the shards: threads of this process. (A cluster: `twinjax.cohorts.cluster`.)"""

from __future__ import annotations

import abc
import concurrent.futures
import dataclasses
import itertools
import os
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from twinjax.cohorts.programs import Programs
from twinjax.cohorts.shard import Shard, Stopped, solve_shard


class AbstractWorkers(abc.ABC):
    """A way to get shards done. What they write does not depend on it."""

    @abc.abstractmethod
    def work(
        self, programs: Programs, shards: Sequence[int], folder: Path, *, done: Callable[[Shard], None],
        solved: Callable[[int], None],
    ) -> None:  # fmt: skip
        """Solve all the shards.

        **Parameters**: `done`, called with each that is written, one at a time, by the thread that called `work`;
        `solved`, with numbers of patients as they are solved, by any thread.
        **Raises** whatever a shard raised; what others were doing is given up.
        """


@dataclasses.dataclass(frozen=True)
class Threads(AbstractWorkers):
    """Threads, each with a shard of its own; with several devices each has one of them.

    While one thread writes, another solves: XLA, Parquet and numpy let go of Python's lock. A chunk goes to one device
    whole: no program spans several, so nothing waits for the slowest, and no device's share depends on how many there
    are.

    **Parameters**: `count`, default one for each processor core that this process may use.
    """

    count: int | None = None

    def work(self, programs, shards, folder, *, done, solved):
        """As many at once as there are threads."""
        stop, places = threading.Event(), itertools.count()
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        here, devices = threading.local(), jax.local_devices()
        own = {device: _Once(programs if device == programs.device else None) for device in devices}
        first = devices.index(programs.device)

        def note(patients: int) -> bool:
            solved(patients)
            return not stop.is_set()

        def settle() -> None:
            here.device = devices[(first + next(places)) % len(devices)]

        def one(shard: int) -> Shard:
            if stop.is_set():
                raise Stopped
            return solve_shard(own[here.device].programs(programs, here.device), shard, folder, note)

        count = min(self.count or processors(), max(len(shards), 1))
        with concurrent.futures.ThreadPoolExecutor(count, "cohort", initializer=settle) as pool:
            try:
                for shard in shards:
                    pool.submit(one, shard).add_done_callback(ended.put)
                for _ in shards:
                    done(_next(ended).result())
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise


class _Once:
    """A device's programs, compiled by the first thread that needs them."""

    def __init__(self, programs: Programs | None) -> None:
        self._programs, self._lock = programs, threading.Lock()

    def programs(self, alike: Programs, device: Any) -> Programs:
        with self._lock:
            self._programs = self._programs or Programs(alike.plan, device)
            return self._programs


def _next(ended: queue.SimpleQueue[Any]) -> Any:
    while True:
        try:
            return ended.get(timeout=1.0)  # on Windows nothing else lets Ctrl-C through
        except queue.Empty:
            continue


def processors() -> int:
    """Processor cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
