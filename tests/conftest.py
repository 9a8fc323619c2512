"""Tests are laws; they run in float64."""

import gc
import os
from importlib.metadata import version
from pathlib import Path

# Tests compile far more than they run: the quickest code generation, chosen before JAX starts. An unknown flag ends
# the process, and the older emitter is gone from later versions of XLA.
FLAGS = "--xla_backend_optimization_level=0"
if version("jaxlib").startswith("0.10."):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", FLAGS)

import jax
import pytest

jax.config.update("jax_enable_x64", True)


MAPS = Path("/proc/self/maps")
MANY = 30_000
"""Linux gives a process 65,530 maps of memory, and each compiled program takes several; beyond, compilers crash."""


@pytest.fixture(autouse=True)
def programs_are_forgotten_in_time(request):
    """A process that has compiled for hundreds of tests lets its programs go."""
    yield
    session = request.session
    session.tests_run = getattr(session, "tests_run", 0) + 1
    if session.tests_run % 10 == 0 and MAPS.exists():
        with MAPS.open() as maps:
            many = sum(1 for _ in maps) > MANY
        if many:
            jax.clear_caches()
            gc.collect()


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data that stands beside the repository; it does not ship with it."""
    if not SHARED.is_dir():
        pytest.skip(f"the published data of {SHARED} are not here")
    return SHARED
