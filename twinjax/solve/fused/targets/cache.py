"""Compiled kernels, kept on disk by their content: the second process that needs one loads it in milliseconds.

A file that was cut short or changed is compiled again, and a folder that cannot be written to costs time only.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path

from twinjax.solve.compiling import cache_folder


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """The bytes kept under a name that tells their content, or those that ``make`` gives, which are then kept."""
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / "kernels" / name
    found = _read(path)
    if found is None:
        found = make()
        _write(path, found)
    return found


def digest(*parts: object) -> str:
    """A name of 32 hexadecimal digits for a list of parts, told apart, and for the code that compiles them."""
    said = hashlib.sha256(_code())
    for part in parts:
        text = str(part).encode()
        said.update(len(text).to_bytes(8, "little") + text)
    return said.hexdigest()[:32]


@functools.cache
def _code() -> bytes:
    """A hash of this folder's files: another way to compile makes other files."""
    found = hashlib.sha256()
    for file in sorted(resources.files("twinjax.solve.fused.targets").iterdir(), key=lambda f: f.name):
        if file.name.endswith((".py", ".ll")):
            found.update(file.read_bytes())
    return found.digest()


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    seal, content = data[:32], data[32:]
    return content if hashlib.sha256(content).digest() == seal else None


def _write(path: Path, content: bytes) -> None:
    """Write beside and rename: another process sees the whole file or none."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(beside, path)
        except OSError:
            Path(beside).unlink(missing_ok=True)
