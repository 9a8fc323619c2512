"""Parameter names <-> leaves.

The names that appear in priors, data files, tables and reports are the dotted paths of a pytree's leaves
(``liver.clint``). A name may be shortened to any unambiguous ending (``clint``); a miss raises with the nearest names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import jax
from jax.tree_util import keystr, tree_flatten_with_path

T = TypeVar("T")


def names(tree: Any) -> tuple[str, ...]:
    """The names of a pytree's leaves, in leaf order."""
    return tuple(keystr(path, simple=True, separator=".") for path, _ in tree_flatten_with_path(tree)[0])


def leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by name, in leaf order."""
    return {keystr(path, simple=True, separator="."): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


def resolve(name: str, known: Iterable[str], what: str = "parameter") -> str:
    """The full name that `name` stands for: itself, or the one name that ends in ``.name``.

    **Raises** `ValueError` when there is none (with the nearest names) or more than one (with all of them).
    """
    known = tuple(known)
    if name in known:
        return name
    endings = [k for k in known if k.endswith("." + name)]
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise ValueError(f"{what} {name!r} could be any of {', '.join(endings)}; write the full name")
    raise ValueError(f"there is no {what} {name!r}{suggestion(name, known)}")


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'cl'? known: ..."``, or only the known names where none is near."""
    known = tuple(known)
    folded: dict[str, str] = {}
    for k in known:
        folded.setdefault(k.lower(), k)
        folded.setdefault(k.rsplit(".", 1)[-1].lower(), k)
    near = dict.fromkeys(folded[m] for m in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5))
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    listed = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
    return f"{hint} Known: {listed}" if known else f"{hint} There are none"


def get(tree: Any, name: str) -> Any:
    """The leaf called `name`."""
    found = leaves(tree)
    return found[resolve(name, found)]


def bind(tree: T, values: Mapping[str, Any]) -> T:
    """The same pytree with the named leaves replaced.

    **Raises** `ValueError` for a name that is not there, and when two names mean the same leaf.
    """
    flat, structure = jax.tree.flatten(tree)
    order = names(tree)
    index = {n: i for i, n in enumerate(order)}
    seen: dict[str, str] = {}
    for name, value in values.items():
        full = resolve(name, order)
        if full in seen:
            raise ValueError(f"{name!r} and {seen[full]!r} are the same parameter, {full!r}; give one of them")
        seen[full] = name
        flat[index[full]] = value
    return jax.tree.unflatten(structure, flat)
