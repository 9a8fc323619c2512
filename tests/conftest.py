"""Tests are laws; they run in float64."""

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


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data that stands beside the repository; it does not ship with it."""
    if not SHARED.is_dir():
        pytest.skip(f"the published data of {SHARED} are not here")
    return SHARED
