"""Tests are laws; they run in float64."""

from pathlib import Path

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
