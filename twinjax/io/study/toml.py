"""Tables back to TOML (the standard library only reads it), so that a run keeps a study that can be run again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def to_toml(tables: Mapping[str, Any]) -> str:
    """TOML text of a study's tables: two levels as ``[model.start]``, what lies deeper in one line."""
    blocks: list[str] = []
    for name, value in tables.items():
        nested = {k: v for k, v in value.items() if isinstance(v, Mapping) and v}
        plain = {k: v for k, v in value.items() if k not in nested}
        blocks.append(_block(_key(name), plain))
        blocks += [_block(f"{_key(name)}.{_key(k)}", v) for k, v in nested.items()]
    return "\n".join(blocks)


def _block(name: str, values: Mapping[str, Any]) -> str:
    return "".join([f"[{name}]\n", *(f"{_key(k)} = {_value(v)}\n" for k, v in values.items())])


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return json.dumps(value, ensure_ascii=False)  # text, numbers, true and false are written alike
