"""What JAX compiles, kept between invocations: the second fit of a model starts at once."""

from __future__ import annotations

import os

from twinjax.solve.compiling import cache_folder


def keep_compiled() -> None:
    """Switch JAX's compilation cache on, unless the user chose one of JAX's own or none. Call before anything compiles.

    Everything is kept, however fast it compiled: a fit has a hundred small programs that add up to seconds.
    """
    folder = cache_folder()
    if folder is None or os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a home that cannot be written to costs time, not the result
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
