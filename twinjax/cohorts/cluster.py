"""Shards as tasks of `dask.distributed`: many machines, or many processes of one. The only file that knows dask.

A task carries the plan and the number of its shard, and nothing else passes between workers, so a lost worker costs the
shard it had: dask gives that to another, which writes the same bytes. The run's folder is on a disk that all of them
see. Any cluster that dask knows will do; on Slurm::

    from dask_jobqueue import SLURMCluster
    cluster = SLURMCluster(cores=8, processes=1, memory="8GB", walltime="02:00:00")
    cluster.scale(jobs=20)
    cohorts.run(plan, "/shared/run", workers=Dask(cluster.get_client()))
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx

from twinjax.cohorts.plan import Plan, differences
from twinjax.cohorts.programs import Programs
from twinjax.cohorts.shard import Shard, solve_shard
from twinjax.cohorts.workers import AbstractWorkers
from twinjax.runs import decisive, made_with

_COMPILING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Dask(AbstractWorkers):
    """The workers of a dask cluster.

    **Parameters**: `client`, a `distributed.Client` or the address of a scheduler; `retries`, how often a shard that
    raised is tried again (one whose worker was lost is tried again in any case, as long as dask's
    ``distributed.scheduler.allowed-failures`` allows).
    **Raises** on use `ModuleNotFoundError` without the extra ``cluster``; `RuntimeError` where a worker has other
    versions or another kind of device, as the bytes would then depend on who did what.
    """

    client: Any
    retries: int = 2

    def work(self, programs, shards, folder, *, done, solved):
        """All shards at once; dask says who takes which."""
        try:
            from distributed import Client, as_completed
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "a cluster needs dask.distributed: pip install 'twinjax[cluster]'", name="distributed"
            ) from None
        own = isinstance(self.client, str)
        client = Client(self.client) if own else self.client
        task = functools.partial(_task, _packed(programs.plan), programs.fingerprint, str(folder), made_with())
        futures = client.map(task, shards, pure=False, retries=self.retries)
        try:
            for future in as_completed(futures):
                shard = Shard.of(future.result())
                done(shard)
                solved(shard.patients)
                future.release()
        finally:
            client.cancel(futures)
            if own:
                client.close()


def _task(plan: bytes, fingerprint: dict[str, str], folder: str, maker: dict[str, Any], shard: int) -> dict[str, Any]:
    """What a worker does."""
    import twinjax  # noqa: F401 - double precision, before anything is computed

    with _COMPILING:
        programs = _programs(plan)
    other = differences(decisive(maker), decisive(made_with())) + differences(fingerprint, programs.fingerprint)
    if other:
        raise RuntimeError(f"a worker differs from where the run was started: {'; '.join(other)}")
    if not Path(folder).is_dir():
        raise RuntimeError(f"a worker does not see {folder}: the run's folder must be on a disk that all share")
    return solve_shard(programs, shard, Path(folder)).to_dict()


@functools.lru_cache(maxsize=2)
def _programs(packed: bytes) -> Programs:
    import cloudpickle

    files, plan = cloudpickle.loads(packed)
    for name, file, source in files:
        if name not in sys.modules:
            module = sys.modules[name] = types.ModuleType(name)  # annotations of its models are resolved through this
            module.__file__ = file
            exec(compile(source, file, "exec"), vars(module))
    return Programs(cloudpickle.loads(plan))


def _packed(plan: Plan) -> bytes:
    """The plan as bytes, with the text of the user's own model files, which workers could not import.

    **Raises** `ValueError` for a model that was written into the script itself.
    """
    import cloudpickle

    here = sorted({c.__name__ for c in _classes(plan.population) if c.__module__ == "__main__"})
    if here:
        raise ValueError(f"workers cannot import {', '.join(here)} from this script; move it to a file of its own")
    own = {n: str(m.__file__) for n, m in sys.modules.items() if n.startswith("twinjax_study_")}
    files = [(name, file, Path(file).read_text(encoding="utf-8")) for name, file in own.items()]
    return cloudpickle.dumps((files, cloudpickle.dumps(plan)))


def _classes(node: Any) -> Iterator[type]:
    """Of every module in a pytree."""
    inner: Any = ()
    if isinstance(node, eqx.Module):
        yield type(node)
        inner = vars(node).values()
    elif isinstance(node, dict):
        inner = node.values()
    elif isinstance(node, tuple | list):
        inner = node
    for one in inner:
        yield from _classes(one)
