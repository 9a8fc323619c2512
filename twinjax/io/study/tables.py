"""Tables of a study file, read key by key: what is asked for is the schema, and every slip is found in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twinjax.naming import resolve, suggestion


class StudyError(ValueError):
    """A study cannot be used as it is written; the message lists what to correct, by table and key.

    **Parameters**: `problems`, all of them, each beginning with its table; `source`, the file.
    """

    problems: tuple[str, ...]

    def __init__(self, problems: Iterable[str], source: str) -> None:
        self.problems = tuple(problems)
        lines = "\n  ".join(p.replace("\n", "\n    ") for p in self.problems)
        many = f"{len(self.problems)} problems" if len(self.problems) > 1 else "a problem"
        super().__init__(f"{source}: {many}\n  {lines}")


_REQUIRED: Any = object()


class Table:
    """One table. Each key is asked for once, by kind; `done` then names the keys that nobody asked for.

    A wrong or missing value adds to `problems` and gives a harmless one, so that reading goes on and finds the rest.
    """

    def __init__(self, values: Any, where: str, problems: list[str]) -> None:
        self.where, self.problems = where, problems
        self.asked: list[str] = []
        if not isinstance(values, Mapping):
            self.problem("", f"is {_said(values)}; write a table, such as {{ key = value }}")
            values = {}
        self.values: dict[str, Any] = dict(values)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str, message: str) -> None:
        """Something wrong with a key of this table (or with the table itself, for an empty key)."""
        self.problems.append(f"[{self.where}] {key}: {message}" if key else f"[{self.where}] {message}")

    def _take(self, key: str, kinds: tuple[type, ...], how: str, default: Any, harmless: Any) -> Any:
        self.asked.append(key)
        if key not in self.values:
            if default is _REQUIRED:
                self.problem(key, f"is missing; write {key} = ..., {how}")
                return harmless
            return default
        value = self.values[key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.problem(key, f"is {_said(value)}; write {how}")
            return harmless if default is _REQUIRED else default
        return value

    def text(self, key: str, default: Any = _REQUIRED, choices: Iterable[str] = ()) -> Any:
        """Text; one of `choices`, in any case, if there are any."""
        value = self._take(key, (str,), "text in quotes", default, "")
        if not choices or key not in self.values or not value:
            return value
        known = {c.casefold(): c for c in choices}
        if value.casefold() not in known:
            self.problem(key, f"there is no {value!r}{suggestion(value, known.values())}")
            return default if default is not _REQUIRED else next(iter(known.values()))
        return known[value.casefold()]

    def number(self, key: str, default: Any = _REQUIRED) -> Any:
        """A number."""
        value = self._take(key, (int, float), "a number, without quotes", default, 1.0)
        return float(value) if isinstance(value, int) else value

    def whole(self, key: str, default: Any = _REQUIRED, least: int | None = None) -> Any:
        """A whole number, `least` or more."""
        value = self._take(key, (int,), "a whole number, without quotes", default, 1)
        if least is not None and value is not None and value < least:
            self.problem(key, f"is {value}; write a whole number of at least {least}")
            return least
        return value

    def flag(self, key: str, default: Any = _REQUIRED) -> Any:
        """True or false."""
        return self._take(key, (bool,), "true or false", default, False)

    def any(self, key: str, kinds: tuple[type, ...], how: str, default: Any = _REQUIRED) -> Any:
        """One of several kinds; `how` says which."""
        return self._take(key, kinds, how, default, None)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; nothing if absent."""
        value = self._take(key, (list,), 'a list of names, such as ["ka", "v"]', [], [])
        wrong = [v for v in value if not isinstance(v, str)]
        if wrong:
            self.problem(key, f"holds {_said(wrong[0])}; write names in quotes")
        return tuple(v for v in value if isinstance(v, str))

    def table(self, key: str, default: Any = None) -> Table:
        """A table in this one; an empty one if absent."""
        value = self._take(key, (dict,), "a table, such as { key = value }", default or {}, {})
        return Table(value, f"{self.where}.{key}" if self.where else key, self.problems)

    def numbers(self) -> dict[str, float]:
        """Every key of this table with a number."""
        return {key: self.number(key) for key in self.values}

    def names(self, known: Iterable[str], what: str) -> dict[str, str]:
        """Every key that stands for one of the `known` names -> that name; the others are problems."""
        known, found = tuple(known), {}
        for key in self.values:
            self.asked.append(key)
            full = self.known(key, known, what)
            if full is not None and full in found.values():
                self.problem(key, f"is {full}, which is there twice; leave one out")
            elif full is not None:
                found[key] = full
        return found

    def known(self, name: str, known: Iterable[str], what: str, key: str = "") -> str | None:
        """The full name that `name` stands for, or None and a problem with the nearest names."""
        try:
            return resolve(name, known, what)
        except ValueError as error:
            self.problem(key, str(error))
            return None

    def done(self) -> None:
        """Name the keys that nobody asked for."""
        for key in self.values:
            if key not in self.asked:
                where = "table" if isinstance(self.values[key], dict) else "key"
                self.problem("", f"there is no {where} {key!r} here{suggestion(key, dict.fromkeys(self.asked))}")


def _said(value: Any) -> str:
    """A value as a person would call it."""
    if isinstance(value, str):
        return f"text, {value!r}"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"the number {value}" if isinstance(value, int | float) else f"{value!r}"
